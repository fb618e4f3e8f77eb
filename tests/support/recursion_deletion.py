"""Circuits without one of their checks.

Checks are found where the builder is asked for them: a wire that must equal another, an inverse, a
bit, a decomposition, a constant digest, a digest that is read. Each is named after the function
that asks and what it asks for. Without its check a value is the prover's choice: it comes from a
pool of values taken in front of all others.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stark.field.koalabear import P
from stark.recursion import builder as builder_module
from stark.recursion import openings, reference
from stark.recursion.builder import CircuitBuilder, DigestWire, Wire
from stark.recursion.circuit import Circuit, Rate
from stark.recursion.transcript import CircuitTranscript
from stark.recursion.unsatisfied import Unsatisfied
from stark.recursion.verifier import log_domain, taken_widths
from stark.verifier.key import VerificationKey
from support.recursion_inner import Recursion, written

FREE_DIGESTS = 8
READ = P - 1
_OWN = {str(Path(__file__))} | {
    sys.modules[kind.__module__].__file__ for kind in CircuitBuilder.__mro__ if kind is not object
}
"""Files of the builder itself: whoever calls into them asks for a check."""


class Deleting(CircuitBuilder):
    """Leaves out the checks whose names are in ``off``.

    Attributes
    ----------
    found
        How often each check has been asked for.
    dropped
        Pairs of wires that should have been equal.
    pairs
        Rows in which a node that waits is taken.
    """

    def __init__(
        self, log_order: int, widths: Sequence[int], off: frozenset[str], free_digests: int
    ) -> None:
        super().__init__(log_order, widths)
        self.off = off
        self.found: Counter[str] = Counter()
        self.dropped: list[tuple[Wire, Wire]] = []
        self.pairs: list[int] = []
        self._quiet = False
        self._free = [self.digest_hint() for _ in range(free_digests)]
        self._next = 0
        # Lanes 0 to 4 of each as a wire; now, since rows of a transcript follow one another.
        self._wires = {digest: self.halves(digest)[0] for digest in self._free}

    def named(self, kind: str) -> str:
        frame = sys._getframe(2)
        while frame.f_code.co_filename in _OWN:
            frame = frame.f_back  # type: ignore[assignment]
        return f"{frame.f_code.co_qualname.split('.<locals>')[0]}: {kind}"

    def deletes(self, name: str) -> bool:
        if self._quiet:
            return False
        self.found[name] += 1
        return name in self.off or f"{name} {self.found[name]}" in self.off

    def free_digest(self) -> DigestWire:
        self._next += 1
        return self._free[self._next - 1]

    @contextmanager
    def quiet(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        yield
        self._quiet = before

    # ---- what may be left out

    def evaluate(self, a: Wire = 0, b: Wire = 0, c: Wire = 0, **rest: Any) -> Wire:
        wanted = rest.get("equals", 0)
        if wanted and self.deletes(self.named("equals")):
            self.dropped.append((super().evaluate(a, b, c, **rest | {"equals": 0}), wanted))
            return wanted
        return super().evaluate(a, b, c, **rest)

    def invert(self, a: Wire) -> Wire:
        return self.taken() if self.deletes(self.named("invert")) else super().invert(a)

    def bit(self, source: Wire, number: int) -> Wire:
        if self.deletes(self.named("bit")):
            return self.taken()
        return super().bit(source, number)

    def decompose(self, wire: Wire, widths: Mapping[int, int]) -> list[tuple[Wire, Wire, Wire]]:
        own = self.taken() if self.deletes(self.named("decompose")) else wire
        with self.quiet():
            return super().decompose(own, widths)

    def digest_constant(self, lanes: Sequence[int]) -> DigestWire:
        if self.deletes(self.named("constant digest")):
            return self.free_digest()
        return super().digest_constant(lanes)

    def fold_eight(self, row: int, leaf: Wire, beta: Wire, value: Wire) -> Wire:
        if self.deletes("fold_eight: value"):
            # What stands in the leaf at the query's place, whatever it is.
            columns = self.folds.columns
            index, weight = columns["address index"][row], columns["weight"][row]
            chosen = [leaf + number for number in range(8)]
            with self.quiet():
                for number in (2, 1, 0):
                    bit = self.bit(index, weight.bit_length() - 1 + number)
                    half = 1 << number
                    chosen = [self.select(bit, chosen[t + half], chosen[t]) for t in range(half)]
            self.dropped.append((chosen[0], value))
            value = chosen[0]
        return super().fold_eight(row, leaf, beta, value)

    def permute(self, rate: Rate, rate_argument: int = 0, *rest: Any, **columns: Any) -> int:
        if rate == Rate.PAIR and self.deletes(self.named("node that waits")):
            rate_argument = self.free_digest()
            columns["fixed"] = columns["fixed"] | {
                "digest address": self.digests.read(rate_argument)
            }
        row = super().permute(rate, rate_argument, *rest, **columns)
        if rate == Rate.PAIR:
            self.pairs.append(row)
        return row

    def taken(self) -> Wire:
        """A wire that the prover chooses: lanes 0 to 4 of a free digest."""
        return self._wires[self.free_digest()]


def deleted_circuit(
    key: VerificationKey, off: frozenset[str], free_digests: int = FREE_DIGESTS
) -> tuple[Circuit, Deleting]:
    """The circuit for a key without some checks."""
    builder = Deleting(log_domain(key), sorted(taken_widths(key)), off, free_digests)
    set_digest, read_index = openings._set_digest, openings._read_index
    known_blocks = CircuitTranscript.known_blocks

    def look_up(own: Any, flag: str, address: int, count: int) -> None:
        if count == READ and builder.deletes("climb: cap look-up"):
            return
        set_digest(own, flag, address, count)

    def index_read(own: Any, index: Wire) -> None:
        if not builder.deletes("_read_index: index"):
            read_index(own, index)

    def blocks(self: CircuitTranscript, label: str, digests: Sequence[DigestWire]) -> None:
        if builder.deletes(f"known_blocks: {label.split(' ')[0]}"):
            digests = [builder.free_digest() for _ in digests]
        known_blocks(self, label, digests)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openings, "_set_digest", look_up)
        patch.setattr(openings, "_read_index", index_read)
        patch.setattr(CircuitTranscript, "known_blocks", blocks)
        if off:
            # What is not read any more leaves messages that do not balance.
            patch.setattr(builder_module, "check_messages", lambda circuit: None)
        return written(builder, key), builder


def failing(circuit: Circuit, hints: Sequence[int]) -> str:
    """The part of the circuit that fails by plain execution; empty if none does."""
    try:
        reference.run(circuit, hints)
    except Unsatisfied as error:
        return error.label or "statement"
    return ""


# ---- a forgery that passes without a check, and not with it


Lanes = Sequence[int]


def pool(free: Sequence[Lanes]) -> list[int]:
    """What free digests hold, filled up with zeros."""
    assert len(free) <= FREE_DIGESTS
    padded = [[*lanes, *[0] * (8 - len(lanes))] for lanes in free]
    return [lane for lanes in padded for lane in lanes] + [0] * 8 * (FREE_DIGESTS - len(free))


def passes_without(
    one: Recursion, off: str | Sequence[str], values: Iterable[int], free: Sequence[Lanes] = ()
) -> str:
    """Check that the values pass without the checks ``off``, and not with them; where it fails."""
    names = frozenset([off] if isinstance(off, str) else off)
    hints = [*pool(free), *(int(value) for value in values)]
    assert failing(deleted_circuit(one.key, names)[0], hints) == ""
    label = failing(deleted_circuit(one.key, frozenset())[0], hints)
    assert label
    return label
