"""Plain execution of a circuit: the meaning of its steps, and the reference for the kernel.

A step writes the wires and digests that its row writes, and compares those that its row reads, so
that execution ends if and only if the rows that have steps satisfy their tables. What the values of
a permutation's row take from the row before follows that row's flags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import DEGREE, ZERO, Element
from stark.field.koalabear import P, inverse, root_of_unity
from stark.hash.poseidon import POSEIDON1, permute
from stark.recursion.circuit import STEP_WIDTH, Capacity, Circuit, Operation, Rate
from stark.recursion.reference_rows import (
    LANES,
    RATE_LANES,
    ArithmeticRow,
    DecompositionRow,
    Digest,
    FoldRow,
    PermutationRow,
    Witness,
    untouched,
)
from stark.recursion.unsatisfied import unsatisfied

READ = P - 1
"""The count of a message that reads."""


def run(circuit: Circuit, hints: Sequence[int]) -> Witness:
    """Compute the values of a circuit.

    Parameters
    ----------
    hints
        The values of the inner proofs in the order in which the steps take them: canonical
        integers, ``circuit.hint_count`` of them.

    Raises
    ------
    Unsatisfied
        At the first step whose row no values satisfy.
    UsageError
        For another number of hints, or one that is not in [0, p).
    """
    if len(hints) != circuit.hint_count:
        raise UsageError(f"the circuit takes {circuit.hint_count} values, got {len(hints)}")
    if hints and not (min(hints) >= 0 and max(hints) < P):
        raise UsageError("values of an inner proof must be canonical field elements")
    execution = _Execution(circuit, hints)
    for step in range(len(circuit.steps) // STEP_WIDTH):
        operation, row, *arguments = circuit.steps[step * STEP_WIDTH : (step + 1) * STEP_WIDTH]
        try:
            execution.step(operation, row, arguments)
        except _FailedError as error:
            raise unsatisfied(circuit, step) from error
    execution.count_lookups()
    return execution.witness


class _FailedError(Exception):
    """A check fails."""


def _require(condition: bool) -> None:
    if not condition:
        raise _FailedError


class _Execution:
    def __init__(self, circuit: Circuit, hints: Sequence[int]) -> None:
        self.circuit = circuit
        self.hints = hints
        self.taken = 0
        rows = circuit.rows
        self.witness = Witness(
            wires={0: ZERO},
            digests={},
            arithmetic=[None] * rows["arithmetic"],
            permutation=[None] * rows["permutation"],
            fold=[None] * rows["fold"],
            decomposition=[None] * rows["decomposition"],
        )
        self.reads: Counter[tuple[int, int]] = Counter()
        self.writers: dict[tuple[int, int], int] = {}

    def step(self, operation: int, row: int, arguments: Sequence[int]) -> None:
        if operation == Operation.EVALUATE:
            self.evaluate(row)
        elif operation == Operation.INVERT:
            self.invert(row)
        elif operation == Operation.BIT:
            self.bit(row, arguments[0], arguments[1])
        elif operation == Operation.PERMUTE:
            self.permute(row, arguments)
        elif operation == Operation.PLACE:
            self.place(row)
        elif operation == Operation.FOLD:
            self.fold(row)
        elif operation == Operation.DECOMPOSE:
            self.decompose(row, arguments[0], arguments[1])
        else:
            raise UsageError(f"a circuit has no operation {operation}")

    # ---- messages

    def wire(self, address: int) -> Element:
        """The value of a wire; that of address 0, an absent operand, is zero."""
        value = self.witness.wires.get(address)
        if value is None:
            raise UsageError(f"the circuit reads wire {address} before it is written")
        return value

    def base(self, address: int) -> int:
        """The value of a wire where a message holds a base element."""
        value = self.wire(address)
        _require(not any(value[1:]))
        return value[0]

    def digest(self, address: int) -> Digest:
        value = self.witness.digests.get((address, 0))
        if value is None:
            raise UsageError(f"the circuit reads digest {address} before it is written")
        return value

    def send(self, address: int, count: int, value: Element) -> None:
        """A message of a wire: a comparison if it reads, else the wire is written."""
        if not address:
            return
        if count == READ:
            _require(self.wire(address) == value)
        else:
            self.witness.wires[address] = value

    # ---- arithmetic

    def evaluate(self, row: int) -> None:
        columns = self.circuit.arithmetic
        a, b, c = (self.wire(columns[f"address {s}"][row]) for s in "abc")
        self.arithmetic(row, a, b, c)

    def invert(self, row: int) -> None:
        columns = self.circuit.arithmetic
        a = self.wire(columns["address a"][row])
        _require(a != ZERO)
        b = ext.invert(a)
        self.send(columns["address b"][row], columns["count b"][row], b)
        self.arithmetic(row, a, b, self.wire(columns["address c"][row]))

    def bit(self, row: int, wire: int, number: int) -> None:
        columns = self.circuit.arithmetic
        bit = ext.from_base(self.wire(wire)[0] >> number & 1)
        self.send(columns["address a"][row], columns["count a"][row], bit)
        self.arithmetic(row, bit, bit, self.wire(columns["address c"][row]))

    def arithmetic(self, row: int, a: Element, b: Element, c: Element) -> None:
        """d = ab a b + cab c (a - b) + qa a + qb b + qc c + q0 + qx X."""
        at = {name: column[row] for name, column in self.circuit.arithmetic.items()}
        d = ext.total(
            (
                ext.scale(ext.multiply(a, b), at["ab"]),
                ext.scale(ext.multiply(c, ext.subtract(a, b)), at["cab"]),
                *(ext.scale(v, at[q]) for v, q in ((a, "qa"), (b, "qb"), (c, "qc"))),
                (at["q0"], at["qx"], 0, 0, 0),
            )
        )
        self.send(at["address d"], at["count d"], d)
        self.witness.arithmetic[row] = ArithmeticRow(a, b, c, d)

    # ---- permutations

    def take(self, count: int) -> list[int]:
        start, self.taken = self.taken, self.taken + count
        if self.taken > len(self.hints):
            raise UsageError("the circuit's steps take more values than it counts")
        return list(self.hints[start : self.taken])

    def permute(self, row: int, arguments: Sequence[int]) -> None:
        columns = self.circuit.permutation
        at = {name: column[row] for name, column in columns.items()}
        before = self.witness.permutation[row - 1] if row else None
        flags = {name: column[row - 1] if row else 0 for name, column in columns.items()}
        previous = before or untouched()

        cells = PermutationRow()
        if flags["index next"]:
            cells.index = previous.index
        elif at["index count"] == READ:
            cells.index = self.base(at["index address"])
        rate, rate_argument, capacity, capacity_argument, level = arguments
        if rate == Rate.PATH:
            cells.bit = cells.index >> level & 1
            cells.index -= cells.bit << level
        if flags["gamma next"]:
            cells.gamma = previous.gamma
        cells.acc = self.accumulator(flags, previous)

        current = previous.node if flags["node next"] else tuple(previous.y[:RATE_LANES])
        low = self.rate(rate, rate_argument, capacity_argument, previous, current, cells.bit)
        cells.x = (
            low
            if len(low) == LANES
            else low + self.capacity(capacity, capacity_argument, previous, at)
        )
        _require(not any(at[f"zero {lane}"] and cells.x[lane] for lane in range(7)))
        cells.y = permute(POSEIDON1, cells.x)
        if at["gamma here"]:
            gamma = ext.from_coefficients(cells.y[:DEGREE])
            _require(not flags["gamma next"] or gamma == cells.gamma)
            cells.gamma = gamma
        self.permutation_messages(row, cells, at)
        self.witness.permutation[row] = cells

    @staticmethod
    def accumulator(flags: Mapping[str, int], previous: PermutationRow) -> Element:
        if flags["base next"]:
            return previous.horner
        if flags["extension next"]:
            value = ext.from_coefficients(previous.x[3:RATE_LANES])
            return ext.add(ext.multiply(previous.acc, previous.gamma), value)
        return previous.acc if flags["keep next"] else ZERO

    def rate(
        self,
        rate: int,
        argument: int,
        second: int,
        previous: PermutationRow,
        current: Digest,
        bit: int,
    ) -> list[int]:
        """Lanes 0 to 7, or all of them."""
        if rate == Rate.HINTS:
            return [0] * (RATE_LANES - argument) + self.take(argument)
        if rate == Rate.WIRE:
            return [0, 0, 0, *self.wire(argument)]
        if rate == Rate.DIGEST:
            return list(self.digest(argument))
        if rate == Rate.KEEP:
            return previous.y[:RATE_LANES]
        if rate == Rate.SAME:
            return list(previous.x)
        if rate == Rate.PATH:
            sibling = self.take(RATE_LANES)
            return sibling + list(current) if bit else list(current) + sibling
        if rate == Rate.PAIR:
            return [*current, *self.digest(argument)]
        if rate == Rate.HALVES:
            return [*self.wire(argument), *self.wire(second)[: RATE_LANES - DEGREE]]
        raise UsageError(f"a permutation has no rate {rate}")

    def capacity(
        self, capacity: int, argument: int, previous: PermutationRow, at: Mapping[str, int]
    ) -> list[int]:
        """Lanes 8 to 15."""
        if capacity == Capacity.CHAIN:
            return previous.y[RATE_LANES:]
        if capacity == Capacity.FRESH:
            return [at["tag"], at["length"], 0, 0, 0, 0, 0, 0]
        if capacity == Capacity.DIGEST:
            return list(self.digest(argument))
        if capacity == Capacity.ZERO:
            return [0] * RATE_LANES
        raise UsageError(f"a permutation has no capacity {capacity} with this rate")

    def permutation_messages(self, row: int, cells: PermutationRow, at: Mapping[str, int]) -> None:
        x, y = cells.x, cells.y
        value = ext.total(
            ext.scale(ext.from_coefficients(part), at[f"wire {name}"])
            for name, part in (
                ("x", x[3:8]),
                ("y", y[:5]),
                ("low", x[:5]),
                ("high", x[5:8]),
                ("acc", cells.acc),
            )
        )
        self.send(at["wire address"], at["wire count"], value)
        self.send(at["index address"], at["index count"], ext.from_base(cells.index))
        address = at["digest address"]
        if not address:
            return
        lanes = tuple(
            sum(
                at[f"digest {name}"] * part[lane]
                for name, part in (("x", x), ("high", x[8:]), ("node", cells.node), ("leaf", y))
            )
            % P
            for lane in range(RATE_LANES)
        )
        key = (address, (at["digest number"] + at["cap"] * cells.index) % P)
        if at["digest count"] == READ:
            _require(self.witness.digests.get(key) == lanes)
            self.reads[key] += 1
        else:
            self.witness.digests[key] = lanes
            self.writers[key] = row

    def count_lookups(self) -> None:
        """The multiplicities of digests of caps: reads that are not in their fixed count."""
        columns = self.circuit.permutation
        for key, row in self.writers.items():
            cells = self.witness.permutation[row]
            if columns["free"][row] and cells is not None:
                cells.multiplicity = (self.reads[key] - columns["digest count"][row]) % P

    # ---- folds and decompositions

    def place(self, row: int) -> None:
        at = {name: column[row] for name, column in self.circuit.fold.items()}
        index, y = self.base(at["address index"]), self.base(at["address y"])
        slot = index // at["weight"] & 7
        cells = FoldRow(index, y, slot, index - slot * at["weight"], pow(y, 8, P))
        self.witness.wires[at["address out"] + 1] = ext.from_base(cells.index_out)
        self.witness.wires[at["address out"] + 2] = ext.from_base(cells.y_out)
        self.witness.fold[row] = cells

    def fold(self, row: int) -> None:
        at = {name: column[row] for name, column in self.circuit.fold.items()}
        cells = self.witness.fold[row]
        if cells is None:
            raise UsageError("a circuit folds a leaf whose place is not known")
        cells.values = tuple(self.wire(at["address v"] + t) for t in range(8))
        cells.beta = self.wire(at["address beta"])
        _require(self.wire(at["address value"]) == cells.values[cells.slot])
        point = cells.y * pow(root_of_unity(3), cells.slot, P)
        cells.result = fold_values(cells.values, cells.beta, point)
        self.witness.wires[at["address out"]] = cells.result

    def decompose(self, row: int, wire: int, number: int) -> None:
        columns = self.circuit.decomposition
        value = self.wire(wire)[number]
        low = 0
        for width in self.circuit.widths:
            low += columns[f"take {width}"][row] * (value & (1 << width) - 1)
        order = self.circuit.log_order
        y = pow(root_of_unity(order), -(value & (1 << order) - 1), P)
        base = columns["address"][row]
        outputs = (("v", value), ("low", low % P), ("y", y))
        for offset, (name, output) in enumerate(outputs):
            self.send(base + offset, columns[f"count {name}"][row], ext.from_base(output))
        self.witness.decomposition[row] = DecompositionRow(value, low % P, y)


def fold_values(values: Sequence[Element], beta: Element, y: int) -> Element:
    """One fold of arity eight: ``y`` is the inverse of the point of ``values[0]``; the point of
    ``values[t]`` is z^t times as large, z the root of order 8."""
    half = inverse(2)
    u = ext.scale(beta, y)
    layer = list(values)
    root = pow(root_of_unity(3), -1, P)
    while len(layer) > 1:
        count = len(layer) // 2
        folded = []
        for t in range(count):
            low, high = layer[t], layer[t + count]
            slope = ext.scale(ext.multiply(u, ext.subtract(low, high)), pow(root, t, P))
            folded.append(ext.scale(ext.add(ext.add(low, high), slope), half))
        layer, u, root = folded, ext.multiply(u, u), root * root % P
    return layer[0]
