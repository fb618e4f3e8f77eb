"""Folds of FRI inside a circuit: the place of a query in a layer, and the folded value.

A fold of arity 8 is a row of the fold table; other arities, which occur where a table of another
height joins, are written out in rows of arithmetic. See ``stark.fri.verifier.fold_leaf``.
"""

from __future__ import annotations

from dataclasses import dataclass

from stark.field.koalabear import P, inverse, root_of_unity
from stark.recursion.builder import CircuitBuilder, Wire

_HALF = inverse(2)
TABLE_LOG_ARITY = 3
"""log2 of the arity that has its own table."""


@dataclass(frozen=True)
class Fold:
    """A fold whose place is known.

    Attributes
    ----------
    index_out
        Position of the leaf: the query's index without its upper log_arity bits. Whoever opens the
        leaf proves that it is below the number of leaves: that makes the bits unique.
    y_out
        Inverse of the point of the folded codeword.
    row
        In the fold table; -1 for a fold that is written out.
    bits, shifted
        Of one that is written out: the slot in the leaf, lowest bit first, and y z^slot.
    """

    log_arity: int
    index_out: Wire
    y_out: Wire
    row: int = -1
    bits: tuple[Wire, ...] = ()
    shifted: Wire = 0

    def finish(self, builder: CircuitBuilder, leaf: Wire, beta: Wire, value: Wire) -> Wire:
        """The folded value of a leaf, the first of whose wires is ``leaf``; ``value`` must stand at
        the slot."""
        if self.row >= 0:
            return builder.fold_eight(self.row, leaf, beta, value)
        values = [leaf + number for number in range(1 << self.log_arity)]
        chosen = values
        for number in range(self.log_arity - 1, 0, -1):
            half = 1 << number
            bit = self.bits[number]
            chosen = [builder.select(bit, chosen[t + half], chosen[t]) for t in range(half)]
        builder.evaluate(chosen[1], chosen[0], self.bits[0], cab=1, qb=1, equals=value)
        step = inverse(root_of_unity(self.log_arity))
        factor = builder.multiply(beta, self.shifted)
        while len(values) > 1:
            half = len(values) // 2
            values = [
                builder.evaluate(
                    *(values[t], values[t + half], factor),
                    cab=_HALF * pow(step, t, P),
                    qa=_HALF,
                    qb=_HALF,
                )
                for t in range(half)
            ]
            if half > 1:
                factor = builder.multiply(factor, factor)
            step = step * step % P
        return values[0]


def begin_fold(
    builder: CircuitBuilder, index: Wire, y: Wire, log_leaves: int, log_arity: int
) -> Fold:
    """The place of a query in a layer of 2^log_leaves leaves.

    ``index`` is its position in the layer's codeword, y the inverse of w^index.
    """
    if log_arity == TABLE_LOG_ARITY:
        row, index_out, y_out = builder.place_eight(index, y, 1 << log_leaves)
        return Fold(log_arity, index_out, y_out, row)
    bits = tuple(builder.bit(index, log_leaves + number) for number in range(log_arity))
    position, shifted, y_out = index, y, y
    for number, bit in enumerate(bits):
        root = pow(root_of_unity(log_arity), 1 << number, P)
        position = builder.evaluate(position, bit, qa=1, qb=-(1 << (log_leaves + number)))
        shifted = builder.evaluate(shifted, bit, ab=root - 1, qa=1)
        y_out = builder.multiply(y_out, y_out)
    return Fold(log_arity, position, y_out, bits=bits, shifted=shifted)


def low_bits(builder: CircuitBuilder, index: Wire, log_size: int, log_inner: int) -> Wire:
    """An index modulo 2^log_inner, if whoever uses it proves that it is below that.

    ``index`` is below 2^log_size, by its own proof: the bits that are taken off are then unique.
    """
    result = index
    for number in range(log_inner, log_size):
        bit = builder.bit(index, number)
        result = builder.evaluate(result, bit, qa=1, qb=-(1 << number))
    return result
