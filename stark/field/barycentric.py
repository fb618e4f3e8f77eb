"""Values of polynomials outside the domain, straight from their values on a coset.

For f of degree below n and a coset s <w> of n points x_i = s w^i,

    f(z) = ((z/s)^n - 1) / n * sum over i of x_i / (z - x_i) f(x_i)

(the barycentric formula: Berrut and Trefethen, Barycentric Lagrange interpolation, SIAM Review 46,
2004; on roots of unity its weights are the points themselves). One vector of weights serves all
columns of a matrix.

The inverses of x_i - z need no product in the extension. Let m be the characteristic polynomial of
z over F_p and m(X) = (X - z) c(X), c with coefficients in F. Then 1/(x - z) = c(x) / m(x): a norm
in F_p to invert, and powers of x times constants.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import extension as ext
from stark.field import simd
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import (
    GRAIN,
    Vector,
    check_vector,
    domain_points,
    montgomery_words,
    trimmed,
)
from stark.field.extension_simd import (
    ext_linear_map,
    ext_store,
    field_inverse,
    has_zero_lane,
    hidden,
    prefetch,
)
from stark.field.koalabear import P, inverse
from stark.field.memory import LANES, aligned_empty
from stark.field.montgomery import from_montgomery, scalar_to_montgomery
from stark.jit import kernel

_CHUNK = 128
"""Vectors per inversion, which costs about 45 products: a third of a product for each of them. The
chunk's results take 40 KiB, in a first-level or second-level cache."""

_CELLS = 1 << 16
"""A thread's share of a matrix is at least this many cells (some 20 microseconds)."""


@kernel("void(u4[::1], u4[::1], u4[::1], b1, u4[::1], i8, u4[::1], i8, i8)")
def _inverse_differences_range(
    points: Vector,
    norm: Vector,
    cofactor: Vector,
    times_point: bool,
    out: Vector,
    n: int,
    failed: Vector,
    lo: int,
    hi: int,
) -> None:
    """out[:, i] = c(x_i) / m(x_i), or x_i times that; sets failed[0] if an m(x_i) is zero.

    Montgomery's trick in every lane, a chunk at a time. Until a place of ``out`` gets its result,
    its row 0 holds the product of the chunk's norms up to there and its row 1 the norm.
    """
    m0, m1, m2 = simd.splat(norm[0]), simd.splat(norm[1]), simd.splat(norm[2])
    m3, m4 = simd.splat(norm[3]), simd.splat(norm[4])
    for start in range(lo, hi, 16 * _CHUNK):
        end = min(hi, start + 16 * _CHUNK)
        product = simd.splat(np.uint32(0))
        for i in range(start, end, 16):
            x = simd.load(points, i)
            value = simd.field_add(simd.field_mul(simd.field_add(x, m4), x), m3)
            value = simd.field_add(simd.field_mul(value, x), m2)
            value = simd.field_add(simd.field_mul(value, x), m1)
            value = simd.field_add(simd.field_mul(value, x), m0)
            product = value if i == start else simd.field_mul(product, value)
            simd.store(out, i, product)
            simd.store(out, n + i, value)
        if has_zero_lane(product):
            failed[0] = 1
        running = field_inverse(product)
        for i in range(end - 16, start - 16, -16):
            x = simd.load(points, i)
            inverse_norm = running
            if i > start:
                inverse_norm = simd.field_mul(running, simd.load(out, i - 16))
                running = simd.field_mul(running, simd.load(out, n + i))
            v0 = simd.field_mul(inverse_norm, x) if times_point else inverse_norm
            ratio = hidden(x)  # from before the branches, which would hide its masks
            v1 = simd.field_mul(v0, ratio)
            square = simd.field_mul(ratio, ratio)
            v2 = simd.field_mul(v0, square)
            v3 = simd.field_mul(v1, square)
            v4 = simd.field_mul(v2, square)
            ext_store(out, i, n, ext_linear_map((v0, v1, v2, v3, v4), cofactor, 0))


