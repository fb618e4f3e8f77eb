"""Finished circuits, judged by their columns alone.

Honest proofs say nothing about what a cheating prover may choose: a read that is left out, a lane
that nothing fixes. These rules are read off the tables, not off the code that writes circuits.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from support.recursion_systems import recursion

from stark.field.koalabear import P
from stark.recursion.circuit import STEP_WIDTH, Circuit, Operation, Rate

READ = P - 1
RATE = range(8)
CAPACITY = range(8, 16)
HORNER = ("base next", "extension next", "keep next")
PARENTS = ("node next", "leaf next")
COMPARED = ("digest node", "digest leaf")
OUTPUTS = ("wire y", "gamma here", *COMPARED, "capacity next", "rate next", *PARENTS)

LANES = {
    "wire x": range(3, 8),
    "wire low": range(5),
    "wire high": range(5, 8),
    "digest x": RATE,
    "digest high": CAPACITY,
}
"""Lanes of a row's input that a message holds."""

KINDS = (
    *("one table", "folds of two", "folds of four", "three heights", "equal heights"),
    *("caps as high as the only tree", "roots", "no layer of several tables"),
    *("largest without bus and fixed columns", "many public values", "masks", "work"),
)


class Reader:
    """The rows of a circuit's permutations, with the rows' classes: rows that have one input."""

    def __init__(self, circuit: Circuit) -> None:
        self.circuit = circuit
        self.columns = circuit.permutation
        self.count = len(self.columns["fresh"])
        self.rates: dict[int, tuple[int, int]] = {}
        for start in range(0, len(circuit.steps), STEP_WIDTH):
            operation, row, rate, argument = circuit.steps[start : start + 4]
            if operation == Operation.PERMUTE:
                self.rates[row] = rate, argument
        caps: dict[int, set[int]] = defaultdict(set)
        for row in range(self.count):
            if self.at(row, "free"):
                caps[self.at(row, "digest address")].add(self.at(row, "digest number"))
        self.caps = caps

    def at(self, row: int, name: str) -> int:
        return self.columns[name][row] if row >= 0 else 0

    def any(self, row: int, names: Sequence[str]) -> bool:
        return any(self.at(row, name) for name in names)

    def reads_digest(self, row: int) -> bool:
        return bool(self.at(row, "digest address")) and self.at(row, "digest count") == READ


def mistakes(circuit: Circuit) -> list[Any]:
    """What is wrong with a circuit; empty if nothing is found."""
    reader = Reader(circuit)
    return [
        *wire_mistakes(circuit, reader),
        *digest_mistakes(reader),
        *operand_mistakes(circuit),
        *path_mistakes(reader),
        *span_mistakes(circuit, reader),
        *lane_mistakes(reader),
        *sum_mistakes(reader),
        *gamma_mistakes(reader),
    ]


def wire_messages(circuit: Circuit) -> Iterator[tuple[int, int]]:
    arithmetic, fold, bits = circuit.arithmetic, circuit.fold, circuit.decomposition
    for slot in "abcd":
        yield from zip(arithmetic[f"address {slot}"], arithmetic[f"count {slot}"], strict=True)
    for row, active in enumerate(fold["active"]):
        reads = [fold["address v"][row] + k for k in range(8)]
        reads += [fold[f"address {name}"][row] for name in ("beta", "value", "index", "y")]
        yield from ((address, -active % P) for address in reads)
        for offset, name in enumerate(("result", "index out", "y out")):
            yield fold["address out"][row] + offset, fold[f"count {name}"][row]
    for offset, name in enumerate(("v", "low", "y")):
        yield from (
            (a + offset, c) for a, c in zip(bits["address"], bits[f"count {name}"], strict=True)
        )
    for kind in ("wire", "index"):
        rows = circuit.permutation
        yield from zip(rows[f"{kind} address"], rows[f"{kind} count"], strict=True)


def wire_mistakes(circuit: Circuit, reader: Reader) -> Iterator[Any]:
    """One writer, whose count is that of the reads; a message is one of the things it can be."""
    writes: dict[int, list[int]] = defaultdict(list)
    reads: Counter[int] = Counter()
    for address, count in wire_messages(circuit):
        if address == 0 and count:
            yield "a message about address 0"
        elif address and count == READ:
            reads[address] += 1
        elif address:
            writes[address].append(count)
    for address in reads.keys() | writes.keys():
        if writes[address] != [reads[address]]:
            yield "wire", address, writes[address], reads[address]
    for row in range(reader.count):
        for kind in ("wire", "digest"):
            names = [n for n in reader.columns if n.startswith(f"{kind} ")][1:]
            flags = sum(reader.at(row, n) for n in names if n.split()[1] not in ("count", "number"))
            if flags != bool(reader.at(row, f"{kind} address")):
                yield "flags of a message", kind, row


