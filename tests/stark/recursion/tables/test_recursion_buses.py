"""All four tables together: a proof, and every message and element of a message is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.recursion_program import program
from support.recursion_rows import permutation_rows
from support.recursion_system import example
from support.systems import parameters

from stark.constraints.bus import Interaction
from stark.constraints.expression import Op, Part
from stark.debug.faults import BusFault, explain, faults
from stark.debug.trace_reading import TraceRows
from stark.errors import Rejected
from stark.field.koalabear import P
from stark.prover.keygen import generate_key
from stark.prover.prove import prove
from stark.recursion.tables.buses import DIGEST, WIRE
from stark.system import System, Table
from stark.verifier.verify import verify

EXAMPLE = example()
SYSTEM = EXAMPLE.system
TRACES = {
    table.name: np.array(
        [EXAMPLE.traces[table.name][name] for name in table.symbolic.columns[Part.MAIN]], np.int64
    ).T
    for table in SYSTEM.tables
}
MESSAGES = [(table, one) for table in SYSTEM.tables for one in table.symbolic.interactions]
NAMES = [f"{table.name}: {one.label}" for table, one in MESSAGES]


def test_the_honest_witness_balances() -> None:
    found = faults(SYSTEM, TRACES, EXAMPLE.publics)
    assert not found, explain(found)


@pytest.mark.parametrize("changes", [{}, {"batching": "powers", "log_blowup": 1}])
def test_a_proof_of_all_tables(changes: dict[str, object]) -> None:
    key = generate_key(SYSTEM, parameters(**changes))
    proof = prove(key, EXAMPLE.traces, EXAMPLE.publics, b"context")
    verify(key.verification, proof, EXAMPLE.publics, b"context")
    other = [(EXAMPLE.publics["permutation"][0] + 1) % P, *EXAMPLE.publics["permutation"][1:]]
    with pytest.raises(Rejected):
        verify(key.verification, proof, {"permutation": other}, b"context")


def test_forged_cells_have_no_proof() -> None:
    """The kernels' constraints over F are those of the debugger."""
    key = generate_key(SYSTEM, parameters())
    for table, column in (("arithmetic", "d[4]"), ("fold", "g1[3]"), ("permutation", "h6[2]")):
        columns = dict(EXAMPLE.traces[table])
        columns[column] = [(columns[column][0] + 1) % P, *columns[column][1:]]
        proof = prove(key, {**EXAMPLE.traces, table: columns}, EXAMPLE.publics, b"")
        with pytest.raises(Rejected):
            verify(key.verification, proof, EXAMPLE.publics, b"")


def test_buses_are_signed() -> None:
    assert set(SYSTEM.buses) == {WIRE, DIGEST}
    assert all(bus.signed and bus.per_key_bound for bus in SYSTEM.buses)


def altered(table: str, column: int, row: int) -> dict[str, np.ndarray]:
    trace = TRACES[table].copy()
    trace[row, column] = (trace[row, column] + 1) % P
    return {**TRACES, table: trace}


def sent(table: Table, message: Interaction, trace: np.ndarray) -> np.ndarray:
    """What the message sends on every row: the tuple, then the count; (rows, width + 1)."""
    roots = [one.index for one in (*message.values, *message.counts)]
    rows = TraceRows(table, trace, EXAMPLE.publics.get(table.name, ()))
    return np.concatenate([np.stack(values, axis=1) for _, values in rows.read(roots)])


def tied_cells(table: Table, message: Interaction) -> set[tuple[int, str]]:
    """(row, column) of the cells that change what a message sends, where its count is not 0."""
    graph = table.symbolic.graph
    read = [graph.nodes[index] for index in graph.reachable([v.index for v in message.values])]
    names = table.symbolic.columns[Part.MAIN]
    honest = sent(table, message, TRACES[table.name])
    result = set()
    for column in {node[2] for node in read if node[0] == Op.CELL and node[1] == Part.MAIN}:
        trace = TRACES[table.name].copy()
        trace[:, column] = (trace[:, column] + 1) % P
        other = sent(table, message, trace)
        differs = (other != honest)[:, :-1].any(axis=1) & (honest[:, -1] != 0)
        result |= {(int(row), names[column]) for row in np.flatnonzero(differs)}
    return result


def cells(rows: list[int], *names: str) -> set[tuple[int, str]]:
    return {(row, name) for row in rows for name in names}


