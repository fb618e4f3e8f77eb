"""The progress of a run: simulated runs with a clock of their own, and what is told of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air.runs.pace import Pace, time_left
from air.runs.progress import Progress, RunProgress
from air.runs.tree import NodeId, ProofTree
from air.runs.work import Cost, Stage

PARTS = (("first", 0.25), ("second", 0.5), ("third", 0.25))


@dataclass
class Simulation:
    """A run of known duration: all that is told of it, with the time that was really left."""

    batches: int
    joined: bool = True
    workers: int = 1
    slow: float = 1.0
    """How much slower than predicted this machine is."""
    unlike: dict[str, float] = field(default_factory=dict)
    """The same for single kinds."""
    found: tuple[NodeId, ...] = ()
    queue: int = 1
    parts: bool = False
    noise: Callable[[], float] = lambda: 1.0
    now: float = 100.0
    said: list[tuple[float, Progress]] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = RunProgress(clock=lambda: self.now)
        self.tree = ProofTree(self.batches, self.joined)

    def run(self) -> Simulation:
        progress = self.progress
        progress.begin([Stage("reading", 2.0)])
        self.serial("reading", 2.0, 4)
        levels = {node.level for node in self.tree.nodes()}
        parts = PARTS if self.parts else ()
        self.costs = {level: Cost(10.0 + 5 * level, 2.0, parts) for level in levels}
        progress.plan(
            [Stage("hashing", 4.0)], self.tree, self.costs, [Stage("files", 1.0)], self.workers
        )
        self.serial("hashing", 4.0, 3)
        self.proofs()
        self.serial("files", 1.0, 1)
        progress.finish()
        self.look()
        return self

    def serial(self, name: str, seconds: float, steps: int) -> None:
        for step in range(steps):
            self.progress.stage(name, step, steps)
            self.wait(seconds * self.slow / steps)

    def wait(self, seconds: float) -> None:
        for _ in range(4):
            self.look()
            self.now += seconds / 4
        self.look()

    def look(self) -> None:
        self.said.append((self.now, self.progress.now()))

    def proofs(self) -> None:
        done: set[NodeId] = set()

        def imply(node: NodeId) -> None:
            done.add(node)
            for child in self.tree.children(node):
                imply(child)

        for node in self.found:
            self.progress.watch("found", node, 0.0)
            imply(node)
        missing = [node for node in self.tree.nodes() if node not in done]
        queue: list[NodeId] = []
        ends: list[tuple[float, NodeId]] = []
        keys: dict[int, int] = {}
        while missing or queue or ends:
            for node in list(missing):
                ready = all(child in done for child in self.tree.children(node))
                if ready and len(queue) + len(ends) < self.workers * self.queue:
                    missing.remove(node)
                    queue.append(node)
                    self.progress.watch("started", node, 0.0)
            while queue and len(ends) < self.workers:
                node = queue.pop(0)
                keys[node.level] = keys.get(node.level, 0) + 1
                key = 2.0 if keys[node.level] <= self.workers else 0.0
                seconds = self.costs[node.level].seconds + key
                kind = self.tree.kind(node)
                seconds *= self.slow * self.unlike.get(kind, 1.0) * self.noise()
                heapq.heappush(ends, (self.now + seconds, node))
            end, node = ends[0]
            if self.parts and self.workers == 1:
                began = self.now
                key = 2.0 if keys[node.level] == 1 else 0.0
                own = self.costs[node.level].seconds
                scale = (end - began) / (own + key)
                self.wait(key * scale)
                for name, share in PARTS:
                    self.progress.step(name)
                    self.wait(share * own * scale)
            else:
                self.wait(end - self.now)
            heapq.heappop(ends)
            self.now = max(self.now, end)
            done.add(node)
            self.progress.watch("finished", node, 1.0)
            self.finished.append(self.now)
            self.look()

    # ---- what is checked of every run

    def check(self) -> None:
        told = [progress for _, progress in self.said]
        fractions = [progress.fraction for progress in told]
        assert fractions == sorted(fractions)
        assert all(0 <= fraction <= 1 for fraction in fractions)
        assert all(progress.left is None or progress.left >= 0 for progress in told)
        assert all(0 <= progress.done <= progress.total for progress in told)
        assert told[0].left is None
        assert (told[-1].fraction, told[-1].left, told[-1].phase) == (1.0, 0.0, "done")
        elapsed = [progress.elapsed for progress in told]
        assert elapsed == sorted(elapsed)
        assert elapsed[-1] == pytest.approx(self.now - 100.0)

    def errors(self, since: float) -> list[float]:
        """Of the time left, in seconds, from a moment on."""
        return [
            (float("inf") if told.left is None else told.left) - (self.now - at)
            for at, told in self.said
            # A proof is told to be finished at the same moment, but after it was looked.
            if at > since + 1e-6
        ]

    @property
    def length(self) -> float:
        return self.now - 100.0


@pytest.mark.parametrize("slow", [0.2, 1.0, 30.0])
@pytest.mark.parametrize("workers", [1, 2, 3, 16])
@pytest.mark.parametrize("batches", [2, 5, 6, 13])
def test_right_after_the_first_batch(batches: int, workers: int, slow: float) -> None:
    run = Simulation(batches, workers=workers, slow=slow).run()
    run.check()
    rest = run.now - run.finished[0]
    assert max(map(abs, run.errors(run.finished[0]))) <= 0.1 * rest


@pytest.mark.parametrize("slow", [0.2, 30.0])
def test_right_without_joins(slow: float) -> None:
    run = Simulation(5, joined=False, workers=2, slow=slow).run()
    run.check()
    assert max(map(abs, run.errors(run.finished[0]))) <= 0.1 * (run.now - run.finished[0])


def test_a_queue_is_no_work() -> None:
    run = Simulation(12, workers=2, queue=2, slow=3.0).run()
    run.check()
    assert max(map(abs, run.errors(run.finished[0]))) <= 0.1 * (run.now - run.finished[0])


def test_phases_tell_before_the_first_proof_is_finished() -> None:
    run = Simulation(6, parts=True, slow=10.0).run()
    run.check()
    # Batch 0 takes 120 s here, of which its key and first part are 45.
    begun = 100.0 + 60.0 + 46.0
    assert max(map(abs, run.errors(begun))) <= 0.1 * run.length
    assert any(told.phase == "batch 1 of 6: second" for _, told in run.said)
    assert any(told.phase == "join 1 of 3, level 1 of 3: third" for _, told in run.said)
    assert any(told.phase == "wrap: first" for _, told in run.said)


def test_a_single_batch() -> None:
    run = Simulation(1, joined=False, parts=True, slow=7.0).run()
    run.check()
    middle = 100.0 + 42.0 + 14.0 + 0.3 * 70.0
    assert max(map(abs, run.errors(middle))) <= 0.1 * run.length


@pytest.mark.parametrize("workers", [1, 2])
def test_resume(workers: int) -> None:
    """What is found is done at once, and says nothing about speed."""
    found = (NodeId(2, 0), NodeId(1, 2), NodeId(0, 6))
    whole = Simulation(8, workers=workers, slow=5.0).run()
    run = Simulation(8, workers=workers, slow=5.0, found=found).run()
    run.check()
    assert run.length < 0.75 * whole.length
    begun = next(told for _, told in run.said if "batch" in told.phase)
    assert begun.fraction > 0.4
    # Batches 0 to 3 with their joins, 4 and 5 with theirs, and 6.
    assert begun.done == (4 + 2 + 1) + (2 + 1) + 1
    rest = run.now - run.finished[0]
    assert max(map(abs, run.errors(run.finished[0]))) <= 0.1 * rest


def test_everything_is_found() -> None:
    run = Simulation(4, found=(NodeId(3, 0),)).run()
    run.check()
    assert run.length == pytest.approx(7.0)


@pytest.mark.parametrize("workers", [1, 4])
def test_kinds_that_are_predicted_badly(workers: int) -> None:
    """Their first one corrects the others; the fraction still never falls."""
    run = Simulation(16, workers=workers, unlike={"join": 4.0, "wrap": 4.0}).run()
    run.check()
    joins = run.finished[16]
    wrap = run.finished[-2]
    inside = [
        error
        for (at, _), error in zip(run.said, run.errors(0.0), strict=True)
        if joins + 1e-6 < at < wrap
    ]
    # The wrap, of a kind not seen, is still taken to be like the mean of all.
    assert max(map(abs, inside)) <= 0.25 * (run.now - joins)


@pytest.mark.parametrize("seed", range(5))
def test_no_wild_jumps(seed: int) -> None:
    random = Random(seed)
    run = Simulation(12, workers=2, slow=3.0, noise=lambda: random.uniform(0.8, 1.25)).run()
    run.check()
    told = [(at, one.left) for at, one in run.said if at > run.finished[0] + 1e-6]
    for (before, left), (after, then) in pairwise(told):
        assert left is not None
        assert then is not None
        assert abs(then - (left - (after - before))) <= 0.2 * run.length


def test_one_that_takes_long_is_not_thought_to_be_finished() -> None:
    now = 0.0
    progress = RunProgress(clock=lambda: now)
    tree = ProofTree(3, joined=False)
    progress.plan([], tree, {0: Cost(10.0)}, [])
    progress.watch("started", NodeId(0, 0), 0.0)
    now = 10.0
    progress.watch("finished", NodeId(0, 0), 10.0)
    assert progress.now().left == pytest.approx(20.0)
    progress.watch("started", NodeId(0, 1), 0.0)
    for later in (20.0, 40.0, 1000.0):
        now = later
        left, fraction = progress.now().left, progress.now().fraction
        assert left is not None
        assert left > 10.0
        assert 1 / 3 < fraction < 2 / 3


def test_lost_and_redone() -> None:
    now = 0.0
    told: list[Progress] = []
    progress = RunProgress(told.append, clock=lambda: now)
    tree = ProofTree(2)
    progress.plan([], tree, {level: Cost(10.0) for level in range(3)}, [])
    progress.watch("found", NodeId(1, 0), 0.0)
    assert told[-1].fraction == pytest.approx(3 / 4)
    progress.watch("started", NodeId(2, 0), 0.0)
    now = 10.0
    # The join was wrong, and of the batches below it one is there.
    progress.watch("lost", NodeId(2, 0), 10.0)
    progress.watch("redone", NodeId(1, 0), 0.0)
    progress.watch("found", NodeId(0, 1), 0.0)
    progress.watch("started", NodeId(0, 0), 0.0)
    assert told[-1].done == 1
    assert told[-1].fraction >= 3 / 4
    now = 20.0
    progress.watch("finished", NodeId(0, 0), 10.0)
    assert told[-1].left == pytest.approx(20.0)


def test_a_callback_is_told_every_event() -> None:
    told: list[Progress] = []
    progress = RunProgress.of(told.append)
    assert RunProgress.of(progress) is progress
    progress.stage("reading", 1, 2)
    progress.step("nobody proves")
    progress.stage("checking")
    assert [(one.phase, one.done, one.total) for one in told] == [
        ("reading", 1, 2),
        ("checking", 0, 1),
    ]
    assert RunProgress.of(None).now().left is None


def test_stages_that_nobody_planned_have_no_weight() -> None:
    progress = RunProgress()
    progress.stage("something", 5, 0)
    progress.plan([Stage("known", 1.0)], ProofTree(1, False), {0: Cost(3.0)}, [])
    progress.stage("something else", 7, 3)
    assert progress.now().fraction == 0
    progress.stage("known", 1, 1)
    assert progress.now().fraction == pytest.approx(1 / 4)


def test_a_second_plan_takes_the_place_of_the_first() -> None:
    progress = RunProgress(clock=lambda: 0.0)
    progress.begin([Stage("reading", 1.0), Stage("placing", 1.0)])
    progress.stage("reading", 0, 1)
    progress.stage("placing", 0, 1)
    for batches in (1, 2):
        tree = ProofTree(batches, joined=False)
        before = [Stage("placing", 1.0), Stage("hashing", 1.0)]
        progress.plan(before, tree, {0: Cost(5.0)}, [])
    progress.stage("hashing")
    assert progress.now().fraction == pytest.approx(2 / 13, abs=0.01)


def test_pace() -> None:
    pace = Pace()
    assert not pace
    assert pace.ratio("a") == 1.0
    pace.add("a", 2.0, 6.0)
    pace.add("nothing", 0.0, 5.0)
    assert pace
    assert pace.ratio("a") == pace.ratio("b") == 3.0
    pace.add("b", 6.0, 2.0)
    assert pace.ratio("b") == pytest.approx(1 / 3)
    assert pace.ratio("c") == 1.0
    for _ in range(30):
        pace.add("a", 1.0, 1.0)
    assert pace.ratio("a") == pytest.approx(1.0, abs=0.01)


@given(st.integers(2, 9), st.integers(1, 5), st.data())
def test_time_left_is_between_its_bounds(leaves: int, workers: int, data: st.DataObject) -> None:
    tree = ProofTree(leaves)
    nodes = list(tree.nodes())
    seconds = {node: float(data.draw(st.integers(0, 9))) for node in nodes}
    found = time_left(tree, (), {}, seconds, workers)

    def path(node: NodeId) -> float:
        return seconds[node] + max(map(path, tree.children(node)), default=0.0)

    work = sum(seconds.values())
    longest = path(tree.roots[0])
    assert max(longest, work / workers) - 1e-9 <= found
    # Graham's bound of list scheduling.
    assert found <= work / workers + longest + 1e-9
    assert time_left(tree, (), {}, seconds, 1) == pytest.approx(work)
    assert time_left(tree, set(nodes), {}, {}, workers) == 0
