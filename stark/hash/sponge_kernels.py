"""Leaves, nodes and proofs of work of the algebraic suites over 16 messages at once (prover wing).

The functions of ``stark.hash.suite.PoseidonSuite`` on arrays, for either permutation; their
counterparts over SHA-256 are in ``stark.hash.sha256_kernels``. Digests are arrays (8, n) of field
elements in Montgomery form. A vector holds one lane of 16 states: a level of a tree is hashed from
digests as they lie, rows are transposed on the way in, 16 x 16 at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from stark import parallel
from stark.errors import UsageError
from stark.field import simd, vector_ir
from stark.field.addresses import tile_loader, vector_loader
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.field.memory import LANES, aligned_empty
from stark.field.montgomery import from_montgomery, scalar_to_montgomery, to_montgomery
from stark.field.simd import mont_mul
from stark.hash import poseidon2_kernels, poseidon_kernels
from stark.hash.digest_arrays import (
    DIGEST_WORDS,
    Sources,
    Words,
    checked_nodes,
    hash_codeword,
    hash_matrices,
)
from stark.hash.poseidon import POSEIDON1, POSEIDON2, RATE, PoseidonParameters
from stark.hash.poseidon_kernels import add_tiles
from stark.hash.poseidon_tables import round_table
from stark.hash.sha256 import DIGEST_BYTES, ELEMENT_BYTES, decode_elements
from stark.hash.suite import (
    LEAF_TAG,
    SALT_KEY_ELEMENTS,
    SALT_TAG,
    SALTED_LEAF_TAG,
    PoseidonSuite,
)
from stark.jit import device, kernel

_EXTENSION_FILLING = RATE - DEGREE
"""Zeros in front of an extension element in its block."""

_ALL_BITS = np.uint32(0xFFFFFFFF)

_GRIND_CHUNK = 1 << 15
"""Nonces tried between looks at the result: a few milliseconds of work per core."""

_R_SQUARED = np.uint32(scalar_to_montgomery(scalar_to_montgomery(1)))
"""A Montgomery product with it takes an integer to Montgomery form."""

_permute_lanes_1 = poseidon_kernels.permute_lanes
_permute_lanes_2 = poseidon2_kernels.permute_lanes

_load_elements = vector_loader(lambda builder, elements: elements)
_load_elements_transposed = tile_loader(lambda builder, elements: elements)


def _state_of(context: Any, builder: Any, lanes: Sequence[Any]) -> Any:
    return context.make_tuple(builder, simd.tile, lanes)


def _vectors_from(builder: Any, start: Any, count: int) -> list[Any]:
    """Vectors that lie one behind the other."""
    pointers = (builder.gep(start, [vector_ir.I64(LANES * k)]) for k in range(count))
    return [vector_ir.load(builder, pointer) for pointer in pointers]


@intrinsic
def _fresh_state(typing_context: Any, tag: Any, length: Any) -> Any:
    """The state of a sponge before its first block, from uint32 in Montgomery form."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = [vector_ir.constant(vector_ir.VECTOR, 0)] * LANES
        for k in range(2):
            word = context.cast(builder, arguments[k], signature.args[k], types.uint32)
            lanes[RATE + k] = vector_ir.splat(builder, word)
        return _state_of(context, builder, lanes)

    return simd.tile(tag, length), generate


