"""Expressions at the out-of-domain point: integers and elements of F mix as elements of F do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.systems import fibonacci

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.verifier.layout import TableLayout
from stark.verifier.out_of_domain import LookupChallenges, OpenedTable, PointArithmetic

Operand = Element | int
Binary = Callable[[Element, Element], Element]
NUMBERS = st.one_of(st.sampled_from([0, 1, P - 1]), st.integers(0, P - 1))
ELEMENTS = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
OPERANDS = st.one_of(NUMBERS, ELEMENTS)


def arithmetic() -> PointArithmetic:
    layout = TableLayout.of(fibonacci(3).system.tables[0])
    values = (ext.ZERO,) * layout.value_count
    opened = OpenedTable(layout, values, [0], ext.ZERO)
    return PointArithmetic(opened, LookupChallenges(ext.ZERO, ext.ZERO, ext.ZERO), ext.BASIS[1])


AT_A_POINT = arithmetic()


def lifted(value: Operand) -> Element:
    return ext.from_base(value) if isinstance(value, int) else value


@pytest.mark.parametrize(
    ("name", "reference"),
    [("add", ext.add), ("subtract", ext.subtract), ("multiply", ext.multiply)],
)
@given(left=OPERANDS, right=OPERANDS)
def test_operations(
    name: str, reference: Binary, left: Element | int, right: Element | int
) -> None:
    result = getattr(AT_A_POINT, name)(left, right)
    assert lifted(result) == reference(lifted(left), lifted(right))
    # What is made of constants and public values alone stays a canonical integer.
    if isinstance(left, int) and isinstance(right, int):
        assert type(result) is int
        assert 0 <= result < P
