"""Attacks on a batch that have a name, with the rules that refuse them.

Identifiers such as J3 are those of ``tests/vectors/negative_tests.json``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from air.encoding import AMOUNT_LIMBS, LIMB_MASK, TOTAL_LIMBS, header_lane, leaf_digest, limbs
from stark.field.koalabear import P
from support.attacks.bases import COMMON_SLOTS, LARGEST, RICH_ASSET, UNHELD_ASSET, base
from support.attacks.forgery import AFTER, CARRIES, SUMS, Forgery
from support.attacks.oracle import Rule, Witness
from support.attacks.poseidon_rows import (
    FINAL,
    OUTPUT,
    PARTIAL,
    digests,
    inverse_permutation,
    lying_cells,
)
from support.attacks.rules import CHEATS, Forge, with_cells
from support.checks import check, check_equal

RANGE, SUM, NODE, TOTAL = (("bus", name) for name in ("range", "sum", "node", "total"))
BOOLEAN = ("chain", "flags are boolean")
EMPTY = ("chain", "rows that are not real are empty")
CONTIGUOUS = ("chain", "accounts are contiguous")
COMPLETE = ("chain", "the last account is complete")
ROW_0 = ("chain", "row 0 starts an account")
CHAINING = ("chain", "the chaining value continues")
HEADER = ("chain", "tag, flags and asset are the header lane")
UNUSED = ("chain", "unused lanes are zero")
REGION = ("chain", "the digest region is fixed")
BEFORE = ("chain", "the digest before the batch")
AFTERWARDS = ("chain", "the digest after the batch")
ZERO = ("chain", "the first batch starts from zero")
ROOT = ("tree", "the root")
ADDITION = ("totals", "T + S = U")
RUN_ON = ("totals", "totals run on within an asset")

HIDDEN = 10**15
"""What a customer holds and the totals leave out."""


@dataclass(frozen=True)
class Attack:
    """A forged batch; ``refused_by`` are constraints without their numbers, and buses."""

    name: str
    identifiers: tuple[str, ...]
    base: str
    forge: Forge
    refused_by: frozenset[Rule]

    def witness(self) -> Witness:
        forgery = base(self.base).forgery()
        return self.forge(forgery) or forgery.witness()


ATTACKS: dict[str, Attack] = {}


def families(rules: Iterable[Rule]) -> frozenset[Rule]:
    """Rules without the numbers of constraints that were declared together."""
    return frozenset((table, re.sub(r"( \[\d+\]|(?<=z)\d+)$", "", label)) for table, label in rules)


def attack(
    name: str, *identifiers: str, by: tuple[Rule, ...], on: str = "middle"
) -> Callable[[Forge], Forge]:
    """File an attack."""

    def file(forge: Forge) -> Forge:
        check(name not in ATTACKS, f"two attacks are named {name!r}")
        ATTACKS[name] = Attack(name, identifiers, on, forge, frozenset(by))
        return forge

    return file


def known(name: str, rule: Rule, *identifiers: str, by: tuple[Rule, ...]) -> None:
    """File the cheat of a rule as an attack."""
    attack(name, *identifiers, by=by, on=CHEATS[rule].base)(CHEATS[rule].forge)


# ---- what a customer sees and the totals do not


@attack("a row whose asset hides `first`", "J19", by=(RANGE,))
def _asset_hides_first(f: Forgery) -> None:
    """The customer's chain begins with a holding that is in no row: (first, asset a - 2/64) reads
    as (not first, asset a)."""
    slot = COMMON_SLOTS[0]
    (row,) = f.rows_of(slot)
    customer = tuple(range(100, 108))
    block = [header_lane(8, True, False, 0), *limbs(HIDDEN, AMOUNT_LIMBS), 0, 0]
    f.values[row] = digests(np.array([[*customer, *block]]))[0].tolist()
    f.lanes[row] = 0
    f.asset[row] = (30 - pow(32, -1, P)) % P
    f.finish()
    leaf = leaf_digest(customer, [(0, HIDDEN), (30, 0)])
    check_equal(tuple(f.digests[row].tolist()), leaf, "the customer finds their leaf")


@attack("a chain without `first`", by=(HEADER,))
def _chain_without_first(f: Forgery) -> None:
    """The chain starts in its middle: its first chaining value is C(commitment, first block)."""
    slot = COMMON_SLOTS[0]
    (row,) = f.rows_of(slot)
    customer = tuple(range(100, 108))
    block = [header_lane(8, True, False, 0), *limbs(HIDDEN, AMOUNT_LIMBS), 0, 0]
    f.values[row] = digests(np.array([[*customer, *block]]))[0].tolist()
    f.asset[row] = 30
    f.headers()
    f.header[row] -= 2
    f.finish(keep=["headers"])
    amount = sum(int(limb) << (15 * j) for j, limb in enumerate(f.lanes[row]))
    leaf = leaf_digest(customer, [(0, HIDDEN), (30, amount)])
    check_equal(tuple(f.digests[row].tolist()), leaf, "the customer finds their leaf")


@attack("row 0 is not first", "J8", by=(ROW_0, CHAINING))
def _row_0_not_first(f: Forgery) -> None:
    f.first[0] = 0
    f.values[0] = range(8)
    f.finish()


known(
    "row 0 goes on from the last row",
    ("chain", "row 0 starts an account [0]"),
    by=(ROW_0,),
)
known("an account is left open", ("chain", CONTIGUOUS[1]), by=(CONTIGUOUS,))
known(
    "an account is open at the end of the holding region",
    ("chain", COMPLETE[1]),
    by=(COMPLETE, RANGE),
)


@attack("a gap inside an account", by=(CONTIGUOUS,))
def _gap(f: Forgery) -> None:
    """The chain goes on below a row that is not real."""
    row = f.rows_of(0)[1]
    f.real[row] = 0
    f.lanes[row] = 0
    f.finish()


@attack("the block says another asset than is summed", "M5", by=(HEADER,))
def _another_asset(f: Forgery) -> None:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.header[row] += 64
    f.finish(keep=["headers"])


@attack("an amount in an unused lane", by=(UNUSED,))
def _unused_lane(f: Forgery) -> None:
    f.lanes[f.rows_of(0)[0], 6] = 1
    f.finish()


@attack("an account's block with the tag of totals", by=(HEADER,))
def _another_tag(f: Forgery) -> None:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.header[row] += 8
    f.finish(keep=["headers"])


@attack("balances of one customer exchanged in the leaf", "M5", by=(NODE,))
def _exchanged(f: Forgery) -> None:
    """Summed as (a, b), but the tree has the leaf of (b, a)."""
    one, two, _ = f.rows_of(0)
    f.lanes[[one, two]] = f.lanes[[two, one]]
    f.finish()
    lanes = f.children[f.shape.slots // 2].tolist()
    f.lanes[[one, two]] = f.lanes[[two, one]]
    f.planted = {f.shape.slots // 2: lanes}
    f.finish()


@attack("balances of one customer exchanged in the sums", "M5", by=(SUM,))
def _moved_between_assets(f: Forgery) -> None:
    f.totals[0, 0, SUMS.start] -= 1
    f.totals[1, 0, SUMS.start] += 1
    f.finish(keep=["sums"])


# ---- amounts


@attack("a negative balance", "M1", "J13", by=(RANGE,))
def _negative(f: Forgery) -> None:
    """-1 in the lowest limb takes one unit off another customer's balance."""
    row, other = (f.rows_of(slot)[0] for slot in COMMON_SLOTS)
    f.lanes[row] = 0
    f.lanes[row, 0] = -1
    f.lanes[other, 0] = 1
    f.finish()


