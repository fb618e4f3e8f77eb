"""``bench``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from air.cli.outcome import PATH, command_errors, json_option, memory_option, say
from air.cli.progress import progress_bar
from air.keys import DEFAULT_PROFILE
from air.report_json import failure, success
from air.verify import EXIT_OK, EXIT_REJECTED, dump
from stark.errors import UsageError

Value = TypeVar("Value")

_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "accounts": (4096, 65536),
    "assets": (500,),
    "holdings": (5.0,),
}
_QUICK: dict[str, tuple[Any, ...]] = {"accounts": (1000,), "assets": (50,), "holdings": (3.0,)}


class _List(click.ParamType):  # type: ignore[type-arg]
    """Values with commas in between."""

    def __init__(self, name: str, read: Callable[[str], Any], example: str) -> None:
        self.name = name
        self._read = read
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(self._read(part.strip()) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no such list; one is like {self._example}", param, ctx)


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError(text)
    return text == "on"


_COUNTS = _List("numbers", int, "4096,65536")
_MEANS = _List("numbers", float, "2,5.5")
_NAMES = _List("names", str, "proven128,proven100")
_SWITCHES = _List("on|off", _switch, "on,off")


@click.command(short_help="Measure sweeps of sizes and parameters.")
@click.option("--accounts", type=_COUNTS, help="Numbers of accounts.  [default: 4096,65536]")
@click.option("--assets", type=_COUNTS, help="Numbers of listed assets.  [default: 500]")
@click.option("--holdings", type=_MEANS, help="Mean holdings per account.  [default: 5]")
@click.option("--profile", "profiles", type=_NAMES, default=DEFAULT_PROFILE, show_default=True)
@click.option("--threads", type=_COUNTS, help="Threads of the prover.  [default: all cores]")
@click.option("--zk", type=_SWITCHES, default="on", show_default=True, help="Hide, or not.")
@click.option("--log-blowup", "log_blowups", type=_COUNTS, help="log2, instead of the profile's.")
@click.option("--hash-suite", "suites", type=_NAMES, default="sha256", show_default=True)
@click.option("--batch", is_flag=True, help="Prove one batch by itself, without a publication.")
@click.option("--runs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--max-log-rows", type=click.IntRange(12, 20), default=20, show_default=True)
@memory_option
@click.option("--phases", is_flag=True, help="Take the prover's rounds apart instead.")
@click.option("--uncompiled", is_flag=True, help="Prove once more without compiled kernels.")
@click.option("--quick", is_flag=True, help="One small snapshot unless sizes are given.")
@click.option(
    "--reference/--no-reference",
    default=True,
    help="Time the kernel that machines are compared by; it takes 1.5 GB.",
)
@click.option("--out", type=PATH, help="Write the JSON document here, after every point.")
@json_option
@command_errors
def bench(
    accounts: tuple[int, ...] | None,
    assets: tuple[int, ...] | None,
    holdings: tuple[float, ...] | None,
    profiles: tuple[str, ...],
    threads: tuple[int, ...] | None,
    zk: tuple[bool, ...],
    log_blowups: tuple[int, ...] | None,
    suites: tuple[str, ...],
    batch: bool,
    runs: int,
    max_log_rows: int,
    memory: int | None,
    phases: bool,
    uncompiled: bool,
    quick: bool,
    reference: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    """Measure proving and verifying made-up snapshots: all combinations of the lists.

    Lists have commas: --accounts 4096,16384. Without masks, with another blowup or hash suite, or
    with --batch, one batch is proven by itself, since a publication has none of these. The exit
    code is 1 if a point could not be measured.
    """
    from air.bench.machine import ReferenceKernel
    from air.bench.points import sweep
    from air.bench.proving import Limits
    from air.bench.sweep import Options, run_sweep
    from air.bench.tables import document_lines
    from stark.parallel import worker_count

    if phases and uncompiled:
        raise UsageError("--uncompiled measures whole runs, which --phases leaves out")
    if out is not None and not out.absolute().parent.is_dir():
        raise UsageError(f"{out.parent} is no folder to write into")
    sizes = _QUICK if quick else _DEFAULTS
    points = sweep(
        accounts=accounts or sizes["accounts"],
        assets=assets or sizes["assets"],
        holdings=holdings or sizes["holdings"],
        profiles=profiles,
        threads=threads or (worker_count(),),
        zk=zk,
        log_blowups=log_blowups or (None,),
        hash_suites=suites,
        alone=batch,
    )
    options = Options(
        Limits(runs, max_log_rows, memory),
        phases=phases,
        uncompiled=uncompiled,
        reference=ReferenceKernel() if reference else None,
        out=out,
    )
    with progress_bar(not as_json) as report:
        document = run_sweep(points, options, report)
    failed = [result for result in document["results"] if "error" in result]
    if not as_json:
        for line in document_lines(document):
            click.echo(line)
        for result in failed:
            say(f"not measured: {result['error']}")
    elif failed:
        words = f"{len(failed)} of {len(points)} points could not be measured"
        click.echo(dump(failure("bench", UsageError(words), **document)))
    else:
        click.echo(dump(success("bench", document)))
    return EXIT_REJECTED if failed else EXIT_OK
