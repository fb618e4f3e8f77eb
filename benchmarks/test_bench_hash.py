"""Speed of hashes and Merkle trees: ``pytest benchmarks/test_bench_hash.py``.

``extra_info`` of each result has the time per item in nanoseconds, on all cores unless
``STARK_THREADS=1``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bounds import BLOCK, SBOXES, WORD, Work, report

from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.hash.poseidon import POSEIDON1, POSEIDON2, PoseidonParameters, permute
from stark.hash.poseidon_kernels import chain, compress_many, permute_many, trace_cells
from stark.hash.sha256_kernels import grind, leaf_digests, node_digests
from stark.merkle.multiproof import encode_opening, read_opening, verify_opening
from stark.merkle.tree import CodewordTree, MerkleTree

PERMUTATIONS = 1 << 16
Call = Callable[[], object]


def elements(*shape: int) -> Any:
    array = aligned_empty(shape)
    array[...] = np.random.default_rng(0).integers(0, P, shape, np.uint32)
    return array


def measure(benchmark: Any, call: Call, items: int, unit: str, work: Work) -> None:
    benchmark.pedantic(call, rounds=7, warmup_rounds=1)
    report(benchmark, unit, items, work)


NODE = Work(compressions=2, bytes=3 * 32)
"""64 bytes and the padding; two digests are read and one is written."""


def tree_of(row_bytes: int) -> Work:
    """A leaf and a node for each."""
    blocks = 2 + -(-row_bytes // BLOCK)
    return Work(compressions=blocks, bytes=row_bytes + 4 * 32)


@pytest.mark.parametrize("function", [permute_many, compress_many])
def test_poseidon(benchmark: Any, function: Callable[[Any], object]) -> None:
    states = elements(PERMUTATIONS, 16)
    measure(
        benchmark,
        lambda: function(states),
        PERMUTATIONS,
        "permutation",
        Work(SBOXES, bytes=24 * WORD),
    )


def test_poseidon_trace(benchmark: Any) -> None:
    states, out = elements(PERMUTATIONS, 16), elements(PERMUTATIONS, 176)
    measure(
        benchmark,
        lambda: trace_cells(states, out),
        PERMUTATIONS,
        "row",
        Work(SBOXES, bytes=176 * WORD),
    )


def test_poseidon_chains_of_five(benchmark: Any) -> None:
    blocks = elements(PERMUTATIONS, 8)
    starts = np.arange(PERMUTATIONS) % 5 == 0
    firsts = elements(int(starts.sum()), 8)
    measure(
        benchmark,
        lambda: chain(blocks, starts, firsts),
        PERMUTATIONS,
        "row",
        Work(SBOXES, bytes=24 * WORD),
    )


@pytest.mark.parametrize("parameters", [POSEIDON1, POSEIDON2], ids=lambda p: p.name)
def test_scalar_poseidon(benchmark: Any, parameters: PoseidonParameters) -> None:
    state = list(range(16))
    benchmark(permute, parameters, state)


@pytest.mark.parametrize("width", [16, 100, 256, 1024])
def test_sha256_leaves(benchmark: Any, width: int) -> None:
    rows = (1 << 24) // width // 16 * 16
    matrix = elements(rows, -(-width // 16) * 16)
    measure(
        benchmark,
        lambda: leaf_digests([matrix], [width]),
        rows * width * 4,
        "byte",
        Work(compressions=1 / BLOCK, bytes=1),
    )


def test_sha256_nodes(benchmark: Any) -> None:
    children = elements(8, 1 << 18)
    measure(benchmark, lambda: node_digests(children, 1 << 15), 1 << 17, "node", NODE)


def test_grind_of_20_bits(benchmark: Any) -> None:
    state = bytes(32)
    tries = grind(state, 20) + 1
    measure(benchmark, lambda: grind(state, 20), tries, "try", Work(compressions=1))


def test_tree_of_a_matrix(benchmark: Any) -> None:
    matrix = elements(8, 1 << 15, 112)
    measure(benchmark, lambda: MerkleTree([matrix], [100], 5), 1 << 18, "leaf", tree_of(100 * WORD))


def test_tree_of_a_codeword(benchmark: Any) -> None:
    codeword = elements(5, 8, 1 << 17)
    measure(benchmark, lambda: CodewordTree(codeword, 8, 5), 1 << 17, "leaf", tree_of(40 * WORD))


def test_verification_of_75_queries_in_four_trees(benchmark: Any) -> None:
    """18 levels and 400 columns in all: read, check that elements are canonical, verify."""
    matrix = elements(8, 1 << 15, 112)
    tree = MerkleTree([matrix], [100], 0)
    indices = np.random.default_rng(1).integers(0, 1 << 18, 75).tolist()
    encoded = encode_opening(tree.open(indices))

    def verify() -> None:
        for _ in range(4):
            opening, _end = read_opening(encoded, 0, tree.shape, indices)
            parts = (opening.rows, opening.salts, opening.siblings)
            verify_opening(tree.cap, tree.shape, indices, *parts, "benchmark")

    benchmark(verify)
