"""Workers of this machine: killed, interrupted, orphaned, and what comes back from them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path

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
    heed_interrupts,
    raising,
    rejecting,
    told,
    wait_for,
)

from air.runs.scheduler import ATTEMPTS, MemoryStore, run_tree
from air.runs.tree import NodeId, ProofTree
from air.runs.workers import Borrowed, Call, InProcess, LocalPool
from stark.errors import Code, InputError, Rejected, StarkError, UsageError
from stark.recursion.unsatisfied import Unsatisfied

TREE = ProofTree(5)


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    before = set(active_children())
    with LocalPool(2, 3) as pool:
        yield pool
    # Whoever waits for a process first, this thread or the executor's, notes that it is gone.
    check(wait_for(lambda: set(active_children()) <= before, 2), "a process is left")


def made(kept: MemoryStore) -> None:
    check_equal(kept.proofs, expected(TREE))


def test_in_this_process() -> None:
    steps: list[str] = []
    kept = MemoryStore()
    with InProcess(steps.append) as workers:
        run_tree(TREE, kept, calls, workers)
    made(kept)
    check_equal(steps, ["hashing"] * len(TREE))


def test_typed_errors_wait_and_others_do_not() -> None:
    future = InProcess().submit(Call(rejecting, ()))
    check(isinstance(future.exception(), Rejected), "kept in the future")
    with pytest.raises(ZeroDivisionError):
        InProcess().submit(Call(raising, (ZeroDivisionError(),)))


def test_borrowed_executors_stay_open() -> None:
    with ThreadPoolExecutor(2) as executor:
        for _ in range(2):
            kept = MemoryStore()
            with Borrowed(executor) as workers:
                run_tree(TREE, kept, calls, workers)
            made(kept)


def test_fresh_interpreters(pool: LocalPool) -> None:
    kept = MemoryStore()
    run_tree(TREE, kept, calls, pool)
    made(kept)
    before = os.environ.get("STARK_THREADS")
    seen = [
        future.result() for future in [pool.submit(Call(environment, (0.5,))) for _ in range(2)]
    ]
    check_equal([one.rpartition(b" ")[0] for one in seen], [b"3 True"] * 2)
    check(len({*seen, str(os.getpid()).encode()}) == 3, "two processes, none of them this one")
    check_equal(os.environ.get("STARK_THREADS"), before)
    # As large as what is proven; it does not fit into a pipe.
    large = bytes(1 << 24)
    check_equal(pool.submit(Call(filled, (large,))).result(), filled(large))


@pytest.mark.parametrize(
    "error",
    [
        Rejected(Code.MERKLE, "a root", 1, (2, "3")),
        InputError("file.csv", 3, None, "x", "bad"),
        UsageError("no"),
        Unsatisfied("left proof", 7),
    ],
)
def test_errors_come_back_as_they_are(pool: LocalPool, error: StarkError) -> None:
    back = pool.submit(Call(raising, (error,))).exception()
    check(type(back) is type(error), repr(back))
    check_equal((str(back), back and back.args), (str(error), error.args))
    check_equal(vars(back), vars(back) | vars(error))


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_a_killed_worker_changes_nothing(pool: LocalPool, tmp_path: Path, times: int) -> None:
    victims = {NodeId(0, 1): 1, NodeId(1, 1): times, NodeId(4, 0): 1}
    kept, lost = MemoryStore(), []

    def watch(event: str, node: NodeId, seconds: float) -> None:
        if event == "lost":
            lost.append(node)

    run_tree(TREE, kept, deadly_at(tmp_path, victims), pool, watch=watch)
    made(kept)
    check_equal(sorted(lost), sorted(node for node in victims for _ in range(victims[node])))


def test_a_worker_that_ends_between_two_calls(pool: LocalPool) -> None:
    first = int(pool.submit(Call(environment, ())).result().split()[-1])
    os.kill(first, signal.SIGKILL)
    check(wait_for(lambda: not alive(first)), "it is gone")
    time.sleep(0.2)
    second = int(pool.submit(Call(environment, ())).result().split()[-1])
    check(second != first, "another one")


def test_work_that_always_kills_its_worker(pool: LocalPool, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch 1"):
        run_tree(TREE, MemoryStore(), deadly_at(tmp_path, {NodeId(0, 1): 99}), pool)


def test_stopping_does_not_wait(pool: LocalPool, tmp_path: Path) -> None:
    futures = [pool.submit(Call(told, (str(tmp_path), NodeId(0, 0), []))) for _ in range(2)]
    check(wait_for(lambda: len(list(tmp_path.iterdir())) == 2), "both work")
    started = time.monotonic()
    pool.stop()
    check(time.monotonic() - started < 1, "at once")
    check(not any(alive(int(path.name)) for path in tmp_path.iterdir()), "they are gone")
    check(wait_for(lambda: all(future.done() for future in futures), 2), "nobody waits for ever")
    pool.stop()


def test_stopping_before_they_have_begun() -> None:
    pool = LocalPool(2, 1)
    pool.submit(Call(hashed, (NodeId(0, 0), [])))
    pool.stop()
    LocalPool(2, 1).stop()


PROGRAM = """
import sys
from support.fake_jobs import told
from air.runs.scheduler import Call, MemoryStore, run_tree
from air.runs.tree import ProofTree
from air.runs.workers import LocalPool

if __name__ == "__main__":
    folder = sys.argv[1]
    with LocalPool(2, 1) as pool:
        work = lambda node, below: Call(told, (folder, node, below))
        run_tree(ProofTree(4), MemoryStore(), work, pool)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A run in a session of its own, and its two workers, which are at work."""
    folder = tmp_path / "workers"
    folder.mkdir()
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    path = os.pathsep.join(part for part in sys.path if part)
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        env=os.environ | {"PYTHONPATH": path},
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=heed_interrupts,
    )
    try:
        check(wait_for(lambda: len(list(folder.iterdir())) == 2), "both work")
        yield process, [int(path.name) for path in folder.iterdir()]
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
        for path_of_one in folder.iterdir():
            if alive(int(path_of_one.name)):
                os.kill(int(path_of_one.name), signal.SIGKILL)


def test_an_interrupt_ends_all(program: tuple[subprocess.Popen[bytes], list[int]]) -> None:
    """Ctrl-C in a terminal goes to the whole group of processes."""
    process, workers = program
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    check(time.monotonic() - started < 2, "at once")
    check_equal(process.returncode, -signal.SIGINT)
    check(not any(map(alive, workers)), "no worker is left")
    # One traceback, that of the program: workers say nothing.
    check_equal(errors.count(b"Traceback"), 1, errors.decode())


def test_an_interrupt_of_the_parent_alone(
    program: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    process, workers = program
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=2)
    check(not any(map(alive, workers)), "no worker is left")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(
    program: tuple[subprocess.Popen[bytes], list[int]], number: signal.Signals
) -> None:
    process, workers = program
    process.send_signal(number)
    process.wait(2)
    check(wait_for(lambda: not any(map(alive, workers)), 2), "no worker is left")


@pytest.mark.parametrize(("workers", "threads"), [(0, 1), (1, 0), (-1, 1)])
def test_pools_that_do_not_exist(workers: int, threads: int) -> None:
    with pytest.raises(UsageError):
        LocalPool(workers, threads)
    with ThreadPoolExecutor(1) as executor, pytest.raises(UsageError):
        Borrowed(executor, in_flight=workers, count=threads)
