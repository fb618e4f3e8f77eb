"""DEEP inside a circuit: the codewords that FRI tests, at the queried positions.

All tables of one height share their points zeta and w zeta, and powers of one coefficient c run
over their functions in the order in which the leaves hold them (``batching_coefficients``). So the
sum over the functions f_k of a height with B of them,

    sum over k of c^(B - k) (f_k(x) - f_k(z_k)) / (x - z_k),

is c ((H(x) - H(zeta)) c^n / (x - zeta) + (H'(x) - H'(w zeta)) / (x - w zeta)), where H and H' are
Horner's rule over the cells that are opened at zeta and, n of them, at w zeta. For whole rows H'
is what H has been before the quotient came, and both follow from one sum per tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.koalabear import GENERATOR, root_of_unity
from stark.recursion.builder import CircuitBuilder, Wire
from stark.system import Table
from stark.verifier.deep import TREE_OF
from stark.verifier.layout import TableLayout, Tree


@dataclass(frozen=True)
class HeightDeep:
    """What is the same for all queries at one height.

    Attributes
    ----------
    trees
        The trees that hold columns of this height, in order, with c to the number of functions.
    following
        How many of them are opened at w zeta too, from the first on.
    value, next_value
        H(zeta) and H'(w zeta).
    factor
        c^n.
    """

    trees: tuple[tuple[Tree, Wire], ...]
    following: int
    value: Wire
    next_value: Wire
    zeta: Wire
    next_point: Wire
    coefficient: Wire
    factor: Wire

    @classmethod
    def of(
        cls,
        builder: CircuitBuilder,
        tables: Sequence[Table],
        opened: Mapping[str, Sequence[Wire]],
        coefficient: Wire,
        zeta: Wire,
    ) -> HeightDeep:
        """For the tables of one height, with their opened values in layout order.

        Raises ``UsageError`` if rows are opened in part: the system has no whole rows.
        """
        root = root_of_unity(tables[0].log_height)
        here: dict[Tree, list[Wire]] = {tree: [] for tree in Tree}
        following: dict[Tree, list[Wire]] = {tree: [] for tree in Tree}
        for table in tables:
            layout = TableLayout.of(table)
            values = opened[table.name]
            for (part, _), wire in zip(layout.here, values, strict=False):
                here[TREE_OF[part]].append(wire)
            for (part, _), wire in zip(layout.following, values[len(layout.here) :], strict=False):
                following[TREE_OF[part]].append(wire)
            here[Tree.QUOTIENT] += values[len(values) - table.quotient_chunks :]
        used = [tree for tree in Tree if here[tree]]
        nexts = [tree for tree in Tree if following[tree]]
        for part in Part:
            tree = TREE_OF[part]
            if following[tree] and len(following[tree]) != len(here[tree]):
                raise UsageError(f"{tables[0].name}: rows are opened in part; use whole_rows")
        # H' must be a beginning of H; a tree in between that is not opened at w zeta would be in
        # the way. Its sums are then taken apart, see `horner`.
        count = sum(map(len, following.values()))
        trees = tuple((tree, builder.power(coefficient, len(here[tree]))) for tree in used)
        value = _horner(builder, [wire for tree in used for wire in here[tree]], coefficient)
        next_value = 0
        if nexts:
            cells = [wire for tree in nexts for wire in following[tree]]
            next_value = _horner(builder, cells, coefficient)
        return cls(
            trees=trees,
            following=sum(1 << tree for tree in nexts),
            value=value,
            next_value=next_value,
            zeta=zeta,
            next_point=builder.evaluate(zeta, qa=root),
            coefficient=coefficient,
            factor=builder.power(coefficient, count),
        )

    def at(self, builder: CircuitBuilder, sums: Mapping[Tree, Wire], y: Wire) -> Wire:
        """The codeword at x = 3 / y, from the sums of the opened rows; without the mask.

        1 / (x - z) is y / (3 - z y): the common y and the last c are multiplied once.
        """
        here: Wire = 0
        following: Wire = 0
        shared = True
        for tree, weight in self.trees:
            here = builder.multiply_add(here, weight, sums[tree]) if here else sums[tree]
            if self.following >> tree & 1:
                if shared:
                    following = here
                else:
                    following = (
                        builder.multiply_add(following, weight, sums[tree])
                        if following
                        else sums[tree]
                    )
            else:
                shared = False
        result = self._quotient(builder, here, self.value, self.zeta, y)
        if following:
            other = self._quotient(builder, following, self.next_value, self.next_point, y)
            result = builder.multiply_add(result, self.factor, other)
        return builder.multiply(result, builder.multiply(self.coefficient, y))

    def _quotient(
        self, builder: CircuitBuilder, total: Wire, value: Wire, point: Wire, y: Wire
    ) -> Wire:
        """(total - value) / (3 - point y)."""
        inverse = builder.invert(builder.evaluate(point, y, ab=-1, q0=GENERATOR))
        return builder.evaluate(total, value, inverse, cab=1)


def _horner(builder: CircuitBuilder, values: Sequence[Wire], coefficient: Wire) -> Wire:
    total = values[0]
    for value in values[1:]:
        total = builder.multiply_add(total, coefficient, value)
    return total
