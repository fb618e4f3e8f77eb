"""Every constraint and every message of a batch is needed: without it, a cheat passes.

The lists of rules come from the AIRs. A rule for which nobody has written a cheat fails here.
"""

from __future__ import annotations

import pytest
from support.attacks.bases import SMALL, base
from support.attacks.oracle import (
    Rule,
    constraints_of,
    messages_of,
    tuple_positions,
)
from support.attacks.rules import BLINDED, CHEATS, TWO_SIDED
from support.checks import check, check_equal

from air.tables.batch import batch_system
from stark.lookup.logup import MASK_NAME

SYSTEM = batch_system(SMALL)
CONSTRAINTS = constraints_of(SYSTEM)
MESSAGES = messages_of(SYSTEM)
RULES = [*CONSTRAINTS, *MESSAGES]


def test_every_rule_has_a_cheat() -> None:
    check_equal(len(set(RULES)), len(RULES), "labels are unique")
    missing = [rule for rule in RULES if rule not in CHEATS and rule not in TWO_SIDED]
    check(not missing, f"no cheat for {missing}")
    stale = [rule for rule in [*CHEATS, *TWO_SIDED] if rule not in RULES]
    check(not stale, f"cheats for rules that do not exist: {stale}")
    check_equal(set(BLINDED), set(tuple_positions(SYSTEM)), "tuple positions")


def test_masked_tables_have_no_other_rules_than_those_of_their_masks() -> None:
    """No cheat can use a mask: whatever its cells are, they are committed before alpha is drawn,
    and fractions whose sum is not zero take a given value at few alphas only."""
    masked = batch_system(SMALL, zk=True)
    more = set(constraints_of(masked)) - set(CONSTRAINTS)
    check(all(label.startswith(MASK_NAME) for _, label in more), f"{sorted(more)}")
    check_equal(messages_of(masked), MESSAGES, "messages")


def test_only_explained_cheats_break_several_rules() -> None:
    for rule, cheat in CHEATS.items():
        check(rule in cheat.together, f"{cheat.name} is filed under the wrong rule")
        check(len(cheat.together) == 1 or bool(cheat.why), f"{cheat.name} needs a reason")


@pytest.mark.parametrize("rule", [r for r in RULES if r not in TWO_SIDED], ids=": ".join)
def test_without_the_rule_a_cheat_passes(rule: Rule) -> None:
    cheat = CHEATS[rule]
    oracle = base(cheat.base).oracle
    witness = cheat.witness()
    constraints = {one for one in cheat.together if one in CONSTRAINTS}
    messages = cheat.together - constraints
    refusals = oracle.refusals(witness)
    expected = constraints | {_bus_of(message) for message in messages}
    check_equal(refusals, expected, f"{cheat.name}: refused by other rules than it should be")
    if not messages:
        return  # Without these constraints nothing refuses it: no others were broken.
    left = oracle.refusals(witness, without=cheat.together)
    check(not left, f"{cheat.name}: refused without its rules too, by {sorted(left)}")
    for one in cheat.together if len(cheat.together) > 1 else ():
        others = cheat.together - {one}
        check(bool(oracle.refusals(witness, without=others)), f"{one} does not refuse it")


@pytest.mark.parametrize("rule", list(TWO_SIDED), ids=": ".join)
def test_without_a_two_sided_message_nothing_balances(rule: Rule) -> None:
    honest = base("middle")
    refusals = honest.oracle.refusals(honest.honest, without=[rule])
    check_equal(refusals, {_bus_of(rule)}, f"the honest witness without {rule}")


@pytest.mark.parametrize("position", list(BLINDED), ids=lambda p: f"{p[0]} {p[1]}")
def test_without_an_element_of_the_tuples_a_cheat_passes(position: tuple[str, int]) -> None:
    cheat = BLINDED[position]
    oracle = base(cheat.base).oracle
    witness = cheat.witness()
    check_equal(oracle.refusals(witness), cheat.together, cheat.name)
    left = oracle.refusals(witness, blinded=position)
    check(not left, f"{cheat.name}: refused without it too, by {sorted(left)}")


def _bus_of(message: Rule) -> Rule:
    table, label = message
    for one in SYSTEM.tables:
        for interaction in one.symbolic.interactions:
            if (one.name, interaction.label) == (table, label):
                return ("bus", interaction.bus.name)
    raise AssertionError(f"no message {message}")
