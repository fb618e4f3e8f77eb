"""The two ways in which a transcript absorbs and squeezes: over SHA-256, and over a permutation.

A core is immutable; every step gives the next one. docs/suites.md defines the bytes.

``Sha256Core`` hashes each item, with its label and length, into a chaining value of 32 bytes.

``DuplexCore`` is a duplex sponge in overwrite mode (Bertoni, Daemen, Peeters and Van Assche,
Duplexing the sponge, SAC 2011) of rate 8 and capacity 8. The lengths, labels and order of all items
are in the initial capacity, so absorbing costs nothing beyond the elements themselves. An extension
element, a digest and a nonce are a block each, other messages are filled with zeros in front of
their first block: a circuit that verifies a proof has a block in a row of its table, a squeeze in
another. Two transcripts with one schema absorb equally many blocks before each squeeze, and encode
every item injectively in a number of blocks that its length fixes: different messages differ in
some block. Those with different schemas differ in the capacity from the start, by a
collision-resistant hash. That blocks replace the rate lanes instead of being added to them changes
nothing for an attacker who does not control the capacity: he can choose the rate lanes after
either.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from stark.errors import Code, Rejected, UsageError
from stark.field.extension import DEGREE
from stark.field.koalabear import TWO_ADICITY, P
from stark.hash.poseidon import RATE, PoseidonParameters, permute, run_blocks
from stark.hash.sha256 import ELEMENT_BYTES, encode_elements, grind_succeeds
from stark.hash.suite import Suite
from stark.transcript.encoding import Kind, decode_field
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent

_ABSORB = b"SLt1"
_SQUEEZE = b"SLs1"
_SCHEMA = b"SLd2"
_MASK31 = (1 << 31) - 1

BYTES_PER_ELEMENT = 2
"""Bytes of a BYTE item in one element: the most that always fit, in a power of two."""

SQUEEZED = DEGREE
"""Lanes that a squeeze gives: those of one extension element."""


class Core(Protocol):
    """State of a transcript between two items."""

    @property
    def state(self) -> bytes:
        """All of it, for tests and annotations."""

    @property
    def puzzle(self) -> bytes:
        """What a proof of work is about, in the form that the suite's ``grind`` takes."""

    def absorb(self, item: Item, data: bytes) -> Core:
        """The state after an item; data is empty for challenges.

        Rejected(Canonical) for data that the core cannot read.
        """

    def works(self, nonce: bytes, bits: int) -> bool:
        """Whether the nonce, 8 bytes, is a proof of work here; Rejected(Canonical) if malformed."""

    def elements(self, count: int) -> tuple[list[int], Core]:
        """Uniform base elements, and the state after them; a challenge item was just absorbed."""

    def integers(self, count: int, bits: int) -> tuple[list[int], Core]:
        """Integers below 2^bits, the same way.

        Uniform over SHA-256; over a permutation 0 is likelier than the others by 1/p.
        """


def start_core(suite: Suite, schema: Sequence[Item]) -> Core:
    """The core of a transcript that has not said anything."""
    if suite.permutation is None:
        return Sha256Core()
    return DuplexCore(suite.permutation, (0,) * RATE + schema_elements(suite.name, schema))


@dataclass(frozen=True)
class Sha256Core:
    """A chaining value."""

    state: bytes = bytes(32)

    @property
    def puzzle(self) -> bytes:
        return self.state

    def absorb(self, item: Item, data: bytes) -> Sha256Core:
        size = len(data).to_bytes(8, "little")
        parts = (_ABSORB, self.state, _text(item.label), size, data)
        return Sha256Core(hashlib.sha256(b"".join(parts)).digest())

    def works(self, nonce: bytes, bits: int) -> bool:
        return grind_succeeds(self.state, int.from_bytes(nonce, "little"), bits)

    def elements(self, count: int) -> tuple[list[int], Sha256Core]:
        return list(islice(_elements(self.state), count)), self

    def integers(self, count: int, bits: int) -> tuple[list[int], Sha256Core]:
        return [word & ((1 << bits) - 1) for word in islice(_words(self.state), count)], self


def _words(state: bytes) -> Iterator[int]:
    counter = 0
    while True:
        block = hashlib.sha256(_SQUEEZE + state + counter.to_bytes(8, "little")).digest()
        yield from struct.unpack("<8I", block)
        counter += 1


def _elements(state: bytes) -> Iterator[int]:
    return (word & _MASK31 for word in _words(state) if word & _MASK31 < P)


