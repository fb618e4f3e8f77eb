"""Symbolic expressions: the polynomials of an AIR, written once and read in several ways.

Expressions are nodes of a :class:`Graph`. Equal nodes are the same node (hash consing), so common
subexpressions are found as they are written, and a node comes after the nodes that it uses: reading
an expression is one pass over the list of nodes. Leaves are trace cells, public values, selectors,
challenges and constants; inner nodes are sums, differences and products.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from stark.field.koalabear import P


class Op(IntEnum):
    """What a node is. The numbers are part of AIR digests and never change."""

    CONSTANT = 0
    CELL = 1
    PERIODIC = 2
    PUBLIC = 3
    SELECTOR = 4
    CHALLENGE = 5
    TERMINAL = 6
    ADD = 7
    SUBTRACT = 8
    MULTIPLY = 9


class Part(IntEnum):
    """The matrices of a table, by the round in which they are committed."""

    PREPROCESSED = 0
    MAIN = 1
    AUXILIARY = 2


class Selector(IntEnum):
    """Polynomials that single out rows: L_first, L_last (1 on their row, 0 elsewhere on the trace
    domain), and X - w^-1, which vanishes on the last row only."""

    FIRST = 0
    LAST = 1
    TRANSITION = 2


class Challenge(IntEnum):
    """Elements of the extension that the bus argument is written with; the second argument of a
    node is the exponent. ALPHA, BETA and GAMMA are random, BASIS is x itself, whose powers make an
    element of five base columns."""

    ALPHA = 0
    BETA = 1
    GAMMA = 2
    BASIS = 3


Node = tuple[int, ...]


class Graph:
    """The nodes of one AIR, in an order in which each comes after its operands.

    ``nodes[i]`` is ``(op, argument, ...)``; ``degrees[i]`` its degree, counted in trace columns;
    ``extended[i]`` whether its value lies in the extension field even on the trace domain.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.degrees: list[int] = []
        self.extended: list[bool] = []
        self._index: dict[Node, int] = {}

    def _intern(self, node: Node, degree: int, extended: bool) -> Expression:
        index = self._index.get(node)
        if index is None:
            index = len(self.nodes)
            self._index[node] = index
            self.nodes.append(node)
            self.degrees.append(degree)
            self.extended.append(extended)
        return Expression(self, index)

    def constant(self, value: int) -> Expression:
        return self._intern((Op.CONSTANT, value % P), 0, False)

    def cell(self, part: Part, column: int, offset: int) -> Expression:
        return self._intern((Op.CELL, part, column, offset), 1, part is Part.AUXILIARY)

    def periodic(self, index: int) -> Expression:
        return self._intern((Op.PERIODIC, index), 1, False)

    def public(self, index: int) -> Expression:
        return self._intern((Op.PUBLIC, index), 0, False)

    def selector(self, selector: Selector) -> Expression:
        # X - w^-1 has degree 1, not N - 1; a quotient has room for it (see the quotient's bound).
        degree = 0 if selector is Selector.TRANSITION else 1
        return self._intern((Op.SELECTOR, selector), degree, False)

    def challenge(self, challenge: Challenge, exponent: int = 1) -> Expression:
        if exponent == 0:
            return self.constant(1)
        return self._intern((Op.CHALLENGE, challenge, exponent), 0, True)

    def terminal(self) -> Expression:
        return self._intern((Op.TERMINAL,), 0, True)

    def binary(self, op: Op, left: int, right: int) -> Expression:
        if op is not Op.SUBTRACT and left > right:
            left, right = right, left
        extended = self.extended[left] or self.extended[right]
        if op is Op.MULTIPLY:
            degree = self.degrees[left] + self.degrees[right]
        else:
            degree = max(self.degrees[left], self.degrees[right])
        return self._intern((op, left, right), degree, extended)

    def operands(self, index: int) -> tuple[int, ...]:
        """The nodes that node ``index`` uses directly."""
        node = self.nodes[index]
        return node[1:] if node[0] >= Op.ADD else ()

    def reachable(self, roots: Iterable[int]) -> list[int]:
        """All nodes that ``roots`` use, themselves included, in evaluation order."""
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            index = stack.pop()
            if index not in seen:
                seen.add(index)
                stack.extend(self.operands(index))
        return sorted(seen)


class Expression:
    """One node of a graph, with the arithmetic of polynomials; integers are taken mod p."""

    __slots__ = ("graph", "index")

    def __init__(self, graph: Graph, index: int) -> None:
        self.graph = graph
        self.index = index

    @property
    def degree(self) -> int:
        return self.graph.degrees[self.index]

    @property
    def constant_value(self) -> int | None:
        """The value of a constant, else ``None``."""
        node = self.graph.nodes[self.index]
        return node[1] if node[0] == Op.CONSTANT else None

    def _coerce(self, other: Expression | int) -> Expression:
        if isinstance(other, int):
            return self.graph.constant(other)
        if other.graph is not self.graph:
            raise ValueError("expressions of two tables cannot be combined; use a bus")
        return other

    def __add__(self, other: Expression | int) -> Expression:
        right = self._coerce(other)
        a, b = self.constant_value, right.constant_value
        if a is not None and b is not None:
            return self.graph.constant(a + b)
        if a == 0:
            return right
        if b == 0:
            return self
        return self.graph.binary(Op.ADD, self.index, right.index)

    __radd__ = __add__

    def __sub__(self, other: Expression | int) -> Expression:
        right = self._coerce(other)
        a, b = self.constant_value, right.constant_value
        if a is not None and b is not None:
            return self.graph.constant(a - b)
        if b == 0:
            return self
        if b is not None:
            return self + (P - b)
        return self.graph.binary(Op.SUBTRACT, self.index, right.index)

    def __rsub__(self, other: int) -> Expression:
        return self._coerce(other) - self

    def __neg__(self) -> Expression:
        return self.graph.constant(0) - self

    def __mul__(self, other: Expression | int) -> Expression:
        right = self._coerce(other)
        a, b = self.constant_value, right.constant_value
        if a is not None and b is not None:
            return self.graph.constant(a * b)
        if a == 0 or b == 1:
            return self
        if b == 0 or a == 1:
            return right
        return self.graph.binary(Op.MULTIPLY, self.index, right.index)

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Expression:
        if exponent < 1:
            raise ValueError(f"exponent must be positive, got {exponent}")
        result = self
        for _ in range(exponent - 1):
            result = result * self
        return result

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth value: a constraint is built, not decided")


class Column(Expression):
    """A trace column on the current row; ``next`` is the same column one row on, cyclically."""

    __slots__ = ("column", "part")

    def __init__(self, graph: Graph, part: Part, column: int) -> None:
        super().__init__(graph, graph.cell(part, column, 0).index)
        self.part = part
        self.column = column

    @property
    def next(self) -> Expression:
        return self.graph.cell(self.part, self.column, 1)
