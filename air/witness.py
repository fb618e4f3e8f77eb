"""From the accounts of a batch to the traces of its tables.

Everything here is the honest prover's: nothing is checked, because every rule that matters is a
constraint. Arrays are vectorised over rows; there is no loop over accounts or holdings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from air.encoding import (
    AMOUNT_LIMBS,
    ASSET_WEIGHT,
    DIGEST_LANES,
    FIRST_WEIGHT,
    HOLDING_TAG,
    LAST_WEIGHT,
    LIMB_BITS,
    LIMB_MASK,
    TOTAL_LIMBS,
    TOTALS_TAG,
    limbs,
)
from air.shape import LOG_RANGE, Shape
from stark.field.koalabear import P
from stark.field.memory import aligned_zeros, padded_width
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.gadgets.poseidon import CELLS
from stark.hash.poseidon_kernels import chain, compress_many, trace_cells
from stark.prover.trace import MontgomeryTrace

Words = NDArray[np.uint32]


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
        (rows,) asset numbers, strictly increasing within a slot.
    limbs
        (rows, 5) 15-bit limbs of the amounts.
    """

    commitments: Words
    offsets: NDArray[np.int64]
    assets: NDArray[np.int64]
    limbs: NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """A batch's witness and what is published of it.

    Attributes
    ----------
    traces, publics
        Inputs of the prover.
    nodes
        (2 * slots, 8) canonical: the account tree, node i at row i; row 0 is unused.
    totals_out
        Running totals after the batch.
    digest_in, digest_out, root
        Eight canonical field elements each.
    """

    traces: dict[str, MontgomeryTrace]
    publics: dict[str, list[int]]
    nodes: Words
    totals_out: list[int]
    digest_in: tuple[int, ...]
    digest_out: tuple[int, ...]
    root: tuple[int, ...]


def batch_witness(
    shape: Shape,
    accounts: BatchAccounts,
    totals_in: list[int],
    blind_in: tuple[int, ...],
    blind_out: tuple[int, ...],
    first: bool,
) -> Batch:
    """Traces and public values of one batch.

    Parameters
    ----------
    totals_in
        Running totals before the batch, one per asset of the capacity; zeros if ``first``.
    blind_in, blind_out
        Secret first chaining values of the two digests.
    """
    sums = _segment_sums(shape, accounts)
    totals, totals_out = _totals_trace(shape, sums, totals_in)
    rows = _chain_rows(shape, accounts, totals_in, totals_out)
    starts = np.zeros(shape.rows, np.uint8)
    starts[accounts.offsets[:-1]] = 1
    starts[[shape.holding_rows, shape.holding_rows + shape.capacity]] = 1
    values = np.concatenate(
        [accounts.commitments, np.array([blind_in, blind_out], np.uint32)]
    )
    inputs = chain(to_montgomery(rows.blocks), starts, to_montgomery(values))
    width = CELLS + 5
    matrix = aligned_zeros((shape.rows, padded_width(width)))
    trace_cells(inputs, matrix)
    extra = np.stack([rows.real, rows.first, rows.last, rows.asset, rows.slot], axis=1)
    matrix[:, CELLS:width] = to_montgomery(extra.astype(np.uint32))

    ends = accounts.offsets[1:] - 1
    boundary = np.array([shape.rows - shape.capacity - 1, shape.rows - 1])
    digests = from_montgomery(compress_many(inputs[np.concatenate([ends, boundary])]))
    tree, nodes = _tree_trace(shape, digests[: shape.slots])
    digest_in, digest_out = (tuple(int(v) for v in row) for row in digests[shape.slots :])
    root = tuple(int(v) for v in nodes[1])
    return Batch(
        traces={
            "chain": MontgomeryTrace(matrix),
            "tree": MontgomeryTrace(tree),
            "totals": MontgomeryTrace(totals.matrix),
            "range": MontgomeryTrace(_range_trace(rows, totals.looked_up)),
        },
        publics={
            "chain": [int(first), *digest_in, *digest_out],
            "tree": list(root),
        },
        nodes=nodes,
        totals_out=totals_out,
        digest_in=digest_in,
        digest_out=digest_out,
        root=root,
    )


@dataclass(frozen=True)
class _ChainRows:
    """Columns of the chain table beside the permutation's cells, canonical."""

    blocks: Words
    real: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    asset: NDArray[np.int64]
    slot: NDArray[np.int64]
    holding_rows: int


def _chain_rows(
    shape: Shape, accounts: BatchAccounts, totals_in: list[int], totals_out: list[int]
) -> _ChainRows:
    size, used = shape.rows, len(accounts.assets)
    real, first, last, asset, slot = np.zeros((5, size), np.int64)
    real[:used] = 1
    first[accounts.offsets[:-1]] = 1
    last[accounts.offsets[1:] - 1] = 1
    asset[:used] = accounts.assets
    slot[accounts.offsets[1:] - 1] = np.arange(shape.slots)
    lanes = np.zeros((size, TOTAL_LIMBS), np.int64)
    lanes[:used, :AMOUNT_LIMBS] = accounts.limbs
    tag = np.full(size, HOLDING_TAG)
    for side, totals in enumerate((totals_in, totals_out)):
        start = shape.holding_rows + side * shape.capacity
        end = start + shape.capacity
        tag[start:] = TOTALS_TAG
        first[start], last[end - 1] = 1, 1
        asset[start:end] = np.arange(shape.capacity)
        lanes[start:end] = [limbs(total, TOTAL_LIMBS) for total in totals]
    header = tag + FIRST_WEIGHT * first + LAST_WEIGHT * last + ASSET_WEIGHT * asset
    blocks = np.concatenate([header[:, None], lanes], axis=1).astype(np.uint32)
    return _ChainRows(blocks, real, first, last, asset, slot, shape.holding_rows)


