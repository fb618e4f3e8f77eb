"""What earlier readings of the statement missed, and what makes up for it: nothing is left out.

Each line was once a hole in a layout much like this one. It is an attack on file, or a test that is
named here.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.attacks.bases import SMALL
from support.attacks.catalogue import ATTACKS
from support.attacks.publications import honest
from support.checks import check, check_equal

from air.context import Statement
from air.tables.batch import batch_system
from stark.constraints.expression import Part
from stark.errors import Code, Rejected
from stark.field.koalabear import P

TESTS = Path(__file__).parents[1]

STATEMENT = "air/test_statement_attacks.py::"
CHAIN = "air/test_chain_attacks.py::"
CUSTOMER = "air/test_customer_attacks.py::"
PUBLICATION = "air/test_publication_rejections.py::"
HERE = "air/test_attacks_are_complete.py::"

MISSED: dict[str, tuple[str, ...]] = {
    # ---- the chain table
    "a zero-amount row whose asset aliases the flags": ("a row whose asset hides `first`",),
    "first = 1 inside a digest run of two neighbouring batches": (
        "a digest starts anew in its middle",
        STATEMENT + "test_a_digest_that_starts_anew_in_two_neighbouring_batches",
    ),
    "last = 1 on a row that is not real, paid with a limb p - k": (
        "`last` on a row that is not real pays for a negative limb",
    ),
    "row 0 not first": ("row 0 is not first", "row 0 goes on from the last row"),
    "an account open at the end of the holding region": (
        "an account is open at the end of the holding region",
        "an account is left open",
    ),
    "a chain without `first`": ("a chain without `first`",),
    "an empty account with a non-zero limb": (
        "an empty account with a negative limb",
        "an amount on a row that is not real",
    ),
    "an asset between registry and capacity": (
        CHAIN + "test_amounts_of_an_asset_that_is_not_listed",
    ),
    "an asset past the capacity": (
        "amounts of an asset past the capacity",
        "amounts of an asset past the capacity that cancel mod p",
    ),
    # ---- the totals table
    "begin on the last row of an asset": (STATEMENT + "test_a_forged_fixed_column",),
    "T not continued": ("a total that jumps", "all segments but the last are forgotten"),
    "a segment number that walks once round p": (
        STATEMENT + "test_a_forged_fixed_column",
        HERE + "test_keys_of_sums_are_fixed_columns",
    ),
    "limb sums of one asset that pass p": (
        STATEMENT + "test_sums_and_additions_hold_over_the_integers_in_every_shape",
        "a sum of p more",
    ),
    "a totals row split in two with S1 + S2 = true + p": (
        "sums of an asset that pass p together",
        STATEMENT + "test_every_asset_and_segment_has_one_key",
    ),
    "a carry of exactly 2^15, and its alias mod p": (
        "a carry of 2^15",
        "a carry that is right mod p",
        STATEMENT + "test_an_addition_has_one_solution_in_range",
    ),
    # ---- the tree
    "a self-loop node": ("a node that is its own child",),
    "a deeper subtree under a leaf": ("a subtree below a leaf",),
    "one slot sent twice, or never": (
        "one slot twice, another never",
        "a leaf is sent to no slot",
    ),
    # ---- batches
    "D_in with another blind": (CHAIN + "test_totals_before_a_batch_under_another_blind",),
    "first = 1 in the middle batch": (
        CHAIN + "test_the_first_flag_in_the_middle",
        "a later batch that says it is the first",
    ),
    "the absent child on the left, and in the middle": (
        CHAIN + "test_an_absent_batch_elsewhere_than_at_the_end",
    ),
    "a count of batches that is not that of the proofs": (
        CHAIN + "test_a_wrong_number_of_batches",
    ),
    "a context depth one too large": (CUSTOMER + "test_a_depth_one_too_large",),
    "kind or shape of the context not the key's": (
        PUBLICATION + "test_d5_c5_another_shape",
        "air/test_context.py::test_context_rules",
    ),
    "equal contexts with different statements": (
        CHAIN + "test_equal_contexts_with_different_statements",
    ),
    # ---- files
    "reordered JSON keys": (PUBLICATION + "test_a10_json_that_is_not_canonical",),
    "a repeated registry symbol": ("air/test_registry.py::test_from_json_refuses",),
    "a forged segment column": (STATEMENT + "test_a_forged_fixed_column",),
    "total + p 2^90 in a file": (HERE + "test_a_total_that_is_an_alias_of_another",),
    "amount + p 2^60 in a file": (CUSTOMER + "test_an_amount_that_is_an_alias_of_another",),
    "`holdings: []`": (CUSTOMER + "test_no_holdings",),
    # ---- must pass
    "an honest total before the batch of 2^75 or more": (
        CHAIN + "test_totals_before_a_batch_above_2_to_75",
        "air/tables/test_batch_completeness.py::test_totals_before_the_batch_of_all_sizes",
    ),
}


@pytest.mark.parametrize("line", list(MISSED))
def test_what_was_missed_once_is_attacked(line: str) -> None:
    for name in MISSED[line]:
        if "::" in name:
            path, test = name.split("::")
            source = (TESTS / path).read_text(encoding="utf-8")
            check(re.search(rf"^def {test}\(", source, re.MULTILINE) is not None, f"no {name}")
        else:
            check(name in ATTACKS, f"no attack {name!r}")


def test_keys_of_sums_are_fixed_columns() -> None:
    """Assets and segments of the totals table cannot be witnessed, in whatever order."""
    chain, tree, totals, _ = batch_system(SMALL).tables
    for table, names in (
        (chain, {"segment", "region", "side", "fixed asset", "fixed first", "fixed last"}),
        (tree, {"number", "is node"}),
        (totals, {"asset", "segment", "begin", "end"}),
    ):
        check(names <= set(table.symbolic.columns[Part.PREPROCESSED]), table.name)
    keys = totals.air.preprocessed()
    pairs = set(zip(keys["asset"], keys["segment"], strict=True))
    check_equal(len(pairs), totals.height, "keys")


@pytest.mark.parametrize("alias", [P << 90, 1 << 105])
def test_a_total_that_is_an_alias_of_another(alias: int) -> None:
    """Its limbs, or their residues mod p, are those of the true one: there is no such statement."""
    statement = honest().publication.statement
    one, *others = statement.totals
    with pytest.raises(Rejected) as caught:
        replace(statement, totals=(one + alias, *others))
    check_equal(caught.value.code, Code.CANONICAL)
    data = statement.encode()
    forged = data.replace(f'"{one}"'.encode(), f'"{one + alias}"'.encode(), 1)
    check(forged != data, "a total in the file")
    with pytest.raises(Rejected) as caught:
        Statement.decode(forged)
    check_equal(caught.value.code, Code.CANONICAL)
