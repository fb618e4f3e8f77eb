"""For every cell of the permutation: a row that is right but for it."""

from __future__ import annotations

from air.tables.chain import EXTRA_COLUMNS
from support.attacks.bases import COMMON_SLOTS, base
from support.attacks.cheats import cheat
from support.attacks.forgery import Forgery
from support.attacks.oracle import Witness
from support.attacks.poseidon_rows import (
    cell_of_label,
    compressed,
    digests,
    honest_cells,
    lying_cells,
)


def with_cells(f: Forgery, slot: int, cells: list[int]) -> Witness:
    """Other cells of the permutation on the only row of an account; leaf and tree follow them."""
    (row,) = f.rows_of(slot)
    return _patched(f, {"chain": {row: cells}}, f.shape.slots + slot, compressed(cells))


def _chain_row_with_a_lie(f: Forgery, cell: int) -> Witness:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    return with_cells(f, COMMON_SLOTS[0], lying_cells(f.inputs[row].tolist(), {cell: 1}))


def _tree_row_with_a_lie(f: Forgery, cell: int) -> Witness:
    """A lie on the row of a node above the leaves; its ancestors go with it."""
    node = f.shape.slots // 2
    lying = lying_cells(f.children[node].tolist(), {cell: 1})
    return _patched(f, {"tree": {node - 1: lying}}, node, compressed(lying))


def _patched(
    f: Forgery, rows: dict[str, dict[int, list[int]]], node: int, digest: list[int]
) -> Witness:
    """The honest witness with some rows, another digest of a node, and the path from it."""
    honest = f.base.honest
    chain, tree = honest.traces["chain"].copy(), honest.traces["tree"].copy()
    width = chain.shape[1] - len(EXTRA_COLUMNS)
    for row, cells in rows.get("chain", {}).items():
        chain[row, :width] = cells
    for row, cells in rows.get("tree", {}).items():
        tree[row] = cells
    while node > 1:
        inputs = tree[node // 2 - 1, :16].copy()
        inputs[8 * (node & 1) : 8 * (node & 1) + 8] = digest
        node //= 2
        tree[node - 1] = honest_cells(inputs[None])[0]
        digest = [int(v) for v in digests(inputs[None])[0]]
    publics = {"chain": honest.publics["chain"], "tree": digest}
    return Witness({**honest.traces, "chain": chain, "tree": tree}, publics)


for _table, _liar in (("chain", _chain_row_with_a_lie), ("tree", _tree_row_with_a_lie)):
    for _constraint in next(
        table for table in base("middle").system.tables if table.name == _table
    ).symbolic.constraints:
        _cell = cell_of_label(_constraint.label)
        if _cell is not None:
            cheat(_table, _constraint.label)(
                lambda f, liar=_liar, cell=_cell: liar(f, cell)  # type: ignore[misc]
            )
