"""Progress on standard error: a bar if that is a terminal, lines of JSON if they are asked for."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from air.runs.progress import Progress, RunProgress

Report = Callable[[str, int, int], None]
"""Called with a phase, what is done and what there is to do."""

READING: Final = "reading the snapshot"
_LOADING: Final = "loading the prover"
_LOADING_SECONDS: Final = 1.0
_READING_SECONDS: Final = 5e-8
"""Per byte of a CSV file, measured on two cores of a server; a Parquet file has fewer bytes for as
many holdings."""

_LOOK_SECONDS: Final = 0.25
_SILENT_SECONDS: Final = 5.0
"""A line is written when something happened, at most every quarter of a second, and at least so
often even if nothing did: the estimate moves with time, and silence would look like the end."""


@contextmanager
def progress_bar(wanted: bool = True) -> Iterator[Report]:
    """A bar for the time of the block, for what has a single phase; the phase is its title.

    The estimate of the time that is left comes from what is done of the present total.
    """
    if not wanted or not sys.stderr.isatty():
        yield lambda phase, done, total: None
        return
    from rich.progress import TimeElapsedColumn, TimeRemainingColumn

    with _bar(TimeElapsedColumn(), "left", TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=None)

        def report(phase: str, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=max(total, 1))

        yield report


@contextmanager
def run_progress(as_json: bool) -> Iterator[RunProgress]:
    """The progress of a run, shown for the time of the block.

    On a terminal that is a bar of the whole run, its phase, and the time that is left; with
    ``as_json`` an object on a line of standard error each time; otherwise nothing. A run that ends
    without an error is shown as finished.
    """
    from air.runs.progress import RunProgress

    run = RunProgress()
    if as_json:
        lines = _Lines(sys.stderr)
        with _looking(run, lines.look):
            yield run
        run.finish()
        lines.write(run.now())
    elif sys.stderr.isatty():
        with _bar("{task.fields[left]}") as bar:
            task = bar.add_task("", total=1.0, left="")

            def show(progress: Progress) -> None:
                bar.update(
                    task,
                    description=progress.phase,
                    completed=progress.fraction,
                    left=time_words(progress),
                )

            with _looking(run, show):
                yield run
        run.finish()
    else:
        yield run
        run.finish()


def begin_loading(run: RunProgress, snapshot: Path) -> None:
    """A program begins with its prover, and goes on with ``READING``, before it knows its work."""
    from air.runs.work import Stage

    seconds = _READING_SECONDS * snapshot.stat().st_size
    run.begin([Stage(_LOADING, _LOADING_SECONDS), Stage(READING, seconds)])
    run.stage(_LOADING)


def time_words(progress: Progress) -> str:
    """``1:02, about 40 s left``."""
    elapsed = round(progress.elapsed)
    minutes, seconds = divmod(elapsed, 60)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return clock if progress.left is None else f"{clock}, {left_words(progress.left)}"


def left_words(seconds: float) -> str:
    """An estimate in words, no more exact than it can be: ``about 40 s left``."""
    if seconds < 10:
        return "a few seconds left"
    if seconds < 90:
        return f"about {5 * round(seconds / 5)} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


class _Lines:
    """Objects of JSON, one a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last: Progress | None = None

    def look(self, progress: Progress) -> None:
        """Write it if it is something new."""
        last = self._last
        if (
            last is None
            or (last.phase, last.done) != (progress.phase, progress.done)
            or progress.elapsed - last.elapsed >= _SILENT_SECONDS
        ):
            self.write(progress)

    def write(self, progress: Progress) -> None:
        self._last = progress
        value = {
            "event": "progress",
            "phase": progress.phase,
            "done": progress.done,
            "total": progress.total,
            "fraction": round(progress.fraction, 4),
            "elapsed": round(progress.elapsed, 2),
            "left": None if progress.left is None else round(progress.left, 1),
        }
        # That nobody reads any more is no reason to stop a run of hours.
        with suppress(OSError, ValueError):
            self._file.write(json.dumps(value) + "\n")
            self._file.flush()


@contextmanager
def _looking(run: RunProgress, show: Callable[[Progress], None]) -> Iterator[None]:
    """Call ``show`` now and then in a thread, which is over when the block is."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(_LOOK_SECONDS):
            show(run.now())

    thread = threading.Thread(target=look, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _bar(*words: object) -> Bar:
    """A bar with its phase before it and ``words``, columns or their texts, behind it."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
    )

    columns = [
        word if isinstance(word, ProgressColumn) else TextColumn(str(word)) for word in words
    ]
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        *columns,
        console=Console(stderr=True),
        transient=True,
    )
