"""Polynomials kept by coefficients, and DEEP codewords made of them, against plain values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cheating import Seeded
from support.systems import fibonacci, parameters, products
from support.tabulated import deep_codewords_by_values

from stark.field import extension as ext
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.field.ntt import bit_reversal
from stark.prover.commitment import PolynomialRows
from stark.prover.keygen import generate_key
from stark.prover.polynomials import Polynomials, add_mod, interpolated, subtract_mod
from stark.prover.prove import Prover, prove
from stark.system import System

word = st.integers(0, P - 1) | st.sampled_from([0, 1, P - 1])


def example(log_n: int, slack: int, log_blowup: int) -> tuple[Polynomials, list[list[int]]]:
    """Random polynomials of 2^log_n + slack coefficients, and these, natural order."""
    generator = np.random.default_rng(log_n + slack)
    values = generator.integers(0, P, ((1 << log_n) + slack, 16))
    low, high = values[: 1 << log_n], values[1 << log_n :]
    overflow = to_montgomery(high) if slack else None
    return Polynomials(
        to_montgomery(low[bit_reversal(log_n)]), overflow, log_blowup
    ), values.tolist()


def evaluated(coefficients: list[list[int]], x: int) -> list[int]:
    return [
        sum(row[column] * pow(x, k, P) for k, row in enumerate(coefficients)) % P
        for column in range(16)
    ]


@pytest.mark.parametrize(("log_n", "slack"), [(0, 0), (0, 1), (3, 0), (4, 1), (5, 4), (5, 32)])
def test_evaluations(log_n: int, slack: int) -> None:
    polynomials, coefficients = example(log_n, slack, 2)
    kept = polynomials.coefficients.copy()
    size = 4 << log_n
    for coset in range(4):
        values = from_montgomery(polynomials.coset(coset))
        for row in range(1 << log_n):
            x = GENERATOR * pow(root_of_unity(log_n + 2), coset + 4 * row, P) % P
            assert values[row].tolist() == evaluated(coefficients, x)
    assert np.array_equal(kept, polynomials.coefficients)
    places = np.random.default_rng(1).integers(0, size, 7)
    cosets, rows = places % 4, places // 4
    chosen = polynomials.rows(cosets, rows)
    for got, coset, row in zip(chosen, cosets.tolist(), rows, strict=True):
        assert got.tolist() == from_montgomery(polynomials.coset(coset))[row].tolist()
    point = 123456789
    assert polynomials.at(ext.from_base(point)) == [
        ext.from_base(value) for value in evaluated(coefficients, point)
    ]


def test_a_failing_transform_leaves_the_coefficients_alone() -> None:
    polynomials, _ = example(4, 2, 1)
    kept = polynomials.coefficients.copy()
    with pytest.raises(ValueError, match="out"):
        polynomials.coset(0, np.zeros((8, 16), np.uint32))
    assert np.array_equal(kept, polynomials.coefficients)


@pytest.mark.parametrize("keep", [False, True])
def test_masked_columns_agree_with_the_trace(keep: bool) -> None:
    values = np.random.default_rng(1).integers(0, P, (16, 16))
    given_values = to_montgomery(values)
    mask = to_montgomery(np.random.default_rng(2).integers(0, P, (4, 16)))
    polynomials = interpolated(given_values, mask, 1, keep=keep)
    for row in (0, 5, 15):
        point = ext.from_base(pow(root_of_unity(4), row, P))
        assert polynomials.at(point) == [ext.from_base(int(v)) for v in values[row]]
    assert np.array_equal(from_montgomery(given_values), values) == keep


@given(pairs=st.lists(st.tuples(word, word), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_sums_and_differences(pairs: list[tuple[int, int]]) -> None:
    a, b = (np.array(column, np.uint32) for column in zip(*pairs, strict=True))
    assert add_mod(a, b).tolist() == [(x + y) % P for x, y in pairs]
    assert subtract_mod(a, b).tolist() == [(x - y) % P for x, y in pairs]


def test_joint_rows() -> None:
    one, two = example(4, 2, 1)[0], example(4, 0, 1)[0]
    rows = PolynomialRows([one, two], [3, 16])
    assert (rows.cosets, rows.height, rows.width) == (2, 16, 19)
    got = rows.select(np.array([1, 0]), np.array([2, 7]))
    expected = [
        [*from_montgomery(one.coset(c))[i, :3], *from_montgomery(two.coset(c))[i]]
        for c, i in ((1, 2), (0, 7))
    ]
    assert got.tolist() == [[int(v) for v in row] for row in expected]


@pytest.mark.parametrize("zk", [False, True])
@pytest.mark.parametrize("name", ["fibonacci", "products"])
def test_codewords_are_those_of_the_values(name: str, zk: bool) -> None:
    one = fibonacci(6) if name == "fibonacci" else products(6, 6, 30)
    system = System([table.air for table in one.system.tables], zk)
    chosen = parameters(zk=True, log_slack=3, log_blowup=3) if zk else parameters()
    compared = []

    class Comparing(Prover):
        def codewords(self, parts, values, coefficients, zeta):  # type: ignore[no-untyped-def]
            words = super().codewords(parts, values, coefficients, zeta)
            expected = deep_codewords_by_values(
                parts, values, coefficients, zeta, self.codeword_masks, chosen.log_blowup
            )
            assert set(words) == set(expected)
            for log_height, own in words.items():
                assert np.array_equal(own, expected[log_height])
                compared.append(log_height)
            return words

    prover = Comparing(generate_key(system, chosen), one.publics, randomness=Seeded(b"x"))
    prover.run(one.traces)
    assert len(compared) == len({table.log_height for table in system.tables})


def test_kept_cosets_are_evaluated_once_and_read() -> None:
    polynomials, coefficients = example(4, 2, 2)
    plain, _ = example(4, 2, 2)
    polynomials.keep(2)
    for coset in (0, 1, 2, 1):
        assert np.array_equal(polynomials.coset(coset), plain.coset(coset))
    assert polynomials.coset(1) is polynomials.coset(1)
    assert polynomials.coset(2) is not polynomials.coset(2)
    cosets, rows = np.array([0, 3, 1, 2, 0, 2, 3, 3]), np.array([5, 6, 7, 8, 9, 10, 0, 15])
    assert np.array_equal(polynomials.rows(cosets, rows), plain.rows(cosets, rows))
    polynomials.keep(0)
    assert polynomials.coset(1) is not polynomials.coset(1)
    assert len(coefficients) == 18


@pytest.mark.parametrize("zk", [False, True])
def test_a_lean_prover_makes_the_same_proof(zk: bool) -> None:
    one = products(6, 6, 30)
    system = System([table.air for table in one.system.tables], zk)
    chosen = parameters(zk=True, log_slack=3, log_blowup=3) if zk else parameters()
    key = generate_key(system, chosen)
    proofs = [
        prove(key, one.traces, one.publics, randomness=Seeded(b"x"), lean=lean)
        for lean in (False, True)
    ]
    assert proofs[0] == proofs[1]
