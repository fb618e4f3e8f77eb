"""What recursion has got wrong elsewhere, and what an aggregate in particular could: all attacked.

Group L of ``tests/vectors/negative_tests.json``, and a list of ways to cheat a tree of batches:
each line names the tests that try it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from support.checks import check, check_equal

TESTS = Path(__file__).parents[2]
VECTORS = TESTS / "vectors" / "negative_tests.json"

CHEATS = "air/aggregate/test_join_cheats.py::"
PROOFS = "air/aggregate/test_join_proofs.py::"
FORGERIES = "air/aggregate/test_aggregate_forgeries.py::"
FIELDS = "air/aggregate/test_aggregate_end_to_end.py::"
DELETIONS = "air/aggregate/test_join_deletions.py::"

GROUP: dict[str, tuple[str, ...]] = {
    # An inner proof for another key.
    "L1": (
        PROOFS + "test_a_join_for_another_key_is_not_joined_again",
        PROOFS + "test_a_twin_that_is_proven_under_the_name_of_the_real_key",
        FORGERIES + "test_a_batch_without_a_rule_under_the_name_of_a_real_one",
        CHEATS + "test_a_twin_is_refused_though_its_proof_has_the_same_form",
    ),
    # Weaker parameters.
    "L2": (
        CHEATS + "test_a_proof_with_other_parameters_has_another_form",
        FORGERIES + "test_a_batch_of_another_shape_or_profile",
    ),
    # Placeholders for keys.
    "L3": (FORGERIES + "test_placeholders_are_no_keys",),
    # Another number or order of proofs.
    "L4": (
        CHEATS + "test_children_that_are_not_neighbours",
        FIELDS + "test_the_statement_of_another_number_of_batches",
    ),
    # A part for the whole.
    "L6": (
        PROOFS + "test_a_wrap_is_of_the_last_join_alone",
        FORGERIES + "test_the_last_batches_as_if_they_were_all",
    ),
    # Proofs of two snapshots.
    "L7": (
        CHEATS + "test_proofs_of_another_context_in_their_places",
        FORGERIES + "test_a_batch_of_another_statement",
        FORGERIES + "test_batches_that_are_no_snapshot",
    ),
    # One proof twice.
    "L8": (
        CHEATS + "test_children_that_are_not_neighbours",
        FORGERIES + "test_the_prover_itself_says_so",
    ),
    # Two witnesses for one circuit.
    "L9": (PROOFS + "test_tables_of_two_witnesses_do_not_fit_together",),
    # A false inner proof, cells patched.
    "L10": (
        PROOFS + "test_rows_forced_past_a_check_do_not_balance",
        PROOFS + "test_a_forced_proof_is_refused_and_not_joined_again",
        PROOFS + "test_a_proof_of_what_is_false_is_refused_by_both_verifiers",
    ),
    # A thing checked in the first segment alone.
    "L13": (
        CHEATS + "test_an_absent_child_has_a_proof_all_the_same",
        CHEATS + "test_a_flag_that_is_no_bit",
        DELETIONS + "test_a_check_is_needed",
    ),
    # Gaps and overlaps.
    "L14": (
        CHEATS + "test_children_that_are_not_neighbours",
        PROOFS + "test_overlapping_real_joins",
        PROOFS + "test_a_real_child_that_is_not_full",
    ),
}

ELSEWHERE = {"L12"}
"""The verifier and the circuit on many changed proofs: with the tests of ``stark/recursion``."""

AGGREGATES: dict[str, tuple[str, ...]] = {
    "D_in with another snapshot's blind": (FORGERIES + "test_batches_that_are_no_snapshot",),
    "first = 1 in the middle batch": (
        FORGERIES + "test_batches_that_are_no_snapshot",
        CHEATS + "test_children_that_are_not_neighbours",
    ),
    "the absent child on the left, and in the middle": (
        PROOFS + "test_an_absent_child_is_nothing_but_absent",
        PROOFS + "test_a_real_child_that_is_not_full",
    ),
    "a count of 2 claimed by one batch": (
        PROOFS + "test_a_join_does_not_prove_what_it_does_not_say",
        PROOFS + "test_a_real_child_says_nothing_but_the_truth",
        CHEATS + "test_what_is_said_of_a_child_is_what_its_proof_says",
    ),
    "a level-2 join offered to level 1": (
        CHEATS + "test_a_level_is_not_offered_to_another",
        CHEATS + "test_levels_over_the_same_proofs_are_different_circuits",
        PROOFS + "test_a_join_for_another_key_is_not_joined_again",
    ),
    "a wrap over a join that is not the last": (PROOFS + "test_a_wrap_is_of_the_last_join_alone",),
    "equal contexts with different statement digests": (
        FORGERIES + "test_equal_contexts_with_different_statements",
    ),
    "keys in each other's place": (
        FORGERIES + "test_keys_in_the_wrong_place",
        FORGERIES + "test_joins_in_the_place_of_wraps",
        FORGERIES + "test_the_digest_of_the_keys_is_of_all_of_them",
    ),
    "public values that are cut or moved": (
        PROOFS + "test_public_values_of_a_wrap_that_are_cut_or_moved",
    ),
    "a check of a join that nothing needs": (DELETIONS + "test_a_check_is_needed",),
    "a check of a wrap that nothing needs": (DELETIONS + "test_every_check_of_a_wrap_is_needed",),
    "a field of the file that is free": (
        FIELDS + "test_every_leaf_of_the_statement",
        FIELDS + "test_every_lane_of_both_digests",
        FIELDS + "test_every_field_of_the_proof",
    ),
}


@pytest.mark.parametrize("line", [*GROUP, *AGGREGATES])
def test_a_line_is_attacked(line: str) -> None:
    names = GROUP.get(line) or AGGREGATES[line]
    check(bool(names), "by nothing")
    for name in names:
        path, test = name.split("::")
        source = (TESTS / path).read_text(encoding="utf-8")
        check(re.search(rf"^def {test}\(", source, re.MULTILINE) is not None, f"no {name}")


def test_the_group_is_whole() -> None:
    tests = json.loads(VECTORS.read_text(encoding="utf-8"))["tests"]
    listed = {test["id"] for test in tests if test["group"] == "Recursion and aggregation"}
    check_equal(listed, set(GROUP) | ELSEWHERE)
