"""The real scheduler over a real Dask cluster of this machine, with proofs that only sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from air.runs.cluster import PER_WORKER, dask_workers
from air.runs.scheduler import Call, CallOf, MemoryStore, run_tree
from air.runs.tree import NodeId, ProofTree
from benchmarks.fleet_model import Costs, Fleet, unhandled
from benchmarks.fleet_schedule import schedule
from stark.errors import UsageError

_worker = threading.local()
"""A thread of a worker's process stands for a worker, which holds the key of one kind of proof."""


def sleeping(
    kind: str,
    level: int,
    number: int,
    seconds: float,
    start_seconds: float,
    *,
    step: Callable[[str], None] | None = None,
) -> bytes:
    """As long as a proof takes, and its start if the proof before was of another kind."""
    key = (kind, level)
    if getattr(_worker, "key", None) != key:
        time.sleep(start_seconds)
        _worker.key = key
    time.sleep(seconds)
    return f"{kind} {level} {number}".encode()


def nothing(*, step: Callable[[str], None] | None = None) -> bytes:
    """The first call of a cluster pays for imports; it is not timed."""
    return b""


def calls(costs: Costs, tree: ProofTree, fleet: Fleet, scale: float) -> CallOf:
    """A sleep for every proof."""

    def call(node: NodeId, children: list[bytes]) -> Call:
        piece = costs.node(tree, node, fleet.threads)
        lengths = (scale * piece.seconds, scale * piece.start_seconds)
        return Call(sleeping, (tree.kind(node), node.level, node.number, *lengths))

    return call


def compare(
    costs: Costs, fleet: Fleet, batches: int, scale: float, processes: int
) -> dict[str, Any]:
    """Seconds by the model and as they were, for ``simulated`` in the costs.

    A sleeping worker is a thread of one of ``processes``: 256 of them sleep on two cores as well
    as on many. Arguments are small: the network is not simulated, nor is it in the model here.

    Raises
    ------
    UsageError
        If the workers are not processes of equally many threads.
    """
    from distributed import LocalCluster

    threads = fleet.workers // processes
    if threads * processes != fleet.workers:
        raise UsageError(f"{fleet.workers} workers are not {processes} processes of equal threads")
    tree = ProofTree(batches)
    expected = schedule(tree, fleet.workers, unhandled(costs, tree, fleet))
    with (
        LocalCluster(
            n_workers=processes,
            threads_per_worker=threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        dask_workers(cluster.scheduler_address) as borrowed,
    ):
        workers = replace(borrowed, count=fleet.workers, in_flight=PER_WORKER * fleet.workers)
        for future in [workers.submit(Call(nothing, ())) for _ in range(fleet.workers)]:
            future.result()
        started, cpu = time.perf_counter(), time.process_time()
        run_tree(tree, MemoryStore(), calls(costs, tree, fleet, scale), workers)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "workers": fleet.workers,
        "threads": fleet.threads,
        "batches": batches,
        "proofs": len(tree),
        "scale": scale,
        "processes": processes,
        "model_seconds": round(scale * expected.seconds, 3),
        "seconds": round(seconds, 3),
        "cpu_seconds_of_the_scheduler": round(cpu, 3),
    }
