"""``bench``: options in words, and one point from the command to its document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import air.bench.sweep
from air.bench.sweep import Options
from air.cli.main import main


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["bench", *(str(argument) for argument in arguments)])


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be measured; nothing is."""
    asked: list[Any] = []

    def record(points: Any, options: Options, progress: Any) -> dict[str, Any]:
        asked.append((points, options))
        return {"results": []}

    monkeypatch.setattr(air.bench.sweep, "run_sweep", record)
    return asked


def test_quick_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    result = invoke(
        *("--quick", "--accounts", "12", "--assets", "3", "--holdings", "2"),
        *("--threads", "1", "--runs", "1", "--no-reference", "--profile", "proven100"),
        *("--zk", "off", "--out", out, "--json"),
    )
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert (value["command"], value["ok"]) == ("bench", True)
    (measured,) = value["results"]
    assert measured["mode"] == "batch alone"
    assert "nobody should trust" in measured["note"]
    assert measured["predicted"] is None
    assert measured["parameters"]["zk"] is False
    assert "reference" not in value
    written = json.loads(out.read_text())
    assert {"command": "bench", "ok": True, **written} == value


def test_a_failed_point_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"results": [{"error": "too small"}]}
    monkeypatch.setattr(air.bench.sweep, "run_sweep", lambda *_: document)
    result = invoke("--accounts", "8,16", "--json")
    assert result.exit_code == 1
    value = json.loads(result.stdout)
    assert value["ok"] is False
    assert value["error"]["message"] == "1 of 2 points could not be measured"
    assert value["results"] == document["results"]


def test_lists_become_points(points: list[Any]) -> None:
    words = ("--accounts", "8, 16", "--threads", "2", "--holdings", "1,1.5", "--no-reference")
    assert invoke(*words, "--json").exit_code == 0
    ((made, options),) = points
    assert [(point.accounts, point.holdings) for point in made] == [
        *((8, 1.0), (16, 1.0), (8, 1.5), (16, 1.5)),
    ]
    assert {point.threads for point in made} == {2}
    assert options.reference is None
    assert (options.limits.runs, options.limits.max_log_rows) == (2, 20)


def test_quick_is_small_unless_sizes_are_given(points: list[Any]) -> None:
    invoke("--quick", "--json")
    invoke("--quick", "--accounts", "77", "--json")
    invoke("--json")
    sizes = [[point.accounts for point in made] for made, _ in points]
    assert sizes == [[1000], [77], [4096, 65536]]
    assert points[0][1].reference.log_rows == 18


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--accounts", "many"), "'many' is no such list; one is like 4096,65536"),
        (("--accounts", "8,"), "is no such list"),
        (("--zk", "maybe"), "'maybe' is no such list; one is like on,off"),
        (("--hash-suite", "md5"), "unknown hash suite 'md5'"),
        (("--profile", "none"), "unknown profile 'none'"),
        (("--threads", "0"), "threads must be 1 or more"),
        (("--log-blowup", "9"), "log2 of the blowup must be 1 to 5"),
        (("--phases", "--uncompiled"), "--uncompiled measures whole runs"),
        (("--frobnicate",), "No such option"),
        (("--runs", "0"), "--runs"),
        (("--out", "/nowhere/at/all.json"), "is no folder"),
    ],
)
def test_wrong_options_in_words(words: tuple[str, ...], message: str) -> None:
    result = invoke(*words)
    assert result.exit_code == 2
    assert message in result.stderr