@attack("a negative balance alone", "M1", by=(RANGE,))
def _negative_alone(f: Forgery) -> None:
    """Nobody has enough in the lowest limb: its sum and carry are negative too."""
    for row in range(f.region):
        if f.real[row] and f.asset[row] == UNHELD_ASSET - 1:
            f.lanes[row] = 0
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.asset[row] = UNHELD_ASSET
    f.lanes[row] = 0
    f.lanes[row, 0] = -(f.totals_in[UNHELD_ASSET, 0] + 1)
    f.finish()


@attack("-1 as 2^75 - 1, its last carry dropped", "M1", "M2", by=(ADDITION,))
def _wrapped(f: Forgery) -> None:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.asset[row] = UNHELD_ASSET
    f.lanes[row, :AMOUNT_LIMBS] = limbs(LARGEST, AMOUNT_LIMBS)
    f.finish()
    dropped = f.totals[UNHELD_ASSET, :, CARRIES.start + 4].copy()
    check(dropped.any(), "there is a carry to drop")
    f.totals[UNHELD_ASSET, :, CARRIES.start + 4] = 0
    f.totals[UNHELD_ASSET, :, 5] = f.totals_in[UNHELD_ASSET, 5]
    f.totals[UNHELD_ASSET, :, AFTER.start + 5] = f.totals_in[UNHELD_ASSET, 5]
    f.finish(keep=["sums", "additions"])


