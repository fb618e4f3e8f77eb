"""Checks of the tests that hold under ``python -O`` too, where ``assert`` is skipped."""

from __future__ import annotations


def check(condition: bool, message: str = "") -> None:
    """AssertionError with ``message`` unless ``condition``."""
    if not condition:
        raise AssertionError(message)


def check_equal(got: object, expected: object, message: str = "") -> None:
    """AssertionError with both values unless they are equal."""
    if got != expected:
        raise AssertionError(f"{message}: expected {expected!r}, got {got!r}")
