"""Aggregated publications with stand-ins: a small STARK in the place of the wrap, and its keys.

The stand-in has the name and the public values of a wrap's table of permutations, fixed columns,
zero knowledge, and parameters far below any security. It says nothing about batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from air.aggregate.keys import AggregateKeys, PinnedCircuit
from air.context import Statement
from air.encoding import DIGEST_LANES
from air.publication import AggregatedPublication
from air.shape import Shape
from air.verification import aggregate_publics
from stark.constraints.air import Air, AirBuilder
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.recursion.system import CircuitShape
from stark.system import System
from stark.verifier.key import VerificationKey
from support.cheating import Seeded
from support.publications import PROFILE, SHAPE, context
from support.systems import parameters

LOG_HEIGHT = 6
LANES = [f"digest {lane}" for lane in range(DIGEST_LANES)]


class StandIn(Air):
    """Eight public values, and a column that is fixed for a kind of proof and a level."""

    name = "permutation"

    def __init__(self, factor: int) -> None:
        super().__init__(LOG_HEIGHT)
        self.factor = factor

    def eval(self, t: AirBuilder) -> None:
        fixed, own = t.preprocessed("fixed"), t.main("own")
        t.every_row("own is the fixed one", own - fixed)
        for name in LANES:
            cell = t.main(name)
            t.last_row(name, cell - t.public(name))

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"fixed": [self.factor * row for row in range(1 << LOG_HEIGHT)]}


@cache
def stand_in_key(factor: int) -> ProvingKey:
    system = System([StandIn(factor)], zk=True)
    # Work before the first challenge: a proof of other public values fails there. Proofs are the
    # same every time, so that none ever gets past it by chance, 1 in 2^16.
    chosen = parameters(zk=True, log_slack=1, queries=4, grinding_ali=16, log_blowup=3)
    return generate_key(system, chosen)


@dataclass(frozen=True)
class StandInKeys(AggregateKeys):
    """Keys of small systems in the place of those of batches and circuits."""

    def batch_key(self) -> VerificationKey:
        return stand_in_key(1).verification

    def join_key(self, level: int) -> VerificationKey:
        self._pinned(self.joins, level)
        return stand_in_key(100 + level).verification

    def wrap_key(self, levels: int) -> VerificationKey:
        self._pinned(self.wraps, levels)
        return stand_in_key(200 + levels).verification


CIRCUIT = PinnedCircuit(CircuitShape(15, 14, 12, 12, (5, 18), 18), bytes(range(32)))


def stand_in_keys(profile: str = PROFILE, shape: Shape = SHAPE, levels: int = 3) -> StandInKeys:
    return StandInKeys(profile, shape, bytes(range(32)), (CIRCUIT,) * levels, (CIRCUIT,) * levels)


def digest(first: int) -> tuple[int, ...]:
    return tuple(range(first, first + DIGEST_LANES))


def unproven(batches: int = 3, proof: bytes = b"nothing") -> AggregatedPublication:
    """A file of the right form."""
    statement = Statement(context(batches), (10, 20, 30), digest(1), batches)
    return AggregatedPublication(statement, digest(100), digest(200), proof)


@cache
def proven_aggregate(batches: int = 3) -> AggregatedPublication:
    """A file whose proof is one for the stand-in."""
    blank = unproven(batches)
    return AggregatedPublication(
        blank.statement, blank.blind, blank.digest_start, stand_in_proof(blank)
    )


def stand_in_proof(publication: AggregatedPublication, factor: int | None = None) -> bytes:
    """An honest proof of the public values and context that a publication implies."""
    levels = (publication.statement.batches - 1).bit_length()
    key = stand_in_key(200 + levels if factor is None else factor)
    publics = aggregate_publics(publication, SHAPE)
    values = publics.wrap_digest()
    rows = 1 << LOG_HEIGHT
    trace = {name: [value] * rows for name, value in zip(LANES, values, strict=True)}
    air = key.verification.system.tables[0].air
    trace["own"] = list(air.preprocessed()["fixed"])
    randomness = Seeded(b"aggregates")
    return prove(
        *(key, {"permutation": trace}, {"permutation": values}, publics.context),
        randomness=randomness,
    )
