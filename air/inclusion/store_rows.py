"""From the arrays of a proven snapshot to the rows of the inclusion store's tables.

The forms of the blobs are described in :mod:`air.inclusion.store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from air.context import Statement
from air.encoding import DIGEST_LANES, SALT_SIZE, Digest
from air.inclusion.reader import HOLDING_SIZE, LOG_PART, NODE_SIZE, UPPER_LEVELS
from air.inclusion.store_ids import id_order, require_utf8
from air.registry import AMOUNT_LIMBS, LIMB_BITS
from air.snapshot.columns import TextColumn
from stark.errors import UsageError

_HOLDING = np.dtype([("asset", "<u2"), ("low", "<u8"), ("high", "<u2")])
_LIMB_BOUND = 1 << LIMB_BITS
_CHUNK = 1 << 16


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(f"inclusion store: {message}")


def require_arrays(
    statement: Statement,
    account_ids: TextColumn,
    salts: NDArray[np.uint8],
    slots: NDArray[np.int64],
    offsets: NDArray[np.int64],
    assets: NDArray[np.integer],
    limbs: NDArray[np.integer],
) -> None:
    """UsageError unless shapes and ranges are as :func:`air.inclusion.store.write_store` says."""
    accounts, rows = len(account_ids), len(assets)
    _require(
        salts.dtype == np.uint8 and salts.shape == (accounts, SALT_SIZE),
        f"salts must be {SALT_SIZE} bytes for each of {accounts} accounts",
    )
    _require(slots.shape == (accounts,), "one slot for each account")
    capacity = statement.batches * statement.context.shape.slots
    inside = (slots >= 0) & (slots < capacity)
    _require(bool(inside.all()), f"slots must be below {capacity}")
    taken = np.zeros(capacity, np.bool_)
    taken[slots] = True
    _require(int(taken.sum()) == accounts, "no slot may have two accounts")
    _require(
        offsets.shape == (accounts + 1,) and offsets[0] == 0 and offsets[-1] == rows,
        "offsets must go from 0 to the number of rows",
    )
    _require(bool((np.diff(offsets) > 0).all()), "every account needs a row")
    _require(
        assets.shape == (rows,) and limbs.shape == (rows, AMOUNT_LIMBS),
        "one asset and five limbs for each row",
    )
    if rows:
        _require(
            assets.min() >= 0 and assets.max() < len(statement.context.registry),
            "assets must be listed in the statement",
        )
        _require(limbs.min() >= 0 and limbs.max() < _LIMB_BOUND, "limbs must have 15 bits")
    rising = assets[1:] > assets[:-1]
    rising[offsets[1:-1] - 1] = True
    _require(bool(rising.all()), "assets must strictly increase within an account")


def require_upper(statement: Statement, upper: list[list[Digest]]) -> None:
    """UsageError unless the levels fit the statement."""
    levels = statement.context.levels
    _require(
        [len(row) for row in upper] == [1 << (levels - level) for level in range(levels + 1)],
        f"the tree above the batches must have {levels} levels",
    )
    _require(upper[-1][0] == statement.root, "the tree must lead to the statement's root")


def pack_holdings(assets: NDArray[np.integer], limbs: NDArray[np.integer]) -> memoryview:
    """12 bytes per row: index of the asset, amount; slices of rows, for temporaries to be small."""
    packed = np.empty(len(assets), _HOLDING)
    for start in range(0, len(assets), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = limbs[rows].astype(np.uint64)
        low = part[:, 0].copy()
        for limb in range(1, AMOUNT_LIMBS):
            # The fifth limb's bits from 4 on fall out at the top: bits 64 to 74 of the amount.
            low |= part[:, limb] << np.uint64(LIMB_BITS * limb)
        packed["asset"][rows] = assets[rows]
        packed["low"][rows] = low
        packed["high"][rows] = part[:, -1] >> np.uint64(64 - LIMB_BITS * (AMOUNT_LIMBS - 1))
    return packed.view(np.uint8).data


_AccountRow = tuple[memoryview, memoryview, int, memoryview]


def account_rows(
    account_ids: TextColumn,
    salts: NDArray[np.uint8],
    slots: NDArray[np.int64],
    offsets: NDArray[np.int64],
    holdings: memoryview,
) -> Iterator[_AccountRow]:
    """Rows of the table of accounts by id: in this order SQLite only ever appends."""
    order = id_order(account_ids)

    def rows(chunk: NDArray[np.int64]) -> Iterator[_AccountRow]:
        ids = account_ids.take(chunk)
        id_bytes = ids.packed().tobytes()
        id_bounds = np.append(0, np.cumsum(ids.ends - ids.starts))
        require_utf8(id_bytes, id_bounds)
        salt_bytes = np.ascontiguousarray(salts[chunk]).reshape(-1)
        return zip(
            _slices(memoryview(id_bytes), id_bounds[:-1], id_bounds[1:]),
            _slices(salt_bytes.data, *_multiples(SALT_SIZE, len(chunk))),
            slots[chunk].tolist(),
            _slices(holdings, HOLDING_SIZE * offsets[chunk], HOLDING_SIZE * offsets[1:][chunk]),
            strict=True,
        )

    chunks = (order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK))
    return chain.from_iterable(map(rows, chunks))


def _multiples(size: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bounds of ``count`` values of ``size`` bytes, one after the other."""
    starts = size * np.arange(count)
    return starts, starts + size


def _slices(
    data: memoryview, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> Iterator[memoryview]:
    """``data[start:end]`` for all starts and ends; no step of it runs Python's own code."""
    return map(data.__getitem__, map(slice, starts.tolist(), ends.tolist()))


_NodeRow = tuple[int, int, memoryview]


def node_rows(
    statement: Statement, batch_nodes: Iterable[NDArray[np.uint32]], upper: Sequence[list[Digest]]
) -> Iterator[_NodeRow]:
    """Rows of the table of nodes, by their key: the upper levels first, then batch after batch."""
    above = [(0,) * DIGEST_LANES, *(node for level in reversed(upper) for node in level)]
    yield from _parts(UPPER_LEVELS, np.array(above, np.uint32))
    shape = (2 * statement.context.shape.slots, DIGEST_LANES)
    count = 0
    for batch, nodes in enumerate(batch_nodes):
        _require(batch < statement.batches, f"the statement has {statement.batches} batches")
        _require(nodes.dtype == np.uint32 and nodes.shape == shape, f"nodes must be uint32 {shape}")
        _require(
            tuple(nodes[1].tolist()) == upper[0][batch],
            f"the tree of batch {batch} must lead to its root in the tree above",
        )
        yield from _parts(batch, nodes)
        count += 1
    _require(count == statement.batches, f"the statement has {statement.batches} batches")


def _parts(batch: int, nodes: NDArray[np.uint32]) -> Iterator[_NodeRow]:
    """One tree, 2^LOG_PART nodes in a row."""
    data = np.ascontiguousarray(nodes, "<u4").reshape(-1).view(np.uint8).data
    size = NODE_SIZE << LOG_PART
    for part, start in enumerate(range(0, len(data), size)):
        yield batch, part, data[start : start + size]
