"""How fast this machine is, and how much memory it has: what predictions start from."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.field.ntt import evaluate_on_coset
from stark.hash.poseidon import RATE
from stark.hash.sha256 import ELEMENT_BYTES, SALT_BYTES
from stark.hash.sha256_kernels import leaf_digests
from stark.hash.sponge_kernels import PoseidonHashing
from stark.hash.suite import POSEIDON1_SUITE

_FRESH_CHUNK = 1 << 26
_FRESH_SECONDS = 1.0
"""Memory is touched in such chunks, all held until the last, for so long at most.

One chunk would say little: what the process or the system gave back a moment ago comes first and
costs 0.3 s per GiB or less, and under a hypervisor that takes unused memory back what follows can
cost fifteen times as much."""


@dataclass(frozen=True)
class Speeds:
    """Seconds on all cores: per cell of a transform, per byte hashed into leaves with SHA-256, per
    permutation of Poseidon, and per byte of memory that is used for the first time."""

    transform: float
    hashing: float
    permutation: float
    touching: float


TYPICAL_SPEEDS = Speeds(transform=1.6e-9, hashing=2.6e-10, permutation=7e-8, touching=4e-10)
"""Of two cores of a server of 2023: for comparisons that must not wait for a measurement."""


def measure_speeds(memory_bytes: int) -> Speeds:
    """Time a transform, the hashing of its rows, and fresh memory; at most two seconds.

    Parameters
    ----------
    memory_bytes
        What will be allocated, :func:`batch_bytes`: no more is touched, and no less if time allows.
    """
    rows, width = 1 << 15, 176
    matrix = aligned_empty((rows, width))
    matrix[:] = (np.arange(matrix.size) * 0x9E3779B1 % P).reshape(matrix.shape)
    out = aligned_empty(matrix.shape)
    digests = aligned_empty((8, rows))
    transform, hashing, permuting = [], [], []
    poseidon = PoseidonHashing(POSEIDON1_SUITE)
    for _ in range(6):
        started = time.perf_counter()
        evaluate_on_coset(matrix, 3, out)
        transform.append(time.perf_counter() - started)
        started = time.perf_counter()
        leaf_digests([out], [width], bytes(SALT_BYTES), digests)
        hashing.append(time.perf_counter() - started)
        started = time.perf_counter()
        poseidon.leaf_digests([out], [width], None, digests)
        permuting.append(time.perf_counter() - started)
    return Speeds(
        min(transform) / matrix.size,
        min(hashing) / (matrix.size * ELEMENT_BYTES),
        min(permuting) / (rows * width // RATE),
        _touching(memory_bytes),
    )


def _touching(size: int) -> float:
    """Seconds per byte of ``size`` bytes of fresh memory; the mean, since all of it is paid for."""
    held: list[NDArray[np.uint8]] = []
    started = time.perf_counter()
    elapsed = 0.0
    while not held or (len(held) * _FRESH_CHUNK < size and elapsed < _FRESH_SECONDS):
        chunk = np.empty(_FRESH_CHUNK, np.uint8)
        parallel.run(partial(_touch, chunk), _FRESH_CHUNK, 1 << 12)
        held.append(chunk)
        elapsed = time.perf_counter() - started
    return elapsed / (len(held) * _FRESH_CHUNK)


def _touch(memory: NDArray[np.uint8], lo: int, hi: int) -> None:
    memory[lo:hi] = 1


def physical_memory() -> int | None:
    """Bytes of memory of this machine, or of this process's control group; ``None`` if unknown."""
    found = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        limit = ""
    if limit.isdigit():
        found.append(int(limit))
    return min(found, default=None)
