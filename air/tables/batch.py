"""The system of tables that proves one batch."""

from __future__ import annotations

from functools import cache

from air.shape import Shape
from air.tables.chain import ChainAir
from air.tables.range import RangeAir
from air.tables.totals import TotalsAir
from air.tables.tree import TreeAir
from stark.system import System


@cache
def batch_system(shape: Shape, zk: bool = False, whole_rows: bool = False) -> System:
    """The tables of a batch: chain, tree, totals and range, in this order.

    With ``zk`` they have what hides the witness, as everything published does; with ``whole_rows``
    what circuits that verify them ask for.
    """
    return System([ChainAir(shape), TreeAir(shape), TotalsAir(shape), RangeAir()], zk, whole_rows)
