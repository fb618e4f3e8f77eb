"""The proof file: the statement, what opens the digest of the totals, and a proof per batch.

Layout, integers little-endian:

========================  =======================================================================
 bytes                     content
========================  =======================================================================
 8                         magic ``LIABprf\\0``
 2                         format version, 1
 4                         length s of the statement, at most 4 MiB
 s                         the statement, canonical JSON
 32                        blind of the last digest of running totals, eight field elements
 32                        digest of the running totals before the first batch
 per batch, in order       as many as the statement says:
 32                        digest of the running totals after the batch
 32                        root of the batch's account tree
 4                         length n of the proof, at most 16 MiB
 n                         the proof
========================  =======================================================================

The digest before a batch is the one after the batch before it: it is written once.
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
VERSION = 1
"""A file of this version stays verifiable. Version 0 was that of previews, 0.x, and is refused."""
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
    """The content of a proof file; nothing in it is checked yet but its form.

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
        statement = self.statement.encode()
        parts = [
            MAGIC,
            VERSION.to_bytes(2, "little"),
            len(statement).to_bytes(4, "little"),
            statement,
            encode_field(self.blind),
            encode_field(self.digest_start),
        ]
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
        """Parse a proof file; total: a Publication or ``Rejected``.

        Raises
        ------
        Rejected
            ``Format``, ``Version``, ``Limit``, ``Canonical``, or what the statement raises.
        """
        reader = Reader(data)
        if data[: len(MAGIC)] != MAGIC:
            raise Rejected(
                Code.FORMAT, "the file is a proof of liabilities", MAGIC.hex(), data[:8].hex()
            )
        reader.take(len(MAGIC), "the magic")
        version = int.from_bytes(reader.take(2, "the version"), "little")
        if version != VERSION:
            raise Rejected(Code.VERSION, "format version of the proof file", VERSION, version)
        length = _length(reader, MAXIMUM_STATEMENT, "the statement")
        statement = Statement.decode(reader.take(length, "the statement"))
        if statement.batches > MAXIMUM_BATCHES:
            raise Rejected(Code.LIMIT, "number of batches", MAXIMUM_BATCHES, statement.batches)
        blind = _digest(reader, "the blind")
        digest_start = _digest(reader, "the first digest of totals")
        batches = tuple(_batch(reader, number) for number in range(statement.batches))
        reader.finish()
        return cls(statement, blind, digest_start, batches)


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
