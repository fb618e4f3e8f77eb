"""``liabilities verify`` and ``python -m air.verify``: verdicts, exit codes, JSON, imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from air.cli.frauds import with_smaller_total
from air.cli.main import main
from air.registry import format_amount
from air.verify import main as verify_main

ROOT = Path(__file__).resolve().parents[3]

# Refuses whatever is neither in the standard library nor part of this project.
_BLOCKED = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in sys.stdlib_module_names | {"air", "stark"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
module, *sys.argv[1:] = sys.argv[1:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def run_python(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, **options)


@pytest.fixture
def proof_path(small_publication: Any) -> Path:
    return small_publication.run.proof_path


def both(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code and output, which must be the same for the command and for the program."""
    result = CliRunner().invoke(main, ["verify", *arguments])
    capsys.readouterr()
    code = verify_main(arguments)
    output = capsys.readouterr()
    assert (result.exit_code, result.stdout, result.stderr) == (code, output.out, output.err)
    return code, output.out, output.err


def test_accepts_and_prints_every_check_and_total(
    small_publication: Any, proof_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = both([str(proof_path)], capsys)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    names = [line[8:21].strip() for line in lines if line.startswith("passed  ")]
    assert names == ["statement", "key", "totals", "account tree", "batch 0"]
    registry = small_publication.snapshot.registry
    for asset, total in zip(registry, small_publication.snapshot.totals(), strict=True):
        assert [asset.symbol, format_amount(total, asset.decimals)] in [x.split() for x in lines]
    digest = small_publication.run.statement.digest().hex()
    assert f"statement digest    {digest}" in lines
    for words in ("Zero-knowledge", "Johnson bound", "124 bits", "reserves", "1 - (1 - f)^n"):
        assert words in out


def test_json_of_an_accepted_proof(
    small_publication: Any, proof_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = both([str(proof_path), "--json"], capsys)
    assert (code, err) == (0, "")
    value = json.loads(out)
    snapshot = small_publication.snapshot
    assert (value["command"], value["ok"], value["zero_knowledge"]) == ("verify", True, True)
    assert [row["minor_units"] for row in value["totals"]] == [str(t) for t in snapshot.totals()]
    assert value["statement_digest"] == small_publication.run.statement.digest().hex()
    assert value["profile"] == "proven128"
    assert float(value["security"]["minimum_bits"]) >= 128
    assert [check["name"] for check in value["checks"]][-1] == "batch 0"
    assert value["not_proven"]
    assert value["warnings"] == []


def test_expected_digest(
    small_publication: Any, proof_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = small_publication.run.statement.digest().hex()
    assert both([str(proof_path), "--expect", digest.upper()], capsys)[0] == 0
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    code, out, err = both([str(proof_path), "--expect", other], capsys)
    assert (code, out) == (1, "")
    assert err.startswith("REJECTED: Statement: statement digest")
    code, _, err = both([str(proof_path), "--expect", digest[:16]], capsys)
    assert code == 2
    assert "64 hexadecimal digits" in err


def test_the_policy_is_the_verifiers_not_the_files(
    proof_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = both([str(proof_path), "--profile", "proven100"], capsys)
    assert code == 1
    assert "Policy" in err
    profiles = ["--profile", "proven100", "--profile", "proven128"]
    assert both([str(proof_path), *profiles], capsys)[0] == 0


def test_rejects_a_tampered_total(
    small_publication: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tampered.proof"
    path.write_bytes(with_smaller_total(small_publication.proof))
    code, out, err = both([str(path)], capsys)
    assert code == 1
    assert "ACCEPTED" not in out
    assert err.startswith("REJECTED: Statement: the totals open the digest")
    code, out, _ = both([str(path), "--json"], capsys)
    value = json.loads(out)
    assert (code, value["ok"]) == (1, False)
    assert (value["error"]["kind"], value["error"]["code"]) == ("rejected", "Statement")
    assert [check["name"] for check in value["checks"]] == ["statement", "key"]


@pytest.mark.parametrize("place", [0.3, 0.6, 0.999])
def test_rejects_a_changed_byte_of_the_proof(
    small_publication: Any, tmp_path: Path, place: float, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(small_publication.proof)
    data[int(len(data) * place)] ^= 1
    path = tmp_path / "changed.proof"
    path.write_bytes(data)
    assert both([str(path)], capsys)[0] == 1


def _cut(data: bytes) -> bytes:
    return data[:-1]


def _longer(data: bytes) -> bytes:
    return data + b"\0"


def _other_magic(data: bytes) -> bytes:
    return b"X" + data[1:]


def _other_version(data: bytes) -> bytes:
    return data[:8] + b"\x07\x00" + data[10:]


def _other_context_version(data: bytes) -> bytes:
    return data.replace(b'"format":"1"', b'"format":"9"', 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_cut, 1),
        (_longer, 1),
        (_other_magic, 3),
        (_other_version, 3),
        (_other_context_version, 3),
        (lambda data: b"", 3),
    ],
)
def test_exit_codes_of_files_that_are_no_proof(
    small_publication: Any,
    tmp_path: Path,
    change: Any,
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "file"
    path.write_bytes(change(small_publication.proof))
    assert both([str(path)], capsys)[0] == code
    found, out, _ = both([str(path), "--json"], capsys)
    assert found == code
    assert json.loads(out)["ok"] is False


def test_a_file_that_does_not_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "missing", tmp_path):
        code, out, err = both([str(path)], capsys)
        assert (code, out) == (3, "")
        assert err.startswith(f"cannot read: {path}: ")
    code, out, _ = both([str(tmp_path / "missing"), "--json"], capsys)
    assert (code, json.loads(out)["error"]["kind"]) == (3, "file")


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--profile", "weak"], ["a", "--x"]])
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert CliRunner().invoke(main, ["verify", *arguments]).exit_code == 2
    with pytest.raises(SystemExit) as exit_info:
        verify_main(arguments)
    assert exit_info.value.code == 2


def test_names_of_the_file_are_shown_escaped(
    small_publication: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = both([str(tmp_path / "a\x1b[2Jb")], capsys)
    assert code == 3
    assert "\x1b" not in err
    assert "a\\x1b[2Jb" in err


def test_runs_without_third_party_packages(proof_path: Path, tmp_path: Path) -> None:
    result = run_python("-c", _BLOCKED, "air.verify", proof_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert "ACCEPTED" in result.stdout
    tampered = tmp_path / "tampered"
    tampered.write_bytes(with_smaller_total(proof_path.read_bytes()))
    assert run_python("-c", _BLOCKED, "air.verify", tampered).returncode == 1


def test_the_blocker_blocks() -> None:
    result = run_python("-c", _BLOCKED, "air.cli.main", "--help")
    assert result.returncode != 0
    assert "click is blocked" in result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["verify", "PROOF"], ["security"]])
def test_starts_without_the_prover(proof_path: Path, arguments: list[str]) -> None:
    given = [str(proof_path) if word == "PROOF" else word for word in arguments]
    code = (
        "import sys; from air.cli.main import main; main(sys.argv[1:], standalone_mode=False); "
        "heavy = {'numpy', 'numba', 'pyarrow', 'rich', 'msgspec'} & sys.modules.keys(); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = run_python("-c", code, *given)
    assert (result.returncode, result.stderr) == (0, "")


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="named pipes and SIGINT are POSIX")
@pytest.mark.parametrize("program", [["air.verify"], ["air.cli.main", "verify"]])
def test_interrupt(tmp_path: Path, program: list[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", *program, str(pipe)]
    # Opening the pipe for writing waits until the program opens it for reading. A shell may have
    # started these tests with interrupts ignored, which programs inherit.
    with (
        subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
        ) as process,
        pipe.open("wb"),
    ):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.strip()) == (130, "interrupted")


@pytest.mark.skipif(os.name != "posix", reason="broken pipes are reported in another way")
@pytest.mark.parametrize("program", [["air.verify"], ["air.cli.main", "verify"]])
def test_nobody_reads_the_output(proof_path: Path, program: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", *program, str(proof_path)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(writing)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (3, "")
