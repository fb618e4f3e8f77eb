"""A publication of two batches as everybody makes and checks it: pinned keys, full security."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.cheating import Seeded
from support.checks import check, check_equal
from support.publications import REGISTRY
from support.publications import context as small_context

from air.aggregate.inner import InnerProof
from air.aggregate.publics import aggregate_context
from air.aggregate.run import prove_aggregate
from air.aggregate.tasks import batch_task, release_key, wrap_task
from air.context import Shape as ContextShape
from air.context import Statement
from air.publication import AggregatedPublication
from air.runs.scheduler import MemoryStore
from air.runs.tree import NodeId
from air.runs.workers import LocalPool
from air.shape import Shape
from air.tree import upper_levels
from air.verification import verify_publication
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.errors import Code, Rejected
from stark.field.koalabear import P

PROFILE = "proven128"
SMALLEST = Shape(14, 12, 9)
"""Of those with pinned keys."""


def batches() -> list[Batch]:
    """4,096 accounts with two holdings each, then an empty batch but for one account."""
    slots = SMALLEST.slots
    totals, result = [0] * SMALLEST.capacity, []
    for number in range(2):
        generator = np.random.default_rng(number)
        limbs = generator.integers(0, 1 << 15, (2 * slots, 5))
        if number:
            limbs[2:] = 0
        rows = BatchAccounts(
            commitments=generator.integers(0, P, (slots, 8)).astype(np.uint32),
            offsets=2 * np.arange(slots + 1),
            assets=np.tile(np.array([0, 1], np.int64), slots),
            limbs=limbs,
        )
        blinds = [tuple(range(50 * n + 1, 50 * n + 9)) for n in (number, number + 1)]
        result.append(prepare_batch(SMALLEST, rows, totals, blinds[0], blinds[1], number == 0))
        totals = result[-1].totals_out
    return result


def test_two_batches_with_the_pinned_keys() -> None:
    own = batches()
    shape = ContextShape(SMALLEST.log_rows, SMALLEST.log_slots, SMALLEST.capacity)
    context = replace(small_context(2), policy=PROFILE, shape=shape, depth=SMALLEST.log_slots + 1)
    root = upper_levels([batch.root for batch in own])[-1][0]
    statement = Statement(context, tuple(own[-1].totals_out[: len(REGISTRY)]), root, 2)
    bound = aggregate_context(context.digest(), statement.digest())
    kept, seeded = MemoryStore(), Seeded(b"pinned")
    with LocalPool(2, 1) as workers:
        proof = prove_aggregate(
            own, SMALLEST, PROFILE, bound, kept=kept, workers=workers, randomness=seeded
        )
    # Proofs that other processes made are those that this one makes, byte for byte.
    join = kept.proofs[NodeId(1, 0)]
    wrap = wrap_task(PROFILE, SMALLEST, 1, join, randomness=seeded)
    check(InnerProof.decode(wrap).proof == proof, "the wrap")
    batch = batch_task(PROFILE, SMALLEST, 1, own[1], bound, False)
    check(batch == kept.proofs[NodeId(0, 1)], "a batch")
    release_key()
    publication = AggregatedPublication(statement, tuple(range(101, 109)), own[0].digest_in, proof)
    accepted = verify_publication(publication.encode(), statement.digest(), (PROFILE,))
    check_equal(accepted.statement, statement)
    aggregate = accepted.aggregate
    check(aggregate is not None and aggregate.pinned, "pinned")
    if aggregate is not None:
        # Every round of every layer reaches the profile's target.
        check(aggregate.minimum >= 128, str(aggregate.minimum))
    check(len(proof) < 300 << 10, f"{len(proof)} bytes are published")
    lower = (statement.totals[0] - 1, *statement.totals[1:])
    forged = replace(publication, statement=replace(statement, totals=lower))
    try:
        verify_publication(forged.encode(), None, (PROFILE,))
    except Rejected as rejected:
        check(rejected.code in (Code.POW, Code.OOD), str(rejected))
    else:
        raise AssertionError("a false total is accepted")
