"""Each rule of a batch's shape refuses by itself, at its edge."""

from __future__ import annotations

import pytest

from air.shape import Shape
from stark.errors import UsageError


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((11, 5, 9), "log_rows must be in 12 ... 20"),
        ((21, 5, 9), "log_rows must be in 12 ... 20"),
        ((12, 5, 10), "log_capacity must be one of"),
        ((12, 4, 9), "log_slots must be in 5 ... 11"),
        ((12, 12, 9), "log_slots must be in 5 ... 11"),
        # Two digests of 2^12 totals take 2^13 rows, all there are.
        ((13, 5, 12), "every slot needs a row, only 0 are left"),
        ((15, 5, 14), "every slot needs a row, only 0 are left"),
        ((12, 5, 14), "every slot needs a row, only -28672 are left"),
    ],
)
def test_refused(values: tuple[int, int, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Shape(*values)


@pytest.mark.parametrize("values", [(12, 11, 9), (14, 12, 12), (14, 13, 12), (20, 19, 14)])
def test_half_of_the_rows_may_be_digests(values: tuple[int, int, int]) -> None:
    shape = Shape(*values)
    assert shape.holding_rows >= shape.slots
