"""Twins of an inner key: each has a circuit of its own, which accepts no proof of the other's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from support.cheating import Case, case
from support.forged_traces import broken_fibonacci, broken_products
from support.recursion_forgeries import foreign, twin_case, whole_system
from support.recursion_inner import CONTEXT, Recursion, algebraic, circuit_of, inner_case
from support.recursion_systems import recursion
from support.systems import Example, Work, fibonacci, products

from stark.errors import Rejected
from stark.recursion.inputs import circuit_inputs
from stark.system import System
from stark.verifier.header import encode_header
from stark.verifier.key import VerificationKey
from stark.verifier.protocol import schema


def refused_by(one: Recursion, twin: Case) -> str:
    """Nothing that the twin's prover has is a proof for ``one``; where the circuit fails.

    Its own file is refused for its header. With the header of ``one`` and, if the parameters are
    the same, challenges drawn for that key, the circuit looks at it; and at the values that its own
    circuit would have.
    """
    honest = twin.honest()
    twin.verify(honest)
    assert one.natively(honest, twin.publics)
    assert one.in_circuit(honest, twin.publics) == "form"
    header = len(encode_header(twin.key.verification))
    renamed = encode_header(one.key) + honest[header:]
    assert one.natively(renamed, twin.publics)
    label = one.in_circuit(renamed, twin.publics)
    if one.key.parameters == twin.key.verification.parameters and schema(
        one.key, len(CONTEXT)
    ) == schema(twin.key.verification, len(CONTEXT)):
        lying = foreign(one.inner, twin)
        assert one.natively(lying, twin.publics)
        label = one.in_circuit(lying, twin.publics)
    assert label
    own = Recursion(twin)
    hints = own.hints(honest)
    assert own.failing(hints) == ""
    if len(hints) == one.circuit.hint_count:
        assert one.failing(hints)
    assert own.circuit.digest != one.circuit.digest
    return label


# ---- a constraint less

FIBONACCI_LABELS = list(broken_fibonacci())


@pytest.mark.parametrize("label", FIBONACCI_LABELS)
def test_a_constraint_of_one_table_dropped(label: str) -> None:
    one = recursion("one table")
    traces, result = broken_fibonacci()[label]
    publics = {"fibonacci": result or one.inner.publics["fibonacci"]}
    system = whole_system(one.inner.example, "fibonacci", label)
    # What the twin accepts: a witness that breaks that constraint alone.
    made = case(Example(system, traces, publics), one.key.parameters)
    twin = Case(made.example, made.key, CONTEXT)
    assert refused_by(one, twin) == "out of domain"


@pytest.mark.parametrize("name", list(broken_products()))
def test_a_constraint_of_several_tables_dropped(name: str) -> None:
    one = recursion("three heights")
    table, traces, values, labels = broken_products()[name]
    system = whole_system(one.inner.example, table, *labels)
    made = case(Example(system, traces, {"work": values}), one.key.parameters)
    twin = Case(made.example, made.key, CONTEXT)
    assert refused_by(one, twin) == "out of domain"


# ---- other fixed columns


class Elsewhere(Work):
    """Positions that end one row earlier, and stay."""

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"position": [*range(31), 30]}


def test_other_fixed_columns() -> None:
    one = recursion("three heights")
    example = products()
    airs = [Elsewhere(5), *(table.air for table in example.system.tables[1:])]
    publics = {"work": [example.publics["work"][0], 30]}
    made = case(Example(System(airs, whole_rows=True), example.traces, publics), one.key.parameters)
    twin = Case(made.example, made.key, CONTEXT)
    # The constraints are the same; the root of the fixed columns is another.
    assert twin.key.verification.system.digest() == one.key.system.digest()
    assert refused_by(one, twin) in ("query 0", "form")


def test_the_root_of_fixed_columns_alone() -> None:
    one = recursion("three heights")
    (root,) = one.key.preprocessed_cap
    other = replace(one.key, preprocessed_cap=(root[4:] + root[:4],))
    assert circuit_of(other).digest != one.circuit.digest
    with pytest.raises(Rejected):
        circuit_inputs(other, one.inner.honest(), one.inner.publics, CONTEXT)
    # The openings of the fixed columns do not lead to it.
    assert Recursion(replace_key(one.inner, other)).failing(one.hints(one.inner.honest()))


def replace_key(one: Case, key: VerificationKey) -> Case:
    return Case(one.example, replace(one.key, verification=key), one.context)


# ---- other parameters


@pytest.mark.parametrize(
    "changes",
    [
        {"queries": 2},
        {"queries": 4},
        {"log_blowup": 1},
        {"log_blowup": 3},
        {"log_max_arity": 2},
        {"log_final_length": 1},
        {"cap_height": 1},
        {"cap_height": 3},
        {"grinding_ali": 1},
        {"grinding_deep": 1},
        {"grinding_batching": 1},
        {"grinding_fold": 1},
        {"grinding_query": 1},
        {"regime": "jbr", "multiplicity": 3},
        {"regime": "jbr", "multiplicity": 4},
    ],
    ids=str,
)
def test_another_parameter(changes: dict[str, object]) -> None:
    one = recursion("one table")
    twin = inner_case(fibonacci(6), algebraic(**changes))
    assert refused_by(one, twin)


@pytest.mark.parametrize("more", [1, -1])
def test_another_number_of_bits_of_work(more: int) -> None:
    one = recursion("work without a bus")
    for site in ("grinding_ali", "grinding_deep", "grinding_batching", "grinding_query"):
        bits = getattr(one.key.parameters, site) + more
        twin = inner_case(one.inner.example, replace(one.key.parameters, **{site: bits}))
        assert refused_by(one, twin)


def test_masks_or_none() -> None:
    one = recursion("one table")
    twin = inner_case(fibonacci(6), algebraic(zk=True, log_slack=3, log_blowup=3))
    assert refused_by(one, twin) == "form"


# ---- another digest of the system, and nothing else


def test_another_order_of_equal_tables() -> None:
    one = recursion("equal heights")
    airs = [table.air for table in one.inner.example.system.tables]
    twin = twin_case(one.inner, System([airs[1], airs[0], *airs[2:]], whole_rows=True))
    assert refused_by(one, twin)


def test_another_name() -> None:
    # The same constraints in the same shape; only the key's digest differs.
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
    twin = Recursion(Case(made.example, made.key, CONTEXT))
    hints = twin.hints(twin.inner.honest())
    assert twin.failing(hints) == ""
    assert twin.key.digest != one.key.digest
    assert twin.key.shape == one.key.shape
    assert one.circuit.hint_count == len(hints)
    assert one.failing(hints)
    assert twin.failing(one.hints(one.inner.honest()))
    assert twin.circuit.digest != one.circuit.digest
    # Nothing but the constants tells them apart.
    assert twin.circuit.steps == one.circuit.steps
    assert twin.circuit.rows == one.circuit.rows


def test_a_circuit_is_a_function_of_the_key() -> None:
    one = recursion("three heights")
    again = inner_case(products(), algebraic())
    assert again.key.verification.digest == one.key.digest
    assert circuit_of(again.key.verification).digest == one.circuit.digest