def _segment_sums(shape: Shape, accounts: BatchAccounts) -> NDArray[np.int64]:
    """Sums of limbs, (capacity, segments, 5). Doubles hold them exactly: they are below 2^29."""
    segments = 1 << shape.log_segments
    key = accounts.assets * segments + (np.arange(len(accounts.assets)) >> shape.log_segment)
    columns = [
        np.bincount(key, weights=accounts.limbs[:, j], minlength=shape.capacity * segments)
        for j in range(AMOUNT_LIMBS)
    ]
    flat = np.stack(columns, axis=1).astype(np.int64)
    return flat.reshape(shape.capacity, segments, AMOUNT_LIMBS)


@dataclass(frozen=True)
class _TotalsTrace:
    matrix: Words
    looked_up: NDArray[np.int64]


def _totals_trace(
    shape: Shape, sums: NDArray[np.int64], totals_in: list[int]
) -> tuple[_TotalsTrace, list[int]]:
    """The totals table: additions segment by segment, all assets at once."""
    capacity, segments = sums.shape[:2]
    width = 2 * TOTAL_LIMBS + AMOUNT_LIMBS + TOTAL_LIMBS - 1
    table = np.zeros((capacity, segments, width), np.int64)
    running = np.array([limbs(total, TOTAL_LIMBS) for total in totals_in], np.int64)
    for segment in range(segments):
        row = table[:, segment]
        row[:, :TOTAL_LIMBS] = running
        row[:, TOTAL_LIMBS : TOTAL_LIMBS + AMOUNT_LIMBS] = sums[:, segment]
        after = running.copy()
        after[:, :AMOUNT_LIMBS] += sums[:, segment]
        carries = np.zeros((capacity, TOTAL_LIMBS), np.int64)
        for j in range(TOTAL_LIMBS):
            if j:
                after[:, j] += carries[:, j - 1]
            carries[:, j] = after[:, j] >> LIMB_BITS
            after[:, j] &= LIMB_MASK
        start = TOTAL_LIMBS + AMOUNT_LIMBS
        row[:, start : start + TOTAL_LIMBS] = after
        row[:, start + TOTAL_LIMBS :] = carries[:, : TOTAL_LIMBS - 1]
        running = after
    flat = table.reshape(capacity * segments, width)
    matrix = aligned_zeros((len(flat), padded_width(width)))
    matrix[:, :width] = to_montgomery(flat.astype(np.uint32))
    before, rest = flat[:, :TOTAL_LIMBS], flat[:, TOTAL_LIMBS + AMOUNT_LIMBS :]
    looked_up = np.concatenate([before.ravel(), rest.ravel()])
    totals_out = [sum(int(v) << (LIMB_BITS * j) for j, v in enumerate(row)) for row in running]
    return _TotalsTrace(matrix, looked_up), totals_out


def _tree_trace(shape: Shape, leaves: Words) -> tuple[Words, Words]:
    """Trace of the tree table, and all nodes, canonical."""
    slots = shape.slots
    nodes = np.zeros((2 * slots, DIGEST_LANES), np.uint32)
    nodes[slots:] = to_montgomery(leaves)
    level = slots
    while level > 1:
        children = nodes[level : 2 * level].reshape(level // 2, 2 * DIGEST_LANES)
        nodes[level // 2 : level] = compress_many(np.ascontiguousarray(children))
        level //= 2
    rows = 1 << shape.log_tree_rows
    inputs = np.zeros((rows, 2 * DIGEST_LANES), np.uint32)
    inputs[: slots - 1] = nodes[2:].reshape(slots - 1, 2 * DIGEST_LANES)
    matrix = aligned_zeros((rows, padded_width(CELLS)))
    trace_cells(inputs, matrix)
    return matrix, from_montgomery(nodes)


def _range_trace(rows: _ChainRows, totals_looked_up: NDArray[np.int64]) -> Words:
    """Every value with the number of its look-ups, mod p."""
    differences = np.roll(rows.asset, -1) - rows.asset - 1
    inside = (rows.real == 1) & (rows.last == 0)
    looked_up = [
        rows.blocks[:, 1 : 1 + AMOUNT_LIMBS].astype(np.int64).ravel(),
        rows.asset,
        differences[inside],
        totals_looked_up,
    ]
    counts = np.bincount(np.concatenate(looked_up), minlength=1 << LOG_RANGE) % P
    matrix = aligned_zeros((1 << LOG_RANGE, padded_width(2)))
    columns = np.stack([np.arange(1 << LOG_RANGE), counts], axis=1)
    matrix[:, :2] = to_montgomery(columns.astype(np.uint32))
    return matrix
