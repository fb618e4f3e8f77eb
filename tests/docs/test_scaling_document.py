"""docs/scaling.md shows what the model makes of the committed costs, and the model is right."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from air.aggregate.keys import pinned_aggregates
from air.planning import fixed_plan
from air.publication import MAXIMUM_BATCHES
from air.runs.cluster import PER_WORKER
from air.runs.tree import NodeId, ProofTree
from air.shape import Shape
from air.snapshot.table import MAX_HOLDINGS
from benchmarks.fleet_model import (
    BEFORE,
    MEASURED_LEVELS,
    Costs,
    Fleet,
    batches_for,
    estimate,
    pace,
    proof_bytes,
    sent_bytes,
    unhandled,
    waves,
)
from benchmarks.fleet_schedule import Pace, Piece, schedule
from benchmarks.fleet_tables import BLOCKS, with_blocks

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
WORDS = " ".join(TEXT.split())
COSTS = Costs.read(ROOT / "benchmarks" / "fleet.json")

LENGTHS = {"batch": 20.0, "join 1": 5.0, "join 2": 3.0, "join 3": 2.0, "wrap": 1.0}
SIZES = {"batch": 1000, "join 1": 100, "join 2": 50, "join 3": 40, "wrap": 10}


def made_up(start: float = 0.0, rows: np.ndarray | None = None) -> Costs:
    """Costs that can be added up by heart."""
    rows = np.full(1000, 5) if rows is None else rows

    def parent(accounts: int) -> dict[str, object]:
        stages = {
            stage: {
                "seconds": accounts / 1e6,
                "peak_memory_bytes": 100 * accounts,
                "memory_bytes": 80 * accounts,
            }
            for stage in (*BEFORE, "export")
        }
        return {
            "accounts": accounts,
            "holdings": int(rows.sum() * accounts // len(rows)),
            "extra_squares": float(((rows - 1) ** 2).sum()) * accounts / len(rows),
            "largest_extra": int(rows.max() - 1),
            "batch_task_bytes": 5000,
            "snapshot_bytes": 10 * accounts,
            "store_bytes": 20 * accounts,
            "stages": stages,
        }

    pieces = {
        name: {
            "seconds": seconds,
            "seconds_of_all_runs": [seconds + start / 2, seconds],
            "key_seconds": start / 2,
            "peak_memory_bytes": 1,
            "bytes": SIZES[name],
        }
        for name, seconds in LENGTHS.items()
    }
    small, large = len(rows) // 2, len(rows)
    return Costs(
        {
            "shape": "rows20-slots18-assets9",
            "profile": "proven128",
            "parent": {"1": {str(n): parent(n) for n in (small, large)}},
            "workers": {"1": pieces, "2": pieces},
            "handling": {
                "pickle_seconds": 0.75,
                "keep_seconds": 0.5,
                "find_seconds": 0.25,
                "checking_seconds": 7.0,
            },
        }
    )


# ---- the document


def test_every_block_is_what_the_model_prints() -> None:
    assert re.findall(r"```fleet (\w+)", TEXT) == list(BLOCKS)
    assert with_blocks(TEXT, COSTS) == TEXT


def test_a_changed_cost_changes_the_document() -> None:
    changed = json.loads(json.dumps(COSTS.data))
    changed["workers"]["1"]["batch"]["seconds"] += 1
    assert with_blocks(TEXT, Costs(changed)) != TEXT


def test_the_command_of_the_document() -> None:
    commands = set(re.findall(r"python -m benchmarks\.fleet (\w+)", TEXT))
    assert commands == {"measure", "simulate", "tables", "model"}
    program = [sys.executable, "-m", "benchmarks.fleet"]
    done = subprocess.run([*program, "tables", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "up to date\n", "")
    shown = subprocess.run([*program, "simulate", "--help"], cwd=ROOT, capture_output=True)
    for option in set(re.findall(r"--(\w+)", TEXT.split("## 8.")[1])) - {"out"}:
        assert f"--{option}".encode() in shown.stdout, option


def test_limits_of_the_text() -> None:
    assert MAX_HOLDINGS == 1 << 32
    assert MAX_HOLDINGS // 5 // 10**6 == 858
    assert "2³² rows" in WORDS
    assert "858 million" in WORDS
    assert f"{MAXIMUM_BATCHES:,} batches" in WORDS
    assert PER_WORKER == 2
    assert "two proofs per worker handed out ahead" in WORDS


def test_joins_above_the_measured_ones_have_their_shape() -> None:
    keys = pinned_aggregates()[COSTS.data["profile"], COSTS.shape]
    assert len({join.shape for join in keys.joins[MEASURED_LEVELS - 1 :]}) == 1
    assert keys.joins[MEASURED_LEVELS - 2].shape != keys.joins[MEASURED_LEVELS - 1].shape


# ---- the model


@pytest.mark.parametrize("accounts", [200_001, 900_000])
def test_batches_are_the_planners(accounts: int) -> None:
    rows = np.random.default_rng(7).geometric(0.2, accounts)
    costs = made_up(rows=rows)
    plan = fixed_plan(Shape.named("rows20-slots18-assets9"), None, rows, 500)
    assert batches_for(costs, accounts) == plan.batches


def test_waves_by_hand() -> None:
    found = waves(made_up(start=0.5), 11, Fleet(4))
    assert [(wave.name, wave.proofs, wave.waves, wave.seconds) for wave in found] == [
        ("batches", 11, 3, 60.5 + 0.0),
        ("joins of level 1", 6, 2, 10.5),
        ("joins of level 2", 3, 1, 3.5),
        ("joins of level 3", 2, 1, 2.5),
        ("joins of level 4", 1, 1, 2.5),
        ("wrap", 1, 1, 1.5),
    ]


def test_what_the_parent_does() -> None:
    found = estimate(made_up(), 3_000_000, Fleet(1))
    assert found.before == pytest.approx(4 * 3.0)
    assert found.after == pytest.approx(7.0 + 3.0)
    assert found.seconds == pytest.approx(found.serial + found.schedule.seconds)


def test_bytes_by_hand() -> None:
    # Three batches, two joins, one above, the wrap.
    assert proof_bytes(made_up(), 3) == 3 * 1000 + 2 * 100 + 50 + 10
    assert sent_bytes(made_up(), 3) == 3 * 5000 + 3 * 1000 + 2 * 100 + 50


def test_one_worker_does_one_thing_after_the_other() -> None:
    tree, costs = ProofTree(5), made_up(start=1.0)
    found = schedule(tree, 1, unhandled(costs, tree, Fleet(1)))
    # Five batches, three joins, two of level 2, one of level 3, the wrap; five kinds of them.
    assert found.working == 5 * 20 + 3 * 5 + 2 * 3 + 2 + 1
    assert found.starting == 5.0
    assert found.seconds == found.working + found.starting
    assert found.utilization(1) == 1.0


def test_joins_do_not_wait_for_their_level() -> None:
    tree, costs = ProofTree(3), made_up()
    found = schedule(tree, 2, unhandled(costs, tree, Fleet(2)))
    # The join of the first two is made beside the third batch.
    assert found.seconds == 2 * 20 + 5 + 3 + 1


def test_the_parent_is_one_queue() -> None:
    tree, costs = ProofTree(2), made_up()
    fleet = Fleet(2, bandwidth=8000)
    found = schedule(tree, 2, pace(costs, tree, fleet))
    # A kilobyte a second. Pickling takes 0.75 s and sending 5 s; the second batch is sent after
    # the first. The first is kept while the second is worked on; writing takes 0.5 s, receiving 1.
    batches = 2 * (0.75 + 5) + 20 + 1.5
    join = 2 * 0.25 + 2 + 5 + 0.5 + 0.1
    wrap = 0.25 + 0.1 + 1 + 0.5 + 0.01
    assert found.seconds == pytest.approx(batches + join + wrap)
    assert found.handling == pytest.approx(found.seconds - 20 - 5 - 1 + 1.5)


@given(st.integers(2, 70), st.integers(1, 40), st.integers(0, 2**32))
def test_bounds_of_list_scheduling(leaves: int, workers: int, seed: int) -> None:
    """Graham 1966: never longer than an equal share and the longest path together."""
    tree = ProofTree(leaves)
    rng = np.random.default_rng(seed)
    lengths = {node: float(rng.integers(1, 100)) for node in tree.nodes()}
    paths: dict[NodeId, float] = {}
    for node in tree.nodes():
        below = max((paths[child] for child in tree.children(node)), default=0.0)
        paths[node] = below + lengths[node]
    free = Pace(
        lambda node: "", lambda node: Piece(lengths[node], 0.0, 0), lambda _: 0.0, lambda _: 0.0
    )
    found = schedule(tree, workers, free)
    work, path = sum(lengths.values()), paths[tree.roots[0]]
    assert found.working == work
    assert max(path, work / workers) <= found.seconds
    assert found.seconds <= work / workers + path * (1 - 1 / workers) + 1e-9
