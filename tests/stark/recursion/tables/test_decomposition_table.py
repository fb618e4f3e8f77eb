"""The decomposition table: edge values, powers of the root, and a forgery for every constraint."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recursion_rows import Forgery, broken, columns, decomposition_row, labels

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.koalabear import P, root_of_unity
from stark.recursion.tables.decomposition import (
    DECOMPOSITION_COLUMNS,
    DecompositionAir,
    take_column,
)
from stark.system import System

WIDTHS = (5, 31, 12)
LOG_ORDER = 7
NAMES = (*DECOMPOSITION_COLUMNS, *(take_column(width) for width in WIDTHS))
EDGES = (0, 1, P - 1, 1 << 24, (127 << 24) - 1, 127 << 24, (1 << 24) - 1, 126 << 24, 1 << 30)
"""Below p; 127 * 2^24 is p - 1."""


def air(takes: list[int], log_order: int = LOG_ORDER) -> DecompositionAir:
    log_height = (len(takes) - 1).bit_length()
    rows = [{take_column(width): 1} if width else {} for width in takes]
    rows += [{}] * ((1 << log_height) - len(rows))
    return DecompositionAir(log_height, WIDTHS, log_order, columns(NAMES, rows))


def rows_of(
    cases: list[tuple[int, int, Forgery]],
) -> tuple[DecompositionAir, list[dict[str, int]]]:
    """(value, taken width, forgery) per row, filled up with rows that decompose 0."""
    cases = cases + [(0, 0, {})] * ((1 << (len(cases) - 1).bit_length()) - len(cases))
    made = [decomposition_row(v, WIDTHS, taken, LOG_ORDER, f) for v, taken, f in cases]
    return air([taken for _, taken, _ in cases]), made


def test_widths_and_degree() -> None:
    (table,) = System([DecompositionAir(3, (3, 22), 22)]).tables
    assert [table.width(part) for part in Part] == [6, 31 + 3 + 11 + 1, 2]
    assert (table.degree, table.quotient_chunks) == (3, 2)


def test_edge_values() -> None:
    table, rows = rows_of([(value, taken, {}) for value in EDGES for taken in (0, *WIDTHS)])
    assert broken(table, rows) == set()
    for number, value in enumerate(value for value in EDGES for _ in (0, *WIDTHS)):
        taken = (0, *WIDTHS)[number % 4]
        assert rows[number]["low"] == value % (1 << taken)
        power = pow(root_of_unity(LOG_ORDER), -(value % (1 << LOG_ORDER)), P)
        assert rows[number]["y[3]"] == power


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, P - 1), min_size=1, max_size=9), st.sampled_from(WIDTHS))
def test_any_values(values: list[int], taken: int) -> None:
    assert broken(*rows_of([(value, taken, {}) for value in values])) == set()


@pytest.mark.parametrize("log_order", [1, 2, 3, 24])
def test_roots_of_any_order(log_order: int) -> None:
    value = 0x5A5A5A5
    row = decomposition_row(value, WIDTHS, 5, log_order, {})
    assert broken(air([5], log_order), [row]) == set()
    power = pow(root_of_unity(log_order), -(value % (1 << log_order)), P)
    assert row[f"y[{(log_order + 1) // 2 - 1}]"] == power


@pytest.mark.parametrize("value", [0, 1, 5, (1 << 24) - 2])
def test_an_alias_is_refused(value: int) -> None:
    """value + p has 31 bits as well, and would be another index."""
    assert value + P < 1 << 31
    table, rows = rows_of([(value + P, 5, {})])
    assert broken(table, rows) == {(0, "v is canonical")}
    assert rows[0]["low"] != value % 32


FORGERIES: dict[str, tuple[int, int, Forgery]] = (
    {f"bits are boolean [{k}]": (0, 31, {f"bit[{k}]": 2}) for k in range(31)}
    | {
        f"top is the product of the high bits [{k}]": (value, 5, {f"top[{k}]": delta})
        for k, value, delta in ((0, 3, 1), (1, 3, 1), (2, P + 3, P - 1))
    }
    | {"v is canonical": (P + 7, 5, {})}
    | {f"y is the power of the root [{k}]": (77, 5, {f"y[{k}]": 1}) for k in range(4)}
    | {"low is the sum of the low bits": (77, 5, {"low": P - 1})}
)
"""By constraint: value, taken width, and what a forger adds to one cell."""


def test_every_constraint_refuses_a_forgery_that_no_other_refuses() -> None:
    known = labels(DecompositionAir(0, WIDTHS, LOG_ORDER))
    assert sorted(FORGERIES) == sorted(known)
    table, rows = rows_of([FORGERIES[label] for label in known])
    assert broken(table, rows) == set(enumerate(known))


def test_low_follows_the_flags() -> None:
    row = decomposition_row(77, WIDTHS, 5, LOG_ORDER, {})
    for taken in (0, 31, 12):
        assert broken(air([taken]), [row]) == {(0, "low is the sum of the low bits")}


@pytest.mark.parametrize(
    ("widths", "log_order"),
    [((), 4), ((3, 3), 4), ((0,), 4), ((32,), 4), ((3,), 0), ((3,), 25)],
)
def test_parameters_out_of_range(widths: tuple[int, ...], log_order: int) -> None:
    with pytest.raises(UsageError):
        DecompositionAir(3, widths, log_order)


@pytest.mark.parametrize("row", [{"take 5": 2}, {"take 5": 1, "take 12": 1}])
def test_malformed_columns_are_refused(row: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        DecompositionAir(0, WIDTHS, LOG_ORDER, columns(NAMES, [row]))
