"""What is said of an accepted aggregate, in words and as JSON, by the program and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.aggregates import proven_aggregate, stand_in_keys
from support.checks import check, check_equal
from support.publications import PROFILE, SHAPE

from air.aggregate import keys as aggregate_keys
from air.aggregate.keys import Layer
from air.aggregate.security import aggregate_security
from air.cli.main import main
from air.report import (
    AGGREGATE_ASSUMPTIONS,
    ASSUMPTIONS,
    NOT_PINNED,
    acceptance_lines,
    assumptions,
)
from air.report_json import acceptance_json
from air.verification import Acceptance, verify_publication
from air.verify import EXIT_OK, EXIT_REJECTED, EXIT_UNREADABLE, EXIT_USAGE
from air.verify import main as verify_main
from stark.soundness.bits import combine


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = {(PROFILE, SHAPE): stand_in_keys()}
    monkeypatch.setattr(aggregate_keys, "pinned_aggregates", lambda: pins)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    result = tmp_path / "liabilities.proof"
    result.write_bytes(proven_aggregate(3).encode())
    return result


def accepted() -> Acceptance:
    return verify_publication(proven_aggregate(3).encode(), profiles=(PROFILE,))


def both(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code and output, which must be the same for the command and for the program."""
    arguments = [*arguments, "--profile", PROFILE]
    result = CliRunner().invoke(main, ["verify", *arguments])
    capsys.readouterr()
    code = verify_main(arguments)
    output = capsys.readouterr()
    check_equal((result.exit_code, result.stdout, result.stderr), (code, output.out, output.err))
    return code, output.out, output.err


def test_every_layer_is_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = both([str(path)], capsys)
    check_equal((code, err), (EXIT_OK, ""))
    keys = stand_in_keys()
    lines = out.splitlines()
    check(f"verification key    {keys.digest(2).hex()} ({PROFILE})" in lines, out)
    for layer in keys.layers(3):
        check(f"  {layer.name:<17} {layer.key.digest.hex()}" in lines, layer.name)
        check(
            any(line.startswith(f"  {layer.name:<17} {layer.count:>5} x ") for line in lines), out
        )
    for words in (
        "One proof for 3 batches",
        "weakest layer: ",
        "in sum over all proofs",
        "hashes: sha256 collisions 128",
        "no proof covers this step",
        "about 124 bits",
        "Zero-knowledge",
    ):
        check(words in out, words)
    check(NOT_PINNED not in out, "pinned")


def test_json_of_an_aggregate(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = both([str(path), "--json"], capsys)
    check_equal(code, EXIT_OK)
    found = json.loads(out)
    check_equal(found["key_digest"], stand_in_keys().digest(2).hex())
    check_equal(found["warnings"], [])
    security = found["security"]
    check_equal(security["keys_pinned"], True)
    check_equal([layer["proofs"] for layer in security["layers"]], [3, 2, 1, 1])
    check_equal(
        [layer["key_digest"] for layer in security["layers"]],
        [layer.key.digest.hex() for layer in stand_in_keys().layers(3)],
    )
    check_equal(security["hashes"], [{"name": "sha256 collisions", "bits": 128}])
    check_equal(security["assumptions"], list(AGGREGATE_ASSUMPTIONS))
    for layer in security["layers"]:
        check(Decimal(layer["minimum_bits"]) >= Decimal(security["minimum_bits"]), "weakest")
        check(Decimal(layer["union_bits"]) > Decimal(security["union_bits"]), "sum")


def test_assumptions_are_those_of_the_version() -> None:
    check_equal(assumptions(accepted()), list(AGGREGATE_ASSUMPTIONS))
    check_equal(assumptions(replace(accepted(), aggregate=None)), list(ASSUMPTIONS))


def test_errors_of_all_proofs_add_up() -> None:
    keys = stand_in_keys()
    layers = (
        Layer("batches", 5, keys.batch_key()),
        Layer("joins of level 1", 3, keys.join_key(1)),
        Layer("wrap", 1, keys.wrap_key(1)),
    )
    security = aggregate_security(layers, bytes(32), True)
    one_by_one = [entry.report.union for entry in security.layers for _ in range(entry.layer.count)]
    # The margins of rounding are 10^-30.
    check(abs(security.union - combine(one_by_one)) <= Decimal("0.0001"), str(security.union))
    check_equal(security.minimum, min(entry.report.minimum for entry in security.layers))
    check_equal(security.weakest.layer.name, "batches")


def test_the_weakest_layer_is_found() -> None:
    layers = tuple(Layer(f"layer {n}", 1, stand_in_keys().join_key(n)) for n in (1, 2, 3))
    security = aggregate_security(layers, bytes(32), True)
    last = security.layers[2]
    weak = replace(last.report.rounds[0], bits=Decimal("3.5"))
    entry = replace(last, report=replace(last.report, rounds=(weak, *last.report.rounds[1:])))
    worse = replace(security, layers=(*security.layers[:2], entry))
    check_equal((worse.weakest.layer.name, worse.minimum), ("layer 3", Decimal("3.5")))
    check(worse.union < Decimal("3.5"), str(worse.union))


def test_keys_that_are_not_pinned_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    acceptance = accepted()
    if acceptance.aggregate is None:
        raise AssertionError("no aggregate")
    unpinned = replace(acceptance, aggregate=replace(acceptance.aggregate, pinned=False))
    check(NOT_PINNED in acceptance_lines(unpinned), "a banner")
    check_equal(acceptance_json(unpinned)["warnings"], [NOT_PINNED])
    check_equal(acceptance_json(unpinned)["security"]["keys_pinned"], False)
    check(NOT_PINNED not in acceptance_lines(acceptance), "none")


def test_given_keys(
    path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from air import verify

    other = stand_in_keys(levels=2)
    table = tmp_path / "keys.json"
    table.write_bytes(aggregate_keys.encode_aggregates((other,)))
    monkeypatch.setattr(aggregate_keys, "pinned_aggregates", dict)
    digest = other.digest(2).hex()
    # The file has real circuits, whose digests are others than those of the stand-in.
    code, _, err = both([str(path), "--keys", str(table), "--key-digest", digest], capsys)
    check_equal((code, "digest of the given keys" in err), (EXIT_REJECTED, True), err)
    monkeypatch.setattr(verify, "decode_aggregates", lambda data: (other,))
    code, out, _ = both([str(path), "--keys", str(table), "--key-digest", digest], capsys)
    check_equal((code, NOT_PINNED in out), (EXIT_OK, True), out)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--keys", "TABLE"], EXIT_USAGE, "goes with the digest"),
        (["--key-digest", "ab" * 32], EXIT_USAGE, "goes with the digest"),
        (["--keys", "TABLE", "--key-digest", "ab"], EXIT_USAGE, "64 hexadecimal digits"),
        (["--keys", "ABSENT", "--key-digest", "ab" * 32], EXIT_UNREADABLE, "No such file"),
        (["--keys", "TABLE", "--key-digest", "ab" * 32], EXIT_REJECTED, "table of keys"),
    ],
)
def test_mistakes_with_given_keys(
    arguments: list[str],
    code: int,
    words: str,
    path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "table").write_bytes(b"no table")
    names = {"TABLE": str(tmp_path / "table"), "ABSENT": str(tmp_path / "absent")}
    given: list[Any] = [names.get(argument, argument) for argument in arguments]
    found, _, err = both([str(path), *given], capsys)
    check_equal((found, words in err), (code, True), err)
