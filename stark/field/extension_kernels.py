"""Vectors of elements of the quintic extension F = F_p[x]/(x^5 + x^2 - 1), on all cores.

A vector of n elements is a uint32 array (5, n), C-contiguous, Montgomery form: row q holds the
coefficients of x^q. Words are in [0, p), which is not checked; lengths are arbitrary, and multiples
of 16 are not copied. Scalars are canonical integers and tuples, as in ``stark.field.extension``.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import extension, simd
from stark.field.extension import DEGREE, Element
from stark.field.extension_simd import (
    ext_inverse,
    ext_load,
    ext_mul,
    ext_mul_splat,
    ext_splat,
    ext_store,
    has_zero_lane,
)
from stark.field.koalabear import P, root_of_unity
from stark.field.memory import LANES, aligned_empty
from stark.field.montgomery import R, multiply_by_scalar, scalar_to_montgomery
from stark.jit import kernel

Vector = NDArray[np.uint32]

GRAIN = 1 << 13
"""A thread's share is at least this many elements (some 20 microseconds of products)."""

_CHUNK = 128
"""Vectors per inversion: the chunk and its prefix products take 80 KiB, in a second-level cache,
and the inversion, worth about ten products, is spread over 128 vectors."""


# ---- kernels on [lo, hi), multiples of 16, of vectors whose length n is a multiple of 16


@kernel("void(u4[::1], u4[::1], u4[::1], i8, i8, i8)")
def _multiply_range(a: Vector, b: Vector, out: Vector, n: int, lo: int, hi: int) -> None:
    for i in range(lo, hi, 16):
        ext_store(out, i, n, ext_mul(ext_load(a, i, n), ext_load(b, i, n)))


@kernel("void(u4[::1], u4[::1], u4[::1], i8, i8, i8, i8)")
def scale_range(
    a: Vector, factor: Vector, out: Vector, n: int, offset: int, lo: int, hi: int
) -> None:
    """out[:, offset + i] = a[:, i] * factor."""
    factors = ext_splat(factor, 0, 1)
    for i in range(lo, hi, 16):
        ext_store(out, offset + i, n, ext_mul_splat(ext_load(a, i, n), factors))


@kernel("void(u4[::1], u4[::1], i8, u4[::1], u4[::1], i8, i8)")
def _inverse_range(
    a: Vector, out: Vector, n: int, frobenius: Vector, failed: Vector, lo: int, hi: int
) -> None:
    """Montgomery's trick in every lane, a chunk at a time; sets failed[0] if an element is zero.

    ``out`` holds the prefix products first. A zero makes its lane's whole product zero.
    """
    for start in range(lo, hi, 16 * _CHUNK):
        end = min(hi, start + 16 * _CHUNK)
        product = ext_load(a, start, n)
        ext_store(out, start, n, product)
        for i in range(start + 16, end, 16):
            product = ext_mul(product, ext_load(a, i, n))
            ext_store(out, i, n, product)
        running, norm = ext_inverse(product, frobenius)
        if has_zero_lane(norm):
            failed[0] = 1
        for i in range(end - 16, start, -16):
            ext_store(out, i, n, ext_mul(running, ext_load(out, i - 16, n)))
            running = ext_mul(running, ext_load(a, i, n))
        ext_store(out, start, n, running)


@kernel("void(u4[::1], u4[::1], i8)")
def _running_sum(a: Vector, out: Vector, n: int) -> None:
    """Inclusive sums along each row; five chains side by side hide the latency of one."""
    zero = np.uint32(0)
    s0, s1, s2, s3, s4 = zero, zero, zero, zero, zero
    for i in range(n):
        s0 = simd.mont_add(s0, a[i])
        s1 = simd.mont_add(s1, a[n + i])
        s2 = simd.mont_add(s2, a[2 * n + i])
        s3 = simd.mont_add(s3, a[3 * n + i])
        s4 = simd.mont_add(s4, a[4 * n + i])
        out[i] = s0
        out[n + i] = s1
        out[2 * n + i] = s2
        out[3 * n + i] = s3
        out[4 * n + i] = s4


# ---- wrappers


def montgomery_words(element: Element) -> Vector:
    """The five coefficients of a canonical element in Montgomery form, (5,).

    Raises ``ValueError`` if there are not five of them or one is not in [0, p).
    """
    if len(element) != DEGREE or not all(0 <= c < P for c in element):
        raise ValueError(f"expected five integers in [0, p), got {element}")
    return np.array([scalar_to_montgomery(int(c)) for c in element], np.uint32)


def check_vector(array: Vector, name: str = "vector") -> None:
    """Raise ``ValueError`` unless ``array`` is a C-contiguous uint32 array of shape (5, n)."""
    if array.dtype != np.uint32 or array.ndim != 2 or array.shape[0] != DEGREE:
        raise ValueError(f"{name} must be uint32 (5, n), got {array.dtype} {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous")


