"""How many processes make proofs: what memory and cores are for, and no more."""

from __future__ import annotations

import pytest

from air.planning import Plan
from air.resources import (
    BASE_BYTES,
    MARGIN,
    Workload,
    local_workers,
    plan_bytes,
    predict,
    proving_bytes,
    proving_seconds,
    within,
)
from air.shape import Shape
from air.speeds import TYPICAL_SPEEDS

PROFILE = "proven128"
WORKLOAD = Workload(1 << 20, 5 << 20, 10 << 20)
PLAN = Plan(Shape(20, 18, 9), 6, aggregated=True)


@pytest.mark.parametrize("gibibytes", [4, 8, 16, 32, 64, 128])
@pytest.mark.parametrize("cores", [1, 2, 3, 4, 16, 256])
def test_memory_and_cores_are_kept(gibibytes: int, cores: int) -> None:
    memory = gibibytes << 30
    count = local_workers(memory, WORKLOAD, PROFILE, PLAN, cores)
    assert 1 <= count <= max(1, cores // 2)
    assert count <= PLAN.batches
    if count > 1:
        assert plan_bytes(WORKLOAD, PROFILE, PLAN, count) <= MARGIN * memory


def test_there_is_a_case_of_each_limit() -> None:
    counts = {
        (gibibytes, cores): local_workers(gibibytes << 30, WORKLOAD, PROFILE, PLAN, cores)
        for gibibytes, cores in [(8, 64), (32, 64), (1000, 64), (1000, 8), (1000, 2)]
    }
    assert counts[8, 64] == 1
    assert 1 < counts[32, 64] < 6
    assert counts[1000, 64] > 1
    assert 1 < counts[1000, 8] <= 4
    assert counts[1000, 2] == 1


def test_every_process_takes_its_own_memory() -> None:
    one, two, four = (plan_bytes(WORKLOAD, PROFILE, PLAN, workers) for workers in (1, 2, 4))
    each = BASE_BYTES + proving_bytes(PROFILE, PLAN)
    assert four - two == 2 * each
    assert two - one == 2 * each - proving_bytes(PROFILE, PLAN)
    memory = int(one / MARGIN) + (1 << 20)
    alone, together = (within(memory, WORKLOAD, PROFILE, workers) for workers in (1, 2))
    assert alone is not None
    assert together is not None
    assert alone(PLAN)
    assert not together(PLAN)


@pytest.mark.parametrize("cores", [4, 16, 64])
def test_no_other_number_is_sooner(cores: int) -> None:
    count = local_workers(1000 << 30, WORKLOAD, PROFILE, PLAN, cores)
    seconds = {
        workers: proving_seconds(PROFILE, PLAN, TYPICAL_SPEEDS, workers, cores)
        for workers in range(1, min(cores // 2, PLAN.batches) + 1)
    }
    assert seconds[count] == min(seconds.values())


def test_processes_save_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARK_THREADS", "16")
    one, three = (predict(WORKLOAD, PROFILE, PLAN, TYPICAL_SPEEDS, n).seconds for n in (1, 3))
    # Not more than there are of them.
    assert one / 3 < three < one
