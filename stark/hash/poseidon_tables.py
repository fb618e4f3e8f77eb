"""Tables of Poseidon's vector kernels: the round constants, at the scales of each round.

Why there are scales, and what the matrix step subtracts, is told in ``stark.hash.poseidon_ir``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stark.field.koalabear import P, inverse
from stark.field.memory import LANES
from stark.field.montgomery import R
from stark.hash.poseidon import POSEIDON1, round_constants
from stark.hash.poseidon_ir import (
    CYCLIC,
    HALF,
    NEGACYCLIC,
    REDUCTION_MULTIPLIER,
    ROUND_WORDS,
)

Words = NDArray[np.uint32]

FIRST_CONSTANTS = POSEIDON1.rounds * ROUND_WORDS
"""Where the round table goes on with the constants of the first round."""

LAST_FACTOR = FIRST_CONSTANTS + LANES
"""Where it has the factor that takes the last state to Montgomery form."""

UNPACK_WORDS = LANES + 1
"""Table of a round's way back to Montgomery form: a factor, and what to subtract."""


@cache
def _scales() -> list[int]:
    """f before each round and after the last; the input is in Montgomery form, f = 2^32."""
    scales = [R]
    for index in range(POSEIDON1.rounds):
        f = scales[-1]
        cubed = pow(f, 3, P) * inverse(pow(2, 64, P)) % P if POSEIDON1.is_full(index) else f
        scales.append(cubed * inverse(2**15) % P)
    return scales


@cache
def round_table() -> Words:
    """For each round its addends and factor; then the first constants and the last factor.

    The matrix gives f' x' as (A + B) / 2^16 for output i and (A - B) / 2^16 for i + 8, and k_i =
    f' c'_i must be added. The kernel has A' = A - u and B' = B - v_i instead, because of the bits
    that it flips: u = 371 (2^31 + 2^15), v_i = 2^15 times the sum of B's signed entries; it adds g
    to A' and h to B'; and its reduction adds 32512 * 2^15. Hence g + h = u + v_i + 2^16 (k_i -
    32512 * 2^15), and g - h likewise with -v_i and k_(i+8). All modulo p.
    """
    scales = _scales()
    constants = [*round_constants(POSEIDON1), (0,) * LANES]
    bias = REDUCTION_MULTIPLIER << 15
    words: list[int] = []
    for index in range(POSEIDON1.rounds):
        scaled = [scales[index + 1] * c % P for c in constants[index + 1]]
        u = sum(CYCLIC) * (2**31 + 2**15)
        for i in range(HALF):
            signed = (NEGACYCLIC[(i - j) % HALF] * (1 if j <= i else -1) for j in range(HALF))
            v = sum(signed) << 15
            plus = u + v + (scaled[i] - bias << 16)
            minus = u - v + (scaled[i + HALF] - bias << 16)
            for addend in ((plus + minus) * inverse(2) % P, (plus - minus) * inverse(2) % P):
                words += [addend & 0xFFFF, addend >> 16]
        # f^3 / 2^64 S(x) times factor / 2^32 must be f S(x).
        words.append(_balanced(pow(2, 96, P) * inverse(scales[index] ** 2 % P) % P))
    words += [(scales[0] * c % P - P) % 2**32 for c in constants[0]]
    words.append(_balanced(_to_montgomery_factor(POSEIDON1.rounds)))
    return np.array(words, np.uint32)


def _balanced(value: int) -> int:
    """The representative in [-p/2, p/2] as a two's complement word."""
    return (value if value <= P // 2 else value - P) % 2**32


def _to_montgomery_factor(index: int) -> int:
    """The factor whose Montgomery product with scale f of round ``index`` is Montgomery form."""
    return R * R * inverse(_scales()[index]) % P


@cache
def unpack_table() -> Words:
    """For each round, what takes its results to Montgomery form: a factor and what to subtract.

    The state after a full round has the constants of the next one in it already. For a partial
    round the factor is for the output of its S-box; it is canonical, not balanced.
    """
    constants = [*round_constants(POSEIDON1), (0,) * LANES]
    words: list[int] = []
    for index in range(POSEIDON1.rounds):
        if POSEIDON1.is_full(index):
            words.append(_balanced(_to_montgomery_factor(index + 1)))
        else:
            words.append(_to_montgomery_factor(index))
        words += [c * R % P for c in constants[index + 1]]
    return np.array(words, np.uint32)
