"""Wrong bits, where nothing but the place of a look-up can refuse them.

The inner proof is over a constant trace: all its leaves and all nodes of a level are equal, every
codeword is a constant. So whatever leaf a query is led to, hashes, sums and folds come out right.
What is left is the number at which a path ends, in the cap of its own tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.recursion_inner import Recursion, algebraic, inner_case
from support.recursion_rows import fold_row
from support.recursion_systems import publics

from stark.constraints.expression import Part
from stark.debug.faults import BusFault, Fault, faults
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery
from stark.recursion import reference
from stark.recursion.circuit import STEP_WIDTH, Circuit, Operation, Rate
from stark.recursion.reference_rows import FoldRow, Witness
from stark.recursion.system import circuit_system
from stark.system import System

Traces = dict[str, NDArray[np.int64]]

CASES: Mapping[str, Mapping[str, Any]] = {
    "folds of eight": {"log_final_length": 0},
    "folds of four": {"log_max_arity": 2},
    "folds of two": {"log_max_arity": 1, "cap_height": 0},
    "high caps": {"log_max_arity": 2, "log_final_length": 4, "cap_height": 5},
}


class Honest:
    """A circuit over the proof of a constant trace, with the traces that satisfy it."""

    def __init__(self, changes: Mapping[str, Any]) -> None:
        case = inner_case(publics(3, 6), algebraic(queries=2, **changes))
        self.recursion = Recursion(case)
        self.circuit: Circuit = self.recursion.circuit
        hints = self.recursion.hints(case.prove())
        self.hints = [int(value) for value in hints]
        shape = self.recursion.shape
        self.system: System = circuit_system(
            shape, zk=False, whole_rows=False, circuit=self.circuit
        )
        witness = self.recursion.generator.run(hints)
        self.publics = {"permutation": list(witness.public)}
        self.names = {table.name: table.symbolic.columns[Part.MAIN] for table in self.system.tables}
        self.traces: Traces = {
            name: from_montgomery(trace.matrix)[:, : len(self.names[name])].astype(np.int64)
            for name, trace in witness.traces.items()
        }

    def column(self, table: str, name: str) -> int:
        return self.names[table].index(name)

    @property
    def path_bits(self) -> dict[int, int]:
        """By row, the bits of all paths."""
        steps = self.circuit.steps
        bits = self.traces["permutation"][:, self.column("permutation", "bit")]
        return {
            steps[start + 1]: int(bits[steps[start + 1]])
            for start in range(0, len(steps), STEP_WIDTH)
            if steps[start] == Operation.PERMUTE and steps[start + 2] == Rate.PATH
        }

    def broken(self, traces: Traces) -> list[Fault]:
        return faults(self.system, traces, self.publics, limit=1 << 10)


class _Chosen(int):
    """An index whose bits are said."""

    bit = 0

    def __rshift__(self, level: int) -> int:
        return self.bit


class Cheater(reference._Execution):
    """Executes a circuit with bits and slots that it is told, and lets all checks fail.

    Bits that are not told are those of the honest prover, whatever the index has become.
    """

    def __init__(
        self,
        honest: Honest,
        path_bits: Mapping[int, int] | None = None,
        slots: Mapping[int, int] | None = None,
        bits: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__(honest.circuit, honest.hints)
        self.path_bits = honest.path_bits | dict(path_bits or {})
        self.slots, self.bits = slots or {}, bits or {}
        columns = honest.traces["fold"]
        first = honest.column("fold", "bit[0]")
        self.honest_slots = [int(sum(row[first + k] << k for k in range(3))) for row in columns]
        wires = honest.traces["arithmetic"][:, 0]
        self.honest_bits = wires

    def run(self) -> Witness:
        steps = self.circuit.steps
        for start in range(0, len(steps), STEP_WIDTH):
            self.step(steps[start], steps[start + 1], list(steps[start + 2 : start + STEP_WIDTH]))
        return self.witness

    def permute(self, row: int, arguments: Any) -> None:
        before = self.witness.permutation[row - 1] if row else None
        if row not in self.path_bits or before is None:
            super().permute(row, arguments)
            return
        index = before.index
        before.index = _Chosen(index)
        before.index.bit = self.path_bits[row] & 1  # type: ignore[attr-defined]
        super().permute(row, arguments)
        before.index = index
        found = self.witness.permutation[row]
        if found is not None:
            found.index %= P

    def place(self, row: int) -> None:
        at = {name: column[row] for name, column in self.circuit.fold.items()}
        slot = self.slots.get(row, self.honest_slots[row])
        index, y = self.base(at["address index"]), self.base(at["address y"])
        cells = FoldRow(index, y, slot, (index - slot * at["weight"]) % P, pow(y, 8, P))
        self.witness.wires[at["address out"] + 1] = (cells.index_out, 0, 0, 0, 0)
        self.witness.wires[at["address out"] + 2] = (cells.y_out, 0, 0, 0, 0)
        self.witness.fold[row] = cells

    def bit(self, row: int, wire: int, number: int) -> None:
        columns = self.circuit.arithmetic
        value = (self.bits.get(row, int(self.honest_bits[row])), 0, 0, 0, 0)
        self.send(columns["address a"][row], columns["count a"][row], value)
        self.arithmetic(row, value, value, self.wire(columns["address c"][row]))


@pytest.fixture
def cheat(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Traces]:
    """The traces of a cheater, from the honest ones: hashes are the same."""
    monkeypatch.setattr(reference, "_require", lambda condition: None)

    def traces(honest: Honest, **told: Any) -> Traces:
        witness = Cheater(honest, **told).run()
        result = {name: matrix.copy() for name, matrix in honest.traces.items()}
        places = [honest.column("permutation", name) for name in ("bit", "index")]
        for number, row in enumerate(witness.permutation):
            if row is not None:
                result["permutation"][number, places] = row.bit, row.index
        for number, sums in enumerate(witness.arithmetic):
            if sums is not None:
                result["arithmetic"][number, :20] = [*sums.a, *sums.b, *sums.c, *sums.d]
        for number, fold in enumerate(witness.fold):
            if fold is not None:
                result["fold"][number] = fold_cells(honest, number, fold)
        return result

    return traces


def fold_cells(honest: Honest, number: int, fold: FoldRow) -> list[int]:
    """A fold's row with the slot and the position that it has."""
    weight = honest.circuit.fold["weight"][number]
    cells = fold_row(fold.values, fold.beta, fold.slot * weight, weight.bit_length() + 2, {})
    forged = {
        "index_out": (fold.index_out - cells["index_out"]) % P,
        "y": (fold.y - cells["y"]) % P,
    }
    cells = fold_row(fold.values, fold.beta, fold.slot * weight, weight.bit_length() + 2, forged)
    return [cells[name] for name in honest.names["fold"]]


