"""Group I of ``tests/vectors/negative_tests.json``: buses that do not balance, and how to hide it.

A wrong witness is proven honestly, or the prover lies about auxiliary columns and terminals.
"""

from __future__ import annotations

from typing import Any

import pytest
from support.cheating import (
    LyingInAuxiliary,
    Matrix,
    bump,
    configured,
    plus,
    products_case,
    refused,
)
from support.checks import check
from support.forged_traces import bus_forgeries, failing_labels

from stark.errors import Code
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element


@pytest.mark.parametrize("name", list(bus_forgeries()))
def test_unbalanced_buses(name: str) -> None:
    # I2, I7, I10: see the names.
    traces = bus_forgeries()[name]
    one = products_case()
    labels = failing_labels(one.example.system, traces, one.publics)
    check(bool(labels) and labels <= {"bytes", "products"}, f"{labels}")
    refused(one, one.prove(traces=traces), Code.BUS)


# ---- auxiliary columns and terminals


def test_one_terminal_altered() -> None:
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        terminals["ledger"] = bump(terminals["ledger"])

    one = products_case()
    refused(one, one.prove(configured(LyingInAuxiliary, change=change)), Code.BUS)


@pytest.mark.parametrize("tables", [("work", "ledger"), ("ledger", "byte table")])
def test_terminals_shifted_between_tables(tables: tuple[str, str]) -> None:
    # I3: their sum stays zero.
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        terminals[tables[0]] = bump(terminals[tables[0]], 1)
        terminals[tables[1]] = bump(terminals[tables[1]], -1)

    one = products_case()
    refused(one, one.prove(configured(LyingInAuxiliary, change=change)), Code.OOD)


def test_terminals_balanced_by_force_over_an_unbalanced_bus() -> None:
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        others = ext.add(terminals["work"], terminals["ledger"])
        terminals["byte table"] = ext.negate(others)

    one = products_case()
    traces = bus_forgeries()["value 256 is no byte"]
    proof = one.prove(configured(LyingInAuxiliary, change=change), traces=traces)
    check("byte table" in refused(one, proof, Code.OOD).check, "the byte table's terminal is wrong")


@pytest.mark.parametrize("table", ["work", "ledger", "byte table"])
@pytest.mark.parametrize("row", [0, 7, -1])
@pytest.mark.parametrize("column", [0, -1])
def test_auxiliary_cell_altered(table: str, row: int, column: int) -> None:
    # I11 among others: the running sum does not start anew, or does not end in the terminal.
    one = products_case()
    width = DEGREE * next(
        t.bus_argument.width for t in one.example.system.tables if t.name == table
    )

    def change(self: Any, matrices: dict[str, Matrix], terminals: Any) -> None:
        place = (row, column % width)
        matrices[table][place] = plus(matrices[table][place], 1)

    rejection = refused(one, one.prove(configured(LyingInAuxiliary, change=change)), Code.OOD)
    check(table in rejection.check, rejection.check)


def test_running_sum_that_jumps_by_the_missing_amount() -> None:
    # The last row's step is bent so that an unbalanced table still ends in a balanced terminal.
    def change(self: Any, matrices: dict[str, Matrix], terminals: dict[str, Element]) -> None:
        before = terminals["byte table"]
        terminals["byte table"] = ext.negate(ext.add(terminals["work"], terminals["ledger"]))
        gap = ext.subtract(terminals["byte table"], before)
        width = DEGREE
        for power in range(DEGREE):
            cells = matrices["byte table"][1:, width - DEGREE + power]
            cells[:] = plus(cells, gap[power])

    one = products_case()
    traces = bus_forgeries()["value -1 is no byte"]
    refused(one, one.prove(configured(LyingInAuxiliary, change=change), traces=traces), Code.OOD)
