"""Base elements as canonical bits: query indices, proof of work, the start of a query's points.

Main columns, with n = log_order:

========= ============== ====================================================================
 first    count
========= ============== ====================================================================
     0    31             bit: the bits of v, lowest first
    31     3             top: b24 b25 b26, then times b27 b28, then times b29 b30
    34    ceil(n / 2)    y: running products of the factors 1 + bit_i (w^(-2^i) - 1), i < n,
                         two to a cell; the last is y = w^(-(v mod 2^n)), w of order 2^n
    ...    1             low: v mod 2^k for the k that the row takes
========= ============== ====================================================================

Preprocessed columns: ``address`` (three wires: v, low and y, one after the other), ``count v``,
``count low``, ``count y``, and a flag ``take k`` for each width k, at most one on a row (low is 0
on rows that take none).

Constraints, and what a prover could do without them:

- bits are 0 or 1: otherwise any v has any low bits;
- v is canonical: 31 bits reach 2^31 - 1, but p - 1 = 127 * 2^24, so that v < 2^24 - 1 has the alias
  v + p below 2^31, with other low bits: the prover could choose between two indices. An integer
  below 2^31 is at least p exactly if bits 24 ... 30 are all set and the lower 24 are not all zero;
  the sum of these is below 2^24, so that it vanishes in the field only if it is zero;
- top and y are the products that they are said to be, low the sum of the low bits: otherwise they
  are free.
"""

from __future__ import annotations

from collections.abc import Sequence

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Expression
from stark.errors import UsageError
from stark.field.koalabear import TWO_ADICITY, inverse, root_of_unity
from stark.recursion.tables.buses import send_wire
from stark.recursion.tables.fixed import Columns, FixedAir

BITS = 31
HIGH_BITS = range(24, BITS)
"""All set in p - 1 = 127 * 2^24 and in everything above; bits 0 ... 23 are zero in p - 1."""


DECOMPOSITION_COLUMNS = ("address", "count v", "count low", "count y")
"""Preprocessed columns in order, before those of the widths."""


def take_column(width: int) -> str:
    """Name of the preprocessed flag that takes the low ``width`` bits."""
    return f"take {width}"


class DecompositionAir(FixedAir):
    """See the module's text.

    Parameters
    ----------
    log_height
        log2 of the number of rows.
    widths
        Distinct numbers of low bits that rows may take, in 1 ... 31.
    log_order
        n, in 1 ... 24: y is a power of the root of unity of order 2^n.
    columns
        Values of :data:`DECOMPOSITION_COLUMNS` and of the flags, canonical; ``None`` for symbolic
        use.

    Raises
    ------
    UsageError
        If widths or order are out of range, or columns malformed.
    """

    name = "decomposition"

    def __init__(
        self,
        log_height: int,
        widths: Sequence[int],
        log_order: int,
        columns: Columns | None = None,
    ) -> None:
        self.widths = tuple(widths)
        self.log_order = log_order
        if not self.widths or len(set(self.widths)) != len(self.widths):
            raise UsageError(f"widths must be distinct, and one at least, got {self.widths}")
        if min(self.widths) < 1 or max(self.widths) > BITS:
            raise UsageError(f"widths must be in 1 ... {BITS}, got {self.widths}")
        if not 1 <= log_order <= TWO_ADICITY:
            raise UsageError(f"log_order must be in 1 ... {TWO_ADICITY}, got {log_order}")
        flags = tuple(take_column(width) for width in self.widths)
        super().__init__(log_height, (*DECOMPOSITION_COLUMNS, *flags), flags, columns)
        if columns is not None:
            self._at_most_one(columns, flags)

    def eval(self, t: AirBuilder) -> None:
        address = t.preprocessed("address")
        count_v, count_low, count_y = (
            t.preprocessed(f"count {name}") for name in ("v", "low", "y")
        )
        takes = [t.preprocessed(take_column(width)) for width in self.widths]
        bits = t.main_array("bit", BITS)
        t.every_row("bits are boolean", *(bit * (bit - 1) for bit in bits))

        sums: list[Expression] = [t.constant(0)]
        for position, bit in enumerate(bits):
            sums.append(sums[-1] + bit * (1 << position))
        self._canonical(t, bits, sums[HIGH_BITS.start])
        y = self._power(t, bits)
        low = t.main("low")
        taken = t.constant(0)
        for take, width in zip(takes, self.widths, strict=True):
            taken = taken + take * sums[width]
        t.every_row("low is the sum of the low bits", taken - low)

        send_wire(t, "v", address, [sums[BITS]], count_v)
        send_wire(t, "low", address + 1, [low], count_low)
        send_wire(t, "y", address + 2, [y], count_y)

    def _canonical(self, t: AirBuilder, bits: Sequence[Expression], lower: Expression) -> None:
        """v < p; bits in threes and twos keep the degree at 3."""
        top = t.main_array("top", 3)
        b = bits[HIGH_BITS.start :]
        products = (b[0] * b[1] * b[2], top[0] * b[3] * b[4], top[1] * b[5] * b[6])
        differences = (cell - product for cell, product in zip(top, products, strict=True))
        t.every_row("top is the product of the high bits", *differences)
        t.every_row("v is canonical", top[2] * lower)

    def _power(self, t: AirBuilder, bits: Sequence[Expression]) -> Expression:
        """y: bit i contributes w^(-2^i) if it is set. w^(2^i) has order 2^(n-i)."""
        factors = [
            bits[i] * (inverse(root_of_unity(self.log_order - i)) - 1) + 1
            for i in range(self.log_order)
        ]
        cells = t.main_array("y", (self.log_order + 1) // 2)
        product: Expression = t.constant(1)
        differences = []
        for number, cell in enumerate(cells):
            for factor in factors[2 * number : 2 * number + 2]:
                product = product * factor
            differences.append(cell - product)
            product = cell
        t.every_row("y is the power of the root", *differences)
        return cells[-1]
