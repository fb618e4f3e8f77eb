"""What a kernel must take at least: its products or hashes, or the bytes it moves.

A roofline: the larger of instructions, at the speed of products in the caches, and of memory
traffic, at the speed of a copy (:class:`air.bench.speeds.Speeds`). A *product* is that of two
vectors of words, even and odd lanes: an addend of a sum of products takes one, a reduction two, so
that a multiplication in the field takes three, one in the extension 25 and five reductions.
Additions, loads and shuffles are not counted: no kernel reaches its bound. Matrices that fit the
caches may go below that of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from air.bench.speeds import Speeds

REDUCTION = 2
MULTIPLICATION = 1 + REDUCTION
EXTENSION = 25 + 5 * REDUCTION
"""A multiplication in the extension."""
SCALING = 5 * MULTIPLICATION
"""One of an extension element by one of the base field."""
SBOXES = (8 * 16 + 20) * 2 * MULTIPLICATION
"""Cubes of a permutation of 16 lanes, 8 full and 20 partial rounds; matrices are not counted."""

WORD = 4
BLOCK = 64
"""Bytes that one compression of SHA-256 takes."""

lines: list[str] = []
"""What the terminal shows at the end."""


@dataclass(frozen=True)
class Work:
    """Of one item: vector products, compressions of SHA-256, bytes read and written."""

    products: float = 0.0
    compressions: float = 0.0
    bytes: float = 0.0

    def bound(self) -> tuple[float, str]:
        """Seconds, and what decides them."""
        speeds = _speeds()
        instructions = self.products * speeds.product()
        if self.compressions:
            instructions += self.compressions * speeds.work()
        memory = self.bytes * speeds.copied_byte()
        return max((instructions, "instructions"), (memory, "memory"))


@cache
def _speeds() -> Speeds:
    return Speeds()


def report(benchmark: Any, unit: str, items: float, work: Work) -> None:
    """Nanoseconds per item and the bound, to ``extra_info`` and to the terminal."""
    if benchmark.stats is None:  # --benchmark-disable
        return
    nanoseconds = benchmark.stats.stats.min / items * 1e9
    seconds, by = work.bound()
    benchmark.extra_info[f"ns per {unit}"] = round(nanoseconds, 3)
    benchmark.extra_info[f"bound, ns per {unit}"] = round(seconds * 1e9, 3)
    benchmark.extra_info["bound by"] = by
    lines.append(
        f"{benchmark.name:<60} {nanoseconds:12.3f} ns per {unit:<12} "
        f"bound {seconds * 1e9:10.3f} ({by})"
    )
