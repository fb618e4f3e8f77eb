"""``plan``."""

from __future__ import annotations

from pathlib import Path

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
from air.shape import Shape
from stark.errors import UsageError


@click.command(short_help="Predict what proving a snapshot takes.")
@click.argument("snapshot", type=PATH)
@click.option("--manifest", type=PATH, help="Default: S.manifest.json beside S.csv.")
@profile_option
@memory_option
@click.option("--shape", metavar="NAME", help="As for prove.")
@click.option("--batches", type=click.IntRange(min=1), help="As for prove.")
@click.option("--aggregate/--no-aggregate", default=True, help="As for prove.")
@click.option("--workers", type=click.IntRange(min=1), help="As for prove.")
@json_option
@command_errors
def plan(
    snapshot: Path,
    manifest: Path | None,
    profile: str,
    memory: int | None,
    shape: str | None,
    batches: int | None,
    aggregate: bool,
    workers: int | None,
    as_json: bool,
) -> int:
    """Predict time, memory, disk and proof size of ``prove`` for a SNAPSHOT on this machine.

    The snapshot is read and checked; nothing is written.
    """
    if batches is not None and shape is None:
        raise UsageError("--batches goes with --shape")
    chosen = None if shape is None else Shape.named(shape)
    require_readable(snapshot)
    with progress_bar(not as_json) as report:
        report("loading", 0, 1)
        import numpy as np

        from air.aggregate.keys import aggregable
        from air.planning import fixed_plan, make_plan
        from air.resources import Workload, local_workers, predict, proving_bytes, within
        from air.snapshot.check import load
        from air.snapshot.manifest import default_manifest_path
        from air.speeds import measure_speeds
        from stark.parallel import worker_count

        manifest = manifest or default_manifest_path(snapshot)
        require_readable(manifest)
        loaded = load(snapshot, manifest, lambda done, total: report("reading", done, total))
        workload = Workload.of(loaded)
        fits = within(memory, workload, profile, workers or 1)
        aggregates = aggregable(profile) if aggregate else None
        rows, assets = np.diff(loaded.offsets), len(loaded.registry)
        made = (
            make_plan(rows, assets, fits=fits, aggregates=aggregates)
            if chosen is None
            else fixed_plan(chosen, batches, rows, assets, fits, aggregates)
        )
        if workers is None:
            workers = local_workers(memory, workload, profile, made, worker_count())
        report("measuring this machine", 0, 1)
        speeds = measure_speeds(proving_bytes(profile, made))
        expected = predict(workload, profile, made, speeds, workers)
    fill = loaded.holdings / (made.batches * made.shape.holding_rows)
    fields = {
        "accounts": loaded.accounts,
        "holdings": loaded.holdings,
        "assets": assets,
        "profile": profile,
        "shape": made.shape.name,
        "batches": made.batches,
        "lean": made.lean,
        "aggregated": made.aggregated,
        "workers": workers,
        "fill": round(fill, 4),
        "seconds": round(expected.seconds, 1),
        "memory_seconds": round(expected.memory_seconds, 1),
        "memory_bytes": expected.memory_bytes,
        "proof_bytes": expected.proof_bytes,
        "disk_bytes": expected.disk_bytes,
    }
    lines = [
        f"snapshot   {loaded.accounts:,} accounts, {loaded.holdings:,} holdings, {assets} assets",
        f"batches    {made.batches} of {made.shape.name}, {fill:.0%} filled"
        + (", lean" if made.lean else "")
        + (", aggregated in one proof" if made.aggregated else ""),
        f"workers    {_workers_text(workers)}",
        f"time       {expected.seconds:.0f} s on this machine, reading not counted",
        f"           of these {expected.memory_seconds:.1f} s for memory not used lately",
        f"memory     {size_text(expected.memory_bytes)}",
        f"proof      {size_text(expected.proof_bytes)}",
        f"disk       {size_text(expected.disk_bytes)} with the inclusion store",
    ]
    return finish(as_json, fields, lines)


def _workers_text(workers: int) -> str:
    return "this process alone" if workers == 1 else f"{workers} processes side by side"
