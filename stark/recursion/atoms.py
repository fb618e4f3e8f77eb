"""Expressions as affine forms over atoms: what a circuit has to compute, before any row is written.

An atom is a value that a form takes as it is: a wire, a product of two values a + k and b + l for
atoms a, b and integers k, l, or a *shared* form that gets a wire of its own because it is a factor
or because several others use it. Atoms are numbered so that each comes after what it is made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from stark.constraints.expression import Graph, Node, Op
from stark.field.koalabear import P, inverse
from stark.recursion.builder import Wire

Atom = int

ONE: Atom = 0
"""Stands for the constant 1 where constants are kept like atoms."""

SHARED_TERMS = 3
"""A form that several forms use gets a wire if it has this many terms: with two terms, two users
save nothing."""


class Form(NamedTuple):
    """The sum of terms[a] a over atoms, plus a constant."""

    terms: dict[Atom, int]
    constant: int


class Factor(NamedTuple):
    """atom + shift."""

    atom: Atom
    shift: int


class Leaves(Protocol):
    """What stands for the leaves of a graph."""

    def leaf(self, node: Node) -> Form:
        """The form of a leaf node (anything but ADD, SUBTRACT, MULTIPLY)."""


class Product(NamedTuple):
    left: Factor
    right: Factor


Definition = Wire | Product | tuple[tuple[Atom, int], ...]
"""A wire, a product, or the terms of a shared form without its constant."""


class Atoms:
    """The atoms of one table, without repetition. All coefficients are canonical."""

    def __init__(self) -> None:
        self.definitions: list[Definition] = [0]
        self._index: dict[tuple[type, Definition], Atom] = {}

    def _intern(self, definition: Definition) -> Atom:
        key = type(definition), definition  # a product and a shared form may be equal as tuples
        atom = self._index.get(key)
        if atom is None:
            atom = self._index[key] = len(self.definitions)
            self.definitions.append(definition)
        return atom

    def wire(self, wire: Wire) -> Form:
        return Form({self._intern(wire): 1}, 0)

    def product(self, left: Factor, right: Factor) -> Atom:
        return self._intern(Product(*sorted((left, right))))

    def share(self, form: Form) -> Form:
        """The form as a multiple of one atom, plus a constant."""
        if len(form.terms) < 2:
            return form
        items = sorted(form.terms.items())
        first = items[0][1]
        scale = inverse(first)
        atom = self._intern(tuple((atom, value * scale % P) for atom, value in items))
        return Form({atom: first}, form.constant)

    def factor(self, form: Form) -> tuple[int, Factor]:
        """A form that is not constant as a coefficient times a factor."""
        ((atom, coefficient),) = self.share(form).terms.items()
        return coefficient, Factor(atom, form.constant * inverse(coefficient) % P)

    def multiply(self, left: Form, right: Form) -> Form:
        if not left.terms or not right.terms:
            scaled, constant = (left, right.constant) if left.terms else (right, left.constant)
            return scale(scaled, constant)
        one, a = self.factor(left)
        other, b = self.factor(right)
        return Form({self.product(a, b): one * other % P}, 0)

    def parts(self, atom: Atom) -> tuple[Atom, ...]:
        """The atoms that an atom is made of, one entry per use."""
        definition = self.definitions[atom]
        if isinstance(definition, Product):
            return definition.left.atom, definition.right.atom
        return () if isinstance(definition, int) else tuple(part for part, _ in definition)


def scale(form: Form, factor: int) -> Form:
    factor %= P
    if factor == 0:
        return Form({}, 0)
    terms = {atom: value * factor % P for atom, value in form.terms.items()}
    return Form(terms, form.constant * factor % P)


def add(left: Form, right: Form, factor: int = 1) -> Form:
    """left + factor right."""
    terms = dict(left.terms)
    for atom, value in right.terms.items():
        total = (terms.get(atom, 0) + factor * value) % P
        if total:
            terms[atom] = total
        else:
            terms.pop(atom, None)
    return Form(terms, (left.constant + factor * right.constant) % P)


def read_forms(graph: Graph, roots: Sequence[int], atoms: Atoms, leaves: Leaves) -> list[Form]:
    """The nodes ``roots`` as forms.

    Sums are multiplied out down to atoms. A sum is shared if it is a factor, or if it is long and
    several sums use it that end in factors; sums that only constraints use are not, since there
    the terms of all constraints are put in a better order together.
    """
    order = graph.reachable(roots)
    factors, inner = _sums_to_share(graph, order)
    forms: dict[int, Form] = {}
    for index in order:
        node = graph.nodes[index]
        form = _read(node, forms, atoms, leaves)
        if index in factors or (index in inner and len(form.terms) >= SHARED_TERMS):
            form = atoms.share(form)
        forms[index] = form
    return [forms[root] for root in roots]


def _read(node: Node, forms: dict[int, Form], atoms: Atoms, leaves: Leaves) -> Form:
    if node[0] < Op.ADD:
        return leaves.leaf(node)
    left, right = forms[node[1]], forms[node[2]]
    if node[0] == Op.MULTIPLY:
        return atoms.multiply(left, right)
    return add(left, right, 1 if node[0] == Op.ADD else P - 1)


def _sums_to_share(graph: Graph, order: Sequence[int]) -> tuple[set[int], set[int]]:
    """Nodes that are factors, and those that several nodes use and that end in a factor."""
    factors: set[int] = set()
    users: dict[int, int] = {}
    feeding: set[int] = set()
    for index in reversed(order):
        operands = graph.operands(index)
        constants = [graph.nodes[operand][0] == Op.CONSTANT for operand in operands]
        for operand in set(operands):
            users[operand] = users.get(operand, 0) + 1
        if graph.nodes[index][0] == Op.MULTIPLY and not any(constants):
            factors.update(operands)
            feeding.update(operands)
        elif index in feeding:
            feeding.update(operands)
    return factors, {index for index in feeding if users[index] > 1}
