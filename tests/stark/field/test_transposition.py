"""Columns to rows, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stark.field.memory import aligned_empty
from stark.field.transposition import columns_to_rows


@pytest.mark.parametrize("width", [16, 48])
@pytest.mark.parametrize(
    ("length", "count"), [(16, 16), (1024, 1024), (32, 7), (5, 5), (4096, 4096)]
)
def test_columns_to_rows(width: int, length: int, count: int) -> None:
    columns = np.random.default_rng(1).integers(0, 1 << 32, (width, length), np.uint32)
    rows = aligned_empty((count, width))
    columns_to_rows(columns, rows)
    assert np.array_equal(rows, columns[:, :count].T)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (np.zeros((16, 8), np.uint32), np.zeros((9, 16), np.uint32)),
        (np.zeros((15, 8), np.uint32), np.zeros((8, 15), np.uint32)),
        (np.zeros((16, 8), np.uint32), np.zeros((8, 32), np.uint32)),
        (np.zeros((16, 8), np.int64), np.zeros((8, 16), np.uint32)),
        (np.zeros((16, 8), np.uint32), np.zeros((16, 8), np.uint32).T),
        (np.zeros((16, 16), np.uint32)[:, ::2], np.zeros((8, 16), np.uint32)),
    ],
)
def test_arrays_that_do_not_fit(columns: Any, rows: Any) -> None:
    with pytest.raises(ValueError, match=r"columns|rows"):
        columns_to_rows(columns, rows)
