"""Choosing the shape and the number of batches for a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, log2, sqrt

import numpy as np
from numpy.typing import NDArray

from air.keys import shipped_shapes
from air.shape import LOG_RANGE, MAX_LOG_ROWS, Shape
from stark.errors import UsageError
from stark.gadgets.poseidon import CELLS

DEFAULT_MAX_LOG_ROWS = MAX_LOG_ROWS
"""Largest tables of a batch by default: all that there are; memory is another limit."""

DEVIATIONS = 6
"""Accounts fall into batches at random; a batch gets room for this many standard deviations more
rows than the mean, so that the placement fits at the first attempt but for one in 10^9."""

# Committed cells per row: columns, masks of terminals, auxiliary columns and
# quotient chunks, as base elements.
_CHAIN_CELLS = CELLS + 5 + 5 + 5 * 5 + 15
_TREE_CELLS = CELLS + 5 + 2 * 5 + 15
_TOTALS_CELLS = 25 + 5 + 12 * 5 + 15
_RANGE_CELLS = 2 + 5 + 5 + 10


BATCH_WEIGHT = 0.35
"""Time per cell of a batch that is joined, by that of one that is published: the blowup is 2
instead of 8, but its rows are hashed with Poseidon."""

JOIN_CELLS, WRAP_CELLS = 35 << 20, 40 << 20
"""Time of a join and of the wrap, in cells of a published batch."""


@dataclass(frozen=True)
class Plan:
    """How a snapshot is proven: ``batches`` proofs of one shape.

    A lean plan takes less memory per batch and more time (:func:`stark.prover.prove.prove`). An
    aggregated one publishes a single proof over its batches, which stay with the exchange.
    """

    shape: Shape
    batches: int
    lean: bool = False
    aggregated: bool = False

    @property
    def slots(self) -> int:
        return self.batches * self.shape.slots

    @property
    def cost(self) -> float:
        """What plans are compared by: committed cells, weighed with what they take.

        A batch of its own adds a proof to the file: twice as many have to save a quarter.
        """
        if self.aggregated:
            return BATCH_WEIGHT * self.cells + JOIN_CELLS * (self.batches - 1) + WRAP_CELLS
        return self.cells * (1 + log2(self.batches) / 4)

    @property
    def cells(self) -> int:
        """Committed cells of all batches: what time and memory follow."""
        shape = self.shape
        return self.batches * (
            shape.rows * _CHAIN_CELLS
            + (1 << shape.log_tree_rows) * _TREE_CELLS
            + (1 << (shape.log_capacity + shape.log_segments)) * _TOTALS_CELLS
            + (1 << LOG_RANGE) * _RANGE_CELLS
        )


@dataclass(frozen=True)
class _Spread:
    """How many rows accounts have beyond their first: what planning needs of an array of them."""

    accounts: int
    extra: int
    squares: float
    largest: int

    @classmethod
    def of(cls, rows_per_account: NDArray[np.int64]) -> _Spread:
        extra = rows_per_account - 1
        squares = float((extra.astype(np.float64) ** 2).sum())
        return cls(len(extra), int(extra.sum()), squares, int(extra.max(initial=0)))

    def margin(self, shape: Shape, batches: int) -> float:
        """Room for the spread of a batch's rows around their mean."""
        slots = shape.slots * batches
        mean = self.extra / slots
        variance = self.squares / slots - mean * mean
        return DEVIATIONS * sqrt(variance * shape.slots) + float(self.largest)


Fits = Callable[[Plan], bool]
"""Whether there is memory enough for a plan."""

Aggregates = Mapping[Shape, int]
"""The most batches that can be aggregated, by their shape."""


def fixed_plan(
    shape: Shape,
    batches: int | None,
    rows_per_account: NDArray[np.int64],
    assets: int,
    fits: Fits | None = None,
    aggregates: Aggregates | None = None,
) -> Plan:
    """A plan that the exchange chose beforehand, so that nothing public follows the snapshot.

    Parameters
    ----------
    batches
        ``None`` for as few as hold the snapshot.
    fits, aggregates
        As for :func:`make_plan`.

    Raises
    ------
    UsageError
        If the snapshot does not fit.
    """
    if shape not in shipped_shapes():
        raise UsageError(f"{shape.name} is not one of the shipped shapes")
    if assets > shape.capacity:
        raise UsageError(f"{shape.name} has room for {shape.capacity} assets, not for {assets}")
    needed = _batch_counts(shape, _Spread.of(rows_per_account), 1)
    if not needed or (batches is not None and batches < needed[0]):
        enough = f"{needed[0]} batches do" if needed else "no number of batches does"
        raise UsageError(f"the snapshot does not fit {batches or 1} of {shape.name}; {enough}")
    plan = _publishable(Plan(shape, needed[0] if batches is None else batches), aggregates)
    if plan is None:
        raise UsageError(
            f"{batches or needed[0]} batches of {shape.name} cannot be aggregated: no keys are "
            f"pinned for them; {_aggregable(aggregates)}"
        )
    chosen = _fitting(plan, fits)
    if chosen is None:
        raise UsageError(
            f"{plan.batches} of {shape.name} take more memory than is allowed; fewer "
            "--workers share it, or --memory allows more"
        )
    return chosen


