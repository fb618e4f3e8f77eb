"""The transcript of an inner proof, inside a circuit: the same schema, walked over wires.

What a verifier of the inner proof knows before it begins (protocol, parameters, key) is a constant
of the circuit: its permutations are computed here and now, and only their state is in the rows. See
docs/suites.md, section 4, for the sponge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from stark.errors import UsageError
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.hash.sha256 import ELEMENT_BYTES
from stark.recursion.builder import RATE, WRITES, CircuitBuilder, DigestWire, Wire
from stark.recursion.circuit import Capacity, Rate
from stark.transcript.cores import BYTES_PER_ELEMENT
from stark.transcript.encoding import Kind
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Known, Sent

ItemType = TypeVar("ItemType", Known, Sent, Grinding, Drawn, DrawnIndices)

FRONT_OF_EXTENSION = {f"zero {lane}": 1 for lane in range(RATE - DEGREE)}
"""Flags of a row whose block is an extension element."""


@dataclass(frozen=True)
class Cap:
    """A commitment of the inner proof: 2^log_size digests at one address, by number."""

    digests: DigestWire
    log_size: int


class CircuitTranscript:
    """Follows the schema of an inner proof.

    Parameters
    ----------
    builder
        Gets the rows.
    schema
        The items of the inner proof.
    said
        How many of them, from the first on, are constants of the circuit.
    capacity
        Lanes 8 to 15 of the sponge after those: a constant.

    All rows of a transcript follow one another: whoever writes the circuit makes digests that it
    absorbs beforehand, and evaluates what it draws afterwards.
    """

    def __init__(
        self,
        builder: CircuitBuilder,
        schema: Sequence[Item],
        said: int,
        capacity: DigestWire,
    ) -> None:
        self._builder = builder
        self._schema = schema
        self._cursor = said
        self._capacity: DigestWire | None = capacity
        self._row = 0

    def known_blocks(self, label: str, digests: Sequence[DigestWire]) -> None:
        """Absorb a message that the circuit has already, as blocks."""
        item = self._next(Known, label)
        elements = (
            item.count
            * item.kind.value
            // (BYTES_PER_ELEMENT if item.kind is Kind.BYTE else ELEMENT_BYTES)
        )
        if len(digests) != -(-elements // RATE):
            raise UsageError(
                f"transcript: {label} has {elements} elements, not {len(digests)} blocks"
            )
        builder = self._builder
        for digest in digests:
            self._absorb(
                *(Rate.DIGEST, digest),
                {"digest address": builder.digests.read(digest), "digest count": P - 1}
                | {"digest x": 1},
            )

    def receive_cap(self, label: str) -> Cap:
        """Digests of the inner proof; look-ups find them by number."""
        item = self._next(Sent, label)
        if item.kind is not Kind.DIGEST:
            raise UsageError(f"transcript: {label} holds no digests")
        address = self._builder.digests.fresh()
        for number in range(item.count):
            self._builder.hints(RATE)
            self._absorb(
                *(Rate.HINTS, RATE),
                {"digest address": address, "digest number": number, "digest x": 1, "free": 1},
            )
        log_size = item.count.bit_length() - 1
        self._builder.cap_heights[address] = log_size
        return Cap(address, log_size)

    def receive_unread(self, label: str) -> None:
        """Digests of the inner proof that are absorbed and nothing more."""
        item = self._next(Sent, label)
        for _ in range(item.count):
            self._builder.hints(RATE)
            self._absorb(Rate.HINTS, RATE, {})

    def receive_extension(self, label: str) -> list[Wire]:
        """Elements of F of the inner proof."""
        item = self._next(Sent, label)
        if item.kind is not Kind.EXTENSION:
            raise UsageError(f"transcript: {label} holds no extension elements")
        wires = []
        for _ in range(item.count):
            self._builder.hints(DEGREE)
            wires.append(self._builder.wires.fresh())
            self._absorb(
                *(Rate.HINTS, DEGREE),
                {"wire address": wires[-1], "wire count": WRITES, "wire x": 1} | FRONT_OF_EXTENSION,
            )
        return wires

    def draw(self, label: str, *, gamma: bool = False) -> list[Wire]:
        """The elements of a challenge; with ``gamma`` it is the one that rows are batched with."""
        item = self._next(Drawn, label)
        if gamma and item.count != 1:
            raise UsageError(
                f"transcript: {label} has {item.count} coefficients, not powers of one"
            )
        return [self._squeeze(gamma=gamma) for _ in range(item.count)]

    def draw_indices(self, label: str) -> list[tuple[Wire, Wire]]:
        """Query indices, and w^-index of each for the largest domain's root w."""
        item = self._next(DrawnIndices, label)
        found: list[tuple[Wire, Wire]] = []
        while len(found) < item.count:
            used = min(DEGREE, item.count - len(found))
            widths = dict.fromkeys(range(used), item.log_bound)
            drawn = self._builder.decompose(self._squeeze(), widths)
            found += [(low, y) for _, low, y in drawn[:used]]
        return found

    def check_work(self, label: str) -> None:
        """The proof of work, if the schema has one here."""
        item = self._schema[self._cursor] if self._cursor < len(self._schema) else None
        if not isinstance(item, Grinding):
            return
        self._next(Grinding, label)
        self._builder.hints(1)
        self._absorb(Rate.HINTS, 1, {f"zero {lane}": 1 for lane in range(RATE - 1)})
        drawn = self._builder.decompose(self._squeeze(), {0: item.bits})
        self._builder.assert_zero(drawn[0][1])

    def finish(self) -> None:
        """Check that every item of the schema has been walked."""
        if self._cursor != len(self._schema):
            raise UsageError(f"transcript: {self._schema[self._cursor].label} is missing")

    def _next(self, kind: type[ItemType], label: str) -> ItemType:
        item = self._schema[self._cursor] if self._cursor < len(self._schema) else None
        if not isinstance(item, kind) or item.label != label:
            raise UsageError(f"transcript: {label} is not the next item, {item} is")
        self._cursor += 1
        return item

    def _absorb(self, rate: Rate, argument: int, fixed: dict[str, int]) -> None:
        """A block in lanes 0 to 7."""
        builder = self._builder
        fixed = {"straight": 1} | fixed
        if self._capacity is None:
            self._continue()
            self._row = builder.permute(
                *(rate, argument, Capacity.CHAIN), fixed=fixed, before={"capacity next": 1}
            )
            return
        # The first row: its capacity is a digest, and a row reads only one. The block goes to a
        # second row of the same permutation.
        capacity, self._capacity = self._capacity, None
        builder.permute(
            *(rate, argument, Capacity.DIGEST, capacity),
            fixed={
                "straight": 1,
                "digest address": builder.digests.read(capacity),
                "digest count": P - 1,
                "digest high": 1,
            },
        )
        self._row = builder.permute(Rate.SAME, fixed=fixed, before={"same next": 1})

    def _continue(self) -> None:
        if self._builder.permutation.count - 1 != self._row:
            raise UsageError("other permutations stand between two rows of a transcript")

    def _squeeze(self, *, gamma: bool = False) -> Wire:
        """A permutation of its own; lanes 0 to 4 of its output."""
        builder = self._builder
        if self._capacity is not None:
            raise UsageError("a challenge before any message that is not constant")
        self._continue()
        result = builder.wires.fresh()
        fixed = {"straight": 1, "wire address": result, "wire count": WRITES, "wire y": 1}
        if gamma:
            fixed["gamma here"] = 1
        self._row = builder.permute(
            *(Rate.KEEP, 0, Capacity.CHAIN),
            fixed=fixed,
            before={"capacity next": 1, "rate next": 1},
        )
        if gamma:
            builder.start_gamma(self._row)
        return result
