"""Evaluation of arithmetic rows as a builder has them, with given values of some wires."""

from __future__ import annotations

from stark.field import extension as ext
from stark.field.extension import Element
from stark.recursion.builder import CircuitBuilder, Wire
from stark.recursion.circuit import STEP_WIDTH, Operation


class Unsatisfied(Exception):
    """A row that its wires do not satisfy."""


def evaluate_rows(builder: CircuitBuilder, values: dict[Wire, Element]) -> None:
    """Put the values of all wires that arithmetic rows write; ``Unsatisfied`` if a row fails."""
    builder.arithmetic.complete()
    columns = builder.arithmetic.columns

    def operand(name: str, row: int) -> Element:
        address = columns[f"address {name}"][row]
        return values[address] if address else ext.ZERO

    for start in range(0, len(builder.steps), STEP_WIDTH):
        operation, row = builder.steps[start : start + 2]
        if operation == Operation.INVERT:
            a = operand("a", row)
            if a == ext.ZERO:
                raise Unsatisfied(row)
            values[columns["address b"][row]] = ext.invert(a)
        elif operation != Operation.EVALUATE:
            raise ValueError(f"operation {operation} is no arithmetic")
        a, b, c = (operand(name, row) for name in "abc")
        result = ext.scale(ext.multiply(a, b), columns["ab"][row])
        difference = ext.multiply(c, ext.subtract(a, b))
        result = ext.add(result, ext.scale(difference, columns["cab"][row]))
        for value, name in ((a, "qa"), (b, "qb"), (c, "qc")):
            result = ext.add(result, ext.scale(value, columns[name][row]))
        constants = (columns["q0"][row], columns["qx"][row], 0, 0, 0)
        result = ext.add(result, constants)
        if values.setdefault(columns["address d"][row], result) != result:
            raise Unsatisfied(row)
