"""Arithmetic for liars: what they solve for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stark.constraints.reading import read
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.field.montgomery import scalar_to_montgomery
from stark.hash.sha256 import grind_succeeds
from stark.verifier.out_of_domain import LookupChallenges, OpenedTable, PointArithmetic
from support.cheating_cases import Matrix
from support.systems import Columns


def solve_linear(matrix: Sequence[Sequence[int]], right: Sequence[int]) -> list[int]:
    """x with matrix x = right mod p, by elimination; the matrix must be regular."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for pivot in range(size):
        place = next(r for r in range(pivot, size) if rows[r][pivot] % P)
        rows[pivot], rows[place] = rows[place], rows[pivot]
        factor = pow(rows[pivot][pivot], -1, P)
        rows[pivot] = [value * factor % P for value in rows[pivot]]
        for r in range(size):
            if r != pivot and rows[r][pivot]:
                scale = rows[r][pivot]
                pairs = zip(rows[r], rows[pivot], strict=True)
                rows[r] = [(a - scale * b) % P for a, b in pairs]
    return [row[-1] for row in rows]


def interpolated(points: Sequence[tuple[int, Element]]) -> list[Element]:
    """Coefficients of the polynomial of lowest degree through (x, y), x in the base field."""
    result: list[Element] = [ext.ZERO] * len(points)
    for number, (x, y) in enumerate(points):
        basis, scale = [1], 1
        for other, (x_other, _) in enumerate(points):
            if other != number:
                shifted = [0, *basis]
                pairs = zip(shifted, [*basis, 0], strict=True)
                basis = [(a - x_other * b) % P for a, b in pairs]
                scale = scale * (x - x_other) % P
        share = ext.scale(y, pow(scale, -1, P))
        result = [ext.add(a, ext.scale(share, b)) for a, b in zip(result, basis, strict=True)]
    return result


def solve_quotient(
    opened: OpenedTable, challenges: LookupChallenges, zeta: Element, challenge: Element
) -> list[Element]:
    """The opened values with the first chunk's replaced so that the identity at zeta holds."""
    table = opened.layout.table
    arithmetic = PointArithmetic(opened, challenges, zeta)
    roots = [constraint.expression.index for constraint in table.constraints]
    combined = ext.ZERO
    for value in reversed(list(read(table.symbolic.graph, roots, arithmetic))):
        value = ext.from_base(value) if isinstance(value, int) else value
        combined = ext.add(ext.multiply(combined, challenge), value)
    step = ext.power(zeta, table.height)
    wanted = ext.multiply(combined, ext.invert(ext.subtract(step, ext.ONE)))
    chunks = opened.quotient_values()
    others = ext.evaluate((ext.ZERO, *chunks[1:]), step)
    values = list(opened.values)
    values[len(values) - len(chunks)] = ext.subtract(wanted, others)
    return values


def plus(matrix: Matrix, value: int) -> Matrix:
    """Montgomery words plus a canonical scalar."""
    total = matrix.astype(np.uint64) + scalar_to_montgomery(value % P)
    return (total % P).astype(np.uint32)


def random_words(shape: tuple[int, ...], seed: int) -> Matrix:
    """Uniform field elements in Montgomery form."""
    return np.random.default_rng(seed).integers(0, P, shape, np.uint32)


def altered(columns: Columns, table: str, column: str, row: int, value: int) -> Columns:
    """A copy of the traces with one cell replaced."""
    result = {name: {c: list(v) for c, v in own.items()} for name, own in columns.items()}
    result[table][column][row] = value % P
    return result


def bump(value: Element, by: int = 1) -> Element:
    """value + by in the extension."""
    return ext.add(value, ext.from_base(by))


def failing_nonce(state: bytes, bits: int, passing: int = 0) -> int:
    """A nonce that has ``passing`` bits of work but not ``bits``."""
    return next(
        nonce
        for nonce in range(1 << 40)
        if grind_succeeds(state, nonce, passing) and not grind_succeeds(state, nonce, bits)
    )
