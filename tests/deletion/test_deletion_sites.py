"""The lister finds every check, and each kind of deletion removes what it names and no more."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from deletion.explained import EXPLAINED
from deletion.mutation import without
from deletion.sites import NOT_CHECKS, ROOT, found_in, listed_files, sites, wing
from support.checks import check, check_equal

SOURCE = """
def kept(value, check):
    if not isinstance(value, str):
        raise TypeError(check)
    return value


def _require(condition):
    if not condition:
        raise ValueError("no")


def parse(text, bound):
    if len(text) > 3 or int(text) >= bound:
        raise OverflowError(text)
    return int(text)


def small(value: int) -> bool:
    if value == 7:
        return False
    return value < 10


def fault(text):
    return None if text else "empty"


def all_of_it(text, low=0, high=5):
    value = parse(kept(text, "text"), 8)
    if not low <= value <= high:
        raise LookupError(value)
    _require(1 <= value != 4)
    return value
"""


def listed(tmp_path: Path) -> dict[str, str]:
    """The source less each of its sites, by name, in a tree of its own."""
    (tmp_path / "air" / "inclusion").mkdir(parents=True)
    (tmp_path / "air" / "verify.py").write_text(SOURCE)
    (tmp_path / "air" / "inclusion" / "check.py").write_text("")
    tree = ast.parse(SOURCE)
    return {one.site.name: one.site.kind for one in found_in(tree, "air/verify.py", tmp_path)}


NAMES = [
    "kept raise TypeError",
    "_require raise ValueError",
    "parse part len(text) > 3",
    "parse part int(text) >= bound",
    "parse raise OverflowError",
    "small guard value == 7",
    "small verdict value < 10",
    "fault verdict None if text else 'empty'",
    "all_of_it bound parse(kept(text, 'text'), 8)",
    "all_of_it value kept(text, 'text')",
    "all_of_it part not low <= value",
    "all_of_it part not value <= high",
    "all_of_it raise LookupError",
    "all_of_it call _require(1 <= value != 4)",
    "all_of_it part 1 <= value",
    "all_of_it part value != 4",
]


def test_the_sites_of_an_example(tmp_path: Path) -> None:
    check_equal(list(listed(tmp_path)), [f"air/verify.py:{name}" for name in NAMES])


OUTCOMES = [
    # What is deleted, a call that is refused with it, and what the call gives without it.
    ("kept raise TypeError", "kept(1, '')", 1),
    ("_require raise ValueError", "_require(False)", None),
    ("parse part len(text) > 3", "parse('0001', 8)", 1),
    ("parse part int(text) >= bound", "parse('9', 8)", 9),
    ("parse raise OverflowError", "parse('0009', 8)", 9),
    ("small guard value == 7", "small(7)", True),
    ("small verdict value < 10", "small(10)", True),
    ("fault verdict None if text else 'empty'", "fault('')", None),
    ("all_of_it bound parse(kept(text, 'text'), 8)", "all_of_it('9', 0, 9)", 9),
    ("all_of_it value kept(text, 'text')", "all_of_it(b'3')", 3),
    ("all_of_it part not low <= value", "all_of_it('1', 2)", 1),
    ("all_of_it part not value <= high", "all_of_it('6')", 6),
    ("all_of_it raise LookupError", "all_of_it('6')", 6),
    ("all_of_it call _require(1 <= value != 4)", "all_of_it('4')", 4),
    ("all_of_it part 1 <= value", "all_of_it('0')", 0),
    ("all_of_it part value != 4", "all_of_it('4')", 4),
]


def test_every_site_of_the_example_has_an_outcome() -> None:
    check_equal([name for name, _, _ in OUTCOMES], NAMES)


@pytest.mark.parametrize(("name", "call", "result"), OUTCOMES)
def test_a_deletion_is_the_one_that_its_name_says(
    tmp_path: Path, name: str, call: str, result: object
) -> None:
    listed(tmp_path)
    whole: dict[str, object] = {}
    exec(compile(SOURCE, "whole", "exec"), whole)
    try:
        before = eval(call, whole)
    except (TypeError, ValueError, OverflowError, LookupError) as error:
        before = type(error)
    check(before != result, f"{call} is not refused with every check in place")
    tree = without(ast.parse(SOURCE), "air/verify.py", f"air/verify.py:{name}", tmp_path)
    lacking: dict[str, object] = {}
    exec(compile(tree, "lacking", "exec"), lacking)
    check_equal(eval(call, lacking), result, call)
    # What is left refuses what it refused.
    others = [text for other, text, _ in OUTCOMES if other != name and text != call]
    check(any(_refuses(text, lacking) for text in others), "everything is gone")


def _refuses(call: str, module: dict[str, object]) -> bool:
    try:
        return eval(call, module) in (False, "empty")
    except (TypeError, ValueError, OverflowError, LookupError):
        return True


def test_every_raise_of_the_wing_is_listed() -> None:
    # Counted in another way than the lister's: by the text.
    for file in listed_files():
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        code = [n for n, line in enumerate(lines, start=1) if _is_raise(line)]
        found = sorted(site.line for site in sites() if site.file == file and site.kind == "raise")
        check_equal(found, code, file)


def _is_raise(line: str) -> bool:
    words = line.split()
    # In this wing a line of prose that begins with "raise " has no call and no end there.
    return bool(words) and words[0] == "raise" and (len(words) == 1 or "(" in line)


def test_what_is_verified_with_is_listed() -> None:
    check(
        {
            "stark/verifier/verify.py",
            "stark/verifier/header.py",
            "stark/verifier/key.py",
            "stark/verifier/out_of_domain.py",
            "stark/verifier/deep.py",
            "stark/merkle/multiproof.py",
            "stark/fri/verifier.py",
            "stark/transcript/encoding.py",
            "stark/transcript/transcript.py",
            "stark/soundness/parameters.py",
            "stark/system.py",
            "stark/constraints/air.py",
            "air/verification.py",
            "air/publication.py",
            "air/context.py",
            "air/registry.py",
            "air/canonical_json.py",
            "air/encoding.py",
            "air/keys.py",
            "air/inclusion/check.py",
            "air/inclusion/customer.py",
        }
        <= set(listed_files())
    )
    for prefix in NOT_CHECKS:
        check(any(file.startswith(prefix) for file in wing()), f"{prefix} is not in the wing")


def test_names_are_unique() -> None:
    names = [site.name for site in sites()]
    check_equal(len(set(names)), len(names))


@pytest.mark.parametrize("name", sorted(EXPLAINED))
def test_an_explained_check_exists(name: str) -> None:
    check(name in {site.name for site in sites()}, "no such check")
    check(len(EXPLAINED[name]) > 20, "no reason")
