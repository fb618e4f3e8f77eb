"""What a fleet's arithmetic starts from, measured: real proofs, and a parent of real accounts.

Every piece has a process of its own, so that its memory is its own. Each of a worker's proofs is
made by the very task that a worker runs, with the pinned keys.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from air.aggregate.inner import InnerProof
from air.aggregate.keys import aggregate_keys
from air.aggregate.pinned_circuits import pinned_join_key, pinned_wrap_key
from air.aggregate.tasks import KEYS_PHASE, batch_task, join_task, release_key, wrap_task
from air.bench.machine import ReferenceKernel, in_fresh_process, machine, peak_memory, reference
from air.cli.warmup import compile_kernel, kernel_count
from air.placing import place
from air.planning import fixed_plan
from air.preparing import prepare_batches
from air.proving import export_store
from air.resuming import snapshot_digest
from air.runs.folder import WorkFolder
from air.runs.seed import RunSeed
from air.runs.tree import NodeId
from air.shape import Shape
from air.snapshot.check import load
from air.snapshot.generate import generate
from stark.verifier.verify import verify

PROFILE = "proven128"
SHAPE = "rows20-slots18-assets9"
ASSETS = 500
HOLDINGS = 5.0
SIZES = (180_000, 720_000)
"""Accounts of one batch and of four, about as full as those of a large snapshot are."""

LEVELS = 3
"""Joins are measured up to this level: those above have the shape of this one."""

HANDLED = 5
"""How often keeping and reading a proof is timed."""


def measure(runs: int) -> dict[str, Any]:
    """All costs; everything is done ``runs`` times, of which the fastest counts.

    What the first takes longer is counted with the key: it pays for memory that the process did
    not have yet, as a worker does at every level.
    """
    in_fresh_process(_compile)
    in_fresh_process(_write_circuits)
    costs: dict[str, Any] = {
        "machine": machine(),
        "reference": reference(ReferenceKernel()),
        "shape": SHAPE,
        "profile": PROFILE,
        "runs": runs,
        "assets": ASSETS,
        "parent": {},
        "workers": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for accounts in SIZES:
            generate(Path(folder) / f"{accounts}.parquet", accounts, ASSETS, HOLDINGS, 1)
        for threads in (1, 2):
            costs["parent"][str(threads)] = {
                str(accounts): _fastest(
                    in_fresh_process(_parent, threads, Path(folder), accounts) for _ in range(runs)
                )
                for accounts in SIZES
            }
        for threads in (1, 2):
            costs["workers"][str(threads)] = in_fresh_process(
                _worker, threads, Path(folder) / "batch.pickle", runs
            )
        costs["handling"] = in_fresh_process(_handling, Path(folder))
    costs["machine"]["load_average_at_end"] = list(os.getloadavg())
    return costs


def _fastest(measured: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The first of equal measurements, with the fastest seconds of each stage."""
    first, *others = measured
    for stage, figures in first["stages"].items():
        seconds = [figures["seconds"], *(one["stages"][stage]["seconds"] for one in others)]
        figures["seconds"] = min(seconds)
    return first


def _compile() -> None:
    """Fill the cache of compiled kernels: that happens once per version, not once per worker."""
    for kernel in range(kernel_count()):
        compile_kernel(kernel)


def _write_circuits() -> None:
    """Fill the cache of circuits, which is on disk too."""
    keys = aggregate_keys(PROFILE, Shape.named(SHAPE))
    inner = keys.batch_key()
    for level in range(1, LEVELS + 1):
        pinned_join_key(inner, level, PROFILE, keys.join_key(level))
        inner = keys.join_key(level)
    pinned_wrap_key(inner, PROFILE, keys.wrap_key(LEVELS))


