"""``generate`` and ``check``: snapshots before anything is proven."""

from __future__ import annotations

import math
from pathlib import Path

import click

from air.cli.outcome import PATH, command_errors, finish, json_option, require_readable, size_text
from air.cli.progress import progress_bar
from air.registry import format_amount
from air.report import printable, table_lines
from air.report_json import failure, fault_json, success, totals_json
from air.verify import EXIT_OK, EXIT_REJECTED, dump
from stark.errors import InputError, UsageError


@click.command(short_help="Make up a realistic snapshot.")
@click.argument("snapshot", type=PATH)
@click.option("--accounts", type=int, required=True, help="Number of accounts.")
@click.option("--assets", type=int, default=200, show_default=True, help="Listed assets.")
@click.option(
    "--holdings", type=float, default=5.0, show_default=True, help="Mean holdings per account."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds, equal files.")
@json_option
@command_errors
def generate(
    snapshot: Path, accounts: int, assets: int, holdings: float, seed: int, as_json: bool
) -> int:
    """Make up a realistic SNAPSHOT (.csv or .parquet) and its manifest beside it."""
    from air.snapshot.generate import generate as write_snapshot
    from air.snapshot.manifest import default_manifest_path

    if not math.isfinite(holdings):
        raise UsageError(f"holdings must be a number, got {holdings}")
    write_snapshot(snapshot, accounts, assets, holdings, seed)
    manifest = default_manifest_path(snapshot)
    size = snapshot.stat().st_size
    rows = round(accounts * holdings)
    return finish(
        as_json,
        {
            "snapshot": str(snapshot),
            "manifest": str(manifest),
            "accounts": accounts,
            "assets": assets,
            "rows": rows,
            "bytes": size,
        },
        [
            f"{snapshot}: {accounts:,} accounts, {rows:,} rows, {size_text(size)}",
            f"{manifest}: {assets:,} assets",
        ],
    )


@click.command(short_help="List every fault of a snapshot, or its totals.")
@click.argument("snapshot", type=PATH)
@click.option("--manifest", type=PATH, help="Default: S.manifest.json beside S.csv.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Faults to list; all are counted.",
)
@json_option
@command_errors
def check(snapshot: Path, manifest: Path | None, limit: int, as_json: bool) -> int:
    """List every fault of a SNAPSHOT, or its totals if there is none.

    A fault is a line: file, row, column, value, reason. Exit code 1 if there are any.
    """
    from air.snapshot.check import check as check_snapshot
    from air.snapshot.manifest import default_manifest_path

    manifest = manifest or default_manifest_path(snapshot)
    require_readable(snapshot)
    require_readable(manifest)
    with progress_bar(not as_json) as report:
        result = check_snapshot(
            snapshot, manifest, limit, lambda done, total: report("reading", done, total)
        )
    if not result.ok or result.manifest is None:
        return _report_faults(result.faults, result.fault_count, as_json)
    registry = result.manifest.registry
    fields = {
        "accounts": result.accounts,
        "holdings": result.holdings,
        "totals": totals_json(registry, result.totals),
    }
    if as_json:
        click.echo(dump(success("check", fields)))
        return EXIT_OK
    pairs = zip(registry, result.totals, strict=True)
    click.echo(f"{snapshot}: no faults; {result.accounts:,} accounts, {result.holdings:,} holdings")
    for line in table_lines([(a.symbol, format_amount(total, a.decimals)) for a, total in pairs]):
        click.echo(line)
    return EXIT_OK


def _report_faults(faults: tuple[InputError, ...], count: int, as_json: bool) -> int:
    """All listed faults; they are the result, so they go to standard output."""
    if as_json:
        listed = [fault_json(fault) for fault in faults]
        click.echo(dump(failure("check", faults[0], faults=listed, fault_count=count)))
        return EXIT_REJECTED
    for fault in faults:
        click.echo(printable(str(fault)))
    more = f", {len(faults)} of them listed" if count > len(faults) else ""
    click.echo(f"{count:,} fault{'' if count == 1 else 's'}{more}", err=True)
    return EXIT_REJECTED
