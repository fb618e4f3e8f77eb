"""Attacks on a publication of several batches by provers who prove anew what they changed.

They hold all secrets and prove their batches for the very statement, number and public values that
the verifier will use, so that only what is wrong with the traces can refuse them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.attacks.publications import (
    honest,
    honest_part,
    later,
    one_row_accounts,
    publish,
    published,
    refused,
    totals_after,
)
from support.checks import check, check_equal
from support.publications import PROFILE, REGISTRY, SHAPE, accounts, prove_batch, with_batch

from air.encoding import Digest, totals_digest
from air.publication import Publication
from air.registry import Asset, Registry
from air.tree import EMPTY_BATCH, upper_levels
from air.verification import verify_publication
from air.witness import Batch, prepare_batch
from stark.errors import Code


def test_the_tools_make_honest_publications() -> None:
    publication = published([honest_part(batch) for batch in honest().batches])
    check_equal(publication.statement, honest().publication.statement, "statement")
    verify_publication(publication.encode(), profiles=(PROFILE,))


# ---- the chain of digests


def test_the_first_flag_in_the_middle() -> None:
    """Batch 1 starts from zero: what batch 0 owes is forgotten."""
    forgetful = prepare_batch(SHAPE, accounts(1), [0] * 512, *honest().blinds[1:3], True)
    last = later(2, forgetful.totals_out, honest().blinds[2:4])
    parts = [honest_part(batch) for batch in (honest().batches[0], forgetful, last)]
    publication = published(parts)
    check(publication.statement.totals < honest().publication.statement.totals, "less is owed")
    refused(publication, Code.OOD)
    # And with a proof that says so: the verifier takes the flag from the number of the batch.
    bound = prove_batch(publication.statement, 1, forgetful).proof
    refused(with_batch(publication, 1, proof=bound), Code.OOD)


def test_totals_before_a_batch_under_another_blind() -> None:
    """The totals are right, the digest is not that of the batch before."""
    other: Digest = tuple(range(8))
    one = later(1, totals_after(0), (other, honest().blinds[2]))
    refused(
        published([honest_part(b) for b in (honest().batches[0], one, honest().batches[2])]),
        Code.OOD,
    )


def test_a_batch_that_starts_from_less_than_the_one_before_ended_with() -> None:
    totals = totals_after(0).copy()
    totals[0] -= 1
    one = later(1, totals, honest().blinds[1:3])
    two = later(2, one.totals_out, honest().blinds[2:4])
    refused(published([honest_part(b) for b in (honest().batches[0], one, two)]), Code.OOD)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 1, 1), (0, 2), (1, 2)])
def test_batches_exchanged_doubled_or_left_out(order: tuple[int, ...]) -> None:
    """All proven anew for their new places; but totals before and after do not chain."""
    parts = [honest_part(honest().batches[number]) for number in order]
    publication = published(parts, honest().blinds[order[-1] + 1])
    refused(publication, Code.OOD)


def test_the_last_batch_left_out_is_a_statement_of_fewer_accounts() -> None:
    """Nothing is wrong with it: whoever was in it finds no leaf."""
    parts = [honest_part(batch) for batch in honest().batches[:2]]
    publication = published(parts, honest().blinds[2])
    accepted = verify_publication(publication.encode(), profiles=(PROFILE,))
    check(
        accepted.statement.digest() != honest().publication.statement.digest(), "another statement"
    )
    refused(
        replace(publication, statement=honest().publication.statement, blind=honest().blinds[-1]),
        Code.FORMAT,
    )


@pytest.mark.parametrize("count", [2, 4])
def test_a_wrong_number_of_batches(count: int) -> None:
    statement = replace(honest().publication.statement, batches=count)
    refused(replace(honest().publication, statement=statement), Code.FORMAT)


# ---- what batches show


def test_totals_of_less_with_a_digest_that_they_open() -> None:
    totals = totals_after(2).copy()
    totals[0] -= 1
    digest = totals_digest(honest().blinds[3], totals, SHAPE.capacity)
    parts = [honest_part(batch) for batch in honest().batches]
    parts[2] = replace(parts[2], digest_out=digest)
    statement = replace(honest().publication.statement, totals=tuple(totals[: len(REGISTRY)]))
    publication = publish(statement, parts, honest().blinds[3], honest().publication.digest_start)
    refused(publication, Code.OOD)


def test_another_root_of_a_batch() -> None:
    parts = [honest_part(batch) for batch in honest().batches]
    parts[1] = replace(parts[1], root=honest().batches[0].root)
    refused(published(parts), Code.OOD)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_absent_batch_elsewhere_than_at_the_end(number: int) -> None:
    """On the left, in the middle, and as the last that is said to be there."""
    parts = [honest_part(batch) for batch in honest().batches]
    parts[number] = replace(parts[number], root=EMPTY_BATCH)
    refused(published(parts), Code.OOD)
    roots = [batch.root for batch in honest().batches]
    roots.insert(number, EMPTY_BATCH)
    statement = replace(honest().publication.statement, root=upper_levels(roots)[-1][0])
    refused(replace(honest().publication, statement=statement), Code.STATEMENT)


@pytest.mark.parametrize("asset", [len(REGISTRY), 511])
def test_amounts_of_an_asset_that_is_not_listed(asset: int) -> None:
    """The batch proves: there is room for the asset. But its total is opened as zero."""
    holders = accounts(0)
    holders.assets[1] = asset
    batch = prepare_batch(SHAPE, holders, [0] * 512, *honest().blinds[:2], True)
    rejected = refused(published([honest_part(batch)], honest().blinds[1]), Code.STATEMENT)
    check("totals" in rejected.check, rejected.check)


def test_zero_amounts_of_an_asset_that_is_not_listed() -> None:
    """They matter to nobody, and are accepted."""
    holders = accounts(0)
    holders.assets[1] = 511
    holders.limbs[1] = 0
    batch = prepare_batch(SHAPE, holders, [0] * 512, *honest().blinds[:2], True)
    publication = published([honest_part(batch)], honest().blinds[1])
    verify_publication(publication.encode(), profiles=(PROFILE,))


def test_a_batch_of_another_snapshot() -> None:
    """All is the same but the nonce of the context."""
    context = replace(honest().publication.statement.context, nonce=bytes(32))
    statement = replace(honest().publication.statement, context=context)
    for number, batch in enumerate(honest().batches):
        proof = prove_batch(statement, number, batch).proof
        refused(with_batch(honest().publication, number, proof=proof), Code.OOD)


def test_equal_contexts_with_different_statements() -> None:
    """A batch of another placement of the same snapshot: context, totals and digests agree."""
    holders = accounts(1)
    holders.commitments[:] = np.roll(holders.commitments, 1, axis=0)
    holders.limbs[:] = np.roll(holders.limbs, 2, axis=0)
    placed = prepare_batch(SHAPE, holders, totals_after(0), *honest().blinds[1:3], False)
    true = honest().batches[1]
    check_equal(placed.digest_in + placed.digest_out, true.digest_in + true.digest_out)
    other = published([honest_part(b) for b in (honest().batches[0], placed, honest().batches[2])])
    verify_publication(other.encode(), profiles=(PROFILE,))
    check_equal(other.statement.context, honest().publication.statement.context, "context")
    check_equal(other.statement.totals, honest().publication.statement.totals, "totals")
    for number in range(3):
        proof = other.batches[number].proof
        refused(with_batch(honest().publication, number, proof=proof), Code.OOD)
    refused(with_batch(honest().publication, 1, root=placed.root), Code.STATEMENT)


def test_m17_other_units() -> None:
    """The amounts are those of the proof; a unit of them is worth a hundred times less."""
    context = honest().publication.statement.context
    one, *others = context.registry
    registry = Registry((Asset(one.symbol, one.decimals + 2), *others))
    statement = replace(honest().publication.statement, context=replace(context, registry=registry))
    refused(replace(honest().publication, statement=statement), Code.OOD)


# ---- totals above 2^75


def test_totals_before_a_batch_above_2_to_75() -> None:
    rich = [1 << 74] * 3
    holders = one_row_accounts({}, dict(enumerate([*rich, (1 << 75) - 1])))
    batches: list[Batch] = []
    totals = [0] * SHAPE.capacity
    for number in range(2):
        pair = honest().blinds[number : number + 2]
        batches.append(prepare_batch(SHAPE, holders, totals, *pair, number == 0))
        totals = batches[-1].totals_out
    check(batches[0].totals_out[0] >= 1 << 75, "above 2^75")
    publication = published([honest_part(batch) for batch in batches], honest().blinds[2])
    accepted = verify_publication(publication.encode(), profiles=(PROFILE,))
    check_equal(accepted.statement.totals[0], 2 * (sum(rich) + (1 << 75) - 1), "total")


# ---- a whole snapshot


@dataclass(frozen=True)
class Run:
    """A snapshot in several batches."""

    publication: Publication
    batches: list[Batch]


@cache
def snapshot_run(folder: Path, cheat: str = "") -> Run:
    # Imported here: the files above need no snapshot.
    from air.placing import place
    from air.proving import prove_placed
    from air.snapshot.check import load
    from air.snapshot.generate import generate

    path = folder / "accounts.csv"
    if not path.exists():
        generate(path, accounts=90, assets=150, holdings=60, seed=3)
    snapshot = load(path)
    nonce = bytes(32)
    placed = place(snapshot, bytes(range(32)), nonce, max_log_rows=12)
    # Limbs of a snapshot are unsigned.
    own = replace(placed.batches[1], limbs=placed.batches[1].limbs.astype(np.int64))
    placed.batches[1] = own
    # The second row of an account that has several, all with amounts.
    row = int(own.offsets[np.argmax(np.diff(own.offsets))]) + 1
    check(bool(own.limbs[row].any()), "a holding")
    if cheat == "negative":
        one, other = np.flatnonzero(own.assets == own.assets[row])[:2]
        own.limbs[one, 4] = -1
        own.limbs[other, 4] += 1
    elif cheat == "too large":
        own.limbs[row, 0] += 1 << 15
    elif cheat == "twice":
        own.assets[row] = own.assets[row - 1]
    elif cheat == "unlisted":
        last = int(own.offsets[np.argmax(np.diff(own.offsets)) + 1]) - 1
        check(bool(own.limbs[last].any()), "a holding")
        own.assets[last] = 300
    publication, batches = prove_placed(snapshot, placed, nonce, PROFILE)
    return Run(publication, batches)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshot")


def test_a_snapshot_of_several_batches(folder: Path) -> None:
    run = snapshot_run(folder)
    check(run.publication.statement.batches >= 3, "several batches")
    accepted = verify_publication(run.publication.encode(), profiles=(PROFILE,))
    check(all(accepted.statement.totals), "everything is owed something")


@pytest.mark.parametrize(
    ("cheat", "code"),
    [
        ("negative", Code.BUS),
        ("too large", Code.BUS),
        ("twice", Code.BUS),
        ("unlisted", Code.STATEMENT),
    ],
)
def test_a_snapshot_with_a_cheat_in_one_batch(folder: Path, cheat: str, code: Code) -> None:
    refused(snapshot_run(folder, cheat).publication, code)
