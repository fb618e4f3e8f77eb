"""Out-of-domain values and the DEEP codewords that FRI tests.

The numerators of DEEP quotients are sums of columns, so they are added up as polynomials: of all
the columns of one height, two or three polynomials over the extension are left to be evaluated on
the whole domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.evaluation import reversed_powers
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import inverse, root_of_unity
from stark.field.memory import LANES, aligned_empty, aligned_zeros
from stark.field.montgomery import multiply_by_scalar, scalar_to_montgomery
from stark.fri.deep import combine_rows, inverse_differences, quotients
from stark.prover.polynomials import Polynomials, add_mod
from stark.verifier.deep import TREE_OF, PointSum, RowSum, TableDeep
from stark.verifier.layout import TableLayout, Tree, cells

Matrix = NDArray[np.uint32]

_MASK = 2
"""Place of the mask behind the sums for zeta and for w zeta."""


@dataclass(frozen=True)
class TableColumns:
    """The columns of one table, by tree; trees without its columns are absent."""

    layout: TableLayout
    columns: dict[Tree, Polynomials]


class PointWeights:
    """Weights of zeta and of w zeta, once per height."""

    def __init__(self, zeta: Element) -> None:
        self.zeta = zeta
        self._weights: dict[tuple[int, Element], Matrix] = {}

    def at(self, log_height: int, point: Element) -> Matrix:
        key = log_height, point
        if key not in self._weights:
            self._weights[key] = reversed_powers(log_height, point)
        return self._weights[key]


def out_of_domain_values(parts: TableColumns, weights: PointWeights) -> tuple[Element, ...]:
    """The table's opened values in layout order."""
    layout = parts.layout
    here = _values_at(parts, weights.zeta, weights, set(parts.columns))
    values = [here[TREE_OF[part]][column] for part, column in layout.here]
    if layout.following:
        next_point = ext.scale(weights.zeta, root_of_unity(layout.table.log_height))
        trees = {TREE_OF[part] for part, _ in layout.following}
        following = _values_at(parts, next_point, weights, trees)
        values += [following[TREE_OF[part]][column] for part, column in layout.following]
    return (*values, *here[Tree.QUOTIENT])


def _values_at(
    parts: TableColumns, point: Element, weights: PointWeights, trees: set[Tree]
) -> dict[Tree, list[Element]]:
    """Columns of some trees at ``point``, extension columns recombined from their base columns."""
    table = parts.layout.table
    result = {}
    for tree in trees:
        own = weights.at(table.log_height, point)
        elements = parts.columns[tree].at(point, own)[: cells(table, tree)]
        if tree in (Tree.AUXILIARY, Tree.QUOTIENT):
            elements = [
                ext.total(map(ext.multiply, ext.BASIS, elements[start : start + DEGREE]))
                for start in range(0, len(elements), DEGREE)
            ]
        result[tree] = elements
    return result


@dataclass
class _Numerators:
    """What the tables of one height add up to, before it is divided by x - zeta and x - w zeta.

    Attributes
    ----------
    sums
        For each of the two points: coefficients of the sum of the columns, (5, N).
    overflows
        The same for the overflows, (5, slack).
    values
        The sum of the opened values.
    """

    sums: dict[int, Matrix] = field(default_factory=dict)
    overflows: dict[int, Matrix] = field(default_factory=dict)
    values: list[Element] = field(default_factory=lambda: [ext.ZERO, ext.ZERO])

    def add(self, place: int, point_sum: PointSum, columns: Mapping[Tree, Polynomials]) -> None:
        for row_sum in point_sum.rows:
            one = columns[row_sum.tree]
            spread = _spread(row_sum, one.width)
            _accumulate(self.sums, place, combine_rows(one.coefficients, spread))
            if one.overflow is not None:
                _accumulate(self.overflows, place, combine_rows(one.overflow, spread))
        self.values[place] = ext.add(self.values[place], point_sum.value)


