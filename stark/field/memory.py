"""Aligned buffers for the kernels of the prover wing, large ones taken from a pool.

The first touch of memory can cost more than the work on it: the system clears each page, and a
virtual machine may have to fetch it from its host. So large buffers that are no longer used are
kept, and serve the next request of about their size.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from math import prod

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64
"""Bytes: one cache line, and one AVX-512 register."""

LANES = 16
"""32-bit lanes of the vector type; matrix widths are padded to a multiple of it."""


def padded_width(width: int) -> int:
    """The width of a matrix after padding with zero columns to whole vectors."""
    return -(-width // LANES) * LANES


POOLED_BYTES = 1 << 20
"""Buffers from this size on come from the pool."""

_SPARE = 4
"""A kept buffer serves a request if at most 1/4 of it stays unused."""


class BufferPool:
    """Freed buffers, kept for reuse; never more than brings all buffers to their past peak.

    Thread-safe. A buffer comes back when the last array over it is gone.
    """

    def __init__(self) -> None:
        self._kept: list[NDArray[np.uint8]] = []
        self._returned: deque[NDArray[np.uint8]] = deque()
        self._lock = threading.Lock()
        self._used = 0
        self._peak = 0

    def take(self, size: int) -> NDArray[np.uint8]:
        """An uninitialised array of at least ``size`` bytes."""
        with self._lock:
            self._collect()
            fitting = [
                block
                for block in self._kept
                if size <= block.nbytes <= size + block.nbytes // _SPARE
            ]
            block = min(fitting, key=lambda one: one.nbytes, default=None)
            if block is None:
                block = np.empty(size, np.uint8)
            else:
                self._kept = [one for one in self._kept if one is not block]
            self._used += block.nbytes
            self._peak = max(self._peak, self._used)
            self._trim(self._peak - self._used)
        # A view through a memoryview: numpy keeps it alive under every array made of it, and its
        # end is the buffer's return. (Views of views refer to the first array that is no view.)
        array = np.frombuffer(block.data, np.uint8)
        weakref.finalize(array, self._returned.append, block).atexit = False
        return array

    def release(self) -> None:
        """Give all unused buffers back to the system, and forget the peak."""
        with self._lock:
            self._collect()
            self._kept.clear()
            self._peak = self._used

    def _collect(self) -> None:
        # Arrays may end, and append, at any moment; this is the only place that takes them out.
        while self._returned:
            block = self._returned.popleft()
            self._used -= block.nbytes
            self._kept.append(block)

    def _trim(self, allowed: int) -> None:
        """Drop the buffers that were returned first until ``allowed`` bytes are left."""
        kept = sum(block.nbytes for block in self._kept)
        while kept > allowed:
            kept -= self._kept.pop(0).nbytes


buffers = BufferPool()
"""The pool of :func:`aligned_empty`."""


def aligned_empty(shape: tuple[int, ...] | int) -> NDArray[np.uint32]:
    """An uninitialised C-contiguous uint32 array whose data starts on a cache line."""
    dimensions = (shape,) if isinstance(shape, int) else shape
    size = prod(dimensions) * 4
    room = size + ALIGNMENT
    raw = np.empty(room, np.uint8) if room < POOLED_BYTES else buffers.take(room)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size].view(np.uint32).reshape(dimensions)


def aligned_zeros(shape: tuple[int, ...] | int) -> NDArray[np.uint32]:
    """Like :func:`aligned_empty`, filled with zeros."""
    array = aligned_empty(shape)
    array.fill(0)
    return array
