"""The proof file: the statement, what opens the digest of the totals, and what proves it.

Version 1 has a proof per batch, version 2 one proof for all batches, of which there are two or
more: a single batch is published as it is. Layout, integers little-endian:

========================  =======================================================================
 bytes                     content
========================  =======================================================================
 8                         magic ``LIABprf\\0``
 2                         format version, 1 or 2
 4                         length s of the statement, at most 4 MiB
 s                         the statement, canonical JSON
 32                        blind of the last digest of running totals, eight field elements
 32                        digest of the running totals before the first batch
 **version 1**
 per batch, in order       as many as the statement says:
 32                        digest of the running totals after the batch
 32                        root of the batch's account tree
 4                         length n of the proof, at most 16 MiB
 n                         the proof
 **version 2**
 4                         length n of the proof, at most 16 MiB
 n                         the proof that wraps the aggregate of all batches
========================  =======================================================================

In version 1 the digest before a batch is the one after the batch before it: it is written once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from air.context import Statement
from air.encoding import DIGEST_LANES, Digest
from stark.errors import Code, Rejected
from stark.transcript.encoding import Reader, decode_field, encode_field

PROOF_FILE = "liabilities.proof"
STATEMENT_FILE = "statement.json"
STORE_FILE = "inclusion.sqlite"
"""Names of the files that proving writes into its folder; the store is secret."""

MAGIC = b"LIABprf\0"
INNER_MAGIC = b"LIABinn\0"
"""Of a proof that never leaves its maker, see :mod:`air.aggregate.inner`."""
VERSION = 1
"""A file of this version stays verifiable. Version 0 was that of previews, 0.x, and is refused."""
AGGREGATED_VERSION = 2
"""One proof for all batches."""
MINIMUM_AGGREGATED = 2
"""Batches of an aggregate: so few that each statement has one form, as many as make a tree."""
MAXIMUM_STATEMENT = 1 << 22
MAXIMUM_PROOF = 1 << 24
MAXIMUM_BATCHES = 1 << 12


@dataclass(frozen=True)
class BatchProof:
    """One batch's part of a publication."""

    digest_out: Digest
    root: Digest
    proof: bytes


@dataclass(frozen=True)
class Publication:
    """The content of a proof file of version 1; nothing in it is checked yet but its form.

    Attributes
    ----------
    digest_start
        Blinded digest of the running totals before the first batch.
    blind
        First chaining value of the last batch's digest: opens the totals.
    """

    statement: Statement
    blind: Digest
    digest_start: Digest
    batches: tuple[BatchProof, ...]

    def encode(self) -> bytes:
        """The bytes of the file."""
        parts = [_encode_head(VERSION, self.statement, self.blind, self.digest_start)]
        for batch in self.batches:
            parts += [
                encode_field(batch.digest_out),
                encode_field(batch.root),
                len(batch.proof).to_bytes(4, "little"),
                batch.proof,
            ]
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Publication:
        """Parse a proof file of version 1; total: a Publication or ``Rejected``.

        Raises
        ------
        Rejected
            ``Format``, ``Version``, ``Limit``, ``Canonical``, or what the statement raises.
        """
        reader, _ = _open(data, (VERSION,))
        return cls._read(reader)

    @classmethod
    def _read(cls, reader: Reader) -> Publication:
        statement, blind, digest_start = _read_head(reader, 1)
        batches = tuple(_batch(reader, number) for number in range(statement.batches))
        reader.finish()
        return cls(statement, blind, digest_start, batches)


@dataclass(frozen=True)
class AggregatedPublication:
    """The content of a proof file of version 2; nothing in it is checked yet but its form.

    Attributes
    ----------
    digest_start
        Blinded digest of the running totals before the first batch.
    blind
        First chaining value of the last batch's digest: opens the totals.
    proof
        The wrap of the aggregate of all batches.
    """

    statement: Statement
    blind: Digest
    digest_start: Digest
    proof: bytes

    def encode(self) -> bytes:
        """The bytes of the file."""
        head = _encode_head(AGGREGATED_VERSION, self.statement, self.blind, self.digest_start)
        return head + len(self.proof).to_bytes(4, "little") + self.proof

    @classmethod
    def decode(cls, data: bytes) -> AggregatedPublication:
        """Parse a proof file of version 2; total: an AggregatedPublication or ``Rejected``.

        Raises
        ------
        Rejected
            As :meth:`Publication.decode`, and ``Statement`` for a single batch.
        """
        reader, _ = _open(data, (AGGREGATED_VERSION,))
        return cls._read(reader)

    @classmethod
    def _read(cls, reader: Reader) -> AggregatedPublication:
        statement, blind, digest_start = _read_head(reader, MINIMUM_AGGREGATED)
        length = _length(reader, MAXIMUM_PROOF, "the proof")
        proof = reader.take(length, "the proof")
        reader.finish()
        return cls(statement, blind, digest_start, proof)


