"""From a snapshot file to a verified publication, per size: prints JSON.

``python benchmarks/liabilities.py --accounts 4096 65536 --assets 500 --holdings 5``

Every size has a process of its own, so that peak memory is that of the size. A small snapshot is
proven first, so that compilation is not in the seconds; then the snapshot itself, ``--runs`` times.
The first of these runs also pays for memory that the system hands out for the first time, on some
virtual machines as much as for the proof. The verifier is timed from the outside, start of the
interpreter included.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import llvmlite.binding

from air.keys import DEFAULT_PROFILE, profile_parameters
from air.planning import DEFAULT_MAX_LOG_ROWS
from air.proving import ProofRun, prove_snapshot
from air.shape import Shape
from air.snapshot.check import load
from air.snapshot.generate import generate
from air.tables.batch import batch_system
from stark.constraints.expression import Part
from stark.parallel import worker_count
from stark.soundness.search import PROFILES

MASTER_KEY = bytes(range(32))
WARM_UP = (200, 20, 3.0)
"""Accounts, assets and holdings of the snapshot that calls every kernel once."""

VERIFIER_RUNS = 5
SEED = 1
SNAPSHOT = "snapshot.parquet"
COMPARED = ("total_seconds", "peak_rss_bytes", "proof_bytes", "verifier_seconds", "holdings")


@dataclass(frozen=True)
class Size:
    """One snapshot: ``holdings`` is the mean number per account."""

    accounts: int
    assets: int
    holdings: float


@dataclass(frozen=True)
class Proving:
    """How to prove, and how often."""

    profile: str
    max_log_rows: int
    runs: int


class Rounds:
    """Seconds of the prover's rounds, from one report of progress to the next, over all batches."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._name = ""
        self._started = 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._started
        found = re.fullmatch(r"batch \d+: (.*)", phase)
        self._name, self._started = found[1] if found else "", now

    def finish(self, proving: float) -> dict[str, float]:
        """All rounds; nothing reports the end of the last one, which takes what is left."""
        rest = proving - sum(self.seconds.values())
        return self.seconds | {self._name: self.seconds.get(self._name, 0.0) + rest}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    sizes = [
        Size(accounts, assets, options.holdings)
        for accounts, assets in zip(options.accounts, options.assets, strict=True)
    ]
    proving = Proving(options.profile, options.max_log_rows, options.runs)
    result: dict[str, Any] = {"machine": machine(), "results": []}
    for size in sizes:
        sys.stderr.write(f"{size.accounts} accounts ...\n")
        result["results"].append(measure(size, proving, options.cold))
    result["ratios"] = [ratios(one, other) for one, other in pairwise(result["results"])]
    result["machine"]["load_average_at_end"] = os.getloadavg()
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n")
    print(text)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--accounts", type=int, nargs="+", default=[4096, 65536])
    parser.add_argument(
        "--assets", type=int, nargs="+", default=[500], help="one for all sizes, or one for each"
    )
    parser.add_argument("--holdings", type=float, default=5.0, help="mean per account")
    parser.add_argument("--profile", choices=tuple(PROFILES), default=DEFAULT_PROFILE)
    parser.add_argument("--max-log-rows", type=int, default=DEFAULT_MAX_LOG_ROWS)
    parser.add_argument("--runs", type=int, default=2, help="proofs per size; the fastest counts")
    parser.add_argument(
        "--cold", action="store_true", help="prove once more, with an empty cache of kernels"
    )
    parser.add_argument("--out", type=Path, help="write the JSON to a file too")
    options = parser.parse_args(arguments)
    if len(options.assets) == 1:
        options.assets *= len(options.accounts)
    if len(options.assets) != len(options.accounts):
        parser.error("--assets takes one number, or one for each of --accounts")
    if options.runs < 1:
        parser.error("--runs must be 1 or more")
    return options


