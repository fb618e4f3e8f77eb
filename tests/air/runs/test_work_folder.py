"""The work folder: what it keeps, what it refuses, and what it never touches."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from air.runs.folder import WorkFolder, read_manifest, refuse_unfinished
from air.runs.manifest import RunManifest
from air.runs.seed import RunSeed
from air.runs.tree import NodeId
from stark.errors import Code, Rejected, UsageError

ROOT = Path(__file__).parents[3]

MANIFEST = RunManifest(
    version="1",
    snapshot=bytes(32),
    master_key=bytes(32),
    profile="proven128",
    shape="rows12-slots6-assets9",
    batches=4,
    aggregated=False,
    keys=bytes(32),
    statement=bytes(32),
    seed=RunSeed(bytes(32)),
)
ONE, TWO = NodeId(0, 1), NodeId(0, 2)


def identify(data: bytes) -> NodeId:
    """``run:number:anything``."""
    run, number, _ = data.split(b":", 2)
    if run != b"run":
        raise Rejected(Code.STATEMENT, "what a kept proof is about", "this run", "another")
    return NodeId(0, int(number))


def opened(path: Path, lines: list[str] | None = None) -> WorkFolder:
    return WorkFolder(path, (lines if lines is not None else []).append)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A run that began and was stopped, with two proofs."""
    path = tmp_path / "out.work"
    with opened(path) as folder:
        folder.begin(MANIFEST)
        folder.keep(ONE, b"run:1:x")
        folder.keep(TWO, b"run:2:y" * 1000)
    return path


def names(path: Path) -> list[str]:
    return sorted(str(one.relative_to(path)) for one in path.rglob("*"))


def proof_path(work: Path, data: bytes) -> Path:
    return work / "proofs" / f"{hashlib.sha256(data).hexdigest()}.inner"


def rescanned(work: Path) -> tuple[dict[NodeId, bytes], list[str]]:
    """What a later run finds, and what it says."""
    lines: list[str] = []
    with opened(work, lines) as folder:
        count = folder.scan(identify)
        found = {node: folder.find(node) for node in (ONE, TWO)}
        whole = {node: data for node, data in found.items() if data is not None}
        assert len(whole) == count
    return whole, lines


# ---- what it keeps


def test_proofs_are_found_again(work: Path) -> None:
    found, lines = rescanned(work)
    assert found == {ONE: b"run:1:x", TWO: b"run:2:y" * 1000}
    assert lines == []
    with opened(work) as folder:
        assert folder.manifest == MANIFEST
        assert folder.find(ONE) is None, "nothing is found that was not looked at"


def test_only_the_owner_can_open_anything(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "w"
        with opened(path) as folder:
            folder.begin(MANIFEST)
            folder.keep(ONE, b"run:1:x")
    finally:
        os.umask(before)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.rglob("*")}
    assert stat.S_IMODE(path.stat().st_mode) == modes.pop("proofs") == 0o700
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}


def test_a_dropped_proof_is_gone(work: Path) -> None:
    with opened(work) as folder:
        folder.scan(identify)
        folder.drop(ONE)
        folder.drop(ONE)
        assert folder.find(ONE) is None
    assert set(rescanned(work)[0]) == {TWO}


def test_a_finished_run_leaves_nothing(work: Path) -> None:
    (work / "proofs" / f"{'a' * 64}.inner.x.partial").write_bytes(b"half")
    with opened(work) as folder:
        folder.finish()
    assert not work.exists()


def test_a_run_that_did_not_begin_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "w"
    with opened(path):
        assert path.is_dir()
    assert not path.exists()
    path.mkdir(mode=0o700)
    with opened(path):
        pass
    assert names(path) == [], "a folder that was there stays"


# ---- files that are not what they were


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"z"),
        lambda path: path.write_bytes(path.read_bytes() + b"z"),
        lambda path: path.rename(path.with_name(f"{'0' * 64}.inner")),
    ],
    ids=["truncated", "empty", "changed", "longer", "renamed"],
)
def test_a_damaged_proof_is_removed_and_said(work: Path, damage: Callable[[Path], Any]) -> None:
    damage(proof_path(work, b"run:1:x"))
    found, lines = rescanned(work)
    assert set(found) == {TWO}
    assert len(lines) == 1
    assert "is not what was written; it is removed" in lines[0]
    assert len(list((work / "proofs").iterdir())) == 1


def test_a_proof_that_changes_during_the_run_is_not_handed_out(work: Path) -> None:
    lines: list[str] = []
    with opened(work, lines) as folder:
        assert folder.scan(identify) == 2
        proof_path(work, b"run:1:x").write_bytes(b"run:1:z")
        proof_path(work, b"run:2:y" * 1000).unlink()
        assert folder.find(ONE) is folder.find(TWO) is None
        assert len(lines) == 2
        folder.keep(ONE, b"run:1:new")
        assert folder.find(ONE) == b"run:1:new"


