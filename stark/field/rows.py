"""Adding multiples of the rows of one matrix to rows of another, in place, on all cores."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd
from stark.field.koalabear import P
from stark.field.memory import LANES
from stark.field.montgomery import scalar_to_montgomery
from stark.jit import kernel

Matrix = NDArray[np.uint32]

_CELLS = 1 << 15
"""A thread's share is at least this many cells (some 20 microseconds)."""


@kernel("void(u4[::1], u4[::1], i8, i8, u4, i8, i8)")
def _add_range(
    target: Matrix, source: Matrix, width: int, step: int, factor: int, lo: int, hi: int
) -> None:
    """Row ``step`` i of the target += factor * row i of the source, for lo <= i < hi."""
    factors = simd.splat(factor)
    for i in range(lo, hi):
        place, own = i * step * width, i * width
        for c in range(0, width, 16):
            product = simd.field_mul_splat(simd.load(source, own + c), factors)
            total = simd.field_add(simd.load(target, place + c), product)
            simd.store(target, place + c, total)


def add_multiple(target: Matrix, source: Matrix, factor: int, step: int = 1) -> None:
    """``target[::step] += factor * source``, for the first rows of the target.

    Parameters
    ----------
    target, source
        uint32 matrices of one width, a multiple of 16, C-contiguous, Montgomery form.
    factor
        Any integer, taken mod p.
    step
        1 or more; the target has a row for each row of the source.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another.
    """
    for name, matrix in (("target", target), ("source", source)):
        if matrix.dtype != np.uint32 or matrix.ndim != 2 or not matrix.flags.carray:
            raise ValueError(f"{name} must be a C-contiguous uint32 matrix, got {matrix.shape}")
    rows, width = source.shape
    if target.shape[1] != width or width % LANES or width == 0:
        raise ValueError(f"widths must be equal multiples of 16: {target.shape}, {source.shape}")
    if step < 1 or (rows and (rows - 1) * step >= len(target)):
        raise ValueError(f"{rows} rows, {step} apart, do not fit {len(target)}")
    call = partial(
        _add_range,
        target.reshape(-1),
        source.reshape(-1),
        width,
        step,
        np.uint32(scalar_to_montgomery(factor % P)),
    )
    parallel.run(call, rows, -(-_CELLS // width))
