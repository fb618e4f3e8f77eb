"""Children that do not belong together: the join has no witness, and says where it fails.

Whoever cheats here can prove any child by itself, whatever its public values. What is refused is
refused by the join, at the named part of its circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from support.checks import check, check_equal
from support.join_cheats import children, joined, told
from support.joins import (
    CONTEXT,
    Given,
    Join,
    Offer,
    Raw,
    digest,
    join_of,
    prove_said,
    said,
    said_publics,
    stand_in_key,
)

from air.aggregate.circuits import empty_root, join_circuit
from air.aggregate.proving import Node, joined_publics
from air.aggregate.publics import JOIN_TAG, AggregatePublics, context_blocks, public_digest
from air.encoding import node_digest
from air.tree import EMPTY_BATCH, upper_levels
from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.recursion.inputs import circuit_inputs

PUBLIC, CHAIN = "public values", "chain"
OTHER = bytes(range(100, 132))


def other_snapshot(number: int) -> AggregatePublics:
    """A batch with the same place and accounts in another snapshot: other blinds, other digests."""
    return said_publics(
        0, number, digest_in=digest(9_000 + number), digest_out=digest(9_001 + number)
    )


def node(number: int, **changes: Any) -> Node:
    return prove_said(0, said_publics(0, number, **changes))


def pair(number: int, **changes: Any) -> Node:
    """Two batches, as a child of level 1."""
    return prove_said(1, said_publics(1, number, **changes))


NOT_NEIGHBOURS: dict[str, Callable[[], tuple[int, Offer]]] = {
    # One proof counted twice doubles what a customer's batch is worth, and hides another batch.
    "a batch twice": lambda: (1, Offer.of(said(0, 0), said(0, 0))),
    "a later batch twice": lambda: (1, Offer.of(said(0, 1), said(0, 1))),
    "two batches twice": lambda: (2, Offer.of(said(1, 0), said(1, 0))),
    # The totals of what is left out would be missing, or be there without accounts.
    "a batch missing in the middle": lambda: (1, Offer.of(said(0, 0), said(0, 2))),
    "two batches missing in the middle": lambda: (2, Offer.of(said(1, 0), said(1, 2))),
    # Slots are places in the tree: a customer's path would lead elsewhere.
    "batches in the wrong order": lambda: (1, Offer.of(said(0, 1), said(0, 0))),
    "later batches in the wrong order": lambda: (1, Offer.of(said(0, 2), said(0, 1))),
    "pairs in the wrong order": lambda: (2, Offer.of(said(1, 1), said(1, 0))),
    # Accounts of two days in one publication: whoever moved is counted twice, or not at all.
    "a batch of another snapshot": lambda: (
        1,
        Offer.of(said(0, 0), prove_said(0, other_snapshot(1))),
    ),
    "the batch before it is of another snapshot": lambda: (
        1,
        Offer.of(prove_said(0, other_snapshot(0)), said(0, 1)),
    ),
    # The running totals start again in the middle: all before them is owed to nobody.
    "the second batch says that it is the first": lambda: (
        1,
        Offer.of(said(0, 0), node(1, first=True)),
    ),
    "the second pair says that it is the first": lambda: (
        2,
        Offer.of(said(1, 0), pair(1, first=True)),
    ),
    "two batches that both are the first": lambda: (
        1,
        Offer.of(node(0, digest_out=digest(0)), node(0)),
    ),
    # An overlap: batches 0 and 1, then 1 and 2, whose digests are those of batch 1.
    "pairs that overlap": lambda: (
        2,
        Offer.of(said(1, 0), pair(1, digest_in=digest(500), digest_out=digest(1_500))),
    ),
    # A hole in the tree: slots that no batch fills, or a batch that a hole hides.
    "a right child beside one that is not full": lambda: (
        2,
        Offer.of(pair(0, count=1), said(1, 1)),
    ),
    "a right child beside an empty one": lambda: (2, Offer.of(pair(0, count=0), said(1, 1))),
    "a right child beside one that is more than full": lambda: (
        2,
        Offer.of(pair(0, count=3), said(1, 1)),
    ),
    "a right child beside 2 + p batches less one": lambda: (
        2,
        Offer.of(pair(0, count=P - 1), said(1, 1)),
    ),
}


@pytest.mark.parametrize("name", NOT_NEIGHBOURS)
def test_children_that_are_not_neighbours(name: str) -> None:
    level, offer = NOT_NEIGHBOURS[name]()
    check_equal(join_of(level).refusal(offer), CHAIN)


def test_one_lane_of_the_chain_is_enough() -> None:
    left = said(0, 0)
    for lane in range(8):
        starts = list(left.publics.digest_out)
        starts[lane] = (starts[lane] + 1) % P
        offer = Offer.of(left, node(1, digest_in=tuple(starts)))
        check_equal(join_of(1).refusal(offer), CHAIN, f"lane {lane}")


# ---- values that are not what they should be


@pytest.mark.parametrize(
    "flag",
    [(2, 0, 0, 0, 0), (P - 1, 0, 0, 0, 0), (0, 1, 0, 0, 0), (1, 0, 0, 0, 1), (5, 5, 5, 5, 5)],
)
def test_a_flag_that_is_no_bit(flag: tuple[int, ...]) -> None:
    """Half a right child would be half of its count, and a root between two roots."""
    for level in (1, 2):
        left, right = children(level)
        check_equal(join_of(level).refusal(Offer.of(left, right, present=flag)), PUBLIC)
    # Of a batch: whether it is the first.
    left, right = children(1)
    for place in (0, 1):
        given = [Given(left), Given(right)]
        given[place] = Given((left, right)[place], [*flag, *told_digests((left, right)[place])])
        check_equal(join_of(1).refusal(Offer(given[0], given[1])), PUBLIC)


def told_digests(one: Node) -> list[int]:
    return [int(value) for value in one.hints[5:]]


def test_a_header_with_more_than_a_count_and_a_flag() -> None:
    """Another lane could make two headers of one count, or carry what nobody looks at."""
    left, right = children(2)
    for lane in range(6):
        for value in (1, P - 1):
            for side in (0, 1):
                given = [Given(left), Given(right)]
                said_so = [int(v) for v in (left, right)[side].hints]
                said_so[lane] = value
                given[side] = Given((left, right)[side], said_so)
                check_equal(join_of(2).refusal(Offer(given[0], given[1])), PUBLIC)


CLAIMS: dict[str, dict[str, Any]] = {
    "a count": {"count": 1},
    "no count": {"count": 0},
    "a count and the flag in each other's place": {"count": True, "first": 2},
    "the first": {"first": False},
    "digest before": {"digest_in": digest(66_000)},
    "digest after": {"digest_out": digest(66_000)},
    "root": {"root": digest(66_000)},
    "the root of nothing": {"root": EMPTY_BATCH},
    "context": {"context": OTHER},
}


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_said_of_a_child_is_what_its_proof_says(level: int, name: str) -> None:
    """For the left child, whose values nothing but its proof decides; what a batch says of its
    count is not asked at all."""
    left, right = children(level)
    claimed = replace(left.publics, **CLAIMS[name])
    context = claimed.context
    if level == 1 and "count" in CLAIMS[name]:
        check_equal(told(left, claimed)[5:], told(left, left.publics)[5:])
        return
    given = Given(left, told(left, claimed), CONTEXT)
    offer = Offer(given, Given(right), (0, 0, 0, 0, 0), context)
    refused = join_of(level).refusal(offer)
    check(refused not in ("", CHAIN, PUBLIC), f"by the proof, not by {refused!r}")


def test_an_absent_child_has_a_proof_all_the_same() -> None:
    """The copy in its place is verified like any other: no part of the circuit is asleep."""
    left = said(0, 0)
    broken = Given(left, told(left, replace(left.publics, root=digest(66_000))))
    offer = Offer(Given(left), broken, (0, 0, 0, 0, 0))
    check(join_of(1).refusal(offer) not in ("", CHAIN, PUBLIC), "by the proof")


def test_nothing_of_an_absent_child_is_used() -> None:
    """Whatever proof stands in its place, the join says the same."""
    for level in (1, 2):
        left, right = children(level)
        expected = joined_publics(left, None).digest()
        # Not a neighbour, not full, itself a first one: nobody asks.
        stranger = prove_said(level - 1, said_publics(level - 1, 5, first=True, count=1))
        for other in (left, right, stranger):
            offer = Offer(Given(left), Given(other), (0, 0, 0, 0, 0))
            check_equal(join_of(level).run(offer).public, expected)


def test_proofs_of_another_context_in_their_places() -> None:
    """Yesterday's batches fit today's digests, if blinds are used twice: the context differs."""
    for level in (1, 2):
        left, right = children(level)
        for side in (0, 1):
            old = prove_said(level - 1, said_publics(level - 1, side, context=OTHER))
            given = [Given(left), Given(right)]
            given[side] = Given(old)
            refused = join_of(level).refusal(Offer(given[0], given[1]))
            check(refused not in ("", CHAIN, PUBLIC), f"level {level}, side {side}: {refused!r}")
        both = [
            Given(prove_said(level - 1, said_publics(level - 1, side, context=OTHER)))
            for side in (0, 1)
        ]
        check(join_of(level).refusal(Offer(both[0], both[1])) != "", "both are old")
        honest = Offer(both[0], both[1], context=OTHER)
        check_equal(join_of(level).refusal(honest), "")


def test_a_context_is_not_its_own_mirror() -> None:
    """The two halves of a context in each other's place are another one."""
    left, right = children(1)
    mirrored = CONTEXT[16:] + CONTEXT[:16]
    check(join_of(1).refusal(Offer.of(left, right, context=mirrored)) != "", "refused")


