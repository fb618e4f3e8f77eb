"""From the expressions of an AIR to arithmetic on base-field values, ready for a register machine.

Every node becomes one value (base field) or five (extension field, coefficients of x^0 ... x^4).
Operations on constants stay symbolic: they become entries of a constant pool, filled in when the
challenges are known, so that a program outlives them. Products in the extension and sums of
products become *dot products*, which a kernel reduces modulo p once instead of once per product.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

from stark.constraints.expression import Challenge, Graph, Op, Part
from stark.field.extension import DEGREE

Value = int
"""Index of a value in a :class:`Lowered` list."""

MAXIMUM_TERMS = 32
"""Products in one dot product. All their factors are live at once; the bound keeps that set, and
with it the working set of a block of rows, small."""


class Kind(IntEnum):
    """What a lowered value is; the tuples in ``Lowered.values`` start with it."""

    CELL = 0  # (CELL, part, base column, row offset)
    SELECTOR = 1  # (SELECTOR, selector)
    PERIODIC = 2  # (PERIODIC, index)
    CONSTANT = 3  # (CONSTANT, node, coefficient): of a node whose leaves are all constants
    ZERO = 4  # (ZERO,)
    ADD = 5  # (ADD, value, value), and likewise the following two
    SUBTRACT = 6
    MULTIPLY = 7
    DOT = 8  # (DOT, a_1, b_1, a_2, b_2, ...): the sum of the products a_k b_k


_ARITHMETIC = {Op.ADD: Kind.ADD, Op.SUBTRACT: Kind.SUBTRACT, Op.MULTIPLY: Kind.MULTIPLY}


class Lowered:
    """Values in evaluation order; equal values are the same value.

    ``constant[v]`` tells whether v is the same on all rows; such a value is a CONSTANT or ZERO leaf
    or a sum, difference or product of two constant values.
    """

    def __init__(self) -> None:
        self.values: list[tuple[int, ...]] = []
        self.constant: list[bool] = []
        self._index: dict[tuple[tuple[int, ...], bool], Value] = {}

    def leaf(self, *value: int) -> Value:
        return self._intern(value, value[0] in (Kind.CONSTANT, Kind.ZERO))

    def binary(self, kind: Kind, left: Value, right: Value) -> Value:
        if kind is not Kind.SUBTRACT and left > right:
            left, right = right, left
        return self._intern((kind, left, right), self.constant[left] and self.constant[right])

    def dot(self, products: Sequence[tuple[Value, Value]]) -> Value:
        if len(products) == 1:
            return self.binary(Kind.MULTIPLY, *products[0])
        return self._intern((Kind.DOT, *(factor for pair in products for factor in pair)), False)

    def copy(self, value: Value) -> Value:
        """A value of its own, computed on every row, even where ``value`` is constant."""
        return self._intern((Kind.ADD, value, self.leaf(Kind.ZERO)), False)

    def operands(self, value: Value) -> tuple[Value, ...]:
        entry = self.values[value]
        return entry[1:] if entry[0] >= Kind.ADD else ()

    def _intern(self, value: tuple[int, ...], constant: bool) -> Value:
        index = self._index.get((value, constant))
        if index is None:
            index = len(self.values)
            self._index[value, constant] = index
            self.values.append(value)
            self.constant.append(constant)
        return index


def lower(graph: Graph, roots: Sequence[int]) -> tuple[Lowered, list[tuple[Value, ...]]]:
    """The values of the nodes ``roots``: one each for base-field nodes, five for extension nodes.

    A root that is constant stays a constant value.
    """
    lowering = _Lowering(graph)
    components: dict[int, tuple[Value, ...]] = {}
    for index in graph.reachable(roots):
        components[index] = lowering.node(index, components)
    return _with_dot_products(lowering.lowered, [components[root] for root in roots])


class _Lowering:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.lowered = Lowered()
        self._constant_nodes: set[int] = set()
        self._zero = self.lowered.leaf(Kind.ZERO)
        self._ones: set[Value] = set()

    def node(self, index: int, components: dict[int, tuple[Value, ...]]) -> tuple[Value, ...]:
        op, *arguments = self.graph.nodes[index]
        if op == Op.CHALLENGE and arguments[0] == Challenge.BASIS and arguments[1] < DEGREE:
            # x^k is known beforehand: five base columns make an element without a product.
            self._constant_nodes.add(index)
            one = self.lowered.leaf(Kind.CONSTANT, index, arguments[1])
            self._ones.add(one)
            return tuple(one if k == arguments[1] else self._zero for k in range(DEGREE))
        if self._is_constant(index):
            self._constant_nodes.add(index)
            count = DEGREE if self.graph.extended[index] else 1
            return tuple(self.lowered.leaf(Kind.CONSTANT, index, k) for k in range(count))
        if op == Op.CELL:
            return self._cell(*arguments)
        if op == Op.SELECTOR:
            return (self.lowered.leaf(Kind.SELECTOR, *arguments),)
        if op == Op.PERIODIC:
            return (self.lowered.leaf(Kind.PERIODIC, *arguments),)
        left, right = (components[argument] for argument in arguments)
        if op == Op.MULTIPLY:
            return self._product(left, right)
        return self._sum(_ARITHMETIC[Op(op)], left, right)

    def _is_constant(self, index: int) -> bool:
        op = self.graph.nodes[index][0]
        if op in (Op.CONSTANT, Op.PUBLIC, Op.CHALLENGE, Op.TERMINAL):
            return True
        operands = self.graph.operands(index)
        return bool(operands) and all(operand in self._constant_nodes for operand in operands)

    def _cell(self, part: int, column: int, offset: int) -> tuple[Value, ...]:
        columns = [column]
        if part == Part.AUXILIARY:
            columns = [DEGREE * column + k for k in range(DEGREE)]
        return tuple(self.lowered.leaf(Kind.CELL, part, each, offset) for each in columns)

    def _sum(
        self, kind: Kind, left: tuple[Value, ...], right: tuple[Value, ...]
    ) -> tuple[Value, ...]:
        """Coefficient by coefficient; an operand of the base field has only the first."""
        binary = self._binary
        first = binary(kind, left[0], right[0])
        if len(left) == len(right):
            rest = [binary(kind, a, b) for a, b in zip(left[1:], right[1:], strict=True)]
        elif len(left) > 1:
            rest = list(left[1:])
        elif kind is Kind.ADD:
            rest = list(right[1:])
        else:
            rest = [binary(kind, self._zero, b) for b in right[1:]]
        return (first, *rest)

    def _product(self, left: tuple[Value, ...], right: tuple[Value, ...]) -> tuple[Value, ...]:
        if len(left) == len(right) == DEGREE:
            if self.lowered.constant[left[0]]:
                left, right = right, left
            return self._extension_product(left, right)
        if len(left) == 1:
            left, right = right, left
        return tuple(self._binary(Kind.MULTIPLY, a, right[0]) for a in left)

    def _binary(self, kind: Kind, left: Value, right: Value) -> Value:
        """The operation, unless an operand that is known beforehand makes it needless."""
        if kind is Kind.MULTIPLY:
            if self._zero in (left, right):
                return self._zero
            if left in self._ones:
                return right
            return left if right in self._ones else self.lowered.binary(kind, left, right)
        if right == self._zero:
            return left
        if left == self._zero and kind is Kind.ADD:
            return right
        return self.lowered.binary(kind, left, right)

    def _extension_product(self, a: Sequence[Value], b: Sequence[Value]) -> tuple[Value, ...]:
        """a b in F_p[x]/(x^5 + x^2 - 1), as a matrix of differences of b's coefficients times a.

        Column i of the matrix is x^i b: multiplication by x moves the coefficients up, and the
        one that leaves as x^5 = 1 - x^2 enters at x^0 and, subtracted, at x^2.
        """
        columns = [list(b)]
        for _ in range(DEGREE - 1):
            b0, b1, b2, b3, b4 = columns[-1]
            columns.append([b4, b0, self._binary(Kind.SUBTRACT, b1, b4), b2, b3])
        return tuple(
            self._dot([(a[i], columns[i][row]) for i in range(DEGREE)]) for row in range(DEGREE)
        )

    def _dot(self, products: Sequence[tuple[Value, Value]]) -> Value:
        kept = [pair for pair in products if self._zero not in pair]
        return self.lowered.dot(kept) if kept else self._zero


def _with_dot_products(
    plain: Lowered, roots: Sequence[tuple[Value, ...]]
) -> tuple[Lowered, list[tuple[Value, ...]]]:
    """The same values, with sums of two or more products of one sign gathered in dot products.

    A sum is opened through operands that nothing else uses; a shared one stays a value of its own.
    """
    uses = _use_counts(plain, roots)
    sums: dict[Value, _Sum] = {}
    absorbed: set[Value] = set()
    for value in range(len(plain.values) - 1, -1, -1):
        kind = plain.values[value][0]
        opens = kind in (Kind.ADD, Kind.SUBTRACT) and not plain.constant[value]
        if opens and uses[value] and value not in absorbed:
            gathered = _Sum(plain, value, uses)
            if max(len(gathered.products), len(gathered.negative_products)) > 1:
                sums[value] = gathered
                absorbed |= gathered.absorbed
    fused = Lowered()
    moved: dict[Value, Value] = {}
    for value, entry in enumerate(plain.values):
        if not uses[value] or value in absorbed:
            continue
        if value in sums:
            moved[value] = sums[value].rebuild(fused, moved)
        elif entry[0] < Kind.ADD:
            moved[value] = fused.leaf(*entry)
        elif entry[0] == Kind.DOT:
            factors = [moved[factor] for factor in entry[1:]]
            moved[value] = fused.dot(list(zip(factors[::2], factors[1::2], strict=True)))
        else:
            moved[value] = fused.binary(Kind(entry[0]), moved[entry[1]], moved[entry[2]])
    return fused, [tuple(moved[value] for value in root) for root in roots]


def _use_counts(lowered: Lowered, roots: Sequence[tuple[Value, ...]]) -> list[int]:
    uses = [0] * len(lowered.values)
    for root in roots:
        for value in root:
            uses[value] += 1
    for value in range(len(lowered.values) - 1, -1, -1):
        if uses[value]:
            for operand in lowered.operands(value):
                uses[operand] += 1
    return uses


class _Sum:
    """A tree of additions and subtractions, as signed products and signed other terms."""

    def __init__(self, lowered: Lowered, root: Value, uses: Sequence[int]) -> None:
        self.products: list[tuple[Value, Value]] = []
        self.negative_products: list[tuple[Value, Value]] = []
        self.others: list[tuple[Value, bool]] = []
        self.absorbed: set[Value] = set()
        stack = [(root, False)]
        while stack:
            value, negative = stack.pop()
            kind, *operands = lowered.values[value]
            inside = value == root or (uses[value] == 1 and not lowered.constant[value])
            if inside and kind in (Kind.ADD, Kind.SUBTRACT):
                stack.append((operands[1], negative != (kind == Kind.SUBTRACT)))
                stack.append((operands[0], negative))
            elif inside and kind in (Kind.MULTIPLY, Kind.DOT):
                pairs = list(zip(operands[::2], operands[1::2], strict=True))
                (self.negative_products if negative else self.products).extend(pairs)
            else:
                self.others.append((value, negative))
                continue
            if value != root:
                self.absorbed.add(value)

    def rebuild(self, fused: Lowered, moved: dict[Value, Value]) -> Value:
        """Emit the dot products, then add the other terms one by one."""
        terms = [
            (fused.dot([(moved[a], moved[b]) for a, b in chunk]), negative)
            for pairs, negative in ((self.products, False), (self.negative_products, True))
            for chunk in _chunks(pairs)
        ]
        terms += [(moved[value], negative) for value, negative in self.others]
        terms.sort(key=lambda term: term[1])
        total, negative = terms[0]
        if negative:
            total = fused.binary(Kind.SUBTRACT, fused.leaf(Kind.ZERO), total)
        for value, negative in terms[1:]:
            total = fused.binary(Kind.SUBTRACT if negative else Kind.ADD, total, value)
        return total


def _chunks(pairs: Sequence[tuple[Value, Value]]) -> Iterable[Sequence[tuple[Value, Value]]]:
    return (pairs[k : k + MAXIMUM_TERMS] for k in range(0, len(pairs), MAXIMUM_TERMS))
