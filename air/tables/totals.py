"""The totals table: running totals per asset, one row per (asset, segment).

T is the total before the segment, S the segment's sum (one value per limb, not carried), U the
total after it: T + S = U as integers in base 2^15, with carries c.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from air.registry import AMOUNT_LIMBS, LIMB_BITS, TOTAL_LIMBS
from air.shape import Shape
from air.tables.buses import RANGE, SUM, TOTAL
from stark.constraints.air import Air, AirBuilder


class TotalsAir(Air):
    """See the module.

    Why the limb equations T_j + S_j + c_{j-1} = U_j + 2^15 c_j, which hold mod p, hold over the
    integers: T_j, U_j and c_j are looked up, hence below 2^15; S_j equals, mod p, a sum of at most
    2^14 limbs below 2^15, so the representative below p is that sum and below 2^29. The left side
    is below 2^29 + 2^16, the right side below 2^30 + 2^15; both are below p.
    """

    name = "totals"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.log_capacity + shape.log_segments)
        self.shape = shape

    def eval(self, t: AirBuilder) -> None:
        asset, segment = t.preprocessed("asset"), t.preprocessed("segment")
        begin, end = t.preprocessed("begin"), t.preprocessed("end")
        before = t.main_array("T", TOTAL_LIMBS)
        sums = t.main_array("S", AMOUNT_LIMBS)
        after = t.main_array("U", TOTAL_LIMBS)
        carries = t.main_array("c", TOTAL_LIMBS - 1)

        carry_in = [t.constant(0), *carries]
        carry_out = [*carries, t.constant(0)]
        added = [*sums, *(t.constant(0) for _ in range(TOTAL_LIMBS - AMOUNT_LIMBS))]
        t.every_row(
            "T + S = U",
            *(
                before[j] + added[j] + carry_in[j] - after[j] - carry_out[j] * (1 << LIMB_BITS)
                for j in range(TOTAL_LIMBS)
            ),
        )
        t.every_row(
            "totals run on within an asset",
            *((1 - end) * (before[j].next - after[j]) for j in range(TOTAL_LIMBS)),
        )
        for name, cells in (("T", before), ("U", after), ("c", carries)):
            for number, cell in enumerate(cells):
                t.send(RANGE, [cell], label=f"{name}{number} is in range")
        t.receive(SUM, [asset, segment], count=sums, bound=None, label="the segment's sums")
        t.send(TOTAL, [0, asset, *before], count=begin, label="the total before the batch")
        t.send(TOTAL, [1, asset, *after], count=end, label="the total after the batch")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        segments = 1 << self.shape.log_segments
        assets = range(self.shape.capacity)
        first = array("I", [1] + [0] * (segments - 1))
        last = array("I", [0] * (segments - 1) + [1])
        return {
            "asset": array("I", [asset for asset in assets for _ in range(segments)]),
            "segment": array("I", range(segments)) * self.shape.capacity,
            "begin": first * self.shape.capacity,
            "end": last * self.shape.capacity,
        }
