"""Aggregates of real batches, from accounts to the file, under a profile of next to no security."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

import pytest

from air.aggregate import keys
from air.aggregate.key_table import rebuild_aggregates
from air.aggregate.keys import AggregateKeys, ShippedAggregate
from air.aggregate.publics import aggregate_context
from air.aggregate.run import prove_aggregate
from air.context import Context, Statement
from air.encoding import Digest
from air.publication import AggregatedPublication
from air.shape import Shape
from air.tree import upper_levels
from air.witness import Batch, prepare_batch
from stark.hash.poseidon import POSEIDON1
from stark.soundness.search import PROFILES, Profile, Role
from support.publications import REGISTRY, SHAPE, accounts
from support.publications import context as published_context

TINY = "tiny"
LEVELS = 2

_INNER = Role(
    regime="udr",
    log_blowup=1,
    batching="powers",
    log_final_length=3,
    hash_suite=POSEIDON1.name,
    grinding_query=0,
)
_PROFILE = Profile(
    TINY,
    4,
    {
        "batch": _INNER,
        "join": replace(_INNER, log_blowup=3),
        "wrap": Role(
            regime="jbr",
            log_blowup=3,
            batching="independent",
            zk=True,
            log_slack=4,
            grinding_query=0,
        ),
    },
)


@contextmanager
def tiny_profile() -> Iterator[None]:
    """The profile exists, and the keys of its aggregates are pinned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "PROFILES", MappingProxyType({**PROFILES, TINY: _PROFILE}))
        pins = {(TINY, SHAPE): tiny_keys()}
        patch.setattr(keys, "pinned_aggregates", lambda: pins)
        yield


@cache
def tiny_keys() -> AggregateKeys:
    """The keys, made from source."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "PROFILES", MappingProxyType({**PROFILES, TINY: _PROFILE}))
        (made,) = rebuild_aggregates(wanted=(ShippedAggregate(TINY, SHAPE, LEVELS),))
    return made


def context(batches: int, shape: Shape = SHAPE) -> Context:
    return replace(published_context(batches), policy=TINY)


@dataclass(frozen=True)
class Snapshot:
    """Batches of a snapshot, and what their prover knows."""

    batches: tuple[Batch, ...]
    blinds: tuple[Digest, ...]

    @property
    def statement(self) -> Statement:
        totals = tuple(self.batches[-1].totals_out[: len(REGISTRY)])
        root = upper_levels([batch.root for batch in self.batches])[-1][0]
        count = len(self.batches)
        return Statement(context(count), totals, root, count)


@cache
def snapshot(count: int, blind: int = 100) -> Snapshot:
    blinds = tuple(tuple(blind * number + lane for lane in range(8)) for number in range(count + 1))
    totals = [0] * SHAPE.capacity
    batches = []
    for number in range(count):
        pair = blinds[number : number + 2]
        batches.append(prepare_batch(SHAPE, accounts(number), totals, *pair, number == 0))
        totals = batches[-1].totals_out
    return Snapshot(tuple(batches), blinds)


def bound_to(statement: Statement) -> bytes:
    return aggregate_context(statement.context.digest(), statement.digest())


@cache
def tiny_publication(count: int) -> AggregatedPublication:
    """An honest publication of so many batches."""
    one = snapshot(count)
    statement = one.statement
    with tiny_profile():
        proof = prove_aggregate(
            one.batches,
            SHAPE,
            TINY,
            bound_to(statement),
        )
    return AggregatedPublication(statement, one.blinds[-1], one.batches[0].digest_in, proof)
