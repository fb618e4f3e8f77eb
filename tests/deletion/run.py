"""The deletion score: of the verifier's checks, switched off one at a time, how many are missed?

``python tests/deletion/run.py [--only PATTERN ...] [--jobs 2] [--json FILE] [--notes FILE]``

First every test file runs once, noting which tests reach which check (``--notes FILE`` keeps that
and takes it from there the next time). Then, for each check, the tests that reach it run against
the library without it, fastest first, until one fails. A check is *detected* if a test fails,
*explained* if none does and :mod:`deletion.explained` says why; else it has *survived*. An
explanation of a check that is detected, or does not exist, is stale. Exit code 0 if nothing has
survived and nothing is stale, else 1.

Workers are forked from an interpreter that has imported the tests' packages and nothing of the
library: no kernel exists and no thread runs when it forks. POSIX only.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
# One thread per worker, set before anything is imported that would start more.
os.environ |= {"STARK_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(TESTS)])
sys.path[:0] = [str(ROOT), str(TESTS)]

from deletion.explained import EXPLAINED  # noqa: E402
from deletion.plugin import ELSEWHERE  # noqa: E402
from deletion.sites import Site, sites  # noqa: E402

WARM = ("pytest", "_pytest.assertion.rewrite", "numpy", "numba", "hypothesis")
"""Packages that workers find imported."""

LEFT_OUT = (
    "tests/deletion/*",
    "tests/fuzz/test_fuzz_bounded.py",
    "tests/test_readme.py",
    "tests/air/cli/test_cli_prove.py",
    "tests/air/cli/test_cli_snapshots.py",
    "tests/stark/prover/*",
    "tests/*kernels*",
    "tests/stark/field/test_simd.py",
    "tests/stark/field/test_ntt.py",
)
"""Test files that are slow, or about the prover, and reach no check that others do not."""

PASSED, FAILED, BROKEN = 0, 1, 2
"""Exit codes of pytest; 2 is that of a test file that cannot be imported."""

UNKNOWN = 4
"""A test that does not exist, or whose file cannot be imported: then its file is run as a whole."""

QUICK, EACH = 2, 5
"""Test files in the first attempt at a check, and tests of each."""
FIRST = 16
MOST = 300
"""Tests in the second attempt and in the third; the fourth takes all."""

SECONDS = 240.0
"""A worker that takes longer is ended: the deletion is detected, since no honest run does."""


@dataclass
class Notes:
    """Which tests reach which sites, and what they take."""

    tests: dict[str, list[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """What became of the library without one check."""

    name: str
    outcome: str
    by: str
    reached: int
    seconds: float


@dataclass
class Job:
    """A pytest run in a worker: its arguments, and what to do with exit code, output, seconds."""

    arguments: list[str]
    done: Callable[[int | None, str, float], None]


def in_worker(arguments: Sequence[str], output: Path) -> int:
    """Fork, and run pytest there with its output in a file; returns the worker's process id."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setpgid(0, 0)
        # A shell starts what runs in its background deaf to interrupts, and some tests send them.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.chdir(ROOT)
        options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "deletion.plugin"]
        code = int(import_module("pytest").main([*options, *arguments]))
        sys.stdout.flush()
    finally:
        # No clean-up of what belongs to the parent.
        os._exit(code)


def work_off(queue: list[Job], jobs: int) -> None:
    """Run all jobs, also those that finished ones add, at most ``jobs`` at a time."""
    running: dict[int, tuple[Job, float, Path]] = {}
    while queue or running:
        while queue and len(running) < jobs:
            job = queue.pop(0)
            handle, name = tempfile.mkstemp(prefix="deletion-", suffix=".txt")
            os.close(handle)
            running[in_worker(job.arguments, Path(name))] = (job, time.monotonic(), Path(name))
        for process, (job, started, output) in list(running.items()):
            took = time.monotonic() - started
            ended, status = os.waitpid(process, os.WNOHANG)
            code: int | None = None
            if ended:
                code = os.waitstatus_to_exitcode(status)
            elif took > SECONDS:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
            else:
                continue
            del running[process]
            text = output.read_text(encoding="utf-8", errors="replace")
            output.unlink()
            job.done(code, text, took)
        time.sleep(0.01)


def test_files() -> list[str]:
    """All test files but those left out, larger ones first: they take longer."""
    found = sorted(TESTS.rglob("test_*.py"), key=lambda path: -path.stat().st_size)
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if not any(fnmatch.fnmatch(name, one) for one in LEFT_OUT)]


