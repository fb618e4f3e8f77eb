"""Poseidon and Poseidon2 over KoalaBear, width 16: permutation, compression, sponge; scalars.

Sources: Poseidon, ePrint 2019/458; Poseidon2, ePrint 2023/323. Elements are canonical integers.

A permutation has full rounds (S-box x -> x^3 on all lanes) before and after partial rounds (S-box
on lane 0 alone). Each Poseidon round adds constants, applies the S-box, multiplies by the circulant
matrix M[i][j] = row[(j - i) mod 16]. Poseidon2 multiplies by its external matrix once before the
first round and in full rounds, by 1 + diag(V) in partial rounds, and adds constants to lane 0 alone
in those.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from stark.field.koalabear import P
from stark.hash.grain import field_elements

DIGEST_LANES = 8
"""Lanes of a digest: 8 elements of 31 bits give about 2^124 work for a collision."""

RATE = 8
"""Lanes that a sponge absorbs per permutation; the other 8 are its capacity."""


@dataclass(frozen=True)
class PoseidonParameters:
    """One instance; ``name`` states field, width and round counts, and so do the constants' seeds.

    Parameters
    ----------
    name
        Identifies the instance in transcripts and keys.
    width, full_rounds, partial_rounds
        Lanes and rounds; ``full_rounds`` is even, half before and half after the partial rounds.
    circulant_row
        First row of Poseidon's matrix; empty for Poseidon2.
    internal_diagonal
        V of Poseidon2's internal matrix 1 + diag(V); empty for Poseidon.
    """

    name: str
    width: int
    full_rounds: int
    partial_rounds: int
    circulant_row: tuple[int, ...] = ()
    internal_diagonal: tuple[int, ...] = ()

    @property
    def rounds(self) -> int:
        """Number of rounds of both kinds."""
        return self.full_rounds + self.partial_rounds

    def is_full(self, round_index: int) -> bool:
        """Whether the round applies the S-box to all lanes."""
        half = self.full_rounds // 2
        return not half <= round_index < half + self.partial_rounds


def _power_of_half(exponent: int) -> int:
    return pow(2, -exponent, P)


POSEIDON1 = PoseidonParameters(
    name="poseidon1-koalabear-w16-8-20",
    width=16,
    full_rounds=8,
    partial_rounds=20,
    # The MDS circulant with small entries that Plonky3 and leanSpec use for KoalaBear.
    circulant_row=(1, 1, 51, 1, 11, 17, 2, 1, 101, 63, 15, 2, 67, 22, 13, 3),
)

POSEIDON2 = PoseidonParameters(
    name="poseidon2-koalabear-w16-8-20",
    width=16,
    full_rounds=8,
    partial_rounds=20,
    # [-2, 1, 2, 1/2, 3, 4, -1/2, -3, -4, 2^-8, 2^-3, 2^-24, -2^-8, -2^-3, -2^-4, -2^-24] as in
    # Plonky3: products with these need shifts and additions alone.
    internal_diagonal=(
        *(P - 2, 1, 2, _power_of_half(1), 3, 4, P - _power_of_half(1), P - 3, P - 4),
        *(_power_of_half(8), _power_of_half(3), _power_of_half(24)),
        *(P - _power_of_half(8), P - _power_of_half(3)),
        *(P - _power_of_half(4), P - _power_of_half(24)),
    ),
)

_EXTERNAL_BLOCK = ((2, 3, 1, 1), (1, 2, 3, 1), (1, 1, 2, 3), (3, 1, 1, 2))
"""M4 of Poseidon2 as in Plonky3: circ(2, 3, 1, 1)."""


@cache
def round_constants(parameters: PoseidonParameters) -> tuple[tuple[int, ...], ...]:
    """Constants of every round in order, one row of ``width`` each, from the Grain LFSR.

    The rows of Poseidon2's partial rounds have one constant and zeros.
    """
    width = parameters.width
    stream = field_elements(P, width, parameters.full_rounds, parameters.partial_rounds)
    rows = []
    for index in range(parameters.rounds):
        single = parameters.internal_diagonal and not parameters.is_full(index)
        row = tuple(islice(stream, 1 if single else width))
        rows.append(row + (0,) * (width - len(row)))
    return tuple(rows)


@cache
def full_matrix(parameters: PoseidonParameters) -> tuple[tuple[int, ...], ...]:
    """The matrix of the full rounds (for Poseidon2 also of the initial layer)."""
    lanes = range(parameters.width)
    if parameters.circulant_row:
        row = parameters.circulant_row
        return tuple(tuple(row[(j - i) % len(row)] for j in lanes) for i in lanes)
    # circ(2 M4, M4, ..., M4): M4 on each block, then every element gains its column's sum.
    return tuple(
        tuple(_EXTERNAL_BLOCK[i % 4][j % 4] * (2 if i // 4 == j // 4 else 1) for j in lanes)
        for i in lanes
    )


@cache
def partial_matrix(parameters: PoseidonParameters) -> tuple[tuple[int, ...], ...]:
    """The matrix of the partial rounds."""
    if parameters.circulant_row:
        return full_matrix(parameters)
    diagonal = parameters.internal_diagonal
    lanes = range(parameters.width)
    return tuple(tuple((1 + diagonal[i] * (i == j)) % P for j in lanes) for i in lanes)


def permute(parameters: PoseidonParameters, state: Sequence[int]) -> list[int]:
    """The permutation of ``width`` canonical elements.

    Raises
    ------
    ValueError
        If the state has another length or an element is not in [0, p).
    """
    if len(state) != parameters.width or min(state) < 0 or max(state) >= P:
        raise ValueError(f"the state must be {parameters.width} canonical field elements")
    return _permutation(parameters)(state)


def compress(parameters: PoseidonParameters, state: Sequence[int]) -> list[int]:
    """C(x) = (P(x) + x) truncated to 8 lanes: 16 elements to 8.

    The feed-forward makes it one-way although P is invertible. No lane carries a tag: callers
    separate uses by structure. Raises ``ValueError`` like :func:`permute`.
    """
    image = permute(parameters, state)
    return [(a + b) % P for a, b in zip(image[:DIGEST_LANES], state[:DIGEST_LANES], strict=True)]


def run_blocks(run: Sequence[int]) -> list[tuple[int, ...]]:
    """A run of elements as blocks of 8, the first of them filled with zeros in front.

    None for an empty run. Leading zeros add nothing to a polynomial with the lanes as coefficients,
    highest first: a circuit evaluates a run by Horner's rule block by block, however long it is.
    """
    filled = (0,) * (-len(run) % RATE) + tuple(run)
    return [filled[start : start + RATE] for start in range(0, len(filled), RATE)]


def sponge_hash(parameters: PoseidonParameters, tag: int, *runs: Sequence[int]) -> list[int]:
    """Digest (8 elements) of runs of canonical elements under a domain tag.

    An overwrite-mode sponge of rate 8: the capacity starts as (tag, length, 0, ...), where length
    counts the elements of all runs, each block of each run (:func:`run_blocks`) replaces lanes
    0 ... 7, and at least one block is absorbed. The length in the capacity makes the zero filling
    injective: [5, 7] and [0, 5, 7] differ. Where runs begin must follow from tag and length or be
    known otherwise: one of thirteen elements is the same blocks as one of five and one of eight.

    Raises
    ------
    ValueError
        If the tag, the length or an element is not in [0, p).
    """
    length = sum(map(len, runs))
    capacity = [tag, length] + [0] * (parameters.width - RATE - 2)
    state: list[int] = []
    for block in [block for run in runs for block in run_blocks(run)] or [(0,) * RATE]:
        state = permute(parameters, [*block, *capacity])
        capacity = state[RATE:]
    return state[:DIGEST_LANES]


@cache
def _permutation(parameters: PoseidonParameters) -> Callable[[Sequence[int]], list[int]]:
    if parameters.circulant_row:
        return _poseidon1(parameters)
    return _poseidon2(parameters)


_LANE_BITS = 64
_LANE_MASK = (1 << _LANE_BITS) - 1


def _poseidon1(parameters: PoseidonParameters) -> Callable[[Sequence[int]], list[int]]:
    """The permutation with the whole state packed in one integer, 64 bits per lane.

    The matrix is circulant, so its product with the state is that of two polynomials modulo
    X^16 - 1: one product of big integers and one addition, far fewer interpreter steps than 256
    products. No lane may reach 2^64: lanes of a state below b come out below b * (sum of the
    row) and p more for the next constants, and the state is reduced before that could overflow
    (once in three partial rounds).
    """
    width = parameters.width
    row = parameters.circulant_row
    lanes = struct.Struct(f"<{width}Q")
    size = lanes.size
    bits = 8 * size
    mask = (1 << bits) - 1

    def pack(values: Sequence[int]) -> int:
        return int.from_bytes(lanes.pack(*values), "little")

    matrix = pack([row[-k % width] for k in range(width)])
    # Constants of round k + 1 are added right after the matrix of round k.
    first, *later = [pack(constants) for constants in round_constants(parameters)]
    later.append(0)
    half = parameters.full_rounds // 2
    growth = sum(row)
    bound = growth * P + P
    partial: list[tuple[bool, int]] = []
    for index in range(half, half + parameters.partial_rounds):
        reduce = bound * growth + P > 1 << _LANE_BITS
        bound = (P if reduce else bound) * growth + P
        partial.append((reduce, later[index]))

    def full_rounds(packed: int, constants: Sequence[int]) -> int:
        for addend in constants:
            values = lanes.unpack(packed.to_bytes(size, "little"))
            cubes = [x * x % P * x % P for x in values]
            product = int.from_bytes(lanes.pack(*cubes), "little") * matrix
            packed = (product & mask) + (product >> bits) + addend
        return packed

    def permutation(state: Sequence[int]) -> list[int]:
        packed = full_rounds(pack(state) + first, later[:half])
        for reduce, addend in partial:
            if reduce:
                packed = pack([x % P for x in lanes.unpack(packed.to_bytes(size, "little"))])
            lane = packed & _LANE_MASK
            product = (packed - lane + lane * lane * lane % P) * matrix
            packed = (product & mask) + (product >> bits) + addend
        packed = full_rounds(packed, later[half + parameters.partial_rounds :])
        return [x % P for x in lanes.unpack(packed.to_bytes(size, "little"))]

    return permutation


def _poseidon2(parameters: PoseidonParameters) -> Callable[[Sequence[int]], list[int]]:
    """The permutation with the external matrix as sums and the internal one as 1 + diag(V)."""
    constants = round_constants(parameters)
    half = parameters.full_rounds // 2
    partial = [row[0] for row in constants[half : half + parameters.partial_rounds]]
    diagonal = parameters.internal_diagonal

    def external(state: list[int]) -> list[int]:
        mixed = []
        for start in range(0, len(state), 4):
            a, b, c, d = state[start : start + 4]
            total = a + b + c + d
            mixed += [total + a + b + b, total + b + c + c, total + c + d + d, total + d + a + a]
        sums = [sum(mixed[k::4]) for k in range(4)] * (len(state) // 4)
        return [x + y for x, y in zip(mixed, sums, strict=True)]

    def full_rounds(state: list[int], rows: Sequence[Sequence[int]]) -> list[int]:
        for row in rows:
            state = external([pow(x + c, 3, P) for x, c in zip(state, row, strict=True)])
        return state

    def permutation(values: Sequence[int]) -> list[int]:
        state = full_rounds(external(list(values)), constants[:half])
        for constant in partial:
            state[0] = pow(state[0] + constant, 3, P)
            total = sum(state)
            state = [(total + d * x) % P for d, x in zip(diagonal, state, strict=True)]
        state = full_rounds(state, constants[half + parameters.partial_rounds :])
        return [x % P for x in state]

    return permutation
