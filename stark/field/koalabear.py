"""The KoalaBear prime field, scalars as plain canonical integers.

p = 2^31 - 2^24 + 1. Chosen because x -> x^3 permutes it (3 does not divide p - 1 = 2^24 * 127), so
that Poseidon's S-box has degree 3, and because a product of two elements fits 62 bits. This module
serves the verifier; vector kernels of the prover live in ``stark.field.simd`` and its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

P = 2**31 - 2**24 + 1
"""The modulus, 2130706433."""

GENERATOR = 3
"""Smallest generator of the multiplicative group; also the shift of every evaluation coset."""

TWO_ADICITY = 24
"""2^24 is the largest power of two that divides p - 1: no domain is longer."""


def root_of_unity(log_order: int) -> int:
    """The primitive 2^log_order-th root of unity g^((p-1)/2^log_order).

    Consistent over orders: ``root_of_unity(k) == root_of_unity(k + 1)**2``.

    Raises
    ------
    ValueError
        If ``log_order`` is not in 0 ... 24.
    """
    if not 0 <= log_order <= TWO_ADICITY:
        raise ValueError(f"log_order must be in 0 ... {TWO_ADICITY}, got {log_order}")
    return pow(GENERATOR, (P - 1) >> log_order, P)


def inverse(value: int) -> int:
    """1/value mod p. Raises ``ZeroDivisionError`` for a multiple of p."""
    if value % P == 0:
        raise ZeroDivisionError("zero has no inverse")
    return pow(value, -1, P)


def batch_inverse(values: Sequence[int]) -> list[int]:
    """Inverses of all values with one field inversion (Montgomery's trick).

    Raises ``ZeroDivisionError`` if any value is a multiple of p.
    """
    prefix = [1]
    for value in values:
        prefix.append(prefix[-1] * value % P)
    running = inverse(prefix[-1])
    inverses = [0] * len(values)
    for index in range(len(values) - 1, -1, -1):
        inverses[index] = prefix[index] * running % P
        running = running * values[index] % P
    return inverses
