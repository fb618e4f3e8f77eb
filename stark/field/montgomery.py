"""Between canonical integers and the Montgomery form of the kernels, a -> a * 2^32 mod p."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.jit import kernel

R = (1 << 32) % P
"""One, in Montgomery form."""

R_SQUARED = R * R % P
"""The factor whose Montgomery product with a canonical integer is its Montgomery form."""

_R_INVERSE = pow(R, -1, P)
# A thread's share is at least this many elements (about 10 microseconds of work).
_GRAIN = 1 << 15


@kernel("void(u4[::1], u4[::1], u4, i8, i8)")
def _multiply_range(
    source: NDArray[np.uint32], destination: NDArray[np.uint32], factor: int, lo: int, hi: int
) -> None:
    """destination[lo:hi] = Montgomery product of source[lo:hi] with ``factor``."""
    factors = simd.splat(factor)
    whole = lo + (hi - lo) // 16 * 16
    for i in range(lo, whole, 16):
        simd.store(destination, i, simd.field_mul_splat(simd.load(source, i), factors))
    for i in range(whole, hi):
        destination[i] = simd.mont_mul(source[i], factor)


def multiply_by_scalar(
    source: NDArray[np.uint32], factor: int, out: NDArray[np.uint32] | None = None
) -> NDArray[np.uint32]:
    """Montgomery product source * factor / 2^32 of every element with one factor, on all cores.

    Parameters
    ----------
    source
        uint32, C-contiguous, any shape, elements in [0, p) (not checked).
    factor
        In [0, p).
    out
        Result: like ``source``, and possibly ``source`` itself; by default a new aligned array.

    Raises
    ------
    ValueError
        If an array is not writeable C-contiguous uint32, the shapes differ, or the factor is out
        of range.
    """
    result = aligned_empty(source.shape) if out is None else out
    for array in (source, result):
        if array.dtype != np.uint32 or not array.flags.carray:
            raise ValueError(f"expected a writeable C-contiguous uint32 array, got {array.dtype}")
    if result.shape != source.shape:
        raise ValueError(f"out has shape {result.shape}, expected {source.shape}")
    if not 0 <= factor < P:
        raise ValueError(f"factor must be in [0, p), got {factor}")
    call = partial(_multiply_range, source.reshape(-1), result.reshape(-1), np.uint32(factor))
    parallel.run(call, source.size, _GRAIN)
    return result


def to_montgomery(values: NDArray[Any]) -> NDArray[np.uint32]:
    """Montgomery form of canonical integers.

    Parameters
    ----------
    values
        Any shape and integer dtype, every value in [0, p).

    Returns
    -------
    uint32 array of the same shape, C-contiguous and 64-byte aligned.

    Raises
    ------
    ValueError
        If the dtype is not an integer type or a value lies outside [0, p).
    """
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"expected integers, got {values.dtype}")
    if values.size and not (int(values.min()) >= 0 and int(values.max()) < P):
        raise ValueError(f"values must be in [0, p), got {values.min()} ... {values.max()}")
    return multiply_by_scalar(np.require(values, np.uint32, ["C", "A", "W"]), R_SQUARED)


def from_montgomery(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Canonical integers, in [0, p), of elements in Montgomery form.

    Raises ``ValueError`` if the array is not uint32. The elements themselves are not checked.
    """
    if values.dtype != np.uint32:
        raise ValueError(f"expected uint32, got {values.dtype}")
    # A Montgomery product with the integer 1 divides by 2^32.
    return multiply_by_scalar(np.require(values, np.uint32, ["C", "W"]), 1)


def scalar_to_montgomery(value: int) -> int:
    """Montgomery form of one integer, reduced modulo p first."""
    return value % P * R % P


def scalar_from_montgomery(value: int) -> int:
    """The canonical integer of one element in Montgomery form."""
    return value * _R_INVERSE % P
