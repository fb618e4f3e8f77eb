"""The openings of a tree as one authentication path per query (prover wing).

A proof opens all its queries together: a digest that one path computes is not stored for another
(``stark.merkle.multiproof``). A circuit walks each path by itself. Here all nodes that an opening
determines are computed, level by level, and each query gets the siblings that it meets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from stark.errors import Code, Rejected, UsageError
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.field.memory import LANES
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash import poseidon2_kernels, poseidon_kernels
from stark.hash.poseidon import DIGEST_LANES, POSEIDON1, POSEIDON2, RATE
from stark.hash.suite import LEAF_TAG, SALTED_LEAF_TAG, PoseidonSuite
from stark.merkle.multiproof import MultiOpening, TreeShape, group_indices, sibling_count

Words = NDArray[np.uint32]
Indices = NDArray[np.int64]

_PERMUTATIONS = {
    POSEIDON1: poseidon_kernels.permute_many,
    POSEIDON2: poseidon2_kernels.permute_many,
}


@dataclass(frozen=True)
class Paths:
    """What each query opens, in query order: canonical elements.

    Attributes
    ----------
    rows
        For each group of the tree, (queries, width).
    salts
        For each group, (queries, 8), or ``None`` in a tree without salts.
    siblings
        (queries, levels, 8), from the leaves to the cap.
    """

    rows: tuple[Words, ...]
    salts: tuple[Words | None, ...]
    siblings: Words


def expanded_paths(opening: MultiOpening, shape: TreeShape, indices: Sequence[int]) -> Paths:
    """One full path per query.

    Parameters
    ----------
    opening
        An opening of the shape at these indices, of canonical elements (``read_opening``); whether
        it leads to the cap is not checked.
    indices
        Positions in the tree's largest domain, in any order, repeated or not.

    Raises
    ------
    UsageError
        If the tree is not one of an algebraic suite.
    Rejected
        ``Merkle`` if the opening has another number of rows, salts or siblings, or rows of another
        width.
    ValueError
        If an index lies outside the domain, or there is none.
    """
    opened = [np.array(values, np.int64) for values in group_indices(shape, indices)]
    rows, salts = _checked(opening, shape, opened)
    queries = np.array(indices, np.int64)
    digests = [
        leaf_digests(shape, group, rows[group], salts[group]) for group in range(len(opened))
    ]
    siblings = np.empty((len(queries), shape.log_size - shape.cap_height, DIGEST_LANES), np.uint32)
    groups = {log_size: number for number, (log_size, _) in enumerate(shape.groups)}
    supply = _decoded(opening.siblings, DIGEST_LANES)
    known, nodes = opened[0], digests[0]
    for level, log_parent in enumerate(range(shape.log_size - 1, shape.cap_height - 1, -1)):
        half = 1 << log_parent
        missing = np.setdiff1d(known ^ half, known)
        order = np.argsort(np.concatenate([known, missing]))
        places = np.concatenate([known, missing])[order]
        nodes = np.concatenate([nodes, to_montgomery(supply[: len(missing)])])[order]
        supply = supply[len(missing) :]
        others = (queries & (2 * half - 1)) ^ half
        siblings[:, level] = from_montgomery(nodes)[np.searchsorted(places, others)]
        # Both children of a parent are there: the lower half of the places are the left ones.
        parents = len(places) // 2
        known = places[:parents]
        nodes = _compressed(shape, nodes[:parents], nodes[parents:])
        if log_parent in groups:
            nodes = _compressed(shape, digests[groups[log_parent]], nodes)
    selected = [
        np.searchsorted(values, queries & ((1 << log_size) - 1))
        for values, (log_size, _) in zip(opened, shape.groups, strict=True)
    ]
    return Paths(
        tuple(part[chosen] for part, chosen in zip(rows, selected, strict=True)),
        tuple(
            None if part is None else part[chosen]
            for part, chosen in zip(salts, selected, strict=True)
        ),
        siblings,
    )


def leaf_digests(shape: TreeShape, group: int, rows: Words, salts: Words | None) -> Words:
    """Digests (n, 8), Montgomery form, of rows (n, width) of a group, canonical, with their salts:
    ``PoseidonSuite.leaf_digest`` of all of them side by side."""
    base = rows.shape[1] - DEGREE * shape.extensions_of(group)
    runs = [] if salts is None else [salts]
    runs += [rows[:, :base]] if base else []
    runs += [rows[:, start : start + DEGREE] for start in range(base, rows.shape[1], DEGREE)]
    state = np.zeros((len(rows), LANES), np.uint32)
    state[:, RATE] = LEAF_TAG if salts is None else SALTED_LEAF_TAG
    state[:, RATE + 1] = sum(run.shape[1] for run in runs)
    state = to_montgomery(state)
    for run in runs:
        # Zeros in front, to whole blocks.
        filling = np.zeros((len(rows), -run.shape[1] % RATE), np.uint32)
        blocks = to_montgomery(np.concatenate([filling, run], axis=1))
        for start in range(0, blocks.shape[1], RATE):
            state[:, :RATE] = blocks[:, start : start + RATE]
            state = _permuted(shape, state)
    return np.ascontiguousarray(state[:, :DIGEST_LANES])


def _permuted(shape: TreeShape, states: Words) -> Words:
    return _PERMUTATIONS[cast(PoseidonSuite, shape.suite).permutation](states)


def _compressed(shape: TreeShape, left: Words, right: Words) -> Words:
    """C of pairs of digests, in Montgomery form."""
    states = np.concatenate([left, right], axis=1)
    image = _permuted(shape, states)[:, :DIGEST_LANES].astype(np.uint64)
    return ((image + states[:, :DIGEST_LANES]) % P).astype(np.uint32)


def _decoded(parts: Sequence[bytes], width: int) -> Words:
    return np.frombuffer(b"".join(parts), "<u4").astype(np.uint32).reshape(-1, width)


def _checked(
    opening: MultiOpening, shape: TreeShape, opened: Sequence[Indices]
) -> tuple[list[Words], list[Words | None]]:
    """The rows and salts as arrays."""
    if not isinstance(shape.suite, PoseidonSuite):
        raise UsageError(f"paths of {shape.suite.name} trees are for no circuit")
    wanted = [len(values) for values in opened]
    expected = (
        wanted,
        wanted if shape.salted else [0] * len(wanted),
        sibling_count(shape, opened[0].tolist()),
    )
    got = (
        [len(rows) for rows in opening.rows],
        [len(salts) for salts in opening.salts],
        len(opening.siblings),
    )
    if got != expected:
        raise Rejected(Code.MERKLE, "rows, salts and siblings of an opening", expected, got)
    widths = [width for _, width in shape.groups]
    for given, width in zip(opening.rows, widths, strict=True):
        if any(len(row) != 4 * width for row in given):
            raise Rejected(Code.MERKLE, "elements in an opened row", width, "another number")
    for digest in (*opening.siblings, *(salt for salts in opening.salts for salt in salts)):
        if len(digest) != 4 * DIGEST_LANES:
            raise Rejected(Code.MERKLE, "bytes in a digest", 4 * DIGEST_LANES, len(digest))
    rows = [_decoded(given, width) for given, width in zip(opening.rows, widths, strict=True)]
    salts = [_decoded(given, DIGEST_LANES) if shape.salted else None for given in opening.salts]
    return rows, salts
