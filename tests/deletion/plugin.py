"""Pytest options that run tests against the library less one check.

``pytest -p deletion.plugin --delete NAME tests/...``
    The tests must fail if any of them would notice that the check is missing.
``pytest -p deletion.plugin --note FILE tests/...``
    Writes which tests reach which sites, and how long they take.

Names are those of :mod:`deletion.sites`. Run with the folder ``tests`` on ``PYTHONPATH``.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from deletion.mutation import delete, note

ELSEWHERE = ""
"""Key of what is reached while test files are imported."""

FAILED_FIRST = "failed first: "
"""What the line with the first failure begins with, in the output."""


class Notes:
    """Which sites each test reaches."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.reached: set[str] = set()
        self.sites: dict[str, list[str]] = {}
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.sites.setdefault(ELSEWHERE, []).extend(self.reached)
        self.reached.clear()
        result = yield
        self.sites[item.nodeid] = sorted(self.reached)
        self.reached.clear()
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        content = {"sites": self.sites, "seconds": self.seconds, "failed": self.failed}
        self.file.write_text(json.dumps(content), encoding="utf-8")


class FirstFailure:
    """Says which test, or which test file's import, failed first."""

    def __init__(self) -> None:
        self.name: str | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.name is None:
            self.name = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.name is None:
            self.name = report.nodeid

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.name is not None:
            terminalreporter.write_line(f"{FAILED_FIRST}{self.name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--delete", metavar="NAME", help="import the library without this check")
    parser.addoption("--note", metavar="FILE", help="write which tests reach which checks")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    options = early_config.known_args_namespace
    early_config.pluginmanager.register(FirstFailure(), "first failure")
    if not options.delete and not options.note:
        return
    _quiet_hypothesis()
    if options.delete:
        delete(options.delete)
    else:
        notes = Notes(Path(options.note))
        note(notes.reached.add)
        early_config.pluginmanager.register(notes, "deletion notes")


def _quiet_hypothesis() -> None:
    """The same examples each time, and none kept: what fails without a check is no news later.

    No deadline: on a busy machine it would pass for a deletion that was detected.
    """
    try:
        from hypothesis import HealthCheck, settings
    except ImportError:
        return
    slow = [HealthCheck.too_slow]
    settings.register_profile(
        "deletion", derandomize=True, database=None, deadline=None, suppress_health_check=slow
    )
    settings.load_profile("deletion")
