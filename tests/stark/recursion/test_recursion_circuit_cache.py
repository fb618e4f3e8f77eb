"""Circuits on disk: what is there is found, and what cannot be there harms nobody."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.checks import check, check_equal

from stark.recursion import circuit_cache
from stark.recursion.builder import CircuitBuilder
from stark.recursion.circuit import Circuit
from stark.recursion.circuit_cache import keep_circuit, read_circuit
from stark.recursion.circuit_file import encode_circuit


def small(tag: int = 1) -> Circuit:
    builder = CircuitBuilder(12, (5, 12))
    return builder.finish([builder.digest_constant(tuple(range(8)))], tag)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A place whose folder is not there yet; nothing else may be left in it."""
    result = tmp_path / "circuits" / "one.circuit"
    yield result
    if result.parent.is_dir():
        check(set(result.parent.iterdir()) <= {result}, "no temporary files")


def test_a_kept_circuit_is_found(path: Path) -> None:
    check(read_circuit(path) is None, "nothing yet")
    keep_circuit(path, small())
    check_equal(read_circuit(path), small())
    check_equal(stat.S_IMODE(path.stat().st_mode), 0o600)


def test_another_one_takes_its_place(path: Path) -> None:
    for tag in (1, 2):
        keep_circuit(path, small(tag))
        check_equal(read_circuit(path), small(tag))


@pytest.mark.parametrize("data", [b"", b"foreign", bytes(1 << 10), encode_circuit(small())[:-1]])
def test_files_that_hold_no_circuit(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    check(read_circuit(path) is None, "no circuit")
    keep_circuit(path, small())
    check_equal(read_circuit(path), small())


def test_a_file_that_is_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_circuit(path, small())
    size = path.stat().st_size
    monkeypatch.setattr(circuit_cache, "MAXIMUM_FILE", size)
    check_equal(read_circuit(path), small())
    monkeypatch.setattr(circuit_cache, "MAXIMUM_FILE", size - 1)
    check(read_circuit(path) is None, "not read")


def test_a_folder_in_the_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    check(read_circuit(path) is None, "a folder is no circuit")
    keep_circuit(path, small())
    check(path.is_dir(), "still there")


def test_a_pipe_in_the_place_of_the_file(path: Path) -> None:
    """Nobody waits for what nobody writes."""
    path.parent.mkdir()
    os.mkfifo(path)
    check(read_circuit(path) is None, "a pipe is no circuit")
    keep_circuit(path, small())
    check_equal(read_circuit(path), small())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "circuits" / "one.circuit"
    keep_circuit(path, small())
    check(read_circuit(path) is None, "nothing is kept")


@pytest.mark.parametrize("call", ["mkdir", "open", "replace"])
def test_a_disk_that_is_full_or_closed(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whoever runs the tests may write everywhere: the system's answers are made."""

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if call == "mkdir":
            patch.setattr(Path, "mkdir", fails)
        elif call == "open":
            patch.setattr(circuit_cache, "NamedTemporaryFile", fails)
        else:
            patch.setattr(os, "replace", fails)
        keep_circuit(path, small())
    check(read_circuit(path) is None, "nothing is kept")


def test_a_write_that_fails_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_circuit(path, small())

    class Full:
        """A file on a full disk."""

        name = str(path.parent / "temporary")

        def __init__(self, **_: object) -> None:
            Path(self.name).touch()

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def write(self, data: bytes) -> None:
            Path(self.name).write_bytes(data[:100])
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(circuit_cache, "NamedTemporaryFile", Full)
        keep_circuit(path, small(2))
    check_equal(read_circuit(path), small())


def test_a_write_that_is_interrupted_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            keep_circuit(path, small())
    check(read_circuit(path) is None, "nothing is kept")


def test_many_at_once_see_whole_files(path: Path) -> None:
    """Writers of two circuits, and readers."""
    keep_circuit(path, small(1))
    wanted = (small(1), small(2))

    def turn(number: int) -> bool:
        keep_circuit(path, wanted[number % 2])
        return read_circuit(path) in wanted

    with ThreadPoolExecutor(4) as pool:
        check(all(pool.map(turn, range(40))), "one of the two")
