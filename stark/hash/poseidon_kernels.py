"""Poseidon over many states at once (prover wing): ``stark.hash.poseidon`` with ``POSEIDON1``.

Arrays hold Montgomery elements, one state per row. Vectors hold one lane of 16 states each; rows
are transposed on the way in and out, 16 x 16 at a time. The arithmetic of a round, its scales and
its ranges are explained in ``stark.hash.poseidon_ir``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.core.types.containers import Tuple
from numba.extending import intrinsic
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd, vector_ir
from stark.field.memory import LANES, aligned_empty, aligned_zeros, padded_width
from stark.hash.poseidon import DIGEST_LANES, POSEIDON1, RATE
from stark.hash.poseidon_ir import (
    ROUND_WORDS,
    RoundEmitter,
)
from stark.hash.poseidon_tables import (
    FIRST_CONSTANTS,
    LAST_FACTOR,
    UNPACK_WORDS,
    round_table,
    unpack_table,
)
from stark.jit import device, kernel

Words = NDArray[np.uint32]

TRACE_CELLS = 156
"""Cells of one permutation in a trace, eight lanes of its output among them."""

_HALF_ROUNDS = POSEIDON1.full_rounds // 2
_PARTIAL_END = _HALF_ROUNDS + POSEIDON1.partial_rounds

# Staging area of one 16-row piece of a trace: vectors in the order of the cells, with all lanes of
# the last state, up to whole tiles of 16 columns; then a tile of columns as they were.
_STAGED = 176
_STAGING = (_STAGED + LANES) * LANES


_state_and_output = Tuple((simd.tile, simd.vector))


def _table_reader(context: Any, builder: Any, signature: Any, arguments: Any, first: int) -> Any:
    """word(k): word k of the table, arguments ``first`` (array) and ``first + 1`` (index)."""
    start = vector_ir.element_pointer(
        *(context, builder, signature.args[first], arguments[first]),
        *(signature.args[first + 1], arguments[first + 1]),
    )

    def word(k: int) -> Any:
        return vector_ir.splat(builder, builder.load(builder.gep(start, [vector_ir.I64(k)])))

    return word


def _vectors(builder: Any, value: Any) -> list[Any]:
    return [builder.extract_value(value, k) for k in range(LANES)]


def _emitter(context: Any, builder: Any) -> RoundEmitter:
    _, _, features = context.codegen().magic_tuple()
    return RoundEmitter(builder, features.split(","))


@intrinsic
def _full_round(typing_context: Any, state: Any, table: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = _table_reader(context, builder, signature, arguments, 1)
        lanes = _emitter(context, builder).full_round(_vectors(builder, arguments[0]), word)
        return context.make_tuple(builder, simd.tile, lanes)

    return simd.tile(simd.tile, table, index), generate


@intrinsic
def _partial_round(typing_context: Any, state: Any, table: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = _table_reader(context, builder, signature, arguments, 1)
        lanes = _vectors(builder, arguments[0])
        lanes, output = _emitter(context, builder).partial_round(lanes, word)
        state = context.make_tuple(builder, simd.tile, lanes)
        return context.make_tuple(builder, _state_and_output, [state, output])

    return _state_and_output(simd.tile, table, index), generate


@intrinsic
def _begin(typing_context: Any, state: Any, table: Any, index: Any) -> Any:
    """x + c of the first round, in [-p, p): the table holds c - p."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = _table_reader(context, builder, signature, arguments, 1)
        lanes = _vectors(builder, arguments[0])
        lanes = [builder.add(lane, word(k)) for k, lane in enumerate(lanes)]
        return context.make_tuple(builder, simd.tile, lanes)

    return simd.tile(simd.tile, table, index), generate


