"""A publication of two batches as everybody makes and checks it: pinned keys, full security."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from support.cheating import Seeded
from support.checks import check, check_equal
from support.fake_jobs import alive, wait_for
from support.publications import REGISTRY
from support.publications import context as small_context

from air.aggregate.inner import InnerProof
from air.aggregate.publics import aggregate_context
from air.aggregate.run import prove_aggregate
from air.aggregate.tasks import batch_task, release_key, wrap_task
from air.cli.main import main
from air.context import Shape as ContextShape
from air.context import Statement
from air.publication import AggregatedPublication
from air.runs.scheduler import MemoryStore
from air.runs.tree import NodeId
from air.runs.workers import LocalPool
from air.shape import Shape
from air.snapshot.generate import generate
from air.tree import upper_levels
from air.verification import verify_publication
from air.witness import Batch, BatchAccounts, prepare_batch
from stark.errors import Code, Rejected
from stark.field.koalabear import P

PROFILE = "proven128"
SMALLEST = Shape(14, 12, 9)
"""Of those with pinned keys."""


def batches() -> list[Batch]:
    """4,096 accounts with two holdings each, then an empty batch but for one account."""
    slots = SMALLEST.slots
    totals, result = [0] * SMALLEST.capacity, []
    for number in range(2):
        generator = np.random.default_rng(number)
        limbs = generator.integers(0, 1 << 15, (2 * slots, 5))
        if number:
            limbs[2:] = 0
        rows = BatchAccounts(
            commitments=generator.integers(0, P, (slots, 8)).astype(np.uint32),
            offsets=2 * np.arange(slots + 1),
            assets=np.tile(np.array([0, 1], np.int64), slots),
            limbs=limbs,
        )
        blinds = [tuple(range(50 * n + 1, 50 * n + 9)) for n in (number, number + 1)]
        result.append(prepare_batch(SMALLEST, rows, totals, blinds[0], blinds[1], number == 0))
        totals = result[-1].totals_out
    return result


@dataclass(frozen=True)
class Made:
    """What processes of this machine made, by way of a pool; and of what."""

    batches: list[Batch]
    statement: Statement
    bound: bytes
    kept: dict[NodeId, bytes]
    proof: bytes

    @property
    def publication(self) -> AggregatedPublication:
        blind = tuple(range(101, 109))
        return AggregatedPublication(self.statement, blind, self.batches[0].digest_in, self.proof)


RANDOMNESS = Seeded(b"pinned")


@pytest.fixture(scope="module")
def made() -> Made:
    own = batches()
    shape = ContextShape(SMALLEST.log_rows, SMALLEST.log_slots, SMALLEST.capacity)
    context = replace(small_context(2), policy=PROFILE, shape=shape, depth=SMALLEST.log_slots + 1)
    root = upper_levels([batch.root for batch in own])[-1][0]
    statement = Statement(context, tuple(own[-1].totals_out[: len(REGISTRY)]), root, 2)
    bound = aggregate_context(context.digest(), statement.digest())
    kept = MemoryStore()
    with LocalPool(2, 1) as workers:
        proof = prove_aggregate(
            own, SMALLEST, PROFILE, bound, kept=kept, workers=workers, randomness=RANDOMNESS
        )
    return Made(own, statement, bound, kept.proofs, proof)


def test_two_batches_with_the_pinned_keys(made: Made) -> None:
    statement, proof, publication = made.statement, made.proof, made.publication
    # Proofs that other processes made are those that this one makes, byte for byte.
    wrap = wrap_task(PROFILE, SMALLEST, 1, made.kept[NodeId(1, 0)], randomness=RANDOMNESS)
    check(InnerProof.decode(wrap).proof == proof, "the wrap")
    batch = batch_task(PROFILE, SMALLEST, 1, made.batches[1], made.bound, False)
    check(batch == made.kept[NodeId(0, 1)], "a batch")
    release_key()
    accepted = verify_publication(publication.encode(), statement.digest(), (PROFILE,))
    check_equal(accepted.statement, statement)
    aggregate = accepted.aggregate
    check(aggregate is not None and aggregate.pinned, "pinned")
    if aggregate is not None:
        # Every round of every layer reaches the profile's target.
        check(aggregate.minimum >= 128, str(aggregate.minimum))
    check(len(proof) < 300 << 10, f"{len(proof)} bytes are published")
    lower = (statement.totals[0] - 1, *statement.totals[1:])
    forged = replace(publication, statement=replace(statement, totals=lower))
    try:
        verify_publication(forged.encode(), None, (PROFILE,))
    except Rejected as rejected:
        check(rejected.code in (Code.POW, Code.OOD), str(rejected))
    else:
        raise AssertionError("a false total is accepted")


# ---- a cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three worker processes, which are replaced when they end."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=3,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        worker_dashboard_address=None,
        silence_logs=50,
        env={"STARK_THREADS": "1"},
    ) as local:
        yield local


def kill_one_at(address: str, task: str, killed: list[int]) -> None:
    """Kill the worker that is in the middle of a task."""
    import distributed

    with distributed.Client(address, set_as_default=False) as client:
        processes = client.run(os.getpid)

        def busy() -> list[str]:
            working = client.processing().items()
            return [worker for worker, keys in working if any(task in str(key) for key in keys)]

        check(wait_for(busy, 60), "it is never worked on")
        time.sleep(0.5)
        for worker in busy():
            os.kill(processes[worker], signal.SIGKILL)
            killed.append(processes[worker])


def test_a_cluster_that_loses_a_worker_publishes_the_same(made: Made, cluster: Any) -> None:
    """The worker that makes the join is killed in the middle of it."""
    from air.runs.cluster import dask_workers

    kept, killed = MemoryStore(), list[int]()
    killer = threading.Thread(
        target=kill_one_at, args=(cluster.scheduler_address, "join_task", killed)
    )
    killer.start()
    with dask_workers(cluster.scheduler_address) as workers:
        check_equal(workers.count, 3)
        proof = prove_aggregate(
            made.batches,
            SMALLEST,
            PROFILE,
            made.bound,
            kept=kept,
            workers=workers,
            randomness=RANDOMNESS,
        )
    killer.join()
    check(len(killed) == 1 and not alive(killed[0]), "one worker is gone")
    check(kept.proofs == made.kept, "all proofs are the same")
    published = replace(made.publication, proof=proof).encode()
    check(published == made.publication.encode(), "the same file")
    verify_publication(published, made.statement.digest(), (PROFILE,))


def test_the_command_proves_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    key, snapshot, out = tmp_path / "key", tmp_path / "S.csv", tmp_path / "out"

    def run(*words: object) -> str:
        done = CliRunner().invoke(main, list(map(str, words)))
        check_equal(done.exit_code, 0, done.output)
        return done.stdout

    run("keygen", key)
    generate(snapshot, accounts=60, assets=4, holdings=3, seed=5)
    size = ("--shape", "rows12-slots5-assets9", "--batches", 3, "--no-aggregate")
    address = ("--dask", cluster.scheduler_address)
    run("prove", snapshot, "--key", key, "--out", out, *size, *address)
    statement = Statement.decode((out / "statement.json").read_bytes())
    said = run("verify", out / "liabilities.proof", "--expect", statement.digest().hex())
    check("3" in said, said)
    check(not (tmp_path / "out.work").exists(), "nothing is left")
