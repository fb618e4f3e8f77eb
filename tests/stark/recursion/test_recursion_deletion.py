"""Every check of the circuit is needed: without it a forgery passes that nothing else refuses.

The checks are found in the code, see :mod:`support.recursion_deletion`; a new one fails the first
test until there is a forgery for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    Case,
    ForeignProver,
    LyingInQuotient,
    LyingInWork,
    Matrix,
    altered,
    case,
    configured,
    plus,
    solve_linear,
)
from support.cheating_fri import LyingInFri
from support.forged_traces import bus_forgeries
from support.mutations import ProofMap, overwritten
from support.recursion_deletion import deleted_circuit, failing, passes_without, pool
from support.recursion_inner import CONTEXT, Recursion, algebraic, inner_case
from support.recursion_systems import recursion
from support.systems import Example, Work, products

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.prover.prove import Prover
from stark.recursion import reference
from stark.recursion.verifier import constant_capacity, ext_words
from stark.system import System
from stark.transcript import transcript as transcript_module
from stark.transcript.encoding import encode_field
from stark.transcript.schema import Grinding
from stark.verifier.out_of_domain import selectors_at, vanishing_at
from stark.verifier.protocol import schema

CAPACITY = "verify_in_circuit: constant digest 1"
ROOT = "verify_in_circuit: constant digest 2"

FORGED = {
    "CircuitTranscript.check_work: decompose",
    "CircuitTranscript.check_work: equals",
    "CircuitTranscript.draw_indices: decompose",
    "Fold.finish: equals",
    "HeightDeep._quotient: invert",
    "PointCache.check_outside: invert",
    "PointCache.selector: invert",
    "Queries.check: equals",
    "Queries.check: invert",
    "_constant_blocks: constant digest",
    "_read_index: index",
    "begin_fold: bit",
    "check_table: equals",
    "climb: cap look-up",
    "climb: node that waits",
    "fold_eight: value",
    "known_blocks: context",
    "known_blocks: heights",
    "known_blocks: public",
    "low_bits: bit",
    "verify_in_circuit: constant digest",
    "verify_in_circuit: equals",
}
"""The checks that the tests below delete."""

STATEMENT = {"statement_of: decompose", "statement_of: equals"}
"""Checks of the tests' own circuit, which takes a statement apart."""


def test_these_are_all_checks() -> None:
    found = set()
    for name in ("masks and work", "folds of two", "largest without bus and fixed columns"):
        found |= set(deleted_circuit(recursion(name).key, frozenset())[1].found)
    assert found - STATEMENT == FORGED


# ---- one lie, refused by one check


def test_the_identity_at_zeta() -> None:
    one = recursion("one table")
    traces = altered(one.inner.example.traces, "fibonacci", "a", 9, 1)
    proof = one.inner.prove(traces=traces)
    assert one.natively(proof) == "OOD"
    assert passes_without(one, "check_table: equals", one.hints(proof)) == "out of domain"


@pytest.mark.parametrize("kind", ["value 256 is no byte", "another product received"])
def test_the_sum_of_the_terminals(kind: str) -> None:
    one = recursion("three heights")
    proof = one.inner.prove(traces=bus_forgeries()[kind])
    assert one.natively(proof) == "Bus"
    assert passes_without(one, "verify_in_circuit: equals", one.hints(proof)) == "out of domain"


def test_proofs_of_work() -> None:
    one = recursion("work")
    sites = [item.label for item in schema(one.key, 32) if isinstance(item, Grinding)]
    assert len(sites) == 8

    def nonce(self: Any, bits: int) -> int:
        return next(n for n in range(1 << 20) if not self.transcript.works(n, bits))

    for number, site in enumerate(sites, start=1):
        proof = one.inner.prove(configured(LyingInWork, site=site, nonce=nonce))
        assert one.natively(proof) == "PoW"
        hints = one.hints(proof)
        equals = f"CircuitTranscript.check_work: equals {number}"
        assert passes_without(one, equals, hints) == "transcript"
        # Or other bits than those of what has been drawn.
        decompose = f"CircuitTranscript.check_work: decompose {number}"
        assert passes_without(one, decompose, hints, [[0]]) == "transcript"


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_the_value_in_a_leaf(layer: int) -> None:
    # Zero is of low degree: only the way from one word to the next shows that it is another.
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        return np.zeros_like(word) if number == layer else word

    lying = configured(LyingInFri, committed=committed)
    one = recursion("folds of two")
    proof = one.inner.prove(lying)
    assert one.natively(proof) == "FriFold"
    layers = len(one.key.parameters.schedule(one.key.system.log_heights))
    names = [f"Fold.finish: equals {layers * query + layer + 1}" for query in range(3)]
    assert passes_without(one, names, one.hints(proof)) == "query 0"


