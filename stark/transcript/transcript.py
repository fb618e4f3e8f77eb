"""The Fiat-Shamir transcript over SHA-256, driven by a schema.

The state is a 32-byte chaining value. Every item, message or challenge, updates it by

    state <- SHA-256("SLt1" || state || len(label) || label || len(data) || data)

with 8-byte little-endian lengths, so that item boundaries are bound and [5, 7] never collides with
[5, 7, 0] or [5], [7]. A challenge item absorbs its label with empty data; its output is the
concatenation of SHA-256("SLs1" || state || counter), read as 32-bit little-endian words. Field
elements take the low 31 bits of a word and reject values >= p; indices take the low bits.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from typing import TypeVar

from stark.errors import Code, Rejected, UsageError
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.hash.sha256 import grind_succeeds
from stark.transcript.encoding import (
    NONCE_SIZE,
    Kind,
    Reader,
    decode_extension,
    decode_field,
    encode_extension,
    encode_field,
    split_digests,
)
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent

_ABSORB = b"SLt1"
_SQUEEZE = b"SLs1"
_MASK31 = (1 << 31) - 1

ItemType = TypeVar("ItemType", Known, Sent, Grinding, Drawn, DrawnIndices)


class Transcript:
    """The common part of both sides: the schema's cursor, absorbing and squeezing."""

    def __init__(self, schema: Sequence[Item]) -> None:
        self._schema = schema
        self._cursor = 0
        self.state = bytes(32)

    # ---- items that both sides treat alike

    def known(self, label: str, data: bytes) -> None:
        """Absorb a message that both sides have beforehand."""
        item = self._next(Known, label)
        if len(data) != item.kind.value * item.count:
            raise UsageError(f"{label}: {item.kind.value * item.count} bytes, got {len(data)}")
        self._absorb(label, data)

    def draw(self, label: str) -> tuple[Element, ...]:
        """The extension elements of a challenge item."""
        item = self._next(Drawn, label)
        self._absorb(label, b"")
        words = self._field_words()
        return tuple(
            (next(words), next(words), next(words), next(words), next(words))
            for _ in range(item.count)
        )

    def draw_indices(self, label: str) -> tuple[int, ...]:
        """The query indices of a challenge item."""
        item = self._next(DrawnIndices, label)
        self._absorb(label, b"")
        words = self._words()
        mask = (1 << item.log_bound) - 1
        return tuple(next(words) & mask for _ in range(item.count))

    def finish(self) -> None:
        """Check that every item of the schema has been walked."""
        if self._cursor != len(self._schema):
            raise UsageError(f"transcript: {self._schema[self._cursor].label} is missing")

    def pending(self, kind: type[Item]) -> bool:
        """Whether the next item is of the given type (grinding of zero bits is left out)."""
        return self._cursor < len(self._schema) and isinstance(self._schema[self._cursor], kind)

    # ---- helpers

    def _next(self, kind: type[ItemType], label: str) -> ItemType:
        item = self._schema[self._cursor] if self._cursor < len(self._schema) else None
        if not isinstance(item, kind) or item.label != label:
            raise UsageError(f"transcript: {label} is not the next item, {item} is")
        self._cursor += 1
        return item

    def _absorb(self, label: str, data: bytes) -> None:
        name = label.encode()
        self.state = hashlib.sha256(
            b"".join(
                (
                    _ABSORB,
                    self.state,
                    len(name).to_bytes(8, "little"),
                    name,
                    len(data).to_bytes(8, "little"),
                    data,
                )
            )
        ).digest()

    def _words(self) -> Iterator[int]:
        counter = 0
        while True:
            block = hashlib.sha256(_SQUEEZE + self.state + counter.to_bytes(8, "little")).digest()
            yield from struct.unpack("<8I", block)
            counter += 1

    def _field_words(self) -> Iterator[int]:
        return (word & _MASK31 for word in self._words() if word & _MASK31 < P)


class VerifierTranscript(Transcript):
    """Takes the prover's messages from a proof, in order."""

    def __init__(self, schema: Sequence[Item], reader: Reader) -> None:
        super().__init__(schema)
        self._reader = reader

    def receive_field(self, label: str) -> tuple[int, ...]:
        return decode_field(self._receive(label, Kind.FIELD), label)

    def receive_extension(self, label: str) -> tuple[Element, ...]:
        return decode_extension(self._receive(label, Kind.EXTENSION), label)

    def receive_digests(self, label: str) -> tuple[bytes, ...]:
        return split_digests(self._receive(label, Kind.DIGEST))

    def check_work(self, label: str) -> None:
        """Verify the proof of work, if the schema has one here."""
        if not self.pending(Grinding):
            return
        item = self._next(Grinding, label)
        nonce = self._reader.take(NONCE_SIZE, label)
        if not grind_succeeds(self.state, int.from_bytes(nonce, "little"), item.bits):
            raise Rejected(Code.POW, label, f"{item.bits} bits of work", nonce.hex())
        self._absorb(label, nonce)

    def _receive(self, label: str, kind: Kind) -> bytes:
        item = self._next(Sent, label)
        if item.kind is not kind:
            raise UsageError(f"transcript: {label} is of kind {item.kind}, not {kind}")
        data = self._reader.take(item.size, label)
        self._absorb(label, data)
        return data


class ProverTranscript(Transcript):
    """Collects the prover's messages as the bytes of the proof."""

    def __init__(self, schema: Sequence[Item]) -> None:
        super().__init__(schema)
        self.proof = bytearray()

    def send_field(self, label: str, values: Sequence[int]) -> None:
        self._send(label, Kind.FIELD, encode_field(values))

    def send_extension(self, label: str, values: Sequence[Element]) -> None:
        self._send(label, Kind.EXTENSION, encode_extension(values))

    def send_digests(self, label: str, digests: Sequence[bytes]) -> None:
        self._send(label, Kind.DIGEST, b"".join(digests))

    def pending_work(self) -> int:
        """Bits of the proof of work that comes next; 0 if none does."""
        item = self._schema[self._cursor]
        return item.bits if isinstance(item, Grinding) else 0

    def send_nonce(self, label: str, nonce: int) -> None:
        """Record the nonce of a proof of work over the present state."""
        self._next(Grinding, label)
        data = nonce.to_bytes(NONCE_SIZE, "little")
        self.proof += data
        self._absorb(label, data)

    def _send(self, label: str, kind: Kind, data: bytes) -> None:
        item = self._next(Sent, label)
        if item.kind is not kind or item.size != len(data):
            raise UsageError(f"transcript: {label} takes {item.size} bytes, got {len(data)}")
        self.proof += data
        self._absorb(label, data)