def padded(array: Vector, fill: int = 0) -> Vector:
    """The array itself if its last dimension is a multiple of 16, else a copy that is extended.

    The first row of the added entries is ``fill``, the others are 0: elements of the base field.
    Kernels then need no second code path for incomplete vectors.
    """
    n = array.shape[-1]
    if n % LANES == 0:
        return array
    result = np.zeros((*array.shape[:-1], -(-n // LANES) * LANES), np.uint32)
    result[..., :n] = array
    result[0, ..., n:] = fill
    return result


def trimmed(array: Vector, n: int) -> Vector:
    """The first n entries of the last dimension, C-contiguous: undoes :func:`padded`."""
    return array if array.shape[-1] == n else np.ascontiguousarray(array[..., :n])


def multiply(a: Vector, b: Vector) -> Vector:
    """Products a_i b_i of two vectors (5, n).

    Raises ``ValueError`` if one is not a vector or the lengths differ.
    """
    check_vector(a, "a")
    check_vector(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"lengths differ: {a.shape[1]} and {b.shape[1]}")
    left, right = padded(a), padded(b)
    out = aligned_empty(left.shape)
    call = partial(
        _multiply_range, left.reshape(-1), right.reshape(-1), out.reshape(-1), out.shape[1]
    )
    parallel.run(call, out.shape[1], GRAIN)
    return trimmed(out, a.shape[1])


def scale(a: Vector, factor: Element) -> Vector:
    """Products of all elements of a vector (5, n) with one element, given canonical.

    Raises ``ValueError`` if ``a`` is not a vector or ``factor`` not a canonical element.
    """
    check_vector(a, "a")
    words = montgomery_words(factor)
    source = padded(a)
    out = aligned_empty(source.shape)
    n = out.shape[1]
    call = partial(scale_range, source.reshape(-1), words, out.reshape(-1), n, 0)
    parallel.run(call, n, GRAIN)
    return trimmed(out, a.shape[1])


def splat(element: Element, n: int) -> Vector:
    """A vector of n copies of a canonical element. Raises ``ValueError`` for another one."""
    out = aligned_empty((DEGREE, n))
    out[:] = montgomery_words(element)[:, np.newaxis]
    return out


@cache
def frobenius_matrices() -> Vector:
    """Images of 1, x, ..., x^4 under a -> a^p and a -> a^(p^2), (2 * 25,): see ``ext_inverse``."""
    units = [tuple(int(i == j) for i in range(DEGREE)) for j in range(DEGREE)]
    once = [extension.frobenius(unit) for unit in units]  # type: ignore[arg-type]
    return np.concatenate(
        [montgomery_words(image) for image in (*once, *map(extension.frobenius, once))]
    )


def batch_inverse(a: Vector) -> Vector:
    """Inverses of all elements of a vector (5, n).

    Three products per element and one inversion per chunk (Montgomery's trick; P. Montgomery,
    Speeding the Pollard and elliptic curve methods, Math. Comp. 48, 1987).

    Raises
    ------
    ValueError
        If ``a`` is not a vector.
    ZeroDivisionError
        If an element is zero.
    """
    check_vector(a, "a")
    source = padded(a, R)
    out = aligned_empty(source.shape)
    failed = np.zeros(1, np.uint32)
    n = out.shape[1]
    call = partial(
        _inverse_range, source.reshape(-1), out.reshape(-1), n, frobenius_matrices(), failed
    )
    parallel.run(call, n, GRAIN)
    if failed[0]:
        raise ZeroDivisionError("zero has no inverse")
    return trimmed(out, a.shape[1])


def running_sum(a: Vector, *, exclusive: bool = False) -> Vector:
    """Prefix sums of a vector (5, n): entry i is the sum of entries 0 ... i.

    With ``exclusive``, entry i is the sum of the entries before i; entry 0 is zero. One thread:
    a chain of additions gains nothing from a second pass.

    Raises ``ValueError`` if ``a`` is not a vector.
    """
    check_vector(a, "a")
    out = aligned_empty(a.shape)
    n = a.shape[1]
    _running_sum(a.reshape(-1), out.reshape(-1), n)
    if exclusive and n:
        out[:, 1:] = out[:, :-1].copy()
        out[:, 0] = 0
    return out


def powers(base: Element, n: int) -> Vector:
    """1, base, ..., base^(n - 1) as a vector (5, n), by doubling.

    Raises ``ValueError`` for a negative n or a base that is not a canonical element.
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    montgomery_words(base)
    size = -(-n // LANES) * LANES
    out = aligned_empty((DEGREE, size))
    if size:
        first = [montgomery_words(power) for power in extension.powers(base, LANES)]
        out[:, :LANES] = np.stack(first, axis=1)
    done = LANES
    while done < size:
        words = montgomery_words(extension.power(base, done))
        flat = out.reshape(-1)
        call = partial(scale_range, flat, words, flat, size, done)
        parallel.run(call, min(done, size - done), GRAIN)
        done *= 2
    return trimmed(out, n)


def geometric(first: int, ratio: int, n: int) -> Vector:
    """first * ratio^i for i < n in the base field, (n,), Montgomery form; any integers."""
    out = aligned_empty(n)
    done = min(n, LANES)
    term = first % P
    for index in range(done):
        out[index] = scalar_to_montgomery(term)
        term = term * ratio % P
    while done < n:
        step = min(done, n - done)
        factor = scalar_to_montgomery(pow(ratio, done, P))
        multiply_by_scalar(out[:step], factor, out[done : done + step])
        done += step
    return out


def domain_points(log_n: int, shift: int) -> Vector:
    """The points shift * w^i of a coset of the 2^log_n-th roots of unity, (2^log_n,).

    Raises ``ValueError`` if ``log_n`` is not in 0 ... 24.
    """
    return geometric(shift, root_of_unity(log_n), 1 << log_n)
