"""Named attacks on the permutation, the chains and the account tree."""

from __future__ import annotations

import numpy as np

from stark.field.koalabear import P
from support.attacks.attacks import CHAINING, NODE, ROOT, attack, known
from support.attacks.bases import COMMON_SLOTS
from support.attacks.forgery import Forgery
from support.attacks.oracle import Witness
from support.attacks.poseidon_rows import (
    FINAL,
    OUTPUT,
    PARTIAL,
    digests,
    inverse_permutation,
    lying_cells,
)
from support.attacks.rules_hash import with_cells
from support.checks import check_equal

# ---- the permutation


@attack("the last round is skipped", "J15", by=(("chain", "hash.y"),))
def _no_last_round(f: Forgery) -> Witness:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    cells = lying_cells(f.inputs[row].tolist(), {})
    cells[OUTPUT:] = cells[OUTPUT - 16 : OUTPUT - 8]
    return with_cells(f, COMMON_SLOTS[0], cells)


@attack("a partial round without its S-box", "J15", by=(("chain", "hash.z"),))
def _no_s_box(f: Forgery) -> Witness:
    """All else follows from the wrong cell."""
    (row,) = f.rows_of(COMMON_SLOTS[0])
    honest = lying_cells(f.inputs[row].tolist(), {})
    root = pow(honest[PARTIAL + 7], pow(3, -1, P - 1), P)
    lie = {PARTIAL + 7: root - honest[PARTIAL + 7]}
    return with_cells(f, COMMON_SLOTS[0], lying_cells(f.inputs[row].tolist(), lie))


@attack("a full round of a lane is skipped", "J15", by=(("chain", "hash.full6"),))
def _no_full_round(f: Forgery) -> Witness:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    cell = FINAL + 16
    honest = lying_cells(f.inputs[row].tolist(), {})
    lie = {cell: honest[cell - 16] - honest[cell]}
    return with_cells(f, COMMON_SLOTS[0], lying_cells(f.inputs[row].tolist(), lie))


for _name, _where in (("between the first two rows", 0), ("in the middle of an account", 1)):

    @attack(f"the chain breaks {_name}", "J8", by=(CHAINING,))
    def _break(f: Forgery, where: int = _where) -> None:
        f.values[f.rows_of(0 if where == 0 else 10)[1 if where == 0 else 100]] = range(8)
        f.finish()


@attack("the chain breaks before the last row", "J8", by=(CHAINING,))
def _break_at_the_end(f: Forgery) -> None:
    f.values[f.shape.rows - 1] = range(8)
    f.finish()


# ---- the account tree


@attack("one slot twice, another never", "J12", by=(NODE,))
def _slot_twice(f: Forgery) -> None:
    f.slot[f.rows_of(COMMON_SLOTS[0])[0]] = COMMON_SLOTS[1]
    f.finish()


@attack("a leaf is sent to no slot", "J12", by=(NODE,))
def _slot_never(f: Forgery) -> None:
    nodes = f.nodes.copy()
    slot = COMMON_SLOTS[0]
    f.slot[f.rows_of(slot)[0]] = 5 * f.shape.slots
    node = f.shape.slots + slot
    f.planted = {node // 2: [*nodes[node & ~1], *nodes[node | 1]]}
    f.finish()


@attack("an account under the number of an inner node", "J19", by=(NODE,))
def _inner_node(f: Forgery) -> None:
    """slot = 5 - slots mod p: its leaf is sent as node 5."""
    f.open_account(f.unused, 5 - f.shape.slots, range(8))
    f.finish()


for _number, _what in ((0, "of idle rows"), (1, "of the root")):

    @attack(f"an account under the number {_what}", "J19", by=(NODE,))
    def _reserved_number(f: Forgery, number: int = _number) -> None:
        """No row receives it: nobody's leaf can stand there."""
        f.open_account(f.unused, number - f.shape.slots, range(8))
        f.finish()


@attack("left and right exchanged", "J12", by=(NODE,))
def _directions(f: Forgery) -> None:
    lanes = f.children[2].tolist()
    f.planted = {2: lanes[8:] + lanes[:8]}
    f.finish()


@attack("a node that is its own child", by=(NODE,))
def _self_loop(f: Forgery) -> None:
    """P(x) begins with zeros, so that C(x) is the left half of x."""
    lanes = inverse_permutation([0] * 8 + list(range(8)))
    check_equal(digests(np.array([lanes]))[0].tolist(), lanes[:8], "C(x) = x[0..8]")
    f.planted = {2: lanes}
    f.finish()


@attack("a subtree below a leaf", by=(NODE,))
def _deeper(f: Forgery) -> None:
    """Two accounts share a slot: their leaves are children of its number."""
    slots, slot = f.shape.slots, 20
    (row,) = f.rows_of(slot)
    f.slot[row] = 2 * (slots + slot) - slots
    f.open_account(f.unused, 2 * (slots + slot) + 1 - slots, range(8))
    f.finish()
    leaf = digests(np.concatenate([f.digests[row], f.digests[f.unused]])[None])[0]
    node = slots + slot
    f.planted = {node // 2: [*leaf, *f.nodes[node + 1]]}
    f.finish()


known("made-up inner nodes", ("tree", "a node to its parent"), by=(NODE,))


@attack("the root is that of a half of the tree", "J20", by=(ROOT,))
def _another_row_as_root(f: Forgery) -> None:
    f.public["tree"] = f.nodes[2].tolist()
