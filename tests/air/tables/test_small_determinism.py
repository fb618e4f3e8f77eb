"""Small gadgets of the tables, exhaustively: what their constraints allow, and nothing else.

Constraints come from the AIRs and are evaluated over small prime fields (see
``support.small_field``); what is expected is written down here independently.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest
from support.attacks.bases import SMALL
from support.checks import check, check_equal
from support.small_field import Cell, SmallField

from air.encoding import HOLDING_TAG, TOTALS_TAG, header_lane
from air.registry import AMOUNT_LIMBS, LIMB_BITS, TOTAL_LIMBS
from air.shape import LOG_RANGE, MAX_LOG_SEGMENT
from air.tables.chain import HEADER, ChainAir
from air.tables.range import RangeAir
from air.tables.totals import TotalsAir
from stark.constraints.air import Constraint, SymbolicAir, symbolic
from stark.constraints.expression import Part
from stark.field.koalabear import P

MAIN, FIXED = Part.MAIN, Part.PREPROCESSED


@cache
def chain() -> SymbolicAir:
    return symbolic(ChainAir(SMALL))


@cache
def totals() -> SymbolicAir:
    return symbolic(TotalsAir(SMALL))


# ---- carries: T + S + c = U + B c' has one solution, the sum of integers


def scaled(base: int, modulus: int) -> SmallField:
    """The totals table with limbs in ``base`` instead of 2^15."""
    return SmallField(totals(), modulus, 1, scaled={1 << LIMB_BITS: base})


def names(limb: int) -> dict[str, str]:
    carry = {} if limb == 0 else {"carry in": f"c[{limb - 1}]"}
    out = {} if limb == TOTAL_LIMBS - 1 else {"carry out": f"c[{limb}]"}
    added = {"S": f"S[{limb}]"} if limb < AMOUNT_LIMBS else {}
    return {"T": f"T[{limb}]", "U": f"U[{limb}]", **added, **carry, **out}


@pytest.mark.parametrize("limb", range(TOTAL_LIMBS))
def test_a_limb_equation_is_about_its_own_limb(limb: int) -> None:
    small = scaled(2, 7)
    cells = small.cells(small.constraint(f"T + S = U [{limb}]"), 0)
    check_equal(cells, {(MAIN, name, 0) for name in names(limb).values()})


def limb_solutions(limb: int, base: int, summed: int, modulus: int) -> np.ndarray:
    """Number of solutions (U, carry out) per (T, S, carry in), all cells in their ranges."""
    small = scaled(base, modulus)
    ranges = {"T": base, "S": summed * base, "carry in": base, "U": base, "carry out": base}
    own = names(limb)
    axes = [np.arange(ranges[role] if role in own else 1, dtype=np.int64) for role in ranges]
    grids = dict(zip(ranges, np.meshgrid(*axes, indexing="ij"), strict=True))
    cells = {(MAIN, own[role], 0): grids[role] for role in own}
    holds = small.value(small.constraint(f"T + S = U [{limb}]"), 0, cells) == 0
    # Every solution is one of integers: congruent mod a small prime is equal.
    left = grids["T"] + grids["S"] + grids["carry in"]
    check(bool((left == grids["U"] + base * grids["carry out"])[holds].all()), "as integers")
    return np.asarray(holds.sum(axis=(3, 4)))


# The shape of the real bounds: sums are below B^2 / 2, and p lies between B^2 + B and 2 B^2.
SCALES = [(2, 1, 7), (4, 2, 23), (4, 2, 29), (4, 2, 31), (8, 4, 73), (8, 4, 127), (16, 8, 509)]


def test_scales_have_the_shape_of_the_real_bounds() -> None:
    base, summed = 1 << LIMB_BITS, 1 << MAX_LOG_SEGMENT
    for b, s, modulus in [*SCALES, (base, summed, P)]:
        check_equal(2 * s, b)
        check(b * b + b <= modulus < 2 * b * b, f"{b}, {modulus}")
        # A limb, the largest sum of limbs and a carry, as the equation adds them.
        check(b - 1 + s * (b - 1) + b - 1 < modulus, "the left side does not wrap")
        check(b - 1 + b * (b - 1) < modulus, "the right side does not wrap")


@pytest.mark.parametrize(("base", "summed", "modulus"), SCALES)
@pytest.mark.parametrize("limb", range(TOTAL_LIMBS))
def test_limb_and_carry_are_unique(limb: int, base: int, summed: int, modulus: int) -> None:
    counts = limb_solutions(limb, base, summed, modulus)
    check(int(counts.max()) == 1, "never two solutions")
    if limb < TOTAL_LIMBS - 1:
        check(int(counts.min()) == 1, "always a solution")
    else:
        check(int(counts.min()) == 0, "a carry out of the last limb has no place")


def test_a_field_that_is_too_small_has_two_solutions() -> None:
    """The control: without room for B^2, a sum wraps and another (U, c) fits too."""
    small = scaled(4, 13)
    given: dict[Cell, int] = {(MAIN, "T[0]", 0): 0, (MAIN, "S[0]", 0): 0}
    unknowns: list[Cell] = [(MAIN, "U[0]", 0), (MAIN, "c[0]", 0)]
    first = [(small.constraint("T + S = U [0]"), 0)]
    found = list(small.solutions(first, unknowns, given, lambda _: range(4)))
    check_equal([tuple(one.values()) for one in found], [(0, 0), (1, 3)])


def test_all_limbs_together_add_integers() -> None:
    """Base 2, every T and S: exactly one U and one run of carries, or none past the last limb."""
    small = scaled(2, 7)
    equations = [(small.constraint(f"T + S = U [{j}]"), 0) for j in range(TOTAL_LIMBS)]
    unknowns: list[Cell] = []
    for j in range(TOTAL_LIMBS):
        unknowns.append((MAIN, f"U[{j}]", 0))
        if j < TOTAL_LIMBS - 1:
            unknowns.append((MAIN, f"c[{j}]", 0))

    def cells(name: str, value: int, count: int) -> dict[Cell, int]:
        return {(MAIN, f"{name}[{j}]", 0): value >> j & 1 for j in range(count)}

    for before, added in product(range(1 << TOTAL_LIMBS), range(1 << AMOUNT_LIMBS)):
        given = cells("T", before, TOTAL_LIMBS) | cells("S", added, AMOUNT_LIMBS)
        found = list(small.solutions(equations, unknowns, given, lambda _: range(2)))
        after = [sum(one[MAIN, f"U[{j}]", 0] << j for j in range(TOTAL_LIMBS)) for one in found]
        expected = [before + added] if before + added < 1 << TOTAL_LIMBS else []
        check_equal(after, expected, f"{before} + {added}")


def test_totals_run_on_exactly_within_an_asset() -> None:
    small = SmallField(totals(), 5, 2)
    for limb in range(TOTAL_LIMBS):
        rule = small.constraint(f"totals run on within an asset [{limb}]")
        for end, after in product((0, 1), range(5)):
            given: dict[Cell, int] = {(FIXED, "end", 0): end, (MAIN, f"U[{limb}]", 0): after}
            unknown: list[Cell] = [(MAIN, f"T[{limb}]", 1)]
            found = [one[unknown[0]] for one in small.solutions([(rule, 0)], unknown, given)]
            check_equal(found, list(range(5)) if end else [after])


# ---- flags of the chain: exactly the accounts, one after the other

FLAGS = ("real", "first", "last")
FLAG_RULES = [
    *(f"flags are boolean [{number}]" for number in range(3)),
    "row 0 starts an account [0]",
    "row 0 starts an account [1]",
    "rows that are not real are empty [0]",
    "rows that are not real are empty [1]",
    "accounts are contiguous",
    "the last account is complete",
]
Row = tuple[int, int, int]
"""real, first, last"""


def flag_solutions(
    modulus: int, rows: int, *, starts: bool, ends: bool, without: str = ""
) -> set[tuple[Row, ...]]:
    """All flags of a window of the holding region; ``starts`` and ``ends`` if it has its ends."""
    small = SmallField(chain(), modulus, rows, boundaries=starts)
    given: dict[Cell, int] = {}
    for row in range(rows):
        given[FIXED, "region", row] = 0
        given[FIXED, "this and the next row hold", row] = int(row < rows - 1)
        given[FIXED, "last holding row", row] = int(ends and row == rows - 1)
    rules = [small.constraint(one) for one in FLAG_RULES if one.split(" [")[0] != without]
    unknowns: list[Cell] = [(MAIN, name, row) for row in range(rows) for name in FLAGS]
    everywhere: list[tuple[Constraint, int]] = [(r, row) for r in rules for row in range(rows)]
    found = small.solutions(everywhere, unknowns, given)
    return {
        tuple(
            (one[MAIN, "real", r], one[MAIN, "first", r], one[MAIN, "last", r]) for r in range(rows)
        )
        for one in found
    }


def follows(row: Row, following: Row) -> bool:
    """Whether a row may come after another: an open account goes on, else one may start."""
    real, _, last = row
    is_open = real == 1 and last == 0
    real_after, first_after, _ = following
    return (real_after, first_after) == (1, 0) if is_open else first_after == real_after


STATES: list[Row] = [(0, 0, 0), *((1, first, last) for first, last in product((0, 1), (0, 1)))]


@pytest.mark.parametrize("modulus", [3, 5, 7])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_windows_of_the_chain(modulus: int, rows: int) -> None:
    """Over all values of the field, not over 0 and 1 alone."""
    expected = {
        window
        for window in product(STATES, repeat=rows)
        if all(follows(one, other) for one, other in pairwise(window))
    }
    check_equal(flag_solutions(modulus, rows, starts=False, ends=False), expected)


def accounts(rows: int, first: bool = True) -> set[tuple[Row, ...]]:
    """All ways to cut rows into accounts and unused rows, an account first."""
    if rows == 0:
        return set() if first else {()}
    cut: set[tuple[Row, ...]] = set()
    for length in range(1, rows + 1):
        block = tuple((1, int(i == 0), int(i == length - 1)) for i in range(length))
        cut |= {block + rest for rest in accounts(rows - length, False)}
    if not first:
        cut |= {((0, 0, 0), *rest) for rest in accounts(rows - 1, False)}
    return cut


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6])
def test_a_whole_holding_region_is_a_row_of_accounts(rows: int) -> None:
    check_equal(flag_solutions(3, rows, starts=True, ends=True), accounts(rows))


@pytest.mark.parametrize("label", sorted({one.split(" [")[0] for one in FLAG_RULES}))
def test_without_a_rule_of_the_flags_there_are_more_traces(label: str) -> None:
    """The control. (Single members of a rule may follow from the others: first = 1 on row 0 makes
    it real, since rows that are not real have first = 0.)"""
    more = flag_solutions(5, 3, starts=True, ends=True, without=label)
    check(more > accounts(3), label)


def test_fixed_columns_are_those_of_the_windows() -> None:
    columns = ChainAir(SMALL).preprocessed()
    holding, rows = SMALL.holding_rows, SMALL.rows
    inside = [1] * (holding - 1) + [0] * (rows - holding + 1)
    check_equal(list(columns["this and the next row hold"]), inside)
    ending = [int(row == holding - 1) for row in range(rows)]
    check_equal(list(columns["last holding row"]), ending)
    check_equal(list(columns["region"]), [int(row >= holding) for row in range(rows)])


def test_flags_and_asset_of_the_digest_region_are_fixed() -> None:
    small = SmallField(chain(), 5, 1)
    rules = [(small.constraint(f"the digest region is fixed [{j}]"), 0) for j in range(4)]
    unknowns: list[Cell] = [(MAIN, name, 0) for name in ("first", "last", "asset", "real")]
    for first, last, asset in product((0, 1), (0, 1), range(5)):
        given: dict[Cell, int] = {
            (FIXED, "region", 0): 1,
            (FIXED, "fixed first", 0): first,
            (FIXED, "fixed last", 0): last,
            (FIXED, "fixed asset", 0): asset,
        }
        found = [tuple(one.values()) for one in small.solutions(rules, unknowns, given)]
        check_equal(found, [(first, last, asset, 0)])


# ---- the header lane: tag, flags and asset have one reading

HEADER_RULE = "tag, flags and asset are the header lane"


def lanes(first: object, last: object, asset: object, region: object) -> np.ndarray:
    """Lane 8 as the constraint determines it: its coefficient is -1."""
    small = SmallField(chain(), P, 1)
    rule = small.constraint(HEADER_RULE)
    lane = (MAIN, f"hash.x[{HEADER}]", 0)
    cells = {
        (MAIN, "first", 0): first,
        (MAIN, "last", 0): last,
        (MAIN, "asset", 0): asset,
        (FIXED, "region", 0): region,
        lane: 0,
    }
    at_zero = small.value(rule, 0, cells)
    at_one = small.value(rule, 0, {**cells, lane: 1})
    check(bool(np.all((at_zero - at_one) % P == 1)), "the lane's coefficient is -1")
    return np.asarray(at_zero)


def test_the_header_lane_has_one_reading() -> None:
    """Every region, flag and asset that the other constraints and look-ups allow."""
    assets = np.arange(1 << LIMB_BITS, dtype=np.int64)
    grids = np.meshgrid(np.arange(2), np.arange(2), assets, np.arange(2), indexing="ij")
    values = lanes(*grids).ravel()
    check_equal(len(np.unique(values)), 8 << LIMB_BITS)
    largest = TOTALS_TAG + 2 + 4 + 64 * ((1 << LIMB_BITS) - 1)
    check(int(values.max()) == largest < P, "no value has wrapped around p")
    some = [
        tuple(int(v) for v in one) for one in zip(*(g.ravel()[::997] for g in grids), strict=True)
    ]
    for (first, last, asset, region), lane in zip(some, values[::997].tolist(), strict=True):
        tag = TOTALS_TAG if region else HOLDING_TAG
        check_equal(lane, header_lane(tag, bool(first), bool(last), asset))


def test_an_asset_out_of_range_would_have_another_reading() -> None:
    """The control, and why the asset is looked up on every row."""
    shifted = (7 - 2 * pow(64, -1, P)) % P
    check(shifted >= 1 << LIMB_BITS, "only an asset out of range")
    check_equal(int(lanes(1, 0, shifted, 0)), int(lanes(0, 0, 7, 0)))


# ---- the range table: its column is 0, 1, 2, ...


@pytest.mark.parametrize("modulus", [2, 7, 11])
@pytest.mark.parametrize("rows", range(1, 8))
def test_the_range_table_has_one_column_of_values(modulus: int, rows: int) -> None:
    small = SmallField(symbolic(RangeAir()), modulus, rows)
    rules = [(one, row) for one in small.air.constraints for row in range(rows)]
    unknowns: list[Cell] = [(MAIN, "value", row) for row in range(rows)]
    found: Sequence[dict[Cell, int]] = list(small.solutions(rules, unknowns, {}))
    check_equal([list(one.values()) for one in found], [[row % modulus for row in range(rows)]])


def test_values_of_the_range_table_do_not_wrap() -> None:
    check_equal(RangeAir().log_height, LOG_RANGE)
    check_equal(LOG_RANGE, LIMB_BITS)
    check(1 << LOG_RANGE < P, "the last value is 2^15 - 1")
