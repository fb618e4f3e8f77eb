"""Every check of a join is needed: without it, a cheat passes that the real one refuses."""

from __future__ import annotations

import pytest
from support.checks import check, check_equal
from support.join_cheats import Cheat, cheat_for, children, joined, told
from support.join_mutants import Mutation, Site, mutant, mutations
from support.joins import Given, Join, Offer, join_of, said_publics

from air.aggregate.circuits import join_circuit
from air.aggregate.publics import COUNT_LANE, FIRST_LANE

LEVELS = (1, 2)

SECOND_LINES = {
    # A batch counts as one, and one batch is a full left child: both are constants there.
    (1, "require 0: unchecked"),
    # The level below writes zeros into these lanes of the header, and what it hashed is what the
    # digest opens to.
    *((2, f"assert_zero {number}: unchecked") for number in range(12)),
}
"""Mutations that let nothing false pass, with the reason."""

ALL = [
    (level, mutation)
    for level in LEVELS
    for mutation in mutations(level)
    if (level, str(mutation)) not in SECOND_LINES
]


def name_of(case: object) -> str:
    return str(case)


def accepts(join: Join, cheat: Cheat) -> bool:
    """Whether there is a proof of what the prover says."""
    return not join.refusal(cheat.offer) and (
        join.run(cheat.offer).public == cheat.publics.digest()
    )


@pytest.mark.parametrize(("level", "mutation"), ALL, ids=name_of)
def test_a_check_is_needed(level: int, mutation: Mutation) -> None:
    cheat = cheat_for(level, mutation)
    check(accepts(mutant(level, mutation), cheat), "the cheat fits the circuit without the check")
    honest = Cheat(cheat.offer.plain(), cheat.publics)
    check(not accepts(join_of(level), honest), "the real join accepts a cheat")


def test_the_list_is_that_of_the_real_circuit() -> None:
    for level in LEVELS:
        join = join_of(level)
        check_equal(mutant(level, None).circuit.digest, join.circuit.digest)
        check_equal(join.circuit.digest, join_circuit(join.inner, level).digest)
        seen = mutations(level)
        check_equal(len(seen), len(set(seen)))
        calls = {mutation.site.call for mutation in seen}
        expected = {"boolean_hint", "require", "multiply_add", "select", "compress", "verify"}
        more = {"sponge", "assert_zero"} if level > 1 else set()
        check_equal(calls, expected | more | {"finish"})
    listed = {(level, str(mutation)) for level in LEVELS for mutation in mutations(level)}
    check(listed >= SECOND_LINES, "second lines that do not exist")


def test_every_mutation_changes_the_circuit() -> None:
    for level in LEVELS:
        digests = {mutant(level, mutation).circuit.digest for mutation in mutations(level)}
        check(join_of(level).circuit.digest not in digests, "a mutation that is none")


def test_honest_children_are_joined_as_they_say() -> None:
    for level in (1, 2, 3, 7):
        left, right = children(level)
        for flag, offer in ((1, Offer.of(left, right)), (0, Offer.of(left, None))):
            public = join_of(level).run(offer).public
            check_equal(public, joined(level, left.publics, right.publics, flag).digest())


def test_second_lines_have_a_first_one() -> None:
    """Lanes of a header that are not zero: refused at once, and without that by the proof."""
    level = 2
    real, (left, right) = join_of(level), children(level)
    lanes = [lane for lane in range(8) if lane not in (COUNT_LANE, FIRST_LANE)]
    for number in range(12):
        side, lane = number // 6, lanes[number % 6]
        node = (left, right)[side]
        said = told(node, said_publics(level - 1, side))
        said[lane] = 1
        given = [Given(left), Given(right)]
        given[side] = Given(node, said)
        offer = Offer(given[0], given[1])
        check_equal(real.refusal(offer), "public values")
        without = mutant(level, Mutation(Site("assert_zero", number), "unchecked"))
        check(without.refusal(offer) not in ("", "public values", "chain"), "of the proof")
