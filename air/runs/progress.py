"""How far a run is: the work that is ahead of it, predicted, and corrected by what it measures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from air.runs.pace import Pace, time_left
from air.runs.tree import NodeId, ProofTree
from air.runs.work import Cost, Piece, Stage

_BASIS: Final = 0.02
"""Part of a run that must be measured, unless it is a proof, before a time is told for the rest."""

_UNPLANNED: Final = 0.02
"""Part of a run that is done, at most, before it is planned: reading takes about so much."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    phase
        What is being done, in words.
    done, total
        Steps of this stage: batches, bytes of a file, or all proofs, whichever it counts.
    fraction
        Of the whole run, from 0 to 1; it never falls. It is a part of the predicted work; proofs
        that were made by an earlier run count as done.
    elapsed
        Seconds since the run began.
    left
        Seconds that it will still take; ``None`` as long as too little is measured to say.
    """

    phase: str
    done: int
    total: int
    fraction: float
    elapsed: float
    left: float | None


def _silent(progress: Progress) -> None:
    """Nobody is told."""


@dataclass
class RunProgress:
    """The work of a run and what is done of it.

    The run tells it what happens: :meth:`stage`, :meth:`watch` and :meth:`step`. Anybody may ask
    :meth:`now` at any time, from any thread: between two events, time passes there too.

    Attributes
    ----------
    told
        Called in the run's thread whenever something happens.
    clock
        Seconds from any beginning.
    """

    told: Callable[[Progress], None] = _silent
    clock: Callable[[], float] = time.monotonic
    _before: list[Piece] = field(default_factory=list)
    _after: list[Piece] = field(default_factory=list)
    _jobs: dict[NodeId, Piece] = field(default_factory=dict)
    _costs: Mapping[int, Cost] = field(default_factory=dict)
    _tree: ProofTree | None = None
    _workers: int = 1
    _planned: bool = False
    _handed: list[NodeId] = field(default_factory=list)
    """In the order in which they were handed out; the first ones are worked on."""
    _begun: dict[int, int] = field(default_factory=dict)
    _implied: set[NodeId] = field(default_factory=set)
    """Proofs that nobody needs, because one above them is there."""
    _current: Piece | None = None
    _last: Piece | None = None
    _pace: Pace = field(default_factory=Pace)
    _fraction: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @classmethod
    def of(cls, progress: Callable[[Progress], None] | RunProgress | None) -> RunProgress:
        """What a caller wants to be told: a run that began already goes on."""
        if isinstance(progress, RunProgress):
            return progress
        return cls(progress or _silent)

    # ---- the plan

    def begin(self, stages: Sequence[Stage]) -> None:
        """What is known to come first, before the run is planned."""
        with self._lock:
            self._before += [Piece(one.name, one.seconds, one.seconds) for one in stages]

    def plan(
        self,
        before: Sequence[Stage],
        tree: ProofTree,
        costs: Mapping[int, Cost],
        after: Sequence[Stage],
        workers: int = 1,
    ) -> None:
        """All that comes: stages, a tree of proofs with the costs of each level, and stages.

        ``workers`` is the number of proofs that are made at a time. A second plan takes the place
        of the first; what is begun or done stays so.
        """
        with self._lock:
            known = {piece.kind for piece in self._before if piece.began is not None}
            self._before = [piece for piece in self._before if piece.began is not None]
            self._before += [
                Piece(one.name, one.seconds, one.seconds) for one in before if one.name not in known
            ]
            self._after = [Piece(one.name, one.seconds, one.seconds) for one in after]
            self._tree, self._costs, self._workers = tree, dict(costs), max(1, workers)
            nodes = list(tree.nodes())
            widths: dict[int, int] = {}
            for node in nodes:
                widths[node.level] = widths.get(node.level, 0) + 1
            self._jobs = {}
            for node in nodes:
                cost, width = costs[node.level], widths[node.level]
                weight = cost.seconds + cost.key * min(self._workers, width) / width
                self._jobs[node] = Piece(tree.kind(node), cost.seconds, weight)
            self._planned = True

    # ---- what happens

    def stage(self, name: str, done: int = 0, total: int = 1) -> None:
        """``done`` of ``total`` steps of a stage are done; whatever came before it is over."""
        with self._lock:
            now = self.clock()
            piece = self._current
            if piece is None or piece.kind != name:
                self._end(now)
                piece = self._find(name)
                piece.begin(now)
                self._current = self._last = piece
                self._skip(piece)
            total = max(total, 1)
            done = min(max(done, 0), total)
            if done / total > piece.share:
                piece.share, piece.since = done / total, now
            piece.until = min(1.0, (done + 1) / total) if total <= 1000 else 1.0
            piece.steps = (done, total)
        self._tell()

    def watch(self, event: str, node: NodeId, seconds: float) -> None:
        """What happens to a proof, see :data:`air.runs.scheduler.Watch`."""
        with self._lock:
            now = self.clock()
            self._end(now)
            for piece in self._before:
                piece.done = True
            job = self._jobs.get(node)
            if job is not None:
                self._happened(event, node, job, now)
        self._tell()

    def step(self, phase: str) -> None:
        """A phase begins of the proof that this process is making."""
        with self._lock:
            if not self._handed:
                return
            now = self.clock()
            node = self._handed[0]
            job = self._jobs[node]
            job.phase = phase
            cost = self._costs[node.level]
            start = 0.0
            for name, share in cost.parts:
                if name == phase:
                    self._reached(job, start, start + share, cost, now)
                    break
                start += share
        self._tell()

    def finish(self) -> None:
        """The run is over, and all is done."""
        with self._lock:
            self._end(self.clock())
            for piece in (*self._before, *self._jobs.values(), *self._after):
                piece.done = True
            self._last = Piece("done", 0.0, 0.0, done=True, steps=(1, 1))
            self._handed.clear()
            self._fraction = 1.0
        self._tell()

    # ---- what is asked

    def now(self) -> Progress:
        """How far the run is at this moment."""
        with self._lock:
            now = self.clock()
            pace = self._present_pace()
            self._fraction = max(self._fraction, self._done_part(now, pace))
            phase, done, total = self._words()
            left = self._left(now, pace)
            return Progress(phase, done, total, self._fraction, now - self._start, left)

    # ---- events

    def _tell(self) -> None:
        if self.told is not _silent:
            self.told(self.now())

    def _find(self, name: str) -> Piece:
        """The stage of this name; one that nobody planned has no weight."""
        pieces = (*self._before, *self._after)
        return next((one for one in pieces if one.kind == name), Piece(name, 0.0, 0.0))

    def _skip(self, piece: Piece) -> None:
        """Whatever comes before a stage and was not heard of took no time."""
        order = [*self._before, *self._jobs.values(), *self._after]
        if not any(piece is one for one in order):
            return
        for one in order:
            if one is piece:
                return
            one.done = True
        self._handed.clear()

    def _end(self, now: float) -> None:
        """The current stage is over."""
        piece, self._current = self._current, None
        if piece is not None and piece.began is not None and not piece.done:
            piece.done = True
            self._pace.add(piece.kind, piece.seconds, now - piece.began)

    def _happened(self, event: str, node: NodeId, job: Piece, now: float) -> None:
        if event == "started":
            self._handed.append(node)
        elif event == "found":
            job.done = True
            self._imply(node)
        elif event == "finished":
            if job.began is not None:
                self._pace.add(job.kind, job.seconds, now - job.began)
            job.done = True
            self._hand_back(node)
        elif event in ("lost", "redone"):
            job.reset()
            self._hand_back(node)
            if event == "redone":
                self._doubt(node)
        self._put_to_work(now)

    def _hand_back(self, node: NodeId) -> None:
        if node in self._handed:
            self._handed.remove(node)

    def _put_to_work(self, now: float) -> None:
        """Those handed out first are worked on: others wait in a queue, which is no work."""
        for node in self._handed[: self._workers]:
            job = self._jobs[node]
            if job.began is None:
                begun = self._begun.get(node.level, 0)
                self._begun[node.level] = begun + 1
                cost = self._costs[node.level]
                job.seconds = cost.seconds + (cost.key if begun < self._workers else 0.0)
                job.begin(now)

    def _reached(self, job: Piece, start: float, end: float, cost: Cost, now: float) -> None:
        """A phase of a proof begins, from ``start`` to ``end`` of its seconds without the key."""
        key = job.seconds - cost.seconds
        share = (key + start * cost.seconds) / job.seconds if job.seconds > 0 else 0.0
        if share > job.share:
            job.share, job.since = share, now
            job.until = max(share, (key + end * cost.seconds) / job.seconds)

    def _imply(self, node: NodeId) -> None:
        """Nobody needs what is below a proof that is there."""
        if self._tree is None:
            return
        for child in self._tree.children(node):
            job = self._jobs[child]
            if not job.done:
                job.done = True
                self._implied.add(child)
            self._imply(child)

    def _doubt(self, node: NodeId) -> None:
        """A proof is made again: what is below it is needed after all, unless it was seen."""
        if self._tree is None:
            return
        for child in self._tree.children(node):
            if child in self._implied:
                self._implied.discard(child)
                self._jobs[child].reset()
                self._doubt(child)

    # ---- estimates

    def _working(self) -> list[NodeId]:
        return [node for node in self._handed if self._jobs[node].began is not None]

    def _present_pace(self) -> Pace:
        """With what is running now, for kinds of which nothing is finished."""
        pace = self._pace.copy()
        proofs = any(job.kind in pace for job in self._jobs.values())
        pieces = [self._jobs[node] for node in self._working()]
        if self._current is not None:
            pieces.append(self._current)
        for piece in pieces:
            found = piece.measured()
            if found is None or piece.kind in self._pace:
                continue
            predicted, measured = found
            if proofs:
                # What it took may have been to compile; its rest is taken to be like all others.
                rest = piece.seconds - predicted
                predicted = piece.seconds
                measured += rest * self._pace.ratio(piece.kind)
            pace.add(piece.kind, predicted, measured)
        return pace

    def _done_part(self, now: float, pace: Pace) -> float:
        """Of the predicted seconds of the whole run."""
        pieces = [*self._before, *self._jobs.values(), *self._after]
        total = sum(piece.weight for piece in pieces)
        if total <= 0:
            return 0.0
        done = sum(piece.weight * piece.position(now, pace.ratio(piece.kind)) for piece in pieces)
        return min(1.0, done / total * (1.0 if self._planned else _UNPLANNED))

    def _left(self, now: float, pace: Pace) -> float | None:
        tree = self._tree
        if tree is None or not self._planned:
            return 0.0 if self._last is not None and self._last.kind == "done" else None
        pieces = [*self._before, *self._after]
        whole = sum(piece.weight for piece in (*pieces, *self._jobs.values()))
        proofs = any(tree.kind(node) in pace for node in tree.nodes())
        if not proofs and pace.predicted < _BASIS * whole:
            left_over = [one for one in (*pieces, *self._jobs.values()) if not one.done]
            return None if left_over else 0.0

        def rest(piece: Piece) -> float:
            ratio = pace.ratio(piece.kind)
            if piece.began is None:
                return piece.seconds * ratio
            # At the latest when it is overdue, it is known to be slow.
            seconds = max(piece.seconds * ratio, 0.0 if piece.share else now - piece.began)
            return seconds * (1 - piece.position(now, ratio))

        serial = sum(rest(piece) for piece in pieces if not piece.done)
        done = {node for node, job in self._jobs.items() if job.done}
        running = {node: rest(self._jobs[node]) for node in self._working()}
        begun = dict(self._begun)
        seconds: dict[NodeId, float] = {}
        for node, job in self._jobs.items():
            if node in done or node in running:
                continue
            cost = self._costs[node.level]
            first = begun.get(node.level, 0) < self._workers
            begun[node.level] = begun.get(node.level, 0) + 1
            seconds[node] = (cost.seconds + (cost.key if first else 0.0)) * pace.ratio(job.kind)
        return serial + time_left(tree, done, running, seconds, self._workers)

    def _words(self) -> tuple[str, int, int]:
        """The phase, and what is done of how much."""
        working = self._working()
        tree = self._tree
        if self._current is not None or tree is None or not working:
            piece = self._last
            return (piece.kind, *piece.steps) if piece is not None else ("", 0, 1)
        first = min(working)
        of_level = sum(node.level == first.level for node in self._jobs)
        kind = tree.kind(first)
        words = kind if kind == "wrap" else f"{kind} {first.number + 1} of {of_level}"
        if kind == "join":
            words += f", level {first.level} of {tree.levels}"
        if len(working) > 1:
            words += f" and {len(working) - 1} more"
        phase = self._jobs[first].phase
        done = sum(job.done for job in self._jobs.values())
        return (f"{words}: {phase}" if phase else words), done, len(self._jobs)
