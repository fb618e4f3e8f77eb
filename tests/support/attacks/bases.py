"""Honest batches that cheats start from, made once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from air.encoding import AMOUNT_LIMBS, limbs
from air.shape import Shape
from air.tables.batch import batch_system
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.constraints.expression import Part
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery
from stark.system import System
from support.attacks.forgery import Forgery
from support.attacks.oracle import Oracle, Witness

SMALL = Shape(12, 5, 9)
"""The smallest shape: 3,072 rows of holdings in six segments, 32 slots, 512 assets."""

TALL = Shape(14, 7, 9)
"""Its last segment holds holdings as well as digests."""

Holdings = Sequence[tuple[int, int]]
"""(asset, amount) of one account."""

LARGEST = (1 << 75) - 1
RICH_ASSET, RICH_SLOTS = 7, (4, 5)
"""Two accounts hold the largest amount of one asset, in the first segment."""

COMMON_ASSET, COMMON_SLOTS = 0, (2, 3)
"""Two accounts hold this asset and nothing else, in the first segment."""

UNHELD_ASSET = 511
"""Nobody holds it in the bases ``first`` and ``middle``."""


@dataclass(frozen=True)
class Base:
    """A batch and what its witness needs."""

    shape: Shape
    accounts: BatchAccounts
    totals_in: list[int]
    blind_in: tuple[int, ...]
    blind_out: tuple[int, ...]
    first: bool

    @cached_property
    def batch(self) -> Batch:
        return prepare_batch(
            self.shape, self.accounts, self.totals_in, self.blind_in, self.blind_out, self.first
        )

    @property
    def system(self) -> System:
        return batch_system(self.shape)

    @cached_property
    def honest(self) -> Witness:
        return witness_of(self.batch)

    @cached_property
    def oracle(self) -> Oracle:
        return Oracle(self.system, self.honest)

    def forgery(self) -> Forgery:
        return Forgery(self)


def witness_of(batch: Batch) -> Witness:
    """The prover's traces as integers."""
    widths = {table.name: table.width(Part.MAIN) for table in batch_system(batch.shape).tables}
    traces = {
        name: from_montgomery(trace.matrix)[:, : widths[name]].astype(np.int64)
        for name, trace in batch.traces().items()
    }
    return Witness(traces, batch.publics)


def make_base(
    shape: Shape,
    holdings: Sequence[Holdings],
    totals_in: Sequence[int] | None = None,
    seed: int = 1,
) -> Base:
    """Accounts in slot order; the slots behind them are empty. The first batch unless it begins
    with totals."""
    source = random.Random(seed)
    return Base(
        shape,
        batch_accounts(shape, holdings, source),
        list(totals_in or [0] * shape.capacity),
        random_digest(source),
        random_digest(source),
        first=totals_in is None,
    )


def batch_accounts(
    shape: Shape, holdings: Sequence[Holdings], source: random.Random
) -> BatchAccounts:
    """What the witness of a batch is made from, with random commitments."""
    slots = [*holdings, *([(0, 0)] for _ in range(shape.slots - len(holdings)))]
    rows = [holding for account in slots for holding in account]
    return BatchAccounts(
        commitments=np.array([random_digest(source) for _ in slots], np.uint32),
        offsets=np.cumsum([0, *(len(account) for account in slots)]),
        assets=np.array([asset for asset, _ in rows], np.int64),
        limbs=np.array([limbs(amount, AMOUNT_LIMBS) for _, amount in rows], np.int64),
    )


def random_digest(source: random.Random) -> tuple[int, ...]:
    return tuple(source.randrange(P) for _ in range(8))


def _usual_holdings(source: random.Random, bits: int) -> list[Holdings]:
    """Accounts of all kinds. Every limb of an amount is below 2^bits and not zero."""

    def some(*assets: int) -> list[tuple[int, int]]:
        return [
            (asset, sum(source.randrange(1, 1 << bits) << (15 * j) for j in range(AMOUNT_LIMBS)))
            for asset in assets
        ]

    rich = [(RICH_ASSET, LARGEST if bits == 15 else 1)]
    return [
        some(0, 1, 2),
        some(3, 4),
        *(some(COMMON_ASSET) for _ in COMMON_SLOTS),
        *(rich for _ in RICH_SLOTS),
        some(5, 6),
        some(5, 6),
        some(8, 9, 10),
        some(8, 9, 10),
        some(*range(UNHELD_ASSET)),
        some(*range(0, UNHELD_ASSET, 2)),
        some(1, 509),
        some(*range(UNHELD_ASSET)),
    ]


@cache
def base(name: str) -> Base:
    """A base by name.

    ``first``   the first batch; small limbs, so that no value near 2^15 is looked up
    ``middle``  a later batch: totals before it of all sizes
    ``full``    a batch whose every row is used
    ``tall``    three segments of holdings more; one total ends at 2^105 - 1
    """
    source = random.Random(name)
    if name == "first":
        return make_base(SMALL, _usual_holdings(source, 6))
    if name == "middle":
        totals = [source.randrange(1 << source.randrange(1, 105)) for _ in range(SMALL.capacity)]
        totals[UNHELD_ASSET] = totals[COMMON_ASSET] = source.randrange(1 << 74)
        totals[1] = 1 << 100
        return make_base(SMALL, _usual_holdings(source, 15), totals)
    if name == "full":
        per_account = SMALL.holding_rows // SMALL.slots
        accounts = [
            [(asset, source.randrange(1 << 75)) for asset in range(slot, slot + per_account)]
            for slot in range(SMALL.slots)
        ]
        return make_base(SMALL, accounts)
    totals = [0] * TALL.capacity
    totals[RICH_ASSET] = (1 << 105) - 1 - 2 * LARGEST
    return make_base(TALL, _usual_holdings(source, 15)[:6], totals)
