"""Joins with one of their checks taken away, for a list of checks that is read off the circuit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from air.aggregate import circuits
from air.aggregate.circuits import join_circuit, wrap_circuit
from stark.recursion import single
from stark.recursion.builder import CircuitBuilder, DigestWire, Wire
from stark.recursion.circuit import Circuit
from stark.recursion.verifier import PublicBlock, verify_in_circuit
from stark.verifier.key import VerificationKey
from support.joins import Join, stand_in_key

FREED = ("is free", "has free lanes", "has a free digest")
"""What is taken away of a block of public values: both readings, that of the constraints, that of
the transcript."""


@dataclass(frozen=True, order=True)
class Site:
    """A place in the program of a join: the n-th call of a method of the builder there."""

    call: str
    number: int


@dataclass(frozen=True, order=True)
class Mutation:
    """What is done at a site."""

    site: Site
    change: str

    def __str__(self) -> str:
        return f"{self.site.call} {self.site.number}: {self.change}"


class Mutated(CircuitBuilder):
    """Writes a join but for one mutation, and lists all of them on the way."""

    mutation: ClassVar[Mutation | None] = None
    seen: ClassVar[list[Mutation]] = []

    def __init__(self, log_order: int, widths: Sequence[int]) -> None:
        super().__init__(log_order, widths)
        self.inside = 0
        self.counts: dict[str, int] = {}

    def at(self, call: str, changes: Sequence[str]) -> str:
        """The change to make at this site; empty for none."""
        if self.inside:
            return ""
        number = self.counts.get(call, 0)
        self.counts[call] = number + 1
        site = Site(call, number)
        self.seen.extend(Mutation(site, change) for change in changes)
        chosen = self.mutation
        return chosen.change if chosen is not None and chosen.site == site else ""

    @contextmanager
    def within(self) -> Iterator[None]:
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def free(self) -> DigestWire:
        with self.within():
            return self.digest_hint()

    def evaluate(self, *operands: Wire, equals: Wire = 0, **coefficients: int) -> Wire:  # type: ignore[override]
        if equals and self.at("require", ["unchecked"]):
            # The same row, and what it computes is nobody's.
            super().evaluate(*operands, **coefficients)
            return equals
        return super().evaluate(*operands, equals=equals, **coefficients)

    def boolean_hint(self) -> Wire:
        change = self.at("boolean_hint", ["unchecked"])
        if not change:
            with self.within():
                return super().boolean_hint()
        checked = CircuitBuilder.evaluate
        with self.within(), pytest.MonkeyPatch.context() as patch:

            def unchecked(builder: Any, *operands: Wire, equals: Wire = 0, **rest: int) -> Wire:
                return checked(builder, *operands, **rest)

            patch.setattr(Mutated, "evaluate", unchecked)
            return super().boolean_hint()

    def assert_zero(self, a: Wire) -> None:
        if not self.at("assert_zero", ["unchecked"]):
            with self.within():
                super().assert_zero(a)

    def constant(self, value: Any) -> Wire:
        with self.within():
            return super().constant(value)

    def coordinates(self, *arguments: Any) -> list[Wire]:
        with self.within():
            return super().coordinates(*arguments)

    def select(self, bit: Wire, one: Wire, zero: Wire) -> Wire:
        change = self.at("select", ["one", "zero"])
        if change:
            return one if change == "one" else zero
        return super().select(bit, one, zero)

    def multiply_add(self, a: Wire, b: Wire, c: Wire) -> Wire:
        change = self.at("multiply_add", ["c alone", "b + c"])
        if change == "c alone":
            return c
        return self.add(b, c) if change else super().multiply_add(a, b, c)

    def from_coordinates(self, coordinates: Sequence[Wire]) -> Wire:
        with self.within():
            return super().from_coordinates(coordinates)

    def compress(self, left: DigestWire, right: DigestWire) -> DigestWire:
        change = self.at("compress", ["swapped", "left twice", "right twice"])
        pairs = {
            "swapped": (right, left),
            "left twice": (left, left),
            "right twice": (right, right),
        }
        return super().compress(*pairs.get(change, (left, right)))

    def sponge(self, digests: Sequence[DigestWire], tag: int) -> DigestWire:
        changes = [f"block {number} is free" for number in range(len(digests))]
        change = self.at("sponge", changes)
        given = [
            self.free() if change == name else digest
            for name, digest in zip(changes, digests, strict=True)
        ]
        return super().sponge(given, tag)

    def finish(self, public: Sequence[DigestWire], tag: int, log_least: int = 0) -> Circuit:
        changes = [f"block {number} is free" for number in range(len(public))]
        change = self.at("finish", changes)
        given = [
            self.free() if change == name else digest
            for name, digest in zip(changes, public, strict=True)
        ]
        return super().finish(given, tag, log_least)

    def verify(
        self,
        key: VerificationKey,
        context: Sequence[DigestWire],
        publics: Mapping[str, Sequence[PublicBlock]],
    ) -> None:
        """The verification of a proof, a call like the others."""
        blocks = [(name, number) for name in publics for number in range(len(publics[name]))]
        changes = ["skipped", "context 0 is free", "context 1 is free"]
        changes += [f"{name} {number} {what}" for name, number in blocks for what in FREED]
        change = self.at("verify", changes)
        with self.within():
            given = [
                self.free() if change == f"context {number} is free" else digest
                for number, digest in enumerate(context)
            ]
            said = {
                name: [
                    self.freed(block, change.removeprefix(f"{name} {number} "))
                    for number, block in enumerate(publics[name])
                ]
                for name in publics
            }
            if change == "skipped":
                # What the rest of the program counts on is there: no proof takes its place.
                return
            verify_in_circuit(self, key, given, said)

    def freed(self, block: PublicBlock, what: str) -> PublicBlock:
        if what not in FREED:
            return block
        digest = self.digest_hint()
        lanes = self.lanes_of(digest)
        free = PublicBlock(digest, tuple(lanes[len(lanes) - len(block.lanes) :]))
        if what == FREED[1]:
            return PublicBlock(block.digest, free.lanes)
        return PublicBlock(digest, block.lanes) if what == FREED[2] else free


def _build(mutation: Mutation | None, build: Callable[[], Circuit]) -> Circuit:
    Mutated.mutation, Mutated.seen = mutation, []
    with pytest.MonkeyPatch.context() as patch:
        for module in (circuits, single):
            patch.setattr(module, "CircuitBuilder", Mutated)
            patch.setattr(
                module,
                "verify_in_circuit",
                lambda builder, key, context, publics: builder.verify(key, context, publics),
            )
        return build()


def mutations(level: int) -> list[Mutation]:
    """All that can be done to the joins of a level."""
    mutant(level, None)
    return list(Mutated.seen)


def mutant(level: int, mutation: Mutation | None) -> Join:
    """The join of a level over stand-ins, but for one mutation."""
    inner = stand_in_key(level - 1).verification
    return Join(_build(mutation, lambda: join_circuit(inner, level)), inner)


def wrap_mutations() -> list[Mutation]:
    """All that can be done to a wrap."""
    wrap_mutant(None)
    return list(Mutated.seen)


def wrap_mutant(mutation: Mutation | None) -> Join:
    """The wrap of a stand-in for a join, but for one mutation."""
    inner = stand_in_key(1).verification
    return Join(_build(mutation, lambda: wrap_circuit(inner)), inner)
