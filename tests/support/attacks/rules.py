"""For every constraint, message and tuple position of a batch: a cheat that only it refuses.

A cheat is filed under its rules. Where a rule follows from others, no witness breaks it alone: the
cheat then breaks all of ``together``, passes once these are left out, and ``why`` says how the rule
follows. Messages that meet fixed counts on the other side cannot be left out at all: without them
nothing balances. ``TWO_SIDED`` says why; what such a message carries is tested position by
position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from air.encoding import AMOUNT_LIMBS, LIMB_MASK, TOTAL_LIMBS
from air.tables.chain import EXTRA_COLUMNS
from stark.field.koalabear import P
from support.attacks.bases import (
    COMMON_SLOTS,
    RICH_ASSET,
    RICH_SLOTS,
    UNHELD_ASSET,
    base,
)
from support.attacks.forgery import AFTER, CARRIES, SUMS, Forgery
from support.attacks.oracle import Rule, Witness
from support.attacks.poseidon_rows import (
    cell_of_label,
    compressed,
    digests,
    honest_cells,
    lying_cells,
)

Forge = Callable[[Forgery], Witness | None]
"""Turns an honest forgery into a cheat; returns the witness unless it is the forgery's own."""


@dataclass(frozen=True)
class Cheat:
    """A forged witness.

    Attributes
    ----------
    base
        Name of the honest batch that it changes.
    together
        The rules that must all be left out for it to pass.
    why
        Why none of several rules can be broken alone; empty for a single rule.
    """

    name: str
    base: str
    forge: Forge
    together: frozenset[Rule]
    why: str = ""

    def witness(self) -> Witness:
        forgery = base(self.base).forgery()
        return self.forge(forgery) or forgery.witness()


CHEATS: dict[Rule, Cheat] = {}
"""By constraint or message."""

BLINDED: dict[tuple[str, int], Cheat] = {}
"""By tuple position; ``together`` is the bus."""

TWO_SIDED: dict[Rule, str] = {
    ("chain", "the account's leaf"): "every leaf number is received once, by fixed counts",
    ("chain", "running totals"): "the totals table sends two tuples per asset, by fixed counts",
    ("tree", "the left child"): "nodes with even numbers are sent, by fixed counts",
    ("tree", "the right child"): "nodes with odd numbers are sent, by fixed counts",
    ("totals", "the total before the batch"): "side 0 is received on fixed rows",
    ("totals", "the total after the batch"): "side 1 is received on fixed rows",
    ("range", "a value of the range"): "every row looks values up, with counts 0 or 1",
}
"""Messages without which no witness balances, honest or not."""


def cheat(
    table: str,
    *labels: str,
    on: str = "middle",
    together: tuple[Rule, ...] = (),
    why: str = "",
) -> Callable[[Forge], Forge]:
    """File a cheat under the rules ``labels`` of ``table``."""

    def file(forge: Forge) -> Forge:
        for label in labels:
            rule = (table, label)
            name = f"{table}: {label}"
            CHEATS[rule] = Cheat(name, on, forge, frozenset({rule, *together}), why)
        return forge

    return file


def each(
    table: str, pattern: str, count: int, forge: Callable[[Forgery, int], None], on: str = "middle"
) -> None:
    """File one cheat for each of ``count`` numbered rules."""
    for number in range(count):
        cheat(table, pattern.format(number), on=on)(_numbered(forge, number))


def _numbered(forge: Callable[[Forgery, int], None], number: int) -> Forge:
    return lambda forgery: forge(forgery, number)


# ---- chain: flags


FLAGS = tuple(("chain", f"flags are boolean [{k}]") for k in range(3))
"""real, first, last."""

WHY_FLAGS = (
    "between rows of the holding region, real' = real + first' - last and what is not real is "
    "empty: from real = 1 on row 0, two flags being boolean makes the third so"
)


