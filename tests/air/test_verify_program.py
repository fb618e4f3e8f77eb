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

    def accepted(
        data: bytes, expected: object, profiles: object, progress: object, trusted: object
    ) -> object:
        progress(verify.Check("statement", "digest"))  # type: ignore[operator]
        raise AssertionError("a check was shown")

    monkeypatch.setattr(verify, "verify_publication", accepted)
    with pytest.raises(BrokenPipeError):
        # Reporting it would work: standard error is another pipe.
        verify.run(path, None, ["proven128"], False, refuse, lambda line: None)


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


class Stream:
    """An output that notes what is done with it."""

    def __init__(self) -> None:
        self.text = ""
        self.flushed: list[str] = []
        self.errors = "strict"

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        self.flushed.append(self.text)

    def reconfigure(self, *, errors: str) -> None:
        self.errors = errors


def test_each_line_is_shown_when_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Stream(), Stream()

    def accepted(*arguments: object) -> int:
        show, complain = arguments[4:6]
        assert callable(show)
        assert callable(complain)
        show("first")
        show("second")
        complain("third")
        return verify.EXIT_OK

    monkeypatch.setattr(verify, "run", accepted)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    assert verify.main(["any.proof"]) == verify.EXIT_OK
    assert out.flushed == ["first\n", "first\nsecond\n"]
    assert err.text == "third\n"
    # A terminal that lacks a letter of a name gets it escaped instead of a traceback.
    assert (out.errors, err.errors) == ("backslashreplace", "backslashreplace")
