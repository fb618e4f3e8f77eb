"""Where things are: which polynomials are opened at which point, and in which tree they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from stark.constraints.expression import Part
from stark.field.extension import DEGREE
from stark.hash.suite import SHA256, Suite
from stark.merkle.multiproof import TreeShape
from stark.system import Table


class Tree(IntEnum):
    """The commitments that hold the columns of the tables, in the order of their rounds."""

    PREPROCESSED = 0
    MAIN = 1
    AUXILIARY = 2
    QUOTIENT = 3

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class TableLayout:
    """The opened values of one table.

    They come in this order: preprocessed, main and auxiliary columns at zeta; those of them that
    are used on the next row at w zeta; the chunks of the quotient at zeta.

    Attributes
    ----------
    here, following
        (part, column) of the values at zeta and at w zeta.
    """

    table: Table
    here: tuple[tuple[Part, int], ...]
    following: tuple[tuple[Part, int], ...]

    @classmethod
    def of(cls, table: Table) -> TableLayout:
        here = tuple((part, column) for part in Part for column in range(table.width(part)))
        following = tuple((part, column) for part in Part for column in table.next_columns[part])
        return cls(table, here, following)

    @property
    def value_count(self) -> int:
        return len(self.here) + len(self.following) + self.table.quotient_chunks


def cells(table: Table, tree: Tree) -> int:
    """Base-field elements that a row of ``table`` has in ``tree``."""
    if tree is Tree.QUOTIENT:
        return DEGREE * table.quotient_chunks
    part = Part(tree.value)
    return table.width(part) * (DEGREE if part is Part.AUXILIARY else 1)


def mask_cells(tree: Tree, zk: bool) -> int:
    """Elements at the end of each joint row that hide the codeword of its height.

    They are a random polynomial over the extension, committed with the main columns and added to
    the DEEP codeword of that height: what FRI shows of it is then uniformly distributed.
    """
    return DEGREE if zk and tree is Tree.MAIN else 0


def tables_in(tables: Sequence[Table], tree: Tree, log_height: int) -> list[int]:
    """Indices of the tables of one height that have columns in ``tree``, in system order."""
    return [
        index
        for index, table in enumerate(tables)
        if table.log_height == log_height and cells(table, tree)
    ]


def tree_shape(
    tables: Sequence[Table],
    tree: Tree,
    log_blowup: int,
    cap_height: int,
    zk: bool,
    suite: Suite = SHA256,
) -> TreeShape | None:
    """Shape of a commitment: at each height, the rows of its tables one after the other.

    ``None`` if no table has columns in ``tree``. Preprocessed rows are public and never salted;
    their cap is the root alone, which keeps a pinned key at 32 bytes.
    """
    groups = []
    for log_height in sorted({table.log_height for table in tables}, reverse=True):
        members = tables_in(tables, tree, log_height)
        if members:
            width = sum(cells(tables[index], tree) for index in members) + mask_cells(tree, zk)
            groups.append((log_height + log_blowup, width))
    if not groups:
        return None
    return TreeShape(
        groups=tuple(groups),
        salted=zk and tree is not Tree.PREPROCESSED,
        cap_height=0 if tree is Tree.PREPROCESSED else min(cap_height, groups[-1][0]),
        suite=suite,
    )
