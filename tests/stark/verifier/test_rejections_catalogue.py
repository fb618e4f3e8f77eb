"""The catalogue of mutations and the tests that make them: none is left out without a reason."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.checks import check, check_equal

from stark.errors import Code

TESTS = Path(__file__).parents[2]
CATALOGUE = TESTS / "vectors" / "negative_tests.json"
FILES = [
    *sorted((TESTS / "stark" / "verifier").glob("test_rejections_*.py")),
    *sorted((TESTS / "stark" / "fri").glob("test_fri_*.py")),
    *sorted((TESTS / "stark" / "prover").glob("test_zk_*.py")),
    TESTS / "stark" / "transcript" / "test_transcript.py",
    TESTS / "air" / "test_publication_rejections.py",
    TESTS / "air" / "test_chain_attacks.py",
]
"""Tests that name their item, or say it in a comment."""

ATTACKS = sorted((TESTS / "support" / "attacks").glob("attacks_*.py"))
"""Attacks on a batch, with their items; tests/air/test_statement_attacks.py makes them."""

LEFT_OUT = {"L": "recursion: there are no proofs of proofs, hence nothing that could be forged"}
"""Groups that nothing in this repository can be tested for."""

AUXILIARY = "stark/prover/test_auxiliary_columns.py::"
BUS_BOUNDS = "stark/verifier/test_rejections_messages.py::"
HIDING = "stark/prover/test_zero_knowledge.py::"
INCLUSION = "air/inclusion/test_customer_check.py::"
LANGUAGE = "stark/constraints/test_air_system.py::"
PUBLICATION = "air/test_publication_rejections.py::"
RULES = "air/tables/test_rules_are_needed.py::"

ELSEWHERE = {
    "I1": (
        AUXILIARY + "test_a_vanishing_denominator_aborts",
        BUS_BOUNDS + "test_i1_a_fraction_that_is_free_under_a_chosen_challenge",
    ),
    "I14": (LANGUAGE + "test_a_bus_has_a_sender_and_a_receiver",),
    "J1": (
        LANGUAGE + "test_an_air_without_constraints_is_refused",
        LANGUAGE + "test_an_untouched_column_is_refused",
    ),
    "J2": (
        RULES + "test_every_rule_has_a_cheat",
        RULES + "test_without_the_rule_a_cheat_passes",
        RULES + "test_without_an_element_of_the_tuples_a_cheat_passes",
    ),
    "K3": (HIDING + "test_masks_have_the_rank_that_openings_take",),
    "K4": (HIDING + "test_two_proofs_of_one_witness_share_nothing",),
    "K5": (
        HIDING + "test_two_proofs_of_one_witness_share_nothing",
        HIDING + "test_equal_randomness_gives_equal_proofs_and_no_label_is_drawn_twice",
    ),
    "K7": (HIDING + "test_opened_values_do_not_depend_on_the_witness",),
    "M4": (INCLUSION + "test_one_leaf_for_two_accounts",),
    "M8": (
        INCLUSION + "test_salt_of_another_length",
        "air/test_master_key.py::test_a_key_of_another_length_is_refused",
        "air/test_encoding.py::test_commitments_and_salts_are_as_documented",
    ),
    "M10": (INCLUSION + "test_slot_and_path_of_another_place", INCLUSION + "test_slot_aliases"),
    "M11": ("air/test_encoding.py::test_nodes_bind_their_order",),
    "M12": (
        PUBLICATION + "test_c10_a_field_that_no_constraint_reads",
        PUBLICATION + "test_c10_an_asset_more_with_a_total_of_zero",
    ),
    "M13": (PUBLICATION + "test_c10_a_field_that_no_constraint_reads",),
    "M16": (INCLUSION + "test_ids_are_compared_without_normalisation",),
    "M17": (INCLUSION + "test_other_units",),
    "M18": (INCLUSION + "test_account_left_out",),
}
"""Tests that have another name: file and function, below the folder of all tests."""

OTHERWISE = {
    "A12": "a height is one byte of the header (Shape) or text of a statement (Format, Canonical)",
    "B4": "there is one extension: no field states a degree",
    "B5": "there is one extension: no field states a modulus",
    "C9": "tables of different shapes are Shape, which is looked at before VK",
    "C10": "Statement against a published digest; without one, OOD of the first batch's proof",
    "D5": "Shape; with the key's header in front of it, OOD",
    "D7": "a height has no room for an alias in a header; in a statement it is Canonical",
    "D13": "no count of query blocks is read: Policy, or a file of another length",
    "D15": "refused where the AIR is written, as UsageError: no proof states a period",
    "E4": "FriFold where every point is queried, PoW with work; no Merkle path depends on it",
    "E6": "a property of the transcript",
    "E8": "Sent by proofs that hide their witness (OOD); others have no salt",
    "E14": "a property of the transcript",
    "F5": "rows have no lengths in a file",
    "F12": "the height of a cap is the key's: Policy or Params in a header, Shape as given",
    "F14": "proofs that hide nothing have no salts; as given to the check, ZK",
    "G6": "OOD as it is; FriFold with honest codewords or FriFinal, once the identity is solved",
    "H2": "layers are not counted in a file: what stands there instead is Canonical or PoW",
    "H6": "the final polynomial's length is the key's: the prover's own transcript refuses another",
    "H8": "arities are not stated in a file: Canonical or PoW, as for another number of layers",
    "H14": "indices are masked bits of the verifier's own; no proof states one",
    "I1": "the prover stops with VanishingDenominatorError; an unbalanced bus is Bus, a free "
    "fraction OOD, under every challenge but one that meets a pole",
    "I14": "refused where the system is written, as UsageError: it never has a key",
    "J1": "refused where the AIR is written, as UsageError: it never has a key",
    "J2": "a property: each rule of a batch has a cheat that passes without it",
    "J14": "nothing in a batch divides: prices and ratios are not part of the statement",
    "K3": "a property of the masks",
    "K4": "a property of the prover",
    "K5": "there is no seed to use twice: masks come from the operating system, draw by draw",
    "K6": "OOD: the number of chunks follows from the key, which has two at least when hiding",
    "K7": "a property of the prover",
    "M11": "a property: nodes hold hashes alone, there is no sum to tamper with",
    "M12": "Statement against a published digest; without one, OOD: proofs are bound to the "
    "context. A statement names no prices",
    "M13": "no clock is read and no earlier statement: time and previous digest are bound, and "
    "whoever holds both statements compares them",
    "M16": "ids are compared byte by byte: Statement for another id, Inclusion for its leaf",
}
"""Items that this format meets in another way than by the one mutation and class."""


@cache
def entries() -> dict[str, dict[str, Any]]:
    """All items but those of groups that are left out."""
    catalogue = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {one["id"]: one for one in catalogue["tests"] if one["id"][0] not in LEFT_OUT}


@cache
def sources() -> dict[Path, str]:
    own = Path(__file__)
    return {path: path.read_text(encoding="utf-8") for path in FILES if path != own}


def named(item: str) -> list[str]:
    """The files whose tests have the item's number in their name, or in a comment inside."""
    name = re.compile(rf"def test_(?:\w+_)?{item.lower()}_\w+\(")
    comment = re.compile(rf"^\s+# (?:.*\W)?{item}(?:\W|$)", re.MULTILINE)
    return [text for text in sources().values() if name.search(text) or comment.search(text)]