def array(name: str, first: int, end: int) -> list[str]:
    return [f"{name}[{k}]" for k in range(first, end)]


FOLD_READS = [*(f"v{slot}" for slot in range(8)), "beta", "value", "result"]
TIED = (
    {f"fold: {name}": cells([0], *array(name, 0, 5)) for name in FOLD_READS}
    | {f"fold: {name}": cells([0], name) for name in ("index", "index_out", "y", "y_out")}
    | {
        "decomposition: v": cells([0, 1], *array("bit", 0, 31)),
        "decomposition: low": cells([0, 1], "low"),
        "decomposition: y": cells([0, 1], "y[2]"),
        "permutation: index": cells([5], "index"),
        "permutation: wire": cells([1], *array("hash.y", 0, 5))
        | cells([3], *array("hash.x", 0, 5))
        | cells([4], *array("hash.x", 5, 8))
        | cells([5], *array("hash.x", 3, 8))
        | cells([6], *array("acc", 0, 5)),
        "permutation: digest": cells([0, 13, 14], *array("hash.x", 0, 8))
        | cells([8], *array("hash.x", 8, 16))
        | cells([9], *array("hash.x", 0, 8), *array("hash.y", 0, 8), "index")
        | cells([11], *array("hash.y", 0, 8)),
    }
)
"""All cells that a message carries, but for those of arithmetic rows."""


@pytest.mark.parametrize(("table", "message"), MESSAGES, ids=NAMES)
def test_every_cell_of_a_message_is_tied(table: Table, message: Interaction) -> None:
    """What a row sends cannot be changed alone, even where no constraint reads it."""
    tied = tied_cells(table, message)
    if table.name == "arithmetic":
        counts = table.air.preprocessed()[f"count {message.label}"]
        busy = [row for row, count in enumerate(counts) if count]
        assert busy
        assert tied == cells(busy, *array(message.label, 0, 5))
    else:
        assert tied == TIED[f"{table.name}: {message.label}"]
    row, name = min(tied)
    column = table.symbolic.columns[Part.MAIN].index(name)
    found = faults(SYSTEM, altered(table.name, column, row), EXAMPLE.publics)
    assert message.bus.name in {fault.bus for fault in found if isinstance(fault, BusFault)}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "permutation: digest"])
def test_without_a_message_nothing_balances(name: str) -> None:
    """All but the one that has a bus of its own."""
    system = System([table.air for table in SYSTEM.tables])
    table, message = next(
        (table, one)
        for table in system.tables
        for one in table.symbolic.interactions
        if f"{table.name}: {one.label}" == name
    )
    table.symbolic.interactions.remove(message)
    found = faults(system, TRACES, EXAMPLE.publics)
    assert {fault.bus for fault in found if isinstance(fault, BusFault)} == {message.bus.name}


def test_a_cap_is_looked_up_as_often_as_its_multiplicities_say() -> None:
    permutation = SYSTEM.tables[1]
    column = permutation.symbolic.columns[Part.MAIN].index("multiplicity")
    for row in range(permutation.height):
        found = faults(SYSTEM, altered("permutation", column, row), EXAMPLE.publics)
        assert {type(fault) for fault in found} == ({BusFault} if row in (12, 13) else set())


@pytest.mark.parametrize("bits", [(0, 0), (0, 1), (1, 1)])
def test_a_path_with_wrong_bits_finds_nothing(bits: tuple[int, int]) -> None:
    """All constraints hold; the path ends at a number that its cap does not have."""
    steps = program()
    for row, bit in zip((6, 7), bits, strict=True):
        steps[row] = replace(steps[row], bit=bit)
    steps[13] = replace(steps[13], multiplicity=1)
    rows = permutation_rows(steps, {})
    names = SYSTEM.tables[1].symbolic.columns[Part.MAIN]
    trace = np.array([[row[name] for name in names] for row in rows], np.int64)
    found = faults(SYSTEM, {**TRACES, "permutation": trace}, EXAMPLE.publics)
    assert {fault.bus for fault in found if isinstance(fault, BusFault)} >= {"digest"}
    numbers = {
        fault.values[1]
        for fault in found
        if isinstance(fault, BusFault) and fault.bus == "digest"
        for one in fault.messages
        if one.row == 9
    }
    assert len(numbers) == 1
    assert not numbers & {0, 1}
