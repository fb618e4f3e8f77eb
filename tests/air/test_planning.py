"""Plans hold every snapshot, prefer few batches, and respect the limit on rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air.keys import shipped_shapes
from air.planning import Plan, fixed_plan, make_plan
from air.shape import Shape
from stark.errors import UsageError


def test_one_small_account() -> None:
    plan = make_plan(np.array([1]), 1)
    assert plan.batches == 1
    assert plan.shape.log_rows == 12


def test_a_snapshot_of_moderate_size_is_one_batch() -> None:
    plan = make_plan(np.full(4096, 5), 200)
    assert (plan.batches, plan.shape.log_rows, plan.shape.log_slots) == (1, 15, 12)


def test_a_batch_may_be_exactly_full() -> None:
    rows = np.ones(1024, np.int64)
    rows[: 3072 - 1024] += 1
    rows = np.concatenate([rows[:1024]])
    rows[:] = 3  # 1,024 accounts with three holdings: 3,072 rows, all that 2^12 leaves
    plan = make_plan(rows, 512)
    assert plan.batches == 1
    assert plan.shape.log_rows == 12
    assert plan.shape.holding_rows == rows.sum()


def test_more_rows_than_allowed_make_several_batches() -> None:
    plan = make_plan(np.full(4096, 5), 200, max_log_rows=13)
    assert plan.batches > 1
    assert plan.shape.log_rows <= 13
    assert plan.slots >= 4096


def test_capacity_follows_the_listed_assets() -> None:
    assert make_plan(np.full(10, 2), 512).shape.log_capacity == 9
    assert make_plan(np.full(10, 2), 513).shape.log_capacity == 12
    assert make_plan(np.full(10, 2), 10_000).shape.log_capacity == 14


def test_what_fits_nowhere_is_refused() -> None:
    with pytest.raises(UsageError, match="no shape"):
        make_plan(np.full(10, 2), 10_000, max_log_rows=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=300),
    st.sampled_from([1, 200, 512, 600]),
    st.integers(12, 17),
)
def test_plans_hold_all_rows(rows: list[int], assets: int, limit: int) -> None:
    counts = np.array(rows)
    try:
        plan = make_plan(counts, assets, limit)
    except UsageError:
        assert assets > 512 or limit == 12
        return
    empty = plan.slots - len(rows)
    assert empty >= 0
    assert counts.sum() + empty <= plan.batches * plan.shape.holding_rows
    assert plan.shape in shipped_shapes()


def test_a_fixed_plan_does_not_follow_the_snapshot() -> None:
    """Two snapshots that differ in one balance (zero or not) have equal public sizes."""
    shape = Shape.named("rows13-slots10-assets9")
    rows = np.full(900, 5)
    more = rows.copy()
    more[0] = 90
    assert fixed_plan(shape, 3, rows, 200) == fixed_plan(shape, 3, more, 200) == Plan(shape, 3)
    assert fixed_plan(shape, None, rows, 200).batches == 1


@pytest.mark.parametrize(
    ("name", "batches", "assets", "words"),
    [
        ("rows13-slots10-assets9", 1, 200, "do"),
        ("rows13-slots10-assets9", 9, 513, "512 assets"),
        ("rows20-slots5-assets9", 9, 200, "shipped"),
    ],
)
def test_a_fixed_plan_that_does_not_fit_is_refused(
    name: str, batches: int, assets: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        fixed_plan(Shape.named(name), batches, np.full(4096, 5), assets)


@pytest.mark.parametrize(
    "name", ["", "rows15", "rows15-slots12-assets9 ", "rows99-slots12-assets9"]
)
def test_names_of_no_shape_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        Shape.named(name)


def test_several_batches_are_aggregated_where_keys_are() -> None:
    rows = np.full(1 << 15, 3)
    shape = Shape(14, 12, 9)
    plan = make_plan(rows, 100, max_log_rows=14, aggregates={shape: 16})
    assert plan == Plan(shape, plan.batches, aggregated=True)
    assert 8 <= plan.batches <= 16
    assert not make_plan(rows, 100, max_log_rows=14).aggregated
    with pytest.raises(UsageError, match="up to 4 of rows14-slots12-assets9 can be"):
        make_plan(rows, 100, max_log_rows=14, aggregates={shape: 4})
    with pytest.raises(UsageError, match="none can under this profile"):
        make_plan(rows, 100, max_log_rows=14, aggregates={})


def test_a_single_batch_is_published_as_it_is() -> None:
    plan = make_plan(np.full(1000, 3), 100, aggregates={Shape(14, 12, 9): 16})
    assert (plan.batches, plan.aggregated) == (1, False)


def test_a_fixed_number_of_batches_needs_keys() -> None:
    rows, shape = np.full(5000, 2), Shape(14, 12, 9)
    assert fixed_plan(shape, 3, rows, 100, None, {shape: 4}).aggregated
    with pytest.raises(UsageError, match="5 batches of rows14-slots12-assets9 cannot be"):
        fixed_plan(shape, 5, rows, 100, None, {shape: 4})
