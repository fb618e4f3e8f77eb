"""Speed of the algebraic hash suites: ``pytest benchmarks/test_bench_algebraic.py``.

``extra_info`` of each result has the time per row, node or nonce in nanoseconds, on all cores
unless ``STARK_THREADS=1``. A row of 208 columns takes 26 permutations, a node one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bounds import SBOXES, Work, report

from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.hash.hashing import hashing
from stark.hash.sha256 import encode_elements
from stark.hash.suite import POSEIDON1_SUITE, POSEIDON2_SUITE, PoseidonSuite
from stark.transcript.encoding import Kind, encode_field
from stark.transcript.schema import Drawn, Known
from stark.transcript.transcript import Transcript

ROWS = 1 << 14
NODES = 1 << 16
COLUMNS = 208

over_suites = pytest.mark.parametrize(
    "suite", [POSEIDON1_SUITE, POSEIDON2_SUITE], ids=lambda suite: suite.name
)


def elements(*shape: int) -> Any:
    array = aligned_empty(shape)
    array[...] = np.random.default_rng(0).integers(0, P, shape, np.uint32)
    return array


def measure(benchmark: Any, call: Any, items: int, unit: str, permutations: int) -> None:
    """Of so many permutations an item."""
    benchmark.pedantic(call, rounds=7, warmup_rounds=1)
    report(benchmark, unit, items, Work(permutations * SBOXES))


@over_suites
@pytest.mark.parametrize("key", [None, bytes(28)], ids=["plain", "salted"])
def test_rows(benchmark: Any, suite: PoseidonSuite, key: bytes | None) -> None:
    matrix, kernels = elements(ROWS, COLUMNS), hashing(suite)
    measure(benchmark, lambda: kernels.leaf_digests([matrix], [COLUMNS], key), ROWS, "row", 26)


@over_suites
def test_codeword_leaves(benchmark: Any, suite: PoseidonSuite) -> None:
    codeword, kernels = elements(5, 4, 1 << 16), hashing(suite)
    measure(benchmark, lambda: kernels.codeword_leaf_digests(codeword, 8), 1 << 15, "leaf", 5)


@over_suites
def test_nodes(benchmark: Any, suite: PoseidonSuite) -> None:
    children, kernels = elements(8, 2 * NODES), hashing(suite)
    measure(benchmark, lambda: kernels.node_digests(children, NODES), NODES, "node", 1)


@over_suites
def test_grind_of_16_bits(benchmark: Any, suite: PoseidonSuite) -> None:
    puzzle, kernels = encode_elements(range(8)), hashing(suite)
    tries = kernels.grind(puzzle, 16) + 1
    measure(benchmark, lambda: kernels.grind(puzzle, 16), tries, "try", 1)


@over_suites
def test_verification_of_a_row(benchmark: Any, suite: PoseidonSuite) -> None:
    """One row of 208 columns by the verifier, in Python."""
    row = encode_field(range(COLUMNS))
    benchmark(suite.leaf_digest, row)


@over_suites
def test_transcript(benchmark: Any, suite: PoseidonSuite) -> None:
    """1000 extension elements absorbed and one drawn by the verifier, in Python."""
    data = encode_field(range(5000))
    items = [Known("values", Kind.EXTENSION, 1000), Drawn("challenge", 1)]

    def run() -> None:
        transcript = Transcript(items, suite)
        transcript.known("values", data)
        transcript.draw("challenge")

    benchmark(run)