def test_a_proof_of_another_run_is_removed_and_said(work: Path) -> None:
    foreign = b"other:1:x"
    proof_path(work, foreign).write_bytes(foreign)
    found, lines = rescanned(work)
    assert set(found) == {ONE, TWO}
    assert "expected this run, got another" in lines[0]
    assert not proof_path(work, foreign).exists()


def test_of_two_proofs_of_one_node_one_stays(work: Path) -> None:
    second = b"run:1:second"
    proof_path(work, second).write_bytes(second)
    found, lines = rescanned(work)
    assert found[ONE] in (b"run:1:x", second)
    assert "another proof of the same" in lines[0]
    assert len(list((work / "proofs").iterdir())) == 2


def test_what_is_somebody_elses_is_left(work: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"run:3:mine")
    link = proof_path(work, target.read_bytes())
    link.symlink_to(target)
    for path in (work / "notes.txt", work / "proofs" / "notes.inner", work / "x.partial"):
        path.write_bytes(b"mine")
    (work / "proofs" / "0a.inner").mkdir()
    others = {"notes.txt", "x.partial", "proofs", "proofs/notes.inner", "proofs/0a.inner"}
    lines: list[str] = []
    with opened(work, lines) as folder:
        assert folder.scan(identify) == 2
        folder.finish()
    assert set(names(work)) == others | {str(link.relative_to(work))}
    assert target.read_bytes() == b"run:3:mine"
    assert "did not make; they are left" in lines[0]
    # No run is there any more, and nobody takes the folder for a new one.
    with pytest.raises(UsageError, match="no work folder"):
        opened(work)


def test_what_a_killed_process_leaves_is_removed(work: Path) -> None:
    left = [work / "run.json.a1.partial", work / "proofs" / f"{'b' * 64}.inner.a_1.partial"]
    for path in left:
        path.write_bytes(b"half")
    with opened(work):
        assert not any(path.exists() for path in left)
    assert len(rescanned(work)[0]) == 2


# ---- folders that it refuses


def test_places_that_are_no_work_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    full = tmp_path / "full"
    full.mkdir(mode=0o700)
    (full / "mine").write_bytes(b"mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o700)
    other = tmp_path / "other"
    other.symlink_to(empty)
    for path, words in (
        (file, "no folder"),
        (file / "w", "cannot be made"),
        (full, "no work folder"),
        (link, "no folder"),
        (other, "a link to one"),
    ):
        with pytest.raises(UsageError, match=words):
            opened(path)
    assert file.read_bytes() == (full / "mine").read_bytes() == b"mine"
    assert names(full) == ["mine"]
    assert names(empty) == []


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o711])
def test_a_folder_that_others_may_open(work: Path, mode: int) -> None:
    work.chmod(mode)
    with pytest.raises(UsageError, match=f"mode {mode:04o}"):
        opened(work)
    assert stat.S_IMODE(work.stat().st_mode) == mode
    work.chmod(0o700)
    (work / "proofs").chmod(mode)
    with pytest.raises(UsageError, match="proofs can be opened by others"):
        opened(work)


