"""Tagged SHA-256 (``stark.hash.sha256``) over 16 messages at once, one per vector lane.

All messages of one call have the same length, and every part of them is a multiple of four bytes,
so a message is a list of big-endian words: tag, salt, field elements. A kernel stages the words of
16 messages as vectors, transposing rows and leaving Montgomery form on the way, and then runs the
compression function on them.

Digests are arrays (8, n) of uint32: word w of digest k is ``digests[w, k]``, most significant byte
first (:func:`digest_bytes`). Stored word by word, 16 neighbouring digests load as vectors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stark import parallel
from stark.errors import UsageError
from stark.field import simd
from stark.field.memory import LANES, aligned_empty
from stark.hash.digest_arrays import (
    DIGEST_WORDS,
    Sources,
    Words,
    checked_nodes,
    hash_codeword,
    hash_matrices,
)
from stark.hash.sha256 import (
    DIGEST_BYTES,
    GRIND_TAG,
    INJECTED_NODE_TAG,
    LEAF_TAG,
    MAXIMAL_GRIND_BITS,
    NODE_TAG,
    NONCE_LIMIT,
    SALT_BYTES,
    SALT_TAG,
)
from stark.hash.sha256_ir import (
    BLOCK_WORDS,
    compress_block,
    initial_digest,
    load_words,
    load_words_transposed,
    store_digest,
)
from stark.jit import device, kernel

_NODE_BLOCKS = 2
"""A node has 17 words, with injected rows 25; padding needs at least 3 more: two blocks of 16."""

_GRIND_CHUNK = 1 << 18
"""Nonces tried between looks at the result: a few milliseconds of work per core."""

# The tags as message words.
_LEAF_TAG, _NODE_TAG, _INJECTED_TAG, _SALT_TAG = (
    np.uint32(int.from_bytes(tag, "big"))
    for tag in (LEAF_TAG, NODE_TAG, INJECTED_NODE_TAG, SALT_TAG)
)
_PADDING = np.uint32(0x80000000)


@device
def _swapped(word):  # type: ignore[no-untyped-def]
    """The four bytes of a uint32 reversed."""
    value = np.uint64(word)
    return np.uint32(
        (value >> np.uint64(24))
        | ((value >> np.uint64(8)) & np.uint64(0xFF00))
        | ((value << np.uint64(8)) & np.uint64(0xFF0000))
        | ((value << np.uint64(24)) & np.uint64(0xFF000000))
    )


@device
def _hash_staged(words, length):  # type: ignore[no-untyped-def]
    """Pad the staged messages of ``length`` words and hash them.

    The padding is 0x80, zeros and the length in bits as 64 bits; the upper word of that stays zero
    because no message here has 2^29 bytes.
    """
    blocks = (length + 3 + 15) // 16
    simd.store(words, length * 16, simd.splat(_PADDING))
    for k in range(length + 1, blocks * 16 - 1):
        simd.store(words, k * 16, simd.zero())
    simd.store(words, (blocks * 16 - 1) * 16, simd.splat(length * 32))
    state = initial_digest()
    for block in range(blocks):
        state = compress_block(state, words, block * 256)
    return state


@device
def _stage_salts(key, place, words):  # type: ignore[no-untyped-def]
    """Words 1 ... 8 of 16 messages: the salts of the leaves at ``place`` ... ``place`` + 15."""
    simd.store(words, 0, simd.splat(_SALT_TAG))
    for k in range(8):
        simd.store(words, (1 + k) * 16, simd.splat(key[k]))
    simd.store(words, 9 * 16, simd.zero())  # places are below 2^32
    for lane in range(16):
        words[10 * 16 + lane] = np.uint32(place + lane)
    store_digest(words, 16, 16, _hash_staged(words, 11))


@kernel("void(u8[::1], u8[::1], i8[::1], u4[::1], u4[::1], u4[::1], i8, i8, i8, i8, i8)")
def _hash_rows(addresses, strides, widths, key, words, out, total, offset, place, lo, hi):  # type: ignore[no-untyped-def]
    """Leaf digests of rows lo ... hi - 1 (a multiple of 16 rows) to columns offset + row of out.

    With a key, rows are salted, row r as the leaf at ``place`` + r.

    Source s has ``widths[s]`` elements per row, at ``addresses[s] + row * strides[s]``. A stride of
    four bytes means a single column, whose elements are already neighbours. Whole 16 x 16 blocks
    are read and staged: rows are padded to a multiple of 16 elements, and what is staged beyond the
    width is overwritten by the next source or by the padding.
    """
    for row in range(lo, hi, 16):
        length = 1
        if key.shape[0] > 0:
            _stage_salts(key, place + row, words)
            length = 9
        simd.store(words, 0, simd.splat(_LEAF_TAG))
        for source in range(addresses.shape[0]):
            stride = strides[source]
            address = addresses[source] + np.uint64(row) * stride
            if stride == np.uint64(4):
                simd.store(words, length * 16, load_words(address))
            else:
                for column in range(0, widths[source], 16):
                    simd.store_tile(
                        words,
                        (length + column) * 16,
                        16,
                        load_words_transposed(address + np.uint64(4 * column), stride),
                    )
            length += widths[source]
        store_digest(out, offset + row, total, _hash_staged(words, length))


@kernel("void(u4[:, ::1], u4[:, ::1], u4[::1], u4[::1], i8, i8, i8, i8)")
def _hash_nodes(children, injected, words, out, total, half, lo, hi):  # type: ignore[no-untyped-def]
    """Parents lo ... hi - 1, which lie in runs of ``half`` (a multiple of 16).

    Run c is made of two neighbouring runs of children, left 2 c and right 2 c + 1, so parent k,
    in run k // half, has its left child at k + (k // half) * half and the right one ``half`` on.
    """
    level = children.shape[1]
    for parent in range(lo, hi, 16):
        left = parent + parent // half * half
        for k in range(8):
            simd.store(words, (1 + k) * 16, simd.load(children, k * level + left))
            simd.store(words, (9 + k) * 16, simd.load(children, k * level + left + half))
        tag, length = _NODE_TAG, 17
        if injected.shape[1] > 0:
            for k in range(8):
                simd.store(words, (17 + k) * 16, simd.load(injected, k * total + parent))
            tag, length = _INJECTED_TAG, 25
        simd.store(words, 0, simd.splat(tag))
        store_digest(out, parent, total, _hash_staged(words, length))


@kernel("i8(u4[::1], u4[::1], u8, u4, u4, i8, i8)")
def _grind_range(prefix, words, base, low_mask, high_mask, lo, hi):  # type: ignore[no-untyped-def]
    """The first k in lo ... hi - 1 (multiples of 16) whose nonce base + k succeeds, or -1.

    The first bytes of a digest as a little-endian integer are its first words byte-swapped.
    """
    for start in range(lo, hi, 16):
        for k in range(9):
            simd.store(words, k * 16, simd.splat(prefix[k]))
        for lane in range(16):
            nonce = base + np.uint64(start + lane)
            words[9 * 16 + lane] = _swapped(np.uint32(nonce & np.uint64(0xFFFFFFFF)))
            words[10 * 16 + lane] = _swapped(np.uint32(nonce >> np.uint64(32)))
        digest = _hash_staged(words, 11)
        low = simd.bit_and(simd.byte_swap(digest[0]), simd.splat(low_mask))
        high = simd.bit_and(simd.byte_swap(digest[1]), simd.splat(high_mask))
        remainder = simd.bit_or(low, high)
        for lane in range(16):
            if simd.lane(remainder, lane) == 0:
                return start + lane
    return -1


def _staging(words: int) -> Words:
    """Room for messages of that many words, their padding, and one block staged too much."""
    return aligned_empty((words + 2 * BLOCK_WORDS + 3) * LANES)


def _key_words(key: bytes | None) -> Words:
    """The key of salts as message words; none of them for unsalted leaves."""
    if key is None:
        return np.empty(0, np.uint32)
    if len(key) != SALT_BYTES:
        raise ValueError(f"the key of salts must have {SALT_BYTES} bytes, got {len(key)}")
    return np.frombuffer(key, ">u4").astype(np.uint32)


def leaf_digests(
    matrices: Sequence[Words],
    widths: Sequence[int],
    key: bytes | None = None,
    out: Words | None = None,
    offset: int = 0,
    extensions: int = 0,
) -> Words:
    """Digests of leaves whose rows are the concatenated rows of several matrices.

    Parameters
    ----------
    matrices
        Arrays (n, padded width) of Montgomery elements, C-contiguous, padded to multiples of 16.
    widths
        How many columns of each matrix are meant.
    key
        32 bytes for salted leaves (:func:`stark.hash.sha256.leaf_salt`), or nothing.
    out, offset
        Where the digests go: columns offset ... offset + n - 1 of words (8, m); by default a new
        array. The leaf of row r is at place offset + r.
    extensions
        The last 5 * ``extensions`` elements of a row are that many extension elements: SHA-256
        hashes them like any others, algebraic suites do not.

    Returns
    -------
    Words (8, m).

    Raises
    ------
    ValueError
        If a shape, dtype or layout is not as above.
    """
    return hash_matrices(_RowHasher(key), matrices, widths, out, offset, extensions)


class _RowHasher:
    """A :class:`stark.hash.digest_arrays.RowHasher`, with a key of salts or none."""

    def __init__(self, key: bytes | None) -> None:
        self._key = _key_words(key)

    def __call__(self, sources: Sources, out: Words, column: int, place: int, rows: int, /) -> None:
        length = 9 + sources.width

        def call(lo: int, hi: int) -> None:
            _hash_rows(
                *(sources.addresses, sources.strides, sources.widths),
                *(self._key, _staging(length), out.reshape(-1)),
                *(out.shape[1], column, place, lo, hi),
            )

        parallel.run(call, rows)


def codeword_leaf_digests(codeword: Words, points: int, key: bytes | None = None) -> Words:
    """Digests of leaves that group ``points`` values of a codeword over the extension.

    Parameters
    ----------
    codeword
        Array (5, B, N) of Montgomery elements, C-contiguous.
    points
        k, a power of two, at most N: leaf (c, i), i < N/k, holds the values at i + t N/k of coset
        c for t = 0 ... k - 1, five coefficients each.
    key
        32 bytes for salted leaves, or nothing.

    Returns
    -------
    Words (8, B N / k); leaf (c, i) is column c N/k + i.

    Raises
    ------
    ValueError
        If a shape, dtype or layout is not as above.
    """
    return hash_codeword(_RowHasher(key), codeword, points)


def node_digests(children: Words, half: int, injected: Words | None = None) -> Words:
    """Digests of the level above.

    Parameters
    ----------
    children
        Words (8, 2 n), in runs of ``half``: the left children of a run of parents, then their right
        children.
    half
        Length of a run, a multiple of 16 that divides n.
    injected
        Words (8, n): digests of rows committed at the parents, or nothing.

    Returns
    -------
    Words (8, n).

    Raises
    ------
    ValueError
        If a shape, dtype or layout is not as above.
    """
    parents, extra = checked_nodes(children, half, injected)
    out = aligned_empty((DIGEST_WORDS, parents))

    def call(lo: int, hi: int) -> None:
        words = _staging(_NODE_BLOCKS * BLOCK_WORDS)
        _hash_nodes(children, extra, words, out.reshape(-1), parents, half, lo, hi)

    parallel.run(call, parents)
    return out


def digest_bytes(digests: Words, index: int) -> bytes:
    """Digest ``index`` of an array (8, n) of words as 32 bytes."""
    return digests[:, index].astype(">u4").tobytes()


def encoded_digests(digests: Words, indices: Sequence[int]) -> list[bytes]:
    """The digests at some indices of an array (8, n), 32 bytes each."""
    return [digest_bytes(digests, index) for index in indices]


def grind(state: bytes, bits: int) -> int:
    """The smallest nonce for which ``stark.hash.sha256.grind_succeeds``.

    Raises ``ValueError`` for a state that is not 32 bytes or bits outside 0 ... 63.
    """
    if len(state) != DIGEST_BYTES or not 0 <= bits <= MAXIMAL_GRIND_BITS:
        raise ValueError("a state of 32 bytes and 0 ... 63 bits are needed")
    prefix = np.frombuffer(GRIND_TAG + state, ">u4").astype(np.uint32)
    mask = (1 << bits) - 1
    low_mask, high_mask = np.uint32(mask & 0xFFFFFFFF), np.uint32(mask >> 32)
    for base in range(0, NONCE_LIMIT, _GRIND_CHUNK):
        found: list[int] = []

        def call(lo: int, hi: int, base: int = base, found: list[int] = found) -> None:
            staging = _staging(BLOCK_WORDS)
            hit = _grind_range(prefix, staging, np.uint64(base), low_mask, high_mask, lo, hi)
            if hit >= 0:
                found.append(base + hit)

        parallel.run(call, _GRIND_CHUNK)
        if found:
            return min(found)
    raise UsageError("no nonce of eight bytes succeeds")
