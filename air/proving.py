"""Proving a snapshot: placement, batches, statement, proofs, and the files of a publication."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from air.account_hashing import account_commitments, account_salts
from air.aggregate.keys import aggregable
from air.aggregate.publics import aggregate_context
from air.aggregate.run import prove_aggregate
from air.context import Context, Statement
from air.context import Shape as ContextShape
from air.encoding import DIGEST_LANES
from air.inclusion.store import write_store
from air.keys import DEFAULT_PROFILE, profile_parameters
from air.placement import placement
from air.planning import (
    DEFAULT_MAX_LOG_ROWS,
    Aggregates,
    Fits,
    Plan,
    fixed_plan,
    make_plan,
)
from air.publication import (
    PROOF_FILE,
    STATEMENT_FILE,
    STORE_FILE,
    AggregatedPublication,
    BatchProof,
    Publication,
)
from air.resources import Workload, within
from air.shape import Shape
from air.snapshot.columns import TextColumn
from air.snapshot.files import atomic_output
from air.snapshot.table import Snapshot
from air.tables.batch import batch_system
from air.tree import upper_levels
from air.verification import batch_contexts, verify_publication
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.field.memory import buffers
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove

Progress = Callable[[str, int, int], None]
"""Called with a phase, the number of steps done in it and their total."""

_EMPTY = -1


@dataclass(frozen=True)
class ProofRun:
    """What a run wrote, and how long its phases took, in seconds."""

    directory: Path
    proof_path: Path
    statement_path: Path
    store_path: Path
    statement: Statement
    seconds: dict[str, float]


@dataclass(frozen=True)
class PlacedAccounts:
    """A snapshot in its slots, before anything is hashed.

    Attributes
    ----------
    slots
        (accounts,) slot of each account.
    salts
        (accounts, 32) uint8.
    batches
        The slots of each batch with all that the witness needs.
    """

    plan: Plan
    slots: NDArray[np.int64]
    salts: NDArray[np.uint8]
    batches: list[BatchAccounts]


@dataclass
class _Clock:
    """Seconds per phase."""

    seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._started
        self._started = now


def prove_snapshot(
    snapshot: Snapshot,
    master_key: bytes,
    out: str | os.PathLike[str],
    *,
    profile: str = DEFAULT_PROFILE,
    max_log_rows: int = DEFAULT_MAX_LOG_ROWS,
    shape: Shape | None = None,
    batches: int | None = None,
    memory: int | None = None,
    store: str | os.PathLike[str] | None = None,
    aggregate: bool = True,
    progress: Progress | None = None,
) -> ProofRun:
    """Prove ``snapshot`` and write the proof file, the statement and the inclusion store.

    Parameters
    ----------
    snapshot
        A faultless snapshot, from :func:`air.snapshot.check.load`.
    master_key
        32 secret bytes, see :mod:`air.master_key`.
    out
        Folder for the three files; made if missing. Each file appears whole or not at all.
    profile
        Security profile, ``proven128`` or ``proven100``.
    max_log_rows
        No table of a batch has more than 2^max_log_rows rows, but for the table of 2^15 integers.
    shape, batches
        Fix what is public about the size. By default they follow the snapshot: the number of
        accounts and of their non-zero balances, rounded up.
    memory
        Bytes that the process may take; batches are made small enough. By default three quarters
        of the machine's.
    store
        Where the inclusion store goes, which is secret; by default into the same folder.
    aggregate
        Whether several batches are proven in one proof. Without it the file has a proof per batch.

    Raises
    ------
    UsageError
        If the snapshot does not fit any shape, or not the one that is asked for, or if a file could
        not be written where it is to go: before anything is computed.
    Rejected
        If the verifier refuses the proof, which would be a fault of this program: nothing is
        written then.
    """
    if batches is not None and shape is None:
        raise UsageError("a number of batches goes with a shape")
    clock = _Clock()
    report = progress or (lambda phase, done, total: None)
    nonce = secrets.token_bytes(32)
    folder = Path(out)
    store_path = Path(store) if store is not None else folder / STORE_FILE
    for target in (folder / PROOF_FILE, store_path):
        _require_place(target)
    fits = within(memory, Workload.of(snapshot), profile)
    rows = np.diff(snapshot.offsets)
    fixed = None
    aggregates = aggregable(profile) if aggregate else None
    if shape is not None:
        fixed = fixed_plan(shape, batches, rows, len(snapshot.registry), fits, aggregates)
    placed = place(snapshot, master_key, nonce, max_log_rows, fixed, fits, aggregates)
    clock.lap("placement")
    publication, proven = prove_placed(snapshot, placed, nonce, profile, report, clock)
    report("checking the proof", 0, 1)
    proof_file = publication.encode()
    verify_publication(proof_file, profiles=(profile,))
    clock.lap("checking the proof")
    for path in (folder, store_path.parent):
        path.mkdir(parents=True, exist_ok=True)
    run = ProofRun(
        folder,
        folder / PROOF_FILE,
        folder / STATEMENT_FILE,
        store_path,
        publication.statement,
        clock.seconds,
    )
    write_store(
        run.store_path,
        publication.statement,
        TextColumn(snapshot.id_bytes, snapshot.id_offsets[:-1], snapshot.id_offsets[1:]),
        placed.salts,
        placed.slots,
        snapshot.offsets,
        snapshot.assets,
        snapshot.amount_limbs,
        (batch.nodes for batch in proven),
        upper_levels([batch.root for batch in proven]),
    )
    for path, data in (
        (run.statement_path, publication.statement.encode()),
        (run.proof_path, proof_file),
    ):
        with atomic_output(path) as file:
            file.write(data)
    clock.lap("files")
    buffers.release()
    return run


def _require_place(path: Path) -> None:
    """``UsageError`` unless the file could be written, its folders made."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; a file goes there")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{path} cannot be written: {folder} is no folder to write into")


