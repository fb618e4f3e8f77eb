"""A witness of one batch as a cheating prover holds it: everything is its own choice.

The honest prover derives everything from the accounts. Here each derivation is a step of its own:
a cheat changes some columns, keeps its changes from being overwritten, and runs all other steps, so
that everything it did not touch fits together again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from air.encoding import AMOUNT_LIMBS, LIMB_BITS, LIMB_MASK, TOTAL_LIMBS, limbs
from air.witness import RowPlaces
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.poseidon_kernels import chain
from support.attacks.oracle import Integers, Witness
from support.attacks.poseidon_rows import digests, honest_cells

if TYPE_CHECKING:
    from support.attacks.bases import Base

STEPS = ("headers", "sums", "additions", "shown_totals", "hashes", "tree", "publics")

SUMS = slice(TOTAL_LIMBS, TOTAL_LIMBS + AMOUNT_LIMBS)
AFTER = slice(SUMS.stop, SUMS.stop + TOTAL_LIMBS)
CARRIES = slice(AFTER.stop, AFTER.stop + TOTAL_LIMBS - 1)
"""Columns of the totals table: T, S, U, c."""


class Forgery:
    """Editable columns; amounts, sums and carries are signed, everything else is taken mod p.

    Attributes
    ----------
    real, first, last, asset, slot, header
        Columns of the chain table, (rows,).
    lanes
        Lanes 9 to 15 of the blocks, (rows, 7): five limbs and two zeros, or seven limbs.
    values
        Chaining value by row, for the rows on which it is not the compression of the row before.
    totals_in
        Limbs of the totals before the batch, (capacity, 7).
    totals
        The totals table, (capacity, segments, 25): T, S, U, c.
    planted
        Nodes of the account tree with their 16 lanes, instead of what their children are.
    starts
        The public flag of the first batch.
    """

    def __init__(self, base: Base) -> None:
        shape, accounts = base.shape, base.accounts
        self.base = base
        self.shape = shape
        self.region = shape.holding_rows
        rows = shape.rows
        self.places = RowPlaces.of(shape, accounts)
        real, firsts, lasts = self.places.rows, self.places.firsts, self.places.lasts
        self.real, self.first, self.last, self.asset, self.slot = np.zeros((5, rows), np.int64)
        self.header = np.zeros(rows, np.int64)
        self.lanes = np.zeros((rows, TOTAL_LIMBS), np.int64)
        self.real[real] = 1
        self.first[firsts] = 1
        self.last[lasts] = 1
        self.asset[real] = accounts.assets
        self.lanes[real, :AMOUNT_LIMBS] = accounts.limbs
        self.slot[lasts] = np.arange(shape.slots)
        self.values: dict[int, Sequence[int]] = {
            int(row): value.tolist()
            for row, value in zip(firsts, accounts.commitments, strict=True)
        }
        for side, blind in enumerate((base.blind_in, base.blind_out)):
            start = self.side(side).start
            self.values[start] = blind
            self.first[start] = self.last[start + shape.capacity - 1] = 1
            self.asset[start : start + shape.capacity] = np.arange(shape.capacity)
        self.totals_in = np.array([limbs(v, TOTAL_LIMBS) for v in base.totals_in], np.int64)
        self.totals = np.zeros((shape.capacity, 1 << shape.log_segments, CARRIES.stop), np.int64)
        self.planted: dict[int, Sequence[int]] = {}
        self.starts = int(base.first)
        self.public: dict[str, list[int]] = {}
        self.finish()

    # ---- places

    def side(self, side: int) -> slice:
        """The rows of the digest region of one side."""
        start = self.region + side * self.shape.capacity
        return slice(start, start + self.shape.capacity)

    def rows_of(self, slot: int) -> list[int]:
        """The rows of an account."""
        return list(range(int(self.places.firsts[slot]), int(self.places.lasts[slot]) + 1))

    @property
    def unused(self) -> int:
        """The first row behind the last account."""
        return int(self.places.lasts[-1]) + 1

    # ---- changes that several cheats need

    def vacate(self, row: int) -> None:
        """Make a row one that is not real."""
        self.real[row] = self.first[row] = self.last[row] = self.asset[row] = self.slot[row] = 0
        self.lanes[row] = 0
        self.values.pop(row, None)

    def open_account(self, row: int, slot: int, value: Sequence[int], asset: int = 0) -> None:
        """A whole account on one row, without amounts."""
        self.real[row] = self.first[row] = self.last[row] = 1
        self.asset[row], self.slot[row] = asset, slot
        self.lanes[row] = 0
        self.values[row] = value

    # ---- steps

    def finish(self, keep: Sequence[str] = ()) -> Forgery:
        """Run all steps but those whose results the cheat has made itself."""
        for step in STEPS:
            if step not in keep:
                getattr(self, step)()
        return self

    def headers(self) -> None:
        tag = np.where(np.arange(self.shape.rows) < self.region, 8, 16)
        self.header = tag + 2 * self.first + 4 * self.last + 64 * self.asset

    def sums(self) -> None:
        """S: what the holdings of an asset in a segment amount to, limb by limb."""
        capacity, segments, _ = self.totals.shape
        sums = np.zeros((capacity, segments, AMOUNT_LIMBS), np.int64)
        rows = np.flatnonzero(
            (self.asset[: self.region] >= 0) & (self.asset[: self.region] < capacity)
        )
        key = (self.asset[rows], rows >> self.shape.log_segment)
        np.add.at(sums, key, self.lanes[rows, :AMOUNT_LIMBS])
        self.totals[:, :, SUMS] = sums

    def additions(self) -> None:
        """T, U and c from S and the totals before the batch; the top limb is not carried."""
        running = self.totals_in
        for segment in range(self.totals.shape[1]):
            row = self.totals[:, segment]
            row[:, :TOTAL_LIMBS] = running
            carry = np.zeros(len(row), np.int64)
            for j in range(TOTAL_LIMBS):
                added = row[:, SUMS.start + j] if j < AMOUNT_LIMBS else 0
                value = running[:, j] + added + carry
                if j == TOTAL_LIMBS - 1:
                    row[:, AFTER.start + j] = value
                else:
                    row[:, AFTER.start + j] = value & LIMB_MASK
                    row[:, CARRIES.start + j] = carry = value >> LIMB_BITS
            running = row[:, AFTER].copy()

    def shown_totals(self) -> None:
        """The blocks of the digest region."""
        self.lanes[self.side(0)] = self.totals[:, 0, :TOTAL_LIMBS]
        self.lanes[self.side(1)] = self.totals[:, -1, AFTER]

    def hashes(self) -> None:
        """Inputs and digests of all rows of the chain table."""
        blocks = np.concatenate([self.header[:, None], self.lanes], axis=1) % P
        rows = sorted(self.values)
        starts = np.zeros(self.shape.rows, np.uint8)
        starts[rows] = 1
        first_values = np.array([self.values[row] for row in rows], np.int64) % P
        inputs = chain(_kernel_form(blocks), starts, _kernel_form(first_values))
        self.inputs: Integers = from_montgomery(inputs).astype(np.int64)
        self.digests: Integers = digests(self.inputs)

    def tree(self) -> None:
        """The lanes of all inner nodes, (slots, 16), by number."""
        slots = self.shape.slots
        nodes = np.zeros((2 * slots, 8), np.int64)
        for row in np.flatnonzero(self.last[: self.region]):
            if 0 <= self.slot[row] < slots:
                nodes[slots + self.slot[row]] = self.digests[row]
        self.children: Integers = np.zeros((slots, 16), np.int64)
        level = slots
        while level > 1:
            level //= 2
            self.children[level : 2 * level] = nodes[2 * level : 4 * level].reshape(level, 16)
            for node, lanes in self.planted.items():
                if level <= node < 2 * level:
                    self.children[node] = np.array(lanes, np.int64) % P
            nodes[level : 2 * level] = digests(self.children[level : 2 * level])
        self.nodes: Integers = nodes

    def publics(self) -> None:
        ends = [self.side(side).stop - 1 for side in (0, 1)]
        self.public = {
            "chain": [self.starts, *(int(v) for row in ends for v in self.digests[row])],
            "tree": [int(v) for v in self.nodes[1]],
        }

    # ---- result

    def witness(self) -> Witness:
        """The traces; multiplicities are those of the honest witness until they are settled."""
        shape = self.shape
        extra = np.stack([self.real, self.first, self.last, self.asset, self.slot], axis=1)
        tree_inputs = np.zeros((1 << shape.log_tree_rows, 16), np.int64)
        tree_inputs[: shape.slots - 1] = self.children[1:]
        return Witness(
            {
                "chain": np.concatenate([honest_cells(self.inputs), extra % P], axis=1),
                "tree": honest_cells(tree_inputs),
                "totals": self.totals.reshape(-1, CARRIES.stop) % P,
                "range": self.base.honest.traces["range"],
            },
            self.public,
        )


def _kernel_form(values: NDArray[np.int64]) -> NDArray[np.uint32]:
    return to_montgomery(np.ascontiguousarray(values).astype(np.uint32))
