"""Account ids of a store: their order, and that they are UTF-8, without a loop over them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from air.snapshot.columns import TextColumn
from stark.errors import UsageError

_KEY_BYTES = 7
"""Bytes of an id in one key of 64 bits; the lowest byte says how many more there are."""

# With k bytes of an id left, the k highest bytes of a word are its own.
_MASKS = np.array([(1 << 64) - (1 << (64 - 8 * k)) for k in range(_KEY_BYTES + 1)], np.uint64)


def id_order(ids: TextColumn) -> NDArray[np.int64]:
    """Rows by id, as Python and SQLite compare bytes: the order of ``sorted``, stable.

    Seven bytes of the ids are compared at a time, and the next ones only of ids that are equal so
    far. Where padding with zeros makes ids of different length equal, the shorter one is first.
    """
    words = sliding_window_view(np.concatenate([ids.data, np.zeros(8, np.uint8)]), 8)
    lengths = ids.ends - ids.starts
    order = np.arange(len(ids))
    # Places in the order that are not final, and to which group of equal beginnings each belongs.
    tied, group = order.copy(), np.zeros(len(ids), np.int64)
    depth = 0
    while len(tied):
        rows = order[tied]
        left = np.minimum(lengths[rows] - depth, _KEY_BYTES + 1)
        keys = words[ids.starts[rows] + depth].view(">u8").reshape(-1).astype(np.uint64)
        keys = keys & _MASKS[np.minimum(left, _KEY_BYTES)] | left.astype(np.uint64)
        ranks = np.lexsort((keys, group))
        order[tied] = rows[ranks]
        keys, left = keys[ranks], left[ranks]
        # Groups are in their places already: ranks only move ids within their group.
        same = (keys[1:] == keys[:-1]) & (group[1:] == group[:-1])
        group = np.cumsum(np.append(True, ~same))
        again = (np.append(same, False) | np.append(False, same)) & (left > _KEY_BYTES)
        tied, group = tied[again], group[again]
        depth += _KEY_BYTES
    return order


def require_utf8(data: bytes, bounds: NDArray[np.int64]) -> None:
    """UsageError unless each piece ``data[bounds[i]:bounds[i + 1]]`` is UTF-8; bounds ascend from 0
    to the length."""
    if _is_utf8(data):
        # Then every piece is, unless one begins with a byte 10xxxxxx, inside of a character.
        starts = bounds[:-1][bounds[:-1] < len(data)]
        if not (np.frombuffer(data, np.uint8)[starts] & 0xC0 == 0x80).any():
            return
    for start, end in pairwise(bounds.tolist()):
        if not _is_utf8(data[start:end]):
            shown = data[start:end][:80]
            raise UsageError(f"inclusion store: account id {shown!r} is not UTF-8")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
