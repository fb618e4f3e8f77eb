"""The Poseidon gadget is deterministic for every input: each constraint gives one cell.

Shown on the symbols of the gadget, not on examples: the n-th constraint reads one cell that no
earlier constraint has given, and reads it linearly, with a constant coefficient that is not zero.
So the 16 inputs determine all other 140 cells and the digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stark.constraints.air import AirBuilder, Constraint, SymbolicAir
from stark.constraints.expression import Expression, Node, Op, Part
from stark.constraints.reading import read
from stark.field.koalabear import P
from stark.gadgets.poseidon import CELLS, poseidon_permutation
from stark.hash.poseidon import POSEIDON1, full_matrix

INPUTS = 16


def gadget() -> tuple[SymbolicAir, tuple[Expression, ...]]:
    builder = AirBuilder("hash", 4)
    cells = poseidon_permutation(builder, POSEIDON1)
    return builder.build(), cells.compressed


AIR, COMPRESSED = gadget()

Affine = tuple[int | None, int | None]
"""A polynomial seen from one cell: its value if it is a constant, and the coefficient of the cell
if the polynomial is linear in it and that coefficient is a constant; ``None`` where it is not."""


class SeenFrom:
    """Reads an expression as a polynomial in one cell."""

    def __init__(self, column: int) -> None:
        self._column = column

    def leaf(self, node: Node) -> Affine:
        if node[0] == Op.CONSTANT:
            return node[1], 0
        if node[0] != Op.CELL or node[3] != 0:
            raise AssertionError(f"the gadget reads its own row alone, not {node}")
        return None, int(node[2] == self._column)

    def add(self, left: Affine, right: Affine) -> Affine:
        return _sum(left, right, 1)

    def subtract(self, left: Affine, right: Affine) -> Affine:
        return _sum(left, right, -1)

    def multiply(self, left: Affine, right: Affine) -> Affine:
        constant = None if left[0] is None or right[0] is None else left[0] * right[0] % P
        for (value, _), (_, slope) in ((left, right), (right, left)):
            if value is not None and slope is not None:
                return constant, value * slope % P
        return constant, 0 if left[1] == right[1] == 0 else None


def _sum(left: Affine, right: Affine, sign: int) -> Affine:
    first, second = (
        None if a is None or b is None else (a + sign * b) % P
        for a, b in zip(left, right, strict=True)
    )
    return first, second


def columns_of(expression: Expression) -> set[int]:
    nodes = (AIR.graph.nodes[i] for i in AIR.graph.reachable([expression.index]))
    return {node[2] for node in nodes if node[0] == Op.CELL}


def determined(constraints: Sequence[Constraint], known: set[int]) -> list[tuple[int, int]]:
    """(cell, coefficient) in the order in which constraints give them; stops at the first that
    reads another number of new cells than one, or not linearly."""
    known, found = set(known), []
    for constraint in constraints:
        new = columns_of(constraint.expression) - known
        if len(new) != 1:
            break
        (column,) = new
        ((_, coefficient),) = read(AIR.graph, [constraint.expression.index], SeenFrom(column))
        if not coefficient:
            break
        known.add(column)
        found.append((column, coefficient))
    return found


def test_inputs_determine_every_cell() -> None:
    assert len(AIR.columns[Part.MAIN]) == CELLS
    assert AIR.columns[Part.MAIN][:INPUTS] == [f"hash.x[{i}]" for i in range(16)]
    expected = [(column, P - 1) for column in range(INPUTS, CELLS)]
    assert determined(AIR.constraints, set(range(INPUTS))) == expected


def test_the_digest_is_made_of_determined_cells() -> None:
    for lane, expression in enumerate(COMPRESSED):
        assert columns_of(expression) == {lane, CELLS - 8 + lane}


@pytest.mark.parametrize("missing", range(CELLS - INPUTS))
def test_no_constraint_can_be_left_out(missing: int) -> None:
    """The control: the cell of a constraint that is left out stays undetermined."""
    rest = AIR.constraints[:missing] + AIR.constraints[missing + 1 :]
    cells = {column for column, _ in determined(rest, set(range(INPUTS)))}
    assert INPUTS + missing not in cells


def test_inputs_are_needed() -> None:
    for lane in range(INPUTS):
        assert determined(AIR.constraints, set(range(INPUTS)) - {lane})[:1] != [(16, P - 1)]


@given(st.integers(0, P - 1))
@example(0)
@example(1)
@example(P - 1)
def test_the_s_box_is_a_permutation(x: int) -> None:
    assert gcd(3, P - 1) == 1
    inverse = pow(3, -1, P - 1)
    assert pow(pow(x, 3, P), inverse, P) == x
    assert pow(pow(x, inverse, P), 3, P) == x


@pytest.mark.parametrize("prime", [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 257, 65537])
def test_cubing_is_a_permutation_exactly_where_three_is_coprime(prime: int) -> None:
    is_permutation = len({x**3 % prime for x in range(prime)}) == prime
    assert is_permutation == (gcd(3, prime - 1) == 1)


def test_the_matrix_is_invertible() -> None:
    assert rank([list(row) for row in full_matrix(POSEIDON1)]) == 16


def rank(rows: list[list[int]]) -> int:
    """Rank mod p by elimination."""
    found = 0
    for column in range(len(rows[0])):
        pivot = next((r for r in range(found, len(rows)) if rows[r][column] % P), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        scale = pow(rows[found][column], -1, P)
        for r in range(found + 1, len(rows)):
            factor = rows[r][column] * scale
            rows[r] = [(a - factor * b) % P for a, b in zip(rows[r], rows[found], strict=True)]
        found += 1
    return found
