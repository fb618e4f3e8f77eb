"""Out-of-domain values and the DEEP codewords that FRI tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.barycentric import weights
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import root_of_unity
from stark.field.ntt import coset_shift
from stark.fri.deep import accumulate_quotient, combine_rows, inverse_differences
from stark.prover.extension import ExtendedColumns
from stark.verifier.deep import TREE_OF, RowSum, TableDeep
from stark.verifier.layout import TableLayout, Tree, cells


@dataclass(frozen=True)
class TableColumns:
    """The extended columns of one table, by tree; trees without its columns are absent."""

    layout: TableLayout
    columns: dict[Tree, ExtendedColumns]


def out_of_domain_values(
    parts: TableColumns, zeta: Element, log_blowup: int
) -> tuple[Element, ...]:
    """The table's opened values in layout order."""
    layout = parts.layout
    table = layout.table
    here = _values_at(parts, zeta, log_blowup, set(parts.columns))
    values = [here[TREE_OF[part]][column] for part, column in layout.here]
    if layout.following:
        next_point = ext.scale(zeta, root_of_unity(table.log_height))
        trees = {TREE_OF[part] for part, _ in layout.following}
        following = _values_at(parts, next_point, log_blowup, trees)
        values += [following[TREE_OF[part]][column] for part, column in layout.following]
    return (*values, *here[Tree.QUOTIENT])


def _values_at(
    parts: TableColumns, point: Element, log_blowup: int, trees: set[Tree]
) -> dict[Tree, list[Element]]:
    """Columns of some trees at ``point``, extension columns recombined from their base columns."""
    table = parts.layout.table
    row_weights = weights(table.log_height, coset_shift(table.log_height, log_blowup, 0), point)
    result = {}
    for tree in trees:
        elements = parts.columns[tree].at(point, row_weights)[: cells(table, tree)]
        if tree in (Tree.AUXILIARY, Tree.QUOTIENT):
            elements = [
                ext.total(map(ext.multiply, ext.BASIS, elements[start : start + DEGREE]))
                for start in range(0, len(elements), DEGREE)
            ]
        result[tree] = elements
    return result


def deep_codeword(
    parts: TableColumns,
    values: Sequence[Element],
    coefficients: Sequence[Element],
    zeta: Element,
    log_blowup: int,
) -> NDArray[np.uint32]:
    """The table's DEEP codeword, (5, blowup, rows): :class:`TableDeep` at every point."""
    table = parts.layout.table
    deep = TableDeep.of(parts.layout, values, coefficients, zeta)
    spreads = [
        [(row.tree, _spread(row, parts.columns[row.tree].values.shape[2])) for row in one.rows]
        for one in deep.sums
    ]
    codeword = np.zeros((DEGREE, 1 << log_blowup, table.height), np.uint32)
    for coset in range(1 << log_blowup):
        points = domain_points(table.log_height, coset_shift(table.log_height, log_blowup, coset))
        out = np.zeros((DEGREE, table.height), np.uint32)
        for point_sum, spread in zip(deep.sums, spreads, strict=True):
            inverses = inverse_differences(points, point_sum.point)
            value = point_sum.value  # taken off once, with the first tree
            for tree, weights_of_cells in spread:
                numerators = combine_rows(parts.columns[tree].values[coset], weights_of_cells)
                accumulate_quotient(out, numerators, value, inverses)
                value = ext.ZERO
        codeword[:, coset] = out
    return codeword


def _spread(row_sum: RowSum, width: int) -> NDArray[np.uint32]:
    """Coefficients by cell of a padded row, (width, 5) canonical; zero where nothing is opened."""
    spread = np.zeros((width, DEGREE), np.uint32)
    positions = row_sum.positions or range(len(row_sum.coefficients))
    for position, packed in zip(positions, row_sum.coefficients, strict=True):
        spread[position] = ext.unpack(packed)
    return spread
