"""The machine that figures are of, a kernel to compare machines by, and processes of their own."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import llvmlite.binding
import numpy as np

from air.speeds import physical_memory
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.field.memory import aligned_empty, aligned_zeros
from stark.field.ntt import low_degree_extend

Result = TypeVar("Result")

REFERENCE_RUNS = 3


@dataclass(frozen=True)
class ReferenceKernel:
    """A low-degree extension of a matrix on one thread: ``width`` columns of 2^log_rows rows.

    Times divided by the reference's can be compared between machines. Figures are quoted with the
    default size alone.
    """

    log_rows: int = 18
    width: int = 256
    log_blowup: int = 2


def machine() -> dict[str, Any]:
    """What the figures depend on; the load average says who else was using the cores."""
    version = importlib.metadata.version
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "llvm_cpu": llvmlite.binding.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": physical_memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "numba": version("numba"),
        "load_average_at_start": load_average(),
    }


def load_average() -> list[float] | None:
    """Over 1, 5 and 15 minutes; ``None`` where the system has none."""
    return list(os.getloadavg()) if hasattr(os, "getloadavg") else None


def cpu_model() -> str:
    """As the kernel of Linux names it; elsewhere what Python knows."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def reference(kernel: ReferenceKernel) -> dict[str, Any]:
    """Time the reference kernel in a process of its own: it takes five times its matrix."""
    return in_fresh_process(_time_reference, kernel)


def _time_reference(kernel: ReferenceKernel) -> dict[str, Any]:
    os.environ["STARK_THREADS"] = "1"
    values = aligned_empty((1 << kernel.log_rows, kernel.width))
    # Made-up elements; a transform takes as long for any.
    values[:] = 0x9E3779B1 * np.arange(kernel.width) % P
    # Zeros, so that the first touch of the pages is not what is measured.
    out = aligned_zeros((1 << kernel.log_blowup, *values.shape))
    low_degree_extend(values, kernel.log_blowup, out)
    seconds = []
    for _ in range(REFERENCE_RUNS):
        started = time.perf_counter()
        low_degree_extend(values, kernel.log_blowup, out)
        seconds.append(time.perf_counter() - started)
    return {
        "kernel": "low-degree extension",
        **asdict(kernel),
        "threads": 1,
        "seconds": min(seconds),
        "seconds_of_all_runs": seconds,
    }


def in_fresh_process(function: Callable[..., Result], *arguments: Any) -> Result:
    """``function(*arguments)`` in a new interpreter; both must be picklable.

    Raises
    ------
    UsageError
        If the process is ended from outside, as the system does when memory runs out.
    """
    # spawn, not fork: the child's memory then starts from nothing.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise UsageError("the process was ended from outside: out of memory?") from None


def peak_memory() -> int:
    """Most resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its maximum starts from that of the process which spawned this.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


class Stopwatch:
    """Seconds and processor seconds by name, from one name to the next."""

    def __init__(self) -> None:
        self.laps: dict[str, dict[str, float]] = {}
        self._name = ""
        self._started = 0.0, 0.0

    def start(self, name: str) -> None:
        """End what runs, if anything does, and start ``name``; ``""`` for nothing."""
        now = time.perf_counter(), time.process_time()
        if self._name:
            lap = self.laps.setdefault(self._name, {"seconds": 0.0, "cpu_seconds": 0.0})
            lap["seconds"] += now[0] - self._started[0]
            lap["cpu_seconds"] += now[1] - self._started[1]
        self._name, self._started = name, now


def median_seconds(call: Callable[[], object], runs: int) -> tuple[float, list[float]]:
    """Median and all of the wall-clock seconds of some calls."""
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), seconds
