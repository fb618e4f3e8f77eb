"""Columns and DEEP codewords by values on the whole domain, as another prover would keep them.

A cheating prover commits to words that are no polynomials of the right degree; and the codewords of
the prover, made from coefficients, are compared with those that are made here, point by point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.barycentric import evaluate_columns, weights
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import domain_points, multiply, powers
from stark.field.koalabear import P
from stark.field.montgomery import from_montgomery, scalar_to_montgomery
from stark.fri.deep import combine_rows, inverse_differences
from stark.prover.openings import TableColumns
from stark.prover.polynomials import Polynomials, add_mod, subtract_mod
from stark.verifier.deep import RowSum, TableDeep

Matrix = NDArray[np.uint32]


class Tabulated(Polynomials):
    """Columns given by any values (B, N, padded width) on the domain."""

    def __init__(self, values: Matrix, overflow: Matrix | None) -> None:
        super().__init__(values[0], overflow, values.shape[0].bit_length() - 1)
        self.values = values

    @classmethod
    def of(cls, columns: Polynomials) -> Tabulated:
        cosets = [columns.coset(coset) for coset in range(1 << columns.log_blowup)]
        return cls(np.stack(cosets), columns.overflow)

    def coset(self, number: int, out: Matrix | None = None) -> Matrix:
        if out is None:
            return self.values[number]
        out[:] = self.values[number]
        return out

    def rows(self, cosets: NDArray[np.int64], rows: NDArray[np.int64]) -> Matrix:
        return from_montgomery(np.ascontiguousarray(self.values[cosets, rows]))

    def at(self, point: Element, weights_: Matrix | None = None) -> list[Element]:
        """As if coset 0 had the values of a polynomial of the right degree.

        Coset 0 gives (a + k b)(point); what is missing is (point^N - k) b(point).
        """
        row_weights = weights(self.log_height, self.shift(0), point)
        result = _elements(evaluate_columns(self.values[0], row_weights))
        if self.overflow is None:
            return result
        height = 1 << self.log_height
        constant = (pow(self.shift(0), height, P), 0, 0, 0, 0)
        factor = ext.subtract(ext.power(point, height), constant)
        rest = _elements(evaluate_columns(self.overflow, powers(point, len(self.overflow))))
        return [
            ext.add(value, ext.multiply(factor, extra))
            for value, extra in zip(result, rest, strict=True)
        ]


def deep_codewords_by_values(
    parts: Sequence[TableColumns],
    values: Sequence[Sequence[Element]],
    coefficients: Sequence[Sequence[Element]],
    zeta: Element,
    masks: Mapping[int, Polynomials],
    log_blowup: int,
) -> dict[int, Matrix]:
    """What :func:`stark.prover.openings.deep_codewords` computes, from the rows of every coset."""
    result: dict[int, Matrix] = {}
    for part, own, drawn in zip(parts, values, coefficients, strict=True):
        log_height = part.layout.table.log_height
        word = _table_codeword(part, own, drawn, zeta, log_blowup)
        result[log_height] = add_mod(result[log_height], word) if log_height in result else word
    for log_height, mask in masks.items():
        for coset in range(1 << log_blowup):
            own_mask = np.ascontiguousarray(mask.coset(coset)[:, :DEGREE].T)
            result[log_height][:, coset] = add_mod(result[log_height][:, coset], own_mask)
    return result


def _table_codeword(
    part: TableColumns,
    values: Sequence[Element],
    coefficients: Sequence[Element],
    zeta: Element,
    log_blowup: int,
) -> Matrix:
    table = part.layout.table
    deep = TableDeep.of(part.layout, values, coefficients, zeta)
    word = np.zeros((DEGREE, 1 << log_blowup, table.height), np.uint32)
    for coset in range(1 << log_blowup):
        rows = {tree: columns.coset(coset) for tree, columns in part.columns.items()}
        shift = next(iter(part.columns.values())).shift(coset)
        points = domain_points(table.log_height, shift)
        for point_sum in deep.sums:
            total = np.zeros((DEGREE, table.height), np.uint32)
            for row_sum in point_sum.rows:
                own = rows[row_sum.tree]
                total = add_mod(total, combine_rows(own, _spread(row_sum, own.shape[1])))
            total = subtract_mod(total, _constant(point_sum.value, table.height))
            quotient = multiply(total, inverse_differences(points, point_sum.point))
            word[:, coset] = add_mod(word[:, coset], quotient)
    return word


def _constant(value: Element, count: int) -> Matrix:
    words = np.array([scalar_to_montgomery(c) for c in value], np.uint32)
    return np.repeat(words[:, None], count, axis=1)


def _spread(row_sum: RowSum, width: int) -> NDArray[np.uint32]:
    spread = np.zeros((width, DEGREE), np.uint32)
    positions = row_sum.positions or range(len(row_sum.coefficients))
    for position, packed in zip(positions, row_sum.coefficients, strict=True):
        spread[position] = ext.unpack(packed)
    return spread


def _elements(values: NDArray[np.uint32]) -> list[Element]:
    return [(a, b, c, d, e) for a, b, c, d, e in values.tolist()]
