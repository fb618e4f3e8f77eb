"""Proving a snapshot: what is written, and when nothing is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import air.aggregate.tasks
import air.proving
from air.proving import prove_snapshot
from air.publication import Publication
from air.shape import Shape
from air.snapshot.check import load
from air.snapshot.generate import generate
from air.snapshot.table import Snapshot
from air.verification import verify_publication
from stark.errors import Code, Rejected, UsageError

KEY = bytes(range(32))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    path = tmp_path_factory.mktemp("snapshot") / "S.csv"
    generate(path, accounts=40, assets=4, holdings=3, seed=5)
    return load(path)


def test_a_fixed_shape_and_number_of_batches(snapshot: Snapshot, tmp_path: Path) -> None:
    shape = Shape(12, 6, 9)
    run = prove_snapshot(
        *(snapshot, KEY, tmp_path), shape=shape, batches=3, profile="proven100", aggregate=False
    )
    accepted = verify_publication(run.proof_path.read_bytes(), profiles=("proven100",))
    assert accepted.statement == run.statement
    assert run.statement.batches == 3
    assert run.statement.context.depth == shape.log_slots + 2
    assert list(run.statement.totals) == snapshot.totals()


def test_two_runs_share_no_root_and_no_digest(snapshot: Snapshot, tmp_path: Path) -> None:
    """Equal balances, equal key: the nonce and the blinds are fresh."""
    found = []
    for name in ("a", "b"):
        run = prove_snapshot(snapshot, KEY, tmp_path / name, profile="proven100")
        found.append(Publication.decode(run.proof_path.read_bytes()))
    first, second = found
    assert first.statement.totals == second.statement.totals
    assert first.statement.root != second.statement.root
    assert first.digest_start != second.digest_start
    assert first.batches[0].digest_out != second.batches[0].digest_out
    assert first.blind != second.blind


def test_what_does_not_fit_is_refused_before_anything_is_written(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="does not fit"):
        prove_snapshot(snapshot, KEY, tmp_path / "out", shape=Shape(12, 5, 9), batches=1)
    with pytest.raises(UsageError, match="goes with a shape"):
        prove_snapshot(snapshot, KEY, tmp_path / "out", batches=2)
    assert not (tmp_path / "out").exists()


def test_the_store_goes_elsewhere(snapshot: Snapshot, tmp_path: Path) -> None:
    store = tmp_path / "secret" / "kept" / "s.sqlite"
    run = prove_snapshot(snapshot, KEY, tmp_path / "out", store=store)
    assert run.store_path == store
    assert store.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "liabilities.proof",
        "statement.json",
    ]


def test_places_are_looked_at_before_anything_is_computed(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("proven")

    monkeypatch.setattr(air.proving, "place", never)
    file = tmp_path / "file"
    file.write_bytes(b"")
    for out, store in (
        (file, None),
        (file / "x", None),
        (tmp_path, file / "x"),
        (tmp_path, tmp_path),
    ):
        with pytest.raises(UsageError, match=r"cannot be written|is a folder"):
            prove_snapshot(snapshot, KEY, out, store=store)


def test_a_proof_that_the_verifier_refuses_is_not_written(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = air.aggregate.tasks.prove

    def broken(*arguments: object, **options: object) -> bytes:
        proof = bytearray(honest(*arguments, **options))  # type: ignore[arg-type]
        proof[-1] ^= 1
        return bytes(proof)

    monkeypatch.setattr(air.aggregate.tasks, "prove", broken)
    with pytest.raises(Rejected) as caught:
        prove_snapshot(snapshot, KEY, tmp_path / "out", profile="proven100")
    assert caught.value.code is Code.MERKLE
    assert not (tmp_path / "out").exists()


def test_hollow_proofs_are_refused_before_totals_are_hashed(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    """The totals are wrong too: what is said first shows what is done first."""
    run = prove_snapshot(snapshot, KEY, tmp_path, profile="proven100")
    honest = Publication.decode(run.proof_path.read_bytes())
    totals = (run.statement.totals[0] + 1, *run.statement.totals[1:])
    hollow = replace(
        honest,
        statement=replace(run.statement, totals=totals),
        batches=tuple(replace(batch, proof=b"x") for batch in honest.batches),
    )
    with pytest.raises(Rejected) as caught:
        verify_publication(hollow.encode(), profiles=("proven100",))
    assert caught.value.code is Code.FORMAT
