"""The sum c^0 C_0 + c^1 C_1 + ... of a table's constraints, put in an order that takes few rows.

The constraints are sums of atoms, so the whole is a sum of atoms with *weights*, polynomials in c
with base coefficients. Constraints that mix the same atoms with a matrix, as the rounds of an
algebraic hash do, cost a product for each atom this way instead of a product of the matrix; and the
weights of all rounds differ by a power of c only, so that they are computed once.

Two rules of factoring come before:

- terms with the same weight and a common factor: w (f g + f h) = w f (g + h);
- terms with different weights and a common factor, where that saves rows:
  v f g + w f h = f (v g + w h). Examples are a flag that switches many constraints, and cells that
  one round's constraints define and the next round's cube.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stark.field.koalabear import P, inverse
from stark.recursion.atoms import ONE, Atom, Atoms, Factor, Form, Product, add, scale

Weight = tuple[tuple[int, int], ...]
"""A polynomial in c: (exponent, coefficient), ascending, coefficients not zero."""

SPARSE = 2
"""An atom with at most this many constraints is added to each of them."""


def normalised(weight: Weight) -> tuple[Weight, int]:
    """A weight as a polynomial whose first coefficient is 1, times an integer."""
    first = weight[0][1]
    factor = inverse(first)
    return tuple((exponent, value * factor % P) for exponent, value in weight), first


def added(left: Weight, right: Weight, factor: int = 1) -> Weight:
    """left + factor right."""
    total = dict(left)
    for exponent, value in right:
        total[exponent] = (total.get(exponent, 0) + factor * value) % P
    return tuple((exponent, value) for exponent, value in sorted(total.items()) if value)


@dataclass(frozen=True)
class Spread:
    """factor times the sum of weights times forms; ``factor`` None is 1."""

    factor: Factor | None
    terms: tuple[tuple[Weight, Form], ...]

    @property
    def offset(self) -> int:
        """The power of c that divides the term."""
        return min(weight[0][0] for weight, _ in self.terms)


@dataclass
class ConstraintSum:
    """What is left to be added up.

    Attributes
    ----------
    buckets
        By exponent of c: the form that has this weight.
    spreads
        Terms with several weights.
    """

    buckets: dict[int, Form] = field(default_factory=dict)
    spreads: list[Spread] = field(default_factory=list)

    def atoms(self) -> Iterator[Atom]:
        """The atoms in it, one entry per use."""
        for form in self.buckets.values():
            yield from form.terms
        for spread in self.spreads:
            if spread.factor is not None:
                yield spread.factor.atom
            for _, form in spread.terms:
                yield from form.terms


def constraint_sum(constraints: Sequence[Form], atoms: Atoms) -> ConstraintSum:
    """The sum of c^k constraints[k], factored."""
    return _Factoring(constraints, atoms).result()


class _Factoring:
    def __init__(self, constraints: Sequence[Form], atoms: Atoms) -> None:
        self._atoms = atoms
        weights: dict[Atom, dict[int, int]] = {}
        for exponent, form in enumerate(constraints):
            for atom, value in ((ONE, form.constant), *form.terms.items()):
                if value:
                    weights.setdefault(atom, {})[exponent] = value
        self._weights: dict[Atom, Weight] = {a: tuple(w.items()) for a, w in weights.items()}
        self._uses = use_counts(atoms, [atom for atom in weights if atom != ONE])
        self._spreads: list[Spread] = []

    def result(self) -> ConstraintSum:
        for weight, members in self._by_weight().items():
            self._factor_alike(weight, members)
        self._factor_unlike()
        total = ConstraintSum(spreads=self._spreads)
        for atom, weight in self._weights.items():
            if len(weight) > SPARSE and atom != ONE:
                unit, value = normalised(weight)
                total.spreads.append(Spread(None, ((unit, Form({atom: value}, 0)),)))
                continue
            for exponent, value in weight:
                one = Form({}, value) if atom == ONE else Form({atom: value}, 0)
                total.buckets[exponent] = add(total.buckets.get(exponent, Form({}, 0)), one)
        return total

    # ---- terms as monomials

    def _factors(self, atom: Atom) -> list[Factor]:
        """The factors of a product, those of inner products that nothing else uses included."""
        definition = self._atoms.definitions[atom]
        if not isinstance(definition, Product):
            return []
        result = []
        for factor in (definition.left, definition.right):
            inner = isinstance(self._atoms.definitions[factor.atom], Product)
            if inner and factor.shift == 0 and self._uses[factor.atom] == 1:
                result += self._factors(factor.atom)
            else:
                result.append(factor)
        return result

    def _without(self, atom: Atom, factor: Factor) -> Form:
        """The product ``atom`` divided by one of its factors."""
        rest = self._factors(atom)
        rest.remove(factor)
        result = Form({}, 1)
        for one in rest:
            result = self._atoms.multiply(result, Form({one.atom: 1}, one.shift))
        return result

    def _candidates(self, members: Sequence[Atom]) -> dict[Factor, list[Atom]]:
        """The products that each factor divides, if nothing else needs them."""
        result: dict[Factor, list[Atom]] = {}
        for atom in members:
            if self._uses[atom] == 1:
                for factor in dict.fromkeys(self._factors(atom)):
                    result.setdefault(factor, []).append(atom)
        return result

    def _add(self, atom: Atom, weight: Weight, factor: int) -> None:
        total = added(self._weights.get(atom, ()), weight, factor)
        if total:
            self._weights[atom] = total
        else:
            self._weights.pop(atom, None)

    # ---- the same weight

    def _by_weight(self) -> dict[Weight, list[Atom]]:
        result: dict[Weight, list[Atom]] = {}
        for atom, weight in self._weights.items():
            if atom != ONE:
                result.setdefault(normalised(weight)[0], []).append(atom)
        return result

    def _factor_alike(self, weight: Weight, members: list[Atom]) -> None:
        while True:
            # A new term may have met an old one, and changed its weight.
            current = {atom: normalised(w)[0] for atom in members if (w := self._weights.get(atom))}
            members = [atom for atom, unit in current.items() if unit == weight]
            best: tuple[int, Factor, list[Atom]] | None = None
            for factor, divided in self._candidates(members).items():
                bare = [factor.atom] if factor.atom in members else []
                group = divided + bare
                if len(group) > (best[0] if best else 1):
                    best = len(group), factor, group
            if best is None:
                return
            _, factor, group = best
            cofactor = Form({}, 0)
            for atom in group:
                value = normalised(self._weights.pop(atom))[1]
                if atom == factor.atom:
                    cofactor = add(cofactor, Form({}, value))
                    self._add(ONE, weight, -value * factor.shift)
                else:
                    cofactor = add(cofactor, self._without(atom, factor), value)
            form = self._atoms.multiply(Form({factor.atom: 1}, factor.shift), cofactor)
            for atom, value in form.terms.items():
                self._add(atom, weight, value)
                self._uses[atom] += 1
                members.append(atom)
            self._add(ONE, weight, form.constant)

    # ---- different weights

    def _factor_unlike(self) -> None:
        while True:
            candidates = self._candidates([atom for atom in self._weights if atom != ONE])
            population = Counter(
                exponent
                for atom, weight in self._weights.items()
                if atom != ONE and len(weight) <= SPARSE
                for exponent, _ in weight
            )
            best: tuple[float, Factor, list[Atom]] | None = None
            for factor, divided in candidates.items():
                bare = self._weights.get(factor.atom, ())
                group = divided + ([factor.atom] if 0 < len(bare) <= SPARSE else [])
                gain = self._gain(factor, group, population)
                if gain > (best[0] if best else 0):
                    best = gain, factor, group
            if best is None:
                return
            self._spread(*best[1:])

    def _gain(self, factor: Factor, group: Sequence[Atom], population: Counter[int]) -> float:
        """Rows that are saved, about, if terms are gathered under a common factor.

        A term costs a row, and one more for its weight if that is no power of c; exponents that
        nothing else has cost a row each. Gathered, each weight costs a row.
        """
        if len(group) < 2:
            return 0
        apart, together = 0.0, 1.0
        mine: Counter[int] = Counter()
        units = set()
        for atom in group:
            weight = self._weights[atom]
            if len(weight) <= SPARSE:
                mine.update(exponent for exponent, _ in weight)
            else:
                apart += 1
            if atom == factor.atom:
                apart += 0.5
                together += 0.5
            else:
                apart += 1
                units.add(normalised(weight)[0])
        apart += sum(population[exponent] == count for exponent, count in mine.items())
        return apart - together - len(units)

    def _spread(self, factor: Factor, group: Sequence[Atom]) -> None:
        terms: dict[Weight, Form] = {}
        for atom in group:
            weight = self._weights.pop(atom)
            unit, value = normalised(weight)
            form = Form({}, 1)
            if atom == factor.atom:
                self._add(ONE, weight, -factor.shift)
            else:
                form = self._without(atom, factor)
            terms[unit] = add(terms.get(unit, Form({}, 0)), scale(form, value))
        self._spreads.append(Spread(factor, tuple(terms.items())))


def use_counts(atoms: Atoms, roots: Sequence[Atom]) -> Counter[Atom]:
    """How often each atom is used: by ``roots``, and by the atoms that they need."""
    uses = Counter(roots)
    for atom in needed(atoms, roots):
        uses.update(atoms.parts(atom))
    return uses


def needed(atoms: Atoms, roots: Sequence[Atom]) -> Iterator[Atom]:
    """``roots`` and all atoms that they are made of, in no particular order."""
    seen = set(roots)
    stack = list(seen)
    while stack:
        atom = stack.pop()
        yield atom
        for part in atoms.parts(atom):
            if part not in seen:
                seen.add(part)
                stack.append(part)
