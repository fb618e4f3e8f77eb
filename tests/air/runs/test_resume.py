"""Runs that are stopped and gone on with: real proofs, of three small batches and of aggregates."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.small_aggregates import TINY, tiny_profile

import air.aggregate.run
import air.planning
import air.proving
import air.resuming
from air.aggregate.inner import InnerProof
from air.cli.main import main
from air.inclusion.reader import InclusionStore
from air.proving import ProofRun, prove_snapshot
from air.publication import AggregatedPublication, Publication, decode_publication
from air.runs.folder import WorkFolder, read_manifest
from air.runs.tree import NodeId
from air.shape import Shape
from air.snapshot.check import load
from air.snapshot.generate import generate
from air.snapshot.table import Snapshot
from air.verification import verify_publication
from stark.errors import UsageError

KEY = bytes(range(32))
PROFILE = "proven100"
SHAPE = Shape(12, 5, 9)
FILES = ["inclusion.sqlite", "liabilities.proof", "statement.json"]


class Stopped(BaseException):
    """As if the process ended here: nothing catches it but what cleans up."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("resume")
    generate(path / "S.csv", accounts=60, assets=4, holdings=3, seed=5)
    (path / "key").touch(0o600)
    (path / "key").write_bytes(KEY)
    return path


@pytest.fixture(scope="module")
def snapshot(folder: Path) -> Snapshot:
    return load(folder / "S.csv")


def prove(snapshot: Snapshot, out: Path, *, key: bytes = KEY, **options: Any) -> ProofRun:
    words: dict[str, Any] = {
        "profile": PROFILE,
        "shape": SHAPE,
        "batches": 3,
        "aggregate": False,
        **options,
    }
    return prove_snapshot(snapshot, key, out, **words)


def stopping_after(patch: pytest.MonkeyPatch, proofs: int) -> None:
    """A run ends as soon as so many more proofs are kept."""
    left = [proofs]
    real = WorkFolder.keep

    def keep(self: WorkFolder, node: NodeId, data: bytes) -> None:
        real(self, node, data)
        left[0] -= 1
        if left[0] == 0:
            raise Stopped

    patch.setattr(WorkFolder, "keep", keep)


def never(*_: object, **__: object) -> None:
    raise AssertionError("a proof is made again")


