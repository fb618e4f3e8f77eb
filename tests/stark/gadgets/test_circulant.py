"""Fast circulant products, against the dense product."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.gadgets.circulant import circulant_product
from stark.hash.poseidon import POSEIDON1

VALUE = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))


@given(
    st.integers(0, 5).flatmap(
        lambda k: st.tuples(*[st.lists(VALUE, min_size=1 << k, max_size=1 << k)] * 2)
    )
)
def test_any_circulant(pair: tuple[list[int], list[int]]) -> None:
    row, x = pair
    n = len(row)
    expected = [sum(row[(j - i) % n] * x[j] for j in range(n)) % P for i in range(n)]
    assert [value % P for value in circulant_product(row, x)] == expected


def test_the_matrix_of_poseidon() -> None:
    row = POSEIDON1.circulant_row
    for j in range(16):
        unit = [int(i == j) for i in range(16)]
        column = [value % P for value in circulant_product(row, unit)]
        assert column == [row[(j - i) % 16] for i in range(16)]
