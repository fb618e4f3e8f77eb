"""Expressions of an AIR on the rows of a trace, in plain 64-bit integers.

Independent of the prover's kernels, so that it can be held against them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.constraints.expression import Challenge, Node, Op, Part, Selector
from stark.constraints.reading import read
from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.system import Table

Values = NDArray[np.uint64]

CHUNK_ROWS = 1 << 11
"""Rows evaluated at a time: 16 KiB per node of the graph, which may have many thousands."""


class TraceRows:
    """One table's columns and public values, checked.

    Attributes
    ----------
    matrices
        Preprocessed and main columns, uint64 (rows, columns), canonical.
    """

    def __init__(self, table: Table, trace: NDArray[Any], publics: Sequence[int]) -> None:
        self.table = table
        if len(publics) != table.public_count:
            raise UsageError(
                f"{table.name}: expected {table.public_count} public values, got {len(publics)}"
            )
        self.publics = [int(value) % P for value in publics]
        self.matrices = {
            Part.MAIN: _canonical(table, Part.MAIN, np.asarray(trace)),
            Part.PREPROCESSED: _canonical(table, Part.PREPROCESSED, _preprocessed(table)),
        }

    def read(self, roots: Sequence[int]) -> Iterator[tuple[int, list[Values]]]:
        """Values of roots on some rows, with the first of these rows, for all rows.

        (rows,) for a root of the base field, (5, rows) for one of the extension.
        """
        height = self.table.height
        for lo in range(0, height, CHUNK_ROWS):
            chunk = _Chunk(self, np.arange(lo, min(height, lo + CHUNK_ROWS)))
            values = read(self.table.symbolic.graph, roots, chunk)
            count = len(chunk.rows)
            yield lo, [np.broadcast_to(value, (*value.shape[:-1], count)) for value in values]


def _preprocessed(table: Table) -> NDArray[Any]:
    columns = table.air.preprocessed()
    names = table.symbolic.columns[Part.PREPROCESSED]
    if set(columns) != set(names):
        raise UsageError(f"{table.name}: preprocessed values of {sorted(columns)}, not of {names}")
    if not names:
        return np.zeros((table.height, 0), np.uint64)
    arrays = [np.asarray(columns[name]) for name in names]
    if any(array.shape != (table.height,) for array in arrays):
        raise UsageError(f"{table.name}: preprocessed columns must have {table.height} rows")
    return np.stack(arrays, axis=1)


def _canonical(table: Table, part: Part, values: NDArray[Any]) -> Values:
    width = table.witness_width if part is Part.MAIN else table.width(part)
    expected = (table.height, width)
    if values.shape != expected or (values.dtype.kind not in "iu" and values.size):
        raise UsageError(
            f"{table.name}: expected integers of shape {expected}, "
            f"got {values.dtype} of {values.shape}"
        )
    bad = np.argwhere((values < 0) | (values >= P))
    if len(bad):
        row, column = (int(index) for index in bad[0])
        name = table.column_name(part, column)
        raise UsageError(
            f"{table.name}: {name} on row {row} is {values[row, column]}, not in 0 ... p - 1"
        )
    # What the prover adds to hide terminals is zero as far as a trace is concerned.
    padding = table.width(part) - width
    return np.pad(values.astype(np.uint64), [(0, 0), (0, padding)])


class _Chunk:
    """Arithmetic on some rows of the trace domain; what is the same on all of them has length 1.

    Values are below p < 2^31: sums, differences plus p and products fit in 64 bits. Elements of
    the extension are (5, rows), coefficients first.
    """

    def __init__(self, table_rows: TraceRows, rows: NDArray[np.int64]) -> None:
        self.rows = rows
        self._table_rows = table_rows
        self._last = table_rows.table.height - 1

    def leaf(self, node: Node) -> Values:
        op, *rest = node
        if op == Op.CELL:
            part, column, offset = rest
            matrix = self._table_rows.matrices[Part(part)]
            return matrix[(self.rows + offset) % len(matrix), column]
        if op == Op.PERIODIC:
            values = np.array(self._table_rows.table.symbolic.periodic[rest[0]], np.uint64)
            return values[self.rows % len(values)]
        if op == Op.SELECTOR:
            return self._selector(Selector(rest[0])).astype(np.uint64)
        if op == Op.PUBLIC:
            return np.array([self._table_rows.publics[rest[0]]], np.uint64)
        if op == Op.CONSTANT:
            return np.array([rest[0]], np.uint64)
        if op == Op.CHALLENGE and rest[0] == Challenge.BASIS and rest[1] < DEGREE:
            return (np.arange(DEGREE) == rest[1]).astype(np.uint64)[:, None]
        raise UsageError("an AIR's own expressions hold no challenges")

    def _selector(self, selector: Selector) -> NDArray[np.bool_]:
        """X - w^-1 as 1 off the last row, so that a failing value is that of the expression."""
        if selector is Selector.FIRST:
            return self.rows == 0
        is_last = self.rows == self._last
        return is_last if selector is Selector.LAST else ~is_last

    def add(self, left: Values, right: Values) -> Values:
        left, right = _alike(left, right)
        return (left + right) % P

    def subtract(self, left: Values, right: Values) -> Values:
        left, right = _alike(left, right)
        return (left + (P - right)) % P

    def multiply(self, left: Values, right: Values) -> Values:
        if left.ndim == right.ndim == 2:
            return _extension_product(left, right)
        return left * right % P


def _alike(left: Values, right: Values) -> tuple[Values, Values]:
    """Both in one field: a base element is its own coefficient 0."""
    if left.ndim == right.ndim:
        return left, right
    if left.ndim < right.ndim:
        return np.stack([left, *[np.zeros_like(left)] * (DEGREE - 1)]), right
    return left, np.stack([right, *[np.zeros_like(right)] * (DEGREE - 1)])


def _extension_product(left: Values, right: Values) -> Values:
    """left * right, reduced by x^(k+5) = x^k - x^(k+2) from the highest power on."""
    shape = np.broadcast_shapes(left.shape[1:], right.shape[1:])
    powers = np.zeros((2 * DEGREE - 1, *shape), np.uint64)
    for i in range(DEGREE):
        for j in range(DEGREE):
            powers[i + j] = (powers[i + j] + left[i] * right[j]) % P
    for k in reversed(range(DEGREE - 1)):
        powers[k] = (powers[k] + powers[k + DEGREE]) % P
        powers[k + 2] = (powers[k + 2] + (P - powers[k + DEGREE])) % P
    return powers[:DEGREE]
