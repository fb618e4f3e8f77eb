"""Both verifiers on proofs that are made for the purpose: other parameters, lying provers."""

from __future__ import annotations

from typing import Any

import pytest
from support.cheating import (
    Case,
    LyingInCodewords,
    Matrix,
    case,
    configured,
    everywhere_case,
    fibonacci_case,
    hidden_case,
    products_case,
    random_words,
)
from support.cheating_fri import LyingInFri
from support.checks import check_equal
from support.systems import Example, fibonacci, parameters, products

from stark.field.extension import Element
from stark.field.koalabear import P
from stark.system import System as FirstSystem

from .comparing import same
from .system import System, Table, listings
from .verifier import make_key, verify_proof

ZK: dict[str, Any] = {"zk": True, "log_slack": 3, "log_blowup": 3}
PARAMETERS: list[dict[str, Any]] = [
    {"batching": "powers"},
    {"log_final_length": 0, "cap_height": 0},
    {"cap_height": 10},
    {"log_max_arity": 1, "regime": "jbr", "multiplicity": 3},
    {"log_max_arity": 2, "log_final_length": 4},
    {"grinding_lookup": 0, "grinding_deep": 0, "grinding_fold": 0},
    {"grinding_ali": 0, "grinding_batching": 0, "grinding_query": 0},
    {"queries": 1},
    {"queries": 200},
    ZK | {"batching": "powers", "cap_height": 10},
    ZK | {"log_slack": 4, "log_final_length": 0},
]


def second_system(one: Case) -> System:
    """The same system by the listings."""
    first = one.key.verification.system
    tables = []
    for table in first.tables:
        tables.append(Table(table.name, table.log_height))
        tables[-1].read(listings()[table.name])
    return System(tables, first.zk, first.whole_rows)


def compare(one: Case, proof: bytes, what: str) -> str:
    """Both verdicts on a proof."""
    key = one.key.verification
    system = second_system(one)
    own = make_key(system, key.parameters.encode(), key.preprocessed_cap)
    check_equal(own.digest().hex(), key.digest.hex(), what)
    return same(
        lambda: one.verify(proof),
        lambda: verify_proof(system, own, proof, one.publics, one.context),
        what,
    )


def hidden(example: Example, zk: bool) -> Example:
    """The example, with masks if there are to be any."""
    if not zk:
        return example
    tables = [table.air for table in example.system.tables]
    return Example(FirstSystem(tables, zk=True), example.traces, example.publics)


@pytest.mark.parametrize("changes", PARAMETERS, ids=str)
def test_other_parameters_and_heights(changes: dict[str, Any]) -> None:
    zk = changes.get("zk", False)
    examples = [fibonacci(7), products(), products(4, 4), products(8, 8)]
    for i, example in enumerate(examples):
        one = case(hidden(example, zk), parameters(**changes))
        proof = one.honest()
        check_equal(compare(one, proof, f"example {i}"), "accepted")
        at = len(proof) - 7 - 300 * i
        other = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
        check_equal(compare(one, other, f"example {i}, changed") != "accepted", True)


@pytest.mark.parametrize("zk", [False, True])
@pytest.mark.parametrize("batching", ["independent", "powers"])
def test_whole_next_rows(zk: bool, batching: str) -> None:
    for example in (fibonacci(7), products(), products(4, 4), products(8, 8)):
        tables = [table.air for table in example.system.tables]
        system = FirstSystem(tables, zk, whole_rows=True)
        changes: dict[str, Any] = ZK if zk else {}
        chosen = parameters(batching=batching, **changes)
        one = case(Example(system, example.traces, example.publics), chosen)
        check_equal(compare(one, one.honest(), "whole rows"), "accepted")


@pytest.mark.parametrize("layer", [0, 1])
def test_layers_that_are_other_words(layer: int) -> None:
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        return random_words(word.shape, 4) if number == layer else word

    for one in (fibonacci_case(), products_case(), hidden_case()):
        proof = one.prove(configured(LyingInFri, committed=committed))
        check_equal(compare(one, proof, f"layer {layer}"), "FriFold")


@pytest.mark.parametrize("height", [4, 5, 8])
def test_tables_that_do_not_join(height: int) -> None:
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        codewords[height] = random_words(codewords[height].shape, 3)

    for one in (products_case(), hidden_case()):
        proof = one.prove(configured(LyingInCodewords, change=change))
        check_equal(compare(one, proof, f"height {height}"), "FriFold")


@pytest.mark.parametrize("coefficient", [0, 3])
def test_another_final_polynomial(coefficient: int) -> None:
    def ended(self: Any, final: list[Element]) -> list[Element]:
        own = final[coefficient]
        final[coefficient] = ((own[0] + 1) % P, *own[1:])
        return final

    for one in (fibonacci_case(), products_case(), hidden_case(), everywhere_case()):
        proof = one.prove(configured(LyingInFri, ended=ended))
        check_equal(compare(one, proof, f"coefficient {coefficient}"), "FriFinal")
