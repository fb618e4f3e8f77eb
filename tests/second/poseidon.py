"""The algebraic hash: Poseidon of width 16 and its compression (format.md, section 11)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from .reading import P

ROW = (1, 1, 51, 1, 11, 17, 2, 1, 101, 63, 15, 2, 67, 22, 13, 3)
"""The first row of the circulant matrix."""

ROUNDS = 28
FULL = (0, 1, 2, 3, 24, 25, 26, 27)


def _grain() -> Iterator[int]:
    """The bits that the Grain register gives out, one by one."""
    register: list[int] = []
    for value, width in ((1, 2), (0, 4), (31, 12), (16, 12), (8, 10), (20, 10)):
        register += [value >> i & 1 for i in reversed(range(width))]
    register += [1] * 30

    def step() -> int:
        bit = 0
        for tap in (62, 51, 38, 23, 13, 0):
            bit ^= register[tap]
        register.append(bit)
        del register[0]
        return bit

    for _ in range(160):
        step()
    while True:
        first, second = step(), step()
        if first:
            yield second


@cache
def round_constants() -> list[list[int]]:
    """rc[round][lane]."""
    bits = _grain()
    constants: list[int] = []
    while len(constants) < 16 * ROUNDS:
        value = 0
        for _ in range(31):
            value = value << 1 | next(bits)
        if value < P:
            constants.append(value)
    return [constants[i : i + 16] for i in range(0, 16 * ROUNDS, 16)]


def permute(lanes: Sequence[int]) -> list[int]:
    """The permutation."""
    state = list(lanes)
    for r, constants in enumerate(round_constants()):
        state = [(v + c) % P for v, c in zip(state, constants, strict=True)]
        for i in range(16 if r in FULL else 1):
            state[i] = pow(state[i], 3, P)
        state = [sum(ROW[(j - i) % 16] * state[j] for j in range(16)) % P for i in range(16)]
    return state


def compress(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """C(left || right): two times eight elements to eight."""
    lanes = [*left, *right]
    return [(y + x) % P for y, x in zip(permute(lanes), lanes, strict=True)][:8]
