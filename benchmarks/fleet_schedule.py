"""List scheduling of a tree of proofs: when each would be made, by one queue of events."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from air.runs.cluster import PER_WORKER
from air.runs.tree import NodeId, ProofTree


@dataclass(frozen=True)
class Piece:
    """A kind of proof.

    Attributes
    ----------
    seconds
        Of a proof by a worker that made one of this kind before.
    start_seconds
        What the first takes longer: its key, kernels to load, memory that the process did not have.
    bytes
        Of the proof, as it is kept.
    """

    seconds: float
    start_seconds: float
    bytes: int


@dataclass(frozen=True)
class Schedule:
    """How a tree was made.

    Attributes
    ----------
    seconds
        From the first that is handed out to the last that is kept.
    working, starting
        Seconds of all workers together: proofs, and starting with another kind of them.
    handling
        Seconds that the parent was busy with handing out and keeping.
    """

    seconds: float
    working: float
    starting: float
    handling: float

    def utilization(self, workers: int) -> float:
        """Part of the workers' time that they had something to do."""
        return (self.working + self.starting) / (self.seconds * workers)


@dataclass(frozen=True)
class Pace:
    """What a schedule needs to know of each proof: the key it takes, and seconds."""

    key: Callable[[NodeId], str]
    length: Callable[[NodeId], Piece]
    handing: Callable[[NodeId], float]
    keeping: Callable[[NodeId], float]


def schedule(tree: ProofTree, workers: int, pace: Pace, per_worker: int = PER_WORKER) -> Schedule:
    """List scheduling with one queue of events, by level, then from the left.

    The parent does one thing at a time: it keeps what is finished, else hands out what is ready, if
    no more than ``per_worker`` proofs per worker are with them. A worker that is free takes the
    first that was handed out; it has one key, and starts anew with a proof that takes another.
    """
    run = _Run(tree, workers, pace, per_worker * workers)
    return run.all()


@dataclass
class _Run:
    tree: ProofTree
    workers: int
    pace: Pace
    in_flight: int
    events: list[tuple[float, int, str, NodeId, int]] = field(default_factory=list)
    count: int = 0
    ready: list[NodeId] = field(default_factory=list)
    lacking: dict[NodeId, int] = field(default_factory=dict)
    queue: deque[NodeId] = field(default_factory=deque)
    finished: deque[NodeId] = field(default_factory=deque)
    flying: int = 0
    busy: bool = False
    working: float = 0.0
    starting: float = 0.0
    handling: float = 0.0

    def all(self) -> Schedule:
        self.idle = deque(range(self.workers))
        self.held = [""] * self.workers
        for node in self.tree.nodes():
            below = len(self.tree.children(node))
            self.lacking[node] = below
            if not below:
                heapq.heappush(self.ready, node)
        now = 0.0
        self.parent(now)
        while self.events:
            now, _, what, node, worker = heapq.heappop(self.events)
            if what == "proved":
                self.finished.append(node)
                self.idle.append(worker)
            else:
                self.busy = False
                if what == "handed":
                    self.queue.append(node)
                else:
                    self.kept(node)
            while self.queue and self.idle:
                self.start(now, self.queue.popleft(), self.idle.popleft())
            self.parent(now)
        return Schedule(now, self.working, self.starting, self.handling)

    def kept(self, node: NodeId) -> None:
        self.flying -= 1
        parent = self.tree.parent(node)
        if parent is not None:
            self.lacking[parent] -= 1
            if not self.lacking[parent]:
                heapq.heappush(self.ready, parent)

    def start(self, now: float, node: NodeId, worker: int) -> None:
        piece, key = self.pace.length(node), self.pace.key(node)
        start = 0.0 if self.held[worker] == key else piece.start_seconds
        self.held[worker] = key
        self.working += piece.seconds
        self.starting += start
        self.event(now + start + piece.seconds, "proved", node, worker)

    def parent(self, now: float) -> None:
        """What the parent does next, if it has nothing to do."""
        if self.busy:
            return
        if self.finished:
            node = self.finished.popleft()
            what, seconds = "kept", self.pace.keeping(node)
        elif self.ready and self.flying < self.in_flight:
            node = heapq.heappop(self.ready)
            self.flying += 1
            what, seconds = "handed", self.pace.handing(node)
        else:
            return
        self.busy = True
        self.handling += seconds
        self.event(now + seconds, what, node, 0)

    def event(self, when: float, what: str, node: NodeId, worker: int) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what, node, worker))
