"""The rows that plain execution of a circuit computes."""

from __future__ import annotations

from dataclasses import dataclass, field

from stark.field import extension as ext
from stark.field.extension import ZERO, Element
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, permute

RATE_LANES = 8
LANES = 16

Digest = tuple[int, ...]


@dataclass(frozen=True)
class ArithmeticRow:
    """The operands of a row."""

    a: Element = ZERO
    b: Element = ZERO
    c: Element = ZERO
    d: Element = ZERO


@dataclass
class PermutationRow:
    """The cells of a row that are not functions of the others in it, and its output."""

    x: list[int] = field(default_factory=lambda: [0] * LANES)
    y: list[int] = field(default_factory=lambda: [0] * LANES)
    bit: int = 0
    index: int = 0
    gamma: Element = ZERO
    acc: Element = ZERO
    multiplicity: int = 0

    @property
    def node(self) -> Digest:
        """The compression of the row's input."""
        return tuple((a + b) % P for a, b in zip(self.y[:8], self.x[:8], strict=True))

    @property
    def horner(self) -> Element:
        """The accumulator after the row's first eight lanes."""
        value = self.acc
        for lane in self.x[:RATE_LANES]:
            value = ext.add(ext.multiply(value, self.gamma), ext.from_base(lane))
        return value


def untouched() -> PermutationRow:
    """A row that no step computes: zeros."""
    return PermutationRow(y=permute(POSEIDON1, [0] * LANES))


@dataclass
class FoldRow:
    """The place of a query in a leaf; then the leaf, and what it is folded to."""

    index: int
    y: int
    slot: int
    index_out: int
    y_out: int
    values: tuple[Element, ...] = ()
    beta: Element = ZERO
    result: Element = ZERO


@dataclass(frozen=True)
class DecompositionRow:
    """A base element, its low bits, and the power of the root's inverse."""

    value: int = 0
    low: int = 0
    y: int = 1


@dataclass
class Witness:
    """The values of a circuit.

    Attributes
    ----------
    wires
        By address.
    digests
        By (address, number).
    arithmetic, permutation, fold, decomposition
        Rows by table; ``None`` for a row that no step computes.
    """

    wires: dict[int, Element]
    digests: dict[tuple[int, int], Digest]
    arithmetic: list[ArithmeticRow | None]
    permutation: list[PermutationRow | None]
    fold: list[FoldRow | None]
    decomposition: list[DecompositionRow | None]

    @property
    def public(self) -> Digest:
        """The circuit's public values: the digest that the last permutation ends with."""
        row = self.permutation[-1] if self.permutation else None
        return tuple((row or untouched()).y[:RATE_LANES])