def test_a_folder_of_another_user(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(UsageError, match="another user"):
        opened(work)


def test_proofs_that_are_elsewhere(work: Path, tmp_path: Path) -> None:
    (work / "proofs").rename(tmp_path / "elsewhere")
    (work / "proofs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="a link"):
        opened(work)
    assert len(names(tmp_path / "elsewhere")) == 2


@pytest.mark.parametrize("size", [0, 1, 100])
def test_half_a_manifest_is_refused_and_says_what_to_do(work: Path, size: int) -> None:
    """It cannot come from this program, which writes it whole or not at all."""
    data = (work / "run.json").read_bytes()
    (work / "run.json").write_bytes(data[:size])
    with pytest.raises(UsageError, match="to begin anew, remove the folder"):
        opened(work)
    assert len(names(work / "proofs")) == 2
    (work / "run.json").write_bytes(data)
    assert len(rescanned(work)[0]) == 2


def test_a_manifest_that_is_no_file(work: Path) -> None:
    (work / "run.json").unlink()
    (work / "run.json").mkdir()
    with pytest.raises(UsageError, match="no regular file"):
        opened(work)


def test_an_unfinished_run_is_refused_unless_it_is_resumed(work: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"2 finished proofs: go on with it \(--resume\), or"):
        refuse_unfinished(work, False)
    refuse_unfinished(work, True)
    refuse_unfinished(tmp_path / "none", False)
    assert read_manifest(tmp_path / "none") is None
    assert read_manifest(work / "lock" / "x") is None


# ---- one process at a time


HOLD = """
import sys
from air.runs.folder import WorkFolder
with WorkFolder(sys.argv[1], print):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_at_once(work: Path) -> None:
    """The second is told of the first; when that is killed, its lock means nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(work)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline() == b"held\n"
            with pytest.raises(UsageError, match=rf"in use by another process, {first.pid}\b"):
                opened(work)
        finally:
            first.kill()
    assert (work / "lock").exists()
    assert len(rescanned(work)[0]) == 2


def test_a_lock_holds_within_a_process_and_is_let_go(work: Path) -> None:
    with opened(work), pytest.raises(UsageError, match="in use"):
        opened(work)
    with opened(work):
        pass


def test_a_lock_that_is_somebody_elses_file(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.mkdir(mode=0o700)
    (path / "lock").write_bytes(b"my notes about locks")
    with pytest.raises(UsageError, match="no lock file"):
        opened(path)
    assert (path / "lock").read_bytes() == b"my notes about locks"
    (path / "lock").unlink()
    (path / "lock").symlink_to(tmp_path / "notes")
    with pytest.raises(UsageError, match="cannot be locked"):
        opened(path)
    assert not (tmp_path / "notes").exists()


# ---- the disk


def failing(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("step", ["replace", "fsync", "write"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_disk_loses_nothing(
    work: Path, step: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(work)
    with opened(work) as folder:
        folder.scan(identify)
        with monkeypatch.context() as patch:
            if step == "write":
                patch.setattr(Path, "write_bytes", failing(number))
            else:
                patch.setattr(os, step, failing(number))
            with pytest.raises(UsageError, match=os.strerror(number)) as caught:
                folder.keep(NodeId(0, 3), b"run:3:z")
        assert "stays valid" in str(caught.value)
        assert str(work) in str(caught.value)
        assert folder.find(NodeId(0, 3)) is None
        assert folder.find(ONE) == b"run:1:x"
    assert names(work) == before
    assert len(rescanned(work)[0]) == 2


@pytest.mark.parametrize("step", ["replace", "fsync", "mkdir", "open"])
def test_a_run_that_cannot_begin(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w"
    real = getattr(os, step)

    def full(name: object, *words: Any, **options: Any) -> Any:
        if step == "open" and not str(name).endswith("lock"):
            return real(name, *words, **options)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(UsageError, match="No space left"), opened(path) as folder:
            folder.begin(MANIFEST)
    assert not path.exists() or names(path) == []
    with opened(path) as folder:
        assert folder.manifest is None
        folder.begin(MANIFEST)
    assert read_manifest(path) == MANIFEST


def test_cleaning_up_raises_nothing(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is published by then."""
    lines: list[str] = []
    with opened(work, lines) as folder, monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing(errno.EROFS))
        folder.finish()
    assert "cannot be removed" in lines[0]
    with opened(work, lines) as folder:
        folder.finish()
    assert not work.exists()


class _Killed(BaseException):
    """As if the process ended here."""


def test_killed_between_any_two_steps(tmp_path: Path) -> None:
    """The system's calls of a whole run, stopped before each. The next run always goes on, and
    finds every proof that was kept."""
    at, stopped = 0, True
    while stopped:
        path = tmp_path / f"{at}"
        kept: dict[NodeId, bytes] = {}
        stopped, finishing = run_until(at, path, kept)
        lines: list[str] = []
        with opened(path, lines) as folder:
            if folder.manifest is None:
                assert finishing or not kept
                assert not list(path.glob("proofs/*"))
                folder.begin(MANIFEST)
            assert folder.manifest == MANIFEST
            folder.scan(identify)
            if not finishing:
                assert {node: folder.find(node) for node in kept} == kept
            folder.keep(NodeId(0, 3), b"run:3:x")
            folder.finish()
        assert lines == []
        assert not path.exists()
        at += 1
    assert at > 30


def run_until(at: int, path: Path, kept: dict[NodeId, bytes]) -> tuple[bool, bool]:
    """A run that is killed at a system call: from there on, none has any effect but that files
    are closed. Whether it was killed, and whether all proofs were kept by then."""
    left, descriptors, finishing = [at], set[int](), False

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:
            if left[0] <= 0:
                raise _Killed
            left[0] -= 1
            result = real(*words, **options)
            if real is opening:
                descriptors.add(result)
            return result

        return call

    def close(descriptor: int) -> None:
        descriptors.discard(descriptor)
        closing(descriptor)

    opening, closing = os.open, os.close
    with pytest.MonkeyPatch.context() as patch:
        for step in ("mkdir", "open", "replace", "unlink", "rmdir", "fsync", "ftruncate"):
            patch.setattr(os, step, counted(getattr(os, step)))
        patch.setattr(os, "close", close)
        try:
            folder = opened(path)
            folder.begin(MANIFEST)
            for number in range(3):
                folder.keep(NodeId(0, number), b"run:%d:x" % number)
                kept[NodeId(0, number)] = b"run:%d:x" % number
            finishing = True
            folder.finish()
        except _Killed:
            return True, finishing
        finally:
            for descriptor in descriptors:
                closing(descriptor)
    return False, finishing
