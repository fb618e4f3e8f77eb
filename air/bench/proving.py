"""Proving one point of a sweep, in the process that does nothing else."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from air.aggregate.keys import aggregable
from air.aggregate.tasks import KEYS_PHASE
from air.bench.batch_verifier import read_batch, write_batch
from air.bench.machine import Stopwatch, median_seconds, peak_memory
from air.bench.points import Point, parameters
from air.bench.sections import batch_sections, publication_sections
from air.encoding import DIGEST_LANES
from air.placing import PlacedAccounts, place
from air.planning import Plan, make_plan
from air.proving import prove_snapshot
from air.publication import PROOF_FILE
from air.report import error_text
from air.resources import Workload, batch_bytes, predict, within
from air.shape import Shape
from air.snapshot.check import load
from air.snapshot.generate import generate
from air.snapshot.table import Snapshot
from air.speeds import measure_speeds
from air.tables.batch import batch_system
from air.verification import verify_publication
from air.witness import Batch, prepare_batch
from stark.constraints.expression import Part
from stark.errors import StarkError, UsageError
from stark.field.koalabear import P
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.soundness.estimate import estimate
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey
from stark.verifier.verify import verify

MASTER_KEY = bytes(range(32))
SEED = 1
SNAPSHOT = "snapshot.parquet"
WARM_UP_SNAPSHOT = "warm-up.parquet"
WARM_UP = (200, 20, 3.0)
"""Accounts, assets and holdings of the snapshot that calls every kernel once."""

VERIFIER_RUNS = 5


@dataclass(frozen=True)
class Limits:
    """What is the same for all points: how often to prove, and how large a batch may be."""

    runs: int
    max_log_rows: int
    memory: int | None = None


@dataclass(frozen=True)
class Proven:
    """One run: where its files are, and what it took."""

    folder: Path
    plan: Plan
    snapshot: Snapshot
    figures: dict[str, Any]


def write_snapshots(point: Point, folder: Path) -> None:
    """The point's snapshot and the one that warms up."""
    generate(folder / SNAPSHOT, point.accounts, point.assets, point.holdings, SEED)
    generate(folder / WARM_UP_SNAPSHOT, *WARM_UP, SEED)


