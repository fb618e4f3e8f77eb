"""``generate`` and ``check``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from air.cli.main import main

ROOT = Path(__file__).resolve().parents[3]

MANIFEST = {
    "format": "1",
    "exchange": "Example Exchange",
    "time": "2026-11-01T00:00:00Z",
    "epoch": "1",
    "kind": "spot",
    "previous": None,
    "assets": [{"symbol": "BTC", "decimals": "8"}, {"symbol": "USDT", "decimals": "6"}],
}


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    (tmp_path / "s.manifest.json").write_text(json.dumps(MANIFEST))
    path = tmp_path / "s.csv"
    path.write_text("account_id,asset,equity\nu-1,USDT,12.5\nu-1,BTC,0.5\nu-2,USDT,0.25\n")
    return path


def test_clean_snapshot(snapshot: Path) -> None:
    result = invoke("check", snapshot)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"{snapshot}: no faults; 2 accounts, 3 holdings",
        "  BTC    0.50000000",
        "  USDT  12.750000",
    ]
    value = json.loads(invoke("check", snapshot, "--json").stdout)
    assert (value["ok"], value["accounts"], value["holdings"]) == (True, 2, 3)
    assert value["totals"][1] == {
        "asset": "USDT", "decimals": 6, "minor_units": "12750000", "amount": "12.750000"
    }  # fmt: skip


def test_every_fault_is_listed(snapshot: Path) -> None:
    snapshot.write_text(
        "account_id,asset,equity\nu-1,BTC,-1\nu-2,XYZ,1\nu-3,BTC,0.123456789\nu-1,BTC,1\n"
    )
    result = invoke("check", snapshot)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"{snapshot}, row 2, column equity",
        f"{snapshot}, row 3, column asset",
        f"{snapshot}, row 4, column equity",
        f"{snapshot}, row 5, column account_id",
    ]
    assert "'-1': negative" in lines[0]
    assert result.stderr == "4 faults\n"
    value = json.loads(invoke("check", snapshot, "--json").stdout)
    assert (value["ok"], value["fault_count"], len(value["faults"])) == (False, 4, 4)
    assert {key: value["faults"][0][key] for key in ("row", "column", "value")} == {
        "row": 2,
        "column": "equity",
        "value": "-1",
    }
    limited = invoke("check", snapshot, "--limit", "1")
    assert (len(limited.stdout.splitlines()), limited.stderr) == (1, "4 faults, 1 of them listed\n")


def test_a_manifest_elsewhere_and_its_fault(snapshot: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**MANIFEST, "epoch": "-1"}))
    result = invoke("check", snapshot, "--manifest", other)
    assert result.exit_code == 1
    assert "column epoch" in result.stdout


def test_files_that_do_not_open(snapshot: Path, tmp_path: Path) -> None:
    assert invoke("check", tmp_path / "none.csv").exit_code == 3
    missing = invoke("check", snapshot, "--manifest", tmp_path / "none.json", "--json")
    assert missing.exit_code == 3
    assert json.loads(missing.stdout)["error"]["kind"] == "file"


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "取"), ("latin-1", "\\u53d6")])
def test_output_that_the_terminal_cannot_encode(snapshot: Path, encoding: str, shown: str) -> None:
    renamed = snapshot.rename(snapshot.with_stem("取"))
    snapshot.with_suffix(".manifest.json").rename(renamed.with_suffix(".manifest.json"))
    command = [sys.executable, "-m", "air.cli.main", "check", renamed]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    assert f"{shown}.csv: no faults" in result.stdout.decode(encoding)


def test_generate_then_check(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    words = ("--accounts", "30", "--assets", "4", "--holdings", "2", "--seed", "3", "--json")
    result = invoke("generate", path, *words)
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    assert (value["accounts"], value["assets"], value["rows"]) == (30, 4, 60)
    assert value["bytes"] == path.stat().st_size
    checked = json.loads(invoke("check", path, "--json").stdout)
    assert (checked["ok"], checked["accounts"], len(checked["totals"])) == (True, 30, 4)


@pytest.mark.parametrize(
    "words",
    [
        ["--accounts", "0"],
        ["--accounts", "5", "--holdings", "nan"],
        ["--accounts", "5", "--holdings", "inf"],
        ["--accounts", "5", "--assets", "99999"],
        [],
    ],
)
def test_generate_refuses(tmp_path: Path, words: list[str]) -> None:
    assert invoke("generate", tmp_path / "g.csv", *words).exit_code == 2
    assert list(tmp_path.iterdir()) == []
