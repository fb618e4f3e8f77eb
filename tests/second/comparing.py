"""Verdicts of both verifiers."""

from __future__ import annotations

from collections.abc import Callable

from support.checks import check

from stark.errors import Rejected

from .kept import verdict


def first_verdict(run: Callable[[], object]) -> str:
    """The class of the rejection by the verifier of the package, or `accepted`."""
    try:
        run()
    except Rejected as rejected:
        return str(rejected.code)
    return "accepted"


def same(first: Callable[[], object], second: Callable[[], object], what: str) -> str:
    """Both verdicts, which have to be one."""
    one, other = first_verdict(first), verdict(second)
    check(one == other, f"{what}: first {one}, second {other}")
    return one
