"""Kernels over ranges on all cores: threads, because every kernel releases the GIL."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise


def worker_count() -> int:
    """Threads to use: ``STARK_THREADS`` if set, else the cores this process may run on."""
    wanted = os.environ.get("STARK_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="stark")


def split_ranges(total: int, granularity: int, pieces: int) -> list[tuple[int, int]]:
    """At most ``pieces`` half-open ranges that cover [0, total), cut at whole granules."""
    units = -(-total // granularity)
    pieces = max(1, min(pieces, units))
    bounds = [min(total, units * k // pieces * granularity) for k in range(pieces + 1)]
    return [(lo, hi) for lo, hi in pairwise(bounds) if lo < hi]


def run(call: Callable[[int, int], object], total: int, granularity: int = 16) -> None:
    """Call ``call(lo, hi)`` over a partition of [0, total), on all cores; re-raises any error.

    Never call it from inside another ``run``: the pool has no spare threads for nested work.
    """
    workers = worker_count()
    ranges = split_ranges(total, granularity, workers)
    if len(ranges) <= 1:
        for lo, hi in ranges:
            call(lo, hi)
        return
    futures = [_pool(workers).submit(call, lo, hi) for lo, hi in ranges]
    try:
        wait(futures)
    finally:
        # An interrupt, too, may only leave when nothing works on the caller's buffers any more.
        wait(futures)
    for future in futures:
        future.result()
