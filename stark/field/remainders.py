"""Remainders modulo X^M - k: a polynomial on a coset of M points, for a pass over coefficients.

On a coset s <w_M> the power X^M is the constant k = s^M, so that a polynomial of N coefficients
agrees there with its remainder modulo X^M - k, which has M: coefficient i of it is the sum over t
of k^t a_(i + M t). In bit-reversed order the coefficients of one such sum are neighbours.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd
from stark.field.koalabear import P
from stark.field.memory import LANES, aligned_zeros
from stark.field.montgomery import to_montgomery
from stark.field.ntt import bit_reversal
from stark.jit import kernel

Matrix = NDArray[np.uint32]

_CELLS = 1 << 15
"""A thread's share is at least this many cells (some 20 microseconds)."""


@kernel("void(u4[::1], i8, u4[::1], i8, u4[::1], i8, i8)")
def _remainder_range(
    source: Matrix, width: int, weights: Matrix, span: int, out: Matrix, lo: int, hi: int
) -> None:
    """Row i of ``out`` += the weighted rows span * i ... of the source, for lo <= i < hi."""
    for i in range(lo, hi):
        own = i * width
        for t in range(span):
            weight = simd.splat(weights[t])
            row = (i * span + t) * width
            for c in range(0, width, 16):
                product = simd.field_mul_splat(simd.load(source, row + c), weight)
                simd.store(out, own + c, simd.field_add(simd.load(out, own + c), product))


def remainder(coefficients: Matrix, constant: int, length: int) -> Matrix:
    """Remainders modulo X^length - constant.

    Parameters
    ----------
    coefficients
        (N, width) uint32, Montgomery form, rows in bit-reversed order, a column per polynomial;
        N a power of two, the width a multiple of 16.
    constant
        Any integer, taken mod p.
    length
        M, a power of two up to N.

    Returns
    -------
    (M, width), of the same form and order.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another.
    """
    if coefficients.dtype != np.uint32 or coefficients.ndim != 2 or not coefficients.flags.carray:
        raise ValueError(f"expected a C-contiguous uint32 matrix, got {coefficients.shape}")
    height, width = coefficients.shape
    if height.bit_count() != 1 or length.bit_count() != 1 or not 1 <= length <= height:
        raise ValueError(f"{height} coefficients and {length} of remainders: no powers of two")
    if width % LANES or width == 0:
        raise ValueError(f"the width must be a multiple of {LANES}, got {width}")
    span = height // length
    powers = [1]
    for _ in range(1, span):
        powers.append(powers[-1] * constant % P)
    weights = to_montgomery(np.array(powers, np.uint32)[bit_reversal(span.bit_length() - 1)])
    out = aligned_zeros((length, width))
    call = partial(
        _remainder_range, coefficients.reshape(-1), width, weights, span, out.reshape(-1)
    )
    parallel.run(call, length, max(1, _CELLS // (span * width)))
    return out
