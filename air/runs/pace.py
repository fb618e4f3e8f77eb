"""How fast a run is, by what it has done so far, and how long what is left of its tree takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Final

from air.runs.tree import NodeId, ProofTree

_MEMORY: Final = 0.8
"""Weight of a measurement by that of the next one of its kind. The first of a kind may have
compiled something, and a machine may be busy for a while: what was lately is likelier to go on."""


@dataclass
class Pace:
    """Seconds measured by seconds predicted, for each kind of work.

    A kind that was not seen is taken to be as slow as all others together, each with the weight
    that was predicted for it.
    """

    _measured: dict[str, float] = field(default_factory=dict)
    _predicted: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, predicted: float, measured: float) -> None:
        """A piece of work, or a part of one, took ``measured`` seconds."""
        if predicted > 0:
            self._measured[kind] = _MEMORY * self._measured.get(kind, 0.0) + measured
            self._predicted[kind] = _MEMORY * self._predicted.get(kind, 0.0) + predicted

    def copy(self) -> Pace:
        return Pace(dict(self._measured), dict(self._predicted))

    def __contains__(self, kind: str) -> bool:
        return kind in self._predicted

    def __bool__(self) -> bool:
        return bool(self._predicted)

    @property
    def predicted(self) -> float:
        """Seconds predicted for what was measured."""
        return sum(self._predicted.values())

    def ratio(self, kind: str) -> float:
        """What to multiply predictions of a kind with; 1 before anything is measured."""
        if kind in self._predicted:
            return self._measured[kind] / self._predicted[kind]
        return sum(self._measured.values()) / self.predicted if self else 1.0


def time_left(
    tree: ProofTree,
    done: Collection[NodeId],
    running: Mapping[NodeId, float],
    seconds: Mapping[NodeId, float],
    workers: int,
) -> float:
    """Seconds until all roots of a tree are made, if each free worker takes the first that can.

    Parameters
    ----------
    done
        Proofs that nobody has to make.
    running
        Those that are worked on, at most ``workers``, with the seconds that each still takes.
    seconds
        What each of the others takes.
    """
    waiting: dict[NodeId, int] = {}
    ready: list[NodeId] = []
    for node in tree.nodes():
        if node in done or node in running:
            continue
        waiting[node] = sum(child not in done for child in tree.children(node))
        if not waiting[node]:
            ready.append(node)
    heapify(ready)
    ends = [(left, node) for node, left in running.items()]
    heapify(ends)
    now = 0.0
    while ready or ends:
        while ready and len(ends) < workers:
            node = heappop(ready)
            heappush(ends, (now + seconds[node], node))
        now, node = heappop(ends)
        parent = tree.parent(node)
        if parent in waiting:
            waiting[parent] -= 1
            if not waiting[parent]:
                heappush(ready, parent)
    return now
