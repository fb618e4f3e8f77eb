"""Writing circuits: wires, digests, and the rows that tie them.

A wire holds an element of F, a digest eight base elements; both are addresses, written by one row
and read by any number of others. What is *assumed* (values of the inner proof, bits, inverses) is
written by the row that constrains it; nothing else is free.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise

from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P
from stark.recursion.circuit import STEP_WIDTH, Capacity, Circuit, Operation, Rate
from stark.recursion.tables.arithmetic import ARITHMETIC_COLUMNS
from stark.recursion.tables.decomposition import DECOMPOSITION_COLUMNS, take_column
from stark.recursion.tables.fold import FOLD_COLUMNS
from stark.recursion.tables.permutation import PERMUTATION_COLUMNS
from stark.recursion.wellformed import check_messages

Wire = int
"""Address of a wire."""

DigestWire = int
"""Address of a digest."""

RATE = 8
WRITES = -2
"""Stands for the number of reads of an address until that is known."""


class Rows:
    """The fixed columns of a table, filled row by row; most cells of a row are zero."""

    def __init__(self, names: Sequence[str]) -> None:
        self.columns = {name: array("q") for name in names}
        self.count = 0

    def append(self, values: Mapping[str, int]) -> int:
        """A row that is zero but for ``values``; its number."""
        row = self.count
        self.count += 1
        for name, value in values.items():
            self.set(row, name, value)
        return row

    def set(self, row: int, name: str, value: int) -> None:
        """Set a cell of a row that exists."""
        column = self.columns[name]
        # Columns end behind their last cell that was set: rows are long, and hardly filled.
        missing = row + 1 - len(column)
        if missing > 0:
            column.frombytes(bytes(column.itemsize * missing))
        column[row] = value

    def complete(self) -> None:
        """Fill all columns with zeros up to the last row."""
        for column in self.columns.values():
            column.frombytes(bytes(column.itemsize * (self.count - len(column))))


class Addresses:
    """Addresses of one bus and how often each is read."""

    def __init__(self) -> None:
        self.reads = array("q", [0])

    def fresh(self, count: int = 1) -> int:
        """The first of ``count`` new addresses."""
        first = len(self.reads)
        self.reads.extend([0] * count)
        return first

    def read(self, address: int) -> int:
        """Count a read; the address itself."""
        if not 0 < address < len(self.reads):
            raise UsageError(f"{address} is no address of this circuit")
        self.reads[address] += 1
        return address


class CircuitBuilder:
    """Collects the rows of a circuit.

    Parameters
    ----------
    log_order
        log2 of the largest evaluation domain of an inner proof.
    widths
        The numbers of bits that are ever taken of a base element, distinct, ascending.
    """

    def __init__(self, log_order: int, widths: Sequence[int]) -> None:
        self.log_order = log_order
        self.widths = tuple(widths)
        self.wires = Addresses()
        self.digests = Addresses()
        self.arithmetic = Rows(ARITHMETIC_COLUMNS)
        self.permutation = Rows(PERMUTATION_COLUMNS)
        self.folds = Rows(FOLD_COLUMNS)
        self.decomposition = Rows(
            (*DECOMPOSITION_COLUMNS, *(take_column(width) for width in self.widths))
        )
        self.steps = array("q")
        self.hint_count = 0
        self.labels: list[tuple[int, str]] = []
        self.cap_heights: dict[int, int] = {}
        self._constants: dict[Element, Wire] = {}
        self._digest_constants: dict[tuple[int, ...], DigestWire] = {}
        self._gammas: list[int] = []
        self._pending_acc: Wire | None = None

    def label(self, name: str) -> None:
        """Name the part of the program that begins here."""
        self.labels.append((len(self.steps) // STEP_WIDTH, name))

    def _step(self, operation: Operation, row: int, *arguments: int) -> None:
        padding = STEP_WIDTH - 2 - len(arguments)
        self.steps.extend([operation, row, *arguments, *([0] * padding)])

    # ---- arithmetic

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
        self._step(Operation.EVALUATE, self.arithmetic.append(values))
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
        self._step(Operation.INVERT, row)
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
        self._step(Operation.BIT, row, source, number)
        return result

    # ---- bits of base elements

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
            self._step(Operation.DECOMPOSE, self.decomposition.append(values), wire, number)
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

    # ---- folds

    def place_eight(self, index: Wire, y: Wire, weight: int) -> tuple[int, Wire, Wire]:
        """A row of the fold table, of which only the place of the query is known.

        Returns the row, the leaf's position, that is the index without its upper three bits, whose
        lowest has ``weight``, and y^8. :meth:`fold_eight` completes it.
        """
        out = self.wires.fresh(3)
        row = self.folds.append(
            {
                "active": 1,
                "weight": weight,
                "address index": self.wires.read(index),
                "address y": self.wires.read(y),
                "address out": out,
                "count result": WRITES,
                "count index out": WRITES,
                "count y out": WRITES,
            }
        )
        self._step(Operation.PLACE, row)
        return row, out + 1, out + 2

    def fold_eight(self, row: int, leaf: Wire, beta: Wire, value: Wire) -> Wire:
        """One FRI fold of arity 8 with the check that ``value`` stands at its place in the leaf.

        ``row`` is what :meth:`place_eight` has begun, ``leaf`` the first of eight consecutive
        wires. Returns the folded value.
        """
        for offset in range(8):
            self.wires.read(leaf + offset)
        self.folds.set(row, "address v", leaf)
        self.folds.set(row, "address beta", self.wires.read(beta))
        self.folds.set(row, "address value", self.wires.read(value))
        self._step(Operation.FOLD, row)
        return self.folds.columns["address out"][row]

    # ---- permutations

    def permute(
        self,
        rate: Rate,
        rate_argument: int = 0,
        capacity: Capacity = Capacity.WITH_RATE,
        capacity_argument: int = 0,
        level: int = 0,
        *,
        fixed: Mapping[str, int] | None = None,
        before: Mapping[str, int] | None = None,
    ) -> int:
        """Append a permutation; its row.

        ``fixed`` are columns of the row itself, ``before`` such of the row before (the flags that
        speak of the next row).
        """
        own = dict(fixed or {})
        if self._pending_acc is not None:
            if "wire count" in own:
                if before:
                    raise UsageError("an accumulator is pending where a wire is written")
                self._blank()
            else:
                own |= {
                    "wire acc": 1,
                    "wire address": self._pending_acc,
                    "wire count": WRITES,
                }
                self._pending_acc = None
        if before:
            previous = self.permutation.count - 1
            for name, value in before.items():
                self.permutation.set(previous, name, value)
        row = self.permutation.append(own)
        self._step(Operation.PERMUTE, row, rate, rate_argument, capacity, capacity_argument, level)
        return row

    def settle(self) -> None:
        """Make sure that the next row's accumulator starts from zero.

        One that is pending gets a row of its own.
        """
        if self._pending_acc is not None:
            self._blank()

    def _blank(self) -> None:
        """A row for the pending accumulator alone."""
        pending, self._pending_acc = self._pending_acc, None
        if pending is None:
            return
        self.permute(
            Rate.HINTS,
            0,
            Capacity.ZERO,
            fixed={"wire acc": 1, "wire address": pending, "wire count": WRITES, "straight": 1},
        )

    def publish_accumulator(self) -> Wire:
        """A wire with the Horner accumulator that the next row will hold."""
        if self._pending_acc is not None:
            raise UsageError("two accumulators are pending")
        self._pending_acc = self.wires.fresh()
        return self._pending_acc

    def digest_constant(self, lanes: Sequence[int]) -> DigestWire:
        """A digest of eight constants."""
        key = tuple(lanes)
        known = self._digest_constants.get(key)
        if known is None:
            low = self.constant(ext.from_coefficients(key[:DEGREE]))
            high = self.constant(ext.from_coefficients((*key[DEGREE:], 0, 0)))
            known = self.digest_of(low, high)
            self._digest_constants[key] = known
        return known

    def digest_of(self, low: Wire, high: Wire) -> DigestWire:
        """The digest with lanes 0 to 4 from ``low``, 5 to 7 from ``high``, whose last two
        coordinates must be zero."""
        result = self.digests.fresh()
        straight = {"straight": 1}
        self.permute(
            *(Rate.HALVES, low, Capacity.ZERO, high),
            fixed=straight
            | {"digest address": result, "digest count": WRITES, "digest x": 1}
            | {"wire address": self.wires.read(low), "wire count": P - 1, "wire low": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight
            | {"wire address": self.wires.read(high), "wire count": P - 1, "wire high": 1},
            before={"same next": 1},
        )
        return result

    def halves(self, digest: DigestWire) -> tuple[Wire, Wire]:
        """Lanes 0 to 4 and 5 to 7 of a digest as wires; inverse of :meth:`digest_of`."""
        low, high = self.wires.fresh(), self.wires.fresh()
        straight = {"straight": 1}
        self.permute(
            *(Rate.DIGEST, digest, Capacity.ZERO),
            fixed=straight
            | {"digest address": self.digests.read(digest), "digest count": P - 1, "digest x": 1}
            | {"wire address": low, "wire count": WRITES, "wire low": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight | {"wire address": high, "wire count": WRITES, "wire high": 1},
            before={"same next": 1},
        )
        return low, high

    def lanes_of(self, digest: DigestWire) -> list[Wire]:
        """The eight lanes of a digest as base elements."""
        low, high = self.halves(digest)
        return [*self.coordinates(low), *self.coordinates(high)[: RATE - DEGREE]]

    def digest_of_lanes(self, lanes: Sequence[Wire]) -> DigestWire:
        """The digest of eight base elements, which must be proven to be such."""
        return self.digest_of(
            self.from_coordinates(lanes[:DEGREE]), self.from_coordinates(lanes[DEGREE:])
        )

    def compress(self, left: DigestWire, right: DigestWire) -> DigestWire:
        """The node over two digests."""
        result = self.digests.fresh()
        straight = {"straight": 1}
        self.permute(
            *(Rate.DIGEST, left, Capacity.DIGEST, right),
            fixed=straight
            | {"digest address": self.digests.read(left), "digest count": P - 1, "digest x": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight
            | {"digest address": self.digests.read(right), "digest count": P - 1, "digest high": 1},
            before={"same next": 1},
        )
        self.permute(
            Rate.SAME,
            fixed=straight | {"digest address": result, "digest count": WRITES, "digest node": 1},
            before={"same next": 1},
        )
        return result

    def digest_hint(self) -> DigestWire:
        """A digest that the prover chooses: its lanes are base elements, nothing else is said."""
        result = self.digests.fresh()
        self.hints(RATE)
        self.permute(
            *(Rate.HINTS, RATE, Capacity.ZERO),
            fixed={
                "straight": 1,
                "digest address": result,
                "digest count": WRITES,
                "digest x": 1,
            },
        )
        return result

    def boolean_hint(self) -> Wire:
        """0 or 1, as the prover chooses; five values, the first of which is it."""
        result = self.wires.fresh()
        self.hints(DEGREE)
        self.permute(
            *(Rate.HINTS, DEGREE, Capacity.ZERO),
            fixed={"straight": 1, "wire address": result, "wire count": WRITES, "wire x": 1}
            | {f"zero {lane}": 1 for lane in range(RATE - DEGREE)},
        )
        # In a field x^2 = x has the solutions 0 and 1 alone.
        self.evaluate(result, result, ab=1, equals=result)
        return result

    def sponge(self, digests: Sequence[DigestWire], tag: int) -> DigestWire:
        """The sponge digest of whole blocks, at least one."""
        result = self.digests.fresh()
        length = RATE * len(digests)
        for number, digest in enumerate(digests):
            fixed = {
                "straight": 1,
                "digest address": self.digests.read(digest),
                "digest count": P - 1,
                "digest x": 1,
            }
            if number == 0:
                fixed |= {"fresh": 1, "tag": tag, "length": length}
                self.permute(Rate.DIGEST, digest, Capacity.FRESH, fixed=fixed)
            else:
                self.permute(
                    *(Rate.DIGEST, digest, Capacity.CHAIN),
                    fixed=fixed,
                    before={"capacity next": 1},
                )
        # Another row of the last permutation writes: the last one reads already.
        self.permute(
            Rate.SAME,
            fixed={
                "straight": 1,
                "digest address": result,
                "digest count": WRITES,
                "digest leaf": 1,
            },
            before={"same next": 1},
        )
        return result

    def start_gamma(self, row: int) -> None:
        """From this row on, accumulators are multiplied by the challenge that it draws."""
        self._gammas.append(row)

    def hints(self, count: int) -> None:
        """Count values that the next step takes from the inner proof."""
        self.hint_count += count

    # ---- the end

    def finish(self, public: Sequence[DigestWire], tag: int, log_least: int = 0) -> Circuit:
        """The circuit whose one public value is the sponge digest of some digests.

        The table of permutations gets the fewest rows that are a power of two, at least
        2^log_least; the last of them ends that sponge.
        """
        self.label("public values")
        self.settle()
        for first, end in pairwise([*self._gammas, self.permutation.count]):
            # Row r speaks of r + 1, and the last row before another challenge keeps the old one.
            for row in range(first, end - 1):
                self.permutation.set(row, "gamma next", 1)
        count = self.permutation.count + len(public)
        start = max(1 << log_least, 1 << (count - 1).bit_length()) - len(public)
        for row in range(self.permutation.count, start):
            self.permutation.set(row, "straight", 1)
        self.permutation.count = start
        for number, digest in enumerate(public):
            fixed = {
                "straight": 1,
                "digest address": self.digests.read(digest),
                "digest count": P - 1,
                "digest x": 1,
            }
            if number == 0:
                fixed |= {"fresh": 1, "tag": tag, "length": RATE * len(public)}
                self.permute(Rate.DIGEST, digest, Capacity.FRESH, fixed=fixed)
            else:
                self.permute(
                    *(Rate.DIGEST, digest, Capacity.CHAIN),
                    fixed=fixed,
                    before={"capacity next": 1},
                )
        for rows in (self.arithmetic, self.permutation, self.folds, self.decomposition):
            rows.complete()
        self._resolve()
        circuit = Circuit(
            arithmetic=self.arithmetic.columns,
            permutation=self.permutation.columns,
            fold=self.folds.columns,
            decomposition=self.decomposition.columns,
            steps=self.steps,
            hint_count=self.hint_count,
            wire_count=len(self.wires.reads) - 1,
            digest_count=len(self.digests.reads) - 1,
            cap_heights=dict(self.cap_heights),
            widths=self.widths,
            log_order=self.log_order,
            labels=tuple(self.labels),
        )
        check_messages(circuit)
        return circuit

    def _resolve(self) -> None:
        """Put the numbers of reads where something is written."""
        wires, digests = self.wires.reads, self.digests.reads
        for rows, count, address, offset, reads in (
            *((self.arithmetic, f"count {s}", f"address {s}", 0, wires) for s in "abcd"),
            (self.permutation, "wire count", "wire address", 0, wires),
            (self.permutation, "digest count", "digest address", 0, digests),
            (self.folds, "count result", "address out", 0, wires),
            (self.folds, "count index out", "address out", 1, wires),
            (self.folds, "count y out", "address out", 2, wires),
            (self.decomposition, "count v", "address", 0, wires),
            (self.decomposition, "count low", "address", 1, wires),
            (self.decomposition, "count y", "address", 2, wires),
        ):
            counts, addresses = rows.columns[count], rows.columns[address]
            for row, value in enumerate(counts):
                if value == WRITES:
                    counts[row] = reads[addresses[row] + offset]
