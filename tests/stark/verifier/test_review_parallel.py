"""Ranges that still run when ``run`` has raised work on buffers that their owner has let go."""

from __future__ import annotations

import threading

import pytest

from stark import parallel


def test_nothing_runs_any_more_when_an_error_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARK_THREADS", "2")
    leave, ended = threading.Event(), threading.Event()

    def call(lo: int, hi: int) -> None:
        if lo == 0:
            raise MemoryError("staging buffer")
        leave.wait(0.3)
        ended.set()

    try:
        with pytest.raises(MemoryError):
            parallel.run(call, 32, 16)
        assert ended.is_set()
    finally:
        leave.set()
        ended.wait(5)
