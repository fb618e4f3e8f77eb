"""Honest proofs are accepted, over systems, heights and parameters."""

from __future__ import annotations

import pytest
from support.systems import Example, fibonacci, parameters, products

from stark.errors import Rejected
from stark.hash.suite import SUITES
from stark.prover.keygen import generate_key
from stark.prover.prove import prove
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.verify import verify


def prove_and_verify(example: Example, chosen: ProtocolParameters, context: bytes = b"") -> bytes:
    key = generate_key(example.system, chosen)
    proof = prove(key, example.traces, example.publics, context)
    verify(key.verification, proof, example.publics, context)
    return proof


@pytest.mark.parametrize("log_height", [2, 3, 4, 5, 6, 9])
def test_fibonacci_of_any_height(log_height: int) -> None:
    prove_and_verify(fibonacci(log_height), parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"log_blowup": 1},
        {"log_blowup": 4},
        {"log_max_arity": 1},
        {"log_max_arity": 2},
        {"log_final_length": 0},
        {"cap_height": 0},
        {"batching": "powers"},
        {"queries": 1},
        {"queries": 100},
        {"grinding_lookup": 0, "grinding_batching": 0, "grinding_fold": 0, "grinding_query": 0},
        {"regime": "jbr", "multiplicity": 3},
    ],
)
def test_fibonacci_with_any_parameters(changes: dict[str, object]) -> None:
    prove_and_verify(fibonacci(), parameters(**changes))


@pytest.mark.parametrize(
    ("log_work", "log_ledger", "real"),
    [(5, 4, 11), (5, 4, 16), (4, 6, 16), (8, 8, 200), (2, 2, 1), (10, 3, 8), (3, 9, 0)],
)
def test_three_tables_of_different_heights(log_work: int, log_ledger: int, real: int) -> None:
    prove_and_verify(products(log_work, log_ledger, real), parameters(), b"some context")


@pytest.mark.parametrize("batching", ["independent", "powers"])
@pytest.mark.parametrize("log_max_arity", [1, 2, 3])
def test_three_tables_with_any_folding(batching: str, log_max_arity: int) -> None:
    chosen = parameters(batching=batching, log_max_arity=log_max_arity, log_blowup=3)
    prove_and_verify(products(), chosen)


@pytest.mark.parametrize("hash_suite", list(SUITES))
@pytest.mark.parametrize("batching", ["independent", "powers"])
@pytest.mark.parametrize("zk", [False, True])
def test_whole_next_rows(zk: bool, batching: str, hash_suite: str) -> None:
    example = products(7, 7)
    system = System([table.air for table in example.system.tables], zk, whole_rows=True)
    masks = {"zk": True, "log_slack": 3, "log_blowup": 3} if zk else {}
    chosen = parameters(batching=batching, hash_suite=hash_suite, queries=2, **masks)
    prove_and_verify(Example(system, example.traces, example.publics), chosen)


def test_proofs_are_deterministic_without_masks() -> None:
    assert prove_and_verify(products(), parameters()) == prove_and_verify(products(), parameters())


def test_a_proof_is_bound_to_its_context() -> None:
    example = fibonacci()
    key = generate_key(example.system, parameters())
    proof = prove(key, example.traces, example.publics, b"context")
    with pytest.raises(Rejected):
        verify(key.verification, proof, example.publics, b"another")