def decode_publication(data: bytes) -> Publication | AggregatedPublication:
    """Parse a proof file of any version; total: the publication or ``Rejected``.

    Raises
    ------
    Rejected
        ``Format``, ``Version``, ``Limit``, ``Canonical``, ``Statement`` for a single batch in a
        file of version 2, or what the statement raises.
    """
    reader, version = _open(data, (VERSION, AGGREGATED_VERSION))
    if version == VERSION:
        return Publication._read(reader)
    return AggregatedPublication._read(reader)


def _open(data: bytes, versions: tuple[int, ...]) -> tuple[Reader, int]:
    """A reader behind magic and version, and the version, which is one of those given."""
    if data[: len(INNER_MAGIC)] == INNER_MAGIC:
        raise Rejected(
            Code.FORMAT,
            "the file is a proof of liabilities",
            "a publication",
            "a private intermediate proof, which is not for publication and proves no totals",
        )
    if data[: len(MAGIC)] != MAGIC:
        raise Rejected(
            Code.FORMAT, "the file is a proof of liabilities", MAGIC.hex(), data[:8].hex()
        )
    reader = Reader(data)
    reader.take(len(MAGIC), "the magic")
    version = int.from_bytes(reader.take(2, "the version"), "little")
    if version not in versions:
        expected = " or ".join(map(str, versions))
        raise Rejected(Code.VERSION, "format version of the proof file", expected, version)
    return reader, version


def _encode_head(version: int, statement: Statement, blind: Digest, digest_start: Digest) -> bytes:
    encoded = statement.encode()
    return b"".join(
        [
            MAGIC,
            version.to_bytes(2, "little"),
            len(encoded).to_bytes(4, "little"),
            encoded,
            encode_field(blind),
            encode_field(digest_start),
        ]
    )


def _read_head(reader: Reader, least: int) -> tuple[Statement, Digest, Digest]:
    """Statement, with ``least`` batches or more, blind and first digest."""
    length = _length(reader, MAXIMUM_STATEMENT, "the statement")
    statement = Statement.decode(reader.take(length, "the statement"))
    if statement.batches > MAXIMUM_BATCHES:
        raise Rejected(Code.LIMIT, "number of batches", MAXIMUM_BATCHES, statement.batches)
    if statement.batches < least:
        raise Rejected(
            Code.STATEMENT,
            "number of batches of an aggregate; one alone is published as it is",
            f">= {least}",
            statement.batches,
        )
    blind = _digest(reader, "the blind")
    return statement, blind, _digest(reader, "the first digest of totals")


def _batch(reader: Reader, number: int) -> BatchProof:
    digest_out = _digest(reader, f"the digest of totals of batch {number}")
    root = _digest(reader, f"the root of batch {number}")
    length = _length(reader, MAXIMUM_PROOF, f"the proof of batch {number}")
    return BatchProof(digest_out, root, reader.take(length, f"the proof of batch {number}"))


def _digest(reader: Reader, name: str) -> Digest:
    return decode_field(reader.take(4 * DIGEST_LANES, name), name)


def _length(reader: Reader, maximum: int, name: str) -> int:
    length = int.from_bytes(reader.take(4, f"the length of {name}"), "little")
    if length > maximum:
        raise Rejected(Code.LIMIT, f"length of {name}", maximum, length)
    return length


def chained_digests(publication: Publication) -> Sequence[Digest]:
    """Digests of the running totals: before the first batch, then after each."""
    return [publication.digest_start, *(batch.digest_out for batch in publication.batches)]