@intrinsic
def _overwritten(typing_context: Any, state: Any, words: Any, index: Any, mask: Any) -> Any:
    """The state with lanes 0 ... 7 from the vectors at ``index``, the first three of them masked.

    With a mask of zero this is the block of an extension element.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = vector_ir.element_pointer(
            context, builder, signature.args[1], arguments[1], signature.args[2], arguments[2]
        )
        word = context.cast(builder, arguments[3], signature.args[3], types.uint32)
        kept = vector_ir.splat(builder, word)
        lanes = _vectors_from(builder, start, RATE)
        for k in range(_EXTENSION_FILLING):
            lanes[k] = builder.and_(lanes[k], kept)
        lanes += [builder.extract_value(arguments[0], k) for k in range(RATE, LANES)]
        return _state_of(context, builder, lanes)

    return simd.tile(simd.tile, words, index, mask), generate


@intrinsic
def _pair_of_digests(
    typing_context: Any,
    left: Any,
    left_index: Any,
    left_stride: Any,
    right: Any,
    index: Any,
    stride: Any,
) -> Any:
    """The state (left, right) of 16 nodes: word w of a side is at its index + w * stride."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = []
        for side in (0, 3):
            start = vector_ir.element_pointer(
                context,
                builder,
                *(signature.args[side], arguments[side]),
                *(signature.args[side + 1], arguments[side + 1]),
            )
            step = context.cast(builder, arguments[side + 2], signature.args[side + 2], types.intp)
            for k in range(DIGEST_WORDS):
                pointer = builder.gep(start, [builder.mul(step, vector_ir.I64(k))])
                lanes.append(vector_ir.load(builder, pointer))
        return _state_of(context, builder, lanes)

    return simd.tile(left, left_index, left_stride, right, index, stride), generate


@intrinsic
def _store_digest(typing_context: Any, array: Any, index: Any, stride: Any, state: Any) -> Any:
    """Lanes 0 ... 7 of 16 states to ``index``, ``index + stride``, ..."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start = vector_ir.element_pointer(
            context, builder, signature.args[0], arguments[0], signature.args[1], arguments[1]
        )
        step = context.cast(builder, arguments[2], signature.args[2], types.intp)
        for k in range(DIGEST_WORDS):
            pointer = builder.gep(start, [builder.mul(step, vector_ir.I64(k))])
            vector_ir.store(builder, pointer, builder.extract_value(arguments[3], k))
        return context.get_dummy_value()

    return types.void(array, index, stride, simd.tile), generate


@device
def _permuted(state, table, second):  # type: ignore[no-untyped-def]
    """Poseidon, or Poseidon2 if ``second``, with that permutation's table."""
    if second:
        return _permute_lanes_2(state, table)
    return _permute_lanes_1(state, table)


@device
def _montgomery(value):  # type: ignore[no-untyped-def]
    """An integer below p in Montgomery form."""
    return mont_mul(np.uint32(value), _R_SQUARED)


@device
def _stage_salts(fixed, place, words, table, second):  # type: ignore[no-untyped-def]
    """The first eight vectors: the salts of the leaves at ``place`` ... ``place`` + 15."""
    for k in range(SALT_KEY_ELEMENTS):
        simd.store(words, k * 16, simd.splat(fixed[2 + k]))
    for lane in range(16):
        words[SALT_KEY_ELEMENTS * 16 + lane] = _montgomery(place + lane)
    state = _fresh_state(fixed[1], _montgomery(SALT_KEY_ELEMENTS + 1))
    state = _permuted(_overwritten(state, words, 0, _ALL_BITS), table, second)
    _store_digest(words, 0, 16, state)