@intrinsic
def _scaled(typing_context: Any, state: Any, table: Any, index: Any) -> Any:
    """A state in (-p, p) times the one factor in the table, canonical."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factor = _table_reader(context, builder, signature, arguments, 1)(0)
        lanes = _emitter(context, builder).scaled(_vectors(builder, arguments[0]), factor)
        return context.make_tuple(builder, simd.tile, lanes)

    return simd.tile(simd.tile, table, index), generate


@intrinsic
def _stage_state(
    typing_context: Any, staging: Any, cell: Any, state: Any, table: Any, index: Any
) -> Any:
    """Store a round's result in Montgomery form, without the next constants, from a cell on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        staging_type, cell_type = signature.args[:2]
        start = vector_ir.element_pointer(
            context, builder, staging_type, arguments[0], cell_type, arguments[1]
        )
        word = _table_reader(context, builder, signature, arguments, 3)
        state = _vectors(builder, arguments[2])
        for k, lane in enumerate(_emitter(context, builder).scaled(state, word(0))):
            value = vector_ir.field_sub(builder, lane, word(1 + k))
            vector_ir.store(builder, builder.gep(start, [vector_ir.I64(k * LANES)]), value)
        return context.get_dummy_value()

    return types.void(staging, cell, simd.tile, table, index), generate


@intrinsic
def add_tiles(typing_context: Any, x: Any, y: Any) -> Any:
    """Sums of field elements."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sides = (_vectors(builder, argument) for argument in arguments)
        sums = [vector_ir.field_add(builder, a, b) for a, b in zip(*sides, strict=True)]
        return context.make_tuple(builder, simd.tile, sums)

    return simd.tile(simd.tile, simd.tile), generate


@intrinsic
def _store_digests(typing_context: Any, array: Any, index: Any, state: Any) -> Any:
    """Lanes 0 ... 7 of 16 states as 16 consecutive rows of 8, two rows to a vector."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = vector_ir.element_pointer(
            context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]
        )
        rows = vector_ir.transpose(builder, _vectors(builder, arguments[2]))
        halves = [*range(DIGEST_LANES), *range(LANES, LANES + DIGEST_LANES)]
        for k in range(0, LANES, 2):
            pair = vector_ir.shuffle(builder, rows[k], rows[k + 1], halves)
            pointer = builder.gep(start, [vector_ir.I64(k * DIGEST_LANES)])
            vector_ir.store(builder, pointer, pair)
        return context.get_dummy_value()

    return types.void(array, index, simd.tile), generate


@device
def permute_lanes(state, table):  # type: ignore[no-untyped-def]
    """Permutation of a transposed tile. One loop over both halves: one copy of each round's code,
    so that the whole fits the first-level instruction cache."""
    state = _begin(state, table, FIRST_CONSTANTS)
    for half in range(2):
        for index in range(half * _PARTIAL_END, half * _PARTIAL_END + _HALF_ROUNDS):
            state = _full_round(state, table, index * ROUND_WORDS)
        if half == 0:
            for index in range(_HALF_ROUNDS, _PARTIAL_END):
                state, _output = _partial_round(state, table, index * ROUND_WORDS)
    return _scaled(state, table, LAST_FACTOR)


@kernel("void(u4[:, ::1], u4[:, ::1], u4[::1], b1, i8, i8)")
def _permute_range(states, out, table, compress, lo, hi):  # type: ignore[no-untyped-def]
    """P of rows lo ... hi - 1, whole tiles of 16; or C, into rows of 8."""
    for row in range(lo, hi, 16):
        image = permute_lanes(simd.load_tile_transposed(states, row * 16, 16), table)
        if compress:
            state = simd.load_tile_transposed(states, row * 16, 16)
            _store_digests(out, row * 8, add_tiles(image, state))
        else:
            simd.store_tile_transposed(out, row * 16, 16, image)


