"""For each check of a join the cheat that it alone refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from air.aggregate.circuits import empty_root
from air.aggregate.proving import Node
from air.aggregate.publics import AggregatePublics, context_blocks
from air.encoding import Digest, node_digest
from stark.field.koalabear import P
from support.join_mutants import FREED, Mutation
from support.joins import (
    CONTEXT,
    Given,
    Offer,
    digest,
    prove_said,
    said,
    said_publics,
)

LOW, HIGH = slice(0, 5), slice(5, 8)


@dataclass(frozen=True)
class Cheat:
    """What is offered to a join, and what the prover says that it has joined."""

    offer: Offer
    publics: AggregatePublics


def other_context(half: int) -> bytes:
    """The context with one of its halves changed."""
    changed = bytearray(CONTEXT)
    changed[16 * half] ^= 1
    return bytes(changed)


def children(level: int) -> tuple[Node, Node]:
    """Two full neighbours."""
    return said(level - 1, 0), said(level - 1, 1)


def mixed(flag: int, one: Digest, zero: Digest) -> Digest:
    """What selecting by a flag gives, whatever the flag is."""
    return tuple((b + flag * (a - b)) % P for a, b in zip(one, zero, strict=True))


def joined(
    level: int, left: AggregatePublics, right: AggregatePublics, flag: int, **changes: Any
) -> AggregatePublics:
    """What a join says whose right child has this flag, but for ``changes``."""
    right_root = mixed(flag, right.root, empty_root(level - 1))
    honest = AggregatePublics(
        left.context,
        left.count + flag * right.count,
        left.first,
        left.digest_in,
        mixed(flag, right.digest_out, left.digest_out),
        node_digest(left.root, right_root),
    )
    return replace(honest, **changes)


def spliced(low: Digest, high: Digest) -> Digest:
    return (*low[LOW], *high[HIGH])


def child(level: int, number: int, **changes: Any) -> Node:
    """A full child on the left (0) or right (1) that says something else."""
    return prove_said(level - 1, said_publics(level - 1, number, **changes))


def told(node: Node, publics: AggregatePublics) -> list[int]:
    """What a join takes of public values, as they would be at this node."""
    return [int(value) for value in replace(node, publics=publics).hints]


# ---- cheats by what is changed


def flag_of_two(level: int, mutation: Mutation) -> Cheat:
    """A right child that is there twice."""
    left, right = children(level)
    offer = Offer.of(left, right, present=(2, 0, 0, 0, 0))
    return Cheat(offer, joined(level, left.publics, right.publics, 2))


def first_of_two(level: int, mutation: Mutation) -> Cheat:
    """A batch whose flag is 2, to the left, or to the right where nothing is used of it."""
    left, right = children(level)
    if mutation.site.number == 1:
        left = child(level, 0, first=2)
        return Cheat(Offer.of(left, right), joined(level, left.publics, right.publics, 1))
    right = child(level, 1, first=2)
    offer = Offer(Given(left), Given(right), (0, 0, 0, 0, 0))
    return Cheat(offer, joined(level, left.publics, right.publics, 0))


def left_not_full(level: int, mutation: Mutation) -> Cheat:
    left, right = child(level, 0, count=1), said(level - 1, 1)
    return Cheat(Offer.of(left, right), joined(level, left.publics, right.publics, 1))


def first_in_the_middle(level: int, mutation: Mutation) -> Cheat:
    left, right = said(level - 1, 0), child(level, 1, first=True)
    return Cheat(Offer.of(left, right), joined(level, left.publics, right.publics, 1))


def broken_chain(level: int, mutation: Mutation) -> Cheat:
    """The right child starts elsewhere, but for one half of the digest."""
    left = said(level - 1, 0)
    ends, elsewhere = left.publics.digest_out, digest(77_000)
    pair = (elsewhere, ends) if mutation.site.number == 2 else (ends, elsewhere)
    right = child(level, 1, digest_in=spliced(*pair))
    return Cheat(Offer.of(left, right), joined(level, left.publics, right.publics, 1))


def wrong_count(level: int, mutation: Mutation) -> Cheat:
    left, right = children(level)
    if mutation.change == "c alone":
        publics = joined(level, left.publics, right.publics, 1, count=left.publics.count)
        return Cheat(Offer.of(left, right), publics)
    count = 2 * left.publics.count
    publics = joined(level, left.publics, left.publics, 0, count=count)
    return Cheat(Offer.of(left, None), publics)


def wrong_selection(level: int, mutation: Mutation) -> Cheat:
    """Half of a digest is that of the other side: ``one`` of an absent child, ``zero`` of none."""
    left, right = children(level)
    flag = int(mutation.change == "zero")
    sides = {0: slice(0, 5), 1: slice(5, 8)}[mutation.site.number % 2]
    of_root = mutation.site.number >= 2
    ends, absent = left.publics.digest_out, empty_root(level - 1)
    one, zero = (right.publics.root, absent) if of_root else (right.publics.digest_out, ends)
    value = list(one if flag else zero)
    value[sides] = (zero if flag else one)[sides]
    publics = joined(level, left.publics, right.publics, flag)
    if of_root:
        publics = replace(publics, root=node_digest(left.publics.root, tuple(value)))
    else:
        publics = replace(publics, digest_out=tuple(value))
    offer = Offer(Given(left), Given(right), (flag, 0, 0, 0, 0))
    return Cheat(offer, publics)


def wrong_root(level: int, mutation: Mutation) -> Cheat:
    left, right = children(level)
    one, other = left.publics.root, right.publics.root
    pairs = {"swapped": (other, one), "left twice": (one, one), "right twice": (other, other)}
    root = node_digest(*pairs[mutation.change])
    return Cheat(Offer.of(left, right), joined(level, left.publics, right.publics, 1, root=root))


def false_blocks() -> list[dict[str, Any]]:
    """Another value in each of the six blocks."""
    return [
        {"context": other_context(0)},
        {"context": other_context(1)},
        {"count": 5},
        {"digest_in": digest(66_000)},
        {"digest_out": digest(66_000)},
        {"root": digest(66_000)},
    ]


def number_in(change: str) -> int:
    """The number in ``block 3 is free``."""
    return int(change.split()[1])


def wrong_public(level: int, mutation: Mutation) -> Cheat:
    """A block of the public values is anything."""
    left, right = children(level)
    number = number_in(mutation.change)
    publics = joined(level, left.publics, right.publics, 1, **false_blocks()[number])
    offer = Offer.of(left, right, more=publics.blocks()[number])
    return Cheat(offer, publics)


def on(side: int, level: int, given: Given, claimed: AggregatePublics) -> Cheat:
    """An offer with one given child and an honest one, which say so together."""
    honest = children(level)
    pair = [Given(node) for node in honest]
    pair[side] = given
    said = [node.publics for node in honest]
    said[side] = claimed
    offer = Offer(pair[0], pair[1])
    return Cheat(offer, joined(level, said[0], said[1], 1))


def wrong_inner_block(level: int, mutation: Mutation) -> Cheat:
    """A block of a joined child's public values is not what its proof is about."""
    side, number = mutation.site.number, number_in(mutation.change)
    honest = said_publics(level - 1, side)
    other = replace(honest, **false_blocks()[number])
    # A child of another context has a proof that is bound to this one.
    node = prove_said(level - 1, other, context=CONTEXT)
    given = Given(node, told(node, honest), CONTEXT, after=other.blocks()[number])
    return on(side, level, given, honest)


