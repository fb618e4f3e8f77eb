"""Files of version 2: one proof for many batches, and whatever else is in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.aggregates import (
    digest,
    proven_aggregate,
    stand_in_keys,
    stand_in_proof,
    unproven,
)
from support.checks import check, check_equal
from support.publications import PROFILE, SHAPE, hollow

from air import verification
from air.aggregate import keys as aggregate_keys
from air.aggregate.keys import TrustedKeys
from air.aggregate.publics import AggregatePublics, aggregate_context
from air.context import Context, Statement
from air.encoding import totals_digest
from air.publication import (
    MAXIMUM_PROOF,
    AggregatedPublication,
    Publication,
    decode_publication,
)
from air.verification import Acceptance, aggregate_publics, verify_publication
from stark.errors import Code, Rejected

ROOT = Path(__file__).resolve().parents[3]

OTHER = "the proof is one of these totals, this root and {} batches: work constraints"
"""What fails first when a transcript begins otherwise: the stand-in has 16 bits of work there."""


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in's keys are pinned, and nothing else."""
    pins = {(PROFILE, SHAPE): stand_in_keys()}
    monkeypatch.setattr(aggregate_keys, "pinned_aggregates", lambda: pins)


def accept(publication: AggregatedPublication, **options: Any) -> Acceptance:
    options.setdefault("profiles", (PROFILE,))
    return verify_publication(publication.encode(), **options)


def refused(data: bytes | AggregatedPublication | Publication, **options: Any) -> Rejected:
    options.setdefault("profiles", (PROFILE,))
    with pytest.raises(Rejected) as caught:
        verify_publication(data if isinstance(data, bytes) else data.encode(), **options)
    return caught.value


def with_statement(publication: AggregatedPublication, **changes: Any) -> AggregatedPublication:
    return replace(publication, statement=replace(publication.statement, **changes))


def with_context(publication: AggregatedPublication, **changes: Any) -> AggregatedPublication:
    context = replace(publication.statement.context, **changes)
    return with_statement(publication, context=context)


