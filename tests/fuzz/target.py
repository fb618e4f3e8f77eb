"""What a fuzz target is, and what is a finding.

A target is a function from bytes to nothing. It swallows the refusal that it is documented to
raise; every other exception is a finding, and so are :class:`AcceptedMutantError` and
:class:`SlowError`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

TIME_LIMIT = 2.0
"""Seconds that one execution may take."""


class AcceptedMutantError(Exception):
    """Something was accepted that is not honest, or that does not encode to itself."""


class SlowError(Exception):
    """One execution took longer than the time limit."""


Section = tuple[int, int]
"""First byte of a part of an input, and the first behind it."""


@dataclass(frozen=True)
class Target:
    """A function under test and the honest inputs that mutants are made of.

    Attributes
    ----------
    run
        Returns, or raises what is a finding.
    seeds
        Honest inputs. The offsets below are those of the first.
    sections
        Parts that are swapped, repeated, left out.
    elements
        Offsets of field elements (4 bytes) and of lengths.
    document
        First byte and end of the part that is JSON; ``None`` if there is none.
    length_field
        Offset of the 4 bytes that hold the length of the document, if it has such.
    tokens
        Bytes with a meaning in this format.
    """

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    sections: tuple[Section, ...] = ()
    elements: tuple[int, ...] = ()
    document: Section | None = None
    length_field: int | None = None
    tokens: tuple[bytes, ...] = ()


def execute(target: Target, data: bytes, limit: float = TIME_LIMIT) -> None:
    """Run a target on one input; SlowError if that takes longer than ``limit`` seconds."""
    start = time.perf_counter()
    target.run(data)
    seconds = time.perf_counter() - start
    if seconds > limit:
        raise SlowError(f"{target.name}: {seconds:.2f} s, {len(data)} bytes")


def require(condition: bool, message: str) -> None:
    if not condition:
        raise AcceptedMutantError(message)


JSON_TOKENS = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b"0", b"-1", b"1e9", b"NaN"),
    *(b"null", b"true", b'""', b"[]", b"{}", b"\\u0000", b"\\ud800", b"\\/", b"\xff", b"\x00"),
    *(b"\xef\xbb\xbf", b"\xed\xa0\x80", b"[" * 200, b"9" * 5000, b'{"":', b"Infinity", b"1.0"),
    *("é".encode(), "e\u0301".encode(), "٣".encode(), "\u202e".encode(), b"\xf0\x9f\x98\x80"),
)


def json_target(name: str, run: Callable[[bytes], None], seeds: tuple[bytes, ...]) -> Target:
    honest = seeds[0]
    cuts = [0, *(at + 1 for at, byte in enumerate(honest) if byte in b",[]{}:"), len(honest)]
    sections = tuple((a, b) for a, b in pairwise(cuts) if a < b)
    return Target(name, run, seeds, sections, (), (0, len(honest)), None, JSON_TOKENS)