@kernel("void(u4[::1], i8, u4[::1], i8, u8[::1], i8, i8)")
def _evaluate_range(
    matrix: Vector,
    width: int,
    weights: Vector,
    rows: int,
    sums: NDArray[np.uint64],
    lo: int,
    hi: int,
) -> None:
    """Add w_r M[r, c] for lo <= r < hi to ``sums``; four rows at a time, in memory order.

    ``sums`` holds per block of 16 columns and coefficient 8 even and 8 odd words, below p 2^32
    before and after: two products, below 2 p^2 < p 2^32, are added before each conditional
    subtraction. It stays in the first-level cache.
    """
    for r in range(lo, hi, 4):
        for c in range(0, width, 16):
            for following in range(r + 8, r + 12):
                prefetch(matrix, following * width + c)
            x0 = simd.load(matrix, r * width + c)
            x1 = simd.load(matrix, (r + 1) * width + c)
            x2 = simd.load(matrix, (r + 2) * width + c)
            x3 = simd.load(matrix, (r + 3) * width + c)
            for q in range(5):
                k0, k1 = simd.splat(weights[q * rows + r]), simd.splat(weights[q * rows + r + 1])
                k2 = simd.splat(weights[q * rows + r + 2])
                k3 = simd.splat(weights[q * rows + r + 3])
                place = 5 * c + 16 * q
                even = simd.wide_add(simd.wide_load(sums, place), simd.wide_product_even(x0, k0))
                even = simd.wide_add(even, simd.wide_product_even(x1, k1))
                even = simd.wide_conditional_subtract(even)
                even = simd.wide_add(even, simd.wide_product_even(x2, k2))
                even = simd.wide_add(even, simd.wide_product_even(x3, k3))
                simd.wide_store(sums, place, simd.wide_conditional_subtract(even))
                odd = simd.wide_load(sums, place + 8)
                odd = simd.wide_add(odd, simd.wide_product_odd_splat(x0, k0))
                odd = simd.wide_add(odd, simd.wide_product_odd_splat(x1, k1))
                odd = simd.wide_conditional_subtract(odd)
                odd = simd.wide_add(odd, simd.wide_product_odd_splat(x2, k2))
                odd = simd.wide_add(odd, simd.wide_product_odd_splat(x3, k3))
                simd.wide_store(sums, place + 8, simd.wide_conditional_subtract(odd))


def characteristic_polynomial(z: Element) -> tuple[list[int], list[Element]]:
    """Coefficients m_0 ... m_4 of m, monic, with m(z) = 0, and c_0 ... c_4 of m(X) / (X - z).

    Faddeev and LeVerrier's recurrence on the matrix of multiplication by z: c_4 = 1,
    m_(5-k) = -tr(z c_(5-k)) / k and c_(j-1) = z c_j + m_j. Traces: x^0 ... x^4 have 5, 0, 0, -3, 0,
    by Newton's identities for x^5 + x^2 - 1.
    """
    norm = [0] * DEGREE
    cofactors = [ext.ONE] * DEGREE
    for k in range(1, DEGREE + 1):
        product = ext.multiply(z, cofactors[DEGREE - k])
        trace = 5 * product[0] - 3 * product[3]
        norm[DEGREE - k] = -trace * inverse(k) % P
        if k < DEGREE:
            cofactors[DEGREE - 1 - k] = ext.add(product, ext.from_base(norm[DEGREE - k]))
    return norm, cofactors


def scaled_inverse_differences(
    points: Vector, z: Element, factor: Element, *, times_point: bool = False
) -> Vector:
    """factor / (x_i - z), or factor * x_i / (x_i - z), for base-field points x_i.

    Parameters
    ----------
    points
        (n,) uint32, Montgomery form.
    z, factor
        Canonical elements of F.

    Returns
    -------
    (5, n) uint32, Montgomery form.

    Raises
    ------
    ValueError
        If ``points`` is not a C-contiguous uint32 vector, or z or the factor not canonical.
    ZeroDivisionError
        If a point equals z.
    """
    if points.dtype != np.uint32 or points.ndim != 1 or not points.flags.c_contiguous:
        raise ValueError(f"expected uint32 points (n,), got {points.dtype} {points.shape}")
    montgomery_words(z)
    montgomery_words(factor)
    norm, cofactors = characteristic_polynomial(z)
    norm_words = np.array([scalar_to_montgomery(c) for c in norm], np.uint32)
    cofactor_words = np.concatenate([montgomery_words(ext.multiply(c, factor)) for c in cofactors])
    # Incomplete vectors are filled with copies of a point, so as not to invent a zero.
    missing = -points.size % LANES
    source = np.concatenate([points, np.repeat(points[:1], missing)]) if missing else points
    n = source.size
    out = aligned_empty((DEGREE, n))
    failed = np.zeros(1, np.uint32)
    call = partial(
        _inverse_differences_range,
        source,
        norm_words,
        cofactor_words,
        times_point,
        out.reshape(-1),
        n,
        failed,
    )
    parallel.run(call, n, GRAIN)
    if failed[0]:
        raise ZeroDivisionError(f"{z} is one of the points")
    return trimmed(out, points.size)


