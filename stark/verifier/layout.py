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


def batching_order(tables: Sequence[Table], log_height: int) -> list[tuple[int, int]]:
    """All opened values of the tables of one height in the order of powers of one challenge.

    Returns (index of the table, number of the value in its layout): at zeta what the joint rows of
    that height hold, tree by tree and cell by cell (columns over the extension count once), then
    what is opened at w zeta, likewise. So a verifier that reads joint rows, like a circuit that
    hashes them, adds up a row by Horner's rule as it comes.
    """
    layouts = [
        (index, TableLayout.of(table))
        for index, table in enumerate(tables)
        if table.log_height == log_height
    ]
    here, quotient, following = [], [], []
    for part in Part:
        for index, layout in layouts:
            start = len(layout.here)
            places = enumerate(layout.here + layout.following)
            own = [place for place, (other, _) in places if other is part]
            here += [(index, place) for place in own if place < start]
            following += [(index, place) for place in own if place >= start]
    for index, layout in layouts:
        chunks = range(len(layout.here) + len(layout.following), layout.value_count)
        quotient += [(index, place) for place in chunks]
    return here + quotient + following


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
    groups, extensions = [], []
    for log_height in sorted({table.log_height for table in tables}, reverse=True):
        members = tables_in(tables, tree, log_height)
        if members:
            own = sum(cells(tables[index], tree) for index in members)
            mask = mask_cells(tree, zk)
            groups.append((log_height + log_blowup, own + mask))
            over_extension = tree in (Tree.AUXILIARY, Tree.QUOTIENT)
            extensions.append(((own if over_extension else 0) + mask) // DEGREE)
    if not groups:
        return None
    return TreeShape(
        groups=tuple(groups),
        salted=zk and tree is not Tree.PREPROCESSED,
        cap_height=0 if tree is Tree.PREPROCESSED else min(cap_height, groups[-1][0]),
        suite=suite,
        extensions=tuple(extensions) if any(extensions) else (),
    )
