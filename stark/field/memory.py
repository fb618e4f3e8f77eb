"""Aligned buffers for the kernels of the prover wing."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes: one cache line, and one AVX-512 register."""

LANES = 16
"""32-bit lanes of the vector type; matrix widths are padded to a multiple of it."""


def padded_width(width: int) -> int:
    """The width of a matrix after padding with zero columns to whole vectors."""
    return -(-width // LANES) * LANES


def aligned_empty(shape: tuple[int, ...] | int) -> NDArray[np.uint32]:
    """An uninitialised C-contiguous uint32 array whose data starts on a cache line."""
    dimensions = (shape,) if isinstance(shape, int) else shape
    size = prod(dimensions) * 4
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(np.uint32).reshape(dimensions)


def aligned_zeros(shape: tuple[int, ...] | int) -> NDArray[np.uint32]:
    """Like :func:`aligned_empty`, filled with zeros."""
    array = aligned_empty(shape)
    array.fill(0)
    return array