def deep_codewords(
    parts: Sequence[TableColumns],
    values: Sequence[Sequence[Element]],
    coefficients: Sequence[Sequence[Element]],
    zeta: Element,
    masks: Mapping[int, Polynomials],
    log_blowup: int,
) -> dict[int, Matrix]:
    """The DEEP codeword of each height, (5, blowup, rows): :class:`TableDeep` at every point.

    Parameters
    ----------
    parts, values, coefficients
        Per table: columns, opened values, and the batching coefficients of these, in layout order.
    masks
        By log2 height, the polynomials that hide the codewords (five columns), if there are any.
    """
    heights: dict[int, _Numerators] = {}
    for part, own, weights in zip(parts, values, coefficients, strict=True):
        deep = TableDeep.of(part.layout, own, weights, zeta)
        numerators = heights.setdefault(part.layout.table.log_height, _Numerators())
        for place, point_sum in enumerate(deep.sums):
            numerators.add(place, point_sum, part.columns)
    return {
        log_height: _codeword(numerators, log_height, zeta, masks.get(log_height), log_blowup)
        for log_height, numerators in heights.items()
    }


def _codeword(
    numerators: _Numerators,
    log_height: int,
    zeta: Element,
    mask: Polynomials | None,
    log_blowup: int,
) -> Matrix:
    # With x = w y, 1/(x - w zeta) = w^-1 / (y - zeta): the inverse of one row before. The factor
    # w^-1 goes to the numerator, which `_joint` does, and to the value.
    opened = numerators.values[0], ext.scale(numerators.values[1], _back(log_height))
    joint = _joint(numerators, mask, log_height, log_blowup)
    height = 1 << log_height
    codeword = aligned_empty((DEGREE, 1 << log_blowup, height))
    buffer = aligned_empty((height, LANES))
    for coset in range(1 << log_blowup):
        values = joint.coset(coset, buffer)
        inverses = inverse_differences(domain_points(log_height, joint.shift(coset)), zeta)
        quotients(values, opened, (inverses, np.roll(inverses, 1, axis=1)), codeword, coset)
    return codeword


def _joint(
    numerators: _Numerators, mask: Polynomials | None, log_height: int, log_blowup: int
) -> Polynomials:
    """Numerators and mask side by side: one transform of 16 columns for all of them."""
    coefficients = aligned_zeros((1 << log_height, LANES))
    overflows = {}
    for place, total in numerators.sums.items():
        coefficients[:, _part(place)] = _factored(total, place, log_height)
    for place, total in numerators.overflows.items():
        overflows[place] = _factored(total, place, log_height)
    if mask is not None:
        coefficients[:, _part(_MASK)] = mask.coefficients[:, :DEGREE]
        if mask.overflow is not None:
            overflows[_MASK] = mask.overflow[:, :DEGREE]
    overflow = None
    if overflows:
        overflow = aligned_zeros((max(map(len, overflows.values())), LANES))
        for place, rows in overflows.items():
            overflow[: len(rows), _part(place)] = rows
    return Polynomials(coefficients, overflow, log_blowup)


def _part(place: int) -> slice:
    """Columns of one of the three polynomials over the extension."""
    return slice(DEGREE * place, DEGREE * (place + 1))


def _back(log_height: int) -> int:
    """w^-1."""
    return inverse(root_of_unity(log_height))


def _factored(total: Matrix, place: int, log_height: int) -> Matrix:
    """A sum (5, n) as rows (n, 5), that of the second point times w^-1."""
    if place:
        factor = scalar_to_montgomery(_back(log_height))
        total = multiply_by_scalar(np.ascontiguousarray(total), factor)
    return total.T


def _accumulate(sums: dict[int, Matrix], place: int, summand: Matrix) -> None:
    if place in sums:
        # Overflows may be of several lengths.
        long, short = sorted((sums[place], summand), key=lambda one: one.shape[1], reverse=True)
        length = short.shape[1]
        long[:, :length] = add_mod(long[:, :length], short)
        summand = long
    sums[place] = summand


def _spread(row_sum: RowSum, width: int) -> NDArray[np.uint32]:
    """Coefficients by cell of a padded row, (width, 5) canonical; zero where nothing is opened."""
    spread = np.zeros((width, DEGREE), np.uint32)
    positions = row_sum.positions or range(len(row_sum.coefficients))
    for position, packed in zip(positions, row_sum.coefficients, strict=True):
        spread[position] = ext.unpack(packed)
    return spread
