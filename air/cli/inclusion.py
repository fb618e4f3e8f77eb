"""``inclusion``: customers' files, exported and checked."""

from __future__ import annotations

from pathlib import Path

import click

from air.cli.outcome import (
    PATH,
    command_errors,
    finish,
    json_option,
    policy_option,
    require_readable,
    size_text,
)
from air.cli.progress import progress_bar
from air.inclusion.check import check_inclusion
from air.inclusion.customer import MAX_BYTES
from air.publication import STORE_FILE
from air.report import (
    NOT_PROVEN,
    assumptions,
    check_line,
    customer_lines,
    error_text,
)
from air.report_json import checks_json, customer_json, failure
from air.verification import Check
from air.verify import dump, parse_digest, read_limited, rejection_exit
from stark.errors import Rejected, UsageError


@click.group(short_help="Customers' files: exported and checked.")
def inclusion() -> None:
    """Customers' files: what each customer needs to find their account in the totals."""


@inclusion.command("export")
@click.argument("source", type=PATH)
@click.option("--account", metavar="ID", help="One account; --out names its file.")
@click.option("--all", "everyone", is_flag=True, help="All accounts; --out names their folder.")
@click.option("--out", type=PATH, required=True, help="File, or folder with --all.")
@json_option
@command_errors
def export(source: Path, account: str | None, everyone: bool, out: Path, as_json: bool) -> int:
    """Write the file of one customer, or of all, from SOURCE: a store, or the folder it is in."""
    if (account is None) is not everyone:
        raise UsageError("say either --account ID or --all")
    store_path = source if source.is_file() else source / STORE_FILE
    require_readable(store_path)
    from air.inclusion.reader import InclusionStore

    with progress_bar(not as_json) as report:
        report("exporting", 0, 1)
        with InclusionStore(store_path) as store:
            if account is not None:
                store.export(account, out)
                count = 1
            else:
                count = store.export_all(out, lambda done, total: report("exporting", done, total))
    fields = {"out": str(out), "files": count}
    if account is not None:
        return finish(as_json, fields, [f"{out}: {size_text(out.stat().st_size)}"])
    return finish(as_json, fields, [f"{out}: {count:,} files"])


@inclusion.command("verify")
@click.argument("file", type=PATH)
@click.option("--proof", type=PATH, required=True, help="The exchange's proof file.")
@click.option("--account", metavar="ID", help="The account that it must be: yours.")
@click.option("--expect", metavar="DIGEST", help="Statement digest that was published elsewhere.")
@policy_option
@json_option
@command_errors
def verify(
    file: Path,
    proof: Path,
    account: str | None,
    expect: str | None,
    profiles: tuple[str, ...],
    as_json: bool,
) -> int:
    """Check that a customer's FILE is part of the totals of a proof file, and that proof itself."""
    digest = None if expect is None else parse_digest(expect)
    customer_data = read_limited(file, MAX_BYTES)
    proof_data = read_limited(proof)
    checks: list[Check] = []

    def passed(check: Check) -> None:
        checks.append(check)
        if not as_json:
            click.echo(check_line(check))

    try:
        result = check_inclusion(customer_data, proof_data, account, profiles, digest, passed)
    except Rejected as error:
        if as_json:
            click.echo(dump(failure("inclusion verify", error, checks=checks_json(checks))))
        else:
            click.echo(f"REJECTED: {error_text(error)}", err=True)
        return rejection_exit(error, proof_data)
    fields = {
        **customer_json(result.customer),
        "profile": result.acceptance.profile,
        "checks": checks_json(checks),
        "assumptions": assumptions(result.acceptance),
        "not_proven": list(NOT_PROVEN),
    }
    return finish(as_json, fields, customer_lines(result.customer))
