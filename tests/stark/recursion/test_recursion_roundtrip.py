"""Honest inner proofs of many kinds are accepted and have witnesses; outer proofs are accepted."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from support.cheating import Case, Seeded, case
from support.recursion_inner import CONTEXT, Recursion, algebraic, circuit_of
from support.recursion_systems import KINDS, recursion
from support.systems import Example, parameters

from stark.constraints.expression import Part
from stark.debug.faults import explain, faults
from stark.errors import Rejected, UsageError
from stark.field.montgomery import from_montgomery
from stark.hash.suite import POSEIDON2_SUITE
from stark.prover.keygen import generate_key
from stark.prover.prove import Prover, prove
from stark.prover.trace import MontgomeryTrace
from stark.recursion import reference
from stark.recursion.system import circuit_system
from stark.soundness.parameters import ProtocolParameters
from stark.verifier.verify import verify


@pytest.mark.parametrize("name", KINDS)
def test_an_accepted_proof_has_a_witness(name: str) -> None:
    one = recursion(name)
    proof = one.inner.honest()
    one.inner.verify(proof)
    hints = one.hints(proof)
    assert hints.shape == (one.circuit.hint_count,)
    plain = reference.run(one.circuit, hints.tolist())
    witness = one.generator.run(hints)
    assert plain.public == witness.public == one.public()
    wires = from_montgomery(witness.wires).tolist()
    assert [tuple(wires[address]) for address in sorted(plain.wires)] == [
        plain.wires[address] for address in sorted(plain.wires)
    ]


@pytest.mark.parametrize("name", KINDS)
def test_the_witness_satisfies_the_tables(name: str) -> None:
    one = recursion(name)
    witness = one.witness(one.inner.honest())
    system = circuit_system(one.shape, zk=False, whole_rows=False, circuit=one.circuit)
    traces = {
        table.name: from_montgomery(witness.traces[table.name].matrix)[
            :, : table.width(Part.MAIN)
        ].astype(np.int64)
        for table in system.tables
    }
    found = faults(system, traces, {"permutation": list(witness.public)})
    assert not found, explain(found[:3])


def test_the_kinds_are_what_their_names_say() -> None:
    schedules = {
        name: recursion(name).key.parameters.schedule(recursion(name).key.system.log_heights)
        for name in KINDS
    }
    assert schedules["no layer"] == schedules["masks without a layer"] == ()
    assert schedules["three heights"] == (3, 1, 2)
    assert {arity for schedule in schedules.values() for arity in schedule} == {1, 2, 3}
    largest = recursion("largest without bus and fixed columns").key.system
    assert [table.bus_argument.width for table in largest.tables if table.log_height == 10] == [0]


def test_another_proof_of_the_same_statement_has_the_same_public_value() -> None:
    one = recursion("masks")
    inner = one.inner
    prover = Prover(inner.key, inner.publics, CONTEXT, None, Seeded(b"other masks"))
    other = prover.run(inner.example.traces)
    assert other != one.inner.honest()
    assert one.witness(other).public == one.witness(one.inner.honest()).public


def test_keys_that_a_circuit_does_not_verify() -> None:
    example = recursion("one table").inner.example
    for changes in (
        {"batching": "independent"},
        {"hash_suite": "sha256"},
        {"hash_suite": POSEIDON2_SUITE.name},
    ):
        key = generate_key(example.system, algebraic(**changes)).verification
        with pytest.raises(UsageError):
            circuit_of(key)


# ---- outer proofs


def outer_key(one: Recursion, chosen: ProtocolParameters) -> Case:
    """The circuit's system with the witness of the honest inner proof."""
    whole = chosen.batching == "powers"
    system = circuit_system(one.shape, zk=chosen.zk, whole_rows=whole, circuit=one.circuit)
    witness = one.witness(one.inner.honest())
    traces = {name: from_montgomery(trace.matrix) for name, trace in witness.traces.items()}
    columns = {
        table.name: {
            name: traces[table.name][:, number].tolist()
            for number, name in enumerate(table.symbolic.columns[Part.MAIN])
            if number < table.witness_width
        }
        for table in system.tables
    }
    made = case(Example(system, columns, {"permutation": list(witness.public)}), chosen)
    return Case(made.example, made.key, CONTEXT)


@cache
def outer_of_poseidon() -> Recursion:
    return Recursion(outer_key(recursion("one table"), algebraic(queries=2, log_blowup=2)))


@pytest.mark.parametrize("name", ["three heights", "masks and work"])
def test_an_outer_proof_is_accepted(name: str) -> None:
    one = recursion(name)
    system = circuit_system(one.shape, zk=False, whole_rows=False, circuit=one.circuit)
    key = generate_key(system, parameters(queries=3))
    witness = one.witness(one.inner.honest())
    proof = prove(key, dict(witness.traces), {"permutation": witness.public}, CONTEXT)
    verify(key.verification, proof, {"permutation": one.public()}, CONTEXT)
    for wrong in (one.public(context=bytes(32)), tuple(reversed(one.public()))):
        with pytest.raises(Rejected):
            verify(key.verification, proof, {"permutation": wrong}, CONTEXT)


def test_an_outer_proof_that_hides_is_accepted() -> None:
    one = recursion("one table")
    system = circuit_system(one.shape, zk=True, whole_rows=False, circuit=one.circuit)
    chosen = parameters(queries=2, zk=True, log_slack=2, log_blowup=3)
    key = generate_key(system, chosen)
    witness = one.witness(one.inner.honest())
    traces = {name: MontgomeryTrace(trace.matrix) for name, trace in witness.traces.items()}
    # Masks of tables so low are too short to hide: the prover that asks is passed over.
    publics = {"permutation": witness.public}
    proof = Prover(key, publics, CONTEXT, None, Seeded(b"masks")).run(traces)
    verify(key.verification, proof, {"permutation": one.public()}, CONTEXT)


def test_depth_two() -> None:
    # The outer proof is the inner proof of a second circuit, whose proof is accepted in turn.
    outer = outer_of_poseidon()
    proof = outer.inner.honest()
    outer.inner.verify(proof)
    witness = outer.witness(proof)
    assert witness.public == outer.public()
    system = circuit_system(outer.shape, zk=False, whole_rows=False, circuit=outer.circuit)
    key = generate_key(system, parameters(queries=2))
    second = prove(key, dict(witness.traces), {"permutation": witness.public})
    verify(key.verification, second, {"permutation": outer.public()})


def test_depth_two_refuses_what_depth_one_is_not() -> None:
    outer = outer_of_poseidon()
    proof = outer.inner.honest()
    lanes = outer.inner.publics["permutation"]
    for publics in ([*lanes[:7], lanes[7] ^ 1], lanes[::-1], [0] * 8):
        assert outer.natively(proof, {"permutation": publics})
        assert outer.in_circuit(proof, {"permutation": publics})
    # A witness with one wrong cell, proven all the same.
    for table, column, row in (("arithmetic", 15, 3), ("permutation", 148, 9), ("fold", 90, 0)):
        name = next(
            air for air in outer.inner.example.system.tables if air.name == table
        ).symbolic.columns[Part.MAIN][column]
        columns = dict(outer.inner.example.traces)
        cells = list(columns[table][name])
        cells[row] ^= 1
        columns[table] = {**columns[table], name: cells}
        forged = outer.inner.prove(traces=columns)
        assert outer.natively(forged)
        assert outer.in_circuit(forged)
