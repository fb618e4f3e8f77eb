"""What is told of the progress of a run: lines of JSON, a bar, or nothing."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.fake_jobs import heed_interrupts

from air.cli import progress as cli_progress
from air.cli.progress import begin_loading, left_words, run_progress, time_words
from air.runs.progress import Progress
from air.runs.tree import NodeId, ProofTree
from air.runs.work import Cost

ROOT = Path(__file__).parents[3]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_progress, "_LOOK_SECONDS", 0.01)


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def a_run(as_json: bool, until: int = 3) -> None:
    with run_progress(as_json) as run:
        run.stage("reading")
        time.sleep(0.05)
        run.plan([], ProofTree(3, joined=False), {0: Cost(1.0)}, [])
        for number in range(until):
            run.watch("started", NodeId(0, number), 0.0)
            time.sleep(0.05)
            run.watch("finished", NodeId(0, number), 0.05)
        if until < 3:
            raise KeyboardInterrupt


def test_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    a_run(True)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = lines_of(captured.err)
    names = ("event", "phase", "done", "total", "fraction", "elapsed", "left")
    assert all(tuple(line) == names for line in lines)
    assert all(line["event"] == "progress" for line in lines)
    phases = [line["phase"] for line in lines]
    assert phases == ["reading", "batch 1 of 3", "batch 2 of 3", "batch 3 of 3", "done"]
    assert [line["fraction"] for line in lines] == sorted(line["fraction"] for line in lines)
    assert (lines[-1]["fraction"], lines[-1]["left"]) == (1.0, 0.0)
    assert lines[0]["left"] is lines[1]["left"] is None
    assert lines[3]["left"] is not None


def test_a_run_that_does_not_finish_is_not_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        a_run(True, 2)
    lines = lines_of(capsys.readouterr().err)
    assert lines[-1]["phase"] != "done"
    assert lines[-1]["fraction"] < 1


def test_time_alone_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_progress, "_SILENT_SECONDS", 0.05)
    with run_progress(True) as run:
        run.stage("reading")
        time.sleep(0.3)
    assert 3 <= len(lines_of(capsys.readouterr().err)) <= 8


def test_without_terminal_and_json_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    a_run(False)
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_there_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    a_run(False)
    assert "batch 3 of 3" in terminal.getvalue()
    assert "a few seconds left" in terminal.getvalue()


def test_nobody_reads_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of hours goes on though its progress cannot be told any more."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    a_run(True)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "a few seconds left"),
        (12.0, "about 10 s left"),
        (43.0, "about 45 s left"),
        (100.0, "about 2 min left"),
        (3000.0, "about 50 min left"),
        (9000.0, "about 2.5 h left"),
    ],
)
def test_left_words(seconds: float, words: str) -> None:
    assert left_words(seconds) == words


def test_time_words() -> None:
    assert time_words(Progress("", 0, 1, 0.0, 62.4, None)) == "1:02"
    assert time_words(Progress("", 0, 1, 0.0, 3723.0, 43.0)) == "1:02:03, about 45 s left"


def test_reading_is_the_first_stage(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes(bytes(1000))
    with run_progress(False) as run:
        begin_loading(run, path)
        assert run.now().phase == "loading the prover"
        run.stage(cli_progress.READING, 500, 1000)
        assert run.now().done == 500


@pytest.mark.skipif(os.name != "posix", reason="SIGINT is POSIX")
def test_an_interrupted_run_goes_on(small_publication: Any, tmp_path: Path) -> None:
    key, out = tmp_path / "key", tmp_path / "out"
    key.write_bytes(small_publication.master_key)
    key.chmod(0o600)
    command = [
        *(sys.executable, "-m", "air.cli.main", "prove", small_publication.snapshot_path),
        *("--key", key, "--out", out, "--json"),
    ]
    # More batches than it takes, so that it is not over before it is interrupted.
    command += ["--no-aggregate", "--shape", "rows14-slots12-assets9", "--batches", "8"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    ) as process:
        said = process.stderr
        assert said is not None
        for line in said:
            if json.loads(line)["done"] and "batch" in json.loads(line)["phase"]:
                break
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=30)
        # It is below two seconds; the machine that runs this may do other things too.
        assert time.monotonic() - started < 10
    last = err.splitlines()[-1]
    assert (process.returncode, rest) == (130, "")
    assert last.startswith("interrupted: ")
    assert "--resume" in last
    assert not out.exists()
    done = subprocess.run(
        [*command, "--resume"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    said_of_it = lines_of(done.stderr)
    lines = [line for line in said_of_it if line["event"] == "progress"]
    (note,) = (line for line in said_of_it if line["event"] == "note")
    assert note["text"].startswith("going on with the run in ")
    assert (lines[-1]["fraction"], lines[-1]["phase"]) == (1.0, "done")
    begun = next(line for line in lines if "batch" in line["phase"])
    assert begun["done"] >= 1
    assert json.loads(done.stdout)["ok"] is True
    assert not out.with_name("out.work").exists()