@pytest.fixture(scope="module")
def unfinished(folder: Path, snapshot: Snapshot) -> Path:
    """A work folder with two of three proofs; with it ``all.work``, which has all."""
    with pytest.MonkeyPatch.context() as patch:
        stopping_after(patch, 2)
        with pytest.raises(Stopped):
            prove(snapshot, folder / "two")
    assert not (folder / "two").exists()
    shutil.copytree(folder / "two.work", folder / "all.work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(air.proving, "_write_files", stop)
        with pytest.raises(Stopped):
            prove(snapshot, folder / "all", resume=True)
    return folder


def stop(*_: object, **__: object) -> None:
    raise Stopped


@pytest.fixture
def two(unfinished: Path, tmp_path: Path) -> Path:
    """OUT of a run that has two of its three proofs."""
    shutil.copytree(unfinished / "two.work", tmp_path / "out.work")
    return tmp_path / "out"


@pytest.fixture
def ready(unfinished: Path, tmp_path: Path) -> Path:
    """OUT of a run that has all of its proofs."""
    shutil.copytree(unfinished / "all.work", tmp_path / "out.work")
    return tmp_path / "out"


def work_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.work")


def require_published(run: ProofRun, statement: bytes, profile: str = PROFILE) -> None:
    """All files are there, fit, and are accepted; and nothing else is left."""
    accepted = verify_publication(run.proof_path.read_bytes(), statement, (profile,))
    assert run.statement_path.read_bytes() == accepted.statement.encode()
    assert run.statement == accepted.statement
    with InclusionStore(run.store_path) as store:
        assert store.statement == accepted.statement
    assert sorted(path.name for path in run.directory.iterdir()) == FILES
    assert not work_of(run.directory).exists()


def statement_of(out: Path) -> bytes:
    manifest = read_manifest(work_of(out))
    assert manifest is not None
    return manifest.statement


def proofs_of(out: Path) -> dict[int, bytes]:
    """The kept proofs, by their batch."""
    found = (InnerProof.decode(path.read_bytes()) for path in work_of(out).glob("proofs/*"))
    return {one.number: one.proof for one in found}


# ---- going on


def test_a_run_goes_on_where_it_was(
    two: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statement; what was kept is published as it was; one proof is made."""
    statement, kept = statement_of(two), proofs_of(two)
    assert sorted(kept) == [0, 1]
    stopping_after(monkeypatch, 2)
    run = prove(snapshot, two, resume=True)
    require_published(run, statement)
    publication = decode_publication(run.proof_path.read_bytes())
    assert isinstance(publication, Publication)
    assert [batch.proof for batch in publication.batches[:2]] == [kept[0], kept[1]]


def test_processes_make_the_proofs(
    two: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that one process began goes on with others."""
    statement = statement_of(two)
    monkeypatch.setattr(air.aggregate.run.InProcess, "submit", never)
    require_published(prove(snapshot, two, resume=True, workers=2), statement)
    for workers in (0, -1):
        with pytest.raises(UsageError, match="one worker or more"):
            prove(snapshot, two.with_name("other"), workers=workers)
    assert not work_of(two.with_name("other")).exists()


def test_without_a_run_to_resume_one_begins(snapshot: Snapshot, tmp_path: Path) -> None:
    run = prove(snapshot, tmp_path / "out", resume=True, batches=1, shape=Shape(12, 6, 9))
    require_published(run, run.statement.digest())


def test_the_shape_need_not_be_said_again(
    ready: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = statement_of(ready)
    monkeypatch.setattr(air.aggregate.run, "published_task", never)
    run = prove(snapshot, ready, resume=True, shape=None, batches=None, memory=1 << 40)
    require_published(run, statement)


def test_an_unfinished_run_is_refused_unless_it_is_resumed(
    two: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(air.proving, "place", never)
    with pytest.raises(UsageError, match=r"2 finished proofs.*--resume.*remove the folder"):
        prove(snapshot, two)
    assert len(proofs_of(two)) == 2


def other_amount(snapshot: Snapshot) -> Snapshot:
    limbs = snapshot.amount_limbs.copy()
    limbs[0, 0] ^= 1
    return replace(snapshot, amount_limbs=limbs)


def other_id(snapshot: Snapshot) -> Snapshot:
    ids = snapshot.id_bytes.copy()
    ids[0] ^= 1
    return replace(snapshot, id_bytes=ids)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (None, {"key": bytes(32)}, "master key"),
        (None, {"profile": "proven128"}, "profile is proven100, not proven128"),
        (None, {"shape": Shape(12, 6, 9)}, "shape of batches is rows12-slots5-assets9, not"),
        (None, {"batches": 4}, "number of batches is 3, not 4"),
        (None, {"aggregate": True, "shape": None, "batches": None}, "aggregation is off, not on"),
        (other_amount, {}, "snapshot"),
        (other_id, {}, "snapshot"),
        (lambda one: replace(one, manifest=replace(one.manifest, epoch=9)), {}, "snapshot"),
        (lambda one: replace(one, manifest=replace(one.manifest, exchange="X")), {}, "snapshot"),
        (lambda one: replace(one, manifest=replace(one.manifest, previous=KEY)), {}, "snapshot"),
    ],
)
def test_another_run_is_refused_and_what_differs_is_named(
    two: Path,
    snapshot: Snapshot,
    change: Callable[[Snapshot], Snapshot] | None,
    options: dict[str, Any],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(air.proving, "place", never)
    with pytest.raises(UsageError, match=words):
        prove(change(snapshot) if change else snapshot, two, resume=True, **options)
    assert len(proofs_of(two)) == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("package_version", "0.0.9", "version of stark-liabilities is .*, not 0.0.9"),
        ("pinned_keys_digest", bytes(32), "pinned keys"),
    ],
)
def test_another_version_is_refused(
    two: Path,
    snapshot: Snapshot,
    name: str,
    value: Any,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(air.resuming, name, lambda: value)
    with pytest.raises(UsageError, match=words):
        prove(snapshot, two, resume=True)


def test_another_seed_is_another_statement(two: Path, snapshot: Snapshot) -> None:
    path = work_of(two) / "run.json"
    manifest = read_manifest(work_of(two))
    assert manifest is not None
    path.write_bytes(path.read_bytes().replace(manifest.seed.seed.hex().encode(), b"00" * 32))
    with pytest.raises(UsageError, match="statement"):
        prove(snapshot, two, resume=True)
    assert len(proofs_of(two)) == 2


# ---- proofs that are no good


def rewritten(out: Path, number: int, change: Callable[[InnerProof], InnerProof]) -> None:
    """Another content for the proof of a batch, under the name that goes with it."""
    for path in work_of(out).glob("proofs/*"):
        one = InnerProof.decode(path.read_bytes())
        if one.number == number:
            path.unlink()
            data = change(one).encode()
            path.with_name(f"{hashlib.sha256(data).hexdigest()}.inner").write_bytes(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: replace(one, proof=one.proof[:-1] + bytes([one.proof[-1] ^ 1])), "Merkle"),
        (lambda one: replace(one, number=7), "published batch 7"),
        (lambda one: replace(one, publics=replace(one.publics, context=bytes(32))), "00" * 32),
    ],
    ids=["wrong", "another place", "another run"],
)
def test_a_whole_proof_that_is_of_no_use_is_made_again(
    ready: Path, snapshot: Snapshot, change: Callable[[InnerProof], InnerProof], words: str
) -> None:
    statement, lines = statement_of(ready), list[str]()
    rewritten(ready, 1, change)
    run = prove(snapshot, ready, resume=True, warn=lines.append)
    require_published(run, statement)
    about, going_on = lines
    assert words in about
    assert going_on.startswith("going on with the run in ")
    assert going_on.endswith(" of its proofs finished")


