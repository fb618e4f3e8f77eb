"""Out-of-domain values and the DEEP codewords that FRI tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stark.constraints.system import Table
from stark.field import extension as ext
from stark.field.barycentric import evaluate_columns, weights
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import root_of_unity
from stark.field.ntt import coset_shift
from stark.fri.deep import accumulate_quotient, combine_rows, inverse_differences
from stark.verifier.deep import BASIS, TREE_OF, TableDeep
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
        elements: list[Element] = [tuple(int(c) for c in value) for value in values]  # type: ignore[misc]
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
    """The table's DEEP codeword, (5, blowup, rows): what :class:`TableDeep` gives at every point."""
    table: Table = parts.layout.table
    deep = TableDeep.of(parts.layout, values, coefficients, zeta)
    codeword = np.zeros((DEGREE, 1 << log_blowup, table.height), np.uint32)
    for coset in range(1 << log_blowup):
        points = domain_points(
            table.log_height, coset_shift(table.log_height, log_blowup, coset)
        )
        out = np.zeros((DEGREE, table.height), np.uint32)
        for point_sum in deep.sums:
            numerators = np.zeros((DEGREE, table.height), np.uint64)
            for row_sum in point_sum.rows:
                matrix = parts.extensions[row_sum.tree][coset]
                spread = np.zeros((matrix.shape[1], DEGREE), np.uint32)
                positions = row_sum.positions or range(len(row_sum.coefficients))
                for position, packed in zip(positions, row_sum.coefficients, strict=True):
                    spread[position] = ext.unpack(packed)
                numerators += combine_rows(matrix, spread)
            reduced = (numerators % ext.P).astype(np.uint32)
            inverses = inverse_differences(points, point_sum.point)
            accumulate_quotient(out, reduced, point_sum.value, inverses)
        codeword[:, coset] = out
    return codeword
