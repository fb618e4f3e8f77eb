"""Plans hold every snapshot, prefer few batches, and respect the limit on rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air.keys import shipped_shapes
from air.planning import make_plan
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