def make_plan(
    rows_per_account: NDArray[np.int64],
    assets: int,
    max_log_rows: int = DEFAULT_MAX_LOG_ROWS,
    at_least: int = 1,
    fits: Fits | None = None,
    aggregates: Aggregates | None = None,
) -> Plan:
    """The cheapest plan of at least ``at_least`` batches, see :attr:`Plan.cost`.

    Parameters
    ----------
    rows_per_account
        Holdings of each account, one or more.
    assets
        Number of listed assets.
    max_log_rows
        No table is higher than 2^max_log_rows.
    fits
        Whether the memory for a plan is there; without it, there always is.
    aggregates
        Several batches are aggregated, which these can be; ``None`` to publish a proof of each.

    Raises
    ------
    UsageError
        If no shape within the limits fits.
    """
    spread = _Spread.of(rows_per_account)
    counted = [
        Plan(shape, batches)
        for shape in shipped_shapes()
        if shape.capacity >= assets and shape.log_rows <= max_log_rows
        for batches in _batch_counts(shape, spread, at_least)
    ]
    plans = [plan for one in counted if (plan := _publishable(one, aggregates)) is not None]
    if counted and not plans:
        raise UsageError(
            f"{len(rows_per_account)} accounts with {assets} assets take several batches, which "
            f"cannot be aggregated within 2^{max_log_rows} rows; {_aggregable(aggregates)}"
        )
    if not plans:
        raise UsageError(
            f"no shape of up to 2^{max_log_rows} rows fits {len(rows_per_account)} accounts "
            f"with {assets} assets"
        )
    allowed = [chosen for plan in plans if (chosen := _fitting(plan, fits)) is not None]
    if not allowed:
        least = min(plans, key=lambda plan: plan.shape.rows)
        raise UsageError(
            f"not enough memory: even {least.batches} batches of {least.shape.name} do not fit"
        )
    return min(allowed, key=lambda plan: (plan.cost, plan.batches))


def _publishable(plan: Plan, aggregates: Aggregates | None) -> Plan | None:
    """The plan, aggregated if it has several batches; ``None`` if they cannot be."""
    if aggregates is None or plan.batches == 1:
        return plan
    if plan.batches > aggregates.get(plan.shape, 0):
        return None
    return replace(plan, aggregated=True)


def _aggregable(aggregates: Aggregates | None) -> str:
    """What could be aggregated, and the way out."""
    shapes = [f"{count} of {shape.name}" for shape, count in (aggregates or {}).items()]
    possible = f"up to {', '.join(shapes)} can be" if shapes else "none can under this profile"
    return f"{possible}; without aggregation (--no-aggregate) every batch has a proof of its own"


def _fitting(plan: Plan, fits: Fits | None) -> Plan | None:
    """The plan, lean if it does not fit otherwise."""
    if fits is None or fits(plan):
        return plan
    lean = replace(plan, lean=True)
    return lean if fits(lean) else None


def _batch_counts(shape: Shape, spread: _Spread, at_least: int) -> list[int]:
    """The smallest number of batches of ``shape`` that hold all rows; none if none does."""
    accounts, extra = spread.accounts, spread.extra
    # Beyond its first row, which every slot has, a slot takes this many rows:
    free = shape.holding_rows - shape.slots
    batches = max(at_least, ceil(accounts / shape.slots))
    if free * batches < extra:
        if free == 0:
            return []
        batches = ceil(extra / free)
    while batches > 1 and extra / batches + spread.margin(shape, batches) > free:
        grown = batches + max(1, batches // 64)
        if grown > 64 * max(1, ceil(accounts / shape.slots)) + 64:
            return []
        batches = grown
    return [batches]
