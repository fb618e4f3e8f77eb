"""Proving a snapshot: a run from placement to the files of a publication, which can be resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from air.aggregate.keys import aggregable
from air.aggregate.publics import aggregate_context
from air.aggregate.run import prove_aggregate, prove_published
from air.context import Statement
from air.inclusion.store import write_store
from air.keys import DEFAULT_PROFILE
from air.placing import PlacedAccounts, place
from air.planning import DEFAULT_MAX_LOG_ROWS, fixed_plan
from air.preparing import PreparedBatches, prepare_batches
from air.publication import AggregatedPublication, Publication
from air.resources import Workload, local_workers, within
from air.resuming import (
    identified,
    is_published,
    manifest_of,
    require_prepared,
    require_same,
)
from air.run_costs import CHECKING, PLACING, WRITING, account_stages, plan_progress
from air.run_places import RunPlaces
from air.runs.folder import WorkFolder, refuse_unfinished
from air.runs.progress import Progress, RunProgress
from air.runs.scheduler import Kept
from air.runs.seed import RunSeed
from air.runs.workers import Borrowed, LocalPool, Workers
from air.shape import Shape
from air.snapshot.columns import TextColumn
from air.snapshot.files import atomic_output
from air.snapshot.table import Snapshot
from air.tree import upper_levels
from air.verification import batch_contexts, verify_publication
from air.witness import Batch
from stark.errors import Rejected, UsageError
from stark.field.memory import buffers
from stark.parallel import worker_count


@dataclass(frozen=True)
class ProofRun:
    """What a run wrote, and how long its phases took, in seconds; of a resumed run the last part
    alone."""

    directory: Path
    proof_path: Path
    statement_path: Path
    store_path: Path
    statement: Statement
    seconds: dict[str, float]


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
    work: str | os.PathLike[str] | None = None,
    resume: bool = False,
    workers: Workers | Executor | int | Literal["auto"] = 1,
    progress: Callable[[Progress], None] | RunProgress | None = None,
    warn: Callable[[str], None] | None = None,
) -> ProofRun:
    """Prove ``snapshot`` and write the proof file, the statement and the inclusion store.

    Proofs are kept in a work folder as they are finished, and removed with it when all files are
    written. Stopped at any point, a run is finished by the same call with ``resume``: the same
    statement, no finished proof made again.

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
        Bytes that this process may take, together with those that it starts; batches are made
        small enough. By default three quarters of the machine's.
    store
        Where the inclusion store goes, which is secret; by default into the same folder.
    aggregate
        Whether several batches are proven in one proof. Without it the file has a proof per batch.
    work
        The work folder, as secret as the store: see :mod:`air.runs.folder`. By default
        ``OUT.work`` beside ``out``.
    resume
        Whether an unfinished run that is there is gone on with, in its shape and number of
        batches; without one, a run begins.
    workers
        Who makes the proofs: this process alone, by default; more than one process of this machine;
        as many as memory and cores are for, ``auto``; or an executor of the caller's. Processes
        that are started here import the caller's program: it needs its
        ``if __name__ == "__main__":``.
    progress
        Called in this thread whenever something happens; or the progress of a run that this is a
        part of.
    warn
        Called with a line about each kept file that is of no use, and about what ``resume`` comes
        to.

    Raises
    ------
    UsageError
        If the snapshot does not fit any shape, or not the one that is asked for; if a file could
        not be written where it is to go: before anything is computed; if there is an unfinished
        run and ``resume`` is not set, or it is of something else, or in use; or if the disk is
        full: then what is finished is kept.
    Rejected
        If the verifier refuses the proof, which would be a fault of this program: nothing is
        written then.
    """
    if batches is not None and shape is None:
        raise UsageError("a number of batches goes with a shape")
    clock = _Clock()
    run = RunProgress.of(progress)
    workload = Workload.of(snapshot)
    run.begin(account_stages(workload))
    places = RunPlaces.of(out, store, work)
    places.require_writable()
    tell = warn or (lambda line: None)
    with WorkFolder(places.work, tell) as kept, ExitStack() as stack:
        begun = kept.manifest
        if begun is None and resume:
            tell(f"there is no unfinished run in {places.work}: a new one begins")
        if begun is not None:
            refuse_unfinished(places.work, resume)
            require_same(begun, snapshot, master_key, profile, aggregate, shape, batches)
            places.remove_partial()
            done = is_published(begun, profile, places)
            if done is not None:
                kept.finish()
                run.finish()
                clock.lap("checking the proof")
                return _run(places, done, clock)
            shape, batches, aggregate = Shape.named(begun.shape), begun.batches, begun.aggregated
        seed = RunSeed.fresh() if begun is None else begun.seed
        fits = within(memory, workload, profile, workers if isinstance(workers, int) else 1)
        aggregates = aggregable(profile) if aggregate else None
        fixed = None
        if shape is not None:
            rows = np.diff(snapshot.offsets)
            fixed = fixed_plan(shape, batches, rows, len(snapshot.registry), fits, aggregates)
        run.stage(PLACING)
        placed = place(
            snapshot, master_key, seed.nonce, max_log_rows, fixed, fits, aggregates, seed
        )
        clock.lap("placement")
        if workers == "auto":
            workers = local_workers(memory, workload, profile, placed.plan, worker_count())
        team = stack.enter_context(_team(workers))
        plan_progress(run, workload, profile, placed.plan, 1 if team is None else team.count)
        prepared = prepare_batches(snapshot, placed, seed.nonce, profile, seed, run.stage)
        clock.lap("hashing accounts")
        if begun is None:
            kept.begin(manifest_of(snapshot, master_key, profile, seed, prepared))
        else:
            require_prepared(begun, prepared)
        found = kept.scan(identified(prepared, profile))
        if begun is not None:
            tell(f"going on with the run in {places.work}, {found} of its proofs finished")
        publication = _prove(prepared, profile, run, clock, kept, team)
        run.stage(CHECKING)
        proof_file = publication.encode()
        try:
            verify_publication(proof_file, profiles=(profile,))
        except Rejected:
            tell(f"nothing is published; --resume looks for what is wrong in {places.work}")
            raise
        clock.lap("checking the proof")
        run.stage(WRITING)
        _write_files(places, snapshot, placed, prepared, proof_file)
        kept.finish()
    clock.lap("files")
    buffers.release()
    run.finish()
    return _run(places, prepared.statement, clock)


def _run(places: RunPlaces, statement: Statement, clock: _Clock) -> ProofRun:
    return ProofRun(
        places.out, places.proof, places.statement, places.store, statement, clock.seconds
    )


def prove_placed(
    snapshot: Snapshot,
    placed: PlacedAccounts,
    nonce: bytes,
    profile: str,
    progress: Callable[[Progress], None] | RunProgress | None = None,
) -> tuple[Publication | AggregatedPublication, list[Batch]]:
    """The publication of placed accounts, and the batches with their trees, in memory alone.

    What is in ``placed`` is proven as it is: nothing is checked here.
    """
    run = RunProgress.of(progress)
    plan_progress(run, Workload.of(snapshot), profile, placed.plan)
    prepared = prepare_batches(snapshot, placed, nonce, profile, RunSeed.fresh(), run.stage)
    return _prove(prepared, profile, run, _Clock()), prepared.batches


def _prove(
    prepared: PreparedBatches,
    profile: str,
    run: RunProgress,
    clock: _Clock,
    kept: Kept | None = None,
    workers: Workers | None = None,
) -> Publication | AggregatedPublication:
    """The publication of batches: one proof over all, or one of each."""
    plan, statement = prepared.plan, prepared.statement
    if plan.aggregated:
        proof = prove_aggregate(
            prepared.batches,
            plan.shape,
            profile,
            aggregate_context(statement.context.digest(), statement.digest()),
            lean=plan.lean,
            kept=kept,
            workers=workers,
            watch=run.watch,
            step=run.step,
            lap=clock.lap,
        )
        return prepared.aggregated(proof)
    phases = {"keys": "proving key", "batches": "proving"}
    proofs = prove_published(
        prepared.batches,
        plan.shape,
        profile,
        batch_contexts(statement),
        lean=plan.lean,
        kept=kept,
        workers=workers,
        watch=run.watch,
        step=run.step,
        lap=lambda part: clock.lap(phases[part]),
    )
    return prepared.published(proofs)


def export_store(
    path: Path, snapshot: Snapshot, placed: PlacedAccounts, prepared: PreparedBatches
) -> None:
    """Write the inclusion store of a run. Raises as :func:`write_store`."""
    write_store(
        path,
        prepared.statement,
        TextColumn(snapshot.id_bytes, snapshot.id_offsets[:-1], snapshot.id_offsets[1:]),
        placed.salts,
        placed.slots,
        snapshot.offsets,
        snapshot.assets,
        snapshot.amount_limbs,
        (batch.nodes for batch in prepared.batches),
        upper_levels([batch.root for batch in prepared.batches]),
    )


def _write_files(
    places: RunPlaces,
    snapshot: Snapshot,
    placed: PlacedAccounts,
    prepared: PreparedBatches,
    proof_file: bytes,
) -> None:
    """Store, statement, proof: the proof comes last, so that where it is, all is.

    ``UsageError`` if one cannot be written; the run can be resumed then.
    """
    statement = prepared.statement
    try:
        for folder in (places.out, places.store.parent):
            folder.mkdir(parents=True, exist_ok=True)
        export_store(places.store, snapshot, placed, prepared)
        for path, data in ((places.statement, statement.encode()), (places.proof, proof_file)):
            with atomic_output(path) as file:
                file.write(data)
    except OSError as error:
        raise UsageError(
            f"{error.filename or places.out} cannot be written: {error.strerror}; all proofs are "
            f"kept in {places.work}, and --resume goes on with them"
        ) from error


@contextmanager
def _team(workers: Workers | Executor | int) -> Iterator[Workers | None]:
    """Who makes proofs; ``None`` for this process. Processes that are started here end here."""
    if isinstance(workers, int):
        if workers < 1:
            raise UsageError("a run has one worker or more")
        if workers == 1:
            yield None
            return
        with LocalPool(workers, max(1, worker_count() // workers)) as pool:
            yield pool
    elif isinstance(workers, Executor):
        yield Borrowed(workers)
    else:
        yield workers