def take_notes(jobs: int, files: Iterable[str]) -> Notes:
    """Run test files against the whole library."""
    notes = Notes()
    queue: list[Job] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(files):
            path = Path(folder) / f"{number}.json"

            def done(
                code: int | None, text: str, took: float, file: str = file, path: Path = path
            ) -> None:
                if not path.exists():
                    notes.failed.append(file)
                    return
                found = json.loads(path.read_text(encoding="utf-8"))
                for test, names in found["sites"].items():
                    for name in names:
                        notes.tests.setdefault(name, []).append(test or file)
                notes.seconds |= found["seconds"] | {file: took}
                notes.failed += found["failed"]
                print(f"  {took:6.1f} s  {file}{'' if code == PASSED else f'  exit {code}'}")

            queue.append(Job(["--note", str(path), "-q", file], done))
        work_off(queue, jobs)
    return notes


def attempts(notes: Notes, site: Site) -> list[list[str]]:
    """Arguments of pytest for a site: a few quick tests of different files, all tests that make the
    function fail whose call it is, and then whole files."""
    broken = set(notes.failed)

    def usable(names: Iterable[str]) -> list[str]:
        found = {test for name in names for test in notes.tests.get(name, []) if "::" in test}
        return sorted(found - broken, key=lambda test: notes.seconds.get(test, 0.0))

    reaching = usable([site.name])
    failing = set(usable(refusals(site.callee)) if site.callee else [])
    likely = [test for test in reaching if test in failing]
    files = {test.partition("::")[0] for test in notes.tests.get(site.name, [])} - broken
    ordered = sorted(files, key=lambda file: notes.seconds.get(file, 0.0))
    # Importing test files is what most of the time goes into.
    quick = [test for test in likely or reaching if test.partition("::")[0] in ordered[:QUICK]]
    deselect = [part for test in sorted(broken) for part in ("--deselect", test)]
    result = [of_many_files(quick)[: QUICK * EACH], of_many_files(likely or reaching)[:FIRST]]
    result.append(likely[:MOST] if len(likely) > FIRST else [])
    if files:
        result.append([*ordered, *deselect])
    return [arguments for arguments in result if arguments]


@cache
def refusals(callee: str) -> list[str]:
    """Sites that are reached only when a function of this name refuses something."""
    return [
        site.name
        for site in sites()
        if site.kind in ("raise", "guard", "verdict") and site.function.split(".")[-1] == callee
    ]


def of_many_files(tests: Sequence[str]) -> list[str]:
    """In turn from each file, so that the first are not all cases of one test."""
    places: dict[str, int] = {}
    ranks = []
    for number, test in enumerate(tests):
        file = test.partition("::")[0]
        places[file] = places.get(file, -1) + 1
        ranks.append((places[file], number, test))
    return [test for _, _, test in sorted(ranks)]


class Judge:
    """Deletes sites one at a time and says what became of each."""

    def __init__(self, found: Sequence[Site], notes: Notes, jobs: int) -> None:
        self.found = found
        self.notes = notes
        self.jobs = jobs
        self.verdicts: list[Verdict] = []
        self.queue: list[Job] = []
        self.sound: set[str] = set()
        """Tests that have failed with a check deleted and passed again with all in place."""

    def run(self) -> list[Verdict]:
        for site in self.found:
            self._start(site, attempts(self.notes, site), 0.0)
        work_off(self.queue, self.jobs)
        return self.verdicts

    def _start(self, site: Site, left: list[list[str]], before: float) -> None:
        if not left:
            outcome = "explained" if site.name in EXPLAINED else "survived"
            self._finish(site, outcome, EXPLAINED.get(site.name, ""), before)
            return

        def done(code: int | None, text: str, took: float) -> None:
            total = before + took
            if code == PASSED or (code == UNKNOWN and left[1:]):
                self._start(site, left[1:], total)
            elif code is None or code < 0:
                self._finish(site, "detected", "too slow" if code is None else "crash", total)
            elif code in (FAILED, BROKEN):
                self._confirm(site, first_failure(text), total)
            else:
                self._finish(site, "error", f"exit {code}: {text[-300:]}", total)

        options = ["--delete", site.name, "-q", "-x", "--tb=no", "--no-header"]
        job = Job([*options, *left[0]], done)
        self.queue.insert(0 if before else len(self.queue), job)

    def _confirm(self, site: Site, test: str, before: float) -> None:
        """A test that fails with every check in place too says nothing, now and later."""

        def done(code: int | None, text: str, took: float) -> None:
            if code == PASSED:
                self.sound.add(test)
                self._finish(site, "detected", test, before + took)
            else:
                self.notes.failed.append(test)
                print(f"not used any more, fails at times: {test}")
                self._start(site, attempts(self.notes, site), before + took)

        if test in self.sound:
            self._finish(site, "detected", test, before)
        else:
            self.queue.insert(0, Job(["-q", "--tb=no", "--no-header", test], done))

    def _finish(self, site: Site, outcome: str, by: str, took: float) -> None:
        reached = len(set(self.notes.tests.get(site.name, [])))
        self.verdicts.append(Verdict(site.name, outcome, by, reached, round(took, 2)))
        mark = outcome.upper() if outcome == "survived" else outcome
        place = f"{len(self.verdicts):4} / {len(self.found)}"
        print(f"{place}  {mark:9}  {site.name}  {by}", flush=True)


