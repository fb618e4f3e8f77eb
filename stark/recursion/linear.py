"""Sums of products over wires in few rows.

An arithmetic row takes one product of two affine forms in a wire each, and one more linear term: a
sum of P products and L other terms costs P + (L - 1) / 2 rows, or (L - 1) / 2 without products.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stark.field.koalabear import P
from stark.recursion.builder import CircuitBuilder, Wire


class Term(NamedTuple):
    """coefficient (a + left) (b + right) for wires a, b and integers left, right."""

    coefficient: int
    a: Wire
    b: Wire
    left: int = 0
    right: int = 0


class Combiner:
    """Writes sums of products with a builder; equal sums without products are written once."""

    def __init__(self, builder: CircuitBuilder) -> None:
        self.builder = builder
        self._sums: dict[tuple[frozenset[tuple[Wire, int]], int], Wire] = {}
        self._powers: dict[tuple[Wire, int], Wire] = {}

    def total(
        self, products: Iterable[Term], linear: Mapping[Wire, int], constant: int = 0
    ) -> Wire:
        """A wire with the sum of ``products``, of coefficient times wire, and a constant."""
        waiting = [term for term in products if term.coefficient % P]
        rest = {wire: factor % P for wire, factor in linear.items() if factor % P}
        if not waiting:
            return self._linear(rest, constant % P)
        for factor, _, _, left, right in waiting:
            constant += factor * left * right
        result = 0
        operands = [wire for term in waiting for wire in (term.a, term.b)]
        for number, (factor, a, b, left, right) in enumerate(waiting):
            # Terms in the product's own operands are free.
            qa = factor * right + rest.pop(a, 0)
            qb = factor * left + (rest.pop(b, 0) if b != a else 0)
            c, qc = result, 1
            if not result:
                later = operands[2 * number + 2 :]
                c = next((wire for wire in rest if wire not in later), 0)
                qc = rest.pop(c, 0)
            result = self.builder.evaluate(
                *(a, b, c), ab=factor, qa=qa, qb=qb, qc=qc, q0=0 if number else constant
            )
        return self._added(result, rest)

    def _linear(self, linear: dict[Wire, int], constant: int) -> Wire:
        if not linear:
            return self.builder.constant(constant)
        if constant == 0 and list(linear.values()) == [1]:
            return next(iter(linear))
        key = frozenset(linear.items()), constant
        known = self._sums.get(key)
        if known is None:
            rest = dict(linear)
            taken = [rest.popitem() for _ in range(min(3, len(rest)))]
            coefficients = dict(zip(("qa", "qb", "qc"), (q for _, q in taken), strict=False))
            first = self.builder.evaluate(*(w for w, _ in taken), q0=constant, **coefficients)
            known = self._sums[key] = self._added(first, rest)
        return known

    def _added(self, result: Wire, rest: dict[Wire, int]) -> Wire:
        """``result`` plus linear terms, two a row."""
        while rest:
            b, qb = rest.popitem()
            c, qc = rest.popitem() if rest else (0, 0)
            result = self.builder.evaluate(result, b, c, qa=1, qb=qb, qc=qc)
        return result

    def power(self, base: Wire, exponent: int) -> Wire:
        """base^exponent; powers are kept, and each uses those before it."""
        if exponent == 0:
            return self.builder.constant(1)
        if exponent == 1:
            return base
        known = self._powers.get((base, exponent))
        if known is None:
            if (base, exponent - 1) in self._powers or exponent & 1 or exponent == 2:
                other = exponent - 1
            else:
                other = exponent // 2
            left = self.power(base, other)
            known = self.builder.multiply(left, self.power(base, exponent - other))
            self._powers[base, exponent] = known
        return known
