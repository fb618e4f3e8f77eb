"""A circuit's steps and fixed columns as the arrays that the witness kernel runs on.

The kernel checks no bounds: everything that it uses as a place is checked here, once per circuit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.errors import UsageError
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import scalar_to_montgomery, to_montgomery
from stark.recursion.circuit import STEP_WIDTH, Capacity, Circuit, Operation, Rate

Words = NDArray[np.uint32]
Integers = NDArray[np.int64]

READ = P - 1
RATE_LANES = 8
LEAF_WIRES = 8
OUTPUTS = 3
"""Wires that a row of the fold or decomposition table writes, one after the other."""

A_READS, B_READS, D_READS = 1, 2, 4
"""What an arithmetic row reads even if its operation could write it."""

FLAG_NAMES = (
    *("node next", "index next", "gamma next", "gamma here"),
    *("base next", "extension next", "keep next"),
    *("wire x", "wire y", "wire low", "wire high", "wire acc"),
    *("digest x", "digest high", "digest node", "digest leaf"),
    *(f"zero {lane}" for lane in range(7)),
)
FLAGS = {name: 1 << position for position, name in enumerate(FLAG_NAMES)}
"""Bits of a permutation row's flags."""

WIRE_READS, INDEX_READS, DIGEST_READS = (1 << len(FLAG_NAMES) + k for k in range(3))

NUMBER_NAMES = (
    *("wire address", "index address", "digest place", "digest size", "digest number"),
    *("cap", "tag", "length"),
)
"""Columns of a permutation row's numbers; tag and length are in Montgomery form."""


@dataclass(frozen=True)
class WitnessProgram:
    """What the kernel needs to know of a circuit.

    Attributes
    ----------
    steps
        (steps, STEP_WIDTH).
    operands
        Arithmetic rows, (rows, 5): the addresses of a, b, c, d, and which of them are read.
    coefficients
        Arithmetic rows, (rows, 7), Montgomery form.
    flags
        Permutation rows: bits of ``FLAGS``.
    numbers
        Permutation rows, (rows, 8): ``NUMBER_NAMES``. A digest has a place among all digests.
    places
        First place of a digest by address; a last entry for the number of places.
    writers
        Permutation rows whose digests have a free multiplicity.
    writer_places, fixed_counts
        Their digests, and how many of the reads are in their fixed counts.
    folds
        Fold rows, (rows, 7): addresses of v, beta, value, index, y, out, and the weight.
    decompositions
        Decomposition rows, (rows, 2): address, and how many low bits are taken.
    powers
        w^(-2^i) - 1 by i, Montgomery form.
    """

    steps: Integers
    operands: Integers
    coefficients: Words
    flags: Integers
    numbers: Integers
    places: Integers
    writers: Integers
    writer_places: Integers
    fixed_counts: Integers
    folds: Integers
    decompositions: Integers
    powers: Words

    @classmethod
    def of(cls, circuit: Circuit) -> WitnessProgram:
        """Raises ``UsageError`` if a step or a row refers to something that is not there."""
        steps = np.array(circuit.steps, np.int64).reshape(-1, STEP_WIDTH)
        sizes = np.ones(circuit.digest_count + 1, np.int64)
        for address, log_size in circuit.cap_heights.items():
            sizes[address] = 1 << log_size
        places = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        columns = {name: _Columns(table) for name, table in circuit.tables.items()}

        arithmetic = columns["arithmetic"]
        reads = sum(
            bit * (arithmetic[f"count {slot}"] == READ)
            for slot, bit in (("a", A_READS), ("b", B_READS), ("d", D_READS))
        )
        operands = np.stack(
            [*(arithmetic[f"address {slot}"] for slot in "abcd"), np.asarray(reads)], axis=1
        )
        names = ("ab", "cab", "qa", "qb", "qc", "q0", "qx")
        coefficients = np.stack([arithmetic[name] for name in names], axis=1)
        permutation = columns["permutation"]
        addresses = permutation["digest address"]
        _inside("digest addresses of permutations", addresses, 0, circuit.digest_count)
        numbers = permutation.numbers(places[addresses], sizes[addresses] * (addresses > 0))
        writers = np.flatnonzero((permutation["free"] != 0) & (addresses > 0))
        fold = columns["fold"]
        folded = ("v", "beta", "value", "index", "y", "out")
        folds = np.stack([*(fold[f"address {name}"] for name in folded), fold["weight"]], axis=1)
        decomposition = columns["decomposition"]
        takes = [decomposition[f"take {width}"] for width in circuit.widths]
        _inside("takes of a decomposition", np.sum(takes, axis=0), 0, 1)
        taken = sum(width * take for width, take in zip(circuit.widths, takes, strict=True))
        result = cls(
            steps=steps,
            operands=np.ascontiguousarray(operands),
            coefficients=to_montgomery(coefficients),
            flags=permutation.flags(),
            numbers=numbers,
            places=places,
            writers=writers,
            writer_places=(places[addresses] + permutation["digest number"])[writers],
            fixed_counts=permutation["digest count"][writers],
            folds=np.ascontiguousarray(folds),
            decompositions=np.stack([decomposition["address"], np.asarray(taken)], axis=1),
            powers=_powers(circuit.log_order),
        )
        _Checks(circuit, result).run()
        return result