def place(
    snapshot: Snapshot,
    master_key: bytes,
    nonce: bytes,
    max_log_rows: int = DEFAULT_MAX_LOG_ROWS,
    fixed: Plan | None = None,
    fits: Fits | None = None,
    aggregates: Aggregates | None = None,
) -> PlacedAccounts:
    """Put every account into its slot; salts and commitments included.

    Without a fixed plan, a placement that overfills a batch (rows vary at random) is discarded for
    one more batch; with one, that is a ``UsageError``.
    """
    rows = np.diff(snapshot.offsets)
    plan = fixed or make_plan(
        rows, len(snapshot.registry), max_log_rows, fits=fits, aggregates=aggregates
    )
    epoch = snapshot.manifest.epoch
    while True:
        order = placement(master_key, epoch, nonce, plan.slots)
        slots = order[: snapshot.accounts]
        account_of = np.full(plan.slots, _EMPTY)
        account_of[slots] = np.arange(snapshot.accounts)
        rows_of = np.where(account_of == _EMPTY, 1, rows[account_of])
        filled = rows_of.reshape(plan.batches, plan.shape.slots).sum(axis=1)
        if filled.max() <= plan.shape.holding_rows:
            break
        if fixed is not None:
            raise UsageError("by chance the placement overfills a batch; prove again")
        plan = make_plan(
            *(rows, len(snapshot.registry), max_log_rows, plan.batches + 1, fits, aggregates)
        )
    salts, commitments = _commitments(snapshot, master_key, nonce)
    batches = []
    for number in range(plan.batches):
        first = number * plan.shape.slots
        inside = account_of[first : first + plan.shape.slots]
        batches.append(_batch_accounts(snapshot, inside, rows, commitments))
    return PlacedAccounts(plan, slots, salts, batches)


