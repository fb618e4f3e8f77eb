"""Five base columns make an extension element at no cost: the powers of x are known beforehand."""

from __future__ import annotations

from collections import Counter

from stark.constraints.air import Air, AirBuilder
from stark.constraints.lowering import Kind, lower
from stark.system import System


class Products(Air):
    name = "products"

    def eval(self, t: AirBuilder) -> None:
        a, b, c = (t.extension(t.main_array(name, 5)) for name in "abc")
        t.every_row("c is the product", a * b - c)


class Scaled(Air):
    name = "scaled"

    def eval(self, t: AirBuilder) -> None:
        a, b = (t.extension(t.main_array(name, 5)) for name in "ab")
        zero, one = t.constant(0), t.constant(1)
        x = t.extension([zero, one, zero, zero, zero])
        t.every_row("b is x a", a * x - b)


def kinds(air: Air) -> Counter[int]:
    (table,) = System([air]).tables
    lowered, _ = lower(table.symbolic.graph, [c.expression.index for c in table.constraints])
    return Counter(entry[0] for entry in lowered.values)


def test_a_product_of_elements_is_five_dot_products() -> None:
    found = kinds(Products(3))
    assert found[Kind.DOT] == 5
    assert found[Kind.MULTIPLY] == 0
    # Four differences for x^i b, five for the constraint.
    assert found[Kind.SUBTRACT] == 9
    assert found[Kind.ADD] == 0


def test_a_multiple_of_x_is_a_shift() -> None:
    found = kinds(Scaled(3))
    assert found[Kind.DOT] + found[Kind.MULTIPLY] <= 5