@kernel("void(u4[:, ::1], u4[:, ::1], u4[::1], u4[::1], u4[::1], i8, i8, i8)")
def _trace_range(inputs, out, table, unpack, staging, cells, lo, hi):  # type: ignore[no-untyped-def]
    """The first ``cells`` cells of rows lo ... hi - 1, whole tiles of 16.

    The last tile of 16 columns has fewer cells; the columns behind are written back as they were.
    """
    width = out.shape[1]
    last = cells // 16 * 16
    for row in range(lo, hi, 16):
        state = simd.load_tile_transposed(inputs, row * 16, 16)
        simd.store_tile(staging, 0, 16, state)
        state = _begin(state, table, FIRST_CONSTANTS)
        for half in range(2):
            for k in range(_HALF_ROUNDS):
                index = half * _PARTIAL_END + k
                state = _full_round(state, table, index * ROUND_WORDS)
                cell = (100 if half else 16) + 16 * k
                _stage_state(staging, cell * 16, state, unpack, index * UNPACK_WORDS)
            if half == 0:
                for index in range(_HALF_ROUNDS, _PARTIAL_END):
                    state, output = _partial_round(state, table, index * ROUND_WORDS)
                    factor = simd.splat(unpack[index * UNPACK_WORDS])
                    cell = 80 + index - _HALF_ROUNDS
                    simd.store(staging, cell * 16, simd.field_mul_splat(output, factor))
        kept = simd.load_tile_transposed(out, row * width + last, width)
        simd.store_tile(staging, _STAGED * 16, 16, kept)
        for column in range(cells, last + 16):
            simd.store(staging, column * 16, simd.load(staging, (_STAGED + column - last) * 16))
        for column in range(0, last + 16, 16):
            simd.store_tile_transposed(
                out, row * width + column, width, simd.load_tile(staging, column * 16, 16)
            )


@kernel("void(u4[:, ::1], b1[::1], u4[:, ::1], u4[:, ::1], u4[::1], u4[::1], i8[:, ::1])")
def _chain_range(blocks, starts, first_values, inputs, table, staging, streams):  # type: ignore[no-untyped-def]
    """Sixteen streams of whole chains side by side, one per lane.

    Row s of ``streams`` is the first row, the end and the number of the first chain of stream s.
    A stream that has ended repeats its last input; its results are not used.
    """
    steps = 0
    for stream in range(16):
        steps = max(steps, streams[stream, 1] - streams[stream, 0])
    for step in range(steps):
        for stream in range(16):
            row = streams[stream, 0] + step
            if row < streams[stream, 1]:
                place = stream * 16
                if starts[row]:
                    for k in range(8):
                        staging[place + k] = first_values[streams[stream, 2], k]
                    streams[stream, 2] += 1
                for k in range(8):
                    inputs[row, k] = staging[place + k]
                    inputs[row, 8 + k] = blocks[row, k]
                    staging[place + 8 + k] = blocks[row, k]
        state = simd.load_tile_transposed(staging, 0, 16)
        image = add_tiles(permute_lanes(state, table), state)
        simd.store_tile_transposed(staging, 0, 16, image)


def permute_many(states: Words) -> Words:
    """Poseidon's permutation of every row of an array (n, 16) of Montgomery elements.

    Raises ``ValueError`` if the array is not C-contiguous uint32 of that shape.
    """
    return _apply(states, compress=False)


def compress_many(states: Words) -> Words:
    """C(x) = (P(x) + x)[0 ... 7] of every row of an array (n, 16): rows (n, 8).

    Raises ``ValueError`` like :func:`permute_many`.
    """
    return _apply(states, compress=True)


def _apply(states: Words, compress: bool) -> Words:
    _check(states, LANES)
    rows = states.shape[0]
    width = DIGEST_LANES if compress else LANES
    out = aligned_empty((rows, width))
    whole = rows - rows % LANES
    table = round_table()

    def call(lo: int, hi: int) -> None:
        _permute_range(states, out, table, compress, lo, hi)

    parallel.run(call, whole)
    if whole < rows:
        last = aligned_empty((LANES, width))
        _permute_range(_last_rows(states, whole), last, table, compress, 0, LANES)
        out[whole:] = last[: rows - whole]
    return out


def _check(array: Words, width: int) -> None:
    if array.dtype != np.uint32 or array.ndim != 2 or not array.flags.c_contiguous:
        raise ValueError("a contiguous two-dimensional uint32 array is needed")
    if array.shape[1] != width:
        raise ValueError(f"rows of {width} elements are needed, got {array.shape[1]}")


def _last_rows(array: Words, start: int) -> Words:
    """A copy of the rows from ``start`` on, extended with zeros to 16."""
    tail = np.zeros((LANES, array.shape[1]), np.uint32)
    tail[: array.shape[0] - start] = array[start:]
    return tail