def prove_placed(
    snapshot: Snapshot,
    placed: PlacedAccounts,
    nonce: bytes,
    profile: str,
    report: Progress,
    clock: _Clock | None = None,
) -> tuple[Publication | AggregatedPublication, list[Batch]]:
    """The publication of placed accounts, and the batches with their trees.

    What is in ``placed`` is proven as it is: nothing is checked here.
    """
    clock = clock or _Clock()
    plan = placed.plan
    blinds = [_blind() for _ in range(plan.batches + 1)]
    totals = [0] * plan.shape.capacity
    batches: list[Batch] = []
    for number, accounts in enumerate(placed.batches):
        report("hashing accounts", number, plan.batches)
        batch = prepare_batch(
            plan.shape, accounts, totals, blinds[number], blinds[number + 1], number == 0
        )
        totals = batch.totals_out
        batches.append(batch)
    statement = _statement(snapshot, plan, nonce, profile, totals, batches)
    clock.lap("hashing accounts")
    if plan.aggregated:
        proof = prove_aggregate(
            batches,
            plan.shape,
            profile,
            aggregate_context(statement.context.digest(), statement.digest()),
            lean=plan.lean,
            report=report,
            lap=clock.lap,
        )
        return AggregatedPublication(statement, blinds[-1], batches[0].digest_in, proof), batches
    proofs = _prove_batches(statement, batches, plan, profile, report, clock)
    return Publication(statement, blinds[-1], batches[0].digest_in, proofs), batches


def _prove_batches(
    statement: Statement,
    batches: list[Batch],
    plan: Plan,
    profile: str,
    report: Progress,
    clock: _Clock,
) -> tuple[BatchProof, ...]:
    """A proof per batch, each published."""
    report("proving key", 0, 1)
    parameters = profile_parameters(profile, plan.shape)
    key = generate_key(batch_system(plan.shape, zk=True), parameters)
    clock.lap("proving key")
    contexts = batch_contexts(statement)
    proofs = [
        _prove_batch(key, contexts[number], number, batch, plan, report)
        for number, batch in enumerate(batches)
    ]
    clock.lap("proving")
    return tuple(proofs)


def _prove_batch(
    key: ProvingKey, context: bytes, number: int, batch: Batch, plan: Plan, report: Progress
) -> BatchProof:
    def step(phase: str) -> None:
        report(f"batch {number}: {phase}", number, plan.batches)

    step("trace")
    proof = prove(key, batch.traces(), batch.publics, context, step, lean=plan.lean)
    return BatchProof(batch.digest_out, batch.root, proof)


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


def _commitments(
    snapshot: Snapshot, master_key: bytes, nonce: bytes
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Salts (accounts, 32) and commitments (accounts, 8) of all accounts."""
    ids = (snapshot.id_bytes, snapshot.id_offsets)
    salts = account_salts(master_key, snapshot.manifest.epoch, nonce, *ids)
    return salts, account_commitments(*ids, salts)


def _batch_accounts(
    snapshot: Snapshot,
    account_of: NDArray[np.int64],
    rows: NDArray[np.int64],
    commitments: NDArray[np.uint32],
) -> BatchAccounts:
    """The rows of one batch's slots; empty slots get a random commitment and one zero row."""
    empty = account_of == _EMPTY
    account = np.where(empty, 0, account_of)
    counts = np.where(empty, 1, rows[account])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    # Row r of slot s is row r - offsets[s] of its account.
    slot_of_row = np.repeat(np.arange(len(account_of)), counts)
    source = snapshot.offsets[account][slot_of_row] + np.arange(offsets[-1]) - offsets[slot_of_row]
    blank = empty[slot_of_row]
    source[blank] = 0
    values = commitments[account]
    values[empty] = _random_digests(int(empty.sum()))
    assets, limbs = snapshot.assets[source], snapshot.amount_limbs[source]
    assets[blank], limbs[blank] = 0, 0
    return BatchAccounts(commitments=values, offsets=offsets, assets=assets, limbs=limbs)


def _random_digests(count: int) -> NDArray[np.uint32]:
    """Digests distributed like account commitments: 32-bit words reduced mod p."""
    words = np.frombuffer(secrets.token_bytes(4 * DIGEST_LANES * count), np.uint32)
    return (words % P).reshape(count, DIGEST_LANES).astype(np.uint32)


def _blind() -> tuple[int, ...]:
    """A fresh uniform first chaining value."""
    return tuple(secrets.randbelow(P) for _ in range(DIGEST_LANES))