@pytest.mark.parametrize("batches", [2, 3, 4, 5, 8])
def test_an_aggregate_is_accepted_with_the_keys_of_its_levels(batches: int) -> None:
    publication = proven_aggregate(batches)
    acceptance = accept(publication, expected_digest=publication.statement.digest())
    levels = (batches - 1).bit_length()
    check_equal(acceptance.key.digest, stand_in_keys().wrap_key(levels).digest)
    check_equal([one.name for one in acceptance.checks], ["statement", "key", "aggregate"])
    security = acceptance.aggregate
    check(security is not None, "an aggregate")
    if security is None:
        return
    check_equal(security.key_digest, stand_in_keys().digest(levels))
    check(security.pinned, "pinned")
    # 5 batches: 3 joins of two (the last of one), then 2, then 1.
    counts = [-(-batches // 2**level) for level in range(levels + 1)] + [1]
    check_equal([entry.layer.count for entry in security.layers], counts)


def test_public_values_are_those_of_the_statement() -> None:
    publication = unproven(5)
    statement = publication.statement
    expected = AggregatePublics(
        aggregate_context(statement.context.digest(), statement.digest()),
        5,
        True,
        publication.digest_start,
        totals_digest(publication.blind, statement.totals, SHAPE.capacity),
        statement.root,
    )
    check_equal(aggregate_publics(publication, SHAPE), expected)


CHANGES: dict[str, Callable[[AggregatedPublication], AggregatedPublication]] = {
    "total": lambda p: with_statement(p, totals=(10, 20, 31)),
    "root": lambda p: with_statement(p, root=digest(2)),
    "count": lambda p: with_statement(p, batches=4),
    "blind": lambda p: replace(p, blind=digest(101)),
    "first digest": lambda p: replace(p, digest_start=digest(201)),
    "blind and first digest swapped": lambda p: replace(
        p, blind=p.digest_start, digest_start=p.blind
    ),
    "time": lambda p: with_context(p, time="2026-02-28T00:00:00Z"),
    "nonce": lambda p: with_context(p, nonce=bytes(32)),
    "previous": lambda p: with_context(p, previous=None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_the_proof_is_not_about_is_refused(change: str) -> None:
    forged = CHANGES[change](proven_aggregate(3))
    check(forged != proven_aggregate(3), "something else")
    found = refused(forged)
    check_equal((found.code, found.check), (Code.POW, OTHER.format(forged.statement.batches)))
    # An expected digest says it in other words, and earlier.
    if forged.statement != proven_aggregate(3).statement:
        expected = proven_aggregate(3).statement.digest()
        found = refused(forged, expected_digest=expected)
        check_equal((found.code, found.check), (Code.STATEMENT, "statement digest"))


def test_each_value_alone_is_enough_to_be_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Public values by themselves, with the context of the honest statement."""
    honest = aggregate_publics(proven_aggregate(3), SHAPE)
    data = proven_aggregate(3).encode()
    changes: list[dict[str, Any]] = [
        {"count": 4},
        {"count": 2},
        {"first": False},
        {"digest_in": digest(201)},
        {"digest_out": digest(201)},
        {"root": digest(2)},
        {"context": bytes(32)},
    ]
    for change in changes:
        other = replace(honest, **change)
        monkeypatch.setattr(verification, "aggregate_publics", lambda *_, other=other: other)
        check_equal(refused(data).code, Code.POW, change)
    monkeypatch.setattr(verification, "aggregate_publics", lambda *_: honest)
    verify_publication(data, profiles=(PROFILE,))


def test_the_digest_of_the_join_is_not_that_of_the_wrap(monkeypatch: pytest.MonkeyPatch) -> None:
    data = proven_aggregate(3).encode()
    monkeypatch.setattr(AggregatePublics, "wrap_digest", AggregatePublics.digest)
    check_equal(refused(data).code, Code.POW)


def test_another_level_is_another_key() -> None:
    # A proof for 2 batches (one level) in the place of one for 3 (two levels), and the reverse.
    for batches, factor in ((3, 201), (2, 202)):
        blank = unproven(batches)
        found = refused(replace(blank, proof=stand_in_proof(blank, factor)))
        check_equal((found.code, found.check), (Code.VK, "verification key"))


def test_more_levels_than_are_pinned() -> None:
    found = refused(unproven(9))
    check_equal(found.code, Code.VK)
    check("levels of aggregates" in found.check, found.check)
    check_equal((found.expected, found.got), ("1 to 3", 4))


def test_a_single_batch_is_not_aggregated() -> None:
    found = refused(unproven(1))
    check_equal((found.code, found.expected, found.got), (Code.STATEMENT, ">= 2", 1))


def test_too_many_batches() -> None:
    blank = unproven(2)
    context = replace(blank.statement.context, depth=18)
    forged = with_statement(with_statement(blank, context=context), batches=4097)
    check_equal(refused(forged).code, Code.LIMIT)


def test_depth_is_that_of_the_batches() -> None:
    blank = unproven(3)
    deeper = with_context(blank, depth=blank.statement.context.depth + 1)
    honest = replace(deeper, proof=stand_in_proof(deeper))
    found = refused(honest)
    check_equal((found.code, found.check), (Code.STATEMENT, "depth of the account tree"))


def test_hollow_proofs_are_refused_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def costly(*_: object) -> None:
        raise LookupError("totals are hashed")

    monkeypatch.setattr(verification, "totals_digest", costly)
    check_equal(refused(unproven(3)).code, Code.FORMAT)
    head = proven_aggregate(3).proof[:200]
    found = refused(replace(proven_aggregate(3), proof=head))
    check_equal((found.code, found.check), (Code.FORMAT, "length of a proof"))
    with pytest.raises(LookupError):
        verify_publication(proven_aggregate(3).encode(), profiles=(PROFILE,))


def test_the_profile_is_the_verifiers() -> None:
    publication = proven_aggregate(3)
    found = refused(publication, profiles=("proven128",))
    check_equal((found.code, found.check), (Code.POLICY, "security profile"))
    unknown = with_context(publication, policy="proven1")
    found = refused(unknown, profiles=("proven1",))
    check_equal((found.code, found.check), (Code.POLICY, "profile"))


def test_a_shape_that_is_not_pinned() -> None:
    other = replace(unproven(2).statement.context.shape, log_rows=13)
    found = refused(with_context(unproven(2), shape=other))
    check_equal(found.code, Code.VK)
    check("rows13-slots5-assets9" in str(found), str(found))


def test_the_shipped_table_does_not_know_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    check_equal(refused(proven_aggregate(3)).code, Code.VK)


# ---- versions


def test_versions_are_not_each_others() -> None:
    one, two = hollow(3).encode(), proven_aggregate(3).encode()
    as_two = one[:8] + b"\2\0" + one[10:]
    as_one = two[:8] + b"\1\0" + two[10:]
    check_equal(refused(as_two).code, Code.FORMAT)
    check(refused(as_one).code in (Code.FORMAT, Code.CANONICAL, Code.LIMIT), "version 1")
    for data, reader in ((two, Publication), (one, AggregatedPublication)):
        with pytest.raises(Rejected) as caught:
            reader.decode(data)  # type: ignore[attr-defined]
        check_equal(caught.value.code, Code.VERSION)
    check_equal(decode_publication(one), hollow(3))
    check_equal(decode_publication(two), proven_aggregate(3))
    for version in (0, 3, 258, 65535):
        with pytest.raises(Rejected) as caught:
            decode_publication(two[:8] + version.to_bytes(2, "little") + two[10:])
        check_equal(caught.value.code, Code.VERSION)


def test_a_proof_of_a_batch_is_none_of_an_aggregate() -> None:
    """The header names the key, before its shape and parameters could be taken for others."""
    batch = replace(unproven(2), proof=hollow(2, 400).batches[0].proof)
    check_equal(refused(batch).code, Code.FORMAT)


# ---- form


def test_every_truncation_and_every_further_byte_is_refused() -> None:
    data = unproven(2).encode()
    for length in range(len(data)):
        with pytest.raises(Rejected) as caught:
            decode_publication(data[:length])
        check(caught.value.code in (Code.FORMAT, Code.CANONICAL), str(caught.value))
    for more in (b"\0", b"\1", data):
        with pytest.raises(Rejected) as caught:
            decode_publication(data + more)
        check_equal(caught.value.code, Code.FORMAT)


def test_lengths_beyond_the_limits() -> None:
    data = unproven(2, b"").encode()
    check_equal(data[-4:], bytes(4))
    check_equal(decode_publication(data), unproven(2, b""))
    for length, code in ((MAXIMUM_PROOF + 1, Code.LIMIT), (MAXIMUM_PROOF, Code.FORMAT)):
        forged = data[:-4] + length.to_bytes(4, "little")
        check_equal(refused(forged).code, code)
    check_equal(refused(data[:10] + b"\xff\xff\xff\xff" + data[14:]).code, Code.LIMIT)


def test_lanes_of_p_or_more() -> None:
    data = unproven(2, b"").encode()
    for lane in range(16):
        at = len(data) - 4 - 64 + 4 * lane
        forged = data[:at] + (2130706433).to_bytes(4, "little") + data[at + 4 :]
        found = refused(forged)
        check_equal(found.code, Code.CANONICAL)
        check_equal(found.check, "the blind" if lane < 8 else "the first digest of totals")


# ---- keys that are not pinned


def test_keys_that_are_trusted_by_their_digest() -> None:
    keys = stand_in_keys(levels=4)
    publication = proven_aggregate(9)
    check_equal(refused(publication).code, Code.VK)
    acceptance = accept(publication, trusted=TrustedKeys((keys,), keys.digest(4)))
    check(acceptance.aggregate is not None and not acceptance.aggregate.pinned, "not pinned")
    check("NOT PINNED" in acceptance.checks[1].detail, acceptance.checks[1].detail)


def test_keys_with_another_digest_are_refused() -> None:
    keys = stand_in_keys(levels=4)
    for wrong in (bytes(32), keys.digest(3), keys.wrap_key(4).digest):
        found = refused(proven_aggregate(9), trusted=TrustedKeys((keys,), wrong))
        check_equal((found.code, found.check), (Code.VK, "digest of the given keys"))
    for others in ((), (stand_in_keys("proven128"),)):
        found = refused(proven_aggregate(3), trusted=TrustedKeys(others, keys.digest(2)))
        check_equal((found.code, found.got), (Code.VK, "neither"))


def test_trusted_keys_are_used_instead_of_the_pinned_ones() -> None:
    pinned_digest = stand_in_keys().digest(2)
    other = replace(stand_in_keys(), wraps=())
    found = refused(proven_aggregate(3), trusted=TrustedKeys((other,), pinned_digest))
    check_equal(found.code, Code.VK)


# ---- the standard library alone

ALONE = """
import sys
from importlib.abc import MetaPathFinder


class Barrier(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"stark", "air"}:
            raise ImportError(f"{name} is not in the standard library")


sys.meta_path.insert(0, Barrier())
sys.path.insert(0, sys.argv[1])
import air.aggregate.keys, air.aggregate.security, air.aggregate.inner, air.aggregate.publics
from air.verification import verify_publication
from stark.errors import Rejected

try:
    verify_publication(open(sys.argv[2], "rb").read(), None, (sys.argv[3],))
except Rejected as rejected:
    print(rejected.code)
"""


@pytest.mark.parametrize("options", [(), ("-OO",)], ids=["plain", "-OO"])
def test_nothing_but_the_standard_library(options: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "two"
    path.write_bytes(unproven(3).encode())
    result = subprocess.run(
        [sys.executable, "-I", "-S", *options, "-c", ALONE, str(ROOT), str(path), PROFILE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    check_equal((result.returncode, result.stdout.strip()), (0, "VK"), result.stderr)


def test_statements_are_not_shared_with_version_1() -> None:
    """The same statement in both versions has the same digest: the form is not part of it."""
    statement: Statement = unproven(3).statement
    context: Context = statement.context
    check_equal(hollow(3).statement.context, context)
