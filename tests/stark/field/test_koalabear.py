"""The prime field: its order, generator and roots of unity, against galois."""

from __future__ import annotations

import galois
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.field.koalabear import (
    GENERATOR,
    TWO_ADICITY,
    P,
    batch_inverse,
    inverse,
    root_of_unity,
)

ELEMENTS = st.one_of(st.sampled_from([1, 2, P - 1]), st.integers(1, P - 1))


def test_the_modulus_is_prime_and_has_the_stated_two_adicity() -> None:
    assert galois.is_prime(P)
    assert (P - 1) % (1 << TWO_ADICITY) == 0
    assert (P - 1) >> TWO_ADICITY == 127


def test_the_generator_has_full_order() -> None:
    for prime in galois.factors(P - 1)[0]:
        assert pow(GENERATOR, (P - 1) // prime, P) != 1
    assert pow(2, (P - 1) // 2, P) == 1  # so that 3 is the smallest


@pytest.mark.parametrize("log_order", range(TWO_ADICITY + 1))
def test_roots_of_unity_have_exact_order_and_nest(log_order: int) -> None:
    root = root_of_unity(log_order)
    assert pow(root, 1 << log_order, P) == 1
    if log_order:
        assert pow(root, 1 << (log_order - 1), P) == P - 1
        assert root_of_unity(log_order - 1) == root * root % P


@pytest.mark.parametrize("log_order", [-1, TWO_ADICITY + 1])
def test_orders_beyond_the_two_adicity_are_refused(log_order: int) -> None:
    with pytest.raises(ValueError, match="log_order"):
        root_of_unity(log_order)


def test_cubing_is_a_permutation() -> None:
    assert (P - 1) % 3 != 0


@given(ELEMENTS)
def test_inverse(value: int) -> None:
    assert value * inverse(value) % P == 1


@given(st.lists(ELEMENTS, max_size=9))
def test_batch_inverse(values: list[int]) -> None:
    assert batch_inverse(values) == [inverse(value) for value in values]


def test_zero_has_no_inverse() -> None:
    for values in ([0], [1, 0, 2], [P]):
        with pytest.raises(ZeroDivisionError):
            batch_inverse(values)
    with pytest.raises(ZeroDivisionError):
        inverse(0)
