"""Batches hashed, and the statement that they make: all that is fixed before the first proof."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from air.context import Context, Statement
from air.context import Shape as ContextShape
from air.encoding import Digest
from air.placing import PlacedAccounts
from air.planning import Plan
from air.publication import AggregatedPublication, BatchProof, Publication
from air.run_costs import HASHING
from air.runs.seed import RunSeed
from air.snapshot.table import Snapshot
from air.tree import upper_levels
from air.witness import Batch, prepare_batch

Report = Callable[[str, int, int], None]
"""Called with a phase, the number of steps done in it and their total."""


@dataclass(frozen=True)
class PreparedBatches:
    """What is proven.

    Attributes
    ----------
    batches
        In order, with their trees.
    blind
        First chaining value of the digest of the totals after the last batch; it is published.
    """

    plan: Plan
    statement: Statement
    batches: list[Batch]
    blind: Digest

    @property
    def digest_start(self) -> Digest:
        """The digest of the totals before the first batch, which are zero."""
        return self.batches[0].digest_in

    def aggregated(self, proof: bytes) -> AggregatedPublication:
        """The publication of one proof over all batches."""
        return AggregatedPublication(self.statement, self.blind, self.digest_start, proof)

    def published(self, proofs: Sequence[bytes]) -> Publication:
        """The publication of a proof per batch."""
        parts = tuple(
            BatchProof(batch.digest_out, batch.root, proof)
            for batch, proof in zip(self.batches, proofs, strict=True)
        )
        return Publication(self.statement, self.blind, self.digest_start, parts)


def prepare_batches(
    snapshot: Snapshot,
    placed: PlacedAccounts,
    nonce: bytes,
    profile: str,
    seed: RunSeed,
    report: Report,
) -> PreparedBatches:
    """Hash placed accounts, blinds derived from ``seed``. Nothing is checked here."""
    plan = placed.plan
    totals = [0] * plan.shape.capacity
    batches: list[Batch] = []
    for number, accounts in enumerate(placed.batches):
        report(HASHING, number, plan.batches)
        blinds = (seed.blind(number), seed.blind(number + 1))
        batch = prepare_batch(plan.shape, accounts, totals, *blinds, number == 0)
        totals = batch.totals_out
        batches.append(batch)
    statement = _statement(snapshot, plan, nonce, profile, totals, batches)
    return PreparedBatches(plan, statement, batches, seed.blind(plan.batches))


def _statement(
    snapshot: Snapshot,
    plan: Plan,
    nonce: bytes,
    profile: str,
    totals: list[int],
    batches: list[Batch],
) -> Statement:
    manifest = snapshot.manifest
    levels = upper_levels([batch.root for batch in batches])
    context = Context(
        kind=manifest.kind,
        exchange=manifest.exchange,
        time=manifest.time,
        epoch=manifest.epoch,
        nonce=nonce,
        previous=manifest.previous,
        registry=manifest.registry,
        shape=ContextShape(plan.shape.log_rows, plan.shape.log_slots, plan.shape.capacity),
        depth=plan.shape.log_slots + len(levels) - 1,
        policy=profile,
    )
    listed = tuple(totals[: len(manifest.registry)])
    return Statement(context, listed, levels[-1][0], len(batches))