def digest_mistakes(reader: Reader) -> Iterator[Any]:
    writes: dict[int, list[int]] = defaultdict(list)
    reads: Counter[int] = Counter()
    for row in range(reader.count):
        address = reader.at(row, "digest address")
        if address == 0:
            if reader.any(row, ("digest count", "free", "cap", "digest number")):
                yield "a digest without an address", row
        elif reader.at(row, "free"):
            if reader.any(row, ("digest count", "cap")):
                yield "a cap's digest that is counted", row
        elif reader.reads_digest(row):
            reads[address] += 1
            # What a path ends with is compared at the place where its index ends.
            if bool(reader.at(row, "cap")) != reader.any(row, COMPARED):
                yield "a comparison without a place", row
            if address in reader.caps and not reader.at(row, "cap"):
                yield "a cap's digest without a place", row
        else:
            writes[address].append(reader.at(row, "digest count"))
        if reader.at(row, "digest number") and not reader.at(row, "free"):
            yield "a number", row
    for address in reads.keys() | writes.keys():
        expected = [] if address in reader.caps else [reads[address]]
        if writes[address] != expected:
            yield "digest", address, writes[address], reads[address]
    for address, numbers in reader.caps.items():
        if numbers != set(range(len(numbers))) or len(numbers) & (len(numbers) - 1):
            yield "the numbers of a cap", address


def operand_mistakes(circuit: Circuit) -> Iterator[Any]:
    """An operand that is no wire has no coefficient; every row has a result."""
    columns = circuit.arithmetic
    users = {"a": ("ab", "cab", "qa"), "b": ("ab", "cab", "qb"), "c": ("cab", "qc")}
    for row, result in enumerate(columns["address d"]):
        if not result:
            yield "no result", row
        for slot, names in users.items():
            if not columns[f"address {slot}"][row] and any(columns[n][row] for n in names):
                yield "a free operand", row, slot


def path_mistakes(reader: Reader) -> Iterator[Any]:
    """From a look-up back to the index: weights double, from the size of the cap on, a parent each;
    other parents are straight and read their second half."""
    for end, start, weights, size in paths(reader):
        if start < 0:
            yield "an index from nowhere", end
        if weights != [size << k for k in range(len(weights))]:
            yield "weights", end
    for row in range(reader.count):
        parents = sum(reader.at(row, name) for name in PARENTS)
        if parents != 1 and (parents or reader.at(row, "weight next")):
            yield "a weight without a parent", row
        if parents and not reader.at(row, "weight next"):
            after = row + 1
            second = reader.at(after, "digest high") and reader.reads_digest(after)
            if not (reader.at(after, "straight") and second):
                yield "a parent whose halves are free", row


def paths(reader: Reader) -> Iterator[tuple[int, int, list[int], int]]:
    """Of every look-up: its row, the row that reads the index or -1, weights from the last on, and
    the size of the cap."""
    for end in range(reader.count):
        if not reader.at(end, "cap"):
            continue
        weights, row = [], end
        while row >= 0 and reader.at(row, "index count") != READ:
            row = row - 1 if reader.at(row - 1, "index next") else -1
            if reader.at(row, "weight next"):
                weights.append(reader.at(row, "weight next"))
        yield end, row, weights, len(reader.caps.get(reader.at(end, "digest address"), {0}))


def span_mistakes(circuit: Circuit, reader: Reader) -> Iterator[Any]:
    """The places that an index can have are those that its path reaches: so slots are unique."""
    spans: dict[int, set[int]] = defaultdict(set)
    for _, start, weights, size in paths(reader):
        spans[reader.at(start, "index address")].add(size << len(weights))
    fold, bits = circuit.fold, circuit.decomposition
    for row, weight in enumerate(fold["weight"]):
        if spans[fold["address out"][row] + 1] != {weight}:
            yield "a fold's position has another span", row
    for row, address in enumerate(bits["address"]):
        taken = {1 << w for w in circuit.widths if bits[f"take {w}"][row]}
        if spans[address + 1] and spans[address + 1] != taken:
            yield "an index has another span", row


