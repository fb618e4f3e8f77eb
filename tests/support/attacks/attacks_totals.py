"""Named attacks on totals, their digests and the range table."""

from __future__ import annotations

from air.encoding import LIMB_MASK, TOTAL_LIMBS, limbs
from stark.field.koalabear import P
from support.attacks.attacks import (
    ADDITION,
    AFTERWARDS,
    BEFORE,
    RANGE,
    REGION,
    RUN_ON,
    SUM,
    TOTAL,
    ZERO,
    attack,
    known,
)
from support.attacks.bases import LARGEST, RICH_ASSET, UNHELD_ASSET
from support.attacks.forgery import AFTER, CARRIES, SUMS, Forgery
from support.checks import check

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


@attack("limbs of a sum exchanged", "M5", by=(SUM,))
def _limbs_exchanged(f: Forgery) -> None:
    """The vector's entries add up to the same."""
    low, high = SUMS.start, SUMS.start + 1
    f.totals[0, 0, [low, high]] = f.totals[0, 0, [high, low]]
    f.finish(keep=["sums"])


@attack("a sum carried into its next limb", "M2", by=(SUM,))
def _carried_sum(f: Forgery) -> None:
    """The same integer: 2^15 less in one limb, 1 more in the next. Sums have no other form."""
    f.totals[0, 0, SUMS.start] -= LIMB_MASK + 1
    f.totals[0, 0, SUMS.start + 1] += 1
    f.finish(keep=["sums"])


@attack("what an asset is owed is taken off before the batch", "J6", by=(TOTAL,))
def _taken_off_before(f: Forgery) -> None:
    """The totals before the batch are too small by what it adds: afterwards they are as before."""
    asset = 1
    added = sum(int(f.totals[asset, :, SUMS.start + j].sum()) << (15 * j) for j in range(5))
    shown = f.lanes[f.side(0)].copy()
    f.totals_in[asset] = limbs(f.base.totals_in[asset] - added, TOTAL_LIMBS)
    f.additions()
    f.shown_totals()
    f.lanes[f.side(0)] = shown
    f.finish(keep=["additions", "shown_totals"])


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


known(
    "values of the range below zero",
    ("range", "values start at zero"),
    by=(("range", "values start at zero"),),
)
known(
    "a value of the range that jumps",
    ("range", "values count up"),
    by=(("range", "values count up"),),
)
