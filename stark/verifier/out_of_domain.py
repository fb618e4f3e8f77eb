"""The check at the out-of-domain point: constraints and quotient agree at zeta (DEEP-ALI).

For every table, with N rows and trace domain <w>,

    sum over k of c^k C_k(zeta) = (zeta^N - 1) * sum over j of zeta^(N j) q_j(zeta)

where C_k are its constraints, evaluated at the opened values, and q_j the chunks of its quotient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stark.constraints.expression import Challenge, Node, Op, Selector
from stark.constraints.reading import read
from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, inverse, root_of_unity
from stark.system import Table
from stark.verifier.layout import TableLayout


@dataclass(frozen=True)
class LookupChallenges:
    """Random elements of the bus argument."""

    alpha: Element
    beta: Element
    gamma: Element


@dataclass(frozen=True)
class OpenedTable:
    """What the prover claims about one table at zeta, and what the verifier knows about it."""

    layout: TableLayout
    values: tuple[Element, ...]
    publics: Sequence[int]
    terminal: Element

    def quotient_values(self) -> tuple[Element, ...]:
        return self.values[len(self.values) - self.layout.table.quotient_chunks :]


class PointArithmetic:
    """Expressions at zeta. Constants and public values stay integers, all else is in F."""

    def __init__(self, opened: OpenedTable, challenges: LookupChallenges, zeta: Element) -> None:
        layout = opened.layout
        self._opened = opened
        self._challenges = challenges
        cells: dict[tuple[int, ...], Element] = {}
        for position, (part, column) in enumerate(layout.here):
            cells[part, column, 0] = opened.values[position]
        for position, (part, column) in enumerate(layout.following, start=len(layout.here)):
            cells[part, column, 1] = opened.values[position]
        self._cells = cells
        self._selectors = selectors_at(layout.table.log_height, zeta)
        self._periodic = [
            periodic_at(values, layout.table.log_height, zeta)
            for values in layout.table.symbolic.periodic
        ]

    def leaf(self, node: Node) -> Element | int:
        op = node[0]
        if op == Op.CONSTANT:
            return node[1]
        if op == Op.CELL:
            return self._cells[node[1:]]
        if op == Op.PUBLIC:
            return self._opened.publics[node[1]]
        if op == Op.SELECTOR:
            return self._selectors[node[1]]
        if op == Op.PERIODIC:
            return self._periodic[node[1]]
        if op == Op.TERMINAL:
            return self._opened.terminal
        drawn = self._challenges
        base = (drawn.alpha, drawn.beta, drawn.gamma, ext.BASIS[1])
        return ext.power(base[Challenge(node[1])], node[2])

    def add(self, left: Element | int, right: Element | int) -> Element | int:
        if isinstance(left, int):
            left, right = right, left
        if isinstance(left, int):
            return (left + right) % P if isinstance(right, int) else right
        if isinstance(right, int):
            return ((left[0] + right) % P, *left[1:])
        return ext.add(left, right)

    def subtract(self, left: Element | int, right: Element | int) -> Element | int:
        if isinstance(right, int):
            return self.add(left, P - right)
        if isinstance(left, int):
            left = ext.from_base(left)
        return ext.subtract(left, right)

    def multiply(self, left: Element | int, right: Element | int) -> Element | int:
        if isinstance(left, int):
            if isinstance(right, int):
                return left * right % P
            return ext.scale(right, left)
        if isinstance(right, int):
            return ext.scale(left, right)
        return ext.multiply(left, right)


def selectors_at(log_height: int, zeta: Element) -> dict[int, Element]:
    """Values of the selector polynomials at zeta.

    L_i(zeta) = w^i (zeta^N - 1) / (N (zeta - w^i)) for the row i = 0 or N - 1.
    """
    height = 1 << log_height
    last = inverse(root_of_unity(log_height))  # w^(N-1)
    vanishing = ext.scale(vanishing_at(log_height, zeta), inverse(height))
    to_first = ext.subtract(zeta, ext.ONE)
    to_last = ext.subtract(zeta, ext.from_base(last))
    return {
        Selector.FIRST: ext.multiply(vanishing, ext.invert(to_first)),
        Selector.LAST: ext.scale(ext.multiply(vanishing, ext.invert(to_last)), last),
        Selector.TRANSITION: to_last,
    }


def vanishing_at(log_height: int, zeta: Element) -> Element:
    """zeta^N - 1."""
    return ext.subtract(ext.power(zeta, 1 << log_height), ext.ONE)


def periodic_at(values: Sequence[int], log_height: int, zeta: Element) -> Element:
    """The periodic column at zeta: its interpolant over <w_period>, at zeta^(N / period)."""
    log_period = len(values).bit_length() - 1
    point = ext.power(zeta, 1 << (log_height - log_period))
    root = root_of_unity(log_period)
    scaled = ext.scale(vanishing_at(log_period, point), inverse(len(values)))
    result = ext.ZERO
    node = 1
    for value in values:
        difference = ext.subtract(point, ext.from_base(node))
        weight = ext.scale(ext.multiply(scaled, ext.invert(difference)), node)
        result = ext.add(result, ext.scale(weight, value))
        node = node * root % P
    return result


def check_zeta(zeta: Element, log_height: int, log_blowup: int, shift: int) -> None:
    """Rejected(Domain) if zeta lies on the largest trace domain or evaluation coset.

    The domains of smaller tables are subsets of these.
    """
    on_trace = ext.power(zeta, 1 << log_height) == ext.ONE
    unshifted = ext.scale(zeta, inverse(shift))
    if on_trace or ext.power(unshifted, 1 << (log_height + log_blowup)) == ext.ONE:
        raise Rejected(Code.DOMAIN, "zeta lies outside every domain", "outside", zeta)


def check_table(
    opened: OpenedTable, challenges: LookupChallenges, zeta: Element, constraint_challenge: Element
) -> None:
    """Rejected(OOD) unless the table's constraints and quotient agree at zeta."""
    table: Table = opened.layout.table
    arithmetic = PointArithmetic(opened, challenges, zeta)
    roots = [constraint.expression.index for constraint in table.constraints]
    combined = ext.ZERO
    for value in reversed(read(table.symbolic.graph, roots, arithmetic)):
        value = ext.from_base(value) if isinstance(value, int) else value
        combined = ext.add(ext.multiply(combined, constraint_challenge), value)
    step = ext.power(zeta, table.height)
    quotient = ext.evaluate(opened.quotient_values(), step)
    expected = ext.multiply(quotient, ext.subtract(step, ext.ONE))
    if combined != expected:
        raise Rejected(
            Code.OOD,
            f"{table.name}: the constraints hold at the out-of-domain point",
            expected,
            combined,
        )
