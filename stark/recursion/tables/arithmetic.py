"""Arithmetic over F: one sum of products per row, between wires.

Main columns (20), each group an element of F by its coefficients:

======= ===== ==========================
 first  count
======= ===== ==========================
     0      5 a
     5      5 b
    10      5 c
    15      5 d
======= ===== ==========================

Preprocessed columns (15): ``address s`` and ``count s`` for s in a, b, c, d; then the coefficients
of the row's formula,

    d = ab * a b + cab * c (a - b) + qa * a + qb * b + qc * c + q0 + qx * x

with x the basis element. So a row is a product, a sum, a combination (a b + c (a - b) with suitable
wires), a constant of F_p or a multiple of x, an inverse (d = 1 read, b a hint) or an assertion of
equality: the same formula with d read rather than written.

Without the formula a prover could write any d. A cell whose count is 0 is bound to no wire; it must
not matter for d, or be a hint (a witness of the inner proof, an inverse) that another row binds.
"""

from __future__ import annotations

from stark.constraints.air import AirBuilder
from stark.field.extension import DEGREE
from stark.recursion.tables.buses import send_wire
from stark.recursion.tables.fixed import Columns, FixedAir

OPERANDS = ("a", "b", "c", "d")
COEFFICIENTS = ("ab", "cab", "qa", "qb", "qc", "q0", "qx")
ARITHMETIC_COLUMNS = (
    *(f"address {operand}" for operand in OPERANDS),
    *(f"count {operand}" for operand in OPERANDS),
    *COEFFICIENTS,
)
"""Preprocessed columns in order."""


class ArithmeticAir(FixedAir):
    """See the module's text.

    Parameters
    ----------
    log_height
        log2 of the number of rows.
    columns
        Values of :data:`ARITHMETIC_COLUMNS`, canonical (a read's count is p - 1); ``None`` for
        symbolic use. UsageError if they are malformed.
    """

    name = "arithmetic"

    def __init__(self, log_height: int, columns: Columns | None = None) -> None:
        super().__init__(log_height, ARITHMETIC_COLUMNS, (), columns)

    def eval(self, t: AirBuilder) -> None:
        fixed = {name: t.preprocessed(name) for name in ARITHMETIC_COLUMNS}
        cells = {operand: t.main_array(operand, DEGREE) for operand in OPERANDS}
        a, b, c, d = (t.extension(cells[operand]) for operand in OPERANDS)
        ab, cab, qa, qb, qc, q0, qx = (fixed[name] for name in COEFFICIENTS)
        zero = t.constant(0)
        x = t.extension([zero, t.constant(1), zero, zero, zero])
        formula = ab * (a * b) + cab * (c * (a - b)) + qa * a + qb * b + qc * c + q0 + qx * x
        t.every_row("d is the row's formula", formula - d)
        for operand in OPERANDS:
            send_wire(
                t, operand, fixed[f"address {operand}"], cells[operand], fixed[f"count {operand}"]
            )