def weights(log_n: int, shift: int, point: Element) -> Vector:
    """Weights w_i with f(point) = sum of w_i f(shift * w^i) for every f of degree below n.

    Parameters
    ----------
    log_n
        log2 of n, 0 ... 24.
    shift
        Canonical, not zero.
    point
        Canonical element of F, not on the coset.

    Returns
    -------
    (5, n) uint32, Montgomery form.

    Raises
    ------
    ValueError
        If the point lies on the coset, or an argument is out of range.
    """
    if not 0 < shift < P:
        raise ValueError(f"shift must be in 1 ... p - 1, got {shift}")
    montgomery_words(point)
    points = domain_points(log_n, shift)
    # The n-th roots of unity in F all lie in F_p, as n divides p - 1: z is on the coset if and
    # only if (z/s)^n = 1.
    power = ext.power(ext.scale(point, inverse(shift)), 1 << log_n)
    vanishing = ext.subtract(power, ext.ONE)
    if vanishing == ext.ZERO:
        raise ValueError(f"{point} lies on the coset of {shift} of order 2^{log_n}")
    # x / (z - x) is minus x / (x - z).
    factor = ext.scale(vanishing, -inverse(1 << log_n))
    return scaled_inverse_differences(points, point, factor, times_point=True)


def evaluate_columns(matrix: Vector, row_weights: Vector) -> NDArray[np.uint32]:
    """sum over rows i of w_i M[i, c], for every column c.

    Parameters
    ----------
    matrix
        (rows, width) uint32, C-contiguous, Montgomery form; width a multiple of 16.
    row_weights
        (5, rows), as :func:`weights` gives them.

    Returns
    -------
    (width, 5) uint32: **canonical** coefficients, one row per column of the matrix.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another.
    """
    if matrix.dtype != np.uint32 or matrix.ndim != 2 or not matrix.flags.c_contiguous:
        raise ValueError(f"expected a uint32 matrix, got {matrix.dtype} {matrix.shape}")
    check_vector(row_weights, "row_weights")
    rows, width = matrix.shape
    if row_weights.shape[1] != rows or width % LANES:
        raise ValueError(f"matrix {matrix.shape} does not fit weights {row_weights.shape}")
    if width == 0:
        return np.zeros((0, DEGREE), np.uint32)
    missing = -rows % 4
    source, factors = matrix, row_weights
    if missing:
        source = np.concatenate([matrix, np.zeros((missing, width), np.uint32)])
        factors = np.concatenate([row_weights, np.zeros((DEGREE, missing), np.uint32)], axis=1)
        rows += missing
    partial_sums: list[NDArray[np.uint64]] = []

    def call(lo: int, hi: int) -> None:
        sums = aligned_empty(2 * DEGREE * width).view(np.uint64)
        sums.fill(0)
        _evaluate_range(source.reshape(-1), width, factors.reshape(-1), rows, sums, lo, hi)
        partial_sums.append(sums)

    parallel.run(call, rows, -(-_CELLS // width) * 4)
    return _collect(partial_sums, width)


def _collect(partial_sums: list[NDArray[np.uint64]], width: int) -> NDArray[np.uint32]:
    """Canonical column sums (width, 5) of the threads' words, products of two Montgomery forms."""
    total = np.zeros(DEGREE * width, np.uint64)
    for sums in partial_sums:
        total += sums % np.uint64(P)
    # (blocks, 5, even or odd, 8) to (blocks, 8, even or odd, 5): columns in order.
    blocks = (total % np.uint64(P)).reshape(width // LANES, DEGREE, 2, LANES // 2)
    words = blocks.transpose(0, 3, 2, 1).reshape(width, DEGREE).astype(np.uint32)
    # A product of two Montgomery forms holds the factor 2^64: remove it twice.
    return from_montgomery(from_montgomery(np.ascontiguousarray(words)))