def _doubled_leaf(f: Forgery, slots: tuple[int, int], gap: bool) -> None:
    """A flag `last` of 8 and one of -8 send one digest 8 and -8 times: nobody receives it.

    The headers of the two rows agree, as 4 (8 - (-8)) = 64: asset a + 1 makes up for it. Flags of
    8 and -8 follow on the next row, or, with ``gap``, `real` of -7 and 9 between.
    """
    commitment = f.values[f.rows_of(slots[0])[0]]
    for slot, flag, asset in zip(slots, (8, -8), (20, 21), strict=True):
        start, second, *rest = f.rows_of(slot)
        f.values[start] = commitment
        f.lanes[[start, second]] = 0
        f.asset[start], f.asset[second] = asset, 22
        f.last[start], f.slot[start] = flag, 1000
        if gap:
            f.real[second] = 1 - flag
            f.first[rest[0]] = flag
            f.asset[rest[0]] = 23
        else:
            f.first[second] = flag
    f.finish()


@cheat("chain", FLAGS[0][1], together=FLAGS, why=WHY_FLAGS)
def _real_is_no_flag(f: Forgery) -> None:
    _doubled_leaf(f, (8, 9), gap=True)


@cheat("chain", FLAGS[1][1], FLAGS[2][1], together=FLAGS[1:], why=WHY_FLAGS)
def _first_and_last_are_no_flags(f: Forgery) -> None:
    _doubled_leaf(f, (6, 7), gap=False)


@cheat("chain", "row 0 starts an account [0]")
def _row_0_goes_on_from_the_last_row(f: Forgery) -> None:
    f.first[0] = 0
    f.values[0] = [int(v) for v in f.digests[-1]]
    f.finish()


@cheat(
    "chain",
    "row 0 starts an account [1]",
    together=(("chain", "rows that are not real are empty [0]"),),
    why="first = 1 on row 0, and on rows that are not real first = 0",
)
def _row_0_is_not_real(f: Forgery) -> None:
    f.real[0] = 0
    f.lanes[0] = 0
    f.first[1] = 1
    f.values[1] = f.values[0]
    f.finish()


PADDING = "rows that are not real are empty [{}]"


@cheat(
    "chain",
    PADDING.format(0),
    PADDING.format(1),
    together=(("chain", PADDING.format(0)), ("chain", PADDING.format(1))),
    why="last = 1 on a row that is not real needs first = 1 on the next such row, and conversely",
)
def _a_leaf_from_rows_that_are_not_real(f: Forgery) -> None:
    row, slot = f.unused, 20
    f.vacate(f.rows_of(slot)[0])
    f.last[row], f.slot[row] = 1, slot
    f.first[row + 1] = f.asset[row + 1] = 1
    f.finish()


def _an_amount_on_a_row_that_is_not_real(f: Forgery, number: int) -> None:
    f.lanes[f.unused, number - 2] = 5
    f.finish()


for _number in range(2, 2 + AMOUNT_LIMBS):
    cheat("chain", PADDING.format(_number))(
        _numbered(_an_amount_on_a_row_that_is_not_real, _number)
    )


@cheat("chain", "accounts are contiguous")
def _an_account_that_is_never_closed(f: Forgery) -> None:
    """Its rows are summed, but in no leaf; a made-up account takes its slot."""
    end = f.rows_of(0)[-1]
    f.last[end] = 0
    f.open_account(f.unused, 0, f.values[0])
    f.finish()


@cheat(
    "chain",
    "the last account is complete",
    on="full",
    together=(("chain", "assets of an account increase"),),
    why="an open account compares its asset with that of the first digest row, which is 0",
)
def _the_last_row_is_open(f: Forgery) -> None:
    *_, before, end = f.rows_of(f.shape.slots - 1)
    f.last[before], f.slot[before] = 1, f.shape.slots - 1
    f.first[end], f.last[end] = 1, 0
    f.values[end] = f.values[0]
    f.finish()


# ---- chain: hashing


def _a_lane_of_the_chaining_value_changes(f: Forgery, lane: int) -> None:
    row = f.rows_of(0)[1]
    value = [int(v) for v in f.digests[row - 1]]
    value[lane] += 1
    f.values[row] = value
    f.finish()


each("chain", "the chaining value continues [{}]", 8, _a_lane_of_the_chaining_value_changes)


@cheat("chain", "tag, flags and asset are the header lane")
def _hashed_under_another_asset(f: Forgery) -> None:
    row = f.rows_of(COMMON_SLOTS[0])[0]
    f.header[row] += 64
    f.finish(keep=["headers"])