def guarded(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What ``function`` returns, or why it could not: one point must not end a sweep."""
    try:
        return function(*arguments)
    except StarkError as error:
        return {"error": error_text(error)}
    except MemoryError:
        return {"error": "out of memory"}


def measure_point(point: Point, limits: Limits, folder: Path) -> dict[str, Any]:
    """Prove, verify in this process, and predict; everything about a point but cold runs."""
    os.environ["STARK_THREADS"] = str(point.threads)
    run_once = prove_published if point.published else prove_alone
    # Of the warm-up the blowup does not matter to kernels, and small tables do not fit every one.
    run_once(replace(point, log_blowup=None), limits, folder / WARM_UP_SNAPSHOT, folder / "warm-up")
    runs = [
        run_once(point, limits, folder / SNAPSHOT, folder / "proven") for _ in range(limits.runs)
    ]
    peak = peak_memory()
    last = runs[-1]
    fastest = min((one.figures for one in runs), key=lambda figures: figures["seconds"])
    verified = verified_publication if point.published else verified_batch
    return {
        **snapshot_figures(last),
        "prover": {
            "first": runs[0].figures,
            "fastest": fastest,
            "seconds_of_all_runs": [one.figures["seconds"] for one in runs],
            "holdings_per_second": last.snapshot.holdings / fastest["seconds"],
            "peak_memory_bytes": peak,
        },
        **verified(point, last),
        # Predictions allocate and time kernels: not before the peak is taken.
        "predicted": prediction(point, last) if point.published else None,
    }


# ---- runs


def prove_published(point: Point, limits: Limits, snapshot: Path, out: Path) -> Proven:
    """From the snapshot file to the files of a publication."""
    rounds = Stopwatch()
    started, before = time.perf_counter(), os.times()
    loaded = load(snapshot)
    reading = time.perf_counter() - started
    run = prove_snapshot(
        loaded,
        MASTER_KEY,
        out,
        profile=point.profile,
        max_log_rows=limits.max_log_rows,
        memory=limits.memory,
        progress=lambda progress: rounds.start(_round(progress.phase)),
    )
    rounds.start("")
    seconds, after = time.perf_counter() - started, os.times()
    written = run.statement.context.shape
    shape = Shape(written.log_rows, written.log_slots, written.asset_capacity.bit_length() - 1)
    plan = planned(loaded, limits, point)
    plan = replace(plan, shape=shape, batches=run.statement.batches)
    figures = _figures(seconds, before, after, {"reading": reading} | run.seconds, rounds)
    return Proven(out, plan, loaded, figures | {"store_bytes": run.store_path.stat().st_size})


def _round(phase: str) -> str:
    """The prover's round in a phase that a publication reports; nothing outside of *proving*."""
    found = re.fullmatch(r"batch \d+ of \d+: (.*)", phase)
    return found[1] if found and found[1] != KEYS_PHASE else ""


def prove_alone(point: Point, limits: Limits, snapshot: Path, out: Path) -> Proven:
    """From the snapshot file to one batch's proof: no publication, no store, no check of it."""
    phases, rounds = Stopwatch(), Stopwatch()
    started, before = time.perf_counter(), os.times()
    phases.start("reading")
    loaded = load(snapshot)
    phases.start("placement")
    plan, placed = place_alone(loaded, limits, point)
    phases.start("hashing accounts")
    batch = only_batch(plan, placed)
    phases.start("proving key")
    key = key_of(point, plan)
    phases.start("proving")
    rounds.start("trace")
    proof = prove(key, batch.traces(), batch.publics, b"", rounds.start, lean=plan.lean)
    rounds.start("")
    phases.start("files")
    out.mkdir(parents=True, exist_ok=True)
    write_batch(out, plan.shape, key.verification, batch.publics, proof)
    phases.start("")
    seconds, after = time.perf_counter() - started, os.times()
    walls = {name: lap["seconds"] for name, lap in phases.laps.items()}
    return Proven(out, plan, loaded, _figures(seconds, before, after, walls, rounds))


def _figures(
    seconds: float,
    before: os.times_result,
    after: os.times_result,
    phases: dict[str, float],
    rounds: Stopwatch,
) -> dict[str, Any]:
    return {
        "seconds": seconds,
        # Far fewer than the threads times the seconds: others were using the cores.
        "cpu_seconds": {"user": after.user - before.user, "system": after.system - before.system},
        "phases": phases,
        "rounds": rounds.laps,
    }


def planned(snapshot: Snapshot, limits: Limits, point: Point) -> Plan:
    """As ``liabilities prove`` plans; a batch by itself is not aggregated."""
    fits = within(limits.memory, Workload.of(snapshot), point.profile)
    rows = np.diff(snapshot.offsets)
    aggregates = aggregable(point.profile) if point.published else None
    return make_plan(
        *(rows, len(snapshot.registry), limits.max_log_rows), fits=fits, aggregates=aggregates
    )


def place_alone(snapshot: Snapshot, limits: Limits, point: Point) -> tuple[Plan, PlacedAccounts]:
    """A plan of one batch and the accounts in it; ``UsageError`` if they need several."""
    plan = planned(snapshot, limits, point)
    if plan.batches != 1:
        raise UsageError(
            f"the snapshot takes {plan.batches} batches of {plan.shape.name}; "
            "only one is proven by itself"
        )
    nonce = secrets.token_bytes(32)
    return plan, place(snapshot, MASTER_KEY, nonce, limits.max_log_rows, plan)


def only_batch(plan: Plan, placed: PlacedAccounts) -> Batch:
    """The one batch of a plan, hashed."""
    before, after = (tuple(secrets.randbelow(P) for _ in range(DIGEST_LANES)) for _ in range(2))
    nothing = [0] * plan.shape.capacity
    return prepare_batch(plan.shape, placed.batches[0], nothing, before, after, True)


def key_of(point: Point, plan: Plan) -> ProvingKey:
    """The key of the point's proof of one batch."""
    return generate_key(batch_system(plan.shape, zk=point.zk), parameters(point, plan.shape))


# ---- what came of them


def snapshot_figures(run: Proven) -> dict[str, Any]:
    """Sizes: of the snapshot, of the batches, of their tables."""
    plan, snapshot = run.plan, run.snapshot
    tables = batch_system(plan.shape, zk=True).tables
    cells = sum(table.height * table.witness_width for table in tables)
    return {
        "snapshot": {
            "accounts": snapshot.accounts,
            "assets": len(snapshot.registry),
            "holdings": snapshot.holdings,
        },
        "shape": plan.shape.name,
        "batches": plan.batches,
        "lean": plan.lean,
        "fill": snapshot.holdings / (plan.batches * plan.shape.holding_rows),
        "rows": plan.batches * plan.shape.rows,
        "trace_cells": plan.batches * cells,
        "tables_of_a_batch": {
            table.name: {
                "rows": table.height,
                "preprocessed_columns": table.width(Part.PREPROCESSED),
                "main_columns": table.witness_width,
                "auxiliary_columns": table.width(Part.AUXILIARY),
            }
            for table in tables
        },
    }


def verified_publication(point: Point, run: Proven) -> dict[str, Any]:
    """Parameters, proof by section, and the verifier in this process."""
    data = (run.folder / PROOF_FILE).read_bytes()
    acceptance = verify_publication(data, profiles=(point.profile,))
    median, _ = median_seconds(
        lambda: verify_publication(data, profiles=(point.profile,)), VERIFIER_RUNS
    )
    return _verified(acceptance.key, data, publication_sections(data), median)


def verified_batch(point: Point, run: Proven) -> dict[str, Any]:
    """The same for a batch by itself."""
    key, proof, publics = read_batch(run.folder)
    verify(key, proof, publics)
    median, _ = median_seconds(lambda: verify(key, proof, publics), VERIFIER_RUNS)
    return _verified(key, proof, batch_sections(key, proof, publics, b""), median)


def _verified(
    key: VerificationKey, data: bytes, sections: dict[str, Any], warm: float
) -> dict[str, Any]:
    security = estimate(system_figures(key.system), key.parameters)
    return {
        "parameters": asdict(key.parameters),
        "security": {
            "minimum_bits": str(security.minimum),
            "union_bits": str(security.union),
            "weakest_round": security.weakest.name,
        },
        "proof": {"bytes": len(data), "sections": sections},
        "verifier": {"warm_seconds": warm},
    }


def prediction(point: Point, run: Proven) -> dict[str, Any]:
    """What ``liabilities plan`` says of the snapshot, on this machine and these threads."""
    workload = Workload.of(run.snapshot)
    speeds = measure_speeds(batch_bytes(point.profile, run.plan.shape, run.plan.lean))
    return asdict(predict(workload, point.profile, run.plan, speeds))


# ---- from the outside


def cold_verifier(point: Point, folder: Path) -> dict[str, Any]:
    """Seconds of verification in fresh interpreters, from start to exit."""
    if point.published:
        proof = folder / "proven" / PROOF_FILE
        words = ["-m", "air.verify", str(proof), "--profile", point.profile, "--json"]
    else:
        words = ["-m", "air.bench.batch_verifier", str(folder / "proven")]
    command = [sys.executable, *words]
    median, seconds = median_seconds(
        lambda: subprocess.run(command, check=True, capture_output=True), VERIFIER_RUNS
    )
    return {"cold_seconds": median, "cold_seconds_of_all_runs": seconds}


def prove_uncompiled(point: Point, limits: Limits, folder: Path) -> dict[str, Any]:
    """Seconds of the first run ever: kernels are compiled on the way, into an empty cache."""
    os.environ["STARK_THREADS"] = str(point.threads)
    os.environ["STARK_CACHE_DIR"] = str(folder / "cache")
    started = time.perf_counter()
    run_once = prove_published if point.published else prove_alone
    run_once(point, limits, folder / SNAPSHOT, folder / "uncompiled")
    return {"uncompiled_seconds": time.perf_counter() - started}
