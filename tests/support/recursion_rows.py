"""Rows of the recursion tables in plain Python, honest ones and forged ones.

A forger adds something to one cell, and computes all cells that follow from it as an honest prover
would. So a forgery breaks the constraint of that cell and no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul

import numpy as np

from stark.constraints.air import Air
from stark.constraints.expression import Part
from stark.debug.faults import ConstraintFault, faults
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P, inverse, root_of_unity
from stark.hash.poseidon import POSEIDON1, full_matrix, round_constants
from stark.system import System

Cells = dict[str, int]
Forgery = Mapping[str, int]
"""What is added to cells, by name."""

HALF = inverse(2)


def broken(air: Air, rows: Sequence[Cells], publics: Sequence[int] = ()) -> set[tuple[int, str]]:
    """(row, label) of all constraints that fail; messages are not looked at."""
    system = System([air])
    (table,) = system.tables
    names = table.symbolic.columns[Part.MAIN]
    trace = np.array([[row[name] for name in names] for row in rows], np.int64)
    found = faults(system, {air.name: trace}, {air.name: list(publics)}, limit=1 << 20)
    return {(f.row, f.label) for f in found if isinstance(f, ConstraintFault)}


def labels(air: Air) -> list[str]:
    """Labels of the constraints of an AIR."""
    return [constraint.label for constraint in System([air]).tables[0].symbolic.constraints]


def columns(names: Sequence[str], rows: Sequence[Mapping[str, int]]) -> dict[str, list[int]]:
    """Preprocessed columns from rows that name what is not zero."""
    unknown = {name for row in rows for name in row} - set(names)
    if unknown:
        raise AssertionError(f"no columns {unknown}")
    return {name: [row.get(name, 0) % P for row in rows] for name in names}


def element(cells: Cells, name: str) -> Element:
    return ext.from_coefficients([cells[f"{name}[{k}]"] for k in range(5)])


class Writer:
    """Cells of a row, written in order; what a forger adds is added as they are written."""

    def __init__(self, forged: Forgery) -> None:
        self.cells: Cells = {}
        self._forged = forged

    def base(self, name: str, value: int) -> int:
        self.cells[name] = (value + self._forged.get(name, 0)) % P
        return self.cells[name]

    def array(self, name: str, values: Sequence[int]) -> list[int]:
        return [self.base(f"{name}[{k}]", value) for k, value in enumerate(values)]

    def element(self, name: str, value: Element) -> Element:
        return ext.from_coefficients(self.array(name, value))


# ---- arithmetic


def arithmetic_row(
    fixed: Mapping[str, int], a: Element, b: Element, c: Element, forged: Forgery
) -> Cells:
    row = Writer(forged)
    a, b, c = row.element("a", a), row.element("b", b), row.element("c", c)
    terms = [
        ext.scale(ext.multiply(a, b), fixed.get("ab", 0)),
        ext.scale(ext.multiply(c, ext.subtract(a, b)), fixed.get("cab", 0)),
        ext.scale(a, fixed.get("qa", 0)),
        ext.scale(b, fixed.get("qb", 0)),
        ext.scale(c, fixed.get("qc", 0)),
        ext.from_base(fixed.get("q0", 0)),
        ext.scale(ext.BASIS[1], fixed.get("qx", 0)),
    ]
    row.element("d", ext.total(terms))
    return row.cells


# ---- decomposition


def decomposition_row(
    value: int, widths: Sequence[int], taken: int, log_order: int, forged: Forgery
) -> Cells:
    """``value`` below 2^31; ``taken`` one of the widths or 0."""
    row = Writer(forged)
    bits = row.array("bit", [value >> k & 1 for k in range(31)])
    top = row.base("top[0]", bits[24] * bits[25] * bits[26])
    top = row.base("top[1]", top * bits[27] * bits[28])
    row.base("top[2]", top * bits[29] * bits[30])
    root = inverse(root_of_unity(log_order))
    factors = [1 + bit * (pow(root, 1 << k, P) - 1) for k, bit in enumerate(bits[:log_order])]
    product = 1
    for number in range((log_order + 1) // 2):
        for factor in factors[2 * number : 2 * number + 2]:
            product = product * factor % P
        product = row.base(f"y[{number}]", product)
    row.base("low", sum(bit << k for k, bit in enumerate(bits[:taken])))
    return row.cells


# ---- fold


def fold_row(
    leaf: Sequence[Element], beta: Element, index: int, log_size: int, forged: Forgery
) -> Cells:
    """The row of a query at ``index`` of a layer of 2^log_size values, at least eight."""
    weight = 1 << log_size >> 3
    row = Writer(forged)
    v = [row.element(f"v{slot}", value) for slot, value in enumerate(leaf)]
    beta = row.element("beta", beta)
    bits = row.array("bit", [index // weight >> k & 1 for k in range(3)])
    index_out = row.base("index_out", index % weight)
    row.base("index", index_out + weight * sum(bit << k for k, bit in enumerate(bits)))
    y = row.base("y", pow(root_of_unity(log_size), -index, P))
    y2 = row.base("y2", y * y)
    y4 = row.base("y4", y2 * y2)
    row.base("y_out", y4 * y4)
    z = root_of_unity(3)
    shift = 1
    for k, bit in enumerate(bits):
        shift = shift * (1 + bit * (pow(z, 1 << k, P) - 1)) % P
    shift = row.base("shift", shift)
    u = row.element("u", ext.scale(beta, y * shift))
    u2 = row.element("u2", ext.multiply(u, u))
    g = [
        row.element(f"g{t}", binary_fold(v[t], v[t + 4], ext.scale(u, pow(z, -t, P))))
        for t in range(4)
    ]
    h = [
        row.element(f"h{t}", binary_fold(g[t], g[t + 2], ext.scale(u2, pow(z, -2 * t, P))))
        for t in range(2)
    ]
    row.element("result", binary_fold(h[0], h[1], ext.multiply(u2, u2)))
    m = [select(bits[2], v[t], v[t + 4]) for t in range(4)]
    n = [row.element(f"n{t}", select(bits[1], m[t], m[t + 2])) for t in range(2)]
    row.element("value", select(bits[0], n[0], n[1]))
    return row.cells


def binary_fold(a: Element, b: Element, factor: Element) -> Element:
    odd = ext.multiply(factor, ext.subtract(a, b))
    return ext.scale(ext.total([a, b, odd]), HALF)


def select(bit: int, zero: Element, one: Element) -> Element:
    return ext.add(zero, ext.scale(ext.subtract(one, zero), bit))


# ---- permutation


@dataclass
class Step:
    """What a permutation row is told: its fixed columns, and inputs that nothing else says."""

    fixed: dict[str, int] = field(default_factory=dict)
    x: Sequence[int] = (0,) * 16
    bit: int = 0
    index: int = 0
    multiplicity: int = 0


def permutation_rows(
    steps: Sequence[Step], forged: Mapping[int, Forgery], honest: Sequence[Cells] = ()
) -> list[Cells]:
    """``forged`` by row; ``honest`` may have the rows without it, which start like these."""
    rows = list(honest[: min(forged, default=len(steps))])
    for number in range(len(rows), len(steps)):
        before = rows[-1] if rows else None
        flags = steps[number - 1].fixed if rows else {}
        rows.append(_permutation_row(steps[number], before, flags, forged.get(number, {})))
    return rows


def _permutation_row(
    step: Step, before: Cells | None, flags: Mapping[str, int], forged: Forgery
) -> Cells:
    row = Writer(forged)
    bit = row.base("bit", step.bit)
    index = step.index
    if before is not None and flags.get("index next"):
        index = before["index"] - flags.get("weight next", 0) * bit
    row.base("index", index)
    x = row.array("hash.x", _inputs(step, before, flags, bit))
    y = permutation_cells(row, x)
    gamma: Sequence[int] = (3, 1, 4, 1, 5)
    if step.fixed.get("gamma here"):
        gamma = y[:5]
    elif before is not None and flags.get("gamma next"):
        gamma = element(before, "gamma")
    point = row.element("gamma", ext.from_coefficients(gamma))
    acc = ext.ZERO
    if before is not None:
        block = ext.from_coefficients([before[f"hash.x[{lane}]"] for lane in range(3, 8)])
        acc = element(before, "acc")
        acc = ext.total(
            [
                ext.scale(element(before, "h8"), flags.get("base next", 0)),
                ext.scale(
                    ext.add(ext.multiply(acc, element(before, "gamma")), block),
                    flags.get("extension next", 0),
                ),
                ext.scale(acc, flags.get("keep next", 0)),
            ]
        )
    acc = row.element("acc", acc)
    for lane in range(0, 8, 2):
        for value in x[lane : lane + 2]:
            acc = ext.add(ext.multiply(acc, point), ext.from_base(value))
        acc = row.element(f"h{lane + 2}", acc)
    row.base("multiplicity", step.multiplicity)
    return row.cells


def _inputs(step: Step, before: Cells | None, flags: Mapping[str, int], bit: int) -> list[int]:
    x = list(step.x)
    if step.fixed.get("fresh"):
        x[8:] = [step.fixed["tag"], step.fixed["length"], 0, 0, 0, 0, 0, 0]
    if before is None:
        return x
    old = [before[f"hash.x[{lane}]"] for lane in range(16)]
    y = [before[f"hash.y[{lane}]"] for lane in range(16)]
    if flags.get("same next"):
        x = old
    if flags.get("capacity next"):
        x[8:] = y[8:]
    if flags.get("rate next"):
        x[:8] = y[:8]
    if flags.get("node next") or flags.get("leaf next"):
        for lane in range(8):
            child = y[lane] + (old[lane] if flags.get("node next") else 0)
            if bit:
                x[8 + lane] = (child - (1 - bit) * x[lane]) * inverse(bit) % P
            else:
                x[lane] = child % P
    return x


def permutation_cells(row: Writer, x: Sequence[int]) -> list[int]:
    """The states of a permutation, and its output."""
    constants = round_constants(POSEIDON1)
    state = list(x)
    for number in range(4):
        state = row.array(f"hash.full{number + 1}", _full_round(state, constants[number]))
    for number in range(20):
        state = [(a + b) % P for a, b in zip(state, constants[4 + number], strict=True)]
        state[0] = row.base(f"hash.z[{number}]", pow(state[0], 3, P))
        state = _mixed(state)
    for number in range(3):
        state = row.array(f"hash.full{number + 5}", _full_round(state, constants[24 + number]))
    return row.array("hash.y", _full_round(state, constants[27]))


def _full_round(state: Sequence[int], constants: Sequence[int]) -> list[int]:
    return _mixed([pow(a + b, 3, P) for a, b in zip(state, constants, strict=True)])


def _mixed(state: Sequence[int]) -> list[int]:
    return [sum(map(mul, line, state)) % P for line in full_matrix(POSEIDON1)]
