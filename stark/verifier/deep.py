"""DEEP, the verifier's side: the codewords that FRI tests, computed at the queried positions.

At a point x of the evaluation coset, the tables of one height contribute

    F(x) = sum over their opened values v_k = f_k(z_k) of  c_k (f_k(x) - v_k) / (x - z_k)

with z_k = zeta or w zeta, and c_k the batching coefficient of the opened value (independent
challenges, or powers of one). Sums over the cells of a row are taken with packed coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from stark.constraints.expression import Part
from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.system import Table
from stark.verifier.layout import TableLayout, Tree, cells

TREE_OF = {
    Part.PREPROCESSED: Tree.PREPROCESSED,
    Part.MAIN: Tree.MAIN,
    Part.AUXILIARY: Tree.AUXILIARY,
}


@dataclass(frozen=True)
class RowSum:
    """sum of coefficients times the cells of one row, for one tree and opening point."""

    tree: Tree
    positions: tuple[int, ...] | None
    coefficients: tuple[int, ...]

    def at(self, row: Sequence[int]) -> int:
        """The packed sum for the table's ``row`` in this tree."""
        picked = row if self.positions is None else [row[p] for p in self.positions]
        return sum(map(mul, picked, self.coefficients))


@dataclass(frozen=True)
class PointSum:
    """All columns of a table that are opened at one point z, and sum of c_k v_k."""

    point: Element
    rows: tuple[RowSum, ...]
    value: Element


@dataclass(frozen=True)
class TableDeep:
    """The DEEP contribution of one table."""

    table: Table
    sums: tuple[PointSum, ...]

    @classmethod
    def of(
        cls,
        layout: TableLayout,
        values: Sequence[Element],
        coefficients: Sequence[Element],
        zeta: Element,
    ) -> TableDeep:
        """From the table's opened values and their batching coefficients, in layout order."""
        table = layout.table
        here, following = len(layout.here), len(layout.following)
        quotient = here + following
        next_point = ext.scale(zeta, root_of_unity(table.log_height))
        at_zeta = [*range(here), *range(quotient, len(values))]
        cells_here = [(TREE_OF[part], column) for part, column in layout.here]
        cells_here += [(Tree.QUOTIENT, chunk) for chunk in range(table.quotient_chunks)]
        sums = [_point_sum(table, zeta, cells_here, at_zeta, values, coefficients)]
        if following:
            cells_next = [(TREE_OF[part], column) for part, column in layout.following]
            indices = range(here, quotient)
            sums.append(_point_sum(table, next_point, cells_next, indices, values, coefficients))
        return cls(table, tuple(sums))

    def at(self, rows: Mapping[Tree, Sequence[int]], x: int) -> Element:
        """F at the base point ``x``, given the table's opened row in every tree.

        Rejected(Domain) if x is an opening point.
        """
        result = ext.ZERO
        for point_sum in self.sums:
            packed = sum(row_sum.at(rows[row_sum.tree]) for row_sum in point_sum.rows)
            difference = ext.subtract(ext.from_base(x), point_sum.point)
            if difference == ext.ZERO:
                raise Rejected(Code.DOMAIN, "query points differ from zeta", "different", x)
            numerator = ext.subtract(ext.unpack(packed), point_sum.value)
            result = ext.add(result, ext.multiply(numerator, ext.invert(difference)))
        return result


def _point_sum(
    table: Table,
    point: Element,
    opened: Sequence[tuple[Tree, int]],
    indices: Sequence[int],
    values: Sequence[Element],
    coefficients: Sequence[Element],
) -> PointSum:
    """Coefficients by tree and cell; an extension column spreads over its five cells."""
    by_tree: dict[Tree, dict[int, Element]] = {}
    for (tree, column), index in zip(opened, indices, strict=True):
        weights = by_tree.setdefault(tree, {})
        coefficient = coefficients[index]
        if tree in (Tree.AUXILIARY, Tree.QUOTIENT):
            for power, unit in enumerate(ext.BASIS):
                weights[DEGREE * column + power] = ext.multiply(coefficient, unit)
        else:
            weights[column] = coefficient
    rows = []
    for tree, weights in by_tree.items():
        positions = tuple(sorted(weights))
        whole = positions == tuple(range(cells(table, tree)))
        packed = tuple(ext.pack(weights[position]) for position in positions)
        rows.append(RowSum(tree, None if whole else positions, packed))
    value = ext.total(ext.multiply(coefficients[index], values[index]) for index in indices)
    return PointSum(point, tuple(rows), value)


def domain_point(log_size: int, index: int) -> int:
    """Point number ``index`` of the evaluation coset of 2^log_size points: 3 w^index."""
    return GENERATOR * pow(root_of_unity(log_size), index, P) % P
