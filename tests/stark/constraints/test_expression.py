"""Symbolic expressions: hash consing, degrees, folding of constants, reading."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.constraints.expression import Challenge, Column, Graph, Node, Op, Part, Selector
from stark.constraints.reading import read
from stark.field.koalabear import P


@dataclass
class Integers:
    """Main columns and public values as plain integers."""

    columns: list[int]

    def leaf(self, node: Node) -> int:
        return node[1] if node[0] == Op.CONSTANT else self.columns[node[2]]

    def add(self, left: int, right: int) -> int:
        return (left + right) % P

    def subtract(self, left: int, right: int) -> int:
        return (left - right) % P

    def multiply(self, left: int, right: int) -> int:
        return left * right % P


def columns(count: int) -> tuple[Graph, list[Column]]:
    graph = Graph()
    return graph, [Column(graph, Part.MAIN, index) for index in range(count)]


def test_equal_expressions_are_one_node() -> None:
    graph, (a, b) = columns(2)
    assert (a + b).index == (b + a).index
    assert (a * b).index == (b * a).index
    assert (a - b).index != (b - a).index
    assert (a + 5).index == (5 + a).index == (a + (5 - P)).index
    assert (a - 5).index == (a + (P - 5)).index
    assert a.next.index == graph.cell(Part.MAIN, 0, 1).index != a.index


def test_operands_come_before_their_users() -> None:
    graph, (a, b) = columns(2)
    (a * b + a.next) * (a - 3)
    for index in range(len(graph.nodes)):
        assert all(operand < index for operand in graph.operands(index))


def test_constants_fold() -> None:
    graph, (a,) = columns(1)
    two = graph.constant(2)
    assert (two + 3).constant_value == 5
    assert (two - 3).constant_value == P - 1
    assert (two * 3).constant_value == 6
    assert (-two).constant_value == P - 2
    assert (1 - two).constant_value == P - 1
    assert (two**3).constant_value == 8
    assert a.constant_value is None


def test_neutral_elements_disappear() -> None:
    graph, (a,) = columns(1)
    zero, one = graph.constant(0), graph.constant(1)
    for same in (a + 0, 0 + a, a - 0, a * 1, 1 * a, a + zero, one * a, a**1):
        assert same.index == a.index
    for nothing in (a * 0, 0 * a, zero * a):
        assert nothing.constant_value == 0


def test_degrees() -> None:
    graph, (a, b) = columns(2)
    assert [x.degree for x in (a, a.next, a + b, a - b * b, a * b * a, a**3)] == [1, 1, 1, 2, 3, 3]
    assert graph.constant(7).degree == graph.public(0).degree == graph.terminal().degree == 0
    assert (graph.public(0) * a).degree == 1
    assert graph.selector(Selector.FIRST).degree == graph.selector(Selector.LAST).degree == 1
    assert graph.selector(Selector.TRANSITION).degree == 0
    assert (graph.periodic(0) * a).degree == 2
    assert graph.challenge(Challenge.BETA, 9).degree == 0


def test_what_lies_in_the_extension() -> None:
    graph, (a,) = columns(1)
    alpha = graph.challenge(Challenge.ALPHA)
    auxiliary = graph.cell(Part.AUXILIARY, 0, 0)
    for expression in (alpha, auxiliary, graph.terminal(), a + alpha, auxiliary * a):
        assert graph.extended[expression.index]
    for expression in (a, graph.public(0), graph.periodic(0), a * graph.selector(Selector.LAST)):
        assert not graph.extended[expression.index]
    assert graph.challenge(Challenge.GAMMA, 0).constant_value == 1


def test_two_graphs_do_not_mix() -> None:
    _, (a,) = columns(1)
    _, (b,) = columns(1)
    for combine in (lambda: a + b, lambda: a - b, lambda: a * b):
        with pytest.raises(ValueError, match="use a bus"):
            combine()


def test_an_expression_is_no_condition() -> None:
    _, (a,) = columns(1)
    with pytest.raises(TypeError, match="truth"):
        bool(a)
    with pytest.raises(ValueError, match="positive"):
        a**0


def test_reachable_is_exactly_what_is_used() -> None:
    graph, (a, b, c) = columns(3)
    used = a * b
    _ = used + c
    assert graph.reachable([used.index]) == sorted({a.index, b.index, used.index})
    assert graph.reachable([]) == []


@given(st.lists(st.integers(0, P - 1), min_size=3, max_size=3), st.integers(-2 * P, 2 * P))
def test_reading_is_arithmetic(values: list[int], k: int) -> None:
    graph, (a, b, c) = columns(3)
    x, y, z = values
    cases = [
        (a * b - c, x * y - z),
        ((a + k) * (k - b), (x + k) * (k - y)),
        (c**3 - -a, z**3 + x),
        (a * k + k * b, x * k + k * y),
        (graph.constant(k), k),
    ]
    got = read(graph, [expression.index for expression, _ in cases], Integers(values))
    assert got == [expected % P for _, expected in cases]
