"""By how much FRI folds in each layer, as a function of the table heights alone."""

from __future__ import annotations

from collections.abc import Iterable

from stark.errors import Code, Rejected

MAX_LOG_ARITY = 3
"""Largest log2 of a fold's arity. Beyond 8 a query opens more siblings than it saves in paths."""


def fold_schedule(
    log_heights: Iterable[int], log_final_length: int, log_max_arity: int
) -> tuple[int, ...]:
    """Log2 of the arity of every fold, first fold first.

    Folding starts at the largest height and ends at ``log_final_length``. It stops at every
    smaller height on the way, where the tables of that height are added to the folded codeword;
    no fold jumps over one. Between two stops, folds have the largest arity, the last one takes
    what remains. One height equal to the final length gives the empty schedule.

    Parameters
    ----------
    log_heights
        Log2 of the table heights, in any order, repetitions allowed.
    log_final_length
        Log2 of the height at which folding ends, at most the smallest of ``log_heights``.
    log_max_arity
        Log2 of the largest arity, 1 to 3.

    Raises
    ------
    Rejected
        ``Params``, if there is no table, a table lies below the final length, or the arity is
        out of range.
    """
    heights = sorted(set(log_heights), reverse=True)
    if not heights:
        raise Rejected(Code.PARAMS, "at least one table", "1 or more", 0)
    if not 1 <= log_max_arity <= MAX_LOG_ARITY:
        raise Rejected(Code.PARAMS, "log2 of the fold arity", f"1..{MAX_LOG_ARITY}", log_max_arity)
    if not 0 <= log_final_length <= heights[-1]:
        raise Rejected(
            Code.PARAMS, "log2 of the final length", f"0..{heights[-1]}", log_final_length
        )
    schedule: list[int] = []
    current = heights[0]
    for stop in (*heights[1:], log_final_length):
        while current > stop:
            step = min(log_max_arity, current - stop)
            schedule.append(step)
            current -= step
    return tuple(schedule)
