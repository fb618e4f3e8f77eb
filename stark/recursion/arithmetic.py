"""Writing rows of arithmetic: sums, products, constants, inverses, bits, and decompositions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P
from stark.recursion.circuit import Operation
from stark.recursion.rows import WRITES, CircuitRows, Wire
from stark.recursion.tables.decomposition import take_column


class ArithmeticWriter(CircuitRows):
    """Arithmetic over wires."""

    def __init__(self, log_order: int, widths: Sequence[int]) -> None:
        super().__init__(log_order, widths)
        self._constants: dict[Element, Wire] = {}

    def evaluate(
        self,
        a: Wire = 0,
        b: Wire = 0,
        c: Wire = 0,
        *,
        ab: int = 0,
        cab: int = 0,
        qa: int = 0,
        qb: int = 0,
        qc: int = 0,
        q0: int = 0,
        qx: int = 0,
        equals: Wire = 0,
    ) -> Wire:
        """ab a b + cab c (a - b) + qa a + qb b + qc c + q0 + qx X; operands 0 are absent.

        The coefficients are base constants. With ``equals`` the result is required to be that
        wire, else it is a new one. Raises ``UsageError`` for a coefficient of an operand that is
        absent: the row's cell would be free.
        """
        for needed, coefficients in ((a, (ab, cab, qa)), (b, (ab, cab, qb)), (c, (cab, qc))):
            if not needed and any(coefficients):
                raise UsageError("an arithmetic row has a coefficient for an absent operand")
        values = {
            "ab": ab % P,
            "cab": cab % P,
            "qa": qa % P,
            "qb": qb % P,
            "qc": qc % P,
            "q0": q0 % P,
            "qx": qx % P,
        }
        for slot, wire in zip("abc", (a, b, c), strict=True):
            if wire:
                values[f"address {slot}"] = self.wires.read(wire)
                values[f"count {slot}"] = P - 1
        result = equals
        if equals:
            values["address d"], values["count d"] = self.wires.read(equals), P - 1
        else:
            result = self.wires.fresh()
            values["address d"], values["count d"] = result, WRITES
        self.step(Operation.EVALUATE, self.arithmetic.append(values))
        return result

    def constant(self, value: Element | int) -> Wire:
        """A wire that holds a constant."""
        element = ext.from_base(value % P) if isinstance(value, int) else value
        known = self._constants.get(element)
        if known is not None:
            return known
        if not any(element[2:]):
            wire = self.evaluate(q0=element[0], qx=element[1])
        else:
            x = self.constant(ext.BASIS[1])
            wire = self.evaluate(q0=element[3], qx=element[4])
            for coefficient in element[2::-1]:
                wire = self.evaluate(wire, x, ab=1, q0=coefficient)
        self._constants[element] = wire
        return wire

    def add(self, a: Wire, b: Wire) -> Wire:
        return self.evaluate(a, b, qa=1, qb=1)

    def subtract(self, a: Wire, b: Wire) -> Wire:
        return self.evaluate(a, b, qa=1, qb=-1)

    def multiply(self, a: Wire, b: Wire) -> Wire:
        return self.evaluate(a, b, ab=1)

    def multiply_add(self, a: Wire, b: Wire, c: Wire) -> Wire:
        """a b + c."""
        return self.evaluate(a, b, c, ab=1, qc=1)

    def select(self, bit: Wire, one: Wire, zero: Wire) -> Wire:
        """``one`` if the bit is 1, ``zero`` if it is 0."""
        return self.evaluate(one, zero, bit, cab=1, qb=1)

    def power(self, a: Wire, exponent: int) -> Wire:
        """a to a constant power, by squaring and multiplying."""
        if exponent == 0:
            return self.constant(1)
        result = a
        for digit in bin(exponent)[3:]:
            result = self.multiply(result, result)
            if digit == "1":
                result = self.multiply(result, a)
        return result

    def assert_equal(self, a: Wire, b: Wire) -> None:
        """Make the circuit unsatisfiable unless both wires hold one value."""
        self.evaluate(a, qa=1, equals=b)

    def assert_zero(self, a: Wire) -> None:
        self.assert_equal(a, self.constant(0))

    def invert(self, a: Wire) -> Wire:
        """1/a; the circuit is unsatisfiable if a is zero."""
        result = self.wires.fresh()
        one = self.wires.read(self.constant(1))
        row = self.arithmetic.append(
            {
                "ab": 1,
                "address a": self.wires.read(a),
                "count a": P - 1,
                "address b": result,
                "count b": WRITES,
                "address d": one,
                "count d": P - 1,
            }
        )
        self.step(Operation.INVERT, row)
        return result

    def bit(self, source: Wire, number: int) -> Wire:
        """A wire that holds 0 or 1; honestly, that bit of the source's first coordinate.

        Nothing here ties it to the source: the caller must use it in a sum that does.
        """
        result = self.wires.fresh()
        self.wires.reads[result] += 2
        row = self.arithmetic.append(
            {
                "ab": 1,
                "address a": result,
                "count a": WRITES,
                "address b": result,
                "count b": P - 1,
                "address d": result,
                "count d": P - 1,
            }
        )
        self.step(Operation.BIT, row, source, number)
        return result

    def coordinates(self, wire: Wire, widths: Mapping[int, int] | None = None) -> list[Wire]:
        """The five coordinates of a wire, as base elements; see :meth:`decompose`."""
        return [coordinate for coordinate, _, _ in self.decompose(wire, widths or {})]

    def decompose(self, wire: Wire, widths: Mapping[int, int]) -> list[tuple[Wire, Wire, Wire]]:
        """Per coordinate k of a wire: (itself, its low bits, w^-coordinate).

        ``widths[k]`` says how many low bits are taken (none if absent). The third holds w^(-e) for
        the low log_order bits e of the coordinate, w the root of that order. Coordinates are
        canonical, so each has one decomposition.
        """
        result = []
        for number in range(DEGREE):
            base = self.wires.fresh(3)
            values = {
                "address": base,
                "count v": WRITES,
                "count low": WRITES,
                "count y": WRITES,
            }
            if number in widths:
                values[take_column(widths[number])] = 1
            self.step(Operation.DECOMPOSE, self.decomposition.append(values), wire, number)
            result.append((base, base + 1, base + 2))
        x = self.constant(ext.BASIS[1])
        total = result[-1][0]
        for number in range(DEGREE - 2, -1, -1):
            total = self.evaluate(
                *(total, x, result[number][0]), ab=1, qc=1, equals=0 if number else wire
            )
        return result

    def from_coordinates(self, coordinates: Sequence[Wire]) -> Wire:
        """The sum of coordinates[k] X^k, at most five."""
        x = self.constant(ext.BASIS[1])
        total = coordinates[-1]
        for coordinate in reversed(coordinates[:-1]):
            total = self.multiply_add(total, x, coordinate)
        return total
