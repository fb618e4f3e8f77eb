"""What makes a run the same run: what its manifest says, and when it may be gone on with."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

import numpy as np

from air.aggregate.inner import InnerKind, InnerProof, published_context
from air.aggregate.keys import KEYS_FILE as AGGREGATE_KEYS_FILE
from air.aggregate.publics import aggregate_context
from air.aggregate.run import aggregate_expected, published_expected, require_expected
from air.canonical_json import encode
from air.context import Statement
from air.inclusion.reader import InclusionStore
from air.keys import KEYS_FILE, verification_key
from air.preparing import PreparedBatches
from air.run_places import RunPlaces
from air.runs.folder import Identify
from air.runs.manifest import RunManifest, key_fingerprint
from air.runs.seed import RunSeed
from air.runs.tree import NodeId, ProofTree
from air.shape import Shape
from air.snapshot.table import Snapshot
from air.verification import batch_contexts, verify_publication
from stark.errors import Code, Rejected, StarkError
from stark.verifier.verify import verify

SNAPSHOT_TAG = b"stark-liabilities/snapshot/v1"


def snapshot_digest(snapshot: Snapshot) -> bytes:
    """SHA-256 of all that a snapshot says: its manifest, and every array with its type and shape.

    Two snapshots of one digest are proven alike; the order of accounts matters, too.
    """
    manifest = snapshot.manifest
    previous = None if manifest.previous is None else manifest.previous.hex()
    said = encode(
        {
            "exchange": manifest.exchange,
            "time": manifest.time,
            "epoch": str(manifest.epoch),
            "kind": manifest.kind,
            "previous": previous,
            "assets": [[asset.symbol, str(asset.decimals)] for asset in manifest.registry],
        }
    )
    state = hashlib.sha256(SNAPSHOT_TAG + len(said).to_bytes(8, "little") + said)
    for name in ("id_bytes", "id_offsets", "offsets", "assets", "amount_limbs"):
        array = np.ascontiguousarray(getattr(snapshot, name))
        # A line like "assets <u2 (1000,)" tells where an array ends, and its bytes what they mean.
        state.update(f"{name} {array.dtype.str} {array.shape}\n".encode("ascii"))
        state.update(array.reshape(-1).view(np.uint8).data)
    return state.digest()


def pinned_keys_digest() -> bytes:
    """SHA-256 of the two tables of pinned keys, each with its length."""
    state = hashlib.sha256()
    for package, name in (("air", KEYS_FILE), ("air.aggregate", AGGREGATE_KEYS_FILE)):
        data = files(package).joinpath(name).read_bytes()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.digest()


def package_version() -> str:
    """Of the installed package, or that there is none."""
    try:
        return version("stark-liabilities")
    except PackageNotFoundError:
        return "run from source"


def manifest_of(
    snapshot: Snapshot, master_key: bytes, profile: str, seed: RunSeed, prepared: PreparedBatches
) -> RunManifest:
    """The manifest of a run that begins."""
    plan = prepared.plan
    return RunManifest(
        version=package_version(),
        snapshot=snapshot_digest(snapshot),
        master_key=key_fingerprint(master_key),
        profile=profile,
        shape=plan.shape.name,
        batches=plan.batches,
        aggregated=plan.aggregated,
        keys=pinned_keys_digest(),
        statement=prepared.statement.digest(),
        seed=seed,
    )


def require_same(
    manifest: RunManifest,
    snapshot: Snapshot,
    master_key: bytes,
    profile: str,
    aggregate: bool,
    shape: Shape | None,
    batches: int | None,
) -> None:
    """``UsageError`` that names what differs between a run that is there and what is asked for.

    A shape and a number of batches that are not asked for are those of the run.
    """
    manifest.require(version=package_version(), profile=profile)
    if shape is not None:
        manifest.require(shape=shape.name)
    if batches is not None:
        manifest.require(batches=batches)
    if manifest.batches > 1:
        manifest.require(aggregated=aggregate)
    manifest.require(
        keys=pinned_keys_digest(),
        master_key=key_fingerprint(master_key),
        snapshot=snapshot_digest(snapshot),
    )


def identified(prepared: PreparedBatches, profile: str) -> Identify:
    """Which place in a run a kept proof has.

    It is bound to the run by its context. One that is published is verified here: of no other proof
    would anybody notice that it is wrong before the end, where it could only be refused.
    """
    plan, statement = prepared.plan, prepared.statement
    tree = ProofTree(plan.batches, joined=plan.aggregated)
    if plan.aggregated:
        kinds = {"batch": InnerKind.BATCH, "join": InnerKind.JOIN, "wrap": InnerKind.WRAP}
        common = aggregate_context(statement.context.digest(), statement.digest())
        contexts = [common] * plan.batches
        expected = aggregate_expected(prepared.batches, common)
    else:
        kinds = {"batch": InnerKind.PUBLISHED}
        contexts = batch_contexts(statement)
        expected = published_expected(prepared.batches, contexts)

    def identify(data: bytes) -> NodeId:
        one = InnerProof.decode(data)
        node = NodeId(one.level, one.number)
        if node not in tree or kinds[tree.kind(node)] is not one.kind:
            raise Rejected(Code.STATEMENT, "place of a kept proof", "one of the run's", one.name)
        own = contexts[node.number]
        bound = own if plan.aggregated else published_context(own)
        if one.context != bound:
            raise Rejected(
                Code.STATEMENT, "what a kept proof is about", bound.hex(), one.context.hex()
            )
        require_expected(one, node, expected)
        if not plan.aggregated:
            key = verification_key(profile, plan.shape)
            verify(key, one.proof, prepared.batches[node.number].publics, own)
        elif node in tree.roots:
            verify_publication(prepared.aggregated(one.proof).encode(), profiles=(profile,))
        return node

    return identify


def require_prepared(manifest: RunManifest, prepared: PreparedBatches) -> None:
    """``UsageError`` if hashing everything again did not come to the same statement."""
    manifest.require(statement=prepared.statement.digest())


def is_published(manifest: RunManifest, profile: str, places: RunPlaces) -> Statement | None:
    """The statement of a run whose files are all there: it was killed while it cleaned up."""
    try:
        data, written = places.proof.read_bytes(), places.statement.read_bytes()
        found = verify_publication(data, profiles=(profile,)).statement
        with InclusionStore(places.store) as opened:
            stored = opened.statement
    except (OSError, StarkError):
        return None
    same = found.digest() == stored.digest() == manifest.statement
    return found if same and written == found.encode() else None
