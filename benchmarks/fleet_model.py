"""The arithmetic of a fleet: what many workers take, from what one piece of work takes.

Pure functions of :class:`Costs`. Two ways to the same figure: :func:`waves` adds up levels as if
each waited for the one below it, which can be followed with a pencil;
:func:`benchmarks.fleet_schedule.schedule` lets workers take what is ready, a proof at a time, as
:func:`air.runs.scheduler.run_tree` does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from air.planning import _batch_counts, _Spread
from air.resources import BASE_BYTES
from air.runs.cluster import PER_WORKER
from air.runs.tree import NodeId, ProofTree
from air.shape import Shape
from benchmarks.fleet_schedule import Pace, Piece, Schedule, schedule

MILLION = 1_000_000
MEASURED_LEVELS = 3
"""Joins above have the shape of those of this level, and take as long."""

BEFORE = ("reading", "digest", "placement", "hashing")
"""What the parent does with accounts before the first proof can begin."""


@dataclass(frozen=True)
class Fleet:
    """Workers, the threads that each has, and bits per second of the parent's network.

    ``bandwidth`` is not measured: it is whatever a data centre has.
    """

    workers: int
    threads: int = 1
    bandwidth: float = 10e9

    @property
    def cores(self) -> int:
        return self.workers * self.threads


@dataclass(frozen=True)
class Costs:
    """What was measured, as :mod:`benchmarks.fleet_measure` writes it."""

    data: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Costs:
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @property
    def shape(self) -> Shape:
        return Shape.named(self.data["shape"])

    def piece(self, name: str, threads: int) -> Piece:
        """``batch``, ``join 1`` to ``join 3``, ``wrap``."""
        found = self.data["workers"][str(threads)][name]
        longer = max(0.0, found["seconds_of_all_runs"][0] - found["seconds"])
        start = round(found["key_seconds"] + longer, 4)
        return Piece(found["seconds"], start, found["bytes"])

    def node(self, tree: ProofTree, node: NodeId, threads: int) -> Piece:
        """The proof of a place in a tree."""
        kind = tree.kind(node)
        name = f"join {min(node.level, MEASURED_LEVELS)}" if kind == "join" else kind
        return self.piece(name, threads)

    def worker_bytes(self, threads: int) -> int:
        """Peak memory of a worker, over all it does."""
        return max(
            int(one["peak_memory_bytes"]) for one in self.data["workers"][str(threads)].values()
        )

    @property
    def task_bytes(self) -> int:
        """The arguments of a batch, pickled: they follow the slots and rows of the shape."""
        return max(int(one["batch_task_bytes"]) for one in self.data["parent"]["1"].values())

    @property
    def handling(self) -> dict[str, float]:
        handling: dict[str, float] = self.data["handling"]
        return handling

    def parent_threads(self, cores: int) -> str:
        """The most threads that were measured and that there are cores for."""
        return str(max(int(threads) for threads in self.data["parent"] if int(threads) <= cores))

    def growth(self, threads: str, figure: Callable[[dict[str, Any]], float]) -> float:
        """By what a figure of the parent grows per million accounts: between the two sizes."""
        small, large = sorted(
            self.data["parent"][threads].values(), key=lambda one: one["accounts"]
        )
        more = large["accounts"] - small["accounts"]
        return float((figure(large) - figure(small)) / more * MILLION)

    def stage_seconds(self, stage: str, cores: int) -> float:
        """Seconds of a stage of the parent per million accounts."""
        threads = self.parent_threads(cores)
        return self.growth(threads, lambda one: float(one["stages"][stage]["seconds"]))

    def parent_bytes(self, stages: tuple[str, ...]) -> float:
        """Peak memory of the parent in some stages per million accounts."""

        def peak(one: dict[str, Any]) -> float:
            return max(float(one["stages"][stage]["peak_memory_bytes"]) for stage in stages)

        return self.growth("1", peak)

    @property
    def held_bytes(self) -> float:
        """Memory of the parent while proofs are made, per million accounts."""
        return self.growth("1", lambda one: one["stages"]["hashing"]["memory_bytes"])

    def file_bytes(self, name: str) -> float:
        """Growth of ``snapshot_bytes`` or ``store_bytes`` per million accounts."""
        return self.growth("1", lambda one: one[name])

    @cached_property
    def spread(self) -> dict[str, float]:
        """The larger snapshot that was measured: accounts, holdings and their spread."""
        largest: dict[str, float] = max(
            self.data["parent"]["1"].values(), key=lambda one: one["accounts"]
        )
        return largest


def batches_for(costs: Costs, accounts: int) -> int:
    """Batches of the measured shape, by the planner's count.

    The planner wants the rows of every account; of a made-up snapshot their sum and their sum of
    squares are enough, which grow with the accounts.
    """
    one = costs.spread
    part = accounts / one["accounts"]
    spread = _Spread(
        accounts,
        round(part * (one["holdings"] - one["accounts"])),
        part * one["extra_squares"],
        int(one["largest_extra"]),
    )
    (batches,) = _batch_counts(costs.shape, spread, 1)
    return batches


@dataclass(frozen=True)
class Wave:
    """A level: so many proofs, made by all workers at once in ``waves`` rounds."""

    name: str
    proofs: int
    waves: int
    piece: Piece

    @property
    def seconds(self) -> float:
        """Every worker starts with the level once, then makes a proof per wave."""
        return self.piece.start_seconds + self.waves * self.piece.seconds


def waves(costs: Costs, batches: int, fleet: Fleet) -> list[Wave]:
    """Batches, joins level by level, the wrap, each after the one before: ⌈proofs / workers⌉."""
    tree = ProofTree(batches)
    result = []
    for level in range(tree.levels + 2):
        node = NodeId(level, 0)
        proofs = -(-batches >> level) if level <= tree.levels else 1
        kind = tree.kind(node)
        name = {"batch": "batches", "join": f"joins of level {level}", "wrap": "wrap"}[kind]
        piece = costs.node(tree, node, fleet.threads)
        result.append(Wave(name, proofs, -(-proofs // fleet.workers), piece))
    return result


def before_seconds(costs: Costs, accounts: int, cores: int) -> float:
    """The parent, before the first proof begins."""
    return accounts / MILLION * sum(costs.stage_seconds(stage, cores) for stage in BEFORE)


def after_seconds(costs: Costs, accounts: int, cores: int) -> float:
    """The parent, after the last proof: it verifies the file, and writes the store."""
    export = accounts / MILLION * costs.stage_seconds("export", cores)
    return costs.handling["checking_seconds"] + export


def pace(costs: Costs, tree: ProofTree, fleet: Fleet) -> Pace:
    """Handing out is pickling or reading, then sending; keeping is receiving and writing."""
    handling, speed = costs.handling, fleet.bandwidth / 8
    threads = fleet.threads

    def length(node: NodeId) -> Piece:
        return costs.node(tree, node, threads)

    def handing(node: NodeId) -> float:
        below = tree.children(node)
        if not below:
            return handling["pickle_seconds"] + costs.task_bytes / speed
        size = sum(length(child).bytes for child in below)
        return len(below) * handling["find_seconds"] + size / speed

    def keeping(node: NodeId) -> float:
        return handling["keep_seconds"] + length(node).bytes / speed

    return Pace(lambda node: f"{tree.kind(node)} {node.level}", length, handing, keeping)


def unhandled(costs: Costs, tree: ProofTree, fleet: Fleet) -> Pace:
    """As if handing out and keeping took no time."""
    whole = pace(costs, tree, fleet)
    return Pace(whole.key, whole.length, lambda node: 0.0, lambda node: 0.0)


@dataclass(frozen=True)
class Estimate:
    """A publication of so many accounts by a fleet."""

    accounts: int
    batches: int
    fleet: Fleet
    before: float
    waves: float
    schedule: Schedule
    after: float

    @property
    def by_waves(self) -> float:
        return self.before + self.waves + self.after

    @property
    def seconds(self) -> float:
        return self.before + self.schedule.seconds + self.after

    @property
    def serial(self) -> float:
        """What does not get shorter with more workers."""
        return self.before + self.after


def estimate(costs: Costs, accounts: int, fleet: Fleet) -> Estimate:
    """All of it, both ways."""
    batches = batches_for(costs, accounts)
    tree = ProofTree(batches)
    return Estimate(
        accounts,
        batches,
        fleet,
        before_seconds(costs, accounts, fleet.cores),
        sum(wave.seconds for wave in waves(costs, batches, fleet)),
        schedule(tree, fleet.workers, pace(costs, tree, fleet), PER_WORKER),
        after_seconds(costs, accounts, fleet.cores),
    )


def proof_bytes(costs: Costs, batches: int) -> int:
    """All proofs of a tree, as the work folder keeps them."""
    tree = ProofTree(batches)
    return sum(costs.node(tree, node, 1).bytes for node in tree.nodes())


def sent_bytes(costs: Costs, batches: int) -> int:
    """What the parent sends: the arguments of batches, and to whoever joins, what is joined."""
    tree = ProofTree(batches)
    joined = sum(
        costs.node(tree, child, 1).bytes for node in tree.nodes() for child in tree.children(node)
    )
    return batches * costs.task_bytes + joined


def busy_bandwidth(costs: Costs, fleet: Fleet) -> float:
    """Bits per second that keep all workers busy with batches: arguments out, proofs in."""
    piece = costs.piece("batch", fleet.threads)
    return 8 * fleet.workers * (costs.task_bytes + piece.bytes) / piece.seconds


def parent_bytes(costs: Costs, accounts: int, fleet: Fleet) -> tuple[float, float]:
    """Peak memory of the parent by itself, and while proofs are made.

    The second holds the accounts with their trees, and the arguments of all batches in flight.
    """
    alone = BASE_BYTES + accounts / MILLION * costs.parent_bytes((*BEFORE, "export"))
    in_flight = min(PER_WORKER * fleet.workers, batches_for(costs, accounts))
    held = BASE_BYTES + accounts / MILLION * costs.held_bytes + in_flight * costs.task_bytes
    return alone, held
