"""Columns side by side in memory to rows, sixteen by sixteen in registers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd
from stark.field.memory import LANES
from stark.jit import kernel

Array = NDArray[np.uint32]

_GRAIN = 64 * LANES
"""A thread's share is at least this many rows."""


@kernel("void(u4[::1], u4[::1], i8, i8, i8, i8)")
def _transpose_range(
    source: Array, destination: Array, length: int, width: int, lo: int, hi: int
) -> None:
    """Columns lo ... hi - 1 of a (width, length) matrix to rows of a (length, width) one."""
    for i in range(lo, hi, 16):
        for column in range(0, width, 16):
            tile = simd.load_tile_transposed(source, column * length + i, length)
            simd.store_tile(destination, i * width + column, width, tile)


def columns_to_rows(columns: Array, rows: Array) -> None:
    """``rows[:] = columns.T`` for the first len(rows) columns, on all cores.

    Parameters
    ----------
    columns
        (width, length) uint32, C-contiguous, the width a multiple of 16.
    rows
        (n, width) uint32, C-contiguous, n at most ``length``.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another.
    """
    for name, array in (("columns", columns), ("rows", rows)):
        if array.dtype != np.uint32 or array.ndim != 2 or not array.flags.carray:
            raise ValueError(f"{name} must be a C-contiguous uint32 matrix, got {array.shape}")
    width, length = columns.shape
    if width % LANES or rows.shape[1] != width or len(rows) > length:
        raise ValueError(f"{columns.shape} columns do not fill {rows.shape} rows")
    if len(rows) != length or length % LANES:
        rows[:] = columns[:, : len(rows)].T
        return
    source, destination = columns.reshape(-1), rows.reshape(-1)
    parallel.run(
        lambda lo, hi: _transpose_range(source, destination, length, width, lo, hi), length, _GRAIN
    )
