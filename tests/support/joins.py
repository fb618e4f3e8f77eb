"""Joins over proofs of nothing: stand-ins for batches and joins with any public values at all.

Whoever cheats can prove whatever he says of a child: what refuses him is the join alone. Tables of
stand-ins have the names and the public values of real ones, and are tiny, as are all parameters.
Real joins, of real joins of stand-ins, are there as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from air.aggregate.circuits import join_circuit, wrap_circuit
from air.aggregate.proving import Node, joined_publics
from air.aggregate.publics import AggregatePublics, context_blocks
from air.encoding import Digest
from stark.constraints.air import Air, AirBuilder
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import Prover
from stark.recursion.circuit import Circuit
from stark.recursion.inputs import circuit_inputs
from stark.recursion.prover import CircuitKey
from stark.recursion.system import fitted_shape
from stark.recursion.unsatisfied import Unsatisfied
from stark.recursion.witness import CircuitWitness, WitnessGenerator
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.key import VerificationKey
from stark.verifier.verify import PublicValues, checked_publics
from support.recursion_inner import algebraic

CONTEXT = bytes(range(200, 232))
OTHER_CONTEXT = bytes(range(100, 132))
LOG_HEIGHT = 3

Elements = NDArray[np.uint32]


class Said(Air):
    """Public values that stand in the last row, and a column that is fixed.

    ``bound`` is whether the fixed column must be the witness's on all rows, or on the first alone:
    another system, whose proofs have the same form.
    """

    def __init__(self, name: str, publics: int, factor: int, bound: bool) -> None:
        super().__init__(LOG_HEIGHT)
        self.name = name
        self.publics = publics
        self.factor = factor
        self.bound = bound

    def eval(self, t: AirBuilder) -> None:
        own, fixed = t.main("own"), t.preprocessed("fixed")
        if self.bound:
            t.every_row("own is the fixed one", own - fixed)
        else:
            t.first_row("own begins as the fixed one", own - fixed)
        for lane in range(self.publics):
            t.last_row(f"said {lane}", t.main(f"cell {lane}") - t.public(f"said {lane}"))

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"fixed": self.fixed}

    @property
    def fixed(self) -> list[int]:
        return [self.factor * row for row in range(1 << LOG_HEIGHT)]

    def trace(self, publics: Sequence[int]) -> dict[str, list[int]]:
        rows = 1 << LOG_HEIGHT
        cells = {f"cell {lane}": [value] * rows for lane, value in enumerate(publics)}
        return {"own": self.fixed, **cells}


def small_parameters(**changes: object) -> ProtocolParameters:
    return algebraic(**({"queries": 1, "log_blowup": 3, "cap_height": 0} | changes))


@cache
def stand_in_key(level: int, factor: int = 1, bound: bool = True, queries: int = 1) -> ProvingKey:
    """The key of stand-ins for batches (level 0) or joins."""
    widths = {"permutation": 8} if level else {"chain": 17, "tree": 8}
    airs = [Said(name, width, factor, bound) for name, width in widths.items()]
    system = System(airs, False, whole_rows=True)
    return generate_key(system, small_parameters(queries=queries))


def digest(first: int) -> Digest:
    """Eight elements in a row; of totals, of trees: here they are but names."""
    return tuple(range(first, first + 8))


def said_publics(level: int, number: int, **changes: Any) -> AggregatePublics:
    """Of the full run of 2^level batches with this number in its level."""
    honest = AggregatePublics(
        CONTEXT,
        1 << level,
        number == 0,
        digest(1000 * number),
        digest(1000 * (number + 1)),
        digest(50_000 + 1000 * number),
    )
    return replace(honest, **changes)


def prove_said(
    level: int,
    publics: AggregatePublics,
    *,
    shown: AggregatePublics | None = None,
    context: bytes | None = None,
    key: ProvingKey | None = None,
) -> Node:
    """A stand-in that says what it is told to.

    With ``shown``, its transcript is about ``publics``, and its constraints hold for ``shown``;
    with ``context``, it is bound to another one than it speaks of.
    """
    key = key or stand_in_key(level)
    node, inside = Node(level, publics, b""), Node(level, shown or publics, b"")
    said = inside.inner_publics
    traces = {
        table.name: table.air.trace(said[table.name])
        for table in key.verification.system.tables
        if isinstance(table.air, Said)
    }
    prover = TwoFaced(key, node.inner_publics, context or publics.context)
    prover.shown = said
    return replace(node, proof=prover.run(traces))


@cache
def said(level: int, number: int) -> Node:
    """The honest stand-in for a full run of batches."""
    return prove_said(level, said_publics(level, number))


class TwoFaced(Prover):
    """Its transcript begins with other public values than its constraints read."""

    shown: PublicValues

    def mask_terminals(self, main: Sequence[NDArray[np.uint32]]) -> None:
        self.publics = checked_publics(self.tables, self.shown)
        super().mask_terminals(main)


class Values(Protocol):
    """What is offered to a circuit."""

    def hints(self, inner: VerificationKey) -> Elements:
        """The values that it takes."""


@dataclass(frozen=True)
class Raw:
    """Values as they are, for whatever key."""

    values: Elements

    def hints(self, _: VerificationKey) -> Elements:
        return self.values


@dataclass(frozen=True)
class Join:
    """A circuit over two proofs for ``inner``, or over one, with its key under small parameters."""

    circuit: Circuit
    inner: VerificationKey

    @cached_property
    def key(self) -> CircuitKey:
        return CircuitKey.of(self.circuit, lambda _: small_parameters())

    @cached_property
    def _generator(self) -> WitnessGenerator:
        return WitnessGenerator(self.circuit, fitted_shape(self.circuit).log_heights)

    def run(self, offer: Values) -> CircuitWitness:
        """The witness; ``Unsatisfied`` if there is none."""
        return self._generator.run(offer.hints(self.inner))

    def refusal(self, offer: Values) -> str:
        """The part of the circuit that refuses an offer; empty if none does."""
        try:
            self.run(offer)
        except Unsatisfied as error:
            return error.label
        return ""


@cache
def join_of(level: int) -> Join:
    """The joins of a level over stand-ins."""
    inner = stand_in_key(level - 1).verification
    return Join(join_circuit(inner, level), inner)


@cache
def real_join_of(level: int) -> Join:
    """The joins of a level over joins, those of level 1 over stand-ins for batches."""
    inner = real_key(level - 1)
    return Join(join_circuit(inner, level), inner)


def real_key(level: int) -> VerificationKey:
    """The key of the proofs of a level."""
    return real_join_of(level).key.verification if level else stand_in_key(0).verification


@cache
def wrap_of(level: int) -> Join:
    """The wrap of a real join of a level; it hides nothing here."""
    inner = real_key(level)
    return Join(wrap_circuit(inner), inner)


@dataclass(frozen=True)
class Given:
    """What a prover, honest or not, gives a join of one child.

    Attributes
    ----------
    node
        The proof, with the public values that it was made with.
    said
        What the join is told that they are; ``None`` for the truth.
    context
        What the proof is bound to; ``None`` for what its public values say.
    after, before
        Values for circuits that take more: after what is said, before the values of the proof.
    proven
        Whether the circuit takes the values of the proof.
    """

    node: Node
    said: Sequence[int] | None = None
    context: bytes | None = None
    after: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    proven: bool = True

    @property
    def publics(self) -> list[int]:
        said = self.node.hints.tolist() if self.said is None else self.said
        return [*said, *self.after]

    def values(self, inner: VerificationKey) -> Elements:
        if not self.proven:
            return np.array(self.before, np.uint32)
        node = self.node
        context = node.publics.context if self.context is None else self.context
        values = circuit_inputs(inner, node.proof, node.inner_publics, context)
        return np.concatenate([np.array(self.before, np.uint32), values])

    def plain(self) -> Given:
        """For the circuit that takes nothing more."""
        return replace(self, after=(), before=(), proven=True)


@dataclass(frozen=True)
class Offer:
    """What a prover gives a join: a child on each side, and five values for the right one's flag.

    ``more`` is taken at the very end, by circuits that take more.
    """

    left: Given
    right: Given
    present: tuple[int, ...] = (1, 0, 0, 0, 0)
    context: bytes = CONTEXT
    more: tuple[int, ...] = ()

    @classmethod
    def of(cls, left: Node, right: Node | None, **changes: Any) -> Offer:
        """The honest offer, for the context of the left child; but for ``changes``."""
        flag = (int(right is not None), 0, 0, 0, 0)
        honest = cls(Given(left), Given(right or left), flag, left.publics.context)
        return replace(honest, **changes)

    def hints(self, inner: VerificationKey) -> Elements:
        blocks = [lane for block in context_blocks(self.context) for lane in block]
        said = [*blocks, *self.present, *self.left.publics, *self.right.publics]
        values = (self.left.values(inner), self.right.values(inner))
        return np.concatenate([np.array(said, np.uint32), *values, np.array(self.more, np.uint32)])

    def plain(self) -> Offer:
        return replace(self, left=self.left.plain(), right=self.right.plain(), more=())


@cache
def join(level: int, first: int, count: int) -> Node:
    """The real join of a level over batches ``first`` to ``first + count - 1``."""
    if level == 0:
        return said(0, first)
    half = 1 << (level - 1)
    left = join(level - 1, first, min(count, half))
    right = join(level - 1, first + half, count - half) if count > half else None
    return prove_join(real_join_of(level), Offer.of(left, right), joined_publics(left, right))


def prove_join(
    one: Join, offer: Offer, publics: AggregatePublics, context: bytes | None = None
) -> Node:
    """The proof of a join, bound to a context; nobody asks whether the public values are the
    witness's."""
    hints = offer.hints(one.inner)
    proof = one.key.prove(hints, publics.digest(), context or publics.context)
    return Node(offer.left.node.level + 1, publics, proof)
