"""The buses of a batch."""

from __future__ import annotations

from stark.constraints.bus import Bus

RANGE = Bus("range", width=1)
"""(v): v is a 15-bit integer."""

SUM = Bus(
    "sum",
    width=2,
    per_key_bound=(
        "a key (asset, segment) belongs to at most 2^14 rows, whose limbs are below 2^15: "
        "each sum is below 2^29"
    ),
)
"""(asset, segment), counted with vectors of limbs: the sums of a segment's holdings of an asset."""

NODE = Bus("node", width=9)
"""(id, digest): a node of the account tree."""

TOTAL = Bus("total", width=9)
"""(side, asset, 7 limbs): a running total before (side 0) or after (side 1) the batch."""