def measure(size: Size, proving: Proving, cold: bool) -> dict[str, Any]:
    """Everything about one size; leaves no file behind."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        in_fresh_process(make_snapshot, size, folder)
        result = {"snapshot": asdict(size), **in_fresh_process(prove_warm, proving, folder)}
        if cold:
            result["cold_seconds"] = in_fresh_process(prove_cold, proving, folder)
        result.update(time_verifier(folder / "publication" / "liabilities.proof", proving.profile))
    return result


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    # spawn, not fork: the child's memory then starts from nothing.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


# ---- in processes of their own


def make_snapshot(size: Size, folder: Path) -> None:
    generate(folder / SNAPSHOT, size.accounts, size.assets, size.holdings, SEED)
    generate(folder / "warm-up.parquet", *WARM_UP, SEED)


def prove_warm(proving: Proving, folder: Path) -> dict[str, Any]:
    """What was proven; seconds of the first and of the fastest run; memory."""
    prove_file(folder / "warm-up.parquet", folder / "warm-up", proving)
    out = folder / "publication"
    runs = [timed_run(folder / SNAPSHOT, out, proving) for _ in range(proving.runs)]
    last, holdings, _ = runs[-1]
    fastest = min((seconds for _, _, seconds in runs), key=lambda one: one["total_seconds"])
    return {
        "holdings": holdings,
        **proven(last, proving.profile),
        **fastest,
        "first_run_seconds": runs[0][2]["total_seconds"],
        "total_seconds_of_all_runs": [seconds["total_seconds"] for _, _, seconds in runs],
        "holdings_per_second": holdings / fastest["total_seconds"],
        "peak_rss_bytes": peak_rss(),
        "proof_bytes": last.proof_path.stat().st_size,
        "inclusion_store_bytes": last.store_path.stat().st_size,
    }


def timed_run(snapshot: Path, out: Path, proving: Proving) -> tuple[ProofRun, int, dict[str, Any]]:
    """The run, the number of holdings, and the seconds from opening the file to the last output."""
    rounds = Rounds()
    started, before = time.perf_counter(), os.times()
    run, holdings, reading = prove_file(snapshot, out, proving, rounds)
    total, after = time.perf_counter() - started, os.times()
    seconds = {
        "total_seconds": total,
        # Far fewer than the threads times the total means that others were using the cores.
        "cpu_seconds": {"user": after.user - before.user, "system": after.system - before.system},
        "seconds": {"reading": reading} | run.seconds,
        "seconds_of_proving_by_round": rounds.finish(run.seconds["proving"]),
    }
    return run, holdings, seconds


def prove_cold(proving: Proving, folder: Path) -> float:
    """Seconds of the first run ever: kernels are compiled on the way."""
    with TemporaryDirectory() as cache:
        os.environ["STARK_CACHE_DIR"] = cache
        started = time.perf_counter()
        prove_file(folder / SNAPSHOT, folder / "cold", proving)
        return time.perf_counter() - started


def prove_file(
    snapshot: Path, out: Path, proving: Proving, rounds: Rounds | None = None
) -> tuple[ProofRun, int, float]:
    """The run, the number of holdings, and the seconds that reading took."""
    started = time.perf_counter()
    loaded = load(snapshot)
    reading = time.perf_counter() - started
    run = prove_snapshot(
        loaded,
        MASTER_KEY,
        out,
        profile=proving.profile,
        max_log_rows=proving.max_log_rows,
        progress=rounds,
    )
    return run, loaded.holdings, reading


def proven(run: ProofRun, profile: str) -> dict[str, Any]:
    """Shape, tables and parameters of the proofs in a run."""
    written = run.statement.context.shape
    shape = Shape(written.log_rows, written.log_slots, written.asset_capacity.bit_length() - 1)
    tables = batch_system(shape).tables
    return {
        "shape": shape.name,
        "batches": run.statement.batches,
        "rows": run.statement.batches * shape.rows,
        "tables_of_a_batch": {
            table.name: {"rows": table.height, "main_columns": table.width(Part.MAIN)}
            for table in tables
        },
        "trace_cells": run.statement.batches
        * sum(table.height * table.width(Part.MAIN) for table in tables),
        "profile": profile,
        "parameters": asdict(profile_parameters(profile, shape)),
    }


def peak_rss() -> int:
    """Most memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


# ---- from the outside


def time_verifier(proof: Path, profile: str) -> dict[str, Any]:
    """Median seconds of ``python -m air.verify``, start of the interpreter included."""
    command = [sys.executable, "-m", "air.verify", str(proof), "--profile", profile, "--json"]
    seconds = []
    for _ in range(VERIFIER_RUNS):
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    security = json.loads(done.stdout)["security"]
    return {
        "verifier_seconds": statistics.median(seconds),
        "minimum_bits": security["minimum_bits"],
        "union_bits": security["union_bits"],
    }


def ratios(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """By how much a larger size costs more."""
    accounts = [result["snapshot"]["accounts"] for result in (one, other)]
    return {"accounts": accounts} | {name: other[name] / one[name] for name in COMPARED}


def machine() -> dict[str, Any]:
    version = importlib.metadata.version
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(),
        "llvm_cpu": llvmlite.binding.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "threads_of_the_prover": worker_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "load_average_at_start": os.getloadavg(),
    }


def cpu_model() -> str:
    """As the kernel of Linux names it; elsewhere what Python knows."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
