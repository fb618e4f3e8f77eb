"""Properties of fold schedules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.errors import Code, Rejected
from stark.soundness.schedule import fold_schedule


@given(st.lists(st.integers(0, 24), min_size=1, max_size=6), st.data())
def test_schedule_stops_at_every_height_and_at_the_final_length(
    heights: list[int], data: st.DataObject
) -> None:
    final = data.draw(st.integers(0, min(heights)))
    arity = data.draw(st.integers(1, 3))
    schedule = fold_schedule(heights, final, arity)
    visited = [max(heights)]
    for step in schedule:
        assert 1 <= step <= arity
        visited.append(visited[-1] - step)
    assert visited[-1] == final
    assert set(heights) <= set(visited)
    # Shortest of its kind: between two stops, no more folds than the arity demands.
    stops = sorted({*heights, final})
    assert len(schedule) == sum(-(-(above - below) // arity) for below, above in pairwise(stops))


def test_examples() -> None:
    assert fold_schedule([19], 5, 3) == (3, 3, 3, 3, 2)
    assert fold_schedule([20, 18, 15], 6, 3) == (2, 3, 3, 3, 3)
    assert fold_schedule([15, 20, 18, 20], 6, 3) == (2, 3, 3, 3, 3)
    assert fold_schedule([6], 6, 3) == ()
    assert fold_schedule([7, 6], 6, 3) == (1,)
    assert fold_schedule([3], 0, 1) == (1, 1, 1)


@pytest.mark.parametrize(
    ("heights", "final", "arity"),
    [
        ([], 0, 3),
        ([10], 11, 3),
        ([10, 4], 5, 3),
        ([10], -1, 3),
        ([10], 5, 0),
        ([10], 5, 4),
        ([10], 5, 20),
    ],
)
def test_unfit_schedules_are_rejected(heights: list[int], final: int, arity: int) -> None:
    with pytest.raises(Rejected) as caught:
        fold_schedule(heights, final, arity)
    assert caught.value.code is Code.PARAMS