def _a_value_in_an_unused_lane(f: Forgery, number: int) -> None:
    f.lanes[f.rows_of(0)[1], AMOUNT_LIMBS + number] = 5
    f.finish()


each("chain", "unused lanes are zero [{}]", 2, _a_value_in_an_unused_lane)


# ---- chain: digest region


REGION = "the digest region is fixed [{}]"


@cheat("chain", REGION.format(0))
def _the_digest_starts_anew(f: Forgery) -> None:
    row = f.side(1).start + 100
    f.first[row] = 1
    f.values[row] = range(8)
    f.finish()


@cheat("chain", REGION.format(1))
def _a_digest_ends_early(f: Forgery) -> None:
    f.last[f.side(1).start + 100] = 1
    f.finish()


@cheat("chain", REGION.format(2))
def _totals_under_other_assets(f: Forgery) -> None:
    row = f.side(1).start + 100
    f.asset[[row, row + 1]] = f.asset[[row + 1, row]]
    f.finish()


@cheat("chain", REGION.format(3))
def _a_digest_row_is_real(f: Forgery) -> None:
    f.real[f.side(0).start + 100] = 1
    f.finish()


def _another_digest_before(f: Forgery, lane: int) -> None:
    f.public["chain"][1 + lane] = (f.public["chain"][1 + lane] + 1) % P


def _another_digest_after(f: Forgery, lane: int) -> None:
    f.public["chain"][9 + lane] = (f.public["chain"][9 + lane] + 1) % P


def _the_first_batch_starts_with_something(f: Forgery, limb: int) -> None:
    f.totals_in[UNHELD_ASSET, limb] = 5
    f.finish()


each("chain", "the digest before the batch [{}]", 8, _another_digest_before)
each("chain", "the digest after the batch [{}]", 8, _another_digest_after)
each(
    "chain",
    "the first batch starts from zero [{}]",
    TOTAL_LIMBS,
    _the_first_batch_starts_with_something,
    on="first",
)


# ---- chain: messages


def _a_negative_limb(f: Forgery, limb: int) -> None:
    """-5 with one account, which another's more than makes up for: the sum looks well."""
    row, other = (f.rows_of(slot)[0] for slot in COMMON_SLOTS)
    f.lanes[row, limb] = -5
    f.lanes[other, limb] = 30
    f.finish()


each("chain", "limb {} is in range", AMOUNT_LIMBS, _a_negative_limb)


@cheat("chain", "the asset is in range")
def _an_asset_that_hides_the_flag(f: Forgery) -> None:
    """64 (a - 2/64) = 64 a - 2 takes `first` out of the header: rows before this one, which are in
    no table, seem to belong to the customer's chain."""
    row = f.rows_of(COMMON_SLOTS[0])[0]
    f.lanes[row] = 0
    f.asset[row] = (30 - pow(32, -1, P)) % P
    f.finish()


@cheat("chain", "assets of an account increase")
def _an_asset_twice_in_an_account(f: Forgery) -> None:
    one, two, _ = f.rows_of(0)
    f.asset[two] = f.asset[one]
    f.finish()


@cheat("chain", "amounts are summed")
def _nothing_is_summed(f: Forgery) -> None:
    f.totals[:, :, SUMS] = 0
    f.finish(keep=["sums"])


# ---- tree


def _another_root(f: Forgery, lane: int) -> None:
    f.public["tree"][lane] = (f.public["tree"][lane] + 1) % P


each("tree", "the root [{}]", 8, _another_root)


