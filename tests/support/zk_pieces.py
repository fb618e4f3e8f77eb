"""What two proofs have in common, and randomness that two runs can have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count

from stark.transcript.encoding import Kind
from stark.verifier.layout import Tree
from support.mutations import ProofMap


def pieces(map_: ProofMap) -> dict[str, set[bytes]]:
    """Digests, salts, rows and messages of a proof by kind; not the rows of public columns."""
    found: dict[str, set[bytes]] = {name: set() for name in ("digests", "salts", "rows")}
    for section in map_.messages(Kind.DIGEST):
        found["digests"] |= _cut(map_.data(section.name), 32)
    for section in map_.messages(Kind.EXTENSION):
        found[section.name] = _cut(map_.data(section.name), 20)
    for name, tree in map_.trees.items():
        if name == Tree.PREPROCESSED.label:
            continue
        found["digests"] |= set(tree.opening.siblings)
        found["salts"] |= {salt for group in tree.opening.salts for salt in group}
        rows = {row for group in tree.opening.rows for row in group}
        found["rows"] |= rows
        if name.startswith("fri"):
            found[f"values of {name}"] = set().union(*(_cut(row, 20) for row in rows))
    return found


def shared_pieces(one: ProofMap, other: ProofMap) -> set[str]:
    """Kinds of which two proofs have a piece in common; each has some of all kinds."""
    first, second = pieces(one), pieces(other)
    if first.keys() != second.keys() or not all((*first.values(), *second.values())):
        raise AssertionError("a kind of pieces is missing")
    return {name for name in first if first[name] & second[name]}


def _cut(data: bytes, size: int) -> set[bytes]:
    return {data[start : start + size] for start in range(0, len(data), size)}


def stream(seed: bytes) -> Callable[[int], bytes]:
    """A stand-in for ``secrets.token_bytes``: each call gives other bytes, each stream the same."""
    calls = count()

    def token_bytes(size: int) -> bytes:
        return hashlib.shake_256(seed + next(calls).to_bytes(8, "little")).digest(size)

    return token_bytes
