"""What the check of all tables at the out-of-domain point shares, in a circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stark.constraints.expression import Selector
from stark.field.extension import BASIS
from stark.field.koalabear import GENERATOR, P, inverse, root_of_unity
from stark.recursion.atoms import Atoms, Form
from stark.recursion.builder import CircuitBuilder, Wire
from stark.recursion.constraint_sum import Weight
from stark.recursion.linear import Combiner, Term

LOOK_BACK = 64
"""Weights among which a relation to a new one is looked for: those of a few hash tables."""


class PointCache:
    """What the tables of one inner proof share at its point zeta: powers, selectors, weights."""

    def __init__(self, builder: CircuitBuilder, zeta: Wire) -> None:
        self.zeta = zeta
        self.combiner = Combiner(builder)
        self._builder = builder
        self._selectors: dict[tuple[int, int], Wire] = {}
        self._weights: dict[tuple[Wire, Weight], Wire] = {}

    def check_outside(self, log_height: int, log_blowup: int) -> None:
        """See :func:`stark.recursion.out_of_domain.check_zeta`."""
        log_domain = log_height + log_blowup
        shift = pow(inverse(GENERATOR), 1 << log_domain, P)
        for log_size, factor in ((log_height, 1), (log_domain, shift)):
            self._builder.invert(self.combiner.total((), {self.step(log_size): factor}, -1))

    def basis(self, exponent: int) -> Wire:
        """X^exponent."""
        return self.combiner.power(self._builder.constant(BASIS[1]), exponent)

    def step(self, log_height: int) -> Wire:
        """zeta^N."""
        return self.combiner.power(self.zeta, 1 << log_height)

    def selector(self, selector: Selector, log_height: int, atoms: Atoms) -> Form:
        """See :func:`stark.verifier.out_of_domain.selectors_at`."""
        row = inverse(root_of_unity(log_height)) if selector is not Selector.FIRST else 1
        if selector is Selector.TRANSITION:
            zeta = atoms.wire(self.zeta)
            return Form(zeta.terms, P - row)
        known = self._selectors.get((selector, log_height))
        if known is None:
            factor = row * inverse(1 << log_height)
            distance = self._builder.invert(self.combiner.total((), {self.zeta: 1}, -row))
            step = self.step(log_height)
            known = self.combiner.total((Term(factor, distance, step, 0, -1),), {})
            self._selectors[selector, log_height] = known
        return atoms.wire(known)

    def periodic(self, values: Sequence[int], log_height: int, atoms: Atoms) -> Form:
        """A periodic column: the polynomial with these values on <w_period>, at zeta^(N/period).

        Two coefficients a row.
        """
        coefficients = interpolated(values)
        if len(values) == 1:
            return Form({}, coefficients[0])
        point = self.combiner.power(self.zeta, (1 << log_height) // len(values))
        pairs = list(zip(coefficients[0::2], coefficients[1::2], strict=True))
        constant, slope = pairs.pop()
        result = self.combiner.total((), {point: slope}, constant)
        if pairs:
            square = self.combiner.power(point, 2)
            for constant, slope in reversed(pairs):
                result = self.combiner.total((Term(1, result, square),), {point: slope}, constant)
        return atoms.wire(result)

    def weight(self, challenge: Wire, weight: Weight) -> Wire:
        """The polynomial ``weight`` at a challenge."""
        if len(weight) == 1:
            ((exponent, value),) = weight
            power = self.combiner.power(challenge, exponent)
            return self.combiner.total((), {power: value})
        known = self._weights.get((challenge, weight))
        if known is None:
            known = self._from_another(challenge, weight)
            if known is None:
                powers = {self.combiner.power(challenge, e): value for e, value in weight if e}
                constant = weight[0][1] if weight[0][0] == 0 else 0
                known = self.combiner.total((), powers, constant)
            self._weights[challenge, weight] = known
        return known

    def _from_another(self, challenge: Wire, weight: Weight) -> Wire | None:
        """A weight as a known one times a power of c and an integer, plus little, in one row.

        So the weights of a circulant matrix are c^k times each other but for two terms.
        """
        target = dict(weight)
        for (wire, other), value in list(self._weights.items())[-LOOK_BACK:]:
            if wire != challenge or len(other) < 3:
                continue
            for shift in sorted({1, weight[0][0] - other[0][0]}):
                if shift < 1:
                    continue
                relation = _relation(target, other, shift)
                if relation is None:
                    continue
                factor, rest = relation
                constant = rest.pop(0, 0)
                if len(rest) > 1:
                    continue
                power = self.combiner.power(challenge, shift)
                linear = {self.combiner.power(challenge, e): q for e, q in rest.items()}
                return self.combiner.total((Term(factor, value, power),), linear, constant)
        return None


def _relation(
    target: Mapping[int, int], other: Weight, shift: int
) -> tuple[int, dict[int, int]] | None:
    """(f, rest) with target = f c^shift other + rest, where f fits a term in the middle."""
    exponent, value = other[len(other) // 2]
    if exponent + shift not in target:
        return None
    factor = target[exponent + shift] * inverse(value) % P
    rest = dict(target)
    for exponent, value in other:
        rest[exponent + shift] = (rest.get(exponent + shift, 0) - factor * value) % P
    return factor, {exponent: value for exponent, value in rest.items() if value}


def interpolated(values: Sequence[int]) -> list[int]:
    """The coefficients of the polynomial with these values on <w_n>, n = len(values)."""
    if len(values) == 1:
        return [values[0] % P]
    half = inverse(2)
    root = inverse(root_of_unity(len(values).bit_length() - 1))
    middle = len(values) // 2
    low, high = values[:middle], values[middle:]
    even = interpolated([(a + b) * half % P for a, b in zip(low, high, strict=True)])
    # f(x) = e(x^2) + x o(x^2), and w^(i + n/2) = -w^i: o has the values (a - b) / (2 w^i).
    odd = interpolated(
        [
            (a - b) * half * pow(root, i, P) % P
            for i, (a, b) in enumerate(zip(low, high, strict=True))
        ]
    )
    return [value for pair in zip(even, odd, strict=True) for value in pair]
