"""Help texts, ``security``, ``keys``, ``warmup``, and how commands end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import air.cli.keys
import air.cli.verify
import air.cli.warmup
from air.cli.main import main
from air.cli.outcome import size_text
from air.cli.progress import progress_bar
from air.keys import pinned_roots, shipped_shapes, verification_key


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
        else:
            found.append((*path, name))
    return found


COMMANDS = commands(main)


def test_all_commands_are_there() -> None:
    expected = (
        "demo, generate, check, plan, keygen, prove, verify, inclusion export, inclusion verify, "
        "security, keys show, keys rebuild, warmup"
    )
    assert [" ".join(path) for path in COMMANDS] == expected.split(", ")


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help(path: tuple[str, ...]) -> None:
    result = invoke(*path, "-h")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "\n\n  " in result.stdout


def test_version_and_unknown_command() -> None:
    assert invoke("--version").stdout.startswith("stark-liabilities ")
    assert invoke("frobnicate").exit_code == 2
    assert invoke("verify").exit_code == 2


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(air.cli.verify, "run", interrupted)
    result = invoke("verify", "file")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(*_: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(air.cli.verify, "run", defective)
    assert isinstance(invoke("verify", "file").exception, ZeroDivisionError)


@pytest.mark.parametrize(("profile", "bits"), [("proven128", 128), ("proven100", 100)])
def test_security_reaches_the_profile(profile: str, bits: int) -> None:
    result = invoke("security", "--profile", profile, "--json")
    assert result.exit_code == 0
    value = json.loads(result.stdout)
    rounds = [float(entry["bits"]) for entry in value["rounds"]]
    assert min(rounds) == float(value["minimum_bits"]) >= bits
    assert value["shape"] == max(shipped_shapes()).name
    assert value["parameters"]["queries"] == value["queries"]


def test_security_of_a_shape() -> None:
    shape = shipped_shapes()[0].name
    result = invoke("security", "--shape", shape)
    assert result.exit_code == 0
    assert f"shape       {shape}" in result.stdout
    assert "minimum over rounds" in result.stdout
    assert invoke("security", "--shape", "rows99").exit_code == 2


def test_keys_show_lists_every_shape() -> None:
    value = json.loads(invoke("keys", "show", "--json").stdout)
    assert {row["shape"]: row["root"] for row in value["keys"]} == {
        shape.name: pinned_roots()[shape.name].hex() for shape in shipped_shapes()
    }


def test_keys_show_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = shipped_shapes()[0]
    monkeypatch.setattr(air.cli.keys, "shipped_shapes", lambda: (shape,))
    digest = verification_key("proven128", shape).digest.hex()
    assert digest in invoke("keys", "show", "--digests").stdout


def test_keys_rebuild_compares(monkeypatch: pytest.MonkeyPatch) -> None:
    import air.key_table

    table = dict(pinned_roots())
    monkeypatch.setattr(air.key_table, "rebuild_table", lambda progress: table)
    assert invoke("keys", "rebuild").exit_code == 0
    name = shipped_shapes()[3].name
    table[name] = bytes(32)
    result = invoke("keys", "rebuild", "--json")
    assert result.exit_code == 1
    error = json.loads(result.stdout)["error"]
    assert (error["code"], error["got"]) == ("VK", name)
    del table[name]
    assert name in invoke("keys", "rebuild").stderr


def test_warmup_compiles_in_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert air.cli.warmup.kernel_count() > 5
    # One kernel is enough to see a spawned process compile; the cache makes it cheap.
    monkeypatch.setattr(air.cli.warmup, "kernel_count", lambda: 1)
    result = invoke("warmup", "--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert (value["kernels"], Path(value["cache"]).name != "") == (1, True)


def test_progress_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bar() as report:
        report("proving", 1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar(wanted=False) as report:
        report("proving", 1, 2)
    assert capsys.readouterr() == ("", "")
    with progress_bar() as report:
        report("proving", 1, 2)
        report("nothing to do", 0, 0)
    output = capsys.readouterr()
    assert output.out == ""
    assert "nothing to do" in output.err


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (9_999, "9,999 bytes"), (10_000, "10.0 kB"), (2_500_000, "2.50 MB")],
)
def test_size_text(size: int, text: str) -> None:
    assert size_text(size) == text
