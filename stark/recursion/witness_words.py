"""Elements of the base field and of F as words in arrays, for the kernel that computes witnesses.

Montgomery form. An element of F is five words one behind the other, a tuple in registers. A word
that no element has marks what is not written yet.
"""

from __future__ import annotations

import numpy as np

from stark.field import simd
from stark.field.montgomery import scalar_to_montgomery
from stark.jit import device

UNWRITTEN = np.uint32(0xFFFFFFFF)

SATISFIED, UNSATISFIED, UNKNOWN = 0, 1, 2
"""How a step ends; ``UNKNOWN`` if it reads what is not written."""

ONE = np.uint32(scalar_to_montgomery(1))
_R_SQUARED = np.uint32(scalar_to_montgomery(scalar_to_montgomery(1)))


@device
def element(words, start):  # type: ignore[no-untyped-def]
    """Five words as an element of F."""
    return (
        words[start],
        words[start + 1],
        words[start + 2],
        words[start + 3],
        words[start + 4],
    )


@device
def store(words, start, value):  # type: ignore[no-untyped-def]
    words[start] = value[0]
    words[start + 1] = value[1]
    words[start + 2] = value[2]
    words[start + 3] = value[3]
    words[start + 4] = value[4]


@device
def base(value):  # type: ignore[no-untyped-def]
    zero = np.uint32(0)
    return (value, zero, zero, zero, zero)


@device
def is_base(value):  # type: ignore[no-untyped-def]
    return (value[1] | value[2] | value[3] | value[4]) == 0


@device
def integer(value):  # type: ignore[no-untyped-def]
    """The canonical integer of an element of the base field."""
    return np.int64(simd.mont_mul(value, np.uint32(1)))


@device
def montgomery(value):  # type: ignore[no-untyped-def]
    """The element of a canonical integer."""
    return simd.mont_mul(np.uint32(value), _R_SQUARED)


@device
def send(wires, address, value, reads):  # type: ignore[no-untyped-def]
    """Write a wire, or compare it if the row reads it."""
    if address != 0:
        start = 5 * address
        if not reads:
            store(wires, start, value)
        else:
            if wires[start] == UNWRITTEN:
                return UNKNOWN
            for q in range(5):
                if wires[start + q] != value[q]:
                    return UNSATISFIED
    return SATISFIED
