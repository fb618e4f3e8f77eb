"""Writing circuits: wires, digests, and the rows that tie them.

A wire holds an element of F, a digest eight base elements; both are addresses, written by one row
and read by any number of others. What is *assumed* (values of the inner proof, bits, inverses) is
written by the row that constrains it; nothing else is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from stark.field.koalabear import P
from stark.recursion.circuit import Capacity, Circuit, Operation, Rate
from stark.recursion.permutations import PermutationWriter
from stark.recursion.rows import RATE, WRITES, DigestWire, Wire
from stark.recursion.wellformed import check_messages

__all__ = ["RATE", "WRITES", "CircuitBuilder", "DigestWire", "Wire"]


class CircuitBuilder(PermutationWriter):
    """Collects the rows of a circuit.

    Parameters
    ----------
    log_order
        log2 of the largest evaluation domain of an inner proof.
    widths
        The numbers of bits that are ever taken of a base element, distinct, ascending.
    """

    def __init__(self, log_order: int, widths: Sequence[int]) -> None:
        super().__init__(log_order, widths)
        self._gammas: list[int] = []

    def place_eight(self, index: Wire, y: Wire, weight: int) -> tuple[int, Wire, Wire]:
        """A row of the fold table, of which only the place of the query is known.

        Returns the row, the leaf's position, that is the index without its upper three bits, whose
        lowest has ``weight``, and y^8. :meth:`fold_eight` completes it.
        """
        out = self.wires.fresh(3)
        row = self.folds.append(
            {
                "active": 1,
                "weight": weight,
                "address index": self.wires.read(index),
                "address y": self.wires.read(y),
                "address out": out,
                "count result": WRITES,
                "count index out": WRITES,
                "count y out": WRITES,
            }
        )
        self.step(Operation.PLACE, row)
        return row, out + 1, out + 2

    def fold_eight(self, row: int, leaf: Wire, beta: Wire, value: Wire) -> Wire:
        """One FRI fold of arity 8 with the check that ``value`` stands at its place in the leaf.

        ``row`` is what :meth:`place_eight` has begun, ``leaf`` the first of eight consecutive
        wires. Returns the folded value.
        """
        for offset in range(8):
            self.wires.read(leaf + offset)
        self.folds.set(row, "address v", leaf)
        self.folds.set(row, "address beta", self.wires.read(beta))
        self.folds.set(row, "address value", self.wires.read(value))
        self.step(Operation.FOLD, row)
        return self.folds.columns["address out"][row]

    def start_gamma(self, row: int) -> None:
        """From this row on, accumulators are multiplied by the challenge that it draws."""
        self._gammas.append(row)

    def finish(self, public: Sequence[DigestWire], tag: int, log_least: int = 0) -> Circuit:
        """The circuit whose one public value is the sponge digest of some digests.

        The table of permutations gets the fewest rows that are a power of two, at least
        2^log_least; the last of them ends that sponge.
        """
        self.label("public values")
        self.settle()
        for first, end in pairwise([*self._gammas, self.permutation.count]):
            # Row r speaks of r + 1, and the last row before another challenge keeps the old one.
            for row in range(first, end - 1):
                self.permutation.set(row, "gamma next", 1)
        count = self.permutation.count + len(public)
        start = max(1 << log_least, 1 << (count - 1).bit_length()) - len(public)
        for row in range(self.permutation.count, start):
            self.permutation.set(row, "straight", 1)
        self.permutation.count = start
        for number, digest in enumerate(public):
            fixed = {
                "straight": 1,
                "digest address": self.digests.read(digest),
                "digest count": P - 1,
                "digest x": 1,
            }
            if number == 0:
                fixed |= {"fresh": 1, "tag": tag, "length": RATE * len(public)}
                self.permute(Rate.DIGEST, digest, Capacity.FRESH, fixed=fixed)
            else:
                self.permute(
                    *(Rate.DIGEST, digest, Capacity.CHAIN),
                    fixed=fixed,
                    before={"capacity next": 1},
                )
        for rows in (self.arithmetic, self.permutation, self.folds, self.decomposition):
            rows.complete()
        self._resolve()
        circuit = Circuit(
            arithmetic=self.arithmetic.columns,
            permutation=self.permutation.columns,
            fold=self.folds.columns,
            decomposition=self.decomposition.columns,
            steps=self.steps,
            hint_count=self.hint_count,
            wire_count=len(self.wires.reads) - 1,
            digest_count=len(self.digests.reads) - 1,
            cap_heights=dict(self.cap_heights),
            widths=self.widths,
            log_order=self.log_order,
            labels=tuple(self.labels),
        )
        check_messages(circuit)
        return circuit

    def _resolve(self) -> None:
        """Put the numbers of reads where something is written."""
        wires, digests = self.wires.reads, self.digests.reads
        for rows, count, address, offset, reads in (
            *((self.arithmetic, f"count {s}", f"address {s}", 0, wires) for s in "abcd"),
            (self.permutation, "wire count", "wire address", 0, wires),
            (self.permutation, "digest count", "digest address", 0, digests),
            (self.folds, "count result", "address out", 0, wires),
            (self.folds, "count index out", "address out", 1, wires),
            (self.folds, "count y out", "address out", 2, wires),
            (self.decomposition, "count v", "address", 0, wires),
            (self.decomposition, "count low", "address", 1, wires),
            (self.decomposition, "count y", "address", 2, wires),
        ):
            counts, addresses = rows.columns[count], rows.columns[address]
            for row, value in enumerate(counts):
                if value == WRITES:
                    counts[row] = reads[addresses[row] + offset]
