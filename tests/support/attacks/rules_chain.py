"""For every constraint and message of the chain table: a cheat that only it refuses."""

from __future__ import annotations

from air.encoding import AMOUNT_LIMBS, TOTAL_LIMBS
from stark.field.koalabear import P
from support.attacks.bases import COMMON_SLOTS, UNHELD_ASSET
from support.attacks.cheats import cheat, each, numbered
from support.attacks.forgery import SUMS, Forgery

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
    cheat("chain", PADDING.format(_number))(numbered(_an_amount_on_a_row_that_is_not_real, _number))


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


def a_negative_limb(f: Forgery, limb: int) -> None:
    """-5 with one account, which another's more than makes up for: the sum looks well."""
    row, other = (f.rows_of(slot)[0] for slot in COMMON_SLOTS)
    f.lanes[row, limb] = -5
    f.lanes[other, limb] = 30
    f.finish()


each("chain", "limb {} is in range", AMOUNT_LIMBS, a_negative_limb)


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