@kernel(
    "void(u8[::1], u8[::1], i8[::1], i8, u4[::1], u4[::1], b1, u4[::1], u4[:, ::1], i8, i8, i8, i8)"
)
def _hash_rows(  # type: ignore[no-untyped-def]
    addresses, strides, widths, extensions, fixed, table, second, words, out, column, place, lo, hi
):
    """Leaf digests of rows lo ... hi - 1 (a multiple of 16 rows) to columns column + row of out.

    ``fixed`` are the tags of leaves and of salts, and the key of salts, if there is one: then rows
    are salted, row r as the leaf at ``place`` + r. Staged are: the salts in the first eight vectors
    (without a key there is nothing), zeros that fill the first block of the base elements, these,
    and the extension elements one behind the other. The block of one is the eight vectors that
    end with it, of which the first three, whatever they are, are taken as zeros.

    Whole 16 x 16 blocks are read and staged: rows are padded to a multiple of 16 elements, and what
    is staged beyond the width is overwritten by the next source, or not read.
    """
    width = 0
    for source in range(widths.shape[0]):
        width += widths[source]
    base = width - 5 * extensions
    base_end = 8 + (base + 7) // 8 * 8
    salted = fixed.shape[0] > 2
    first_block = 0 if salted else 1
    length = _montgomery(width + 8 if salted else width)
    for row in range(lo, hi, 16):
        if salted:
            _stage_salts(fixed, place + row, words, table, second)
        position = base_end - base
        for k in range(8, position):
            simd.store(words, k * 16, simd.zero())
        for source in range(addresses.shape[0]):
            stride = strides[source]
            address = addresses[source] + np.uint64(row) * stride
            if stride == np.uint64(4):
                simd.store(words, position * 16, _load_elements(address))
            else:
                for first in range(0, widths[source], 16):
                    simd.store_tile(
                        words,
                        (position + first) * 16,
                        16,
                        _load_elements_transposed(address + np.uint64(4 * first), stride),
                    )
            position += widths[source]
        state = _fresh_state(fixed[0], length)
        for block in range(first_block, base_end // 8 + extensions):
            start, mask = block * 8, _ALL_BITS
            if start >= base_end:
                start, mask = base_end - 3 + 5 * (block - base_end // 8), np.uint32(0)
            state = _permuted(_overwritten(state, words, start * 16, mask), table, second)
        _store_digest(out, column + row, out.shape[1], state)


@kernel("void(u4[:, ::1], u4[:, ::1], u4[::1], b1, u4[::1], u4[::1], i8, i8, i8, i8)")
def _hash_nodes(children, injected, table, second, words, out, total, half, lo, hi):  # type: ignore[no-untyped-def]
    """Parents lo ... hi - 1, in runs of ``half`` (a multiple of 16) as in ``sha256_kernels``."""
    level = children.shape[1]
    for parent in range(lo, hi, 16):
        left = parent + parent // half * half
        state = _pair_of_digests(children, left, level, children, left + half, level)
        state = add_tiles(_permuted(state, table, second), state)
        if injected.shape[1] > 0:
            _store_digest(words, 0, 16, state)
            state = _pair_of_digests(injected, parent, total, words, 0, 16)
            state = add_tiles(_permuted(state, table, second), state)
        _store_digest(out, parent, total, state)


@kernel("i8(u4[::1], u4[::1], b1, u4[::1], i8, u4, i8, i8)")
def _grind_range(puzzle, table, second, words, base, mask, lo, hi):  # type: ignore[no-untyped-def]
    """The first k in lo ... hi - 1 (multiples of 16) whose nonce base + k succeeds, or -1."""
    for k in range(8):
        simd.store(words, k * 16, simd.zero())
        simd.store(words, (8 + k) * 16, simd.splat(puzzle[k]))
    for start in range(lo, hi, 16):
        for lane in range(16):
            words[7 * 16 + lane] = _montgomery(base + start + lane)
        # The nonce's block, then the squeeze; in a loop so that there is one copy of the code.
        image = simd.load_tile(words, 0, 16)
        for _ in range(2):
            image = _permuted(image, table, second)
        # A product with 1 leaves Montgomery form.
        element = simd.field_mul(image[0], simd.splat(1))
        remainder = simd.bit_and(element, simd.splat(mask))
        for lane in range(16):
            if simd.lane(remainder, lane) == 0:
                return start + lane
    return -1


@cache
def _table(second: bool) -> Words:
    return poseidon2_kernels.constant_table() if second else round_table()


class PoseidonHashing:
    """The hashes of one algebraic suite, many at a time.

    Parameters
    ----------
    suite
        Over either of the two permutations.
    """

    def __init__(self, suite: PoseidonSuite) -> None:
        known: dict[PoseidonParameters, bool] = {POSEIDON1: False, POSEIDON2: True}
        self._second = known[suite.permutation]
        self._maximal_bits = suite.maximal_grind_bits

    def leaf_digests(
        self,
        matrices: Sequence[Words],
        widths: Sequence[int],
        key: bytes | None = None,
        out: Words | None = None,
        offset: int = 0,
        extensions: int = 0,
    ) -> Words:
        """As :func:`stark.hash.sha256_kernels.leaf_digests`; a key has 7 canonical elements."""
        hasher = self._row_hasher(key)
        return hash_matrices(hasher, matrices, widths, out, offset, extensions)

    def codeword_leaf_digests(
        self, codeword: Words, points: int, key: bytes | None = None
    ) -> Words:
        """As :func:`stark.hash.sha256_kernels.codeword_leaf_digests`."""
        return hash_codeword(self._row_hasher(key), codeword, points)

    def node_digests(self, children: Words, half: int, injected: Words | None = None) -> Words:
        """As :func:`stark.hash.sha256_kernels.node_digests`."""
        parents, extra = checked_nodes(children, half, injected)
        out = aligned_empty((DIGEST_WORDS, parents))
        table = _table(self._second)

        def call(lo: int, hi: int) -> None:
            words = aligned_empty(DIGEST_WORDS * LANES)
            _hash_nodes(
                *(children, extra, table, self._second, words),
                *(out.reshape(-1), parents, half, lo, hi),
            )

        parallel.run(call, parents)
        return out

    def encoded_digests(self, digests: Words, indices: Sequence[int]) -> list[bytes]:
        """The digests at some indices of an array (8, n), 32 bytes each."""
        chosen = np.ascontiguousarray(digests[:, list(indices)].T)
        data = from_montgomery(chosen).astype("<u4").tobytes()
        return [data[i : i + DIGEST_BYTES] for i in range(0, len(data), DIGEST_BYTES)]

    def grind(self, puzzle: bytes, bits: int) -> int:
        """The smallest nonce for a proof of work on a transcript's ``puzzle``.

        Raises
        ------
        ValueError
            If the puzzle is not 8 elements, or bits are outside 0 ... 24.
        UsageError
            If no nonce below p succeeds.
        """
        elements = decode_elements(puzzle)
        if len(elements) != LANES - RATE:
            raise ValueError(f"{LANES - RATE} elements of a capacity are needed")
        if not 0 <= bits <= self._maximal_bits:
            raise ValueError(f"0 ... {self._maximal_bits} bits are needed, got {bits}")
        capacity = to_montgomery(np.array(elements, np.uint32))
        table, mask = _table(self._second), np.uint32((1 << bits) - 1)
        for base in range(0, P - 1, _GRIND_CHUNK):  # p - 1 is a multiple of the chunk
            found: list[int] = []

            def call(lo: int, hi: int, base: int = base, found: list[int] = found) -> None:
                words = aligned_empty(LANES * LANES)
                hit = _grind_range(capacity, table, self._second, words, base, mask, lo, hi)
                if hit >= 0:
                    found.append(base + hit)

            parallel.run(call, _GRIND_CHUNK)
            if found:
                return min(found)
        raise UsageError("no nonce below p succeeds")

    def _row_hasher(self, key: bytes | None) -> _RowHasher:
        return _RowHasher(self._second, key)


class _RowHasher:
    """A :class:`stark.hash.digest_arrays.RowHasher`, with a key of salts or none."""

    def __init__(self, second: bool, key: bytes | None) -> None:
        self._second = second
        fixed = [LEAF_TAG, SALT_TAG]
        if key is not None:
            if len(key) != ELEMENT_BYTES * SALT_KEY_ELEMENTS:
                raise ValueError(f"the key of salts must have {SALT_KEY_ELEMENTS} elements")
            fixed = [SALTED_LEAF_TAG, SALT_TAG, *decode_elements(key)]
        self._fixed = to_montgomery(np.array(fixed, np.uint32))

    def __call__(self, sources: Sources, out: Words, column: int, place: int, rows: int, /) -> None:
        # Salts, filling, the rows, and a tile of 16 columns staged too much.
        length = 2 * RATE + sources.width + LANES
        table = _table(self._second)

        def call(lo: int, hi: int) -> None:
            words = aligned_empty(length * LANES)
            _hash_rows(
                *(sources.addresses, sources.strides, sources.widths, sources.extensions),
                *(self._fixed, table, self._second, words, out, column, place, lo, hi),
            )

        parallel.run(call, rows)
