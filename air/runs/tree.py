"""The tree of the proofs of a run: batches, joins of two neighbours, the wrap of the last join."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stark.errors import UsageError


@dataclass(frozen=True, order=True)
class NodeId:
    """A proof of a run, by its place; they are ordered by level, then from the left.

    Attributes
    ----------
    level
        0 for a batch, from 1 on for joins, and one more than the last join's for the wrap.
    number
        From the left in its level.
    """

    level: int
    number: int


@dataclass(frozen=True)
class ProofTree:
    """All proofs over a number of batches.

    Attributes
    ----------
    leaves
        Batches, at least one.
    joined
        Whether they are joined to one proof, which takes two or more; otherwise there is nothing
        above the batches.

    Raises
    ------
    UsageError
        For a tree that does not exist.
    """

    leaves: int
    joined: bool = True

    def __post_init__(self) -> None:
        least = 2 if self.joined else 1
        if self.leaves < least:
            raise UsageError(f"a tree of proofs has {least} batches or more, not {self.leaves}")

    @property
    def levels(self) -> int:
        """Levels of joins."""
        return (self.leaves - 1).bit_length() if self.joined else 0

    @property
    def roots(self) -> tuple[NodeId, ...]:
        """The proofs that are published: the wrap, or all batches."""
        if self.joined:
            return (NodeId(self.levels + 1, 0),)
        return tuple(NodeId(0, number) for number in range(self.leaves))

    def nodes(self) -> Iterator[NodeId]:
        """All of them, in order."""
        for level in range(self.levels + 1):
            for number in range(self._width(level)):
                yield NodeId(level, number)
        if self.joined:
            yield from self.roots

    def __len__(self) -> int:
        joins = sum(self._width(level) for level in range(self.levels + 1))
        return joins + int(self.joined)

    def __contains__(self, node: object) -> bool:
        if not isinstance(node, NodeId):
            return False
        wrap = self.joined and node == self.roots[0]
        inside = 0 <= node.level <= self.levels and 0 <= node.number < self._width(node.level)
        return wrap or inside

    def children(self, node: NodeId) -> tuple[NodeId, ...]:
        """What its proof verifies: nothing, or one proof or two; an absent right one is missing."""
        level = node.level - 1
        if level < 0:
            return ()
        if level == self.levels:
            return (NodeId(level, 0),)
        left = 2 * node.number
        both = range(left, min(left + 2, self._width(level)))
        return tuple(NodeId(level, number) for number in both)

    def parent(self, node: NodeId) -> NodeId | None:
        """The proof that verifies it; ``None`` for a root."""
        if not self.joined or node.level > self.levels:
            return None
        return NodeId(node.level + 1, node.number // 2)

    def kind(self, node: NodeId) -> str:
        """``batch``, ``join`` or ``wrap``."""
        if node.level == 0:
            return "batch"
        return "join" if node.level <= self.levels else "wrap"

    def name(self, node: NodeId) -> str:
        """In words: ``batch 3``, ``join 0 of level 2``, ``wrap``."""
        kind = self.kind(node)
        if kind == "batch":
            return f"batch {node.number}"
        return kind if kind == "wrap" else f"join {node.number} of level {node.level}"

    def _width(self, level: int) -> int:
        """Nodes of a level: a last one of it may be over fewer than 2^level batches."""
        return -(-self.leaves >> level)
