"""A circuit whose messages do not fit together is refused when it is finished."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import pytest
from support.recursion_systems import KINDS, recursion

from stark.errors import UsageError
from stark.field.koalabear import P
from stark.recursion.circuit import Circuit
from stark.recursion.single import verifier_circuit
from stark.recursion.wellformed import check_messages


@cache
def _circuit() -> Circuit:
    return verifier_circuit(recursion(next(iter(KINDS))).key)


def _changed(circuit: Circuit, table: str, name: str, row: int, value: int) -> Circuit:
    columns: Mapping[str, Sequence[int]] = circuit.tables[table]
    column = array("q", columns[name])
    column[row] = value
    return replace(circuit, **{table: {**columns, name: column}})


def _row(circuit: Circuit, table: str, wanted: Callable[[Mapping[str, int]], bool]) -> int:
    columns = circuit.tables[table]
    for row in range(circuit.rows[table]):
        if wanted({name: column[row] for name, column in columns.items()}):
            return row
    raise AssertionError("no such row")


def test_a_finished_circuit_is_well_formed() -> None:
    check_messages(_circuit())


def test_another_count_than_that_of_the_reads() -> None:
    circuit = _circuit()
    row = _row(circuit, "arithmetic", lambda at: at["count d"] not in (0, P - 1))
    count = circuit.arithmetic["count d"][row]
    with pytest.raises(UsageError, match=f"read {count} times, its writer says {count + 1}"):
        check_messages(_changed(circuit, "arithmetic", "count d", row, count + 1))


def test_an_address_written_twice() -> None:
    circuit = _circuit()
    row = _row(circuit, "arithmetic", lambda at: at["count d"] not in (0, P - 1))
    other = _row(circuit, "permutation", lambda at: at["wire count"] not in (0, P - 1))
    address = circuit.arithmetic["address d"][row]
    with pytest.raises(UsageError, match=f"wire {address} is written twice"):
        check_messages(_changed(circuit, "permutation", "wire address", other, address))


def test_an_address_that_nobody_writes() -> None:
    circuit = _circuit()
    with pytest.raises(UsageError, match="has a message"):
        check_messages(_changed(circuit, "arithmetic", "address a", 0, circuit.wire_count + 1))
    more = replace(circuit, wire_count=circuit.wire_count + 1)
    with pytest.raises(UsageError, match="its writer says -1"):
        check_messages(more)


def test_a_cap_that_something_else_writes_too() -> None:
    circuit = _circuit()
    cap = next(iter(circuit.cap_heights))
    row = _row(
        circuit,
        "permutation",
        lambda at: at["digest count"] not in (0, P - 1) and not at["free"],
    )
    with pytest.raises(UsageError, match="digest"):
        check_messages(_changed(circuit, "permutation", "digest address", row, cap))


def test_a_cap_with_a_number_twice_or_missing() -> None:
    circuit = _circuit()
    row = _row(circuit, "permutation", lambda at: bool(at["free"]) and at["digest number"] == 1)
    for number in (0, 1 << 20):
        with pytest.raises(UsageError, match="has the numbers"):
            check_messages(_changed(circuit, "permutation", "digest number", row, number))


def test_a_path_that_ends_without_its_number() -> None:
    circuit = _circuit()
    row = _row(circuit, "permutation", lambda at: bool(at["cap"]))
    with pytest.raises(UsageError, match="by number, and without one"):
        check_messages(_changed(circuit, "permutation", "cap", row, 0))