@attack("an amount that borrows between its limbs", "M6", "J5", by=(RANGE,))
def _borrow(f: Forgery) -> None:
    """The same integer with a limb of 2^15 or more: another leaf, the same sum."""
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.lanes[row, 0] += LIMB_MASK + 1
    f.lanes[row, 1] -= 1
    f.finish()


@attack("`last` on a row that is not real pays for a negative limb", "J17", "J11", by=(EMPTY,))
def _paid_limb(f: Forgery) -> None:
    """Its look-up of the difference of assets, -6, counts -1; the limb -6 counts 1."""
    row, slot = f.unused, 20
    f.vacate(f.rows_of(slot)[0])
    f.last[row], f.slot[row], f.asset[row] = 1, slot, 5
    f.first[row + 1] = 1
    (negative,), (other,) = (f.rows_of(slot) for slot in COMMON_SLOTS)
    f.lanes[negative, 0], f.lanes[other, 0] = -6, 6
    f.finish()


@attack("an amount on a row that is not real", "J17", "M7", by=(EMPTY,))
def _padding_amount(f: Forgery) -> None:
    f.lanes[f.unused, 3] = 1
    f.finish()


@attack("a negative amount on a row that is not real", "J17", "M7", by=(EMPTY, RANGE))
def _padding_negative(f: Forgery) -> None:
    f.lanes[f.unused, 0] = -1
    f.lanes[f.rows_of(COMMON_SLOTS[0])[0], 0] = 1
    f.finish()


@attack("an empty account with a negative limb", "M7", by=(RANGE,))
def _empty_negative(f: Forgery) -> None:
    f.lanes[f.rows_of(20)[0], 0] = -1
    f.lanes[f.rows_of(COMMON_SLOTS[0])[0], 0] = 1
    f.finish()


# ---- assets


known(
    "an asset twice in an account", ("chain", "assets of an account increase"), "J18", by=(RANGE,)
)


@attack("rows of an account in another order", "J18", "J13", by=(RANGE,))
def _decreasing(f: Forgery) -> None:
    one, two, _ = f.rows_of(0)
    f.asset[[one, two]] = f.asset[[two, one]]
    f.lanes[[one, two]] = f.lanes[[two, one]]
    f.finish()


@attack("amounts of an asset past the capacity", by=(SUM,))
def _unknown_asset(f: Forgery) -> None:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.asset[row] = f.shape.capacity
    f.finish()