@cheat("tree", "a node to its parent")
def _made_up_nodes(f: Forgery) -> None:
    """Accounts under the numbers of all inner nodes: what is above them is free, and nobody's leaf
    is below the root."""
    slots = f.shape.slots
    rows = range(f.unused, f.unused + slots - 2)
    for row, node in zip(rows, range(2, slots), strict=True):
        f.open_account(row, node - slots, [node] * 8)
    f.finish(keep=["tree", "publics"])
    made_up = dict(zip(range(2, slots), f.digests[list(rows)], strict=True))
    for node in range(1, slots // 2):
        f.planted[node] = [*made_up[2 * node], *made_up[2 * node + 1]]
    f.tree()
    f.publics()


# ---- totals


def _an_addition_off_by_one(f: Forgery, limb: int) -> None:
    f.totals[UNHELD_ASSET, -1, AFTER.start + limb] ^= 1
    f.finish(keep=["sums", "additions"])


def _a_total_that_jumps(f: Forgery, limb: int) -> None:
    f.totals[UNHELD_ASSET, 3:, limb] ^= 1
    f.totals[UNHELD_ASSET, 3:, AFTER.start + limb] ^= 1
    f.finish(keep=["sums", "additions"])


each("totals", "T + S = U [{}]", TOTAL_LIMBS, _an_addition_off_by_one)
each("totals", "totals run on within an asset [{}]", TOTAL_LIMBS, _a_total_that_jumps)


def _a_total_before_out_of_range(f: Forgery, limb: int) -> None:
    """2^15 as a limb, carried at once; in the top limb -1, which a carry makes 0."""
    if limb < TOTAL_LIMBS - 1:
        f.totals_in[UNHELD_ASSET, limb] = LIMB_MASK + 1
    else:
        f.totals_in[RICH_ASSET, limb - 1 :] = [LIMB_MASK, -1]
    f.finish()


def _a_total_after_out_of_range(f: Forgery, limb: int) -> None:
    """A limb less 2^15 with a carry to the next: the value is the same."""
    row = f.totals[UNHELD_ASSET, -1]
    row[AFTER.start + limb] -= LIMB_MASK + 1
    row[CARRIES.start + limb] += 1
    row[AFTER.start + limb + 1] += 1
    f.finish(keep=["sums", "additions"])


def _overflow(f: Forgery) -> None:
    """The total reaches 2^105, in the last segment."""
    f.totals_in[RICH_ASSET, 0] += 1
    for slot, row in zip(RICH_SLOTS, (f.region - 2, f.region - 1), strict=True):
        (old,) = f.rows_of(slot)
        for column in (f.real, f.first, f.last, f.asset, f.slot, f.lanes):
            column[row] = column[old]
        f.values[row] = f.values[old]
        f.vacate(old)
    f.finish()


WHY_LIMBS = (
    "the limbs of the totals before and after the batch are hashed in the digest region, where the "
    "chain table looks up the lower five; on other rows T is the U before it"
)

for _name, _forge in (("T", _a_total_before_out_of_range), ("U", _a_total_after_out_of_range)):
    for _limb in range(TOTAL_LIMBS if _name == "T" else TOTAL_LIMBS - 1):
        _shown = _limb < AMOUNT_LIMBS
        cheat(
            "totals",
            f"{_name}{_limb} is in range",
            together=(("chain", f"limb {_limb} is in range"),) if _shown else (),
            why=WHY_LIMBS if _shown else "",
        )(_numbered(_forge, _limb))
cheat("totals", f"U{TOTAL_LIMBS - 1} is in range", on="tall")(_overflow)


def _a_carry_mod_p(f: Forgery, limb: int) -> None:
    """U + 2^15 c = T + carry has a solution mod p for every U: take one with c below 2^30, so that
    all carries after it are small again."""
    row = f.totals[UNHELD_ASSET, -1]
    carry = 0
    for j in range(limb, TOTAL_LIMBS):
        value = int(row[j]) + carry
        if j == limb:
            carry, rest = next(
                (carry, rest)
                for rest in range(LIMB_MASK + 1)
                for carry in [(value - rest) * pow(1 << 15, -1, P) % P]
                if LIMB_MASK < carry < (1 << 29 if limb < TOTAL_LIMBS - 2 else P)
            )
        else:
            carry, rest = value >> 15, value & LIMB_MASK
        if j < TOTAL_LIMBS - 1:
            row[CARRIES.start + j] = carry
        else:
            rest += carry << 15
        row[AFTER.start + j] = rest
    f.finish(keep=["sums", "additions"])


each("totals", "c{} is in range", TOTAL_LIMBS - 2, _a_carry_mod_p)
cheat(
    "totals",
    f"c{TOTAL_LIMBS - 2} is in range",
    together=(("totals", f"U{TOTAL_LIMBS - 1} is in range"),),
    why=(
        "c5 = U6 - T6 lies between -2^15 and 2^15; and were it negative, U5 = T5 + c4 - 2^15 c5 "
        "would be 2^15 or more"
    ),
)(_numbered(_a_carry_mod_p, TOTAL_LIMBS - 2))


@cheat("totals", "the segment's sums")
def _sums_of_nothing(f: Forgery) -> None:
    """Nobody holds anything, and what was owed before the batch is taken away."""
    f.lanes[: f.region] = 0
    f.sums()
    f.totals[UNHELD_ASSET, 0, SUMS] = -f.totals_in[UNHELD_ASSET, :AMOUNT_LIMBS]
    f.finish(keep=["sums"])


# ---- range


def _with_negative_limb(f: Forgery) -> Witness:
    row, other = (f.rows_of(slot)[0] for slot in COMMON_SLOTS)
    f.lanes[row, 0] = -5
    f.lanes[other, 0] = 30
    f.finish()
    witness = f.witness()
    return Witness({**witness.traces, "range": witness.traces["range"].copy()}, witness.publics)


@cheat("range", "values start at zero", on="first")
def _values_below_zero(f: Forgery) -> Witness:
    witness = _with_negative_limb(f)
    table = witness.traces["range"]
    counts = np.roll(table[:, 1], 100)
    counts[:100] = 0
    table[:, 0] = (np.arange(len(table)) - 100) % P
    table[:, 1] = counts
    return witness


@cheat("range", "values count up", on="first")
def _a_value_that_jumps(f: Forgery) -> Witness:
    witness = _with_negative_limb(f)
    witness.traces["range"][-1] = [P - 5, 0]
    return witness


# ---- the permutation, cell by cell


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


# ---- what tuples carry


def blinded(bus: str, position: int, on: str = "middle") -> Callable[[Forge], Forge]:
    """File a cheat under one element of the tuples of a bus."""

    def file(forge: Forge) -> Forge:
        name = f"bus {bus}: element {position}"
        BLINDED[bus, position] = Cheat(name, on, forge, frozenset({("bus", bus)}))
        return forge

    return file


@blinded("range", 0)
def _any_value(f: Forgery) -> None:
    _a_negative_limb(f, 2)


@blinded("sum", 0)
def _amounts_counted_for_another_asset(f: Forgery) -> None:
    f.totals[COMMON_SLOTS[0] - 2, 0, SUMS.start] -= 3
    f.totals[UNHELD_ASSET, 0, SUMS.start] += 3
    f.finish(keep=["sums"])


@blinded("sum", 1)
def _amounts_counted_in_another_segment(f: Forgery) -> None:
    f.totals[0, 0, SUMS.start] -= 3
    f.totals[0, 1, SUMS.start] += 3
    f.finish(keep=["sums"])


@blinded("node", 0)
def _nodes_in_each_others_places(f: Forgery) -> None:
    two, three = f.children[2].tolist(), f.children[3].tolist()
    root = f.children[1].tolist()
    f.planted = {1: root, 2: three, 3: two}
    f.finish()


def _a_leaf_with_another_lane(f: Forgery, lane: int) -> None:
    node = f.shape.slots // 2
    lanes = f.children[node].tolist()
    lanes[lane] += 1
    f.planted = {node: lanes}
    f.finish()


def _a_total_shown_with_another_limb(f: Forgery, limb: int) -> None:
    f.lanes[f.side(1).start + UNHELD_ASSET, limb] ^= 1
    f.finish(keep=["shown_totals"])


for _lane in range(8):
    blinded("node", 1 + _lane)(_numbered(_a_leaf_with_another_lane, _lane))
for _limb in range(TOTAL_LIMBS):
    blinded("total", 2 + _limb)(_numbered(_a_total_shown_with_another_limb, _limb))


@blinded("total", 0)
def _before_and_after_exchanged(f: Forgery) -> None:
    """What the batch owes is shown as owed before it, and the next batch goes on without it."""
    before, after = f.side(0), f.side(1)
    f.lanes[before], f.lanes[after] = f.lanes[after].copy(), f.lanes[before].copy()
    f.finish(keep=["shown_totals"])


@blinded("total", 1)
def _totals_of_two_assets_exchanged(f: Forgery) -> None:
    row = f.side(1).start
    f.lanes[[row, row + 1]] = f.lanes[[row + 1, row]]
    f.finish(keep=["shown_totals"])
