"""What of a tree of proofs is made when, and what is done when something goes wrong with one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass, field
from typing import Final, Protocol

from air.runs.tree import NodeId, ProofTree
from air.runs.workers import Call as Call
from air.runs.workers import Workers
from stark.errors import Code, Rejected, UsageError

_RESUME: Final = "what is finished is kept in the run's work folder, if it has one: resume the run"

ATTEMPTS: Final = 3
"""How often a proof is begun before it is given up, if its worker is lost every time."""

Watch = Callable[[str, NodeId, float], None]
"""Called with an event, a proof, and the seconds since it was handed out (0 if it was not).

Events: ``found``, it was kept already; ``started``, it was handed out; ``finished``, it is kept;
``lost``, its worker was lost; ``redone``, it was kept and is wrong, or is gone, and is made again.
"""

CallOf = Callable[[NodeId, list[bytes]], Call]
"""The work on a proof, from the proofs below it."""

Blame = Callable[[NodeId, list[bytes]], Sequence[NodeId]]
"""Which of the proofs below one, that are given too, are why it cannot be made."""

Accept = Callable[[NodeId, bytes], None]
"""Raises ``Rejected`` for what cannot be a proof, as far as that is seen at a glance."""


class Kept(Protocol):
    """Finished proofs."""

    def find(self, node: NodeId) -> bytes | None:
        """The proof, whole and unchanged; ``None`` if there is none."""
        ...

    def keep(self, node: NodeId, data: bytes) -> None:
        """Take a finished proof."""
        ...

    def drop(self, node: NodeId) -> None:
        """Let go of a proof that is wrong."""
        ...


@dataclass(frozen=True)
class MemoryStore:
    """Finished proofs in memory: they are gone with the process."""

    proofs: dict[NodeId, bytes] = field(default_factory=dict)

    def find(self, node: NodeId) -> bytes | None:
        return self.proofs.get(node)

    def keep(self, node: NodeId, data: bytes) -> None:
        self.proofs[node] = data

    def drop(self, node: NodeId) -> None:
        self.proofs.pop(node, None)


def unwatched(event: str, node: NodeId, seconds: float) -> None:
    """Nobody watches."""


def blameless(node: NodeId, children: list[bytes]) -> Sequence[NodeId]:
    """Nobody is blamed: an error in a piece of work is raised."""
    return ()


def anything(node: NodeId, data: bytes) -> None:
    """All that comes back is kept."""


def run_tree(
    tree: ProofTree,
    kept: Kept,
    call: CallOf,
    workers: Workers,
    *,
    watch: Watch = unwatched,
    blame: Blame = blameless,
    accept: Accept = anything,
) -> None:
    """Make what is missing for the roots of a tree; afterwards all of them are kept.

    What is kept needs nothing below it. Proofs are begun by level, then from the left, as soon as
    those below them are kept, and as many at a time as ``workers.in_flight``; they are kept as soon
    as they are finished. Nothing is held in between: the proofs below one are read when it begins.

    Parameters
    ----------
    call
        Asked when a proof is handed out, in this thread.
    blame
        Asked when a piece of work ends with ``Rejected`` or ``UsageError``: the proofs below it
        that it names are made again, once; if it names none, the error is raised.
    accept
        Asked about all that comes back, before it is kept. What it rejects is made again, once.

    Raises
    ------
    UsageError
        If workers were lost :data:`ATTEMPTS` times over one proof, or there are none left; or if
        what came back was rejected twice.
    BaseException
        What a piece of work, ``kept`` or ``watch`` raises, and interrupts. All work is stopped at
        once; what is finished stays kept.
    """
    run = _Run(tree, kept, call, workers, watch, blame, accept)
    try:
        run.all()
    except BaseException:
        run.stop()
        raise


@dataclass
class _Run:
    tree: ProofTree
    kept: Kept
    call: CallOf
    workers: Workers
    watch: Watch
    blame: Blame
    accept: Accept
    done: set[NodeId] = field(default_factory=set)
    missing: set[NodeId] = field(default_factory=set)
    """Needed, and neither kept nor handed out."""
    ready: set[NodeId] = field(default_factory=set)
    """Of the missing those with all below them kept."""
    handed: dict[Future[bytes], tuple[NodeId, float]] = field(default_factory=dict)
    losses: Counter[NodeId] = field(default_factory=Counter)
    again: set[NodeId] = field(default_factory=set)
    """Those that were made again because they were wrong."""

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        return (BrokenExecutor, MemoryError, *self.workers.lost)

    def all(self) -> None:
        for root in self.tree.roots:
            self.need(root)
        while self.missing or self.handed:
            while self.ready and len(self.handed) < self.workers.in_flight:
                self.hand_out(min(self.ready))
            if self.handed:
                finished, _ = wait(self.handed, return_when=FIRST_COMPLETED)
                self.take(sorted(finished, key=self.handed.__getitem__))

    def stop(self) -> None:
        for future in self.handed:
            future.cancel()
        self.workers.stop()

    def need(self, node: NodeId) -> None:
        """See to it that a proof will be kept."""
        if node in self.done or node in self.missing or self.is_handed(node):
            return
        if self.kept.find(node) is not None:
            self.done.add(node)
            self.watch("found", node, 0.0)
            return
        self.missing.add(node)
        for child in self.tree.children(node):
            self.need(child)
        self.consider(node)

    def is_handed(self, node: NodeId) -> bool:
        return any(node == other for other, _ in self.handed.values())

    def consider(self, node: NodeId) -> None:
        """Put a proof among those that can begin, if it is one."""
        if node in self.missing and self.done.issuperset(self.tree.children(node)):
            self.ready.add(node)

    def hand_out(self, node: NodeId) -> None:
        self.ready.discard(node)
        children = self.read_children(node)
        if children is None:
            return
        self.missing.discard(node)
        self.watch("started", node, 0.0)
        now = time.monotonic()
        try:
            future = self.workers.submit(self.call(node, children))
        except self.lost as error:
            self.lose(node, 0.0, error)
        else:
            self.handed[future] = (node, now)

    def read_children(self, node: NodeId) -> list[bytes] | None:
        """The proofs below one; ``None`` if one is gone, which is made again first."""
        below = {child: self.kept.find(child) for child in self.tree.children(node)}
        gone = [child for child, data in below.items() if data is None]
        for child in gone:
            if not self.redo(child):
                raise UsageError(f"{self.tree.name(child)} was kept twice, and is gone again")
        return None if gone else [data for data in below.values() if data is not None]

    def take(self, finished: Sequence[Future[bytes]]) -> None:
        """What came of pieces of work: first of all, what is whole is kept."""
        taken = [(future, *self.handed.pop(future)) for future in finished]
        failed, refused = [], []
        for future, node, since in taken:
            error = future.exception() if not future.cancelled() else BrokenExecutor("cancelled")
            if error is not None:
                failed.append((node, since, error))
                continue
            data = future.result()
            refusal = self.refusal(node, data)
            if refusal is None:
                self.finish(node, data, time.monotonic() - since)
            else:
                refused.append((node, refusal))
        for node, refusal in refused:
            self.refuse(node, refusal)
        for node, since, error in failed:
            if isinstance(error, self.lost):
                self.lose(node, time.monotonic() - since, error)
            else:
                self.fail(node, error)

    def refusal(self, node: NodeId, data: bytes) -> Rejected | None:
        """Why what came back cannot be the proof, if it cannot."""
        if not isinstance(data, bytes):
            return Rejected(Code.FORMAT, "a proof is bytes", "bytes", type(data).__name__)
        try:
            self.accept(node, data)
        except Rejected as error:
            return error
        return None

    def refuse(self, node: NodeId, refusal: Rejected) -> None:
        """Whoever made it is mistaken; another one may do better."""
        if not self.redo(node):
            raise UsageError(
                f"what workers gave back as {self.tree.name(node)} was of no use twice: {refusal}; "
                f"{_RESUME}, with other workers"
            ) from refusal

    def finish(self, node: NodeId, data: bytes, seconds: float) -> None:
        self.kept.keep(node, data)
        self.done.add(node)
        self.watch("finished", node, seconds)
        parent = self.tree.parent(node)
        if parent is not None:
            self.consider(parent)

    def lose(self, node: NodeId, seconds: float, error: BaseException) -> None:
        """The worker is gone, not the proof."""
        self.watch("lost", node, seconds)
        self.losses[node] += 1
        name = self.tree.name(node)
        if self.losses[node] == ATTEMPTS:
            raise UsageError(
                f"{ATTEMPTS} workers were lost over {name}, each ended before it was finished, "
                f"perhaps for want of memory; {_RESUME}"
            ) from error
        if isinstance(error, BrokenExecutor) and not self.workers.renew():
            raise UsageError(f"the workers ended before {name} was finished; {_RESUME}") from error
        self.missing.add(node)
        self.consider(node)

    def fail(self, node: NodeId, error: BaseException) -> None:
        """The work itself found something wrong: with proofs below it that were kept, or else."""
        if not isinstance(error, Rejected | UsageError):
            raise error
        children = self.read_children(node)
        if children is not None:
            blamed = self.blame(node, children)
            if not blamed or not self.redo_all(blamed):
                raise error
        self.missing.add(node)
        self.consider(node)

    def redo_all(self, nodes: Sequence[NodeId]) -> bool:
        return all([self.redo(node) for node in nodes])  # noqa: C419

    def redo(self, node: NodeId) -> bool:
        """Make a kept proof again, if it was not made again before; whether it is."""
        if node in self.again:
            return False
        self.again.add(node)
        self.kept.drop(node)
        self.done.discard(node)
        self.losses.pop(node, None)
        self.watch("redone", node, 0.0)
        self.need(node)
        return True