class _Laps:
    """Seconds and memory of a process from one name to the next."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}
        self._reset()

    def lap(self, stage: str) -> None:
        seconds = time.perf_counter() - self._started
        self.stages[stage] = {
            "seconds": round(seconds, 4),
            "peak_memory_bytes": peak_memory(),
            "memory_bytes": _resident(),
        }
        self._reset()

    def _reset(self) -> None:
        forget_peak()
        self._started = time.perf_counter()


def forget_peak() -> None:
    """Let the peak memory of this process count from now on, where the system can do that."""
    control = Path("/proc/self/clear_refs")
    if control.exists():
        control.write_text("5")


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _parent(threads: int, folder: Path, accounts: int) -> dict[str, Any]:
    """All that the process that hands out proofs does with accounts itself."""
    os.environ["STARK_THREADS"] = str(threads)
    source = folder / f"{accounts}.parquet"
    nonce, master_key = bytes(32), hashlib.sha256(b"master key").digest()
    seed = RunSeed(hashlib.sha256(b"seed").digest())
    # Compiles and loads the kernels.
    small = folder / "small.parquet"
    if not small.exists():
        generate(small, 1000, ASSETS, HOLDINGS, 1)
    _prepare(load(small), Shape.named("rows14-slots12-assets9"), master_key, nonce, seed)
    laps = _Laps()
    laps.lap("nothing")
    snapshot = load(source)
    laps.lap("reading")
    snapshot_digest(snapshot)
    laps.lap("digest")
    shape = Shape.named(SHAPE)
    rows = np.diff(snapshot.offsets)
    plan = fixed_plan(shape, None, rows, len(snapshot.registry))
    placed = place(snapshot, master_key, nonce, fixed=plan, seed=seed)
    laps.lap("placement")
    prepared = prepare_batches(snapshot, placed, nonce, PROFILE, seed, _quiet)
    laps.lap("hashing")
    context = hashlib.sha256(b"context").digest()
    arguments = (PROFILE, shape, 0, prepared.batches[0], context, False)
    payload = pickle.dumps(arguments, pickle.HIGHEST_PROTOCOL)
    laps.lap("pickling")
    (folder / "batch.pickle").write_bytes(payload)
    size = len(payload)
    del payload, arguments
    laps.lap("nothing more")
    store = folder / f"store-{threads}-{accounts}.sqlite"
    export_store(store, snapshot, placed, prepared)
    laps.lap("export")
    extra = (rows - 1).astype(np.float64)
    return {
        "accounts": accounts,
        "holdings": snapshot.holdings,
        "extra_squares": float((extra**2).sum()),
        "largest_extra": int(extra.max()),
        "batches": plan.batches,
        "batch_task_bytes": size,
        "snapshot_bytes": source.stat().st_size,
        "store_bytes": store.stat().st_size,
        "statement_bytes": len(prepared.statement.encode()),
        "stages": laps.stages,
    }


def _prepare(snapshot: Any, shape: Shape, key: bytes, nonce: bytes, seed: RunSeed) -> None:
    plan = fixed_plan(shape, None, np.diff(snapshot.offsets), len(snapshot.registry))
    placed = place(snapshot, key, nonce, fixed=plan, seed=seed)
    prepare_batches(snapshot, placed, nonce, PROFILE, seed, _quiet)


def _quiet(phase: str, done: int, total: int) -> None:
    """Nobody watches."""


class _Phases:
    """Seconds of a task, those of making a key apart."""

    def __init__(self) -> None:
        self.key_seconds = 0.0
        self._key_since: float | None = None

    def step(self, phase: str) -> None:
        now = time.perf_counter()
        if self._key_since is not None:
            self.key_seconds += now - self._key_since
        self._key_since = now if phase == KEYS_PHASE else None


def _timed(runs: int, task: Callable[..., bytes], *arguments: Any) -> tuple[bytes, dict[str, Any]]:
    """What a task gives, and what it takes: the key is made in the first run alone, and kernels are
    loaded there that no task before needed."""
    release_key()
    forget_peak()
    key_seconds, seconds, data = 0.0, [], b""
    for _ in range(runs):
        phases = _Phases()
        started = time.perf_counter()
        data = task(*arguments, step=phases.step)
        key_seconds += phases.key_seconds
        seconds.append(round(time.perf_counter() - started - phases.key_seconds, 4))
    return data, {
        "seconds": min(seconds),
        "seconds_of_all_runs": seconds,
        "key_seconds": round(key_seconds, 4),
        "peak_memory_bytes": peak_memory(),
        "bytes": len(data),
    }


def _worker(threads: int, payload: Path, runs: int) -> dict[str, Any]:
    """A batch, joins of it with nothing to its right (which take as long as others), the wrap."""
    os.environ["STARK_THREADS"] = str(threads)
    arguments = pickle.loads(payload.read_bytes())
    profile, shape = arguments[:2]
    costs: dict[str, Any] = {}
    data, costs["batch"] = _timed(runs, batch_task, *arguments)
    del arguments
    payload.with_name("proof.inner").write_bytes(data)
    for level in range(1, LEVELS + 1):
        data, costs[f"join {level}"] = _timed(runs, join_task, profile, shape, level, 0, data, None)
    data, costs["wrap"] = _timed(runs, wrap_task, profile, shape, LEVELS, data)
    payload.with_name("wrap.inner").write_bytes(data)
    return costs


def _handling(folder: Path) -> dict[str, float]:
    """What the parent does with a batch and with proofs: pickling it, keeping one, reading it
    again, checking the last."""
    proof = (folder / "proof.inner").read_bytes()
    keeping, reading, pickling = [], [], []
    arguments = pickle.loads((folder / "batch.pickle").read_bytes())
    for _ in range(HANDLED):
        started = time.perf_counter()
        pickle.dumps(arguments, pickle.HIGHEST_PROTOCOL)
        pickling.append(time.perf_counter() - started)
    with WorkFolder(folder / "publication.work", _print) as kept:
        kept.scan(lambda data: NodeId(0, 0))
        for number in range(HANDLED):
            started = time.perf_counter()
            kept.keep(NodeId(0, number), proof + bytes([number]))
            kept_at = time.perf_counter()
            kept.find(NodeId(0, number))
            keeping.append(kept_at - started)
            reading.append(time.perf_counter() - kept_at)
    wrap = InnerProof.decode((folder / "wrap.inner").read_bytes())
    key = aggregate_keys(PROFILE, Shape.named(SHAPE)).wrap_key(LEVELS)
    publics = {"permutation": wrap.publics.wrap_digest()}
    started = time.perf_counter()
    verify(key, wrap.proof, publics, wrap.context)
    return {
        "pickle_seconds": round(statistics.median(pickling), 5),
        "keep_seconds": round(statistics.median(keeping), 5),
        "find_seconds": round(statistics.median(reading), 5),
        "checking_seconds": round(time.perf_counter() - started, 4),
    }


def _print(line: str) -> None:
    print(line)
