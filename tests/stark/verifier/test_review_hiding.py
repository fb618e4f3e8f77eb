"""A system and parameters with ``zk`` whose masks are too short for what a proof shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.cheating import SILENT, Case, case
from support.systems import Example, parameters, products

import stark.verifier.verify as steps
from stark.constraints.expression import Part
from stark.errors import Rejected, UsageError
from stark.field.koalabear import P, root_of_unity
from stark.prover.prove import prove
from stark.system import System, Table
from stark.verifier.deep import domain_point
from stark.verifier.layout import Tree

Row = tuple[int, ...]
TABLE = "ledger"
"""16 rows; degree bounds of 18 with a slack of 1/8."""


def hardly_hidden() -> Case:
    """60 queries open some 45 rows of a table whose columns 18 rows determine."""
    example = products()
    system = System([table.air for table in example.system.tables], zk=True)
    chosen = parameters(zk=True, log_slack=3, log_blowup=3, **(SILENT | {"queries": 60}))
    return case(Example(system, example.traces, example.publics), chosen)


def opened_rows(one: Case, proof: bytes, number: int, patch: pytest.MonkeyPatch) -> dict[int, Row]:
    """The rows of a table's main columns that a proof shows, by position."""
    seen: dict[int, Row] = {}
    honest = steps.split_rows

    def watched(*arguments: Any) -> Any:
        result = honest(*arguments)
        seen.update(arguments[-1].get((number, Tree.MAIN), {}))
        return result

    patch.setattr(steps, "split_rows", watched)
    one.verify(proof)
    return seen


def interpolant(points: Mapping[int, int], at: int) -> int:
    """The value at ``at`` of the polynomial through the points."""
    total = 0
    for x, value in points.items():
        numerator = denominator = 1
        for other in points:
            if other != x:
                numerator = numerator * (at - other) % P
                denominator = denominator * (x - other) % P
        total = (total + value * numerator * pow(denominator, -1, P)) % P
    return total


def recovered(table: Table, log_blowup: int, rows: Mapping[int, Row], column: int) -> list[int]:
    """A witness column, from opened rows alone."""
    points = {
        domain_point(table.log_height + log_blowup, position): row[column]
        for position, row in rows.items()
    }
    root = root_of_unity(table.log_height)
    return [interpolant(points, pow(root, row, P)) for row in range(table.height)]


def test_no_proof_that_is_said_to_hide_shows_the_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    one = hardly_hidden()
    tables = one.key.verification.system.tables
    number = next(k for k, table in enumerate(tables) if table.name == TABLE)
    table = tables[number]
    try:
        # Masks of the operating system: what anybody gets who asks for zk.
        proof = prove(one.key, one.example.traces, one.publics, one.context)
    except (UsageError, Rejected):
        return
    rows = opened_rows(one, proof, number, monkeypatch)
    chosen = one.key.verification.parameters
    bound = table.height + (table.height >> chosen.log_slack)
    few = dict(list(rows.items())[:bound])
    name = table.symbolic.columns[Part.MAIN][0]
    secret = [int(value) for value in one.example.traces[TABLE][name]]
    assert recovered(table, chosen.log_blowup, few, 0) != secret