def trace_cells(inputs: Words, out: Words, output_lanes: int = DIGEST_LANES) -> None:
    """Fill the cells of one permutation per row of a trace.

    ====================  =======================================================================
    cells 0 ... 15        the input x
    16 ... 79             the states after full rounds 1, 2, 3, 4 (after the matrix), 16 cells each
    80 ... 99             the outputs of the partial rounds' S-boxes
    100 ... 147           the states after full rounds 5, 6, 7
    148 ... 155           lanes 0 ... 7 of P(x)
    156 ... 163           lanes 8 ... 15 of P(x), if 16 output lanes are asked for
    ====================  =======================================================================

    Parameters
    ----------
    inputs
        Montgomery elements (n, 16), C-contiguous.
    out
        Montgomery elements (n, w), w a multiple of 16 and greater than the number of cells,
        C-contiguous. Columns behind the cells are left as they are.
    output_lanes
        8 or 16.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is not as above.
    """
    _check(inputs, LANES)
    rows, width = inputs.shape[0], out.shape[-1]
    _check(out, width)
    if output_lanes not in (DIGEST_LANES, LANES):
        raise ValueError(f"8 or 16 output lanes can be cells, not {output_lanes}")
    cells = TRACE_CELLS + output_lanes - DIGEST_LANES
    columns = padded_width(cells)
    if out.shape[0] != rows or width < columns or width % LANES:
        raise ValueError(f"a trace of {rows} rows and at least {columns} columns is needed")
    whole = rows - rows % LANES
    table, unpack = round_table(), unpack_table()

    def call(lo: int, hi: int) -> None:
        _trace_range(inputs, out, table, unpack, aligned_empty(_STAGING), cells, lo, hi)

    parallel.run(call, whole)
    if whole < rows:
        last = aligned_empty((LANES, columns))
        staging = aligned_empty(_STAGING)
        _trace_range(_last_rows(inputs, whole), last, table, unpack, staging, cells, 0, LANES)
        out[whole:, :cells] = last[: rows - whole, :cells]


def chain(blocks: Words, starts: NDArray[np.bool_], first_values: Words) -> Words:
    """Inputs of hash chains, one compression per row.

    The input of row r is (v, block r): on a row with a start, v is the next row of
    ``first_values``, else v = C(input of row r - 1). Chains are independent: each core works on 16
    of them at once, in contiguous shares of about equal length.

    Parameters
    ----------
    blocks
        Montgomery elements (n, 8), C-contiguous.
    starts
        Booleans or bytes (n,); the first row is a start.
    first_values
        Montgomery elements (k, 8), one row per start.

    Returns
    -------
    Montgomery elements (n, 16).

    Raises
    ------
    ValueError
        If a shape, dtype or layout is not as above.
    """
    _check(blocks, RATE)
    _check(first_values, DIGEST_LANES)
    rows = blocks.shape[0]
    if starts.shape != (rows,) or starts.dtype not in (np.bool_, np.uint8):
        raise ValueError(f"{rows} booleans are needed, got {starts.dtype} {starts.shape}")
    flags = np.ascontiguousarray(starts, np.bool_)
    start_rows = np.flatnonzero(flags)
    if len(start_rows) != first_values.shape[0] or (rows and not flags[0]):
        raise ValueError("the first row must be a start, and each start needs a first value")
    inputs = aligned_empty((rows, LANES))
    if not rows:
        return inputs
    count = parallel.worker_count() * LANES
    targets = np.arange(count + 1) * rows // count
    numbers = np.searchsorted(start_rows, targets)
    bounds = np.append(start_rows, rows)[numbers]
    streams = np.stack([bounds[:-1], bounds[1:], numbers[:-1]], axis=1)
    table = round_table()

    def call(lo: int, hi: int) -> None:
        share = np.ascontiguousarray(streams[lo:hi], np.int64)
        staging = aligned_zeros(LANES * LANES)
        _chain_range(blocks, flags, first_values, inputs, table, staging, share)

    parallel.run(call, count, LANES)
    return inputs