class _Columns:
    """The fixed columns of a table as arrays."""

    def __init__(self, columns: Mapping[str, Sequence[int]]) -> None:
        self._columns = {name: np.array(values, np.int64) for name, values in columns.items()}

    def __getitem__(self, name: str) -> Integers:
        return self._columns[name]

    def flags(self) -> Integers:
        result = sum(bit * (self[name] != 0) for name, bit in FLAGS.items())
        for name, bit in (
            ("wire", WIRE_READS),
            ("index", INDEX_READS),
            ("digest", DIGEST_READS),
        ):
            result = result + bit * (self[f"{name} count"] == READ)
        return np.asarray(result, np.int64)

    def numbers(self, places: Integers, sizes: Integers) -> Integers:
        def montgomery(name: str) -> Integers:
            return to_montgomery(self[name]).astype(np.int64)

        columns = [self["wire address"], self["index address"], places, sizes]
        columns += [self["digest number"], self["cap"], montgomery("tag"), montgomery("length")]
        return np.stack(columns, axis=1)


def _powers(log_order: int) -> Words:
    """w^(-2^i) - 1: w^(2^i) has order 2^(log_order - i)."""
    inverses = (pow(root_of_unity(log_order - i), -1, P) for i in range(log_order))
    return np.array([scalar_to_montgomery(value - 1) for value in inverses], np.uint32)


