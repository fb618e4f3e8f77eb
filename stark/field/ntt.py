"""Number-theoretic transforms of all columns of a matrix, and its low-degree extension.

A matrix holds one column per polynomial, N = 2^n rows (n = 0 ... 24) by W columns, W a multiple of
16, uint32 in Montgomery form. Values lie in natural order; coefficients in **bit-reversed** row
order: decimation in frequency on the way in and in time on the way out need no permutation (Chu and
George, Inside the FFT Black Box, 2000).

Up to 2^10 rows one pass does all layers; beyond, two passes of about sqrt(N) rows each, so that the
matrix crosses the memory bus twice (Bailey, FFTs in external or hierarchical memory, 1990).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import ntt_steps, simd
from stark.field.koalabear import GENERATOR, TWO_ADICITY, P, root_of_unity
from stark.field.memory import ALIGNMENT, LANES, aligned_empty
from stark.field.montgomery import R as ONE
from stark.field.montgomery import scalar_to_montgomery
from stark.field.twiddles import Pass, forward_passes, inverse_passes
from stark.jit import device, kernel

Matrix = NDArray[np.uint32]

_STAGING_BYTES = 1 << 19
"""Rows staged at once: half of a 1 MiB second-level cache."""

_MAX_STRIPS = 16
"""Strips of 16 columns staged at once: 1 KiB contiguous per row; longer ones gain nothing."""

_STREAMING_BYTES = 1 << 24
"""Matrices from here on are written past the caches: they would be evicted before the next read."""


@device
def _run_layers(
    inverse: bool,
    log_rows: int,
    source: int,
    source_stride: int,
    buffer: int,
    destination: int,
    destination_stride: int,
    twiddles: int,
) -> None:
    """All layers on one strip of 16 columns; addresses and strides as in ``ntt_steps``.

    The first step reads the source, the last one writes the destination, the others work in the
    buffer. Three layers a step, but two and two rather than three and one.
    """
    rows = 1 << log_rows
    done = 0
    while done < log_rows:
        left = log_rows - done
        fused = 2 if left == 4 else min(3, left)
        last = fused == left
        layer = done if inverse else left - fused
        read, read_stride = (source, source_stride) if done == 0 else (buffer, 16)
        write, write_stride = (destination, destination_stride) if last else (buffer, 16)
        if inverse:
            if fused == 3:
                ntt_steps.inverse_3(read, read_stride, write, write_stride, rows, layer, twiddles)
            elif fused == 2:
                ntt_steps.inverse_2(read, read_stride, write, write_stride, rows, layer, twiddles)
            else:
                ntt_steps.inverse_1(read, read_stride, write, write_stride, rows, layer, twiddles)
        elif fused == 3:
            ntt_steps.forward_3(read, read_stride, write, write_stride, rows, layer, twiddles)
        elif fused == 2:
            ntt_steps.forward_2(read, read_stride, write, write_stride, rows, layer, twiddles)
        else:
            ntt_steps.forward_1(read, read_stride, write, write_stride, rows, layer, twiddles)
        done += fused


@device
def _offset_twiddles(
    log_rows: int, inner: int, position: int, base: Matrix, offset: Matrix, twiddles: Matrix
) -> None:
    """twiddles = base * offset[:, position], layer by layer.

    Ascending layers: a short layer's whole-vector store spills into the next one, which then
    overwrites it, and the last into the padding.
    """
    rows = 1 << log_rows
    for layer in range(log_rows):
        factor = simd.splat(offset[layer * inner + position])
        start = rows - (rows >> layer)
        for j in range(start, start + (rows >> (layer + 1)), 16):
            simd.store(twiddles, j, simd.field_mul_splat(simd.load(base, j), factor))


@device
def _stage_in(
    source: Matrix, origin: int, stride: int, rows: int, strips: int, scale: int, buffer: Matrix
) -> None:
    """Copy ``strips`` strips of 16 columns of ``rows`` rows into the buffer, times ``scale``."""
    factor = simd.splat(scale)
    for row in range(rows):
        place = origin + row * stride
        for strip in range(strips):
            value = simd.load(source, place + 16 * strip)
            if scale != ONE:
                value = simd.field_mul_splat(value, factor)
            simd.store(buffer, (strip * rows + row) * 16, value)


@device
def _stage_out(
    buffer: Matrix,
    rows: int,
    strips: int,
    streaming: bool,
    destination: Matrix,
    origin: int,
    stride: int,
) -> None:
    """Copy the buffer back to its place in the matrix."""
    for row in range(rows):
        place = origin + row * stride
        for strip in range(strips):
            value = simd.load(buffer, (strip * rows + row) * 16)
            if streaming:
                simd.store_streaming(destination, place + 16 * strip, value)
            else:
                simd.store(destination, place + 16 * strip, value)


@kernel(
    "void(u4[::1], u4[::1], i8, b1, i8, i8, u4[::1], u4[::1], i8, b1, b1, u4, u4[::1], u4[::1],"
    " i8, i8)"
)
def _transform_pass(
    source: Matrix,
    destination: Matrix,
    width: int,
    inverse: bool,
    log_rows: int,
    inner: int,
    base: Matrix,
    offset: Matrix,
    strips: int,
    staged: bool,
    streaming: bool,
    scale: int,
    buffer: Matrix,
    twiddles: Matrix,
    lo: int,
    hi: int,
) -> None:
    """Groups [lo, hi) of one pass: a group is 16 * ``strips`` columns of one small transform.

    ``inner * width`` elements lie between its rows. Every group reads and writes its own elements
    only, so that source and destination may be the same array.
    """
    rows = 1 << log_rows
    stride = inner * width
    groups_per_block = stride // (16 * strips)
    ready = -1
    for group in range(lo, hi):
        block = group // groups_per_block
        column = group % groups_per_block * 16 * strips
        origin = block * rows * stride + column
        if staged:
            _stage_in(source, origin, stride, rows, strips, scale, buffer)
        for strip in range(strips):
            position = (column + 16 * strip) // width
            table = ntt_steps.address(base, 0)
            if inner > 1:
                if position != ready:
                    _offset_twiddles(log_rows, inner, position, base, offset, twiddles)
                    ready = position
                table = ntt_steps.address(twiddles, 0)
            place = ntt_steps.address(buffer, strip * rows * 16)
            if staged:
                _run_layers(inverse, log_rows, place, 16, place, place, 16, table)
            else:
                read = ntt_steps.address(source, origin + 16 * strip)
                write = ntt_steps.address(destination, origin + 16 * strip)
                _run_layers(inverse, log_rows, read, stride, place, write, stride, table)
        if staged:
            _stage_out(buffer, rows, strips, streaming, destination, origin, stride)
    simd.fence()


def _apply_pass(
    layers: Pass, inverse: bool, source: Matrix, destination: Matrix, scale: int = ONE
) -> None:
    """One pass over the whole matrix, on all cores; elements are multiplied by ``scale`` first."""
    width = source.shape[1]
    rows = 1 << layers.log_rows
    row_strips = layers.inner * width // LANES
    # Rows that lie apart are staged; the rows of a 16-column matrix are contiguous as they are.
    staged = row_strips > 1 or scale != ONE
    strips = _staged_strips(row_strips, rows * LANES * 4) if staged else 1
    # A streaming store to an unaligned address traps.
    aligned = destination.ctypes.data % ALIGNMENT == 0
    streaming = aligned and destination.nbytes >= _STREAMING_BYTES
    flat_source, flat_destination = source.reshape(-1), destination.reshape(-1)

    def call(lo: int, hi: int) -> None:
        _transform_pass(
            flat_source,
            flat_destination,
            width,
            inverse,
            layers.log_rows,
            layers.inner,
            layers.base,
            layers.offset,
            strips,
            staged,
            streaming,
            np.uint32(scale),
            aligned_empty(strips * rows * LANES),
            aligned_empty(rows + LANES),
            lo,
            hi,
        )

    parallel.run(call, source.size // (rows * LANES * strips), 1)


def _staged_strips(row_strips: int, strip_bytes: int) -> int:
    """Strips to stage at once: as many as fit, in equal groups."""
    limit = max(1, min(_MAX_STRIPS, _STAGING_BYTES // strip_bytes))
    return max(count for count in range(1, limit + 1) if row_strips % count == 0)


def _inverse_transform(values: Matrix, shift: int, out: Matrix | None) -> Matrix:
    log_n = _check_matrix(values, "values")
    result = _result_for(values, out)
    if log_n == 0:
        result[...] = values
        return result
    scale = scalar_to_montgomery(pow(values.shape[0], -1, P))
    source = values
    for layers in inverse_passes(log_n, shift):
        _apply_pass(layers, True, source, result, scale)
        source, scale = result, ONE
    return result


def interpolate(values: Matrix, out: Matrix | None = None) -> Matrix:
    """Coefficients of the polynomials with given values on the subgroup of order N.

    Parameters
    ----------
    values
        ``(N, W)``: row i holds the values at w_N^i.
    out
        Result, ``(N, W)``; may be ``values`` itself. By default a new aligned array.

    Returns
    -------
    ``(N, W)``: row :func:`bit_reversal` (n)[k] holds the coefficients of x^k.

    Raises
    ------
    ValueError
        If an array is not a writeable C-contiguous uint32 matrix of the shape described above, or
        ``out`` overlaps ``values`` without being it.
    """
    return _inverse_transform(values, 1, out)


def interpolate_from_coset(values: Matrix, shift: int, out: Matrix | None = None) -> Matrix:
    """Like :func:`interpolate`, with row i of ``values`` at ``shift`` * w_N^i.

    Raises ``ValueError`` in addition if ``shift``, a canonical integer, is not in 1 ... p - 1.
    """
    return _inverse_transform(values, _check_shift(shift), out)


def evaluate_on_coset(coefficients: Matrix, shift: int, out: Matrix | None = None) -> Matrix:
    """Values of the polynomials on a coset of the subgroup of order N.

    Parameters
    ----------
    coefficients
        ``(N, W)``, rows in bit-reversed order.
    shift
        Canonical integer in 1 ... p - 1.
    out
        Result, ``(N, W)``; may be ``coefficients`` itself. By default a new aligned array.

    Returns
    -------
    ``(N, W)``: row i holds the values at ``shift`` * w_N^i.

    Raises
    ------
    ValueError
        As :func:`interpolate`, or if ``shift`` is out of range.
    """
    log_n = _check_matrix(coefficients, "coefficients")
    _check_shift(shift)
    result = _result_for(coefficients, out)
    if log_n == 0:
        result[...] = coefficients
        return result
    source = coefficients
    for layers in reversed(forward_passes(log_n, shift)):
        _apply_pass(layers, False, source, result)
        source = result
    return result


def coset_shift(log_n: int, log_blowup: int, coset: int) -> int:
    """Shift of coset c of an extension: 3 * w_{NB}^c for N = 2^log_n and B = 2^log_blowup."""
    return GENERATOR * pow(root_of_unity(log_n + log_blowup), coset, P) % P


def low_degree_extend(
    values: Matrix, log_blowup: int, out: NDArray[np.uint32] | None = None
) -> tuple[NDArray[np.uint32], Matrix]:
    """Values of the columns' interpolants on B = 2^log_blowup cosets of the subgroup.

    Parameters
    ----------
    values
        ``(N, W)``: row i holds the values at w_N^i.
    log_blowup
        At least 0; n + log_blowup at most 24.
    out
        Result of shape ``(B, N, W)``; by default a new aligned array.

    Returns
    -------
    extension
        ``(B, N, W)``: coset c, row i holds the values at 3 * w_{NB}^c * w_N^i, which is the point
        c + B * i of the coset 3 * <w_{NB}>. No point lies in the subgroup itself, because 3
        generates the whole multiplicative group.
    coefficients
        ``(N, W)``, as returned by :func:`interpolate`.

    Raises
    ------
    ValueError
        As :func:`interpolate`, or if ``log_blowup`` is out of range.
    """
    log_n = _check_matrix(values, "values")
    if not 0 <= log_blowup <= TWO_ADICITY - log_n:
        raise ValueError(f"log_blowup must be in 0 ... {TWO_ADICITY - log_n}, got {log_blowup}")
    shape = (1 << log_blowup, *values.shape)
    extension = aligned_empty(shape) if out is None else out
    if extension.shape != shape:
        raise ValueError(f"out has shape {extension.shape}, expected {shape}")
    coefficients = interpolate(values)
    for coset in range(shape[0]):
        evaluate_on_coset(coefficients, coset_shift(log_n, log_blowup, coset), extension[coset])
    return extension, coefficients


@lru_cache(maxsize=8)
def bit_reversal(log_n: int) -> NDArray[np.int64]:
    """The permutation that reverses ``log_n`` bits: its own inverse; int64, 2^log_n, read-only.

    Raises ``ValueError`` if ``log_n`` is not in 0 ... 24.
    """
    if not 0 <= log_n <= TWO_ADICITY:
        raise ValueError(f"log_n must be in 0 ... {TWO_ADICITY}, got {log_n}")
    permutation = np.zeros(1, np.int64)
    for _ in range(log_n):
        permutation = np.concatenate([2 * permutation, 2 * permutation + 1])
    permutation.flags.writeable = False
    return permutation


def _check_matrix(matrix: Matrix, name: str) -> int:
    """log2 of the row count of a well-formed matrix."""
    # Kernels are compiled for writeable arrays only, even those that they do not write.
    if matrix.dtype != np.uint32 or matrix.ndim != 2 or not matrix.flags.carray:
        raise ValueError(
            f"{name} must be a writeable C-contiguous uint32 matrix, got {matrix.dtype} "
            f"{matrix.shape}"
        )
    rows, width = matrix.shape
    log_n = rows.bit_length() - 1
    if rows != 1 << max(log_n, 0) or log_n > TWO_ADICITY:
        raise ValueError(f"{name} must have 2^0 ... 2^{TWO_ADICITY} rows, a power of two: {rows}")
    if width == 0 or width % LANES:
        raise ValueError(f"the width of {name} must be a positive multiple of {LANES}: {width}")
    return log_n


def _result_for(source: Matrix, out: Matrix | None) -> Matrix:
    """The array to write: ``out`` if it is usable, or a new one."""
    if out is None:
        return aligned_empty(source.shape)
    _check_matrix(out, "out")
    if out.shape != source.shape:
        raise ValueError(f"out has shape {out.shape}, expected {source.shape}")
    # Groups of rows are transformed one after another: only a full overlap is harmless.
    if out.ctypes.data != source.ctypes.data and np.may_share_memory(out, source):
        raise ValueError("out overlaps the input without being it")
    return out


def _check_shift(shift: int) -> int:
    if not 0 < shift < P:
        raise ValueError(f"shift must be in 1 ... p - 1, got {shift}")
    return shift
