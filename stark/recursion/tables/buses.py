"""The two buses of a recursive verifier: wires that hold elements of F, and digests.

An address is a number that the circuit gives to a value. The row that writes an address sends the
value with the count n of its reads, each row that reads it sends the value with count -1. Addresses
and counts are preprocessed, so nobody can choose who reads what.

Why all values of an address are equal: say it is written once with count n and read n times, with
0 < n < p. If a reader holds another value than the writer, then the tuples with that value are
sent by readers alone, k of them with 0 < k <= n, and their counts add up to -k, which is not 0
mod p: the bus does not balance. An address that is written twice, or with a count that is not that
of its reads, is a mistake of the circuit; circuits are public, and are checked when they are built.

A digest may also be looked up, in the cap of a tree: its writer's count is a free multiplicity, its
readers compute its number from an index. The argument is the same as long as each such digest is
written once. But a reader's index is not in range by itself: with wrong bits a Merkle path could
end in another tree's cap, which takes any number of reads. So the digests of a cap share one
address and are numbered; the reader's index is the number, and one outside the cap finds nothing.

Address 0 belongs to rows that send nothing: all its counts are 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from stark.constraints.air import AirBuilder
from stark.constraints.bus import Bus
from stark.constraints.expression import Expression
from stark.field.extension import DEGREE
from stark.hash.poseidon import DIGEST_LANES

WIRE = Bus(
    "wire",
    width=1 + DEGREE,
    per_key_bound="an address is written once, with the fixed number of its reads, below p",
    signed=True,
)
"""(address, the five coefficients of an element of F); base elements have four zeros."""

DIGEST = Bus(
    "digest",
    width=2 + DIGEST_LANES,
    per_key_bound="an address is written once, and read on fewer than p rows, each with count -1",
    signed=True,
)
"""(address, number, the eight lanes of a digest); the number is 0 but for digests of a cap."""


def send_wire(
    t: AirBuilder,
    label: str,
    address: Expression,
    value: Sequence[Expression],
    count: Expression,
) -> None:
    """Write (positive count) or read (negative count) a wire.

    ``value`` has five cells, or one for a base element: its other coefficients are zero, so that a
    wire that is read as a base element is one.
    """
    filling = (0,) * (DEGREE - len(value))
    t.send(WIRE, (address, *value, *filling), count=count, bound=None, label=label)
