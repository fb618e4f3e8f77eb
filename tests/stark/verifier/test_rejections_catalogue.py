"""The catalogue of mutations and the tests that make them: none of groups A to F is left out."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from support.checks import check, check_equal

from stark.errors import Code

TESTS = Path(__file__).parents[2]
CATALOGUE = TESTS / "vectors" / "negative_tests.json"
FILES = [
    *sorted((TESTS / "stark" / "verifier").glob("test_rejections_*.py")),
    TESTS / "stark" / "transcript" / "test_transcript.py",
    TESTS / "air" / "test_publication_rejections.py",
]

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
    "E6": "a property of the transcript",
    "E8": "proofs that hide nothing have no salt",
    "E14": "a property of the transcript",
    "F5": "rows have no lengths in a file",
    "F12": "the height of a cap is the key's: Policy or Params in a header, Shape as given",
    "F14": "proofs that hide nothing have no salts; as given to the check, ZK",
}
"""Items that this format meets in another way than by the one mutation and class."""


@cache
def items() -> dict[str, list[str]]:
    """Classes of rejection by item, for the groups that the tests of this folder cover."""
    catalogue = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {one["id"]: one["reject"] for one in catalogue["tests"] if one["id"][0] in "ABCDEF"}


def test_the_classes_are_those_of_the_catalogue() -> None:
    catalogue = json.loads(CATALOGUE.read_text(encoding="utf-8"))
    check_equal([code.value for code in Code], catalogue["classes"])


@pytest.mark.parametrize("item", list(items()))
def test_every_item_has_a_test(item: str) -> None:
    # Its number stands in the name of a test, or in a comment inside one.
    name = re.compile(rf"def test_(?:\w+_)?{item.lower()}_\w+\(")
    comment = re.compile(rf"^\s+# (?:.*\W)?{item}(?:\W|$)", re.MULTILINE)
    own = Path(__file__)
    sources = [path.read_text(encoding="utf-8") for path in FILES if path != own]
    found = [text for text in sources if name.search(text) or comment.search(text)]
    check(bool(found), f"no test of {item}")


def test_what_is_met_otherwise_is_in_the_catalogue() -> None:
    check(set(OTHERWISE) <= set(items()), f"{set(OTHERWISE) - set(items())}")