def test_the_value_in_a_leaf_of_eight() -> None:
    def committed(self: Any, number: int, word: Matrix) -> Matrix:
        return word if number else np.zeros_like(word)

    one = recursion("one table")
    proof = one.inner.prove(configured(LyingInFri, committed=committed))
    assert one.natively(proof) == "FriFold"
    assert passes_without(one, "fold_eight: value", one.hints(proof)) == "query 0"


def test_the_final_polynomial() -> None:
    def ended(self: Any, final: list[Element]) -> list[Element]:
        return [ext.add(final[0], ext.BASIS[4]), *final[1:]]

    for name in ("one table", "no layer", "masks"):
        one = recursion(name)
        proof = one.inner.prove(configured(LyingInFri, ended=ended))
        assert one.natively(proof) == "FriFinal"
        assert passes_without(one, "Queries.check: equals", one.hints(proof)) == "query 0"


# ---- digests


@pytest.mark.parametrize(
    ("number", "tree"),
    [(2, "main"), (3, "auxiliary"), (4, "quotient"), (5, "fri 0"), (6, "fri 1"), (7, "fri 2")],
)
def test_digests_of_a_cap(number: int, tree: str) -> None:
    class Sending(Prover):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            send = self.transcript.send_digests

            def send_digests(label: str, digests: Sequence[bytes]) -> None:
                moved = [digest[4:] + digest[:4] for digest in digests]
                send(label, moved if label in (tree, f"{tree} commitment") else digests)

            self.transcript.send_digests = send_digests  # type: ignore[method-assign]

    one = recursion("one query")
    proof = one.inner.prove(Sending)
    assert one.natively(proof) == "Merkle"
    assert passes_without(one, f"climb: cap look-up {number}", one.hints(proof)) == "query 0"


def test_rows_of_the_same_sum() -> None:
    # Two chunks of the quotient are changed, and their part in the batch is not.
    one = Recursion(inner_case(products(9), algebraic(queries=1)))
    circuit, builder = deleted_circuit(one.key, frozenset())
    witness = reference.run(circuit, [*pool([]), *one.hints(one.inner.honest()).tolist()])
    gamma = next(
        row.gamma
        for row, here in zip(witness.permutation, circuit.permutation["gamma here"], strict=True)
        if here and row is not None
    )
    parts = ProofMap(one.key, one.inner.honest(), one.inner.publics, CONTEXT)
    start, size = parts.trees["quotient"].row(0, 0)
    assert size >= 2 * 20
    proof = one.inner.honest()
    for at, change in ((start, ext.ONE), (start + 20, ext.negate(gamma))):
        old = [int.from_bytes(proof[at + 4 * k : at + 4 * k + 4], "little") for k in range(5)]
        new = ext.add(tuple(old), change)  # type: ignore[arg-type]
        proof = overwritten(proof, at, encode_field(new))
    assert one.natively(proof) == "Merkle"
    hints = one.hints(proof)
    assert passes_without(one, "climb: cap look-up 4", hints) == "query 0"
    # The leaf is of the largest table: other rows are hashed while the node over it waits.
    # The path through fixed columns has one such node, those through main and auxiliary ones two.
    waiting = witness.permutation[builder.pairs[5]]
    assert waiting is not None
    assert passes_without(one, "climb: node that waits 6", hints, [waiting.x[8:]]) == "query 0"


def twin_of_another_name() -> Recursion:
    one = recursion("one table")
    air = one.inner.example.system.tables[0].air
    renamed = type(air)(air.log_height)
    renamed.name = "lucas"
    example = Example(
        System([renamed], whole_rows=True),
        {"lucas": one.inner.example.traces["fibonacci"]},
        {"lucas": one.inner.publics["fibonacci"]},
    )
    made = case(example, one.key.parameters)
    return Recursion(Case(made.example, made.key, CONTEXT))


