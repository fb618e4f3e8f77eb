"""Poseidon as its papers write it: plain matrices, one state at a time, nothing rearranged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stark.field.koalabear import P
from stark.hash.poseidon import (
    PoseidonParameters,
    full_matrix,
    partial_matrix,
    round_constants,
)

VECTORS = Path(__file__).parents[2] / "vectors"


def known_answers(permutation: str) -> list[Any]:
    cases = json.loads((VECTORS / "poseidon_kats.json").read_text())["cases"]
    return [case for case in cases if case["perm"] == permutation]


def multiply(matrix: Sequence[Sequence[int]], state: Sequence[int]) -> list[int]:
    return [sum(m * x for m, x in zip(row, state, strict=True)) % P for row in matrix]


def rounds(
    parameters: PoseidonParameters, state: Sequence[int]
) -> tuple[list[list[int]], list[int]]:
    """The state after every round, and the S-box outputs of the partial rounds."""
    state = list(state)
    if parameters.internal_diagonal:
        state = multiply(full_matrix(parameters), state)
    states, outputs = [], []
    for index, constants in enumerate(round_constants(parameters)):
        state = [(x + c) % P for x, c in zip(state, constants, strict=True)]
        if parameters.is_full(index):
            state = multiply(full_matrix(parameters), [x**3 for x in state])
        else:
            outputs.append(state[0] ** 3 % P)
            state = multiply(partial_matrix(parameters), [outputs[-1], *state[1:]])
        states.append(state)
    return states, outputs


def permute(parameters: PoseidonParameters, state: Sequence[int]) -> list[int]:
    return rounds(parameters, state)[0][-1]


def trace_cells(parameters: PoseidonParameters, state: Sequence[int]) -> list[int]:
    states, outputs = rounds(parameters, state)
    pieces = [state, *states[:4], outputs, *states[-4:-1], states[-1][:8]]
    return [cell for piece in pieces for cell in piece]
