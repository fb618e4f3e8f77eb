"""FRI, the prover's side: folding of whole codewords, and the final polynomial.

A codeword is a uint32 array (5, B, N), Montgomery form: entry (c, i) is the value at
y = w^(c + B i), w the root of unity of order B N. FRI works on y -> f(3 y), so that no shift
appears here. Writing f(y) = sum over t < k of y^t f_t(y^k), the fold with challenge beta is the
codeword of sum over t of beta^t f_t (Ben-Sasson, Bentov, Horesh, Riabzev, ICALP 2018).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import extension as ext
from stark.field import simd
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import Vector, geometric, montgomery_words, trimmed
from stark.field.extension_simd import (
    ext_add,
    ext_halve,
    ext_load,
    ext_mul_splat,
    ext_scale,
    ext_splat,
    ext_store,
    ext_sub,
    hidden,
)
from stark.field.koalabear import P, inverse, root_of_unity
from stark.field.memory import LANES, aligned_empty
from stark.field.montgomery import from_montgomery
from stark.jit import kernel

MAX_LOG_ARITY = 3

_GRAIN = 1 << 12
"""A thread's share is at least this many elements of the result (some 20 microseconds)."""


@kernel("void(u4[::1], i8, i8, u4[::1], u4[::1], u4[::1], u4[::1], u4[::1], i8, i8)")
def _fold_range(
    codeword: Vector,
    rows: int,
    log_arity: int,
    half_inverses: Vector,
    roots: Vector,
    challenges: Vector,
    buffer: Vector,
    out: Vector,
    lo: int,
    hi: int,
) -> None:
    """Entries [lo, hi) of the folded codeword, ``rows`` per coset, one coset after the other.

    The k values of 16 leaves, ``rows`` apart, are folded in the buffer by log2 k binary folds:
    (f(y) + f(-y)) / 2 + beta (f(y) - f(-y)) / (2 y), then with beta^2 and y^2, and so on. The
    t-th value's y is that of the first times the k-th root of unity to the t: ``half_inverses``
    has 1/(2 y) for t = 0 and ``roots`` the inverse factors for all t, layer by layer.
    """
    arity = 1 << log_arity
    size = out.size // 5
    for j in range(lo, hi, 16):
        place = j // rows * rows * arity + j % rows
        for t in range(arity):
            value = ext_load(codeword, place + t * rows, size * arity)
            ext_store(buffer, 80 * t, 16, value)
        half_inverse = simd.load(half_inverses, j)
        for layer in range(log_arity):
            challenge = ext_splat(challenges, 5 * layer, 1)
            half = arity >> (layer + 1)
            for t in range(half):
                root = simd.splat(roots[arity - 2 * half + t])
                factor = simd.field_mul_splat(half_inverse, root)
                first = ext_load(buffer, 80 * t, 16)
                second = ext_load(buffer, 80 * (t + half), 16)
                even = ext_halve(ext_add(first, second))
                odd = ext_scale(ext_sub(first, second), factor)
                ext_store(buffer, 80 * t, 16, ext_add(even, ext_mul_splat(odd, challenge)))
            # 1/(2 y^2) = 2 (1/(2 y))^2
            root = hidden(half_inverse)
            square = simd.field_mul(root, root)
            half_inverse = simd.field_add(square, square)
        ext_store(out, j, size, ext_load(buffer, 0, 16))


def fold(codeword: Vector, log_arity: int, beta: Element, log_blowup: int) -> NDArray[np.uint32]:
    """Fold a codeword by 2^log_arity.

    Parameters
    ----------
    codeword
        (5, B, N) uint32, C-contiguous, Montgomery form, B = 2^log_blowup and N powers of two.
    log_arity
        1, 2 or 3; 2^log_arity divides N.
    beta
        Canonical element of F.

    Returns
    -------
    (5, B, N >> log_arity) uint32: the same code, at y^k.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another, or an argument out of range.
    """
    cosets, length = _check_codeword(codeword)
    if cosets != 1 << log_blowup:
        raise ValueError(f"codeword has {cosets} cosets, expected 2^{log_blowup}")
    if not 1 <= log_arity <= MAX_LOG_ARITY or length >> log_arity == 0:
        raise ValueError(f"cannot fold {length} rows by 2^{log_arity}")
    montgomery_words(beta)
    arity, rows = 1 << log_arity, length >> log_arity
    # Incomplete vectors: spread the rows of each of the k parts to 16.
    padded_rows = max(rows, LANES)
    parts = _extended(codeword.reshape(DEGREE, cosets, arity, rows), padded_rows)
    half_inverses = _extended(_half_inverses(cosets, rows, arity), padded_rows)
    out = aligned_empty((DEGREE, cosets, padded_rows))
    challenges = np.concatenate(
        [montgomery_words(ext.power(beta, 1 << layer)) for layer in range(log_arity)]
    )
    roots = _inverse_roots(log_arity)

    def call(lo: int, hi: int) -> None:
        buffer = aligned_empty(DEGREE * LANES * arity)
        _fold_range(
            parts.reshape(-1),
            padded_rows,
            log_arity,
            half_inverses.reshape(-1),
            roots,
            challenges,
            buffer,
            out.reshape(-1),
            lo,
            hi,
        )

    parallel.run(call, cosets * padded_rows, _GRAIN)
    return trimmed(out, rows)


