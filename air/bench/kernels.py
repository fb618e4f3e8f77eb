"""Which kernels the time between two moments goes to, by watching every call of one.

While a :class:`KernelWatch` is open, :func:`stark.parallel.run` and the calls of kernels are
replaced by watching ones, in this process alone. The cost is a microsecond or two per call.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from stark import parallel
from stark.jit import Kernel

PYTHON = "no kernel"
"""Name of calls of ``run`` that reach none."""


@dataclass
class Calls:
    """Calls of kernels: those that one thread does, and those that wait for several."""

    alone: int = 0
    shared: int = 0

    def count(self, threads: int) -> None:
        if threads > 1:
            self.shared += 1
        else:
            self.alone += 1


class KernelWatch:
    """Seconds of the calling thread in kernels, by their names.

    A call of ``run`` counts from its start to the end of its last thread: waiting for the slowest
    is part of it.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls = Calls()
        self._run = parallel.run
        self._call = Kernel.__call__
        self._running = False
        self._inside: list[tuple[str, float]] = []

    def take(self) -> dict[str, float]:
        """What was counted since the last time, most first."""
        taken = dict(sorted(self.seconds.items(), key=lambda item: -item[1]))
        self.seconds.clear()
        return taken

    def take_calls(self) -> Calls:
        """How many calls there were since the last time."""
        taken, self.calls = self.calls, Calls()
        return taken

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Replace for the time of the block."""
        watch = self

        def call(kernel: Kernel, *arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return watch._call(kernel, *arguments)
            finally:
                watch._called(kernel, time.perf_counter() - started)

        holders = [module for module in _modules() if getattr(module, "run", None) is self._run]
        for module in holders:
            module.run = self._watched_run  # type: ignore[attr-defined]
        Kernel.__call__ = call  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            Kernel.__call__ = self._call  # type: ignore[method-assign]
            for module in holders:
                module.run = self._run  # type: ignore[attr-defined]

    def _watched_run(
        self, call: Callable[[int, int], object], total: int, granularity: int = 16
    ) -> None:
        self._running = True
        self.calls.count(len(parallel.split_ranges(total, granularity, parallel.worker_count())))
        started = time.perf_counter()
        try:
            self._run(call, total, granularity)
        finally:
            elapsed = time.perf_counter() - started
            self._running = False
            calls, self._inside = self._inside, []
            self._share(elapsed, calls)

    def _called(self, kernel: Kernel, seconds: float) -> None:
        name = kernel_name(kernel)
        if self._running:
            # From several threads: appending is atomic.
            self._inside.append((name, seconds))
        else:
            self.calls.count(1)
            self._count(name, seconds)

    def _share(self, elapsed: float, calls: list[tuple[str, float]]) -> None:
        """One run's seconds among its kernels, by what the threads spent in each."""
        spent: dict[str, float] = {}
        for name, seconds in calls:
            spent[name] = spent.get(name, 0.0) + seconds
        whole = sum(spent.values())
        if not whole:
            self._count(PYTHON, elapsed)
        for name, seconds in spent.items():
            self._count(name, elapsed * seconds / whole if whole else 0.0)

    def _count(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def kernel_name(kernel: Kernel) -> str:
    """Module and function, for example ``ntt.transform_pass``."""
    module = str(kernel._function.__module__).rpartition(".")[2]
    return f"{module}.{kernel.__name__.lstrip('_')}"


def _modules() -> list[ModuleType]:
    """Modules of this project that may have imported ``run``."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ("stark", "air")
    ]
