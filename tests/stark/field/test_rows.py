"""Rows added to rows, against integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.field.rows import add_multiple


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(0, 20),
    step=st.integers(1, 5),
    blocks=st.integers(1, 3),
    factor=st.integers(-2 * P, 2 * P) | st.sampled_from([0, 1, -1, P - 1]),
    seed=st.integers(0, 99),
)
def test_add_multiple(rows: int, step: int, blocks: int, factor: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    target = generator.integers(0, P, (rows * step + 3, 16 * blocks))
    source = generator.choice([0, 1, P - 1, *generator.integers(0, P, 5)], (rows, 16 * blocks))
    words = to_montgomery(target)
    add_multiple(words, to_montgomery(source), factor, step)
    expected = target.astype(object)
    for row in range(rows):
        expected[row * step] = (expected[row * step] + factor * source[row].astype(object)) % P
    assert from_montgomery(words).tolist() == expected.tolist()


def test_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    target, source = (to_montgomery(generator.integers(0, P, (30000, 16))) for _ in range(2))
    results = []
    for threads in ("1", "3"):
        monkeypatch.setenv("STARK_THREADS", threads)
        results.append(target.copy())
        add_multiple(results[-1], source[:15000], 12345, 2)
    assert np.array_equal(*results)


GOOD = np.zeros((8, 16), np.uint32)


@pytest.mark.parametrize(
    ("target", "source", "step"),
    [
        (GOOD, np.zeros((8, 32), np.uint32), 1),
        (GOOD, np.zeros((9, 16), np.uint32), 1),
        (GOOD, np.zeros((5, 16), np.uint32), 2),
        (GOOD, GOOD, 0),
        (GOOD.astype(np.int64), GOOD, 1),
        (np.zeros((8, 8), np.uint32), np.zeros((8, 8), np.uint32), 1),
        (np.zeros((8, 32), np.uint32)[:, ::2], GOOD, 1),
    ],
)
def test_matrices_that_do_not_fit(target: Any, source: Any, step: int) -> None:
    with pytest.raises(ValueError, match=r"matrix|widths|fit"):
        add_multiple(target, source, 1, step)
