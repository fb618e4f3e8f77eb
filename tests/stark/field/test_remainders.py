"""Remainders modulo X^M - k, against long division of integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.field.ntt import bit_reversal
from stark.field.remainders import remainder


def divided(coefficients: list[int], constant: int, length: int) -> list[int]:
    """The remainder, one leading coefficient after the other."""
    left = list(coefficients)
    while len(left) > length:
        top = left.pop()
        left[len(left) - length] = (left[len(left) - length] + constant * top) % P
    return left


@settings(max_examples=60, deadline=None)
@given(
    log_height=st.integers(0, 6),
    less=st.integers(0, 6),
    blocks=st.integers(1, 3),
    constant=st.integers(-2 * P, 2 * P) | st.sampled_from([0, 1, -1, P - 1]),
    seed=st.integers(0, 99),
)
def test_remainders(log_height: int, less: int, blocks: int, constant: int, seed: int) -> None:
    log_length = max(0, log_height - less)
    generator = np.random.default_rng(seed)
    shape = (1 << log_height, 16 * blocks)
    natural = generator.choice([0, 1, P - 1, *generator.integers(0, P, 5)], shape)
    given_rows = to_montgomery(natural[bit_reversal(log_height)])
    got = from_montgomery(remainder(given_rows, constant, 1 << log_length))
    expected = [divided(column, constant % P, 1 << log_length) for column in natural.T.tolist()]
    assert got[bit_reversal(log_length)].T.tolist() == expected
    assert np.array_equal(from_montgomery(given_rows), natural[bit_reversal(log_height)])


def test_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = to_montgomery(np.random.default_rng(1).integers(0, P, (1 << 14, 32)))
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("STARK_THREADS", threads)
        results.append(remainder(rows, 12345, 1 << 6))
    assert np.array_equal(*results)


GOOD = np.zeros((8, 16), np.uint32)


@pytest.mark.parametrize(
    ("rows", "length"),
    [
        (GOOD, 0),
        (GOOD, 3),
        (GOOD, 16),
        (GOOD[:6], 2),
        (GOOD.astype(np.int64), 2),
        (np.zeros((8, 8), np.uint32), 2),
        (np.zeros((8, 0), np.uint32), 2),
        (np.zeros((8, 32), np.uint32)[:, ::2], 2),
        (np.zeros(16, np.uint32), 2),
    ],
)
def test_other_shapes_are_refused(rows: Any, length: int) -> None:
    with pytest.raises(ValueError, match=r"expected|powers|width"):
        remainder(rows, 1, length)