def schema_elements(suite_name: str, schema: Sequence[Item]) -> tuple[int, ...]:
    """Eight elements that stand for a schema: the initial capacity of a duplex sponge."""
    state = hashlib.sha256(_SCHEMA + _text(suite_name) + len(schema).to_bytes(8, "little"))
    for item in schema:
        state.update(_text(item.label) + struct.pack("<3Q", *_form(item)))
    return tuple(islice(_elements(state.digest()), RATE))


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(8, "little") + data


def _form(item: Item) -> tuple[int, int, int]:
    """Type of an item, and what else it has: count and size, or bits."""
    match item:
        case Known():
            return 0, item.kind.value, item.count
        case Sent():
            return 1, item.kind.value, item.count
        case Grinding():
            return 2, item.bits, 0
        case Drawn():
            return 3, item.count, 0
        case DrawnIndices():
            return 4, item.count, item.log_bound


@dataclass(frozen=True)
class DuplexCore:
    """A state of 16 lanes, and the block of 8 elements, if any, that waits to replace the first."""

    permutation: PoseidonParameters
    lanes: tuple[int, ...]
    pending: tuple[int, ...] = ()

    @property
    def state(self) -> bytes:
        return encode_elements(self.lanes + self.pending)

    @property
    def capacity_lanes(self) -> tuple[int, ...]:
        """Lanes 8 ... 15 of the permutation that the next block enters."""
        return self._settled().lanes[RATE:]

    @property
    def puzzle(self) -> bytes:
        """Lanes 8 ... 15 of the permutation that a nonce's block enters."""
        return encode_elements(self.capacity_lanes)

    def absorb(self, item: Item, data: bytes) -> DuplexCore:
        match item:
            case Known() | Sent():
                return self._taken(_item_blocks(item, data))
            case Grinding():
                return self._worked(data, item.label)
            case Drawn() | DrawnIndices():
                return self._squeezed()

    def works(self, nonce: bytes, bits: int) -> bool:
        return self._worked(nonce, "nonce").lanes[0] & ((1 << bits) - 1) == 0

    def elements(self, count: int) -> tuple[list[int], DuplexCore]:
        # Absorbing the challenge item has squeezed: the lanes are fresh. What is left of the last
        # squeeze is never used: whatever comes next replaces it or permutes.
        core, squeezed = self, list(self.lanes[:SQUEEZED])
        while len(squeezed) < count:
            core = core._squeezed()
            squeezed += core.lanes[:SQUEEZED]
        return squeezed[:count], core

    def integers(self, count: int, bits: int) -> tuple[list[int], DuplexCore]:
        # p - 1 = 127 * 2^24: every residue modulo 2^bits has equally many elements, 0 one more.
        if bits > TWO_ADICITY:
            raise UsageError(f"an element has {TWO_ADICITY} uniform bits, {bits} are wanted")
        elements, core = self.elements(count)
        return [element & ((1 << bits) - 1) for element in elements], core

    def _worked(self, nonce: bytes, name: str) -> DuplexCore:
        """After a proof of work: its nonce as a block, then a squeeze."""
        return self._taken(run_blocks((_nonce_element(nonce, name),)))._squeezed()

    def _taken(self, blocks: Sequence[tuple[int, ...]]) -> DuplexCore:
        """The last block waits until more comes: a state with a block is not permuted twice."""
        core = self
        for block in blocks:
            core = replace(core._settled(), pending=block)
        return core

    def _squeezed(self) -> DuplexCore:
        """A permutation of its own, after that of a waiting block: lanes 0 ... 4 are its output."""
        return self._settled()._permuted()

    def _settled(self) -> DuplexCore:
        """With no block that waits."""
        if not self.pending:
            return self
        return replace(self, lanes=self.pending + self.lanes[RATE:], pending=())._permuted()

    def _permuted(self) -> DuplexCore:
        return replace(self, lanes=tuple(permute(self.permutation, self.lanes)))


def _item_blocks(item: Known | Sent, data: bytes) -> list[tuple[int, ...]]:
    """A message as blocks; Rejected(Canonical) if it has an element that is not below p."""
    if item.kind is Kind.BYTE:
        padded = data + bytes(-len(data) % BYTES_PER_ELEMENT)
        return run_blocks(struct.unpack(f"<{len(padded) // BYTES_PER_ELEMENT}H", padded))
    elements = decode_field(data, item.label)
    if item.kind is Kind.FIELD:
        return run_blocks(elements)
    size = item.kind.value // ELEMENT_BYTES
    runs = (elements[start : start + size] for start in range(0, len(elements), size))
    return [block for run in runs for block in run_blocks(run)]


def _nonce_element(nonce: bytes, name: str) -> int:
    value = int.from_bytes(nonce, "little")
    if value >= P:
        raise Rejected(Code.CANONICAL, name, f"a nonce below {P}", value)
    return value
