"""``keygen``, ``prove``, ``inclusion`` and ``demo``: from a snapshot to a checked customer."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import air.cli.demo
from air.cli.frauds import prove_negative_balance, with_other_balance, with_smaller_total
from air.cli.main import main
from air.verification import verify_publication
from stark.errors import Code, Rejected


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "master.key"
    assert invoke("keygen", path).exit_code == 0
    return path


@pytest.fixture
def exported(small_publication: Any, tmp_path: Path) -> tuple[str, Path]:
    """An account id and its file."""
    account_id = small_publication.snapshot.account_id(7).decode()
    path = tmp_path / "customer.json"
    result = invoke(
        *("inclusion", "export", small_publication.run.directory),
        *("--account", account_id, "--out", path),
    )
    assert (result.exit_code, result.stderr) == (0, "")
    return account_id, path


def test_keygen_writes_a_secret_file_once(key: Path) -> None:
    assert len(key.read_bytes()) == 32
    if os.name == "posix":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    again = invoke("keygen", key, "--json")
    assert (again.exit_code, json.loads(again.stdout)["error"]["kind"]) == (2, "usage")
    assert key.read_bytes() == before


def test_prove_then_verify(small_publication: Any, key: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("prove", small_publication.snapshot_path, "--key", key, "--out", out)
    result = invoke(*words, "--profile", "proven100", "--json")
    assert result.exit_code == 0
    # Standard error has the progress, an object on each line.
    told = [json.loads(line) for line in result.stderr.splitlines()]
    assert {line["event"] for line in told} == {"progress"}
    assert told[-1]["fraction"] == 1
    value = json.loads(result.stdout)
    assert value["ok"] is True
    assert {name: Path(entry["path"]).stat().st_size for name, entry in value["files"].items()} == {
        name: entry["bytes"] for name, entry in value["files"].items()
    }
    assert [row["minor_units"] for row in value["totals"]] == [
        str(total) for total in small_publication.snapshot.totals()
    ]
    proof = value["files"]["proof"]["path"]
    verified = invoke(
        *("verify", proof, "--profile", "proven100"),
        *("--expect", value["statement_digest"], "--json"),
    )
    assert verified.exit_code == 0
    assert json.loads(verified.stdout)["totals"] == value["totals"]
    # A folder that holds something is not written into, unless forced.
    before = Path(proof).read_bytes()
    refused = invoke(*words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert Path(proof).read_bytes() == before
    forced = invoke(*words, "--force", "--profile", "proven100")
    assert forced.exit_code == 0
    assert Path(proof).read_bytes() != before


def test_prove_refuses(small_publication: Any, key: Path, tmp_path: Path) -> None:
    snapshot, out = small_publication.snapshot_path, tmp_path / "out"
    missing = tmp_path / "none"
    assert invoke("prove", snapshot, "--key", missing, "--out", out).exit_code == 3
    assert invoke("prove", missing, "--key", key, "--out", out).exit_code == 3
    assert invoke("prove", snapshot, "--key", key, "--out", key).exit_code == 3
    words = ("prove", snapshot, "--key", key, "--out", out)
    assert invoke(*words, "--manifest", missing).exit_code == 3
    assert invoke(*words, "--profile", "weak").exit_code == 2
    bad = tmp_path / "bad.csv"
    bad.write_text("account_id,asset,equity\nu-1,BTC,-1\n")
    manifest = small_publication.manifest_path
    result = invoke("prove", bad, "--manifest", manifest, "--key", key, "--out", out)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"bad data: {bad}, row 2, column equity: '-1': negative")
    key.chmod(0o644)
    if os.name == "posix":
        assert invoke(*words).exit_code == 2
    assert not out.exists()


def test_customer_checks_their_file(small_publication: Any, exported: tuple[str, Path]) -> None:
    account_id, path = exported
    proof = small_publication.run.proof_path
    result = invoke("inclusion", "verify", path, "--proof", proof, "--account", account_id)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "INCLUDED" in result.stdout
    assert account_id in result.stdout
    assert "compare these yourself" not in result.stdout
    value = json.loads(invoke("inclusion", "verify", path, "--proof", proof, "--json").stdout)
    assert (value["command"], value["ok"]) == ("inclusion verify", True)
    held = small_publication.snapshot.account_holdings(7)
    assert [row["minor_units"] for row in value["balances"]] == [str(amount) for _, amount in held]
    assert value["note"].startswith("compare these yourself")
    assert "compare these yourself" in invoke("inclusion", "verify", path, "--proof", proof).stdout


def test_customer_is_told_what_is_wrong(
    small_publication: Any, exported: tuple[str, Path], tmp_path: Path
) -> None:
    _, path = exported
    proof = small_publication.run.proof_path
    other = invoke("inclusion", "verify", path, "--proof", proof, "--account", "someone")
    assert (other.exit_code, "INCLUDED" in other.stdout) == (1, False)
    assert "account id" in other.stderr
    tampered = tmp_path / "tampered.json"
    tampered.write_bytes(with_other_balance(path.read_bytes()))
    result = invoke("inclusion", "verify", tampered, "--proof", proof, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "Inclusion"
    bad_proof = tmp_path / "bad.proof"
    bad_proof.write_bytes(with_smaller_total(small_publication.proof))
    assert invoke("inclusion", "verify", path, "--proof", bad_proof).exit_code == 1
    assert invoke("inclusion", "verify", path, "--proof", path).exit_code == 3
    assert invoke("inclusion", "verify", tmp_path / "none", "--proof", proof).exit_code == 3
    assert invoke("inclusion", "verify", path).exit_code == 2


def test_export_all(small_publication: Any, tmp_path: Path) -> None:
    folder = tmp_path / "customers"
    directory = small_publication.run.directory
    result = invoke("inclusion", "export", directory, "--all", "--out", folder, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["files"] == 20
    ids = {json.loads(path.read_bytes())["account_id"] for path in folder.glob("*.json")}
    snapshot = small_publication.snapshot
    assert ids == {snapshot.account_id(number).decode() for number in range(20)}


def test_export_from_a_store(small_publication: Any, tmp_path: Path) -> None:
    account = small_publication.snapshot.account_id(3).decode()
    written = []
    run = small_publication.run
    for number, source in enumerate((run.directory, run.store_path)):
        out = tmp_path / f"{number}.json"
        result = invoke("inclusion", "export", source, "--account", account, "--out", out)
        assert result.exit_code == 0, result.stderr
        written.append(out.read_bytes())
    assert written[0] == written[1]


def test_export_refuses(small_publication: Any, tmp_path: Path) -> None:
    directory, out = small_publication.run.directory, tmp_path / "x.json"
    words = ("inclusion", "export", directory, "--out", out)
    assert invoke(*words).exit_code == 2
    assert invoke(*words, "--all", "--account", "u").exit_code == 2
    unknown = invoke(*words, "--account", "nobody")
    assert unknown.exit_code in (1, 2)
    assert "nobody" in unknown.stderr
    assert not out.exists()
    nowhere = ("inclusion", "export", tmp_path, "--out", out, "--account", "u")
    assert invoke(*nowhere).exit_code == 3


def test_a_proven_negative_balance_is_refused(small_publication: Any) -> None:
    profile = "proven100"
    fraud = prove_negative_balance(
        small_publication.snapshot, small_publication.master_key, profile
    )
    assert fraud.claimed_total < fraud.honest_total
    with pytest.raises(Rejected) as error:
        verify_publication(fraud.proof, profiles=(profile,))
    # Not the totals, the tree or the digests, which are those of the edited accounts.
    assert error.value.code is Code.BUS


def test_demo(tmp_path: Path) -> None:
    folder = tmp_path / "story"
    words = ("demo", "--accounts", "20", "--assets", "3", "--profile", "proven100")
    result = invoke(*words, "--dir", folder)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Refused.") == 3
    assert "Every step did what it should" in result.stdout
    assert (
        invoke("verify", folder / "fraud-negative.proof", "--profile", "proven100").exit_code == 1
    )
    assert invoke(*words, "--dir", folder).exit_code == 2


def test_demo_fails_if_a_fraud_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(air.cli.demo, "with_smaller_total", lambda proof: proof)
    words = ("demo", "--accounts", "20", "--assets", "3", "--profile", "proven100", "--json")
    result = invoke(*words)
    assert result.exit_code == 1
    value = json.loads(result.stdout)
    assert value["ok"] is False
    assert [step["step"] for step in value["steps"] if not step["ok"]] == ["fraud: total"]