@cache
def honest(name: str) -> Honest:
    return Honest(CASES[name])


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Honest:
    return honest(request.param)


def refused_by_the_cap_alone(made: Honest, traces: Traces) -> None:
    found = made.broken(traces)
    assert found
    assert all(isinstance(fault, BusFault) and fault.bus == "digest" for fault in found)


def test_the_honest_cheater_is_honest(case: Honest, cheat: Callable[..., Traces]) -> None:
    traces = cheat(case)
    assert not case.broken(traces)
    assert all((traces[name] == case.traces[name]).all() for name in traces)


def test_a_wrong_turn(case: Honest, cheat: Callable[..., Traces]) -> None:
    bits = case.path_bits
    assert bits
    for row in [*bits][:: max(1, len(bits) // 6)]:
        refused_by_the_cap_alone(case, cheat(case, path_bits={row: 1 - bits[row]}))


@pytest.mark.parametrize("name", ["folds of eight", "folds of two"])
def test_another_leaf(name: str, cheat: Callable[..., Traces]) -> None:
    # All bits of the first path are those of the leaf beside it, or of its opposite.
    case = honest(name)
    bits = case.path_bits
    path = [row for row in bits if row - min(bits) < 4]
    assert len(path) > 2
    for flips in (path, path[:2], path[1:]):
        told = {row: 1 - bits[row] for row in flips}
        refused_by_the_cap_alone(case, cheat(case, path_bits=told))


def test_another_slot(cheat: Callable[..., Traces]) -> None:
    case = honest("folds of eight")
    first = case.column("fold", "bit[0]")
    folds = len(case.circuit.fold["active"])
    assert folds == 4
    for row in range(folds):
        bits = case.traces["fold"][row, first : first + 3]
        slot = int(bits @ [1, 2, 4])
        for other in {slot ^ 1, slot ^ 6, (slot + 1) % 8} - {slot}:
            refused_by_the_cap_alone(case, cheat(case, slots={row: other}))


@pytest.mark.parametrize("name", ["folds of four", "folds of two", "high caps"])
def test_another_bit_of_a_written_fold(name: str, cheat: Callable[..., Traces]) -> None:
    case = honest(name)
    steps = case.circuit.steps
    rows = [
        steps[start + 1]
        for start in range(0, len(steps), STEP_WIDTH)
        if steps[start] == Operation.BIT
    ]
    assert rows
    for row in rows:
        told = {row: 1 - int(case.traces["arithmetic"][row, 0])}
        refused_by_the_cap_alone(case, cheat(case, bits=told))