# ---- proofs of something else


def foreign(level: int, number: int, **changes: Any) -> tuple[Node, Any]:
    """A proof for a twin of the stand-in, with its key."""
    key = stand_in_key(level, **changes)
    return prove_said(level, said_publics(level, number), key=key), key.verification


TWINS = {
    # Other fixed columns: a table of other constants, a circuit with other rows.
    "other fixed columns": {"factor": 2},
    # A constraint that holds on one row alone: whatever it kept out of the others is in.
    "a weaker constraint": {"bound": False},
}


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("name", TWINS)
def test_a_twin_is_refused_though_its_proof_has_the_same_form(level: int, name: str) -> None:
    real = join_of(level + 1)
    twin, key = foreign(level, 0, **TWINS[name])
    check(key.digest != real.inner.digest, "another key")
    # Its file is refused for its header; its values, taken as the twin's circuit would, below.
    with pytest.raises(Rejected) as caught:
        Offer.of(twin, None).hints(real.inner)
    check_equal(caught.value.code, Code.VK)
    hints = Offer.of(twin, None).hints(key)
    own = Join(join_circuit(key, level + 1), key)
    check_equal(own.refusal(Offer.of(twin, None)), "")
    check_equal(hints.shape, (real.circuit.hint_count,))
    check(refused_values(real, hints) not in ("", CHAIN, PUBLIC), "by the proof")


