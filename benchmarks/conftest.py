"""Bounds beside the times, when all benchmarks have run."""

from __future__ import annotations

import bounds
import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if bounds.lines:
        terminalreporter.section("times and bounds, all cores")
        for line in bounds.lines:
            terminalreporter.write_line(line)
