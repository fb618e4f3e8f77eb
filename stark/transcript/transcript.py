"""The Fiat-Shamir transcript, driven by a schema, over the hash of a suite.

Both sides walk the schema item by item: every message is absorbed, every challenge follows from all
that was said before it. Over SHA-256 the state is a 32-byte chaining value that every item, message
or challenge, updates by

    state <- SHA-256("SLt1" || state || len(label) || label || len(data) || data)

with 8-byte little-endian lengths, so that item boundaries are bound and [5, 7] never collides with
[5, 7, 0] or [5], [7]. A challenge item absorbs its label with empty data; its output is the
concatenation of SHA-256("SLs1" || state || counter), read as 32-bit little-endian words. Field
elements take the low 31 bits of a word and reject values >= p; indices take the low bits.

Over an algebraic suite the state is that of a duplex sponge, see ``stark.transcript.cores``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from stark.errors import Code, Rejected, UsageError
from stark.field.extension import DEGREE, Element
from stark.hash.suite import SHA256, Suite
from stark.transcript.cores import DuplexCore, start_core
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

ItemType = TypeVar("ItemType", Known, Sent, Grinding, Drawn, DrawnIndices)


class Transcript:
    """The common part of both sides: the schema's cursor, absorbing and squeezing."""

    def __init__(self, schema: Sequence[Item], suite: Suite = SHA256) -> None:
        self._schema = schema
        self._cursor = 0
        self._core = start_core(suite, schema)

    @property
    def state(self) -> bytes:
        """What everything said so far has become."""
        return self._core.state

    @property
    def puzzle(self) -> bytes:
        """What a proof of work would be about now, as the suite's ``grind`` takes it."""
        return self._core.puzzle

    def works(self, nonce: int, bits: int) -> bool:
        """Whether ``nonce``, below 2^64, is a proof of work of that many bits now.

        Rejected(Canonical) for one that the suite cannot absorb.
        """
        return self._core.works(nonce.to_bytes(NONCE_SIZE, "little"), bits)

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
        flat, self._core = self._core.elements(DEGREE * item.count)
        return tuple(
            (flat[i], flat[i + 1], flat[i + 2], flat[i + 3], flat[i + 4])
            for i in range(0, len(flat), DEGREE)
        )

    def draw_indices(self, label: str) -> tuple[int, ...]:
        """The query indices of a challenge item."""
        item = self._next(DrawnIndices, label)
        self._absorb(label, b"")
        indices, self._core = self._core.integers(item.count, item.log_bound)
        return tuple(indices)

    def finish(self) -> None:
        """Check that every item of the schema has been walked."""
        if self._cursor != len(self._schema):
            raise UsageError(f"transcript: {self._schema[self._cursor].label} is missing")

    def capacity_lanes(self) -> tuple[int, ...]:
        """Lanes 8 to 15 of an algebraic suite's sponge, once what waits has been permuted.

        Whatever block comes next meets these, so a circuit has them as constants instead of the
        items before. Raises ``UsageError`` over SHA-256.
        """
        if not isinstance(self._core, DuplexCore):
            raise UsageError("a transcript over SHA-256 has no lanes")
        return self._core.capacity_lanes

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
        """Absorb the item that the cursor has just passed; challenges have no data."""
        self._core = self._core.absorb(self._schema[self._cursor - 1], data)


class VerifierTranscript(Transcript):
    """Takes the prover's messages from a proof, in order."""

    def __init__(self, schema: Sequence[Item], reader: Reader, suite: Suite = SHA256) -> None:
        super().__init__(schema, suite)
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
        if not self._core.works(nonce, item.bits):
            raise Rejected(Code.POW, label, f"{item.bits} bits of work", nonce.hex())
        self._absorb(label, nonce)

    def skip_work(self, label: str) -> None:
        """Absorb the nonce of a proof of work without looking at what it achieves.

        For whoever only needs the challenges that follow, and leaves verifying to another.
        """
        self._next(Grinding, label)
        self._absorb(label, self._reader.take(NONCE_SIZE, label))

    def _receive(self, label: str, kind: Kind) -> bytes:
        item = self._next(Sent, label)
        if item.kind is not kind:
            raise UsageError(f"transcript: {label} is of kind {item.kind}, not {kind}")
        data = self._reader.take(item.size, label)
        self._absorb(label, data)
        return data


class ProverTranscript(Transcript):
    """Collects the prover's messages as the bytes of the proof."""

    def __init__(self, schema: Sequence[Item], suite: Suite = SHA256) -> None:
        super().__init__(schema, suite)
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