def refused_values(one: Join, hints: Any) -> str:
    return one.refusal(Raw(hints))


def test_a_proof_with_other_parameters_has_another_form() -> None:
    """More queries or fewer: the circuit takes another number of values, and none of them."""
    real = join_of(1)
    for queries in (2, 3):
        node, key = foreign(0, 0, queries=queries)
        with pytest.raises(Rejected) as caught:
            Offer.of(node, None).hints(real.inner)
        check(caught.value.code in (Code.POLICY, Code.PARAMS), str(caught.value))
        with pytest.raises(UsageError):
            refused_values(real, Offer.of(node, None).hints(key))


def test_a_level_is_not_offered_to_another() -> None:
    """A pair to the joins of batches, a batch to the joins of pairs: tables and keys differ."""
    for level, child in ((1, said(1, 0)), (2, said(0, 0))):
        with pytest.raises(Rejected) as caught:
            Offer.of(child, None).hints(join_of(level).inner)
        check(caught.value.code in (Code.PUBLIC, Code.VK), str(caught.value))


def test_levels_over_the_same_proofs_are_different_circuits() -> None:
    """Even if proofs of two levels had one key, joins of them would not: what is full, and what an
    absent child's root is, are constants."""
    key = stand_in_key(1).verification
    digests = {join_circuit(key, level).digest for level in range(2, 8)}
    check_equal(len(digests), 6)
    left, right = children(2)
    higher = Join(join_circuit(key, 3), key)
    check_equal(higher.refusal(Offer.of(left, right)), CHAIN)
    alone = higher.run(Offer.of(left, None)).public
    check_equal(alone, joined(3, left.publics, left.publics, 0).digest())
    check(alone != joined(2, left.publics, left.publics, 0).digest(), "another empty subtree")


