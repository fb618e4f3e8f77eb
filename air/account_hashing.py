"""Salts and commitments of all accounts at once: :mod:`air.encoding` without a loop over accounts.

Ids of one length make messages of one length, so accounts are taken by the lengths of their ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from air.encoding import ACCOUNT_TAG, DIGEST_LANES, SALT_SIZE, SALT_TAG
from stark.field.koalabear import P
from stark.hash.sha256_messages import hash_messages

_ACCOUNTS_PER_CHUNK = 1 << 16
"""Bounds memory: with the longest ids, 256 bytes, a chunk has about 25 MB of messages."""

_HMAC_BLOCK = 64
_INNER_PAD, _OUTER_PAD = 0x36, 0x5C

Bytes = NDArray[np.uint8]


def account_salts(
    master_key: bytes, epoch: int, nonce: bytes, id_bytes: Bytes, id_offsets: NDArray[np.int64]
) -> Bytes:
    """The salt of every account, as :func:`air.encoding.account_salt`.

    Parameters
    ----------
    id_bytes, id_offsets
        uint8, and int64 of length accounts + 1: id of account i is
        ``id_bytes[id_offsets[i]:id_offsets[i + 1]]``.

    Returns
    -------
    uint8 (accounts, 32).
    """
    salts = np.empty((len(id_offsets) - 1, SALT_SIZE), np.uint8)
    context = SALT_TAG + epoch.to_bytes(8, "big") + nonce
    for accounts, length, ids in _ids_by_length(id_bytes, id_offsets):
        prefix = context + length.to_bytes(8, "big")
        salts[accounts] = _hmac_sha256(master_key, _joined(prefix, ids))
    return salts


def account_commitments(
    id_bytes: Bytes, id_offsets: NDArray[np.int64], salts: Bytes
) -> NDArray[np.uint32]:
    """The commitment of every account, as :func:`air.encoding.account_commitment`.

    Parameters
    ----------
    id_bytes, id_offsets
        As for :func:`account_salts`.
    salts
        uint8 (accounts, 32).

    Returns
    -------
    uint32 (accounts, 8), canonical.
    """
    commitments = np.empty((len(id_offsets) - 1, DIGEST_LANES), np.uint32)
    for accounts, length, ids in _ids_by_length(id_bytes, id_offsets):
        prefix = ACCOUNT_TAG + length.to_bytes(8, "big")
        digests = hash_messages(_joined(prefix, ids, salts[accounts]))
        commitments[accounts] = digests.view(">u4") % np.uint32(P)
    return commitments


def _ids_by_length(
    id_bytes: Bytes, id_offsets: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], int, Bytes]]:
    """Accounts whose ids have equal length, this length, and the ids (accounts, length)."""
    lengths = np.diff(id_offsets)
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order]
    bounds = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1))
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        length = int(ordered[start])
        # Row i is the view of as many bytes from byte i on.
        windows = sliding_window_view(id_bytes, length)
        for first in range(start, end, _ACCOUNTS_PER_CHUNK):
            accounts = order[first : min(first + _ACCOUNTS_PER_CHUNK, end)]
            yield accounts, length, windows[id_offsets[accounts]]


def _joined(prefix: bytes, *parts: Bytes) -> Bytes:
    """Messages: one prefix, and after it the rows of the parts."""
    first = np.broadcast_to(np.frombuffer(prefix, np.uint8), (len(parts[0]), len(prefix)))
    return np.concatenate([first, *parts], axis=1)


def _hmac_sha256(key: bytes, messages: Bytes) -> Bytes:
    """HMAC-SHA256 (RFC 2104) of every row under one key."""
    if len(key) > _HMAC_BLOCK:
        key = hashlib.sha256(key).digest()
    padded = key.ljust(_HMAC_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in padded) for pad in (_INNER_PAD, _OUTER_PAD))
    return hash_messages(_joined(outer, hash_messages(_joined(inner, messages))))
