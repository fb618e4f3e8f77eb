"""Randomness that hides the witness: from the operating system, each draw fresh.

Nothing is ever drawn twice from one state: there is no state. A test that needs equal proofs passes
its own source.
"""

from __future__ import annotations

import secrets
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.jit import kernel

_MASK31 = np.uint32((1 << 31) - 1)

PIECE = 1 << 14
"""Elements that are drawn at once: 64 KiB, which the allocator serves from memory that is in use
already, and the second-level cache holds."""


class Randomness(Protocol):
    """A source of bytes. ``label`` says what they are for; a seeded source must fork by it.

    Draws come from several threads, in any order, no two with one label.
    """

    def draw(self, label: str, size: int) -> bytes: ...


class SystemRandomness:
    """The operating system's generator. It works without the GIL, so that threads share a draw."""

    def draw(self, label: str, size: int) -> bytes:
        return secrets.token_bytes(size)


def field_elements(source: Randomness, label: str, count: int) -> NDArray[np.uint32]:
    """Uniform canonical elements (equally, uniform elements in Montgomery form).

    Words of 31 bits that are not below p, one in 128, are drawn again: no bias. Which draw an
    element comes from follows from its place alone, not from the number of threads.
    """
    result = aligned_empty(count)

    def call(lo: int, hi: int) -> None:
        for start in range(lo, hi, PIECE):
            # Labels of masks start with a letter: a number before one makes it another.
            own = f"{start // PIECE} {label}" if start else label
            _fill(source, own, result[start : min(hi, start + PIECE)])

    parallel.run(call, count, PIECE)
    return result


def _fill(source: Randomness, label: str, out: NDArray[np.uint32]) -> None:
    filled = attempt = 0
    while filled < len(out):
        data = source.draw(f"{label}/{attempt}", 4 * (len(out) - filled))
        filled = int(_accept(np.frombuffer(data, np.uint32) & _MASK31, out, filled))
        attempt += 1


@kernel("i8(u4[::1], u4[::1], i8)")
def _accept(words: NDArray[np.uint32], out: NDArray[np.uint32], filled: int) -> int:
    """Append the words below p to the ``filled`` that are there; their new number.

    Without a branch: every word is written to the next place, and stays if it counts. There are
    at least as many places left as words.
    """
    for word in words:
        out[filled] = word
        filled += word < P
    return filled
