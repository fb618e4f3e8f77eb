"""Canonical bytes of the values that a transcript absorbs and a proof file holds.

Base elements are 4 bytes little-endian, below p; extension elements five of them; digests 32 bytes.
There is exactly one encoding of a value, and decoding refuses every other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum

from stark.errors import Code, Rejected
from stark.field.extension import Element
from stark.field.koalabear import P

DIGEST_SIZE = 32
NONCE_SIZE = 8


class Kind(Enum):
    """Types of transcript items, with their size in bytes."""

    FIELD = 4
    EXTENSION = 20
    DIGEST = DIGEST_SIZE
    BYTE = 1


def encode_field(values: Sequence[int]) -> bytes:
    """Base elements, canonical integers."""
    return struct.pack(f"<{len(values)}I", *values)


def encode_extension(values: Sequence[Element]) -> bytes:
    """Extension elements, coefficient of x^0 first."""
    return struct.pack(f"<{5 * len(values)}I", *(c for value in values for c in value))


def decode_field(data: bytes, name: str) -> tuple[int, ...]:
    """Base elements of ``data`` (a multiple of 4 bytes), each checked to be below p."""
    values = struct.unpack(f"<{len(data) // 4}I", data)
    if values and max(values) >= P:
        raise Rejected(Code.CANONICAL, name, f"field elements below {P}", max(values))
    return values


def decode_extension(data: bytes, name: str) -> tuple[Element, ...]:
    """Extension elements of ``data`` (a multiple of 20 bytes)."""
    flat = decode_field(data, name)
    return tuple(
        (flat[i], flat[i + 1], flat[i + 2], flat[i + 3], flat[i + 4])
        for i in range(0, len(flat), 5)
    )


def split_digests(data: bytes) -> tuple[bytes, ...]:
    """Digests of ``data`` (a multiple of 32 bytes)."""
    return tuple(data[i : i + DIGEST_SIZE] for i in range(0, len(data), DIGEST_SIZE))


class Reader:
    """Reads a file front to back; every length is the caller's, none is the file's."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int, name: str) -> bytes:
        """The next ``size`` bytes. Rejected(Format) if the data ends before them."""
        end = self.position + size
        if end > len(self.data):
            raise Rejected(
                Code.FORMAT,
                f"the file ends inside {name}",
                f"{size} bytes",
                f"{len(self.data) - self.position} bytes",
            )
        part = self.data[self.position : end]
        self.position = end
        return part

    def finish(self) -> None:
        """Rejected(Format) unless everything has been read."""
        if self.position != len(self.data):
            raise Rejected(
                Code.FORMAT,
                "nothing follows the last section",
                "0 bytes",
                f"{len(self.data) - self.position} bytes",
            )
