"""Plain SHA-256 of many byte messages of one length, 16 at once, one per vector lane."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field import simd
from stark.field.memory import LANES, aligned_empty, aligned_zeros
from stark.hash.sha256_ir import (
    BLOCK_WORDS,
    DIGEST_WORDS,
    compress_block,
    initial_digest,
    store_digest,
)
from stark.jit import kernel

DIGEST_BYTES = 4 * DIGEST_WORDS
_BLOCK_BYTES = 4 * BLOCK_WORDS
_LENGTH_BYTES = 8

_CHUNK_BYTES = 1 << 23
"""Padded messages that are held at a time: they stay in the caches of most machines."""


@kernel("void(u4[::1], u4[::1], u4[::1], i8, i8, i8, i8)")
def _hash_padded(messages, words, out, width, total, lo, hi):  # type: ignore[no-untyped-def]
    """Digests of rows lo ... hi - 1 (a multiple of 16 rows) to columns lo ... of out.

    A row is ``width`` words as they lie in memory, whole blocks; SHA-256 reads them big-endian.
    """
    for row in range(lo, hi, 16):
        state = initial_digest()
        for block in range(0, width, 16):
            tile = simd.load_tile_transposed(messages, row * width + block, width)
            simd.store_tile(words, 0, 16, tile)
            for k in range(0, 256, 16):
                simd.store(words, k, simd.byte_swap(simd.load(words, k)))
            state = compress_block(state, words, 0)
        store_digest(out, row, total, state)


def hash_messages(messages: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """SHA-256 (FIPS 180-4) of every row, on all cores.

    Parameters
    ----------
    messages
        uint8 (n, length), of any layout; n and the length may be 0.

    Returns
    -------
    uint8 (n, 32), C-contiguous.

    Raises
    ------
    ValueError
        If the array is not two-dimensional uint8.
    """
    if messages.dtype != np.uint8 or messages.ndim != 2:
        raise ValueError(f"uint8 (n, length) is needed, got {messages.dtype} {messages.shape}")
    rows, length = messages.shape
    # Padding (FIPS 180-4, 5.1.1): 0x80, zeros, and the length in bits as a 64-bit integer.
    width = -(-(length + 1 + _LENGTH_BYTES) // _BLOCK_BYTES) * _BLOCK_BYTES
    digests = np.empty((rows, DIGEST_BYTES), np.uint8)
    step = max(1, _CHUNK_BYTES // width // LANES) * LANES
    for first in range(0, rows, step):
        part = messages[first : first + step]
        padded = aligned_zeros((-(-len(part) // LANES) * LANES, width // 4))
        data = padded.view(np.uint8)
        data[: len(part), :length] = part
        data[:, length] = 0x80
        data[:, -_LENGTH_BYTES:] = np.frombuffer((8 * length).to_bytes(8, "big"), np.uint8)
        digests[first : first + step] = _hash_rows(padded)[: len(part)]
    return digests


def _hash_rows(padded: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Digests, uint8 (n, 32), of padded messages; n is a multiple of 16."""
    rows, width = padded.shape
    out = np.empty((DIGEST_WORDS, rows), np.uint32)

    def call(lo: int, hi: int) -> None:
        words = aligned_empty(BLOCK_WORDS * LANES)
        _hash_padded(padded.reshape(-1), words, out.reshape(-1), width, rows, lo, hi)

    parallel.run(call, rows, LANES)
    return np.ascontiguousarray(out.T, ">u4").view(np.uint8)
