"""From the accounts of a batch to the traces of its tables.

Everything here is the honest prover's: nothing is checked, because every rule that matters is a
constraint. Arrays are vectorised over rows; there is no loop over accounts or holdings.

Between a batch's hashes and its proof only the tree is kept, not the rows: hashing them again takes
little time beside a proof, and a large snapshot has many batches in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from air.encoding import (
    ASSET_WEIGHT,
    DIGEST_LANES,
    FIRST_WEIGHT,
    HOLDING_TAG,
    LAST_WEIGHT,
    LIMB_MASK,
    TOTALS_TAG,
    limbs,
)
from air.registry import AMOUNT_LIMBS, LIMB_BITS, TOTAL_LIMBS
from air.shape import LOG_RANGE, Shape
from stark.field.koalabear import P
from stark.field.memory import aligned_empty, aligned_zeros, padded_width
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.gadgets.poseidon import CELLS
from stark.hash.poseidon_kernels import chain, compress_many, trace_cells
from stark.prover.trace import MontgomeryTrace

Words = NDArray[np.uint32]

_TOTALS_WIDTH = TOTAL_LIMBS + AMOUNT_LIMBS + TOTAL_LIMBS + (TOTAL_LIMBS - 1)
"""Columns T, S, U, c of the totals table."""

_SLICE = 1 << 16

_SPARE_PIECE = 1 << 10
"""Rows without a holding lie between accounts in pieces of at least so many: some 2 ms of a chain
that one lane of a vector hashes alone."""


@dataclass(frozen=True)
class BatchAccounts:
    """The slots of one batch, in slot order; an empty slot is a row (asset 0, amount 0).

    Attributes
    ----------
    commitments
        (slots, 8) uint32, canonical: first chaining values.
    offsets
        (slots + 1,) int64: the rows of slot s are offsets[s] ... offsets[s + 1] - 1.
    assets
        (rows,) asset numbers, strictly increasing within a slot; any integers.
    limbs
        (rows, 5) 15-bit limbs of the amounts; any integers, signed ones so that a test can write
        what is no limb.
    """

    commitments: Words
    offsets: NDArray[np.int64]
    assets: NDArray[np.integer]
    limbs: NDArray[np.integer]


@dataclass(frozen=True)
class Batch:
    """A batch whose hashes are known and whose traces can be filled in.

    Attributes
    ----------
    nodes
        (2 * slots, 8) canonical: the account tree, node i at row i; row 0 is unused.
    totals_out
        Running totals after the batch, one per asset of the capacity.
    digest_in, digest_out, root
        Eight canonical field elements each.
    """

    shape: Shape
    first: bool
    nodes: Words
    totals_out: list[int]
    digest_in: tuple[int, ...]
    digest_out: tuple[int, ...]
    root: tuple[int, ...]
    _accounts: BatchAccounts
    _totals_in: list[int]
    _blinds: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def publics(self) -> dict[str, list[int]]:
        """Public values of the tables."""
        return {
            "chain": [int(self.first), *self.digest_in, *self.digest_out],
            "tree": list(self.root),
        }

    def received(self) -> Batch:
        """The same with arrays that kernels can take, wherever it was sent from.

        Another process may have it in buffers that cannot be written or are not aligned: an
        executor that sends arrays apart from what they belong to, as Dask does, is free to do so.
        """
        own = self._accounts
        accounts = BatchAccounts(
            *(_required(array) for array in (own.commitments, own.offsets, own.assets, own.limbs))
        )
        return replace(self, nodes=_required(self.nodes), _accounts=accounts)

    def traces(self) -> dict[str, MontgomeryTrace]:
        """The main columns of all tables; large.

        They are those of the accounts as they are now: who changes them prepares the batch again.
        """
        places = RowPlaces.of(self.shape, self._accounts)
        totals, _ = _totals_rows(self.shape, self._accounts, places, self._totals_in)
        rows = _chain_rows(self.shape, self._accounts, places, self._totals_in, self.totals_out)
        ranges = _range_matrix(rows, totals)
        inputs = _chain_inputs(self.shape, self._accounts, places, rows, self._blinds)
        return {
            "chain": MontgomeryTrace(_chain_matrix(rows, inputs)),
            "tree": MontgomeryTrace(_tree_matrix(self.shape, self.nodes)),
            "totals": MontgomeryTrace(_kernel_matrix(totals)),
            "range": MontgomeryTrace(ranges),
        }


def _required(array: NDArray[Any]) -> NDArray[Any]:
    """The array itself if it is contiguous, aligned and writeable, else a copy that is."""
    return np.require(array, requirements=["C", "A", "W"])


@dataclass(frozen=True)
class RowPlaces:
    """Which rows of the chain table the accounts take; the others are not real.

    A row that is not real goes on with the chain before it. All of them behind the last account
    would be one long chain, hashed row after row while other lanes and cores have nothing to do;
    so they are spread over the ends of accounts.

    Attributes
    ----------
    rows
        (rows,) int64: of every row of :class:`BatchAccounts`, in ascending order, from 0.
    firsts, lasts
        (slots,) int64: of every slot the first and the last row.
    """

    rows: NDArray[np.int64]
    firsts: NDArray[np.int64]
    lasts: NDArray[np.int64]

    @classmethod
    def of(cls, shape: Shape, accounts: BatchAccounts) -> RowPlaces:
        offsets, used = accounts.offsets, len(accounts.assets)
        spare = shape.holding_rows - used
        pieces = min(shape.slots, max(1, spare // _SPARE_PIECE))
        # Before slot s there are as many whole pieces; the last one follows the last slot.
        before = np.arange(shape.slots) * pieces // shape.slots
        rows = np.arange(used) + np.repeat(spare * before // pieces, np.diff(offsets))
        return cls(rows, rows[offsets[:-1]], rows[offsets[1:] - 1])


def prepare_batch(
    shape: Shape,
    accounts: BatchAccounts,
    totals_in: list[int],
    blind_in: tuple[int, ...],
    blind_out: tuple[int, ...],
    first: bool,
) -> Batch:
    """Hash the accounts of one batch and add up its totals.

    Parameters
    ----------
    totals_in
        Running totals before the batch, one per asset of the capacity; zeros if ``first``.
    blind_in, blind_out
        Secret first chaining values of the two digests.
    """
    places = RowPlaces.of(shape, accounts)
    _, totals_out = _totals_rows(shape, accounts, places, totals_in)
    rows = _chain_rows(shape, accounts, places, totals_in, totals_out)
    inputs = _chain_inputs(shape, accounts, places, rows, (blind_in, blind_out))
    boundary = np.array([shape.rows - shape.capacity - 1, shape.rows - 1])
    ends = np.concatenate([places.lasts, boundary])
    digests = compress_many(np.ascontiguousarray(inputs[ends]))
    nodes = _tree_nodes(shape, digests[: shape.slots])
    digest_in, digest_out = (
        tuple(int(v) for v in row) for row in from_montgomery(digests[shape.slots :])
    )
    return Batch(
        shape=shape,
        first=first,
        nodes=nodes,
        totals_out=totals_out,
        digest_in=digest_in,
        digest_out=digest_out,
        root=tuple(int(v) for v in nodes[1]),
        _accounts=accounts,
        _totals_in=totals_in,
        _blinds=(blind_in, blind_out),
    )


@dataclass(frozen=True)
class _ChainRows:
    """Columns of the chain table beside the permutation's cells, canonical."""

    blocks: Words
    real: NDArray[np.uint8]
    first: NDArray[np.uint8]
    last: NDArray[np.uint8]
    asset: NDArray[np.int64]
    slot: NDArray[np.int32]