@attack("amounts of an asset past the capacity that cancel mod p", by=(SUM, RANGE))
def _unknown_asset_cancels(f: Forgery) -> None:
    (row,), (other,) = (f.rows_of(slot) for slot in COMMON_SLOTS)
    f.asset[[row, other]] = f.shape.capacity
    f.lanes[other] = -f.lanes[row]
    f.lanes[row, 0] += 1
    f.finish()


@attack("an asset of 2^15 or more", "J19", by=(RANGE, SUM))
def _large_asset(f: Forgery) -> None:
    (row,) = f.rows_of(COMMON_SLOTS[0])
    f.asset[row] = 1 << 15
    f.finish()


# ---- flags


known("`real` that is no flag", ("chain", "flags are boolean [0]"), "J3", by=(BOOLEAN,))
known("`first` and `last` that are no flags", ("chain", "flags are boolean [2]"), "J3", by=(BOOLEAN,))


@attack("`real` = 2", "J3", by=(BOOLEAN, EMPTY, CONTIGUOUS, RANGE))
def _real_2(f: Forgery) -> None:
    f.real[f.rows_of(COMMON_SLOTS[0])[0]] = 2
    f.finish()


@attack("`first` = 2", "J3", by=(BOOLEAN, CONTIGUOUS, CHAINING))
def _first_2(f: Forgery) -> None:
    f.first[f.rows_of(COMMON_SLOTS[0])[0]] = 2
    f.finish()


@attack("`last` = 2 sends a leaf twice", "J3", by=(BOOLEAN, CONTIGUOUS, NODE, RANGE))
def _last_2(f: Forgery) -> None:
    f.last[f.rows_of(COMMON_SLOTS[0])[0]] = 2
    f.finish()


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


# ---- totals


known("a total off by one", ("totals", "T + S = U [0]"), "J7", by=(ADDITION,))
known("a total that jumps", ("totals", "totals run on within an asset [2]"), "J8", by=(RUN_ON,))


@attack("all segments but the last are forgotten", "J8", by=(RUN_ON,))
def _forgotten_segments(f: Forgery) -> None:
    f.totals[:, -1, :TOTAL_LIMBS] = 0
    f.totals[:, -1, AFTER] = 0
    f.totals[:, -1, CARRIES] = 0
    f.finish(keep=["sums", "additions"])


@attack("totals before the batch are not those of its digest", "J6", by=(TOTAL,))
def _other_totals_in(f: Forgery) -> None:
    """The digest shows what was owed; the additions start from nothing."""
    shown = f.lanes[f.side(0)].copy()
    f.totals_in[UNHELD_ASSET] = 0
    f.sums()
    f.additions()
    f.shown_totals()
    f.lanes[f.side(0)] = shown
    f.finish(keep=["sums", "additions", "shown_totals"])


@attack("the first batch starts with something", "J6", by=(ZERO,), on="first")
def _starts_with_something(f: Forgery) -> None:
    f.totals_in[UNHELD_ASSET] = limbs(LARGEST, TOTAL_LIMBS)
    f.finish()


@attack("sums of an asset that pass p together", "M2", "J5", by=(SUM,))
def _sums_pass_p(f: Forgery) -> None:
    """Two rows of one asset whose sums add up to the true ones and p: each is below 2^30."""
    one, two = 0, 1
    true = int(f.totals[0, :2, SUMS.start].sum())
    f.totals[0, one, SUMS.start] = (1 << 30) - 40_000
    f.totals[0, two, SUMS.start] = true + P - ((1 << 30) - 40_000)
    check(int(f.totals[0, :2, SUMS].max()) < 1 << 30, "both fit")
    f.finish(keep=["sums"])


@attack("a sum of p more", "M2", "J5", by=(RANGE,))
def _sum_and_p(f: Forgery) -> None:
    """S + p is S: the additions make a difference of it, but its carry is at least p / 2^15."""
    f.totals[0, 0, SUMS.start] += P
    f.finish(keep=["sums"])


