"""DEEP quotients, the prover's side: sums of columns over x - z, for all rows of a matrix.

The DEEP method (Ben-Sasson, Goldberg, Kopparty, Saraf, ITCS 2020) tests the openings f_c(z) = v_c
by the low degree of (sum over c of k_c f_c(x) - sum of k_c v_c) / (x - z). The functions work on
one coset, or on several at once if their points and rows lie one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from stark import parallel
from stark.field import extension as ext
from stark.field import simd, vector_ir
from stark.field.barycentric import scaled_inverse_differences
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import (
    GRAIN,
    Vector,
    check_vector,
    montgomery_words,
    padded,
    trimmed,
)
from stark.field.extension_simd import (
    emit_prefetch,
    ext_add,
    ext_load,
    ext_mul,
    ext_splat,
    ext_store,
    ext_sub,
)
from stark.field.memory import LANES, aligned_empty, aligned_zeros
from stark.field.montgomery import to_montgomery
from stark.field.vector_ir import I64, WIDE
from stark.jit import kernel

_CELLS = 1 << 16
"""A thread's share of a matrix is at least this many cells (some 20 microseconds)."""

_Accumulators = types.containers.UniTuple(simd.wide, 2 * DEGREE)


@intrinsic
def _no_terms(typing_context: Any) -> Any:
    """Ten accumulators at zero: even words of the five coefficients, then odd words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zeros = [vector_ir.constant(WIDE, 0)] * (2 * DEGREE)
        return context.make_tuple(builder, _Accumulators, zeros)

    return _Accumulators(), generate


@intrinsic
def _add_tile(
    typing_context: Any,
    accumulators: Any,
    matrix: Any,
    index: Any,
    stride: Any,
    coefficients: Any,
    first: Any,
) -> Any:
    """Add the 16 columns at ``matrix[index]``, times their coefficients, of 16 rows (the lanes).

    Coefficient q of column i is at ``coefficients[first + 5 i + q]``. Accumulators are below
    p 2^32 before and after: two products, below 2 p^2 < p 2^32, are added before each conditional
    subtraction.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        own, matrix_value, index_value, stride_value, coefficients_value, first_value = arguments
        columns = _columns(context, builder, signature, (matrix_value, index_value, stride_value))
        base = vector_ir.element_pointer(
            context, builder, coefficients, coefficients_value, signature.args[5], first_value
        )
        sums = [builder.extract_value(own, k) for k in range(2 * DEGREE)]
        for i, column in enumerate(columns):
            halves = vector_ir.even_lanes(builder, column), vector_ir.odd_lanes(builder, column)
            for q in range(DEGREE):
                word = builder.load(builder.gep(base, [I64(DEGREE * i + q)]))
                factor = vector_ir.even_lanes(builder, vector_ir.splat(builder, word))
                for k, half in ((q, halves[0]), (DEGREE + q, halves[1])):
                    product = vector_ir.multiply_low_halves(builder, half, factor)
                    sums[k] = builder.add(sums[k], product)
                    if i % 2:
                        sums[k] = vector_ir.conditional_subtract(builder, sums[k])
        return context.make_tuple(builder, _Accumulators, sums)

    return _Accumulators(_Accumulators, matrix, index, stride, coefficients, first), generate


