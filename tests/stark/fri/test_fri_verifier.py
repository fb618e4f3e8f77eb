"""Folding a leaf, against the definition and against the prover's kernel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.fri.fold import fold
from stark.fri.verifier import fold_leaf

ELEMENT = st.tuples(*[st.integers(0, P - 1)] * 5)


@settings(deadline=None)
@given(st.lists(ELEMENT, min_size=16, max_size=16), ELEMENT, st.integers(1, 3), st.integers(0, 15))
def test_folding_a_polynomial(
    coefficients: list[Element], beta: Element, log_arity: int, place: int
) -> None:
    """f(y) = sum of y^t f_t(y^k) folds to sum of beta^t f_t at y^k."""
    log_size, arity = 5, 1 << log_arity
    index = place % (32 // arity)
    root = root_of_unity(log_size)
    leaf = [
        ext.evaluate(coefficients, ext.from_base(pow(root, index + t * (32 // arity), P)))
        for t in range(arity)
    ]
    point = ext.from_base(pow(root, index * arity, P))
    expected = ext.total(
        ext.multiply(ext.power(beta, t), ext.evaluate(coefficients[t::arity], point))
        for t in range(arity)
    )
    assert fold_leaf(leaf, index, log_size, beta) == expected


@pytest.mark.parametrize("log_arity", [1, 2, 3])
@pytest.mark.parametrize("log_blowup", [1, 2])
def test_the_kernel_folds_the_same(log_arity: int, log_blowup: int) -> None:
    height, blowup = 32, 1 << log_blowup
    words = np.random.default_rng(2).integers(0, P, (5, blowup, height), dtype=np.uint32)
    beta: Element = (3, 1, 4, 1, 5)
    folded = from_montgomery(fold(to_montgomery(words), log_arity, beta, log_blowup))
    leaves = height >> log_arity
    log_size = 5 + log_blowup
    for coset in range(blowup):
        for row in range(leaves):
            leaf = [
                tuple(int(v) for v in words[:, coset, row + t * leaves])
                for t in range(1 << log_arity)
            ]
            expected = fold_leaf(leaf, coset + blowup * row, log_size, beta)  # type: ignore[arg-type]
            assert tuple(int(v) for v in folded[:, coset, row]) == expected


def test_arities_compose() -> None:
    """A fold by 4 is two folds by 2, with beta and its square."""
    leaf: list[Element] = [(i + 1, 2 * i, 0, 7, i * i) for i in range(4)]
    beta: Element = (9, 8, 7, 6, 5)
    index, log_size = 3, 6
    halves = [fold_leaf([leaf[t], leaf[t + 2]], index + t * 16, log_size, beta) for t in range(2)]
    twice = fold_leaf(halves, index, log_size - 1, ext.multiply(beta, beta))
    assert fold_leaf(leaf, index, log_size, beta) == twice
    assert all(a != b for a, b in pairwise(halves))
