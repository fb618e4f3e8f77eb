"""The check at the out-of-domain point, in a circuit.

What :mod:`stark.verifier.out_of_domain` does with numbers: that zeta lies outside of all domains,
and that a table's constraints and its quotient agree there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stark.constraints.expression import Challenge, Node, Op, Selector
from stark.errors import UsageError
from stark.field.koalabear import inverse
from stark.recursion.atoms import Atom, Atoms, Form, Product, read_forms
from stark.recursion.builder import CircuitBuilder, Wire
from stark.recursion.constraint_sum import ConstraintSum, Spread, constraint_sum, needed, use_counts
from stark.recursion.linear import Term
from stark.recursion.point import PointCache
from stark.system import Table
from stark.verifier.layout import TableLayout

__all__ = ["OpenedTableWires", "PointCache", "check_table", "check_zeta"]

WINDOW = 16
"""Spread terms whose lowest powers of c lie this near are added up together, so that Horner's rule
passes them at once; the constraints of a hash round are as many as its lanes."""


@dataclass(frozen=True)
class OpenedTableWires:
    """What is claimed about one table at zeta.

    Attributes
    ----------
    values
        The opened values in the order of :class:`stark.verifier.layout.TableLayout`.
    publics
        The public values of the table, base elements.
    terminal
        Of the bus argument; ``None`` for a table without buses.
    """

    layout: TableLayout
    values: Sequence[Wire]
    publics: Sequence[Wire]
    terminal: Wire | None

    @classmethod
    def of(
        cls, table: Table, values: Sequence[Wire], publics: Sequence[Wire], terminal: Wire | None
    ) -> OpenedTableWires:
        """Raises ``UsageError`` if there are too few or too many values."""
        layout = TableLayout.of(table)
        if len(values) != layout.value_count or len(publics) != table.public_count:
            raise UsageError(f"{table.name}: the number of values is not that of the table")
        return cls(layout, values, publics, terminal)


class _Leaves:
    """The leaves of a table's expressions as wires; sums and products are not its task."""

    def __init__(
        self, atoms: Atoms, opened: OpenedTableWires, lookup: Sequence[Wire], cache: PointCache
    ) -> None:
        self._atoms = atoms
        self._opened = opened
        self._lookup = lookup
        self._cache = cache
        layout = opened.layout
        keys = [(*key, 0) for key in layout.here] + [(*key, 1) for key in layout.following]
        self._cells: dict[tuple[int, ...], Wire] = dict(zip(keys, opened.values, strict=False))

    def leaf(self, node: Node) -> Form:
        op, table = node[0], self._opened.layout.table
        if op == Op.CONSTANT:
            return Form({}, node[1])
        if op == Op.SELECTOR:
            return self._cache.selector(Selector(node[1]), table.log_height, self._atoms)
        if op == Op.PERIODIC:
            values = table.symbolic.periodic[node[1]]
            return self._cache.periodic(values, table.log_height, self._atoms)
        return self._atoms.wire(self._wire(node))

    def _wire(self, node: Node) -> Wire:
        op = node[0]
        if op == Op.CELL:
            return self._cells[node[1:]]
        if op == Op.PUBLIC:
            return self._opened.publics[node[1]]
        if op == Op.TERMINAL:
            if self._opened.terminal is None:
                raise UsageError(f"{self._opened.layout.table.name}: the terminal is missing")
            return self._opened.terminal
        challenge = Challenge(node[1])
        if challenge is Challenge.BASIS:
            return self._cache.basis(node[2])
        if not self._lookup:
            raise UsageError(f"{self._opened.layout.table.name}: the challenges are missing")
        return self._cache.combiner.power(self._lookup[challenge], node[2])


@dataclass
class _Pieces:
    """Products, terms in wires and a constant that are waiting to be added up."""

    products: list[Term] = field(default_factory=list)
    linear: dict[Wire, int] = field(default_factory=dict)
    constant: int = 0

    def add(self, wire: Wire, factor: int) -> None:
        self.linear[wire] = self.linear.get(wire, 0) + factor


