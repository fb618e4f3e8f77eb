"""Every check of a join is needed: without it, a cheat passes that the real one refuses."""

from __future__ import annotations

from functools import cache

import pytest
from support.checks import check, check_equal
from support.join_cheats import Cheat, cheat_for, children, joined, told
from support.join_mutants import (
    FREED,
    Mutation,
    Site,
    mutant,
    mutations,
    wrap_mutant,
    wrap_mutations,
)
from support.joins import Given, Join, Offer, join_of, said, said_publics, stand_in_key
from support.wrap_cheats import WrapOffer, wrap_cheat_for

from air.aggregate.circuits import join_circuit, wrap_circuit
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


# ---- wraps


@cache
def real_wrap() -> Join:
    inner = stand_in_key(1).verification
    return Join(wrap_circuit(inner), inner)


def test_the_list_of_the_wrap_is_that_of_the_real_circuit() -> None:
    check_equal(wrap_mutant(None).circuit.digest, real_wrap().circuit.digest)
    calls = [(mutation.site.call, mutation.change) for mutation in wrap_mutations()]
    expected = [
        *(("verify", change) for change in ("skipped", "context 0 is free", "context 1 is free")),
        *(("verify", f"permutation 0 {what}") for what in FREED),
        *(("finish", f"block {number} is free") for number in range(3)),
    ]
    check_equal(calls, expected)


def test_every_check_of_a_wrap_is_needed() -> None:
    for mutation in wrap_mutations():
        cheat, without = wrap_cheat_for(mutation), wrap_mutant(mutation)
        check_equal(without.refusal(cheat.offer), "", str(mutation))
        check_equal(without.run(cheat.offer).public, cheat.public, str(mutation))
        plain = cheat.offer.plain()
        refused = real_wrap().refusal(plain)
        check(bool(refused) or real_wrap().run(plain).public != cheat.public, str(mutation))


def test_an_honest_join_is_wrapped_as_it_says() -> None:
    node = said(1, 0)
    public = real_wrap().run(WrapOffer(node.publics.digest(), Given(node))).public
    check_equal(public, node.publics.wrap_digest())
