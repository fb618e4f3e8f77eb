"""Small publications with real proofs, and publications of nothing but form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from air.context import Context, Statement
from air.context import Shape as ContextShape
from air.encoding import Digest
from air.keys import profile_parameters
from air.publication import MAGIC, BatchProof, Publication
from air.registry import Asset, Registry
from air.shape import Shape
from air.tables.batch import batch_system
from air.tree import upper_levels
from air.verification import batch_contexts
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.field.koalabear import P
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove

PROFILE = "proven100"
SHAPE = Shape(12, 5, 9)
REGISTRY = Registry((Asset("BTC", 8), Asset("ETH", 18), Asset("USDT", 6)))


@dataclass(frozen=True)
class Proven:
    """A publication, and the secrets that its prover knows."""

    publication: Publication
    batches: tuple[Batch, ...]
    blinds: tuple[Digest, ...]

    @property
    def data(self) -> bytes:
        return self.publication.encode()


@cache
def proving_key() -> ProvingKey:
    return generate_key(batch_system(SHAPE, zk=True), profile_parameters(PROFILE, SHAPE))


def accounts(seed: int) -> BatchAccounts:
    """32 accounts with two holdings each, amounts below 2^75."""
    generator = np.random.default_rng(seed)
    slots = SHAPE.slots
    return BatchAccounts(
        commitments=generator.integers(0, P, (slots, 8)).astype(np.uint32),
        offsets=2 * np.arange(slots + 1),
        assets=np.tile(np.array([0, 1], np.int64), slots),
        limbs=generator.integers(0, 1 << 15, (2 * slots, 5)),
    )


def context(batches: int) -> Context:
    levels = (batches - 1).bit_length()
    return Context(
        kind="spot",
        exchange="Example Exchange",
        time="2026-01-31T00:00:00Z",
        epoch=7,
        nonce=bytes(range(32)),
        previous=bytes(32),
        registry=REGISTRY,
        shape=ContextShape(SHAPE.log_rows, SHAPE.log_slots, SHAPE.capacity),
        depth=SHAPE.log_slots + levels,
        policy=PROFILE,
    )


def statement_of(batches: tuple[Batch, ...] | list[Batch]) -> Statement:
    """What the batches establish."""
    totals = tuple(batches[-1].totals_out[: len(REGISTRY)])
    root = upper_levels([batch.root for batch in batches])[-1][0]
    return Statement(context(len(batches)), totals, root, len(batches))


def prove_batch(statement: Statement, number: int, batch: Batch) -> BatchProof:
    proof = prove(proving_key(), batch.traces(), batch.publics, batch_contexts(statement)[number])
    return BatchProof(batch.digest_out, batch.root, proof)


@cache
def proven(count: int) -> Proven:
    """An honest publication of ``count`` batches."""
    blinds = tuple(tuple(100 * number + lane for lane in range(8)) for number in range(count + 1))
    totals = [0] * SHAPE.capacity
    batches = []
    for number in range(count):
        pair = blinds[number : number + 2]
        batch = prepare_batch(SHAPE, accounts(number), totals, *pair, number == 0)
        totals = batch.totals_out
        batches.append(batch)
    statement = statement_of(batches)
    proofs = tuple(prove_batch(statement, number, batch) for number, batch in enumerate(batches))
    publication = Publication(statement, blinds[-1], batches[0].digest_in, proofs)
    return Proven(publication, tuple(batches), blinds)


def hollow(batches: int = 3, size: int = 40) -> Publication:
    """A publication of correct form whose proofs are ``size`` bytes of nothing."""
    digests = [tuple(range(8 * n, 8 * n + 8)) for n in range(2 * batches + 2)]
    parts = tuple(
        BatchProof(digests[2 * n], digests[2 * n + 1], bytes([n]) * size) for n in range(batches)
    )
    statement = Statement(context(batches), (1, 2, 3), digests[-1], batches)
    return Publication(statement, digests[-2], digests[-1], parts)


def with_statement(data: bytes, statement: bytes) -> bytes:
    """The file with other bytes in place of its statement, and their length."""
    start = len(MAGIC) + 2
    length = int.from_bytes(data[start : start + 4], "little")
    head = data[:start] + len(statement).to_bytes(4, "little")
    return head + statement + data[start + 4 + length :]


def with_batch(publication: Publication, number: int, **changes: object) -> Publication:
    """The publication with something else in one batch."""
    batches = list(publication.batches)
    batches[number] = replace(batches[number], **changes)  # type: ignore[arg-type]
    return replace(publication, batches=tuple(batches))
