"""``python -m air.verify`` where its output ends early or it is interrupted, without a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from air import verify


def refuse(line: str) -> None:
    raise BrokenPipeError(line)


def test_a_broken_pipe_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "liabilities.proof"
    path.write_bytes(b"any")

    def accepted(data: bytes, expected: object, profiles: object, progress: object) -> object:
        progress(verify.Check("statement", "digest"))  # type: ignore[operator]
        raise AssertionError("a check was shown")

    monkeypatch.setattr(verify, "verify_publication", accepted)
    with pytest.raises(BrokenPipeError):
        verify.run(path, None, ["proven128"], False, refuse, refuse)


def test_a_broken_pipe_ends_the_program_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copies: list[tuple[int, int]] = []

    class Output:
        def fileno(self) -> int:
            return 4321

        def write(self, text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(os, "dup2", lambda source, target: copies.append((source, target)))
    monkeypatch.setattr("sys.stdout", Output())
    assert verify.main([str(tmp_path / "absent"), "--json"]) == verify.EXIT_UNREADABLE
    monkeypatch.undo()
    # Standard output leads nowhere, so that the interpreter's last flush does not fail.
    ((source, target),) = copies
    assert target == 4321
    assert os.fstat(source).st_rdev == os.stat(os.devnull).st_rdev
    os.close(source)
    assert capsys.readouterr().err == ""


def test_an_interrupted_program_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "run", interrupted)
    assert verify.main(["any.proof"]) == verify.EXIT_INTERRUPTED == 130
    assert capsys.readouterr().err == "interrupted\n"