def interpolate_final(codeword: Vector, count: int) -> list[Element]:
    """The first ``count`` coefficients, canonical, of the polynomial that the codeword evaluates.

    Parameters
    ----------
    codeword
        (5, B, N) uint32, C-contiguous, Montgomery form; B and N powers of two, small: this is
        numpy, not a kernel.
    count
        1 ... B N; an honest codeword's other coefficients are zero, and are not looked at.

    Raises
    ------
    ValueError
        If a shape, dtype, layout or the count is another.
    """
    cosets, rows = _check_codeword(codeword)
    length = cosets * rows
    if not 1 <= count <= length:
        raise ValueError(f"count must be in 1 ... {length}, got {count}")
    # Natural order: entry (c, i) is value number c + B i.
    natural = np.ascontiguousarray(codeword.transpose(0, 2, 1)).reshape(DEGREE, length)
    values = from_montgomery(natural).astype(np.uint64)
    modulus = np.uint64(P)
    # Columns [:, :, m] are transforms of every (M/L)-th value from the m-th. Two of length L give
    # one of length 2 L, even and odd values apart; products are below 2^62, sums below 2^33.
    transforms = values.reshape(DEGREE, 1, length)
    for layer in range(length.bit_length() - 1):
        root = inverse(root_of_unity(layer + 1))
        twiddles = np.array([pow(root, i, P) for i in range(1 << layer)], np.uint64)
        half = length >> (layer + 1)
        even = transforms[:, :, :half]
        odd = transforms[:, :, half:] * twiddles[:, np.newaxis] % modulus
        pair = ((even + odd) % modulus, (even + modulus - odd) % modulus)
        transforms = np.concatenate(pair, axis=1)
    columns = transforms[:, :count, 0] * np.uint64(inverse(length)) % modulus
    return [(a, b, c, d, e) for a, b, c, d, e in columns.T.tolist()]


def _check_codeword(codeword: Vector) -> tuple[int, int]:
    """(B, N) of a codeword; raises ``ValueError`` if it is none."""
    if codeword.dtype != np.uint32 or codeword.ndim != 3 or codeword.shape[0] != DEGREE:
        raise ValueError(f"expected uint32 (5, B, N), got {codeword.dtype} {codeword.shape}")
    if not codeword.flags.c_contiguous:
        raise ValueError("the codeword must be C-contiguous")
    cosets, length = codeword.shape[1:]
    if cosets.bit_count() != 1 or length.bit_count() != 1:
        raise ValueError(f"{cosets} cosets of {length} rows are not powers of two")
    return cosets, length


def _extended(array: Vector, size: int) -> Vector:
    """The array with its last dimension filled up to ``size`` with zeros."""
    missing = size - array.shape[-1]
    if missing == 0:
        return array
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


def _half_inverses(cosets: int, rows: int, arity: int) -> Vector:
    """1 / (2 y) at y = w^(c + B i) for i < rows, (B, rows); w has the order B * rows * arity."""
    log_size = (cosets * rows * arity).bit_length() - 1
    natural = geometric(inverse(2), inverse(root_of_unity(log_size)), cosets * rows)
    return np.ascontiguousarray(natural.reshape(rows, cosets).T)


def _inverse_roots(log_arity: int) -> Vector:
    """z^(-t), t < k/2, for the k-th root of unity z; then for z^2, t < k/4; and so on: (k - 1,)."""
    return np.concatenate(
        [
            geometric(1, inverse(root_of_unity(log_order)), 1 << (log_order - 1))
            for log_order in range(log_arity, 0, -1)
        ]
    )
