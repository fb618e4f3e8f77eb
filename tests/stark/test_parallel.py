"""Ranges are covered once, and errors of workers are seen."""

from __future__ import annotations

from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.parallel import run, split_ranges


@given(st.integers(0, 1000), st.integers(1, 64), st.integers(1, 9))
def test_ranges_partition_the_whole(total: int, granularity: int, pieces: int) -> None:
    ranges = split_ranges(total, granularity, pieces)
    assert [i for lo, hi in ranges for i in range(lo, hi)] == list(range(total))
    assert len(ranges) <= pieces
    assert all(lo % granularity == 0 for lo, _ in ranges)


@pytest.mark.parametrize("total", [0, 1, 16, 17, 1000])
def test_run_calls_every_index_once(total: int) -> None:
    seen: list[int] = []
    lock = Lock()

    def call(lo: int, hi: int) -> None:
        with lock:
            seen.extend(range(lo, hi))

    run(call, total)
    assert sorted(seen) == list(range(total))


def test_errors_of_workers_are_raised() -> None:
    def fail(lo: int, hi: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fail, 1000)
