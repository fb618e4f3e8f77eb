"""Verifying a proof file: statement, keys, chain of batches, account tree, totals, proofs.

A file of version 2 has one proof for all batches. What version 1 shows of the chain of batches and
of their trees is hashed there into the public values of that proof, from the statement.

Standard library alone. :func:`verify_publication` accepts by returning a report, or raises
``Rejected``; it raises nothing else, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from air.aggregate.keys import AggregateKeys, TrustedKeys, aggregate_keys, trusted_keys
from air.aggregate.publics import AggregatePublics, aggregate_context
from air.aggregate.security import AggregateSecurity, aggregate_security
from air.context import Context, Statement, short_digest
from air.encoding import Digest, totals_digest
from air.keys import DEFAULT_PROFILE, verification_key
from air.proof_size import check_proof_size
from air.publication import (
    AggregatedPublication,
    BatchProof,
    Publication,
    chained_digests,
    decode_publication,
)
from air.shape import Shape
from air.tree import upper_levels
from stark.errors import Code, Rejected, UsageError
from stark.soundness.estimate import Report, estimate
from stark.transcript.encoding import Reader
from stark.verifier.figures import system_figures
from stark.verifier.header import check_header
from stark.verifier.key import VerificationKey
from stark.verifier.verify import verify

BATCH_TAG = b"stark-liabilities/batch/v1"
MAXIMUM_FILE = 1 << 30
"""Bytes; longer files are refused before they are looked at."""


@dataclass(frozen=True)
class Check:
    """One check that a proof file passed, in plain words."""

    name: str
    detail: str


@dataclass(frozen=True)
class Acceptance:
    """What an accepted proof file establishes, and with what security.

    Attributes
    ----------
    key, security
        Of the proofs in the file.
    aggregate
        Of all layers, if the file has one proof for many batches, else ``None``.
    """

    statement: Statement
    checks: tuple[Check, ...]
    profile: str
    key: VerificationKey
    security: Report
    aggregate: AggregateSecurity | None = None


def batch_contexts(statement: Statement) -> list[bytes]:
    """What the proof of each batch is bound to: context, statement, and its place in the file."""
    common = BATCH_TAG + statement.context.digest() + statement.digest()
    count = statement.batches.to_bytes(4, "little")
    return [common + number.to_bytes(4, "little") + count for number in range(statement.batches)]


def batch_publics(first: bool, digest_in: Digest, batch: BatchProof) -> dict[str, list[int]]:
    """Public values of a batch's tables."""
    return {
        "chain": [int(first), *digest_in, *batch.digest_out],
        "tree": list(batch.root),
    }


def context_shape(context: Context) -> Shape:
    """The batch shape that a context names; Rejected(VK) if there is no such shape."""
    named = context.shape
    log_capacity = named.asset_capacity.bit_length() - 1
    if named.asset_capacity != 1 << log_capacity:
        raise Rejected(Code.VK, "asset capacity", "a power of two", named.asset_capacity)
    try:
        return Shape(named.log_rows, named.log_slots, log_capacity)
    except UsageError as error:
        raise Rejected(Code.VK, "shape of the batches", "a pinned shape", str(error)) from None


def verify_publication(
    data: bytes,
    expected_digest: bytes | None = None,
    profiles: Collection[str] = (DEFAULT_PROFILE,),
    progress: Callable[[Check], None] | None = None,
    trusted: TrustedKeys | None = None,
) -> Acceptance:
    """Check a proof file.

    Parameters
    ----------
    data
        The bytes of the file.
    expected_digest
        Statement digest that was published elsewhere; ``None`` if there is none to compare.
    profiles
        Security profiles that are acceptable: the verifier's policy, not the file's.
    progress
        Called with each check as it passes.
    trusted
        Keys of aggregates to use instead of the pinned ones; not for files of version 1.

    Raises
    ------
    Rejected
        With the class, the check, what was expected and what was found.
    """
    checks: list[Check] = []

    def passed(name: str, detail: str) -> None:
        checks.append(Check(name, detail))
        if progress is not None:
            progress(checks[-1])

    if len(data) > MAXIMUM_FILE:
        raise Rejected(Code.LIMIT, "size of the proof file", MAXIMUM_FILE, len(data))
    publication = decode_publication(data)
    statement = publication.statement
    digest = statement.digest()
    if expected_digest is not None and digest != expected_digest:
        raise Rejected(Code.STATEMENT, "statement digest", expected_digest.hex(), digest.hex())
    passed("statement", f"digest {digest.hex()} (short: {short_digest(digest)})")
    profile = statement.context.policy
    if profile not in profiles:
        raise Rejected(Code.POLICY, "security profile", " or ".join(sorted(profiles)), profile)
    shape = context_shape(statement.context)
    aggregate: AggregateSecurity | None = None
    if isinstance(publication, AggregatedPublication):
        key, aggregate = _verify_aggregated(publication, profile, shape, trusted, passed)
    else:
        key = _verify_batches(publication, profile, shape, passed)
    security = estimate(system_figures(key.system), key.parameters)
    return Acceptance(statement, tuple(checks), profile, key, security, aggregate)


