"""Poseidon2 over many states at once (prover wing): ``stark.hash.poseidon2`` on arrays.

Arrays hold Montgomery elements, one state per row. Vectors hold one lane of 16 states each; rows
are transposed on the way in and out, 16 x 16 at a time. The arithmetic of a round is explained in
``stark.hash.poseidon2_ir``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba.core.types.containers import Tuple
from numba.extending import intrinsic
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd, vector_ir
from stark.field.koalabear import P
from stark.field.memory import LANES, aligned_empty, aligned_zeros, padded_width
from stark.field.montgomery import R
from stark.hash.poseidon import POSEIDON2, round_constants
from stark.hash.poseidon2 import CELLS, HALF_FULL_ROUNDS, PARTIAL_END, PARTIAL_ROUNDS
from stark.hash.poseidon2_ir import Poseidon2Emitter
from stark.jit import device, kernel

Words = NDArray[np.uint32]

_SECOND_HALF = LANES * (1 + HALF_FULL_ROUNDS) + PARTIAL_ROUNDS
"""The cell that the states after the partial rounds start at."""

_state_and_output = Tuple((simd.tile, simd.vector))


@cache
def constant_table() -> Words:
    """Round constants in Montgomery form minus p, 16 words a round (partial rounds use one)."""
    rows = [[(c * R % P - P) % 2**32 for c in row] for row in round_constants(POSEIDON2)]
    return np.array(rows, np.uint32).reshape(-1)


def _round(emit: Callable[..., Any], result: Any) -> Any:
    """An intrinsic (state, table, index) -> ``result``, the table's words from ``index`` on."""

    @intrinsic
    def operation(typing_context: Any, state: Any, table: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            start = vector_ir.element_pointer(
                context, builder, table, arguments[1], index, arguments[2]
            )

            def word(k: int) -> Any:
                pointer = builder.gep(start, [vector_ir.I64(k)])
                return vector_ir.splat(builder, builder.load(pointer))

            _, _, features = context.codegen().magic_tuple()
            emitter = Poseidon2Emitter(builder, features.split(","))
            state = [builder.extract_value(arguments[0], k) for k in range(LANES)]
            return emit(context, builder, emitter, state, word)

        return result(simd.tile, table, index), generate

    return operation


def _tile(context: Any, builder: Any, lanes: Any) -> Any:
    return context.make_tuple(builder, simd.tile, lanes)


def _emit_first(context: Any, builder: Any, emitter: Any, state: Any, word: Any) -> Any:
    return _tile(context, builder, emitter.external(state))


def _emit_external(context: Any, builder: Any, emitter: Any, state: Any, word: Any) -> Any:
    return _tile(context, builder, emitter.external_round(state, word))


def _emit_internal(context: Any, builder: Any, emitter: Any, state: Any, word: Any) -> Any:
    lanes, output = emitter.internal_round(state, word)
    pair = [_tile(context, builder, lanes), output]
    return context.make_tuple(builder, _state_and_output, pair)


_first_layer = _round(_emit_first, simd.tile)
_external_round = _round(_emit_external, simd.tile)
_internal_round = _round(_emit_internal, _state_and_output)


@device
def permute_lanes(state, table):  # type: ignore[no-untyped-def]
    """Permutation of a transposed tile. One loop over both halves: one copy of each round's code,
    so that the whole fits the first-level instruction cache."""
    state = _first_layer(state, table, 0)
    for half in range(2):
        for index in range(half * PARTIAL_END, half * PARTIAL_END + HALF_FULL_ROUNDS):
            state = _external_round(state, table, index * 16)
        if half == 0:
            for index in range(HALF_FULL_ROUNDS, PARTIAL_END):
                state, _output = _internal_round(state, table, index * 16)
    return state


@kernel("void(u4[:, ::1], u4[:, ::1], u4[::1], i8, i8)")
def _permute_range(states, out, table, lo, hi):  # type: ignore[no-untyped-def]
    """The permutation of rows lo ... hi - 1, whole tiles of 16."""
    for row in range(lo, hi, 16):
        state = simd.load_tile_transposed(states, row * 16, 16)
        simd.store_tile_transposed(out, row * 16, 16, permute_lanes(state, table))


@kernel("void(u4[:, ::1], i8, u4[:, ::1], u4[::1], u4[::1], i8, i8)")
def _trace_range(states, per_row, out, table, staging, lo, hi):  # type: ignore[no-untyped-def]
    """Rows lo ... hi - 1 of a trace, whole tiles of 16.

    ``staging`` has one vector for each column of ``out``; those past the cells stay as they are.
    """
    width = out.shape[1]
    for row in range(lo, hi, 16):
        for number in range(per_row):
            start = number * CELLS * 16
            state = simd.load_tile_transposed(states, (row * per_row + number) * 16, per_row * 16)
            simd.store_tile(staging, start, 16, state)
            state = _first_layer(state, table, 0)
            for half in range(2):
                cell = start + (_SECOND_HALF if half else 16) * 16
                for k in range(HALF_FULL_ROUNDS):
                    index = half * PARTIAL_END + k
                    state = _external_round(state, table, index * 16)
                    simd.store_tile(staging, cell + k * 256, 16, state)
                if half == 0:
                    cell += HALF_FULL_ROUNDS * 256
                    for k in range(PARTIAL_ROUNDS):
                        index = HALF_FULL_ROUNDS + k
                        state, output = _internal_round(state, table, index * 16)
                        simd.store(staging, cell + k * 16, output)
        for column in range(0, width, 16):
            simd.store_tile_transposed(
                out, row * width + column, width, simd.load_tile(staging, column * 16, 16)
            )


def permute_many(states: Words) -> Words:
    """Poseidon2's permutation of every row of an array (n, 16) of Montgomery elements.

    Raises ``ValueError`` if the array is not C-contiguous uint32 of that shape.
    """
    _check(states)
    out = aligned_empty(states.shape)
    table = constant_table()

    def call(lo: int, hi: int) -> None:
        _permute_range(states, out, table, lo, hi)

    whole = len(states) - len(states) % LANES
    parallel.run(call, whole)
    if whole < len(states):
        last = aligned_empty((LANES, LANES))
        _permute_range(_extended(states[whole:], LANES), last, table, 0, LANES)
        out[whole:] = last[: len(states) - whole]
    return out


def permutation_trace(states: Words, per_row: int) -> Words:
    """The cells of ``per_row`` permutations per row, 164 columns each, those of a row side by side.

    The order of the cells is that of :func:`stark.hash.poseidon2.trace_cells`.

    Parameters
    ----------
    states
        Inputs of the permutations, Montgomery elements (rows * per_row, 16), C-contiguous; row r
        of the trace has those from r * per_row on.
    per_row
        Permutations in a row, at least 1.

    Returns
    -------
    Montgomery elements (rows, 164 * per_row, padded with zero columns to a multiple of 16).

    Raises
    ------
    ValueError
        If the states are of another form, or do not fill whole rows.
    """
    _check(states)
    if per_row < 1 or len(states) % per_row:
        raise ValueError(f"{len(states)} states do not fill rows of {per_row} permutations")
    rows, width = len(states) // per_row, padded_width(CELLS * per_row)
    out = aligned_empty((rows, width))
    table = constant_table()

    def call(lo: int, hi: int) -> None:
        _trace_range(states, per_row, out, table, aligned_zeros(width * LANES), lo, hi)

    whole = rows - rows % LANES
    parallel.run(call, whole)
    if whole < rows:
        last, staging = aligned_empty((LANES, width)), aligned_zeros(width * LANES)
        tail = _extended(states[whole * per_row :], LANES * per_row)
        _trace_range(tail, per_row, last, table, staging, 0, LANES)
        out[whole:] = last[: rows - whole]
    return out


def _check(states: Words) -> None:
    if states.dtype != np.uint32 or states.ndim != 2 or not states.flags.c_contiguous:
        raise ValueError("a contiguous two-dimensional uint32 array is needed")
    if states.shape[1] != LANES:
        raise ValueError(f"states of {LANES} elements are needed, got {states.shape[1]}")


def _extended(states: Words, count: int) -> Words:
    """A copy of the states, extended with zeros to ``count``."""
    result = np.zeros((count, LANES), np.uint32)
    result[: len(states)] = states
    return result