def _columns(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The 16 columns of a 16 x 16 tile of the matrix, as vectors over its rows.

    Asks for the same columns of the next 16 rows.
    """
    matrix, index, stride = arguments
    pointer = vector_ir.element_pointer(
        context, builder, signature.args[1], matrix, signature.args[2], index
    )
    step = context.cast(builder, stride, signature.args[3], types.intp)
    pointers = [builder.gep(pointer, [builder.mul(step, I64(k))]) for k in range(2 * LANES)]
    for following in pointers[LANES:]:
        emit_prefetch(builder, following)
    rows = [vector_ir.load(builder, pointer) for pointer in pointers[:LANES]]
    return vector_ir.transpose(builder, rows)


@kernel("void(u4[::1], i8, i8[::1], u4[::1], u4[::1], i8, i8, i8)")
def _combine_range(
    matrix: Vector,
    width: int,
    columns: NDArray[np.int64],
    coefficients: Vector,
    out: Vector,
    rows: int,
    lo: int,
    hi: int,
) -> None:
    """out[:, r] = sum of coefficients * M[r, c] over the blocks of 16 ``columns``."""
    for r in range(lo, hi, 16):
        sums = _no_terms()
        for block in range(columns.size):
            place = r * width + columns[block]
            sums = _add_tile(sums, matrix, place, width, coefficients, 80 * block)
        simd.store(out, r, simd.wide_reduce(sums[0], sums[5]))
        simd.store(out, rows + r, simd.wide_reduce(sums[1], sums[6]))
        simd.store(out, 2 * rows + r, simd.wide_reduce(sums[2], sums[7]))
        simd.store(out, 3 * rows + r, simd.wide_reduce(sums[3], sums[8]))
        simd.store(out, 4 * rows + r, simd.wide_reduce(sums[4], sums[9]))


@kernel("void(u4[::1], u4[::1], u4[::1], u4[::1], u4[::1], i8, i8, i8, i8, i8)")
def _quotient_range(
    numerators: Vector,
    values: Vector,
    here: Vector,
    following: Vector,
    out: Vector,
    n: int,
    stride: int,
    offset: int,
    lo: int,
    hi: int,
) -> None:
    """out = (a - value) * here + (b - value) * following + c, for rows (a, b, c, -) of 16 words."""
    first, second = ext_splat(values, 0, 1), ext_splat(values, 5, 1)
    for i in range(lo, hi, 16):
        t = simd.load_tile_transposed(numerators, 16 * i, 16)
        a = ext_sub((t[0], t[1], t[2], t[3], t[4]), first)
        b = ext_sub((t[5], t[6], t[7], t[8], t[9]), second)
        total = ext_add(ext_mul(a, ext_load(here, i, n)), ext_mul(b, ext_load(following, i, n)))
        total = ext_add(total, (t[10], t[11], t[12], t[13], t[14]))
        ext_store(out, offset + i, stride, total)


def combine_rows(
    matrix: Vector, coefficients: NDArray[Any] | Sequence[Element]
) -> NDArray[np.uint32]:
    """sum over columns c of coefficients[c] * M[r, c], for every row r.

    Parameters
    ----------
    matrix
        (rows, width) uint32, C-contiguous, Montgomery form; width a multiple of 16.
    coefficients
        Canonical, (width, 5) or fewer rows, the others being zero. Blocks of 16 columns with zero
        coefficients alone are not read.

    Returns
    -------
    (5, rows) uint32, Montgomery form.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another, or a coefficient not in [0, p).
    """
    if matrix.dtype != np.uint32 or matrix.ndim != 2 or not matrix.flags.c_contiguous:
        raise ValueError(f"expected a uint32 matrix, got {matrix.dtype} {matrix.shape}")
    rows, width = matrix.shape
    given = np.asarray(coefficients)
    if not given.size:
        given = np.zeros((0, DEGREE), np.uint32)
    if given.ndim != 2 or given.shape[1] != DEGREE or given.shape[0] > width or width % LANES:
        raise ValueError(f"matrix {matrix.shape} does not fit coefficients {given.shape}")
    blocks = np.zeros((width // LANES, LANES, DEGREE), np.uint32)
    blocks.reshape(width, DEGREE)[: given.shape[0]] = to_montgomery(given)
    used = np.flatnonzero(blocks.any(axis=(1, 2)))
    source = matrix
    if rows % LANES:
        source = aligned_zeros((-(-rows // LANES) * LANES, width))
        source[:rows] = matrix
    out = aligned_empty((DEGREE, source.shape[0]))
    call = partial(
        _combine_range,
        source.reshape(-1),
        width,
        (used * LANES).astype(np.int64),
        blocks[used].reshape(-1),
        out.reshape(-1),
        source.shape[0],
    )
    parallel.run(call, source.shape[0], -(-_CELLS // max(1, width)) * LANES)
    return trimmed(out, rows)


def inverse_differences(points: Vector, z: Element) -> Vector:
    """1 / (x_i - z) for base-field points.

    Parameters
    ----------
    points
        (n,) uint32, Montgomery form.
    z
        Canonical element of F.

    Returns
    -------
    (5, n) uint32, Montgomery form.

    Raises
    ------
    ValueError
        If ``points`` is not a C-contiguous uint32 vector, or z not canonical.
    ZeroDivisionError
        If a point equals z.
    """
    return scaled_inverse_differences(points, z, ext.ONE)


def quotients(
    numerators: Vector,
    values: tuple[Element, Element],
    inverses: tuple[Vector, Vector],
    out: Vector,
    coset: int,
) -> None:
    """One coset of a DEEP codeword: the numerators of two opening points over x - z, and a mask.

    Parameters
    ----------
    numerators
        (N, 16) uint32, C-contiguous, Montgomery form: rows (a, b, c, 0), five words each.
    values
        What is taken off a and b; canonical.
    inverses
        Factors of what is left, (5, N) each.
    out
        (5, B, N): ``out[:, coset]`` becomes (a - value) * factor + (b - value) * factor + c.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is another, or a value not canonical.
    """
    if out.dtype != np.uint32 or out.ndim != 3 or len(out) != DEGREE or not out.flags.carray:
        raise ValueError(f"out must be uint32 (5, B, N), got {out.dtype} {out.shape}")
    cosets, rows = out.shape[1:]
    if numerators.dtype != np.uint32 or numerators.shape != (rows, LANES):
        raise ValueError(f"numerators must be uint32 ({rows}, {LANES}), got {numerators.shape}")
    if not numerators.flags.carray or not 0 <= coset < cosets:
        raise ValueError(f"numerators must be C-contiguous, and coset {coset} below {cosets}")
    for name, vector in zip(("first factors", "second factors"), inverses, strict=True):
        check_vector(vector, name)
        if vector.shape[1] != rows:
            raise ValueError(f"{name} have shape {vector.shape}, expected (5, {rows})")
    words = np.concatenate([montgomery_words(value) for value in values])
    source, target, stride, offset = numerators, out, cosets * rows, coset * rows
    if rows % LANES:
        source = np.concatenate([numerators, np.zeros((-rows % LANES, LANES), np.uint32)])
        target, stride, offset = aligned_empty((DEGREE, len(source))), len(source), 0
    here, following = (padded(vector) for vector in inverses)
    call = partial(
        _quotient_range,
        source.reshape(-1),
        words,
        here.reshape(-1),
        following.reshape(-1),
        target.reshape(-1),
        len(source),
        stride,
        offset,
    )
    parallel.run(call, len(source), GRAIN)
    if target is not out:
        out[:, coset] = target[:, :rows]
