"""The fuzz targets on a fixed number of mutants from a fixed seed: what CI can afford."""

from __future__ import annotations

import random

import pytest
from fuzz.targets import (
    TARGETS,
    AcceptedMutantError,
    SlowError,
    Target,
    comparisons_passed,
    execute,
    mutate,
)
from golden.make import CONTEXT, load

from stark.errors import Rejected
from stark.verifier.verify import verify

EXECUTIONS = {
    "publication": 20,
    "unguarded-products": 250,
    "unguarded-hidden": 200,
    "csv": 400,
    "parquet": 250,
    "parquet-schema": 150,
    "store": 150,
}
"""Each of these is a millisecond or more."""


@pytest.mark.parametrize("name", TARGETS)
def test_target_on_mutants(name: str) -> None:
    target = TARGETS[name]()
    for seed in target.seeds:
        execute(target, seed, limit=60.0)  # compiles kernels, fills caches
    source = random.Random(f"fuzz {name}")
    different = 0
    for _ in range(EXECUTIONS.get(name, 600)):
        honest = source.choice(target.seeds)
        data = mutate(target, honest, source)
        different += data != honest
        execute(target, data)
    assert different > EXECUTIONS.get(name, 600) // 2


@pytest.mark.parametrize("name", ["empty", "honest"])
def test_an_unforeseen_exception_is_a_finding(name: str) -> None:
    def run(data: bytes) -> None:
        if not data:
            raise IndexError

    target = Target("example", run, (b"",))
    if name == "empty":
        with pytest.raises(IndexError):
            execute(target, b"")
    else:
        execute(target, b"1")


def test_a_slow_execution_is_a_finding() -> None:
    target = Target("example", lambda data: None, (b"",))
    with pytest.raises(SlowError):
        execute(target, b"", limit=-1.0)


def test_an_accepted_mutant_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGETS["verify-products"]()
    monkeypatch.setattr("fuzz.proof_targets.verify", lambda *_: None)
    execute(target, target.seeds[0])
    with pytest.raises(AcceptedMutantError):
        execute(target, target.seeds[0] + b"\0")


def test_unguarded_targets_reach_the_folds() -> None:
    """A changed opened row passes the tree, and is refused where the layers meet."""
    golden = load("products")
    target = TARGETS["unguarded-products"]()
    codes = set()
    for at in target.elements[-600::7]:
        changed = bytearray(golden.proof)
        changed[at] ^= 1
        with comparisons_passed():
            try:
                verify(golden.key, bytes(changed), golden.publics, CONTEXT)
            except Rejected as error:
                codes.add(error.code.value)
    assert "FriFold" in codes