def first_failure(text: str) -> str:
    """The test, or the test file that could not be imported; its id may hold spaces."""
    match = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", text, re.MULTILINE)
    return match[1] if match else "unknown"


def stale(verdicts: Sequence[Verdict]) -> list[str]:
    """Explanations of checks that do not exist or that a test does miss."""
    names = {site.name for site in sites()}
    detected = {verdict.name for verdict in verdicts if verdict.outcome == "detected"}
    return sorted(name for name in EXPLAINED if name not in names or name in detected)


def report(verdicts: Sequence[Verdict]) -> bool:
    """Print the table; whether all is well."""
    by_name = {site.name: site for site in sites()}
    order = {name: place for place, name in enumerate(by_name)}
    files: dict[str, dict[str, int]] = {}
    for verdict in verdicts:
        counts = files.setdefault(by_name[verdict.name].file, {})
        counts[verdict.outcome] = counts.get(verdict.outcome, 0) + 1
    columns = ("detected", "explained", "survived", "error")
    print(f"\n{'file':<36}" + "".join(f"{column:>11}" for column in columns))
    for file in sorted(files):
        print(f"{file:<36}" + "".join(f"{files[file].get(column, 0):>11}" for column in columns))
    totals = [sum(counts.get(column, 0) for counts in files.values()) for column in columns]
    print(f"{'all':<36}" + "".join(f"{total:>11}" for total in totals))
    for outcome in ("explained", "survived", "error"):
        rows = sorted((v for v in verdicts if v.outcome == outcome), key=lambda v: order[v.name])
        for row in rows:
            site = by_name[row.name]
            print(f"\n{outcome}: {row.name}\n    line {site.line}, reached by {row.reached} tests")
            if row.by:
                print(f"    {row.by}")
    old = stale(verdicts)
    for name in old:
        print(f"\nstale explanation: {name}")
    counted = len(verdicts) - totals[1]
    share = 100 * totals[0] / counted if counted else 100.0
    print(f"\nscore: {totals[0]} of {counted} ({share:.1f} %), {totals[1]} explained beside them")
    return not (totals[2] or totals[3] or old)


def matches(site: Site, pattern: str) -> bool:
    return pattern in site.name or fnmatch.fnmatchcase(site.name, pattern)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="*", default=[""], help="sites whose name contains or matches one of these"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default 2)")
    parser.add_argument("--json", type=Path, help="write the verdicts here")
    parser.add_argument("--notes", type=Path, help="read notes from here, or write them here")
    parser.add_argument("--tests", nargs="*", help="test files to use instead of the usual ones")
    parser.add_argument("--list", action="store_true", help="only list the sites")
    options = parser.parse_args()
    found = [site for site in sites() if any(matches(site, one) for one in options.only)]
    if options.list:
        for site in found:
            print(f"{site.line:5}  {site.name}")
        return 0
    for name in WARM:
        import_module(name)
    started = time.monotonic()
    if options.notes and options.notes.exists():
        notes = Notes(**json.loads(options.notes.read_text(encoding="utf-8")))
    else:
        notes = take_notes(options.jobs, options.tests or test_files())
        if options.notes:
            options.notes.write_text(json.dumps(asdict(notes)), encoding="utf-8")
    notes.tests.pop(ELSEWHERE, None)
    for test in notes.failed:
        print(f"fails with every check in place, and is not used: {test}")
    print(f"{len(found)} checks, {len(notes.seconds)} tests, {time.monotonic() - started:.0f} s")
    verdicts = Judge(found, notes, options.jobs).run()
    if options.json:
        content = [asdict(verdict) for verdict in verdicts]
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    well = report(verdicts)
    print(f"{time.monotonic() - started:.0f} s with {options.jobs} processes")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
