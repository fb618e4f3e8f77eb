"""A circuit as data: the fixed columns of its tables, and the steps that compute a witness.

A circuit is a straight-line program over wires that are written once. Its rows are constants: which
wires a row reads and writes, how often a wire is read, with which coefficients. Steps list the rows
in an order in which everything is written before it is read, with what a witness needs to know and
a proof does not: where a row's inputs come from.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property


class Operation(IntEnum):
    """What a step does, and its arguments after (operation, row)."""

    EVALUATE = 0
    """Arithmetic row: d from a, b, c; () ."""
    INVERT = 1
    """Arithmetic row: b = 1/a, d = 1 is checked; ()."""
    BIT = 2
    """Arithmetic row: a, b = bit number k of the first coordinate of a wire; (wire, k)."""
    PERMUTE = 3
    """Permutation row; (rate, its argument, capacity, its argument, level)."""
    FOLD = 4
    """Fold row: the folded value, from a leaf whose place is known (PLACE came before); ()."""
    DECOMPOSE = 5
    """Decomposition row: coordinate k of a wire; (wire, k)."""
    PLACE = 6
    """Fold row: bits, position (index_out) and y_out, from index and y alone; ()."""


class Rate(IntEnum):
    """Where lanes 0 to 7 of a permutation come from (all 16 where it is said so)."""

    HINTS = 0
    """The next n values of the inner proof, in the last n lanes; zeros in front."""
    WIRE = 1
    """Lanes 3 to 7 from a wire; zeros in front."""
    DIGEST = 2
    """A digest."""
    KEEP = 3
    """Lanes 0 to 7 of the output before."""
    SAME = 4
    """All 16 lanes are those of the row before."""
    PATH = 5
    """All lanes: the node before and the next 8 values of the proof, ordered by bit ``level`` of
    the index, which is taken off it."""
    PAIR = 6
    """All lanes: what the row before hashed, a leaf, then a digest, the node it is injected in."""
    HALVES = 7
    """Lanes 0 to 4 from a wire, 5 to 7 from the first coordinates of another, which is the argument
    of the capacity (zeros)."""


class Capacity(IntEnum):
    """Where lanes 8 to 15 of a permutation come from."""

    CHAIN = 0
    """Lanes 8 to 15 of the output before."""
    FRESH = 1
    """The row's tag and length, then zeros."""
    DIGEST = 2
    """A digest."""
    ZERO = 3
    """Zeros; a row that only moves values between wires and digests."""
    WITH_RATE = 4
    """Given with the rate."""


STEP_WIDTH = 7
"""Integers per step: operation, row, up to five arguments, zeros."""


@dataclass(frozen=True)
class Circuit:
    """A finished circuit.

    Attributes
    ----------
    arithmetic, permutation, fold, decomposition
        Fixed columns by name, without padding: all columns of a table are equally long.
    steps
        STEP_WIDTH integers per step.
    hint_count
        Field elements that are taken from the inner proofs.
    wire_count, digest_count
        Addresses are 1 ... count.
    cap_heights
        By digest address: log2 of the digests at that address; nearly all 0.
    widths
        Numbers of bits that decompositions take, ascending.
    log_order
        log2 of the order of the root whose powers decompositions compute.
    labels
        (first step, name) of the parts of the program, ascending: what a failed check was about.
    """

    arithmetic: Mapping[str, Sequence[int]]
    permutation: Mapping[str, Sequence[int]]
    fold: Mapping[str, Sequence[int]]
    decomposition: Mapping[str, Sequence[int]]
    steps: array[int]
    hint_count: int
    wire_count: int
    digest_count: int
    cap_heights: Mapping[int, int]
    widths: tuple[int, ...]
    log_order: int
    labels: tuple[tuple[int, str], ...]

    @property
    def rows(self) -> dict[str, int]:
        """Rows by table, before padding."""
        return {name: len(next(iter(columns.values()))) for name, columns in self.tables.items()}

    @property
    def tables(self) -> dict[str, Mapping[str, Sequence[int]]]:
        """Fixed columns by table."""
        return {
            "arithmetic": self.arithmetic,
            "permutation": self.permutation,
            "fold": self.fold,
            "decomposition": self.decomposition,
        }

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over everything but the labels."""
        state = hashlib.sha256(b"stark/circuit/v1")
        for name, columns in self.tables.items():
            for column, values in columns.items():
                state.update(f"{name}/{column}/{len(values)}/".encode())
                state.update(array("q", values).tobytes())
        state.update(self.steps.tobytes())
        counts = (self.hint_count, self.wire_count, self.digest_count)
        caps = sorted(self.cap_heights.items())
        state.update(repr((counts, caps, self.widths, self.log_order)).encode())
        return state.digest()