def test_values_are_elements() -> None:
    offer = Offer.of(*children(1))
    honest = offer.hints(join_of(1).inner)
    for place in (0, 16, 21, 25, len(honest) - 1):
        forged = honest.copy()
        forged[place] = P
        with pytest.raises(UsageError):
            refused_values(join_of(1), forged)
    for length in (0, 1, len(honest) - 1):
        with pytest.raises(UsageError):
            refused_values(join_of(1), honest[:length])
    with pytest.raises(UsageError):
        refused_values(join_of(1), np.append(honest, np.uint32(0)))


# ---- what a join says


def test_the_root_is_that_of_the_tree_of_all_batches() -> None:
    """Absent subtrees, at every level, as the tree of the statement has them."""
    for count in range(1, 9):
        nodes = [said_publics(0, number) for number in range(count)]
        roots = [one.root for one in nodes]
        level = 0
        while len(nodes) > 1 or level < 3:
            level += 1
            pairs = [nodes[i : i + 2] for i in range(0, len(nodes), 2)]
            nodes = [joined(level, two[0], two[-1], int(len(two) == 2)) for two in pairs]
        padded = [*roots, *[EMPTY_BATCH] * (8 - count)]
        check_equal(nodes[0].root, upper_levels(padded)[-1][0], f"{count} batches")
        check_equal(nodes[0].count, count)


def test_empty_subtrees_of_all_levels_differ() -> None:
    roots = [empty_root(level) for level in range(13)]
    check_equal(len(set(roots)), 13)
    check_equal(roots[0], EMPTY_BATCH)
    for lower, higher in pairwise(roots):
        check_equal(higher, node_digest(lower, lower))


def test_public_digests_are_of_all_that_is_said() -> None:
    """Each lane of each block, and which block it stands in."""
    honest = said_publics(1, 0)
    blocks = honest.blocks()
    check_equal(blocks[:2], list(context_blocks(CONTEXT)))
    digests = {honest.digest(), honest.wrap_digest()}
    changed = 2
    for number, block in enumerate(blocks):
        for lane in range(8):
            other = [list(one) for one in blocks]
            other[number][lane] = (block[lane] + 1) % P
            digests.add(public_digest(JOIN_TAG, [tuple(one) for one in other]))
            changed += 1
    swaps = [
        {"digest_in": honest.digest_out, "digest_out": honest.digest_in},
        {"digest_in": honest.root, "root": honest.digest_in},
        {"digest_out": honest.root, "root": honest.digest_out},
    ]
    for swap in swaps:
        digests.add(replace(honest, **swap).digest())
    check_equal(len(digests), changed + len(swaps))


def test_form_of_a_proof_is_not_the_circuits_business() -> None:
    """A file that is cut off never becomes values."""
    left = said(0, 0)
    for length in (0, 10, 200, len(left.proof) - 1):
        with pytest.raises(Rejected):
            circuit_inputs(*(join_of(1).inner, left.proof[:length], left.inner_publics, CONTEXT))
    with pytest.raises(Rejected):
        circuit_inputs(*(join_of(1).inner, left.proof + b"\0", left.inner_publics, CONTEXT))