def lane_mistakes(reader: Reader) -> Iterator[Any]:
    """Lanes of an input that is used are bound, but for those that come from the inner proof."""
    classes: dict[int, list[int]] = {}
    first = 0
    for row in range(reader.count):
        first = first if reader.at(row - 1, "same next") else row
        classes.setdefault(first, []).append(row)
    for first, rows in classes.items():
        bound = {lane for row in rows for lane in bound_lanes(reader, row)}
        rate, count = reader.rates.get(first, (None, 0))
        parent = reader.any(first - 1, PARENTS) and not reader.at(first, "straight")
        if parent:
            if rate != Rate.PATH or bound:
                yield "a parent of a path", first
            continue
        free = set(range(16)) - bound
        hints = set(range(8 - count, 8)) if rate == Rate.HINTS else set()
        if not hints <= free:
            yield "a value of the proof that is bound twice", first
        needed = {lane for row in rows for lane in needed_lanes(reader, row)}
        if free & needed - hints:
            yield "free lanes", first, free & needed - hints


def needed_lanes(reader: Reader, row: int) -> Iterator[int]:
    """Lanes of a row's input that matter: all if the output is used, those that it writes."""
    if row == reader.count - 1 or reader.any(row, OUTPUTS):
        yield from range(16)
    for name, lanes in LANES.items():
        yield from lanes if reader.at(row, name) else ()


def bound_lanes(reader: Reader, row: int) -> Iterator[int]:
    """Lanes of a row's input that a constraint or a message fixes."""
    yield from (lane for lane in range(7) if reader.at(row, f"zero {lane}"))
    if reader.at(row, "fresh") or reader.at(row - 1, "capacity next"):
        yield from CAPACITY
    if reader.at(row - 1, "rate next"):
        yield from RATE
    if reader.any(row - 1, PARENTS) and reader.at(row, "straight"):
        yield from RATE
    reads = {"digest": reader.reads_digest(row), "wire": reader.at(row, "wire count") == READ}
    for name, lanes in LANES.items():
        yield from lanes if reads[name.split()[0]] and reader.at(row, name) else ()


def sum_mistakes(reader: Reader) -> Iterator[Any]:
    """Sums run over the blocks of one leaf, start from zero, and the row after them writes them."""
    for row in range(reader.count):
        runs, before = reader.any(row, HORNER), reader.any(row - 1, HORNER)
        if reader.at(row, "wire acc") != (before and not runs):
            yield "a sum that is not written where it ends", row
        if runs and before and not reader.at(row - 1, "capacity next"):
            yield "a sum that goes on from another", row
        if before and not runs and reader.at(row - 1, "capacity next"):
            yield "a sum that ends before its leaf", row
        if runs and not (reader.at(row, "fresh") or reader.at(row - 1, "capacity next")):
            yield "a sum over what is not hashed", row


def gamma_mistakes(reader: Reader) -> Iterator[Any]:
    """One challenge per proof, drawn by a squeeze, for all sums up to the next."""
    drawn = False
    for row in range(reader.count):
        if reader.at(row, "gamma here"):
            drawn = True
            if not (reader.at(row - 1, "rate next") and reader.at(row, "wire y")):
                yield "a point that is not squeezed", row
            if reader.at(row - 1, "gamma next"):
                yield "two points", row
        elif not reader.at(row - 1, "gamma next"):
            drawn = False
        if not drawn and reader.any(row, ("base next", "extension next")):
            yield "a sum without a point", row


@pytest.mark.parametrize("kind", KINDS)
def test_circuits_leave_nothing_open(kind: str) -> None:
    assert list(mistakes(recursion(kind).circuit)) == []


UNSEEN = {
    # What a row computes, not what is free: honest proofs would fail.
    *(("arithmetic", name) for name in ("ab", "cab", "qa", "qb", "qc", "q0", "qx")),
    *(("permutation", name) for name in ("tag", "length", "base next", "extension next")),
    ("decomposition", "take"),
    # Bits of rows that are no parents fill nothing.
    ("permutation", "straight"),
    # After the last sum nobody needs the point.
    ("permutation", "gamma next"),
}


@pytest.mark.parametrize("kind", ["three heights", "masks"])
def test_what_is_left_out_is_found(kind: str) -> None:
    circuit = recursion(kind).circuit
    random = Random(5)
    for table, columns in circuit.tables.items():
        for name, values in columns.items():
            places = [row for row, value in enumerate(values) if value]
            for row in random.sample(places, min(len(places), 3)):
                changed = {**columns, name: [*values[:row], 0, *values[row + 1 :]]}
                found = mistakes(replace(circuit, **{table: changed}))
                if not found:
                    assert (
                        table,
                        name.split(" ")[0] if name.startswith("take") else name,
                    ) in UNSEEN