# ---- the last steps


@pytest.mark.parametrize("target", FILES)
def test_a_full_disk_at_the_end(
    ready: Path, snapshot: Snapshot, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement, real = statement_of(ready), os.replace

    def full(source: str, name: str) -> None:
        if Path(name).name == target:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(name))
        real(source, name)

    monkeypatch.setattr(air.aggregate.run, "published_task", never)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(UsageError, match="No space left on device"):
            prove(snapshot, ready, resume=True)
    assert len(proofs_of(ready)) == 3
    assert not (ready / "liabilities.proof").exists()
    require_published(prove(snapshot, ready, resume=True), statement)


@pytest.mark.parametrize("step", ["replace", "unlink", "rmdir"])
def test_killed_between_the_last_steps(
    ready: Path, snapshot: Snapshot, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each of them in turn, in one folder: the next run goes on, and none makes a proof."""
    statement, real = statement_of(ready), getattr(os, step)
    monkeypatch.setattr(air.aggregate.run, "published_task", never)
    for number in range(100):
        left = [number]

        def counted(*words: Any, left: list[int] = left, **options: Any) -> Any:
            # Before it, nothing; after it, the process is no more.
            if left[0] == 0:
                raise Stopped
            left[0] -= 1
            return real(*words, **options)

        (ready / f"liabilities.proof.{number}.partial").parent.mkdir(exist_ok=True)
        (ready / f"liabilities.proof.{number}.partial").write_bytes(b"half")
        with monkeypatch.context() as patch:
            patch.setattr(os, step, counted)
            try:
                run = prove(snapshot, ready, resume=True)
            except Stopped:
                if read_manifest(work_of(ready)) is not None:
                    continue
                # All is done but for the last empty folder.
                assert not list(work_of(ready).glob("proofs/*"))
                patch.undo()
                shutil.rmtree(work_of(ready))
                break
            require_published(run, statement)
        break
    assert number >= 1
    accepted = verify_publication((ready / FILES[1]).read_bytes(), statement, (PROFILE,))
    assert (ready / FILES[2]).read_bytes() == accepted.statement.encode()
    assert sorted(path.name for path in ready.iterdir()) == FILES


def test_a_finished_publication_is_not_made_again(
    ready: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it cleaned up."""
    statement = statement_of(ready)
    with monkeypatch.context() as patch:
        patch.setattr(WorkFolder, "finish", stop)
        with pytest.raises(Stopped):
            prove(snapshot, ready, resume=True)
    before = (ready / "liabilities.proof").read_bytes()
    monkeypatch.setattr(air.proving, "place", never)
    run = prove(snapshot, ready, resume=True)
    require_published(run, statement)
    assert run.proof_path.read_bytes() == before


# ---- where it is


def test_the_work_folder_is_apart(snapshot: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "link").symlink_to(out)
    for work, store in (
        (out, None),
        (out / "work", None),
        (tmp_path / "link" / "work", None),
        (tmp_path, None),
        (tmp_path / "w", tmp_path / "w" / "s.sqlite"),
    ):
        with pytest.raises(UsageError, match="cannot lie in"):
            prove(snapshot, out, work=work, store=store)
    (tmp_path / "out.work").write_bytes(b"mine")
    with pytest.raises(UsageError, match="no folder"):
        prove(snapshot, out)
    assert (tmp_path / "out.work").read_bytes() == b"mine"
    with pytest.raises(UsageError, match="--work"):
        prove(snapshot, Path("/"), store=tmp_path / "s")
    assert not out.exists()


def test_the_store_takes_nothing_elses_place(snapshot: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for store in (out, out / "liabilities.proof", out / "x" / ".." / "statement.json", tmp_path):
        with pytest.raises(UsageError, match=r"store cannot be|is a folder"):
            prove(snapshot, out, store=store)
    assert list(tmp_path.iterdir()) == []


# ---- the command


def command(folder: Path, out: Path, *words: str) -> Any:
    arguments = ["prove", str(folder / "S.csv"), "--key", str(folder / "key"), "--out", str(out)]
    return CliRunner().invoke(
        main, [*arguments, "--profile", PROFILE, "--no-aggregate", *map(str, words)]
    )


def test_the_command_resumes(folder: Path, ready: Path, tmp_path: Path) -> None:
    statement = statement_of(ready)
    refused = command(folder, ready)
    assert (refused.exit_code, "3 finished proofs" in refused.stderr) == (2, True)
    work_of(ready).rename(tmp_path / "elsewhere")
    ready.mkdir()
    (ready / "notes").write_bytes(b"mine")
    words = ("--resume", "--work", str(tmp_path / "elsewhere"))
    refused = command(folder, ready, *words)
    assert (refused.exit_code, "notes" in refused.stderr) == (2, True)
    (ready / "notes").unlink()
    # What a killed run may leave: a store, half a proof.
    (ready / "inclusion.sqlite").write_bytes(b"half")
    (ready / "inclusion.sqlite.a.partial").write_bytes(b"half")
    (ready / "liabilities.proof").write_bytes(b"of another run")
    refused = command(folder, ready, *words)
    assert (refused.exit_code, "another run" in refused.stderr) == (2, True)
    (ready / "liabilities.proof").unlink()
    done = command(folder, ready, *words)
    assert done.exit_code == 0, done.output
    assert statement.hex() in done.stdout
    assert sorted(path.name for path in ready.iterdir()) == FILES
    assert not (tmp_path / "elsewhere").exists()
    assert command(folder, ready, *words).exit_code == 2, "a finished publication is not replaced"


def test_the_command_writes_over_no_store_of_another_run(
    folder: Path, ready: Path, tmp_path: Path
) -> None:
    store = tmp_path / "old.sqlite"
    store.write_bytes(b"of another day")
    for out, words in ((tmp_path / "new", ()), (ready, ("--resume",))):
        refused = command(folder, out, *words, "--store", store)
        assert (refused.exit_code, "--force" in refused.stderr) == (2, True)
    before = {name: (folder / name).read_bytes() for name in ("key", "S.csv")}
    for name in before:
        refused = command(folder, tmp_path / "new", "--force", "--store", folder / name)
        assert (refused.exit_code, "which is read" in refused.stderr) == (2, True)
    assert before == {name: (folder / name).read_bytes() for name in before}
    assert store.read_bytes() == b"of another day"
    assert command(folder, ready, "--resume", "--force", "--store", store).exit_code == 0
    with InclusionStore(store) as opened:
        statement = opened.statement
    assert (ready / "statement.json").read_bytes() == statement.encode()


def test_nobody_is_told_to_remove_a_run_that_goes_on(folder: Path, two: Path) -> None:
    with WorkFolder(work_of(two), lambda line: None):
        for words in ((), ("--resume",)):
            refused = command(folder, two, *words)
            assert refused.exit_code == 2
            assert f"in use by another process, {os.getpid()}" in refused.stderr
            assert "remove the folder" not in refused.stderr
    assert len(proofs_of(two)) == 2


def test_the_command_refuses_nonsense(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert command(folder, out, "--workers", "0").exit_code == 2
    assert command(folder, out, "--dask", "").exit_code == 2
    assert command(folder, out, "--workers", "2", "--dask", "tcp://localhost:1").exit_code == 2
    assert not out.exists()


# ---- aggregates


def test_an_aggregate_goes_on_at_each_of_its_proofs(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches, their join, the wrap: stopped after each, and published without another."""
    monkeypatch.setattr(air.planning, "shipped_shapes", lambda: (SHAPE,))
    monkeypatch.setattr(air.proving, "within", lambda *_: None)
    monkeypatch.setattr(air.proving, "plan_progress", lambda *_: None)
    out = tmp_path / "out"
    options: dict[str, Any] = {
        "profile": TINY,
        "batches": 2,
        "aggregate": True,
        "resume": True,
    }
    with tiny_profile():
        for number in range(4):
            with monkeypatch.context() as patch:
                stopping_after(patch, 1)
                with pytest.raises(Stopped):
                    prove(snapshot, out, **options)
            assert len(list(work_of(out).glob("proofs/*"))) == number + 1
        statement = statement_of(out)
        monkeypatch.setattr(WorkFolder, "keep", never)
        run = prove(snapshot, out, **options)
        require_published(run, statement, TINY)
    assert isinstance(decode_publication(run.proof_path.read_bytes()), AggregatedPublication)
