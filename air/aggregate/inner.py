"""Files of the proofs of batches and joins, which stay with whoever makes them.

They hide nothing, and prove nothing about a statement by themselves. Layout, integers
little-endian:

========================  =======================================================================
 bytes                     content
========================  =======================================================================
 8                         magic ``LIABinn\\0``
 2                         format version, 1
 1                         kind: 0 a batch, 1 a join
 1                         level: 0 for a batch, from 1 on for a join
 4                         number, from the left in its level
 32                        the context that all proofs of a publication are bound to
 4                         number n of public values, at most 64
 4 n                       the public values, field elements, table by table
 4                         length m of the proof, at most 256 MiB
 m                         the proof
========================  =======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from air.aggregate.keys import MAXIMUM_LEVELS
from air.inclusion.private_files import private_output
from air.publication import INNER_MAGIC, MAXIMUM_BATCHES
from stark.errors import Code, Rejected
from stark.transcript.encoding import Reader, decode_field, encode_field
from stark.verifier.verify import MAXIMUM_PROOF_SIZE

VERSION: Final = 1
CONTEXT_SIZE: Final = 32
MAXIMUM_PUBLICS: Final = 64
"""A batch has 25 public values: a flag, two digests of totals and a root; a join has 8."""

MAXIMUM_FILE: Final = MAXIMUM_PROOF_SIZE + (1 << 10)
"""Bytes; everything but the proof takes less than 400."""


class InnerKind(IntEnum):
    """What a proof is about."""

    BATCH = 0
    JOIN = 1


@dataclass(frozen=True)
class InnerProof:
    """A batch's or join's proof with what it takes to verify it; only its form is checked.

    Attributes
    ----------
    level
        0 for a batch; a join of level n is over 2^n batches or fewer.
    number
        From the left in its level.
    context
        32 bytes, see :func:`air.aggregate.publics.aggregate_context`.
    publics
        Public values of all tables, one after the other.

    Raises
    ------
    Rejected
        ``Format`` if the values could not be in a file.
    """

    kind: InnerKind
    level: int
    number: int
    context: bytes
    publics: tuple[int, ...]
    proof: bytes

    def __post_init__(self) -> None:
        lowest, highest = (0, 0) if self.kind is InnerKind.BATCH else (1, MAXIMUM_LEVELS)
        _require("level", self.level, lowest, highest)
        _require("number", self.number, 0, (MAXIMUM_BATCHES >> self.level) - 1)
        _require("bytes of the context", len(self.context), CONTEXT_SIZE, CONTEXT_SIZE)
        _require("public values", len(self.publics), 0, MAXIMUM_PUBLICS)
        _require("bytes of the proof", len(self.proof), 0, MAXIMUM_PROOF_SIZE)

    @property
    def name(self) -> str:
        """Name of its file: ``batch-3.inner``, ``join-2-0.inner``."""
        place = f"{self.level}-{self.number}" if self.kind is InnerKind.JOIN else f"{self.number}"
        return f"{self.kind.name.lower()}-{place}.inner"

    def encode(self) -> bytes:
        """The bytes of the file."""
        return b"".join(
            [
                INNER_MAGIC,
                VERSION.to_bytes(2, "little"),
                bytes([self.kind, self.level]),
                self.number.to_bytes(4, "little"),
                self.context,
                len(self.publics).to_bytes(4, "little"),
                encode_field(self.publics),
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
        _require("kind", kind, InnerKind.BATCH, InnerKind.JOIN)
        level = _number(reader, 1, "the level")
        number = _number(reader, 4, "the number")
        context = reader.take(CONTEXT_SIZE, "the context")
        count = _number(reader, 4, "the number of public values")
        _require("public values", count, 0, MAXIMUM_PUBLICS)
        publics = decode_field(reader.take(4 * count, "the public values"), "public values")
        size = _number(reader, 4, "the length of the proof")
        proof = reader.take(size, "the proof")
        reader.finish()
        return cls(InnerKind(kind), level, number, context, publics, proof)

    def write(self, folder: Path) -> Path:
        """Write the file, readable by its owner alone, whole or not at all; its path.

        Raises ``OSError`` as opening and renaming files do.
        """
        path = folder / self.name
        with private_output(path) as partial:
            partial.write_bytes(self.encode())
        return path


def _number(reader: Reader, size: int, name: str) -> int:
    return int.from_bytes(reader.take(size, name), "little")


def _require(check: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        expected = low if low == high else f"{low} to {high}"
        raise Rejected(Code.FORMAT, f"{check} of an inner proof", expected, value)