def test_what_the_transcript_begins_with() -> None:
    one, twin = recursion("one table"), twin_of_another_name()
    _, lanes = constant_capacity(twin.key)
    hints = twin.hints(twin.inner.honest())
    assert passes_without(one, CAPACITY, hints, [lanes])


class Elsewhere(Work):
    def preprocessed(self) -> dict[str, list[int]]:
        return {"position": [*range(31), 30]}


def test_the_root_of_the_fixed_columns() -> None:
    one = recursion("three heights")
    airs = [Elsewhere(5), *(table.air for table in products().system.tables[1:])]
    shown = {"work": [one.inner.publics["work"][0], 30]}
    made = case(
        Example(System(airs, whole_rows=True), one.inner.example.traces, shown), one.key.parameters
    )
    twin = Case(made.example, made.key, CONTEXT)
    proof = twin.prove(configured(ForeignProver, claimed=one.key))
    assert one.natively(proof, shown) == "Merkle"
    (root,) = twin.key.verification.preprocessed_cap
    hints = one.hints(proof, shown)
    assert passes_without(one, ROOT, hints, [ext_words(root)]) == "query 0"


def test_the_heights() -> None:
    one = recursion("one table")
    known = transcript_module.Transcript.known

    def other(self: Any, label: str, data: bytes) -> None:
        known(self, label, encode_field([7]) if label == "heights" else data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transcript_module.Transcript, "known", other)
        proof = one.inner.prove()
        hints = one.hints(proof)
    assert one.natively(proof)
    for name in ("_constant_blocks: constant digest", "known_blocks: heights"):
        assert passes_without(one, name, hints, [[0] * 7 + [7]])


def test_the_context() -> None:
    one = recursion("one table")
    proof = one.inner.honest()
    claimed = bytes(32)
    assert one.natively(proof, context=claimed)
    hints = one.hints(proof)
    own = [int(lane) for lane in hints[:16]]
    hints[:16] = one.statement(context=claimed)[:16]
    assert passes_without(one, "known_blocks: context", hints, [own[:8], own[8:]])


def test_public_values() -> None:
    # What is absorbed is what the columns have; what is claimed makes up, after zeta, for a
    # quotient that is off by 1: five equations over the base field, five values.
    one = recursion("five public values")
    log_height = one.key.system.log_heights[0]
    honest = one.inner.publics["publics"]
    shown: list[int] = []

    class Adapting(LyingInQuotient):
        constraint_challenge: Element

        def change(self, table: str, extension: Matrix) -> None:
            extension[:, :, 0] = plus(extension[:, :, 0], 1)

        def quotient(self, index: int, commitments: Any, challenge: Element) -> Any:
            self.constraint_challenge = challenge
            return super().quotient(index, commitments, challenge)

        def send_values(self, parts: Any, zeta: Element) -> Any:
            first = selectors_at(log_height, zeta)[0]
            powers = ext.powers(self.constraint_challenge, 5)
            weights = [ext.multiply(power, first) for power in powers]
            columns = [list(row) for row in zip(*weights, strict=True)]
            differences = solve_linear(columns, vanishing_at(log_height, zeta))
            shown[:] = [(v - d) % P for v, d in zip(honest, differences, strict=True)]
            return super().send_values(parts, zeta)

    proof = one.inner.prove(Adapting)
    claimed = {"publics": shown}
    assert one.natively(proof) == "OOD"
    assert one.natively(proof, claimed)
    hints = one.hints(proof)
    hints[: len(one.statement())] = one.statement(claimed)
    assert passes_without(one, "known_blocks: public", hints, [[0] * 3 + honest])


# ---- the harness


def test_without_deletion_the_circuit_is_that_of_the_builder() -> None:
    one = recursion("masks and work")
    circuit, builder = deleted_circuit(one.key, frozenset(), 0)
    assert circuit.digest == one.circuit.digest
    assert not builder.dropped
    everything = frozenset(FORGED)
    assert deleted_circuit(one.key, everything, 2000)[0].digest != one.circuit.digest


def test_an_honest_proof_passes_with_and_without() -> None:
    one = recursion("three heights")
    hints = [*pool([]), *one.hints(one.inner.honest()).tolist()]
    for name in ("check_table: equals", "climb: cap look-up", "Queries.check: equals"):
        assert failing(deleted_circuit(one.key, frozenset([name]))[0], hints) == ""
    assert failing(deleted_circuit(one.key, frozenset())[0], hints) == ""