class _Writer:
    """Writes the rows of one table."""

    def __init__(self, atoms: Atoms, cache: PointCache, challenge: Wire) -> None:
        self._atoms = atoms
        self._cache = cache
        self._combiner = cache.combiner
        self._challenge = challenge
        self._wires: dict[Atom, Wire] = {}
        self._uses: dict[Atom, int] = {}

    def total(self, combined: ConstraintSum) -> Wire:
        """The sum of c^k C_k by Horner's rule over the exponents at which something is added."""
        roots = list(combined.atoms())
        self._uses = use_counts(self._atoms, roots)
        for atom in sorted(needed(self._atoms, roots)):
            # In order, so that long chains of sums do not nest calls.
            if not isinstance(self._atoms.definitions[atom], int | Product):
                self._wire(atom)
        windows = _windows(combined.spreads)
        buckets = dict(combined.buckets)
        result, previous = 0, 0
        positions: dict[int, _Pieces] = {}
        for start, spreads in windows.items():
            pieces = positions[start] = _Pieces()
            for spread in spreads:
                self._add_spread(pieces, spread, start)
            alone = {
                exponent - start: buckets.pop(exponent).constant
                for exponent in range(start, start + 2 * WINDOW)
                if exponent in buckets and not buckets[exponent].terms
            }
            self._add_constants(pieces, alone)
        for exponent, form in buckets.items():
            self._add_form(positions.setdefault(exponent, _Pieces()), form)
        for exponent in sorted(positions, reverse=True):
            pieces = positions[exponent]
            if result:
                gap = self._combiner.power(self._challenge, previous - exponent)
                pieces.products.insert(0, Term(1, result, gap))
            result, previous = self._sum(pieces), exponent
        if not previous:
            return result or self._sum(_Pieces())
        power = self._combiner.power(self._challenge, previous)
        return self._sum(_Pieces([Term(1, result, power)]))

    def _sum(self, pieces: _Pieces) -> Wire:
        return self._combiner.total(pieces.products, pieces.linear, pieces.constant)

    def _wire(self, atom: Atom) -> Wire:
        """The wire of an atom; its rows are written when it is first asked for."""
        known = self._wires.get(atom)
        if known is None:
            definition = self._atoms.definitions[atom]
            pieces = _Pieces()
            if isinstance(definition, int):
                known = definition
            elif isinstance(definition, Product):
                pieces.products.append(self._product(definition, 1))
                known = self._sum(pieces)
            else:
                self._add_form(pieces, Form(dict(definition), 0))
                known = self._sum(pieces)
            self._wires[atom] = known
        return known

    def _product(self, product: Product, factor: int) -> Term:
        left, right = product.left, product.right
        operands = self._wire(left.atom), self._wire(right.atom)
        return Term(factor, *operands, left.shift, right.shift)

    def _add_form(self, pieces: _Pieces, form: Form) -> None:
        """A product that nothing else needs is added as such, and has no wire."""
        pieces.constant += form.constant
        for atom, factor in form.terms.items():
            definition = self._atoms.definitions[atom]
            single = self._uses[atom] == 1 and atom not in self._wires
            if single and isinstance(definition, Product):
                pieces.products.append(self._product(definition, factor))
            else:
                pieces.add(self._wire(atom), factor)

    def _add_constants(self, pieces: _Pieces, constants: dict[int, int]) -> None:
        """The sum of constants[e] c^e: c^i c^j, c^i and c^j in one row where there are such."""
        pieces.constant += constants.pop(0, 0)
        for high in sorted(constants, reverse=True):
            pairs = ((low, high - low) for low in constants if low < high - low)
            pair = next((pair for pair in pairs if pair[1] in constants), None)
            if pair is not None and high in constants:
                left, right = (self._combiner.power(self._challenge, e) for e in pair)
                pieces.products.append(Term(constants.pop(high), left, right))
                for exponent, wire in zip(pair, (left, right), strict=True):
                    pieces.add(wire, constants.pop(exponent))
        for exponent, value in constants.items():
            pieces.add(self._combiner.power(self._challenge, exponent), value)

    def _add_spread(self, pieces: _Pieces, spread: Spread, start: int) -> None:
        """A spread divided by c^start."""
        inner = pieces if spread.factor is None else _Pieces()
        for weight, form in spread.terms:
            relative = tuple((exponent - start, value) for exponent, value in weight)
            if relative == ((0, 1),):
                self._add_form(inner, form)
                continue
            weight_wire = self._cache.weight(self._challenge, relative)
            if not form.terms:
                inner.add(weight_wire, form.constant)
            elif len(form.terms) == 1:
                ((atom, factor),) = form.terms.items()
                shift = form.constant * inverse(factor)
                term = Term(factor, weight_wire, self._wire(atom), 0, shift)
                inner.products.append(term)
            else:
                sum_pieces = _Pieces()
                self._add_form(sum_pieces, form)
                inner.products.append(Term(1, weight_wire, self._sum(sum_pieces)))
        if spread.factor is not None:
            operands = self._wire(spread.factor.atom), self._sum(inner)
            pieces.products.append(Term(1, *operands, spread.factor.shift))


def _windows(spreads: Sequence[Spread]) -> dict[int, list[Spread]]:
    """Spreads by the exponent at which Horner's rule takes them up."""
    result: dict[int, list[Spread]] = {}
    start = -WINDOW
    for spread in sorted(spreads, key=lambda spread: spread.offset):
        if spread.offset >= start + WINDOW:
            start = spread.offset
        result.setdefault(start, []).append(spread)
    return result


def check_zeta(builder: CircuitBuilder, zeta: Wire, log_height: int, log_blowup: int) -> None:
    """Rows that cannot be satisfied if zeta lies on the largest trace domain or evaluation coset.

    The domains of smaller tables are subsets of these.
    """
    PointCache(builder, zeta).check_outside(log_height, log_blowup)


def check_table(
    builder: CircuitBuilder,
    opened: OpenedTableWires,
    lookup: Sequence[Wire],
    cache: PointCache,
    constraint_challenge: Wire,
) -> None:
    """Rows that can be satisfied only if the table's constraints and quotient agree at zeta.

    Parameters
    ----------
    lookup
        alpha, beta and gamma; empty if the system has no buses.
    cache
        Of the inner proof.

    Raises
    ------
    UsageError
        If the table has buses, and its terminal or the challenges are missing.
    """
    table = opened.layout.table
    atoms = Atoms()
    roots = [constraint.expression.index for constraint in table.constraints]
    leaves = _Leaves(atoms, opened, lookup, cache)
    forms = read_forms(table.symbolic.graph, roots, atoms, leaves)
    writer = _Writer(atoms, cache, constraint_challenge)
    combined = writer.total(constraint_sum(forms, atoms))
    step = cache.step(table.log_height)
    chunks = list(opened.values[len(opened.values) - table.quotient_chunks :])
    quotient = chunks.pop()
    while chunks:
        quotient = builder.multiply_add(quotient, step, chunks.pop())
    builder.evaluate(quotient, step, ab=1, qa=-1, equals=combined)
