"""The arithmetic table: its formula against plain arithmetic, and what breaks it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recursion_rows import arithmetic_row, broken, columns, element, labels

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.recursion.tables.arithmetic import ARITHMETIC_COLUMNS, COEFFICIENTS, ArithmeticAir
from stark.system import System

A: Element = (5, 0, P - 1, 7, 1)
B: Element = (P - 2, 3, 0, 0, 11)
C: Element = (1, 1, 2, 3, 5)


def air(*rows: Mapping[str, int]) -> ArithmeticAir:
    log_height = (len(rows) - 1).bit_length()
    filled = [*rows, *[{}] * ((1 << log_height) - len(rows))]
    return ArithmeticAir(log_height, columns(ARITHMETIC_COLUMNS, filled))


def test_widths_and_degree() -> None:
    (table,) = System([ArithmeticAir(3)]).tables
    assert [table.width(part) for part in Part] == [15, 20, 2]
    assert (table.degree, table.quotient_chunks) == (3, 2)
    assert tuple(table.symbolic.columns[Part.PREPROCESSED]) == ARITHMETIC_COLUMNS


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ({}, ext.ZERO),
        ({"ab": 1}, ext.multiply(A, B)),
        ({"cab": 1}, ext.multiply(C, ext.subtract(A, B))),
        ({"qa": 1, "qb": P - 1}, ext.subtract(A, B)),
        ({"qc": 4}, ext.scale(C, 4)),
        ({"q0": 9}, ext.from_base(9)),
        ({"qx": 9}, (0, 9, 0, 0, 0)),
        ({"ab": 2, "qc": 1, "q0": P - 1}, (0, 0, 0, 0, 0)),
    ],
)
def test_the_formula(fixed: dict[str, int], expected: Element) -> None:
    if len(fixed) == 3:
        doubled = ext.add(ext.scale(ext.multiply(A, B), 2), C)
        expected = ext.subtract(doubled, ext.ONE)
    row = arithmetic_row(fixed, A, B, C, {})
    assert element(row, "d") == expected
    assert broken(air(fixed), [row]) == set()


elements = st.tuples(*[st.sampled_from([0, 1, P - 1]) | st.integers(0, P - 1)] * 5)


@settings(max_examples=25, deadline=None)
@given(elements, elements, elements, st.lists(st.integers(0, P - 1), min_size=7, max_size=7))
def test_any_values(a: Element, b: Element, c: Element, coefficients: list[int]) -> None:
    fixed = dict(zip(COEFFICIENTS, coefficients, strict=True))
    assert broken(air(fixed), [arithmetic_row(fixed, a, b, c, {})]) == set()


def test_every_coefficient_of_a_wrong_result_is_refused() -> None:
    fixed = {"ab": 1, "qc": 3}
    rows = [arithmetic_row(fixed, A, B, C, {f"d[{k}]": 1}) for k in range(5)]
    rows += [arithmetic_row({}, A, B, C, {"d[0]": P - 1})] * 3
    label = "d is the row's formula"
    assert labels(ArithmeticAir(0)) == [label]
    assert broken(air(*[fixed] * 5, {}, {}, {}), rows) == {(row, label) for row in range(8)}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_every_coefficient_of_the_formula_is_read(name: str) -> None:
    """Under other coefficients the same row is refused."""
    row = arithmetic_row({"ab": 1, "q0": 2}, A, B, C, {})
    other = {"ab": 1, "q0": 2} | {name: 5}
    assert broken(air(other), [row]) == {(0, "d is the row's formula")}


def good() -> dict[str, list[int]]:
    return columns(ARITHMETIC_COLUMNS, [{"ab": 1}, {}])


@pytest.mark.parametrize("change", ["missing", "unknown", "short", "negative", "too large"])
def test_malformed_columns_are_refused(change: str) -> None:
    given = good()
    if change == "missing":
        del given["ab"]
    elif change == "unknown":
        given["abc"] = [0, 0]
    else:
        given["ab"] = {"short": [1], "negative": [0, -1], "too large": [0, P]}[change]
    with pytest.raises(UsageError):
        ArithmeticAir(1, given)


def test_without_columns_there_are_no_values() -> None:
    assert ArithmeticAir(1, good()).preprocessed() == good()
    with pytest.raises(UsageError):
        ArithmeticAir(1).preprocessed()
