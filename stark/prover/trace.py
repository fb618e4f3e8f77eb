"""Witness columns on their way into the prover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.field.memory import aligned_zeros, padded_width
from stark.field.montgomery import to_montgomery
from stark.system import Table

Matrix = NDArray[np.uint32]


class MontgomeryTrace:
    """A main trace that is already in kernel form, so that no pass over it is spent.

    The prover writes masks into the columns beyond the width: it belongs to one proof.

    Parameters
    ----------
    matrix
        ``(rows, padded width)`` uint32, Montgomery form, columns beyond the width zero.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix


Trace = MontgomeryTrace | NDArray[Any] | Mapping[str, Sequence[int]]
"""A main trace: an integer array (rows, width), or columns by name, or one in kernel form."""


def main_matrix(table: Table, trace: Trace) -> Matrix:
    """The main trace of ``table`` in kernel form.

    Raises
    ------
    UsageError
        If the shape is not the table's, a column is missing or unknown, or a value is not a
        canonical field element.
    """
    width = table.witness_width
    if isinstance(trace, MontgomeryTrace):
        expected = (table.height, padded_width(width))
        if trace.matrix.shape != expected or trace.matrix.dtype != np.uint32:
            raise UsageError(
                f"{table.name}: the trace must be uint32 of shape {expected}, "
                f"got {trace.matrix.dtype} of {trace.matrix.shape}"
            )
        return _widened(trace.matrix, padded_width(table.width(Part.MAIN)))
    if isinstance(trace, Mapping):
        return columns_matrix(table, Part.MAIN, trace)
    if trace.shape != (table.height, width):
        raise UsageError(
            f"{table.name}: the trace must have shape {(table.height, width)}, got {trace.shape}"
        )
    return _kernel_form(table, trace, table.width(Part.MAIN))


def write_terminal_mask(table: Table, matrix: Matrix, mask: Matrix) -> None:
    """Write five elements in kernel form into the columns that hide the table's terminal."""
    matrix[0, table.witness_width : table.width(Part.MAIN)] = mask


def columns_matrix(table: Table, part: Part, columns: Mapping[str, Sequence[int]]) -> Matrix:
    """Columns by name as a matrix in kernel form; errors as for :func:`main_matrix`."""
    names = table.symbolic.columns[part]
    if part is Part.MAIN:
        names = names[: table.witness_width]
    if set(columns) != set(names):
        raise UsageError(
            f"{table.name}: columns missing {sorted(set(names) - set(columns))}, "
            f"unknown {sorted(set(columns) - set(names))}"
        )
    for name in names:
        if len(columns[name]) != table.height:
            raise UsageError(
                f"{table.name}: column {name!r} must have {table.height} rows, "
                f"got {len(columns[name])}"
            )
    values = np.stack([np.asarray(columns[name]) for name in names], axis=1)
    return _kernel_form(table, values, table.width(part))


def _widened(matrix: Matrix, padded: int) -> Matrix:
    """The matrix with zero columns up to ``padded``; itself if it is as wide already."""
    if matrix.shape[1] == padded:
        return matrix
    result = aligned_zeros((len(matrix), padded))
    result[:, : matrix.shape[1]] = matrix
    return result


def _kernel_form(table: Table, values: NDArray[Any], width: int) -> Matrix:
    if values.dtype.kind not in "iu":
        raise UsageError(f"{table.name}: the trace must hold integers, got {values.dtype}")
    bad = np.argwhere((values < 0) | (values >= P))
    if len(bad):
        row, column = (int(index) for index in bad[0])
        raise UsageError(
            f"{table.name}: row {row}, column {column}: {values[row, column]} is not in 0 ... p - 1"
        )
    matrix = aligned_zeros((values.shape[0], padded_width(width)))
    matrix[:, : values.shape[1]] = to_montgomery(values.astype(np.uint32))
    return matrix