def _chain_rows(
    shape: Shape,
    accounts: BatchAccounts,
    places: RowPlaces,
    totals_in: list[int],
    totals_out: list[int],
) -> _ChainRows:
    size = shape.rows
    real, first, last = np.zeros((3, size), np.uint8)
    asset, slot = np.zeros(size, np.int64), np.zeros(size, np.int32)
    real[places.rows] = 1
    first[places.firsts] = 1
    last[places.lasts] = 1
    asset[places.rows] = accounts.assets
    slot[places.lasts] = np.arange(shape.slots)
    blocks = np.zeros((size, DIGEST_LANES), np.uint32)
    for rows in _slices(len(accounts.assets)):
        # In int64 negative values, too, have their residues.
        residues = accounts.limbs[rows].astype(np.int64) % P
        blocks[places.rows[rows], 1 : 1 + AMOUNT_LIMBS] = residues
    for side, totals in enumerate((totals_in, totals_out)):
        start = shape.holding_rows + side * shape.capacity
        end = start + shape.capacity
        first[start], last[end - 1] = 1, 1
        asset[start:end] = np.arange(shape.capacity)
        blocks[start:end, 1:] = [limbs(total, TOTAL_LIMBS) for total in totals]
    header = ASSET_WEIGHT * asset
    header += HOLDING_TAG
    header[shape.holding_rows :] += TOTALS_TAG - HOLDING_TAG
    header += FIRST_WEIGHT * first
    header += LAST_WEIGHT * last
    header %= P
    blocks[:, 0] = header
    return _ChainRows(blocks, real, first, last, asset, slot)


def _slices(rows: int) -> Iterator[slice]:
    """All rows, some at a time: for temporaries to stay in the cache."""
    return (slice(start, min(start + _SLICE, rows)) for start in range(0, rows, _SLICE))


def _chain_inputs(
    shape: Shape,
    accounts: BatchAccounts,
    places: RowPlaces,
    rows: _ChainRows,
    blinds: tuple[tuple[int, ...], tuple[int, ...]],
) -> Words:
    """Inputs of all compressions of the chain table, in Montgomery form."""
    starts = np.zeros(shape.rows, np.bool_)
    starts[places.firsts] = True
    starts[[shape.holding_rows, shape.holding_rows + shape.capacity]] = True
    values = np.concatenate([accounts.commitments, np.array(blinds, np.uint32)])
    return chain(to_montgomery(rows.blocks), starts, to_montgomery(values))


