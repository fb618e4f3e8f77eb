"""Randomness that hides the witness: from the operating system, each draw fresh.

Nothing is ever drawn twice from one state: there is no state. A test that needs equal proofs passes
its own source.
"""

from __future__ import annotations

import secrets
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stark.field.koalabear import P

_MASK31 = np.uint32((1 << 31) - 1)


class Randomness(Protocol):
    """A source of bytes. ``label`` says what they are for; a seeded source must fork by it."""

    def draw(self, label: str, size: int) -> bytes: ...


class SystemRandomness:
    """The operating system's generator."""

    def draw(self, label: str, size: int) -> bytes:
        return secrets.token_bytes(size)


def field_elements(source: Randomness, label: str, count: int) -> NDArray[np.uint32]:
    """Uniform canonical elements (equally, uniform elements in Montgomery form).

    Words of 31 bits that are not below p, one in 128, are drawn again: no bias.
    """
    result = np.empty(count, np.uint32)
    filled = attempt = 0
    while filled < count:
        data = source.draw(f"{label}/{attempt}", 4 * (count - filled))
        words = np.frombuffer(data, np.uint32) & _MASK31
        accepted = words[words < P]
        result[filled : filled + len(accepted)] = accepted
        filled += len(accepted)
        attempt += 1
    return result