@dataclass(frozen=True)
class _Checks:
    """That every place is inside its array."""

    circuit: Circuit
    program: WitnessProgram

    def run(self) -> None:
        program, circuit = self.program, self.circuit
        wires, digests = circuit.wire_count, circuit.digest_count
        _inside("arithmetic addresses", program.operands[:, :4], 0, wires)
        _inside("wire addresses of permutations", program.numbers[:, :2], 0, wires)
        _inside("leaves of folds", program.folds[:, 0], 0, wires + 1 - LEAF_WIRES)
        _inside("addresses of folds", program.folds[:, 1:5], 0, wires)
        _inside("outputs of folds", program.folds[:, 5], 0, wires + 1 - OUTPUTS)
        _inside("weights of folds", program.folds[:, 6], 0, P - 1)
        outputs = program.decompositions[:, 0]
        _inside("outputs of decompositions", outputs, 0, wires + 1 - OUTPUTS)
        _inside("digest numbers", program.numbers[:, 4], 0, P - 1)
        _inside("factors of indices", program.numbers[:, 5], 0, P - 1)
        # A row that writes a digest writes inside its own address, at a fixed number.
        writes = (program.numbers[:, 3] > 0) & (program.flags & DIGEST_READS == 0)
        written = program.numbers[writes]
        if (written[:, 4] >= written[:, 3]).any() or written[:, 5].any():
            raise UsageError("a circuit writes a digest outside its address")

        steps = program.steps
        rows = circuit.rows
        taken = 0
        for operation in Operation:
            chosen = steps[steps[:, 0] == operation]
            _inside(f"rows of {operation.name}", chosen[:, 1], 0, rows[_TABLES[operation]] - 1)
            first, second = chosen[:, 2], chosen[:, 3]
            if operation == Operation.BIT:
                _inside("wires of bits", first, 1, wires)
                _inside("numbers of bits", second, 0, 30)
            elif operation == Operation.DECOMPOSE:
                _inside("wires of decompositions", first, 1, wires)
                _inside("coordinates", second, 0, 4)
            elif operation == Operation.PERMUTE:
                taken = self._permutations(chosen, wires, digests)
            elif operation == Operation.PLACE and not program.folds[chosen[:, 1], 6].all():
                raise UsageError("a fold has no weight")
        self._folds_follow_places(steps)
        if not np.isin(steps[:, 0], list(Operation)).all():
            raise UsageError("a circuit has an unknown operation")
        if taken != circuit.hint_count:
            raise UsageError(f"the steps take {taken} values, the circuit {circuit.hint_count}")

    def _folds_follow_places(self, steps: Integers) -> None:
        """A fold goes on from the cells of its row that a step before has computed."""
        placed = np.full(self.circuit.rows["fold"], len(steps))
        for operation in (Operation.PLACE, Operation.FOLD):
            numbers = np.flatnonzero(steps[:, 0] == operation)
            if operation == Operation.PLACE:
                placed[steps[numbers, 1]] = numbers
            elif (placed[steps[numbers, 1]] > numbers).any():
                raise UsageError("a circuit folds a leaf whose place is not known")

    def _permutations(self, steps: Integers, wires: int, digests: int) -> int:
        """The number of values that they take."""
        rate, argument, capacity, second, level = (steps[:, k] for k in range(2, 7))
        if len(steps) and (np.diff(steps[:, 1]) <= 0).any():
            raise UsageError("permutations must be computed in the order of their rows")
        _inside("rates", rate, min(Rate), max(Rate))
        _inside("capacities", capacity, min(Capacity), max(Capacity))
        _inside("levels", level, 0, 30)
        hints = argument[rate == Rate.HINTS]
        _inside("numbers of values", hints, 0, RATE_LANES)
        _inside("wires of rates", argument[(rate == Rate.WIRE) | (rate == Rate.HALVES)], 1, wires)
        _inside("second wires of rates", second[rate == Rate.HALVES], 1, wires)
        used = argument[(rate == Rate.DIGEST) | (rate == Rate.PAIR)]
        _inside("digests of rates", used, 1, digests)
        _inside("digests of capacities", second[capacity == Capacity.DIGEST], 1, digests)
        whole = np.isin(rate, [Rate.SAME, Rate.PATH, Rate.PAIR])
        if (whole != (capacity == Capacity.WITH_RATE)).any():
            raise UsageError("a permutation has no capacity, or two")
        return int(hints.sum()) + RATE_LANES * int((rate == Rate.PATH).sum())


_TABLES = {
    Operation.EVALUATE: "arithmetic",
    Operation.INVERT: "arithmetic",
    Operation.BIT: "arithmetic",
    Operation.PERMUTE: "permutation",
    Operation.PLACE: "fold",
    Operation.FOLD: "fold",
    Operation.DECOMPOSE: "decomposition",
}


def _inside(name: str, values: NDArray[Any], low: int, high: int) -> None:
    if values.size and not (low <= int(values.min()) and int(values.max()) <= high):
        raise UsageError(f"{name} of a circuit must be in {low} ... {high}")