def _chain_matrix(rows: _ChainRows, inputs: Words) -> Words:
    extra: list[NDArray[np.integer]] = [rows.real, rows.first, rows.last, rows.asset, rows.slot]
    width = CELLS + len(extra)
    # Pages of the matrix are first touched by the kernel, on all cores.
    matrix = aligned_empty((len(inputs), padded_width(width)))
    trace_cells(inputs, matrix)
    for column, values in enumerate(extra, CELLS):
        matrix[:, column] = to_montgomery(values)
    matrix[:, width:] = 0
    return matrix


def _segment_sums(shape: Shape, accounts: BatchAccounts, places: RowPlaces) -> NDArray[np.int64]:
    """Sums of limbs, (capacity, segments, 5). Doubles hold them exactly: they are below 2^29."""
    segments = 1 << shape.log_segments
    key = accounts.assets.astype(np.int64) * segments
    key += places.rows >> shape.log_segment
    columns = [
        np.bincount(key, weights=accounts.limbs[:, j], minlength=shape.capacity * segments)
        for j in range(AMOUNT_LIMBS)
    ]
    flat = np.stack(columns, axis=1).astype(np.int64)
    return flat.reshape(shape.capacity, segments, AMOUNT_LIMBS)


def _totals_rows(
    shape: Shape, accounts: BatchAccounts, places: RowPlaces, totals_in: list[int]
) -> tuple[NDArray[np.int64], list[int]]:
    """Rows of the totals table: additions segment by segment, all assets at once."""
    sums = _segment_sums(shape, accounts, places)
    capacity, segments = sums.shape[:2]
    table = np.zeros((capacity, segments, _TOTALS_WIDTH), np.int64)
    running = np.array([limbs(total, TOTAL_LIMBS) for total in totals_in], np.int64)
    for segment in range(segments):
        after = running.copy()
        after[:, :AMOUNT_LIMBS] += sums[:, segment]
        carries = np.zeros((capacity, TOTAL_LIMBS), np.int64)
        for j in range(TOTAL_LIMBS):
            if j:
                after[:, j] += carries[:, j - 1]
            carries[:, j] = after[:, j] >> LIMB_BITS
            after[:, j] &= LIMB_MASK
        table[:, segment] = np.concatenate(
            [running, sums[:, segment], after, carries[:, : TOTAL_LIMBS - 1]], axis=1
        )
        running = after
    totals_out = [sum(int(v) << (LIMB_BITS * j) for j, v in enumerate(row)) for row in running]
    return table.reshape(capacity * segments, _TOTALS_WIDTH), totals_out


def _kernel_matrix(values: NDArray[np.int64]) -> Words:
    """Integers, negative ones mod p, as a matrix in kernel form."""
    matrix = aligned_zeros((len(values), padded_width(values.shape[1])))
    matrix[:, : values.shape[1]] = to_montgomery((values % P).astype(np.uint32))
    return matrix


def _tree_nodes(shape: Shape, leaves: Words) -> Words:
    """All nodes, canonical, from leaves in Montgomery form."""
    slots = shape.slots
    nodes = np.zeros((2 * slots, DIGEST_LANES), np.uint32)
    nodes[slots:] = leaves
    level = slots
    while level > 1:
        children = nodes[level : 2 * level].reshape(level // 2, 2 * DIGEST_LANES)
        nodes[level // 2 : level] = compress_many(np.ascontiguousarray(children))
        level //= 2
    return from_montgomery(nodes)


def _tree_matrix(shape: Shape, nodes: Words) -> Words:
    rows = 1 << shape.log_tree_rows
    inputs = np.zeros((rows, 2 * DIGEST_LANES), np.uint32)
    inputs[: shape.slots - 1] = to_montgomery(nodes[2:]).reshape(-1, 2 * DIGEST_LANES)
    matrix = aligned_empty((rows, padded_width(CELLS)))
    trace_cells(inputs, matrix)
    matrix[:, CELLS:] = 0
    return matrix


def _range_matrix(rows: _ChainRows, totals: NDArray[np.int64]) -> Words:
    """Every value with the number of its look-ups.

    A value outside the range, which only a dishonest prover looks up, has no row to count it.
    """
    counts = np.zeros(1 << LOG_RANGE, np.int64)
    for part in _slices(len(rows.asset)):
        _count(counts, rows.blocks[part, 1 : 1 + AMOUNT_LIMBS])
    _count(counts, rows.asset)
    inside = (rows.real == 1) & (rows.last == 0)
    _count(counts, (np.roll(rows.asset, -1) - rows.asset - 1)[inside])
    _count(counts, totals[:, :TOTAL_LIMBS])
    _count(counts, totals[:, TOTAL_LIMBS + AMOUNT_LIMBS :])
    return _kernel_matrix(np.stack([np.arange(1 << LOG_RANGE), counts], axis=1))


def _count(counts: NDArray[np.int64], values: NDArray[np.integer]) -> None:
    """Add how often each value of the range table occurs."""
    flat = values.ravel()
    present = flat[(flat >= 0) & (flat < len(counts))]
    counts += np.bincount(present, minlength=len(counts))
