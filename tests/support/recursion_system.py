"""A tiny system of all four recursion tables with balanced buses, and its honest witness.

The permutation table runs the program of ``recursion_program``; the others take its challenge, the
leaf's sum and mask, a query's index and a fold through wires. Arithmetic rows assume what nobody
computes (a fold's leaf), and read what nobody else reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1
from stark.recursion.tables.arithmetic import ARITHMETIC_COLUMNS, ArithmeticAir
from stark.recursion.tables.decomposition import (
    DECOMPOSITION_COLUMNS,
    DecompositionAir,
    take_column,
)
from stark.recursion.tables.fold import FOLD_COLUMNS, FoldAir
from stark.recursion.tables.permutation import PERMUTATION_COLUMNS, PermutationAir
from stark.system import System
from support.recursion_program import INDEX, program
from support.recursion_rows import (
    Cells,
    Step,
    arithmetic_row,
    columns,
    decomposition_row,
    element,
    fold_row,
    permutation_rows,
)
from support.systems import Example

WIDTHS = (3, 6)
LOG_SIZE = 6
"""Of the layer that is folded."""

SLOT_AND_LEAF = 8 * 6 + 3

Fixed = dict[str, int]


@dataclass
class Wires:
    """Addresses, with what they hold and how often they are read."""

    values: dict[int, Element] = field(default_factory=dict)
    reads: Counter[int] = field(default_factory=Counter)

    def fresh(self, *values: Element) -> int:
        """The first address of consecutive wires."""
        first = len(self.values) + 1
        self.values |= dict(enumerate(values, start=first))
        return first

    def read(self, address: int) -> int:
        self.reads[address] += 1
        return address


@dataclass
class _Arithmetic:
    """Arithmetic rows; counts are known when all reads are."""

    wires: Wires
    fixed: list[Fixed] = field(default_factory=list)
    cells: list[Cells] = field(default_factory=list)

    def row(self, fixed: Mapping[str, int], operands: Sequence[Element]) -> Cells:
        a, b, c = (*operands, *[ext.ZERO] * (3 - len(operands)))
        self.fixed.append(dict(fixed))
        self.cells.append(arithmetic_row(fixed, a, b, c, {}))
        return self.cells[-1]

    def assume(self, *values: Element) -> int:
        """Wires written by a cell that nothing else binds."""
        first = self.wires.fresh(*values)
        for address, value in enumerate(values, start=first):
            self.row({"address a": address, "write a": 1}, [value])
        return first

    def combine(self, a: int, b: int, c: int) -> int:
        """a b + c (a - b) + 2 a + 3 b + 4 c + 5 + 6 x."""
        formula = {"ab": 1, "cab": 1, "qa": 2, "qb": 3, "qc": 4, "q0": 5, "qx": 6}
        reads: Fixed = {}
        for name, address in (("a", a), ("b", b), ("c", c)):
            reads |= {f"address {name}": self.wires.read(address), f"count {name}": P - 1}
        cells = self.row(formula | reads, [self.wires.values[address] for address in (a, b, c)])
        result = self.wires.fresh(element(cells, "d"))
        self.fixed[-1] |= {"address d": result, "write d": 1}
        return result

    def require(self, address: int) -> None:
        """Read a wire and require what it holds."""
        value = self.wires.values[address]
        other = self.assume(value)
        reads = {"address a": self.wires.read(address), "count a": P - 1}
        reads |= {"address d": self.wires.read(other), "count d": P - 1}
        self.row({"qa": 1} | reads, [value])


@cache
def example() -> Example:
    wires = Wires()
    arithmetic = _Arithmetic(wires)
    steps, rows = _permutations(wires)
    leaf = [ext.from_coefficients([slot, 1, P - 1, 0, slot * slot]) for slot in range(8)]
    fold_fixed, fold_cells = _fold(wires, arithmetic, leaf)
    decompositions, decomposed = _decompositions(wires)
    index, place = decompositions[0]["address"], decompositions[1]["address"]
    steps[5].fixed["index address"] = wires.read(index + 1)
    fold_fixed["address index"] = wires.read(place + 1)
    fold_fixed["address y"] = wires.read(place + 2)
    challenge = steps[1].fixed["wire address"]
    arithmetic.combine(challenge, index, place)
    for address in list(wires.values):
        if not wires.reads[address]:
            arithmetic.require(address)

    _count(
        arithmetic.fixed, wires, [(f"address {s}", 0, f"write {s}", f"count {s}") for s in "abcd"]
    )
    _count([step.fixed for step in steps], wires, [("wire address", 0, "write", "wire count")])
    writes = [
        ("address out", k, "active", f"count {n}")
        for k, n in enumerate(("result", "index out", "y out"))
    ]
    _count([fold_fixed], wires, writes)
    for row in decompositions:
        row |= {
            f"count {n}": wires.reads[row["address"] + k] for k, n in enumerate(("v", "low", "y"))
        }
    names = (*DECOMPOSITION_COLUMNS, *map(take_column, WIDTHS))
    log_height = (len(arithmetic.fixed) - 1).bit_length()
    filling = (1 << log_height) - len(arithmetic.fixed)
    zero = arithmetic_row({}, ext.ZERO, ext.ZERO, ext.ZERO, {})
    airs = [
        ArithmeticAir(log_height, columns(ARITHMETIC_COLUMNS, arithmetic.fixed + [{}] * filling)),
        PermutationAir(4, POSEIDON1, columns(PERMUTATION_COLUMNS, [s.fixed for s in steps])),
        FoldAir(2, columns(FOLD_COLUMNS, [fold_fixed, {}, {}, {}])),
        DecompositionAir(2, WIDTHS, LOG_SIZE, columns(names, [*decompositions, {}, {}])),
    ]
    idle = fold_row([ext.ZERO] * 8, ext.ZERO, 0, 3, {"y": P - 1})
    traces = {
        "arithmetic": _transposed(arithmetic.cells + [zero] * filling),
        "permutation": _transposed(rows),
        "fold": _transposed([fold_cells, idle, idle, idle]),
        "decomposition": _transposed(
            [*decomposed, *[decomposition_row(0, WIDTHS, 0, LOG_SIZE, {})] * 2]
        ),
    }
    publics = {"permutation": [rows[-1][f"hash.y[{lane}]"] for lane in range(8)]}
    return Example(System(airs), traces, publics)


def _permutations(wires: Wires) -> tuple[list[Step], list[Cells]]:
    """The program with its messages: wires of every kind, digests of every kind."""
    steps = [replace(step, fixed=dict(step.fixed)) for step in program()]
    steps[13] = replace(steps[13], multiplicity=1)
    rows = permutation_rows(steps, {})

    def lanes(row: int, name: str, first: int, end: int) -> Element:
        return ext.from_coefficients([rows[row][f"hash.{name}[{k}]"] for k in range(first, end)])

    for row, kind, value in (
        (1, "y", lanes(1, "y", 0, 5)),
        (3, "low", lanes(3, "x", 0, 5)),
        (4, "high", lanes(4, "x", 5, 8)),
        (5, "x", lanes(5, "x", 3, 8)),
        (6, "acc", element(rows[6], "acc")),
    ):
        steps[row].fixed |= {f"wire {kind}": 1, "wire address": wires.fresh(value), "write": 1}
    injected, cap, moved = 1, 2, 3
    for row, fixed in (
        (8, {"digest address": injected, "digest count": P - 1, "digest high": 1}),
        (9, {"digest address": cap, "digest count": P - 1}),
        (11, {"digest address": injected, "digest count": 1, "digest leaf": 1}),
        (12, {"digest address": cap}),
        (13, {"digest address": cap}),
        (0, {"digest address": moved, "digest count": 1, "digest x": 1}),
        (14, {"digest address": moved, "digest count": P - 1, "digest x": 1}),
    ):
        steps[row].fixed |= fixed
    return steps, rows


def _fold(wires: Wires, arithmetic: _Arithmetic, leaf: Sequence[Element]) -> tuple[Fixed, Cells]:
    """A fold with the program's challenge, but for its index and its point."""
    challenge = next(iter(wires.values))
    cells = fold_row(leaf, wires.values[challenge], SLOT_AND_LEAF, LOG_SIZE, {})
    first = arithmetic.assume(*leaf)
    for slot in range(8):
        wires.read(first + slot)
    value = arithmetic.assume(element(cells, "value"))
    out = (ext.from_base(cells[name]) for name in ("index_out", "y_out"))
    fixed = {
        "active": 1,
        "weight": 1 << LOG_SIZE >> 3,
        "address v": first,
        "address beta": wires.read(challenge),
        "address value": wires.read(value),
        "address out": wires.fresh(element(cells, "result"), *out),
    }
    return fixed, cells


def _decompositions(wires: Wires) -> tuple[list[Fixed], list[Cells]]:
    """The path's index, then the fold's, each the low bits of a larger number."""
    fixed, cells = [], []
    for value, width in ((P - 8 - 1 + INDEX, 3), (SLOT_AND_LEAF + (99 << 6), 6)):
        row = decomposition_row(value, WIDTHS, width, LOG_SIZE, {})
        last = row[f"y[{(LOG_SIZE + 1) // 2 - 1}]"]
        address = wires.fresh(*map(ext.from_base, (value, row["low"], last)))
        fixed.append({"address": address, take_column(width): 1})
        cells.append(row)
    return fixed, cells


def _count(
    rows: Sequence[Fixed], wires: Wires, writes: Sequence[tuple[str, int, str, str]]
) -> None:
    """Turn marks of writing cells into the number of reads; ``active`` stays."""
    for row in rows:
        for address, offset, mark, count in writes:
            if row.get(mark):
                row[count] = wires.reads[row[address] + offset]
            if mark != "active":
                row.pop(mark, None)


def _transposed(rows: Sequence[Cells]) -> dict[str, list[int]]:
    return {name: [row[name] for row in rows] for name in rows[0]}
