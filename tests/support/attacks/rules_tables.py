"""For every constraint and message of the tables tree, totals and range: a cheat that only it
refuses."""

from __future__ import annotations

import numpy as np

from air.encoding import AMOUNT_LIMBS, LIMB_MASK, TOTAL_LIMBS
from stark.field.koalabear import P
from support.attacks.bases import COMMON_SLOTS, RICH_ASSET, RICH_SLOTS, UNHELD_ASSET
from support.attacks.cheats import cheat, each, numbered
from support.attacks.forgery import AFTER, CARRIES, SUMS, Forgery
from support.attacks.oracle import Witness

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
        )(numbered(_forge, _limb))
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
)(numbered(_a_carry_mod_p, TOTAL_LIMBS - 2))


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
