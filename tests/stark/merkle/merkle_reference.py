"""A Merkle tree in natural order: what ``stark.merkle`` must agree with.

Over SHA-256 with hashlib alone; over another suite with its functions on bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from stark.hash.suite import SHA256, Suite
from stark.merkle.multiproof import MultiOpening


def digest(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


@dataclass
class ReferenceTree:
    """``rows[size][j]`` is the row of index j; salts likewise; sizes are powers of two.

    ``extensions[size]`` extension elements are at the end of the rows of a size, by default none.
    """

    rows: Mapping[int, Sequence[bytes]]
    salts: Mapping[int, Sequence[bytes]] | None = None
    suite: Suite = SHA256
    extensions: Mapping[int, int] = field(default_factory=dict)
    levels: dict[int, list[bytes]] = field(init=False)

    def __post_init__(self) -> None:
        size = max(self.rows)
        level = self.leaves(size)
        self.levels = {size: level}
        while size > 1:
            size //= 2
            pairs = [(level[j], level[j + size]) for j in range(size)]
            if size in self.rows:
                extra = self.leaves(size)
                level = [self.injected(*pair, extra[j]) for j, pair in enumerate(pairs)]
            else:
                level = [self.node(*pair) for pair in pairs]
            self.levels[size] = level

    def leaves(self, size: int) -> list[bytes]:
        salts = [b""] * size if self.salts is None else self.salts[size]
        pairs = zip(salts, self.rows[size], strict=True)
        return [self.leaf(salt, row, self.extensions.get(size, 0)) for salt, row in pairs]

    def leaf(self, salt: bytes, row: bytes, extensions: int) -> bytes:
        if self.suite is SHA256:
            return digest(b"SLl1", salt, row)
        return self.suite.leaf_digest(row, salt, extensions)

    def node(self, left: bytes, right: bytes) -> bytes:
        if self.suite is SHA256:
            return digest(b"SLn1", left, right)
        return self.suite.node_digest(left, right)

    def injected(self, left: bytes, right: bytes, leaf: bytes) -> bytes:
        if self.suite is SHA256:
            return digest(b"SLi1", left, right, leaf)
        return self.suite.injected_node_digest(left, right, leaf)

    def open(self, indices: Iterable[int], cap_height: int) -> MultiOpening:
        distinct = set(indices)
        rows, salts = [], []
        for size in sorted(self.rows, reverse=True):
            chosen = sorted({q % size for q in distinct})
            rows.append(tuple(self.rows[size][j] for j in chosen))
            picked = () if self.salts is None else tuple(self.salts[size][j] for j in chosen)
            salts.append(picked)
        siblings = []
        size = max(self.rows)
        known = distinct
        while size > 1 << cap_height:
            for j in range(size):
                if j not in known and (j + size // 2) % size in known:
                    siblings.append(self.levels[size][j])
            size //= 2
            known = {j % size for j in known}
        return MultiOpening(tuple(rows), tuple(salts), tuple(siblings))