def on_file(item: str) -> bool:
    """Whether an attack on a batch has the item's number."""
    return any(f'"{item}"' in path.read_text(encoding="utf-8") for path in ATTACKS)


def test_the_classes_are_those_of_the_catalogue() -> None:
    catalogue = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    check_equal([code.value for code in Code], catalogue["classes"])


def test_all_groups_but_those_left_out() -> None:
    groups = {item[0] for item in entries()}
    check_equal(groups, set("ABCDEFGHIJKM"))
    check_equal(set(LEFT_OUT), {"L"})


@pytest.mark.parametrize("item", list(entries()))
def test_every_item_has_a_test(item: str) -> None:
    found = bool(named(item)) or on_file(item) or item in ELSEWHERE
    check(found or (item == "J14" and item in OTHERWISE), f"no test of {item}")


@pytest.mark.parametrize("item", list(ELSEWHERE))
def test_tests_with_another_name_exist(item: str) -> None:
    check(item in entries(), f"no item {item}")
    for place in ELSEWHERE[item]:
        path, test = place.split("::")
        source = (TESTS / path).read_text(encoding="utf-8")
        check(re.search(rf"^def {test}\(", source, re.MULTILINE) is not None, f"no {place}")


@pytest.mark.parametrize("item", list(entries()))
def test_the_class_is_one_of_the_catalogue_or_explained(item: str) -> None:
    # By file: a test of the item stands in one that expects a class which the catalogue lists.
    # Attacks on a batch are refused with OOD or Bus, by the rule that they name.
    allowed = entries()[item]["reject"]
    if item in OTHERWISE or not allowed:
        return
    if on_file(item):
        check(bool({"OOD", "Bus"} & set(allowed)), f"{item}: {allowed}")
        return
    texts = named(item)
    texts += [
        (TESTS / place.split("::")[0]).read_text(encoding="utf-8")
        for place in ELSEWHERE.get(item, ())
    ]
    expected = {
        getattr(Code, name).value for text in texts for name in re.findall(r"Code\.([A-Z_]+)", text)
    }
    check(bool(expected & set(allowed)), f"{item}: {sorted(expected)}, not {allowed}")


def test_what_is_met_otherwise_is_in_the_catalogue() -> None:
    check(set(OTHERWISE) <= set(entries()), f"{set(OTHERWISE) - set(entries())}")
    properties = {item for item, one in entries().items() if one["kind"] == "property"}
    check(properties <= set(OTHERWISE), f"{sorted(properties - set(OTHERWISE))}")
