"""For every element of the tuples of every bus: a cheat that only it refuses."""

from __future__ import annotations

from air.encoding import TOTAL_LIMBS
from support.attacks.bases import COMMON_SLOTS, UNHELD_ASSET
from support.attacks.cheats import blinded, numbered
from support.attacks.forgery import SUMS, Forgery
from support.attacks.rules_chain import a_negative_limb


@blinded("range", 0)
def _any_value(f: Forgery) -> None:
    a_negative_limb(f, 2)


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
    blinded("node", 1 + _lane)(numbered(_a_leaf_with_another_lane, _lane))
for _limb in range(TOTAL_LIMBS):
    blinded("total", 2 + _limb)(numbered(_a_total_shown_with_another_limb, _limb))


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
