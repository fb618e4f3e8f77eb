"""Named attacks on what is hashed and summed of accounts."""

from __future__ import annotations

import numpy as np

from air.encoding import AMOUNT_LIMBS, LIMB_MASK, header_lane, leaf_digest, limbs
from stark.field.koalabear import P
from support.attacks.attacks import (
    ADDITION,
    BOOLEAN,
    CHAINING,
    COMPLETE,
    CONTIGUOUS,
    EMPTY,
    HEADER,
    NODE,
    RANGE,
    ROW_0,
    SUM,
    UNUSED,
    attack,
    known,
)
from support.attacks.bases import COMMON_SLOTS, LARGEST, UNHELD_ASSET
from support.attacks.forgery import AFTER, CARRIES, SUMS, Forgery
from support.attacks.poseidon_rows import digests
from support.checks import check, check_equal

HIDDEN = 10**15
"""What a customer holds and the totals leave out."""

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
known(
    "`first` and `last` that are no flags", ("chain", "flags are boolean [2]"), "J3", by=(BOOLEAN,)
)


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
