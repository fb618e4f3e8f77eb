"""Shapes of a batch: how many rows, leaf slots and assets its tables hold.

A shape is part of the verification key: heights are fixed, whatever a snapshot needs of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stark.errors import UsageError

MAX_LOG_SEGMENT = 14
"""log2 of the most rows of a segment. Its sum of limbs below 2^15 stays below 2^29 < p."""

LOG_RANGE = 15
"""Bits of a limb; the range table has a row for each value."""

MIN_LOG_HEIGHT = 12
"""log2 of the smallest table. Masks take a part of a table's degree bound that is the same for all
tables; in shorter ones they would find no room."""

MIN_LOG_ROWS, MAX_LOG_ROWS = 12, 20
LOG_CAPACITIES = (9, 12, 14)
"""Asset capacities on offer: 512, 4,096 and 16,384 listed assets."""

MIN_LOG_SLOTS = 5
"""The smallest tree; smaller snapshots are padded with empty slots."""


@dataclass(frozen=True, order=True)
class Shape:
    """Heights of a batch's tables.

    Parameters
    ----------
    log_rows
        log2 of the rows of the chain table: a row per holding or empty slot, and two rows per asset
        for the digests of the running totals.
    log_slots
        log2 of the number of leaf slots.
    log_capacity
        log2 of the number of assets.

    Raises
    ------
    UsageError
        If a value is out of range or the tables cannot hold one row per slot.
    """

    log_rows: int
    log_slots: int
    log_capacity: int

    def __post_init__(self) -> None:
        if not MIN_LOG_ROWS <= self.log_rows <= MAX_LOG_ROWS:
            raise UsageError(f"log_rows must be in {MIN_LOG_ROWS} ... {MAX_LOG_ROWS}")
        if self.log_capacity not in LOG_CAPACITIES:
            raise UsageError(f"log_capacity must be one of {LOG_CAPACITIES}")
        if not MIN_LOG_SLOTS <= self.log_slots < self.log_rows:
            raise UsageError(f"log_slots must be in {MIN_LOG_SLOTS} ... {self.log_rows - 1}")
        if self.holding_rows < self.slots:
            raise UsageError(f"{self}: every slot needs a row, only {self.holding_rows} are left")

    @classmethod
    def named(cls, name: str) -> Shape:
        """The shape with this name, for example ``rows15-slots12-assets9``.

        Raises ``UsageError`` for any other text.
        """
        match = re.fullmatch(r"rows([0-9]{1,2})-slots([0-9]{1,2})-assets([0-9]{1,2})", name)
        if match is None:
            raise UsageError(f"{name!r} is no shape; a shape is like rows15-slots12-assets9")
        log_rows, log_slots, log_capacity = (int(part) for part in match.groups())
        return cls(log_rows, log_slots, log_capacity)

    @property
    def rows(self) -> int:
        return 1 << self.log_rows

    @property
    def slots(self) -> int:
        return 1 << self.log_slots

    @property
    def capacity(self) -> int:
        return 1 << self.log_capacity

    @property
    def holding_rows(self) -> int:
        """Rows of the chain table for holdings; the rest holds two digests of all totals."""
        return self.rows - 2 * self.capacity

    @property
    def log_segments(self) -> int:
        """log2 of the number of segments: each has at most 2^14 rows, and the totals table, with a
        row per asset and segment, has the least height."""
        return max(0, self.log_rows - MAX_LOG_SEGMENT, MIN_LOG_HEIGHT - self.log_capacity)

    @property
    def log_segment(self) -> int:
        """log2 of the rows of a segment."""
        return self.log_rows - self.log_segments

    @property
    def log_tree_rows(self) -> int:
        """log2 of the rows of the tree table."""
        return max(self.log_slots, MIN_LOG_HEIGHT)

    @property
    def name(self) -> str:
        return f"rows{self.log_rows}-slots{self.log_slots}-assets{self.log_capacity}"