@attack("a total of 2^105 or more", "M2", by=(RANGE,), on="tall")
def _overflow(f: Forgery) -> None:
    f.totals_in[RICH_ASSET, 0] += 1
    f.finish()


@attack("the carry out of the top limb is dropped", "M2", by=(ADDITION,), on="tall")
def _dropped_top_carry(f: Forgery) -> None:
    f.totals_in[RICH_ASSET, 0] += 1
    f.finish()
    f.totals[RICH_ASSET, :, 6] &= LIMB_MASK
    f.totals[RICH_ASSET, :, AFTER.start + 6] &= LIMB_MASK
    f.finish(keep=["sums", "additions"])


@attack("a carry of 2^15", "J9", by=(RANGE,))
def _carry_of_2_15(f: Forgery) -> None:
    row = f.totals[UNHELD_ASSET, -1]
    row[CARRIES.start] = 1 << 15
    row[AFTER.start] -= 1 << 30
    row[CARRIES.start + 1] = 1
    row[AFTER.start + 2] += 1
    f.finish(keep=["sums", "additions"])


known("a carry that is right mod p", ("totals", "c0 is in range"), "J9", by=(RANGE,))


@attack("a negative carry", "J9", by=(RANGE,))
def _negative_carry(f: Forgery) -> None:
    row = f.totals[UNHELD_ASSET, -1]
    row[CARRIES.start] = -1
    row[AFTER.start] += 1 << 15
    row[AFTER.start + 1] -= 1
    f.finish(keep=["sums", "additions"])


known("a limb of a total that is not canonical", ("totals", "U2 is in range"), "J5", by=(RANGE,))
known("nothing is summed", ("chain", "amounts are summed"), by=(SUM,))
known("sums of nothing", ("totals", "the segment's sums"), by=(SUM,))


# ---- digests of the totals


@attack("a digest starts anew in its middle", "J11", by=(REGION,))
def _digest_starts_anew(f: Forgery) -> None:
    row = f.side(1).start + 1
    f.first[row] = f.last[row - 1] = 1
    f.values[row] = range(8)
    f.finish()


@attack("a digest without a start", "J11", "J15", by=(REGION,))
def _digest_without_start(f: Forgery) -> None:
    """It goes on from the row before it, and no blind is in it."""
    row = f.side(0).start
    f.first[row] = 0
    f.values.pop(row)
    f.finish()


@attack("totals under another asset", by=(REGION,))
def _other_asset_in_digest(f: Forgery) -> None:
    row = f.side(1).start
    f.asset[[row, row + 1]] = f.asset[[row + 1, row]]
    f.finish()


@attack("totals before and after exchanged", "J20", by=(TOTAL,))
def _sides(f: Forgery) -> None:
    before, after = f.side(0), f.side(1)
    f.lanes[before], f.lanes[after] = f.lanes[after].copy(), f.lanes[before].copy()
    f.finish(keep=["shown_totals"])


@attack("the digest after is another", "J7", by=(AFTERWARDS,))
def _digest_after(f: Forgery) -> None:
    f.public["chain"][9] = (f.public["chain"][9] + 1) % P


@attack("the digests of the two sides exchanged", "J20", by=(BEFORE, AFTERWARDS))
def _digests_exchanged(f: Forgery) -> None:
    starts, *lanes = f.public["chain"]
    f.public["chain"] = [starts, *lanes[8:], *lanes[:8]]


@attack("a later batch that says it is the first", by=(ZERO,))
def _says_first(f: Forgery) -> None:
    f.starts = 1
    f.finish()


@attack("digest rows that are real", by=(REGION,))
def _real_digest_rows(f: Forgery) -> None:
    f.real[f.region :] = 1
    f.finish()


# ---- the range table


known("values of the range below zero", ("range", "values start at zero"), by=(("range", "values start at zero"),))
known("a value of the range that jumps", ("range", "values count up"), by=(("range", "values count up"),))
