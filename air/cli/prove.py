"""``keygen`` and ``prove``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from air.cli.outcome import (
    PATH,
    command_errors,
    finish,
    json_option,
    memory_option,
    profile_option,
    require_readable,
    size_text,
)
from air.cli.progress import progress_bar
from air.context import short_digest
from air.report_json import statement_json
from air.shape import Shape
from stark.errors import UsageError

if TYPE_CHECKING:
    from air.proving import ProofRun


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
    force: bool,
    as_json: bool,
) -> int:
    """Prove what a SNAPSHOT says is owed; write the proof, the statement and the store."""
    if batches is not None and shape is None:
        raise UsageError("--batches goes with --shape")
    chosen = None if shape is None else Shape.named(shape)
    require_free(out, force)
    require_readable(snapshot)
    from air.master_key import read_master_key

    master_key = read_master_key(keyfile)
    with progress_bar(not as_json) as report:
        report("loading the prover", 0, 1)
        from air.planning import DEFAULT_MAX_LOG_ROWS
        from air.proving import prove_snapshot
        from air.snapshot.check import load
        from air.snapshot.manifest import default_manifest_path

        manifest = manifest or default_manifest_path(snapshot)
        require_readable(manifest)
        loaded = load(snapshot, manifest, lambda done, total: report("reading", done, total))
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
            progress=report,
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
