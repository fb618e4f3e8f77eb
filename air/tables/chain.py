"""The chain table: every holding of the batch, hashed on the row where it is summed.

A row is one block of a hash chain. In the *holding region* a chain is an account: its first
chaining value is the account's commitment, its blocks are the holdings, its last digest is a leaf
of the account tree. The limbs that are range-checked and summed are the very lanes that are hashed.
The last rows, the *digest region*, hold two more chains: the running totals of all assets before
(side 0) and after (side 1) this batch, blinded by their first chaining values.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from air.encoding import (
    ASSET_WEIGHT,
    FIRST_WEIGHT,
    HASH,
    HOLDING_TAG,
    LAST_WEIGHT,
    TOTALS_TAG,
)
from air.registry import AMOUNT_LIMBS
from air.shape import Shape
from air.tables.buses import NODE, RANGE, SUM, TOTAL
from stark.constraints.air import Air, AirBuilder
from stark.gadgets.poseidon import poseidon_permutation

HEADER = 8
"""The lane of tag, flags and asset; limbs follow it."""

EXTRA_COLUMNS = ("real", "first", "last", "asset", "slot")
"""Main columns after the permutation's cells."""


class ChainAir(Air):
    """See the module. ``h`` below is 1 in the holding region and 0 in the digest region."""

    name = "chain"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.log_rows)
        self.shape = shape

    def eval(self, t: AirBuilder) -> None:
        segment = t.preprocessed("segment")
        region = t.preprocessed("region")
        side = t.preprocessed("side")
        fixed_asset = t.preprocessed("fixed asset")
        fixed_first = t.preprocessed("fixed first")
        fixed_last = t.preprocessed("fixed last")
        within = t.preprocessed("this and the next row hold")
        ending = t.preprocessed("last holding row")
        permutation = poseidon_permutation(t, HASH)
        x, compressed = permutation.inputs, permutation.compressed
        real, first, last, asset, slot = (t.main(name) for name in EXTRA_COLUMNS)
        starts = t.public("starts from zero")
        digest_in = t.public_array("digest in", 8)
        digest_out = t.public_array("digest out", 8)
        holding = 1 - region
        amount = x[HEADER + 1 : HEADER + 1 + AMOUNT_LIMBS]

        # Flags. A chain that is open on row r must go on at r + 1 (`within`), and none is open at
        # the end of the holding region: whatever is summed is in a leaf that is sent on.
        t.every_row("flags are boolean", *(flag * (flag - 1) for flag in (real, first, last)))
        t.first_row("row 0 starts an account", first - 1, real - 1)
        t.every_row(
            "rows that are not real are empty",
            *(holding * (1 - real) * value for value in (first, last, *amount)),
        )
        t.every_row("accounts are contiguous", within * (last - first.next - real + real.next))
        t.every_row("the last account is complete", ending * (last - real))

        # Hashing. On all rows, cyclically: a chaining value is free on first rows alone.
        t.every_row(
            "the chaining value continues",
            *((1 - first.next) * (x[j].next - compressed[j]) for j in range(8)),
        )
        # Flags are boolean and the asset, looked up on every row, is below 2^15: lane 8 has one
        # reading.
        tag = HOLDING_TAG + (TOTALS_TAG - HOLDING_TAG) * region
        t.every_row(
            "tag, flags and asset are the header lane",
            tag + FIRST_WEIGHT * first + LAST_WEIGHT * last + ASSET_WEIGHT * asset - x[HEADER],
        )
        t.every_row("unused lanes are zero", holding * x[14], holding * x[15])

        # Digest region: both chains run over all assets, from first to last, unbroken.
        t.every_row(
            "the digest region is fixed",
            region * (first - fixed_first),
            region * (last - fixed_last),
            region * (asset - fixed_asset),
            region * real,
        )
        t.every_row(
            "the digest before the batch",
            *(fixed_last * (1 - side) * (compressed[j] - digest_in[j]) for j in range(8)),
        )
        t.every_row(
            "the digest after the batch",
            *(fixed_last * side * (compressed[j] - digest_out[j]) for j in range(8)),
        )
        t.every_row(
            "the first batch starts from zero",
            *(starts * region * (1 - side) * limb for limb in x[HEADER + 1 :]),
        )

        # Buses. Every count is boolean on every row by the constraints above.
        for number, limb in enumerate(amount):
            t.send(RANGE, [limb], label=f"limb {number} is in range")
        t.send(RANGE, [asset], label="the asset is in range")
        t.send(
            RANGE,
            [asset.next - asset - 1],
            count=holding * (real - last),
            label="assets of an account increase",
        )
        t.send(
            SUM,
            [asset, segment],
            count=[holding * limb for limb in amount],
            label="amounts are summed",
        )
        t.send(
            NODE,
            [slot + self.shape.slots, *compressed],
            count=holding * last,
            label="the account's leaf",
        )
        t.receive(
            TOTAL,
            [side, fixed_asset, *x[HEADER + 1 :]],
            count=region,
            label="running totals",
        )

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        shape = self.shape
        holding_rows, capacity = shape.holding_rows, shape.capacity
        segments = array("I")
        for segment in range(1 << shape.log_segments):
            segments += array("I", [segment]) * (1 << shape.log_segment)

        def columns(holding: array[int], run: array[int], other_run: array[int]) -> array[int]:
            return holding + run + other_run

        zero, one = array("I", [0]), array("I", [1])
        rest = zero * (capacity - 1)
        assets = array("I", range(capacity))
        none = zero * holding_rows
        return {
            "segment": segments,
            "region": columns(none, one * capacity, one * capacity),
            "side": columns(none, zero * capacity, one * capacity),
            "fixed asset": columns(none, assets, assets),
            "fixed first": columns(none, one + rest, one + rest),
            "fixed last": columns(none, rest + one, rest + one),
            "this and the next row hold": columns(
                one * (holding_rows - 1) + zero, zero * capacity, zero * capacity
            ),
            "last holding row": columns(
                zero * (holding_rows - 1) + one, zero * capacity, zero * capacity
            ),
        }
