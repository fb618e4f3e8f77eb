"""Ways of changing the file of an inner proof: every part of it, and parts among each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, islice, pairwise
from random import Random

from stark.field.koalabear import P
from stark.transcript.encoding import Kind
from stark.verifier.verify import PublicValues
from support.cheating import (
    Case,
)
from support.mutations import (
    OpenedTree,
    ProofMap,
    byte_places,
    flipped,
    next_element,
    overwritten,
)

SALT_BYTES = 32


@dataclass(frozen=True)
class Forgery:
    """A proof that somebody presents, and the public values that it is presented for."""

    name: str
    proof: bytes
    publics: PublicValues | None = None


# ---- files


def mapped(one: Case) -> ProofMap:
    return ProofMap(one.key.verification, one.honest(), one.publics, one.context)


def elements_and_aliases(parts: ProofMap) -> Iterator[Forgery]:
    """Every element of a message or of an opened row replaced, and some written otherwise."""
    proof = parts.proof
    for number, at in enumerate(parts.elements()):
        yield Forgery("element", next_element(proof, at))
        if number % 5 == 0:
            value = int.from_bytes(proof[at : at + 4], "little") + P
            yield Forgery("alias", overwritten(proof, at, value.to_bytes(4, "little")))


def digests_changed(parts: ProofMap) -> Iterator[Forgery]:
    """A lane of every digest: siblings, salts, caps."""
    proof, lane = parts.proof, 0
    starts = [("sibling", at) for tree in parts.trees.values() for at in tree.siblings]
    for tree in parts.trees.values():
        if tree.shape.salted:
            for group, rows in enumerate(tree.opening.rows):
                starts += [("salt", tree.salt(group, place)) for place in range(len(rows))]
    for section in parts.messages(Kind.DIGEST):
        starts += [("cap", at) for at in range(section.start, section.end, 32)]
    for name, start in starts:
        lane = (lane + 3) % 8
        yield Forgery(name, next_element(proof, start + 4 * lane))
        value = int.from_bytes(proof[start : start + 4], "little") + P
        yield Forgery("alias", overwritten(proof, start, value.to_bytes(4, "little")))


def _exchanged(proof: bytes, first: int, second: int, size: int) -> bytes:
    one, other = proof[first : first + size], proof[second : second + size]
    return overwritten(overwritten(proof, first, other), second, one)


def exchanged_and_doubled(parts: ProofMap) -> Iterator[Forgery]:
    """Messages, rows, siblings and salts of one size exchanged, or one put in another's place."""
    places: dict[tuple[str, int], list[int]] = {}

    def note(kind: str, start: int, size: int) -> None:
        places.setdefault((kind, size), []).append(start)

    for section in parts.sections.values():
        if section.kind is not None and section.size:
            note("message", section.start, section.size)
            unit = 32 if section.kind is Kind.DIGEST else 20
            for start in range(section.start, section.end, unit):
                note(f"item {unit}", start, unit)
    for tree in parts.trees.values():
        _note_tree(tree, note)
    for (kind, size), starts in places.items():
        near = pairwise(starts)
        far = islice(combinations(starts[:4], 2), 6)
        for first, second in {*near, *far}:
            yield Forgery(f"exchanged {kind}", _exchanged(parts.proof, first, second, size))
            source = parts.proof[second : second + size]
            yield Forgery(f"doubled {kind}", overwritten(parts.proof, first, source))


def _note_tree(tree: OpenedTree, note: Callable[[str, int, int], None]) -> None:
    for group, rows in enumerate(tree.opening.rows):
        for place in range(len(rows)):
            note("row", *tree.row(group, place))
            if tree.shape.salted:
                note("salt", tree.salt(group, place), SALT_BYTES)
    for start in tree.siblings:
        note("sibling", start, 32)


def lengths(parts: ProofMap) -> Iterator[Forgery]:
    """Files cut, prolonged, without a part, with a part twice."""
    proof = parts.proof
    yield Forgery("empty", b"")
    yield Forgery("prolonged", proof + bytes(1))
    yield Forgery("twice", proof + proof)
    for name, section in parts.sections.items():
        if section.size:
            yield Forgery(f"cut at {name}", proof[: section.end])
            yield Forgery(f"without {name}", parts.without(section.start, section.end))
            again = proof[: section.end] + proof[section.start :]
            yield Forgery(f"{name} twice", again)
    for name, tree in parts.trees.items():
        yield Forgery(f"without the tree {name}", parts.without(tree.start, tree.end))
        for start in tree.siblings[:1]:
            yield Forgery(f"without a sibling of {name}", parts.without(start, start + 32))


def flips(parts: ProofMap, count: int, seed: int) -> Iterator[Forgery]:
    """Bits of every field, then of random bytes."""
    source = Random(seed)
    for name, at in byte_places(parts):
        yield Forgery(f"bit of {name}", flipped(parts.proof, at, 1 << source.randrange(8)))
    for _ in range(count):
        at = source.randrange(parts.header_end, len(parts.proof))
        yield Forgery("bit", flipped(parts.proof, at, 1 << source.randrange(8)))


def changed_files(one: Case, flipped_bytes: int = 200) -> list[Forgery]:
    """All of these."""
    parts = mapped(one)
    return [
        *elements_and_aliases(parts),
        *digests_changed(parts),
        *exchanged_and_doubled(parts),
        *lengths(parts),
        *flips(parts, flipped_bytes, 1),
    ]