def no_proof(level: int, mutation: Mutation) -> Cheat:
    """A child that nobody has proven."""
    side = mutation.site.number
    node = children(level)[side]
    claimed = replace(node.publics, root=digest(66_000))
    return on(side, level, Given(node, told(node, claimed), proven=False), claimed)


def proof_of_another_context(level: int, mutation: Mutation) -> Cheat:
    side, half = mutation.site.number, number_in(mutation.change)
    honest, context = said_publics(level - 1, side), other_context(half)
    node = prove_said(level - 1, honest, context=context)
    given = Given(node, context=context, before=context_blocks(context)[half])
    return on(side, level, given, honest)


FIELDS = {
    "chain 0": "first",
    "chain 1": "digest_in",
    "chain 2": "digest_out",
    "tree 0": "root",
    "permutation 0": "root",
}
"""What stands in a block of public values, or is hashed to it."""


def false_child(level: int, mutation: Mutation) -> Cheat:
    """A child whose proof is about something else than what is said of it."""
    side = mutation.site.number
    name = " ".join(mutation.change.split()[:2])
    what = mutation.change.removeprefix(name + " ")
    # What is said fits its neighbour; what is true is something else.
    honest = said_publics(level - 1, side)
    false: Any = not honest.first if name == "chain 0" else digest(66_000)
    other = replace(honest, **{FIELDS[name]: false})
    block = false
    if name == "chain 0":
        block = (*[0] * 7, int(false))
    if name == "permutation 0":
        block = other.digest()
    if what == FREED[0]:
        node = prove_said(level - 1, other)
    elif what == FREED[1]:
        # The transcript tells what the join is told, the constraints hold for something else.
        node = prove_said(level - 1, honest, shown=other)
    else:
        node = prove_said(level - 1, other, shown=honest)
    return on(side, level, Given(node, told(node, honest), before=block), honest)


CHEATS: dict[str, Callable[[int, Mutation], Cheat]] = {
    "multiply_add": wrong_count,
    "select": wrong_selection,
    "compress": wrong_root,
    "sponge": wrong_inner_block,
    "finish": wrong_public,
}


def cheat_for(level: int, mutation: Mutation) -> Cheat:
    """What the join accepts only with this mutation."""
    call, number, change = mutation.site.call, mutation.site.number, mutation.change
    if call == "boolean_hint":
        return (flag_of_two if number == 0 else first_of_two)(level, mutation)
    if call == "require":
        return (left_not_full, first_in_the_middle, broken_chain, broken_chain)[number](
            level, mutation
        )
    if call == "verify":
        if change == "skipped":
            return no_proof(level, mutation)
        if change.startswith("context"):
            return proof_of_another_context(level, mutation)
        return false_child(level, mutation)
    return CHEATS[call](level, mutation)
