"""The kernel against plain execution, and both against the tables' constraints."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from support.recursion_circuits import LOG_ORDER, WIDTHS, RandomCircuit

from stark.constraints.expression import Part
from stark.debug.faults import explain, faults
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery
from stark.recursion import reference
from stark.recursion.circuit import STEP_WIDTH, Circuit, Operation
from stark.recursion.reference_rows import untouched
from stark.recursion.system import CircuitShape, circuit_system
from stark.recursion.unsatisfied import Unsatisfied
from stark.recursion.witness import CircuitWitness, WitnessGenerator

HEIGHTS = {"arithmetic": 10, "permutation": 8, "fold": 2, "decomposition": 8}


def random_circuit(seed: int) -> tuple[Circuit, list[int]]:
    random = RandomCircuit(seed)
    circuit = random.finish()
    return circuit, random.hints


def words(hints: list[int]) -> NDArray[np.uint32]:
    return np.array(hints, np.uint32)


def canonical(witness: CircuitWitness) -> dict[str, NDArray[np.uint32]]:
    return {name: from_montgomery(trace.matrix) for name, trace in witness.traces.items()}


@pytest.fixture(scope="module", params=range(4))
def case(request: pytest.FixtureRequest) -> tuple[Circuit, list[int]]:
    return random_circuit(request.param)


def test_wires_and_public_values_are_those_of_plain_execution(
    case: tuple[Circuit, list[int]],
) -> None:
    circuit, hints = case
    expected = reference.run(circuit, hints)
    witness = WitnessGenerator(circuit, HEIGHTS).run(words(hints))
    assert witness.public == expected.public
    wires = from_montgomery(witness.wires).tolist()
    assert len(expected.wires) == circuit.wire_count + 1
    assert all(tuple(wires[address]) == value for address, value in expected.wires.items())


def test_cells_are_those_of_plain_execution(case: tuple[Circuit, list[int]]) -> None:
    circuit, hints = case
    expected = reference.run(circuit, hints)
    cells = canonical(WitnessGenerator(circuit, HEIGHTS).run(words(hints)))
    for number, row in enumerate(expected.arithmetic):
        assert row is not None
        assert cells["arithmetic"][number, :20].tolist() == [*row.a, *row.b, *row.c, *row.d]
    for number, hashed in enumerate(expected.permutation):
        row = hashed or untouched()
        got = cells["permutation"][number].tolist()
        assert got[:16] == row.x
        assert got[148:164] == row.y
        assert got[164:176] == [row.bit, row.index, *row.gamma, *row.acc]
        assert got[191:197] == [*row.horner, row.multiplicity]
    for number, fold in enumerate(expected.fold):
        assert fold is not None
        got = cells["fold"][number].tolist()
        assert got[:40] == [lane for value in fold.values for lane in value]
        assert got[90:95] == list(fold.result)
        assert got[108:111] == [fold.index, fold.index_out, fold.y]
        assert got[113] == fold.y_out
    for number, part in enumerate(expected.decomposition):
        assert part is not None
        got = cells["decomposition"][number].tolist()
        assert sum(bit << k for k, bit in enumerate(got[:31])) == part.value
        assert got[37:39] == [part.y, part.low]


def test_tables_and_buses_are_satisfied(case: tuple[Circuit, list[int]]) -> None:
    circuit, hints = case
    witness = WitnessGenerator(circuit, HEIGHTS).run(words(hints))
    shape = CircuitShape(8, 10, 2, 8, WIDTHS, LOG_ORDER)
    system = circuit_system(shape, zk=False, whole_rows=False, circuit=circuit)
    traces = {}
    for table in system.tables:
        width = len(table.symbolic.columns[Part.MAIN])
        matrix = canonical(witness)[table.name]
        assert not matrix[:, width:].any()
        traces[table.name] = matrix[:, :width].astype(np.int64)
    found = faults(system, traces, {"permutation": list(witness.public)})
    assert not found, explain(found[:3])


def failure(circuit: Circuit, hints: list[int]) -> tuple[str, int] | None:
    """Where both stop; they must agree."""
    places: list[tuple[str, int] | None] = []
    generator = WitnessGenerator(circuit, HEIGHTS)
    for run in (
        lambda: reference.run(circuit, hints),
        lambda: generator.run(words(hints)),
    ):
        try:
            run()
        except Unsatisfied as error:
            places.append((error.label, error.step))
        else:
            places.append(None)
    assert places[0] == places[1]
    return places[0]


def test_changed_hints_fail_at_the_same_step(case: tuple[Circuit, list[int]]) -> None:
    circuit, hints = case
    assert failure(circuit, hints) is None
    found = set()
    for place in range(0, len(hints), 3):
        changed = list(hints)
        changed[place] = (changed[place] + 1) % P
        found.add(failure(circuit, changed))
    # A path, a fold, a base element that is none.
    assert len(found) > 3


def test_zero_has_no_inverse_and_other_coordinates_are_refused() -> None:
    circuit, hints = random_circuit(0)
    place = hints.index(1)
    while hints[place : place + 4] != [1, 2, 3, 4]:
        place = hints.index(1, place + 1)
    changed = [*hints[:place], 0, 0, 0, 0, 0, *hints[place + 5 :]]
    assert failure(circuit, changed) is not None


def test_the_message_names_the_part_of_the_program() -> None:
    circuit, hints = random_circuit(1)
    with pytest.raises(Unsatisfied, match=r"in piece \d+ \(step \d+\)"):
        reference.run(circuit, [1] * len(hints))


def test_hints_are_checked() -> None:
    circuit, hints = random_circuit(1)
    generator = WitnessGenerator(circuit, HEIGHTS)
    for wrong in (hints[:-1], [*hints, 0], [P, *hints[1:]]):
        with pytest.raises(UsageError):
            reference.run(circuit, wrong)
        with pytest.raises(UsageError):
            generator.run(words(wrong))


@pytest.mark.parametrize("table", HEIGHTS)
def test_tables_must_fit(table: str) -> None:
    circuit, _ = random_circuit(1)
    with pytest.raises(UsageError, match=table):
        WitnessGenerator(circuit, HEIGHTS | {table: 0})
    with pytest.raises(UsageError, match="heights"):
        WitnessGenerator(circuit, {table: 10})


def changed_steps(circuit: Circuit, change: Callable[[list[list[int]]], None]) -> Circuit:
    rows = [
        list(circuit.steps[start : start + STEP_WIDTH])
        for start in range(0, len(circuit.steps), STEP_WIDTH)
    ]
    change(rows)
    return replace(circuit, steps=array("q", [value for row in rows for value in row]))


def first_of(rows: list[list[int]], operation: Operation) -> int:
    return next(number for number, row in enumerate(rows) if row[0] == operation)


def test_reading_before_writing_is_an_error_of_the_circuit() -> None:
    circuit, hints = random_circuit(2)
    # The constant that the first step writes is read by a later one.
    wrong = changed_steps(circuit, lambda rows: rows.append(rows.pop(0)))
    generator = WitnessGenerator(wrong, HEIGHTS)
    with pytest.raises(UsageError, match="written"):
        reference.run(wrong, hints)
    with pytest.raises(UsageError, match="written"):
        generator.run(words(hints))


def test_a_fold_needs_its_place() -> None:
    circuit, hints = random_circuit(2)
    wrong = changed_steps(
        circuit, lambda rows: rows.append(rows.pop(first_of(rows, Operation.PLACE)))
    )
    with pytest.raises(UsageError, match="place"):
        WitnessGenerator(wrong, HEIGHTS)
    # Plain execution meets a wire that the place would have written, or the fold itself.
    with pytest.raises(UsageError, match=r"place|written"):
        reference.run(wrong, hints)


def swap_permutations(rows: list[list[int]]) -> None:
    first = first_of(rows, Operation.PERMUTE)
    rows[first][1] += 1


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[0].__setitem__(0, 9),
        lambda rows: rows[0].__setitem__(1, 1 << 20),
        lambda rows: rows[first_of(rows, Operation.DECOMPOSE)].__setitem__(2, 1 << 20),
        lambda rows: rows[first_of(rows, Operation.DECOMPOSE)].__setitem__(3, 5),
        lambda rows: rows[first_of(rows, Operation.BIT)].__setitem__(3, 31),
        lambda rows: rows[first_of(rows, Operation.PERMUTE)].__setitem__(2, 8),
        lambda rows: rows[first_of(rows, Operation.PERMUTE)].__setitem__(3, 9),
        lambda rows: rows[first_of(rows, Operation.PERMUTE)].__setitem__(3, 7),
        lambda rows: rows[first_of(rows, Operation.PERMUTE)].__setitem__(4, 4),
        swap_permutations,
    ],
)
def test_steps_outside_the_circuit_are_refused(change: Callable[[list[list[int]]], None]) -> None:
    circuit, _ = random_circuit(3)
    with pytest.raises(UsageError):
        WitnessGenerator(changed_steps(circuit, change), HEIGHTS)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("arithmetic", "address d", 1 << 20),
        ("permutation", "wire address", -1),
        ("permutation", "digest address", 1 << 20),
        ("fold", "address v", 1 << 20),
        ("fold", "weight", 0),
        ("decomposition", "address", 1 << 20),
    ],
)
def test_rows_outside_the_circuit_are_refused(table: str, column: str, value: int) -> None:
    circuit, _ = random_circuit(3)
    columns = dict(circuit.tables[table])
    columns[column] = [value, *columns[column][1:]]
    with pytest.raises(UsageError):
        WitnessGenerator(replace(circuit, **{table: columns}), HEIGHTS)
