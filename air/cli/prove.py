"""``keygen`` and ``prove``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from air.cli.outcome import (
    PATH,
    command_errors,
    finish,
    json_option,
    memory_option,
    profile_option,
    require_readable,
    say,
    size_text,
)
from air.cli.progress import READING, begin_loading, run_progress
from air.context import short_digest
from air.report import printable
from air.report_json import statement_json
from air.shape import Shape
from stark.errors import UsageError

if TYPE_CHECKING:
    from air.proving import ProofRun
    from air.runs.workers import Workers


@click.command(short_help="Write a fresh master key.")
@click.argument("keyfile", type=PATH)
@json_option
@command_errors
def keygen(keyfile: Path, as_json: bool) -> int:
    """Write a fresh master key to KEYFILE, readable by its owner alone.

    Every salt and the placement of accounts derive from it. It is never overwritten; keep it
    secret, and keep it: without it, customers' files cannot be made again.
    """
    from air.master_key import generate_master_key

    generate_master_key(keyfile)
    return finish(as_json, {"keyfile": str(keyfile)}, [f"{keyfile}: a fresh master key, mode 0600"])


@click.command(short_help="Prove what a snapshot says is owed.")
@click.argument("snapshot", type=PATH)
@click.option("--manifest", type=PATH, help="Default: S.manifest.json beside S.csv.")
@click.option("--key", "keyfile", type=PATH, required=True, help="Master key, see keygen.")
@click.option("--out", type=PATH, required=True, help="Folder for the proof and the store.")
@profile_option
@memory_option
@click.option(
    "--max-log-rows",
    type=click.IntRange(12, 20),
    help="No table of a batch has more than 2^N rows.",
)
@click.option(
    "--shape",
    metavar="NAME",
    help="Fix the public size of a batch, like rows15-slots12-assets9, whatever the snapshot.",
)
@click.option("--batches", type=click.IntRange(min=1), help="With --shape: fix their number too.")
@click.option(
    "--aggregate/--no-aggregate",
    default=True,
    help="One proof over all batches, or one per batch. Default: one.",
)
@click.option("--store", type=PATH, help="Where the secret inclusion store goes. Default: in OUT.")
@click.option(
    "--work",
    type=PATH,
    help="Folder for finished proofs; secret, and removed at the end. Default: OUT.work.",
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished run, if there is one.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that make proofs, side by side. Default: as memory and cores allow.",
)
@click.option("--dask", metavar="ADDRESS", help="Make the proofs on a Dask cluster.")
@click.option("--force", is_flag=True, help="Write into a folder that is not empty.")
@json_option
@command_errors
def prove(
    snapshot: Path,
    manifest: Path | None,
    keyfile: Path,
    out: Path,
    profile: str,
    memory: int | None,
    max_log_rows: int | None,
    shape: str | None,
    batches: int | None,
    aggregate: bool,
    store: Path | None,
    work: Path | None,
    resume: bool,
    workers: int | None,
    dask: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Prove what a SNAPSHOT says is owed; write the proof, the statement and the store.

    A run that was stopped, by whatever, goes on with --resume where it was.
    """
    if batches is not None and shape is None:
        raise UsageError("--batches goes with --shape")
    if workers is not None and dask is not None:
        raise UsageError("either --workers or --dask")
    chosen = None if shape is None else Shape.named(shape)
    _require_places(out, store, work, resume, force)
    require_readable(snapshot)
    if store is not None:
        _require_other_file(store, snapshot, keyfile)
    from air.master_key import read_master_key

    master_key = read_master_key(keyfile)
    with _going_on(out, work), run_progress(as_json) as progress, _workers(workers, dask) as team:
        begin_loading(progress, snapshot)
        from air.planning import DEFAULT_MAX_LOG_ROWS
        from air.proving import prove_snapshot
        from air.snapshot.check import load
        from air.snapshot.manifest import default_manifest_path

        manifest = manifest or default_manifest_path(snapshot)
        require_readable(manifest)
        loaded = load(snapshot, manifest, partial(progress.stage, READING))
        run = prove_snapshot(
            loaded,
            master_key,
            out,
            profile=profile,
            max_log_rows=max_log_rows or DEFAULT_MAX_LOG_ROWS,
            shape=chosen,
            batches=batches,
            memory=memory,
            store=store,
            aggregate=aggregate,
            work=work,
            resume=resume,
            workers=team,
            progress=progress,
            warn=partial(_warn, as_json),
        )
    fields = {
        **statement_json(run.statement),
        "profile": profile,
        "files": {
            name: {"path": str(path), "bytes": path.stat().st_size} for name, path in _files(run)
        },
        "seconds": run.seconds,
    }
    return finish(as_json, fields, run_lines(run))


def _require_places(
    out: Path, store: Path | None, work: Path | None, resume: bool, force: bool
) -> None:
    """Before anything is read: OUT is free, or what an unfinished run wrote; and that is wanted."""
    from air.run_places import RunPlaces
    from air.runs.folder import read_manifest, refuse_unfinished, require_unused

    places = RunPlaces.of(out, store, work)
    # Nobody is told to remove the folder of a run that is going on.
    require_unused(places.work)
    refuse_unfinished(places.work, resume)
    begun = read_manifest(places.work)
    if begun is None:
        require_free(out, force)
    elif not force:
        places.require_own_files(begun)
    if store is not None and not force:
        places.require_own_store(begun)
    places.require_writable()


def _require_other_file(store: Path, *inputs: Path) -> None:
    """``UsageError`` if the store would be written over what is read, forced or not."""
    for path in inputs:
        if store.exists() and path.exists() and store.samefile(path):
            raise UsageError(f"the store cannot be {store}, which is read")


@contextmanager
def _going_on(out: Path, work: Path | None) -> Iterator[None]:
    """An interrupt says how to go on, if there is something to go on with."""
    try:
        yield
    except KeyboardInterrupt:
        from air.run_places import RunPlaces
        from air.runs.folder import read_manifest

        folder = RunPlaces.of(out, work=work).work
        if read_manifest(folder) is None:
            raise
        raise KeyboardInterrupt(
            f"what is finished is kept in {folder}; --resume goes on with it"
        ) from None


def _warn(as_json: bool, line: str) -> None:
    """A line to standard error, among those of the progress."""
    say(json.dumps({"event": "note", "text": line}) if as_json else printable(line))


@contextmanager
def _workers(count: int | None, dask: str | None) -> Iterator[Workers | int | Literal["auto"]]:
    if dask is None:
        yield "auto" if count is None else count
        return
    from air.runs.cluster import dask_workers

    with dask_workers(dask) as cluster:
        yield cluster


def require_free(folder: Path, force: bool = False) -> None:
    """``UsageError`` if the folder holds anything, unless forced; ``OSError`` if it is a file."""
    if not force and folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; --force writes into it all the same")


def run_lines(run: ProofRun) -> list[str]:
    """Files, sizes, times and the statement digest of a run."""
    digest = run.statement.digest()
    total = sum(run.seconds.values())
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in run.seconds.items())
    return [
        *(f"{name:<10} {path}  ({size_text(path.stat().st_size)})" for name, path in _files(run)),
        f"batches    {run.statement.batches}",
        f"time       {total:.1f} s ({phases})",
        f"digest     {digest.hex()}",
        f"  short    {short_digest(digest)}",
        "The store holds every salt and balance: it stays with the exchange.",
    ]


def _files(run: ProofRun) -> list[tuple[str, Path]]:
    return [
        ("proof", run.proof_path),
        ("statement", run.statement_path),
        ("store", run.store_path),
    ]
