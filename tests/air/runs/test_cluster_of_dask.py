"""A Dask cluster of this machine: lost workers, errors, and clusters that do not fit."""

from __future__ import annotations

import os
import signal
import socket
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.checks import check, check_equal
from support.fake_jobs import (
    alive,
    calls,
    deadly_at,
    environment,
    expected,
    filled,
    hashed,
    raising,
    wait_for,
)

from air.runs import cluster
from air.runs.cluster import dask_workers, source_version
from air.runs.scheduler import Call, MemoryStore, run_tree
from air.runs.tree import NodeId, ProofTree
from stark.errors import Code, Rejected, UsageError
from stark.recursion.unsatisfied import Unsatisfied

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

TREE = ProofTree(6)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Three worker processes of one thread each, which are replaced when they end."""
    # A result that was not yet fetched from a worker when it was killed is waited for so long.
    timeouts = {"distributed.comm.timeouts.connect": "2s"}
    with (
        dask.config.set(timeouts),
        distributed.LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
            silence_logs=50,
        ) as local,
    ):
        yield local.scheduler_address


def test_a_run(address: str) -> None:
    kept = MemoryStore()
    with warnings.catch_warnings(), dask_workers(address) as workers:
        warnings.simplefilter("error")
        check_equal((workers.count, workers.in_flight), (3, 6))
        run_tree(TREE, kept, calls, workers)
        large = os.urandom(1 << 25)
        check_equal(workers.submit(Call(filled, (large,))).result(), filled(large))
    check_equal(kept.proofs, expected(TREE))


def test_killed_workers_change_nothing(address: str, tmp_path: Path) -> None:
    """One that its own work kills, and one that is killed from outside in the middle of a run."""
    kept, finished = MemoryStore(), []

    def watch(event: str, node: NodeId, seconds: float) -> None:
        if event != "finished":
            return
        finished.append(node)
        if len(finished) == 1:
            process = int(workers.submit(Call(environment, ())).result().split()[-1])
            os.kill(process, signal.SIGKILL)
            check(wait_for(lambda: not alive(process)), "it is gone")

    with dask_workers(address) as workers:
        run_tree(TREE, kept, deadly_at(tmp_path, {NodeId(1, 1): 1}), workers, watch=watch)
    check_equal(kept.proofs, expected(TREE))
    check_equal(sorted(finished), list(TREE.nodes()))


def test_work_that_kills_every_worker(address: str, tmp_path: Path) -> None:
    """Dask gives up a call after some deaths; that is a lost worker, and it is tried again."""
    kept, lost = MemoryStore(), []

    def watch(event: str, node: NodeId, seconds: float) -> None:
        if event == "lost":
            lost.append(node)

    tree = ProofTree(1, joined=False)
    deaths = distributed.scheduler.KilledWorker
    with dask_workers(address) as workers:
        check(deaths in workers.lost, "it is known")
        # Allowed failures are 3: the fourth death is the first that is told.
        run_tree(tree, kept, deadly_at(tmp_path, {NodeId(0, 0): 4}), workers, watch=watch)
    check_equal((lost, kept.proofs), ([NodeId(0, 0)], expected(tree)))


@pytest.mark.parametrize(
    "error", [Rejected(Code.MERKLE, "a root", 1, b"x"), Unsatisfied("left proof", 7)]
)
def test_errors_come_back_as_they_are(address: str, error: Rejected | Unsatisfied) -> None:
    with dask_workers(address) as workers:
        back = workers.submit(Call(raising, (error,))).exception()
        check(type(back) is type(error), repr(back))
        check_equal(back and back.args, error.args)
        with pytest.raises(type(error)):
            run_tree(TREE, MemoryStore(), lambda *_: Call(raising, (error,)), workers)


def test_calls_are_opaque(address: str) -> None:
    """What looks like a task of Dask, or like a key, is what it is."""
    odd: list[Any] = [(hashed, NodeId(0, 0), []), "hashed-1", {"a": (len, [1])}]
    with dask_workers(address) as workers:
        back = workers.submit(Call(raising, (Rejected(Code.FORMAT, "odd", odd),))).exception()
    check_equal(back and back.args[2], odd)


def test_an_interrupt_leaves_nothing_waiting(address: str) -> None:
    started = time.monotonic()

    def watch(event: str, node: NodeId, seconds: float) -> None:
        if event == "finished":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), dask_workers(address) as workers:
        run_tree(TREE, MemoryStore(), calls, workers, watch=watch)
    check(time.monotonic() - started < 4, "at once")
    with distributed.Client(address, set_as_default=False) as client:
        check(wait_for(lambda: not any(client.processing().values())), "nothing is worked on")


def test_another_version(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "source_version", Elsewhere())
    with pytest.raises(UsageError, match=r"worker tcp://.* expected of here, got of a worker"):
        dask_workers(address).__enter__()


class Elsewhere:
    """A version that is another one on a worker."""

    def __init__(self) -> None:
        self.process = os.getpid()

    def __call__(self) -> str:
        return "of here" if os.getpid() == self.process else "of a worker"


def test_nobody_answers() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(UsageError, match=f"127.0.0.1:{port}"):
        dask_workers(f"tcp://127.0.0.1:{port}", 1.0).__enter__()
    check(time.monotonic() - started < 5, "within the time")
    with pytest.raises(UsageError, match="nonsense"):
        dask_workers("nonsense://:::", 1.0).__enter__()


def test_a_cluster_without_workers() -> None:
    with (
        distributed.LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
        ) as empty,
        pytest.raises(UsageError, match="no workers"),
    ):
        dask_workers(empty.scheduler_address, 0.5).__enter__()


def test_the_digest_is_of_sources() -> None:
    check_equal(source_version(), source_version())
    names = [
        name
        for package in cluster.PACKAGES
        for name, _ in cluster._sources(cluster.files(package), package)
    ]
    check("air/runs/cluster.py" in names and "air/aggregate/keys.json" in names, "all of them")
