"""Predictions: sizes are right, memory and time grow as they should, limits are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from air import speeds
from air.cli.main import main
from air.keys import shipped_shapes, verification_key
from air.planning import Plan, fixed_plan, make_plan
from air.resources import (
    Workload,
    _tables,
    batch_bytes,
    batch_seconds,
    plan_bytes,
    predict,
    proof_bytes,
    within,
)
from air.shape import Shape
from air.snapshot.generate import generate
from air.speeds import Speeds, measure_speeds, physical_memory
from air.tables.batch import batch_system
from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.memory import padded_width

ROOT = Path(__file__).parents[2]
PROFILE = "proven128"
SPEEDS = Speeds(2e-9, 4e-10, 1e-7, 1e-10)


def named(name: str) -> Shape:
    return Shape.named(name)


def test_memory_and_time_grow_with_rows() -> None:
    shapes = [named(f"rows{n}-slots{n - 3}-assets9") for n in range(13, 21)]
    for lean in (False, True):
        memory = [batch_bytes(PROFILE, shape, lean) for shape in shapes]
        seconds = [batch_seconds(PROFILE, shape, lean, SPEEDS) for shape in shapes]
        assert memory == sorted(memory)
        assert seconds == sorted(seconds)
        assert 1.8 < memory[-1] / memory[-2] < 2.1
    for shape in shapes:
        assert batch_bytes(PROFILE, shape, True) < batch_bytes(PROFILE, shape, False)
        assert batch_seconds(PROFILE, shape, True, SPEEDS) > batch_seconds(
            PROFILE, shape, False, SPEEDS
        )


@pytest.mark.parametrize(
    "name", ["rows12-slots5-assets9", "rows16-slots13-assets12", "rows20-slots19-assets14"]
)
def test_tables_are_those_of_the_system(name: str) -> None:
    """Widths of one shape and heights by formula are what the system of the shape has."""
    shape = named(name)
    tables = batch_system(shape, zk=True).tables
    for table, counted in zip(tables, _tables(shape, zk=True), strict=True):
        assert counted.height == table.height
        assert counted.chunks == table.whole_chunks
        parts = zip(Part, (counted.fixed, counted.main, counted.auxiliary), strict=True)
        for part, row_bytes in parts:
            elements = 5 if part is Part.AUXILIARY else 1
            assert row_bytes == 4 * padded_width(elements * table.width(part))


def test_the_golden_publication_has_the_predicted_size() -> None:
    size = (ROOT / "tests" / "golden" / "publication.proof").stat().st_size
    key = verification_key(PROFILE, named("rows12-slots5-assets9"))
    assert proof_bytes(key) == pytest.approx(size, rel=0.03)


def test_speeds_are_measured() -> None:
    speeds = measure_speeds(1 << 28)
    assert 1e-11 < speeds.transform < 1e-6
    assert 1e-11 < speeds.hashing < 1e-6
    assert 1e-12 < speeds.touching < 1e-7


@pytest.mark.parametrize(
    ("size", "budget", "chunks"), [(0, 9, 1), (1, 9, 1), (5, 9, 2), (12, 9, 3), (12, 0, 1)]
)
def test_fresh_memory_is_as_much_as_will_be_allocated(
    monkeypatch: pytest.MonkeyPatch, size: int, budget: float, chunks: int
) -> None:
    """Chunks of four pages; no more than asked for, and one even without time."""
    page = 1 << 12
    touched = []

    def touch(memory: Any, lo: int, hi: int) -> None:
        touched.append((memory.ctypes.data, hi - lo))

    monkeypatch.setattr(speeds, "_FRESH_CHUNK", 4 * page)
    monkeypatch.setattr(speeds, "_FRESH_SECONDS", budget)
    monkeypatch.setattr(speeds, "_touch", touch)
    assert speeds._touching(size * page) > 0
    assert sum(length for _, length in touched) == chunks * 4 * page
    # All at once, so that no chunk is the memory of another.
    assert len({address for address, _ in touched}) == chunks


def test_time_for_memory_is_part_of_the_prediction() -> None:
    workload = Workload(100, 500, 1000)
    plan = make_plan(np.full(100, 5), 9)
    slow = replace(SPEEDS, touching=20 * SPEEDS.touching)
    one, other = predict(workload, PROFILE, plan, SPEEDS), predict(workload, PROFILE, plan, slow)
    assert other.memory_seconds == pytest.approx(20 * one.memory_seconds)
    difference = other.memory_seconds - one.memory_seconds
    assert other.seconds - one.seconds == pytest.approx(difference)


def test_physical_memory_is_known_here() -> None:
    memory = physical_memory()
    assert memory is None or memory > 1 << 28


@pytest.mark.parametrize("gib", [1, 2, 4, 8, 16])
def test_a_limit_on_memory_is_kept_by_the_plan(gib: int) -> None:
    rows = np.full(1 << 18, 5)
    workload = Workload(1 << 18, 5 << 18, 10 << 18)
    plan = make_plan(rows, 500, fits=within(gib << 30, workload, PROFILE))
    assert plan_bytes(workload, PROFILE, plan) <= gib << 30
    assert plan.slots >= 1 << 18
    if not plan.lean:
        smaller = Plan(plan.shape, plan.batches, lean=True)
        assert plan_bytes(workload, PROFILE, smaller) < plan_bytes(workload, PROFILE, plan)


def test_more_memory_never_costs_time() -> None:
    rows = np.full(1 << 18, 5)
    workload = Workload(1 << 18, 5 << 18, 10 << 18)
    plans = [make_plan(rows, 500, fits=within(gib << 30, workload, PROFILE)) for gib in (1, 4, 16)]
    seconds = [predict(workload, PROFILE, plan, SPEEDS).seconds for plan in plans]
    assert seconds == sorted(seconds, reverse=True)


def test_too_little_memory_is_said() -> None:
    workload = Workload(100, 500, 1000)
    nothing = within(1 << 20, workload, PROFILE)
    with pytest.raises(UsageError, match="not enough memory"):
        make_plan(np.full(100, 5), 9, fits=nothing)
    with pytest.raises(UsageError, match="more memory than is allowed"):
        fixed_plan(shipped_shapes()[0], None, np.full(20, 1), 9, nothing)


MEASURE = """
import sys
from pathlib import Path
from air.planning import make_plan
from air.proving import prove_snapshot
from air.resources import Workload, plan_bytes, within
from air.snapshot.check import load
import numpy as np
folder = Path(sys.argv[1]); limit = int(sys.argv[2])
snapshot = load(folder / "s.parquet")
workload = Workload.of(snapshot)
fits = within(limit, workload, "proven128")
plan = make_plan(np.diff(snapshot.offsets), len(snapshot.registry), fits=fits)
prove_snapshot(snapshot, bytes(32), folder / "out", memory=limit, aggregate=False)
# Not getrusage, whose peak is that of the parent process to begin with.
status = Path("/proc/self/status").read_text()
peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
print(plan_bytes(workload, "proven128", plan), peak)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts resident memory as Linux does")
@pytest.mark.parametrize("mebibytes", [600, 900])
def test_the_limit_holds_in_a_process(tmp_path: Path, mebibytes: int) -> None:
    generate(tmp_path / "s.parquet", 6000, 300, 5.0, 1)
    # The first run may compile kernels, which takes memory of its own.
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path), str(mebibytes << 20)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    predicted, peak = map(int, done.stdout.split())
    assert peak <= mebibytes << 20
    assert predicted <= mebibytes << 20


def test_the_command(tmp_path: Path) -> None:
    generate(tmp_path / "s.csv", 50, 9, 3.0, 1)
    result = CliRunner().invoke(main, ["plan", str(tmp_path / "s.csv"), "--memory", "2GiB"])
    assert result.exit_code == 0, result.output
    assert "1 of rows12-slots6-assets9" in result.stdout
    for wrong in ("2 GB B", "-3", "GiB", "1e9", ""):
        result = CliRunner().invoke(main, ["plan", str(tmp_path / "s.csv"), "--memory", wrong])
        assert result.exit_code == 2
        assert "is no size" in result.output
    result = CliRunner().invoke(main, ["plan", str(tmp_path / "s.csv"), "--memory", "1MB"])
    assert result.exit_code == 2
    assert "not enough memory" in result.output