def _verify_batches(
    publication: Publication, profile: str, shape: Shape, passed: Callable[[str, str], None]
) -> VerificationKey:
    """What version 1 shows: every batch, their chain, their trees. Returns the batches' key."""
    statement = publication.statement
    key = verification_key(profile, shape)
    check_depth(statement, shape)
    for batch in publication.batches:
        # Cheap, and before anything costly: a file of many hollow proofs is refused at once.
        check_header(Reader(batch.proof), key)
        check_proof_size(key, batch.proof)
    passed("key", f"{profile}, {shape.name}, digest {key.digest.hex()}")
    check_totals(publication, shape)
    passed("totals", f"open the digest after batch {statement.batches - 1}")
    check_root(publication)
    passed("account tree", f"{statement.batches} x 2^{shape.log_slots} slots lead to the root")
    digests = chained_digests(publication)
    contexts = batch_contexts(statement)
    for number, batch in enumerate(publication.batches):
        publics = batch_publics(number == 0, digests[number], batch)
        verify(key, batch.proof, publics, contexts[number])
        passed(
            f"batch {number}",
            f"STARK of {len(batch.proof):,} bytes, {key.parameters.queries} queries",
        )
    return key


def _verify_aggregated(
    publication: AggregatedPublication,
    profile: str,
    shape: Shape,
    trusted: TrustedKeys | None,
    passed: Callable[[str, str], None],
) -> tuple[VerificationKey, AggregateSecurity]:
    """What version 2 shows: one proof. Returns its key, and what all layers are worth."""
    statement = publication.statement
    levels = (statement.batches - 1).bit_length()
    keys: AggregateKeys
    if trusted is None:
        keys = aggregate_keys(profile, shape)
    else:
        keys = trusted_keys(trusted, profile, shape, levels)
    key = keys.wrap_key(levels)
    check_depth(statement, shape)
    check_header(Reader(publication.proof), key)
    check_proof_size(key, publication.proof)
    security = aggregate_security(
        keys.layers(statement.batches), keys.digest(levels), trusted is None
    )
    source = "pinned" if trusted is None else "NOT PINNED, digest given by you"
    passed("key", f"{profile}, {shape.name}, {source}, digest {security.key_digest.hex()}")
    publics = aggregate_publics(publication, shape)
    try:
        verify(key, publication.proof, {"permutation": publics.wrap_digest()}, publics.context)
    except Rejected as rejected:
        # The statement enters by a digest: a changed total shows as whatever fails first.
        raise Rejected(
            rejected.code,
            f"the proof is one of these totals, this root and {statement.batches} batches: "
            f"{rejected.check}",
            rejected.expected,
            rejected.got,
        ) from rejected
    passed(
        "aggregate",
        f"STARK of {len(publication.proof):,} bytes, {key.parameters.queries} queries: these "
        f"totals, this root, {statement.batches} batches",
    )
    return key, security


def aggregate_publics(publication: AggregatedPublication, shape: Shape) -> AggregatePublics:
    """What the proof of a file of version 2 must be about: all from the statement, but for the
    digest before the first batch, which is free, and the blind, which opens the last one."""
    statement = publication.statement
    return AggregatePublics(
        context=aggregate_context(statement.context.digest(), statement.digest()),
        count=statement.batches,
        first=True,
        digest_in=publication.digest_start,
        digest_out=totals_digest(publication.blind, statement.totals, shape.capacity),
        root=statement.root,
    )


def check_depth(statement: Statement, shape: Shape) -> None:
    """Rejected(Statement) unless the tree's depth is that of the batches: one level more would let
    a value inside a customer's chain pass as an account's commitment."""
    levels = (statement.batches - 1).bit_length()
    if statement.context.depth != shape.log_slots + levels:
        raise Rejected(
            Code.STATEMENT,
            "depth of the account tree",
            shape.log_slots + levels,
            statement.context.depth,
        )


def check_totals(publication: Publication, shape: Shape) -> None:
    """Rejected(Statement) unless the printed totals are those in the last batch's digest."""
    computed = totals_digest(publication.blind, publication.statement.totals, shape.capacity)
    committed = chained_digests(publication)[-1]
    if computed != committed:
        raise Rejected(
            Code.STATEMENT, "the totals open the digest of the last batch", committed, computed
        )


def check_root(publication: Publication) -> None:
    """Rejected(Statement) unless the batches' trees lead to the statement's root."""
    roots: Sequence[Digest] = [batch.root for batch in publication.batches]
    computed = upper_levels(roots)[-1][0]
    if computed != publication.statement.root:
        raise Rejected(
            Code.STATEMENT,
            "the batches' trees lead to the root",
            publication.statement.root,
            computed,
        )
