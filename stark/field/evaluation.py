"""Weights for evaluating polynomials from their coefficients, in the transforms' order.

The coefficients of a polynomial of N = 2^n terms lie in bit-reversed order: place i holds that of
x^rev(i). The powers of a point in that order come by doubling: bit m = 2^t of a place stands for
bit n - 1 - t of the exponent, so that the places m ... 2 m - 1 are the places 0 ... m - 1 times
x^(N / 2 m). With such weights :func:`stark.field.barycentric.evaluate_columns` evaluates all
columns of a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import extension, simd
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import GRAIN, montgomery_words, scale_range
from stark.field.koalabear import TWO_ADICITY, P
from stark.field.memory import LANES, aligned_empty
from stark.field.montgomery import R, scalar_to_montgomery
from stark.jit import kernel

Vector = NDArray[np.uint32]

_ELEMENTS = 1 << 16
"""A thread's share is at least this many elements (some 20 microseconds)."""


def reversed_powers(log_n: int, point: Element) -> Vector:
    """x^rev(i) for a point x of the extension.

    Parameters
    ----------
    log_n
        log2 of N, 0 ... 24.
    point
        Canonical.

    Returns
    -------
    (5, N) uint32, Montgomery form.

    Raises
    ------
    ValueError
        If the point is not canonical or ``log_n`` out of range.
    """
    montgomery_words(point)
    size = _size(log_n)
    padded = max(size, LANES)
    out = aligned_empty((DEGREE, padded))
    first = [extension.ONE]
    while len(first) < min(size, LANES):
        step = extension.power(point, size // (2 * len(first)))
        first += [extension.multiply(power, step) for power in first]
    out[:, : len(first)] = np.stack([montgomery_words(power) for power in first], axis=1)
    done = LANES
    while done < size:
        words = montgomery_words(extension.power(point, size // (2 * done)))
        flat = out.reshape(-1)
        parallel.run(partial(scale_range, flat, words, flat, padded, done), done, GRAIN)
        done *= 2
    return out if padded == size else np.ascontiguousarray(out[:, :size])


def point_powers(log_n: int, points: Sequence[int]) -> Vector:
    """x^rev(i) for up to five points x of the base field, a row for each.

    Parameters
    ----------
    points
        At most five canonical integers.

    Returns
    -------
    (5, N) uint32, Montgomery form; rows without a point are zero.

    Raises
    ------
    ValueError
        If there are too many points, or an argument is out of range.
    """
    size = _size(log_n)
    if len(points) > DEGREE or not all(0 <= point < P for point in points):
        raise ValueError(f"expected at most {DEGREE} points in [0, p), got {points}")
    factors = np.array(
        [[scalar_to_montgomery(power) for power in _halving_powers(log_n, point)]
         for point in points], np.uint32
    ).reshape(-1)  # fmt: skip
    out = aligned_empty((DEGREE, size))
    out[len(points) :] = 0
    call = partial(_powers_range, factors, out.reshape(-1), log_n)
    parallel.run(call, len(points), max(1, _ELEMENTS // size))
    return out


def _halving_powers(log_n: int, point: int) -> list[int]:
    """x^(N/2), x^(N/4), ... x, by one squaring each."""
    squares = [point]
    for _ in range(log_n - 1):
        squares.append(squares[-1] * squares[-1] % P)
    return squares[::-1] if log_n else []


@kernel("void(u4[::1], u4[::1], i8, i8, i8)")
def _powers_range(factors: Vector, out: Vector, log_n: int, lo: int, hi: int) -> None:
    """Rows lo ... hi - 1 of ``out``, each doubled ``log_n`` times by its own factors."""
    size = 1 << log_n
    for row in range(lo, hi):
        start = row * size
        out[start] = R
        for level in range(log_n):
            done = 1 << level
            factor = factors[row * log_n + level]
            if done < 16:
                for i in range(start, start + done):
                    out[i + done] = simd.mont_mul(out[i], factor)
            else:
                factors_vector = simd.splat(factor)
                for i in range(start, start + done, 16):
                    product = simd.field_mul_splat(simd.load(out, i), factors_vector)
                    simd.store(out, i + done, product)


def _size(log_n: int) -> int:
    if not 0 <= log_n <= TWO_ADICITY:
        raise ValueError(f"log_n must be in 0 ... {TWO_ADICITY}, got {log_n}")
    return 1 << log_n
