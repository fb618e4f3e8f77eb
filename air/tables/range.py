"""The range table: the integers 0 ... 2^15 - 1, each with the number of its look-ups."""

from __future__ import annotations

from air.shape import LOG_RANGE
from air.tables.buses import RANGE
from stark.constraints.air import Air, AirBuilder


class RangeAir(Air):
    """Values count up from zero: the last row holds 2^15 - 1."""

    name = "range"

    def __init__(self) -> None:
        super().__init__(LOG_RANGE)

    def eval(self, t: AirBuilder) -> None:
        value, multiplicity = t.main("value"), t.main("multiplicity")
        t.first_row("values start at zero", value)
        t.transition("values count up", value.next - value - 1)
        t.receive(RANGE, [value], count=multiplicity, bound=None, label="a value of the range")
