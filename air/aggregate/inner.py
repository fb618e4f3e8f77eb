"""Proofs of a run as they are kept, in files or on their way between processes.

Those of batches and joins hide nothing; they stay with whoever makes them, and prove nothing about
a statement by themselves. Layout, integers little-endian:

========================  =======================================================================
 bytes                     content
========================  =======================================================================
 8                         magic ``LIABinn\\0``
 2                         format version, 2
 1                         kind: 0 a batch, 1 a join, 2 a wrap, 3 a batch that is published
 1                         level: 0 for a batch, from 1 on for a join, one more for the wrap
 4                         number, from the left in its level
 32                        the context that all proofs of a publication are bound to; of a batch
                           that is published the SHA-256 of what its proof is bound to
 4                         number of batches
 1                         1 if the first of them is the first of all, else 0
 32                        digest of the totals before them, 8 field elements
 32                        digest of the totals after them
 32                        root of their accounts
 4                         length m of the proof, at most 256 MiB
 m                         the proof
========================  =======================================================================
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from air.aggregate.keys import MAXIMUM_LEVELS
from air.aggregate.publics import AggregatePublics
from air.encoding import DIGEST_LANES
from air.publication import INNER_MAGIC, MAXIMUM_BATCHES
from stark.errors import Code, Rejected
from stark.field.koalabear import P
from stark.transcript.encoding import Reader, decode_field, encode_field
from stark.verifier.verify import MAXIMUM_PROOF_SIZE

VERSION: Final = 2
CONTEXT_SIZE: Final = 32
DIGEST_SIZE: Final = 4 * DIGEST_LANES

HEADER_SIZE: Final = len(INNER_MAGIC) + 2 + 1 + 1 + 4 + CONTEXT_SIZE + 4 + 1 + 3 * DIGEST_SIZE + 4
"""Bytes in front of the proof: 153."""

MAXIMUM_FILE: Final = HEADER_SIZE + MAXIMUM_PROOF_SIZE


class InnerKind(IntEnum):
    """What a proof is about, and how it was made."""

    BATCH = 0
    JOIN = 1
    WRAP = 2
    PUBLISHED = 3


_LEVELS: Final = {
    InnerKind.BATCH: (0, 0),
    InnerKind.JOIN: (1, MAXIMUM_LEVELS),
    InnerKind.WRAP: (2, MAXIMUM_LEVELS + 1),
    InnerKind.PUBLISHED: (0, 0),
}


@dataclass(frozen=True)
class InnerProof:
    """A proof of a run, with all that it takes to verify it or to join it; only its form is
    checked.

    Attributes
    ----------
    level
        0 for a batch; a join of level n is over 2^n batches or fewer; one more for the wrap of it.
    number
        From the left in its level.
    publics
        What it says; the wrap says what the last join does.

    Raises
    ------
    Rejected
        ``Format`` if the values could not be in a file, ``Canonical`` for a lane of a digest that
        is no field element.
    """

    kind: InnerKind
    level: int
    number: int
    publics: AggregatePublics
    proof: bytes

    def __post_init__(self) -> None:
        one = self.publics
        _require("level", self.level, *_LEVELS[self.kind])
        wrap = self.kind is InnerKind.WRAP
        highest = 0 if wrap else (MAXIMUM_BATCHES >> self.level) - 1
        _require("number", self.number, 0, highest)
        _require("bytes of the context", len(one.context), CONTEXT_SIZE, CONTEXT_SIZE)
        _require("number of batches", one.count, 1, 1 << (self.level - int(wrap)))
        _require("flag", one.first, 0, 1)
        for digest in (one.digest_in, one.digest_out, one.root):
            _require("lanes of a digest", len(digest), DIGEST_LANES, DIGEST_LANES)
            if not all(0 <= lane < P for lane in digest):
                raise Rejected(
                    Code.CANONICAL, "digest of an inner proof", "field elements", str(digest)
                )
        _require("bytes of the proof", len(self.proof), 0, MAXIMUM_PROOF_SIZE)

    @property
    def context(self) -> bytes:
        """32 bytes, see :func:`air.aggregate.publics.aggregate_context`; for a batch that is
        published :func:`published_context`."""
        return self.publics.context

    @property
    def name(self) -> str:
        """In words: ``batch 3``, ``join 0 of level 2``, ``wrap``, ``published batch 0``."""
        return {
            InnerKind.BATCH: f"batch {self.number}",
            InnerKind.JOIN: f"join {self.number} of level {self.level}",
            InnerKind.WRAP: "wrap",
            InnerKind.PUBLISHED: f"published batch {self.number}",
        }[self.kind]

    def encode(self) -> bytes:
        """The bytes of the file."""
        one = self.publics
        return b"".join(
            [
                INNER_MAGIC,
                VERSION.to_bytes(2, "little"),
                bytes([self.kind, self.level]),
                self.number.to_bytes(4, "little"),
                one.context,
                one.count.to_bytes(4, "little"),
                bytes([one.first]),
                encode_field(one.digest_in),
                encode_field(one.digest_out),
                encode_field(one.root),
                len(self.proof).to_bytes(4, "little"),
                self.proof,
            ]
        )

    @classmethod
    def decode(cls, data: bytes) -> InnerProof:
        """Parse such a file; total: an InnerProof or ``Rejected``.

        Raises
        ------
        Rejected
            ``Format``, ``Version``, ``Canonical``.
        """
        reader = Reader(data)
        if data[: len(INNER_MAGIC)] != INNER_MAGIC:
            raise Rejected(
                Code.FORMAT, "the file is an inner proof", INNER_MAGIC.hex(), data[:8].hex()
            )
        reader.take(len(INNER_MAGIC), "the magic")
        version = _number(reader, 2, "the version")
        if version != VERSION:
            raise Rejected(Code.VERSION, "format version of an inner proof", VERSION, version)
        kind = _number(reader, 1, "the kind")
        _require("kind", kind, InnerKind.BATCH, InnerKind.PUBLISHED)
        level = _number(reader, 1, "the level")
        number = _number(reader, 4, "the number")
        context = reader.take(CONTEXT_SIZE, "the context")
        count = _number(reader, 4, "the number of batches")
        first = _number(reader, 1, "the flag")
        _require("flag", first, 0, 1)
        digest_in, digest_out, root = (
            decode_field(reader.take(DIGEST_SIZE, f"the {name}"), f"{name} of an inner proof")
            for name in ("first digest", "last digest", "root")
        )
        size = _number(reader, 4, "the length of the proof")
        proof = reader.take(size, "the proof")
        reader.finish()
        publics = AggregatePublics(context, count, bool(first), digest_in, digest_out, root)
        return cls(InnerKind(kind), level, number, publics, proof)


def published_context(context: bytes) -> bytes:
    """What stands in the file of a batch that is published, of what its proof is bound to."""
    return hashlib.sha256(context).digest()


def _number(reader: Reader, size: int, name: str) -> int:
    return int.from_bytes(reader.take(size, name), "little")


def _require(check: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        expected = low if low == high else f"{low} to {high}"
        raise Rejected(Code.FORMAT, f"{check} of an inner proof", expected, value)
