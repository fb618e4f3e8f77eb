"""Out-of-domain values and the DEEP codewords that FRI tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.barycentric import evaluate_columns, weights
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import root_of_unity
from stark.field.ntt import coset_shift
from stark.fri.deep import accumulate_quotient, combine_rows, inverse_differences
from stark.verifier.deep import BASIS, TREE_OF, RowSum, TableDeep
from stark.verifier.layout import TableLayout, Tree, cells

Extension = NDArray[np.uint32]


@dataclass(frozen=True)
class TableExtensions:
    """The low-degree extensions of one table, by tree; trees without its columns are absent."""

    layout: TableLayout
    extensions: dict[Tree, Extension]


def out_of_domain_values(
    parts: TableExtensions, zeta: Element, log_blowup: int
) -> tuple[Element, ...]:
    """The table's opened values in layout order, from coset 0 of its extensions."""
    layout = parts.layout
    table = layout.table
    here = _values_at(parts, zeta, log_blowup)
    values = [here[TREE_OF[part]][column] for part, column in layout.here]
    if layout.following:
        next_point = ext.scale(zeta, root_of_unity(table.log_height))
        trees = {TREE_OF[part] for part, _ in layout.following}
        following = _values_at(parts, next_point, log_blowup, trees)
        values += [following[TREE_OF[part]][column] for part, column in layout.following]
    return (*values, *here[Tree.QUOTIENT])


def element(coefficients: Sequence[int]) -> Element:
    """Five canonical integers as an element."""
    a, b, c, d, e = coefficients
    return (a, b, c, d, e)


def _values_at(
    parts: TableExtensions, point: Element, log_blowup: int, trees: set[Tree] | None = None
) -> dict[Tree, list[Element]]:
    """All columns at ``point``, extension columns recombined from their five base columns."""
    table = parts.layout.table
    shift = coset_shift(table.log_height, log_blowup, 0)
    row_weights = weights(table.log_height, shift, point)
    result = {}
    for tree, extension in parts.extensions.items():
        if trees is not None and tree not in trees:
            continue
        values = evaluate_columns(extension[0], row_weights)[: cells(table, tree)]
        elements = [element(value) for value in values.tolist()]
        if tree in (Tree.AUXILIARY, Tree.QUOTIENT):
            elements = [
                ext.total(ext.multiply(unit, elements[start + i]) for i, unit in enumerate(BASIS))
                for start in range(0, len(elements), DEGREE)
            ]
        result[tree] = elements
    return result


def deep_codeword(
    parts: TableExtensions,
    values: Sequence[Element],
    coefficients: Sequence[Element],
    zeta: Element,
    log_blowup: int,
) -> NDArray[np.uint32]:
    """The table's DEEP codeword, (5, blowup, rows): :class:`TableDeep` at every point."""
    table = parts.layout.table
    deep = TableDeep.of(parts.layout, values, coefficients, zeta)
    spreads = [
        [(row.tree, _spread(row, parts.extensions[row.tree].shape[2])) for row in one.rows]
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
                numerators = combine_rows(parts.extensions[tree][coset], weights_of_cells)
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
