"""How messages become fractions, groups and constraints."""

from __future__ import annotations

import pytest

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.constraints.expression import Challenge, Graph, Node, Op, Part, Selector
from stark.constraints.reading import read
from stark.field import extension
from stark.field.extension import Element
from stark.system import System, Table

ONE = Bus("one", 1)
TWO = Bus("two", 2)


class Messages(Air):
    """Sends ``count`` messages whose tuples and counts have the given degrees, receives as many."""

    name = "messages"

    def __init__(self, *degrees: tuple[int, int], constraint_degree: int = 1) -> None:
        super().__init__(3)
        self.degrees = degrees
        self.constraint_degree = constraint_degree

    def eval(self, t: AirBuilder) -> None:
        a, n = t.main("a"), t.main("n")
        t.every_row("degree", a**self.constraint_degree)
        for key, count in self.degrees:
            values = [a**key if key else 7]
            t.send(ONE, values, count=n**count if count else 1)
        t.receive(ONE, [a], bound=None, count=n)


def table(*degrees: tuple[int, int], constraint_degree: int = 1) -> Table:
    return System([Messages(*degrees, constraint_degree=constraint_degree)]).tables[0]


def sizes(written: Table) -> list[int]:
    return [len(group.interactions) for group in written.bus_argument.groups]


def test_two_fractions_share_a_column_at_degree_three() -> None:
    assert sizes(table((1, 0))) == [2]
    assert sizes(table((1, 0), (1, 1))) == [2, 1]
    assert sizes(table((1, 0), (1, 0), (1, 0))) == [2, 2]
    assert table((1, 0), (1, 0), (1, 0)).degree == 3


def test_a_pair_that_would_raise_the_degree_stays_apart() -> None:
    assert sizes(table((2, 0))) == [1, 1]
    assert sizes(table((1, 3))) == [1, 1]
    assert sizes(table((2, 0), constraint_degree=4)) == [2]
    for written in (table((2, 0)), table((2, 0), (1, 0)), table((1, 2))):
        assert written.degree == 3


def test_width_constraints_and_openings() -> None:
    written = table((1, 0), (1, 0), (1, 0))
    argument = written.bus_argument
    assert argument.width == written.width(Part.AUXILIARY) == 2
    assert len(argument.constraints) == 2
    assert written.constraints[-2:] == argument.constraints
    # Only the running sum, the last column, is read on the next row.
    assert written.next_columns[Part.AUXILIARY] == (1,)
    assert "one 0" in argument.constraints[0].label
    assert argument.constraints[1].label.startswith("bus running sum")


def test_no_messages_no_columns() -> None:
    class Plain(Air):
        name = "plain"

        def eval(self, t: AirBuilder) -> None:
            t.every_row("zero", t.main("a"))

    (written,) = System([Plain(2)]).tables
    assert (written.bus_argument.width, written.bus_argument.constraints) == (0, ())


CHALLENGES: dict[Challenge, Element] = {
    Challenge.ALPHA: (5, 1, 0, 0, 9),
    Challenge.BETA: (0, 1, 4, 0, 0),
    Challenge.GAMMA: (3, 0, 0, 2, 0),
}


class Leaves:
    """Main cells 2, 3, 4, ... and the challenges above."""

    def leaf(self, node: Node) -> Element:
        op, *rest = node
        if op == Op.CELL:
            return extension.from_base(2 + rest[1])
        if op == Op.CHALLENGE:
            return extension.power(CHALLENGES[Challenge(rest[0])], rest[1])
        return extension.from_base(rest[0])

    add = staticmethod(extension.add)
    subtract = staticmethod(extension.subtract)
    multiply = staticmethod(extension.multiply)


@pytest.mark.parametrize("received", [False, True])
def test_a_fraction(received: bool) -> None:
    class Both(Air):
        name = "both"

        def eval(self, t: AirBuilder) -> None:
            x, y, n, m = (t.main(name) for name in "xynm")
            t.every_row("so that pairs have too high a degree", x * y)
            t.send(ONE, [x * y * x])
            t.receive(ONE, [x * y * x])
            message = t.receive if received else t.send
            message(TWO, [x, y], count=[n, m, 7], bound=7)
            (t.send if received else t.receive)(TWO, [x * x * x, y])

    (written,) = System([Both(3)]).tables
    group = written.bus_argument.groups[2]
    roots = [group.numerator.index, group.denominator.index]
    numerator, denominator = read(written.symbolic.graph, roots, Leaves())
    alpha, beta, gamma = CHALLENGES.values()
    gamma_squared = extension.multiply(gamma, gamma)
    count = extension.total(
        [extension.from_base(4), extension.scale(gamma, 5), extension.scale(gamma_squared, 7)]
    )
    assert numerator == (extension.negate(count) if received else count)
    beta_squared = extension.multiply(beta, beta)
    # The bus number, 2 for the second bus, is the constant coefficient in beta.
    assert denominator == extension.total(
        [alpha, extension.from_base(2), extension.scale(beta, 2), extension.scale(beta_squared, 3)]
    )


def test_the_running_sum_pays_the_terminal_on_the_last_row_only() -> None:
    written = table((1, 0))
    graph: Graph = written.symbolic.graph
    (constraint,) = written.bus_argument.constraints
    kinds = {graph.nodes[k] for k in graph.reachable([constraint.expression.index])}
    assert (Op.TERMINAL,) in kinds
    assert (Op.SELECTOR, Selector.LAST) in kinds
    assert not {(Op.SELECTOR, Selector.FIRST), (Op.SELECTOR, Selector.TRANSITION)} & kinds
