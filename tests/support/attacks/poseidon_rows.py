"""Poseidon in plain integers, cell by cell: rows with a lie in them, and the way back.

The cells of a row are the input, the states after full rounds 1 to 4, the outputs of the S-boxes of
the partial rounds, the states after full rounds 5 to 7, and the first eight lanes of the output.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stark.field.koalabear import P
from stark.field.memory import aligned_zeros
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.poseidon import POSEIDON1, full_matrix, round_constants
from stark.hash.poseidon_kernels import compress_many, trace_cells

CELLS = 156
PARTIAL, FINAL, OUTPUT = 80, 100, 148
"""First cells of the partial rounds, of full round 5 and of the output."""


def honest_cells(inputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """The cells of permutations of (n, 16) inputs: (n, 156)."""
    matrix = aligned_zeros((len(inputs), 160))
    trace_cells(_kernel_form(inputs), matrix)
    return from_montgomery(matrix)[:, :CELLS].astype(np.int64)


def digests(inputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """C(x) of (n, 16) inputs: (n, 8)."""
    return from_montgomery(compress_many(_kernel_form(inputs))).astype(np.int64)


def lying_cells(inputs: Sequence[int], lies: Mapping[int, int]) -> list[int]:
    """The cells of a row on which some are off by ``lies[cell]``, and all after them follow."""
    constants = round_constants(POSEIDON1)
    cells: list[int] = []

    def say(values: Sequence[int]) -> list[int]:
        told = [(v + lies.get(len(cells) + k, 0)) % P for k, v in enumerate(values)]
        cells.extend(told)
        return told

    state = say([value % P for value in inputs])
    for number in range(POSEIDON1.rounds):
        state = [
            (lane + constant) % P for lane, constant in zip(state, constants[number], strict=True)
        ]
        if POSEIDON1.is_full(number):
            mixed = _mixed([pow(lane, 3, P) for lane in state])
            last = number == POSEIDON1.rounds - 1
            state = say(mixed[:8] if last else mixed)
        else:
            state = _mixed(say([pow(state[0], 3, P)]) + state[1:])
    return cells


def compressed(cells: Sequence[int]) -> list[int]:
    """What a row's cells say C(x) is."""
    return [(cells[OUTPUT + j] + cells[j]) % P for j in range(8)]


def cell_of_label(label: str) -> int | None:
    """The cell that a constraint of the permutation determines; ``None`` for other labels."""
    match = re.fullmatch(r"hash\.(full|z|y)(\d*)(?: \[(\d+)\])?", label)
    if match is None:
        return None
    kind, number, lane = match[1], int(match[2] or 0), int(match[3] or 0)
    if kind == "y":
        return OUTPUT + lane
    if kind == "z":
        return PARTIAL + number - 1
    return (16 * number if number <= 4 else FINAL + 16 * (number - 5)) + lane


def inverse_permutation(output: Sequence[int]) -> list[int]:
    """The x with P(x) = ``output``: the permutation is no one-way function."""
    constants = round_constants(POSEIDON1)
    cube_root = pow(3, -1, P - 1)
    state = [value % P for value in output]
    for number in reversed(range(POSEIDON1.rounds)):
        state = [
            sum(a * b for a, b in zip(row, state, strict=True)) % P for row in _inverse_matrix()
        ]
        if POSEIDON1.is_full(number):
            state = [pow(lane, cube_root, P) for lane in state]
        else:
            state[0] = pow(state[0], cube_root, P)
        state = [
            (lane - constant) % P for lane, constant in zip(state, constants[number], strict=True)
        ]
    return state


def _mixed(state: Sequence[int]) -> list[int]:
    return [
        sum(a * b for a, b in zip(row, state, strict=True)) % P for row in full_matrix(POSEIDON1)
    ]


@cache
def _inverse_matrix() -> tuple[tuple[int, ...], ...]:
    """Gauss and Jordan on (M | 1)."""
    matrix = full_matrix(POSEIDON1)
    size = len(matrix)
    rows = [[*row, *(int(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(r for r in range(column, size) if rows[r][column] % P)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        factor = pow(rows[column][column], -1, P)
        rows[column] = [value * factor % P for value in rows[column]]
        for r in range(size):
            if r != column and rows[r][column]:
                scale = rows[r][column]
                rows[r] = [(a - scale * b) % P for a, b in zip(rows[r], rows[column], strict=True)]
    return tuple(tuple(row[size:]) for row in rows)


def _kernel_form(values: NDArray[np.int64]) -> NDArray[np.uint32]:
    return to_montgomery(np.ascontiguousarray(values % P).astype(np.uint32))
