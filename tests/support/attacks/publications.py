"""Publications by provers who prove anew what they changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from air.context import Statement
from air.encoding import Digest, limbs
from air.publication import BatchProof, Publication
from air.tree import upper_levels
from air.verification import batch_contexts, batch_publics, verify_publication
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.errors import Code, Rejected
from stark.prover.prove import prove
from support.checks import check_equal
from support.publications import PROFILE, SHAPE, Proven, accounts, proven, proving_key, statement_of


def honest() -> Proven:
    """Three batches of 32 accounts; a level of the account tree is half empty."""
    return proven(3)


def refused(publication: Publication, code: Code) -> Rejected:
    try:
        verify_publication(publication.encode(), profiles=(PROFILE,))
    except Rejected as rejected:
        check_equal(rejected.code, code, str(rejected))
        return rejected
    raise AssertionError("a forged publication was accepted")


@dataclass(frozen=True)
class Part:
    """A batch as its prover presents it: traces of one thing, public values of another."""

    batch: Batch
    digest_out: Digest
    root: Digest


def honest_part(batch: Batch) -> Part:
    return Part(batch, batch.digest_out, batch.root)


def publish(statement: Statement, parts: list[Part], blind: Digest, start: Digest) -> Publication:
    """Prove every part for its place: with the public values that the verifier takes."""
    proofs: list[BatchProof] = []
    before = start
    for number, part in enumerate(parts):
        claim = BatchProof(part.digest_out, part.root, b"")
        publics = batch_publics(number == 0, before, claim)
        context = batch_contexts(statement)[number]
        proof = prove(proving_key(), part.batch.traces(), publics, context)
        proofs.append(replace(claim, proof=proof))
        before = part.digest_out
    return Publication(statement, blind, start, tuple(proofs))


def published(parts: list[Part], blind: Digest | None = None) -> Publication:
    """The parts with a statement that fits them: totals of the last, root over all."""
    batches = [part.batch for part in parts]
    root = upper_levels([part.root for part in parts])[-1][0]
    statement = replace(statement_of(batches), root=root)
    return publish(statement, parts, blind or honest().blinds[-1], batches[0].digest_in)


def later(number: int, totals: list[int], blinds: tuple[Digest, Digest]) -> Batch:
    return prepare_batch(SHAPE, accounts(number), totals, *blinds, False)


def totals_after(number: int) -> list[int]:
    return honest().batches[number].totals_out


def one_row_accounts(commitments: dict[int, Digest], amounts: dict[int, int]) -> BatchAccounts:
    """A row of asset 0 in every slot."""
    own = BatchAccounts(
        commitments=np.arange(8 * SHAPE.slots, dtype=np.uint32).reshape(-1, 8),
        offsets=np.arange(SHAPE.slots + 1),
        assets=np.zeros(SHAPE.slots, np.int64),
        limbs=np.zeros((SHAPE.slots, 5), np.int64),
    )
    for slot, commitment in commitments.items():
        own.commitments[slot] = commitment
    for slot, amount in amounts.items():
        own.limbs[slot] = limbs(amount, 5)
    return own
