"""Group C of ``tests/vectors/negative_tests.json``: statement, verification key, public values.

C10 and C11 are about statements of liabilities too: see ``tests/air/test_publication_rejections``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.cheating import (
    Case,
    ForeignProver,
    case,
    configured,
    fibonacci_case,
    products_case,
    without_constraint,
)
from support.checks import check, check_equal
from support.mutations import ProofMap, overwritten
from support.systems import Bytes, Example, Fibonacci, Ledger, Work, fibonacci, parameters, products

from stark.constraints.air import Air, AirBuilder
from stark.errors import Code
from stark.field.koalabear import P
from stark.system import System
from stark.verifier.key import VerificationKey
from stark.verifier.verify import verify


def expect(one: Case, proof: bytes, code: Code, publics: Any = None) -> None:
    rejection = one.rejection(proof, publics)
    check(rejection.code is code, f"expected {code}, got {rejection}")


# ---- public values


@pytest.mark.parametrize("difference", [1, -1, 2**16])
def test_c2_another_public_value(difference: int) -> None:
    one = fibonacci_case(silent=True)
    value = (one.publics["fibonacci"][0] + difference) % P
    # Under the honest proof: the value is bound before the first challenge.
    expect(one, one.honest(), Code.OOD, {"fibonacci": [value]})
    # Proven as if it were true.
    publics = {"fibonacci": [value]}
    expect(one, one.prove(publics=publics), Code.OOD, publics)


@pytest.mark.parametrize("place", [0, 1])
def test_c2_another_public_value_of_one_table_among_several(place: int) -> None:
    one = products_case(silent=True)
    values = list(one.publics["work"])
    values[place] = (values[place] + 1) % P
    expect(one, one.honest(), Code.OOD, {"work": values})


def test_c11_a_proof_replayed_for_another_result() -> None:
    # Proof of the Fibonacci number of one height, shown for that of another.
    shorter, longer = fibonacci_case(5, silent=True), fibonacci_case(6, silent=True)
    expect(longer, longer.honest(), Code.OOD, shorter.publics)
    expect(longer, shorter.honest(), Code.SHAPE)


@pytest.mark.parametrize(
    "publics",
    [
        {"fibonacci": []},
        {},
        {"fibonacci": [1, 0]},
        {"fibonacci": [0, 1]},
        {"fibonacci": [1] * 3},
        {"fibonacci": [1], "other": []},
        {"fibonacci": [1], "": [0]},
        {"Fibonacci": [1]},
    ],
)
def test_c3_public_values_of_another_number(publics: dict[str, list[int]]) -> None:
    one = fibonacci_case()
    own = one.publics["fibonacci"][0]
    filled = {name: [own if v == 1 else v for v in values] for name, values in publics.items()}
    expect(one, one.honest(), Code.PUBLIC, filled)


def test_c3_public_values_moved_between_tables() -> None:
    one = products_case()
    first, second = one.publics["work"]
    for publics in (
        {"work": [first], "ledger": [second]},
        {"work": [first, second], "ledger": [0]},
        {"ledger": [first, second]},
        {"work": [first, second, 0]},
    ):
        expect(one, one.honest(), Code.PUBLIC, publics)


@pytest.mark.parametrize("alias", [P, -P, 2 * P, 2**32, 2**64])
def test_c4_alias_of_a_public_value(alias: int) -> None:
    one = fibonacci_case()
    value = one.publics["fibonacci"][0]
    expect(one, one.honest(), Code.CANONICAL, {"fibonacci": [value + alias]})


@pytest.mark.parametrize("value", [True, 1.0, "1", None, b"1", (1,), -1, P])
def test_c4_a_public_value_that_is_no_canonical_integer(value: object) -> None:
    one = fibonacci_case()
    expect(one, one.honest(), Code.CANONICAL, {"fibonacci": [value]})


# ---- keys


class Twin(Air):
    """Fibonacci in another order, with another name for something, or with other constants."""

    name = "fibonacci"

    def __init__(self, log_height: int, variant: str) -> None:
        super().__init__(log_height)
        self.variant = variant

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("B" if self.variant == "column name" else "b")
        result = t.public("outcome" if self.variant == "public name" else "result")
        start = 2 if self.variant == "constant" else 1
        moves = [a.next - b, b.next - (a + b)]
        if self.variant == "reordered":
            moves.reverse()
        if self.variant == "sign":
            moves[0] = b - a.next
        if self.variant == "last first":
            t.last_row("ends at the result", b - result)
        t.first_row("starts at 1, 1", a - 1, b - start)
        t.transition("moves" if self.variant == "label" else "moves on", *moves)
        if self.variant != "last first":
            t.last_row("ends at the result", b - result)


VARIANTS = [
    "column name",
    "public name",
    "constant",
    "reordered",
    "sign",
    "last first",
    "label",
]


def twin_case(variant: str) -> Case:
    one = fibonacci_case(silent=True)
    traces = one.example.traces
    if variant == "column name":
        own = traces["fibonacci"]
        traces = {"fibonacci": {"a": own["a"], "B": own["b"]}}
    return case(
        Example(System([Twin(6, variant)]), traces, one.publics), one.key.verification.parameters
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_c5_c8_key_of_another_air_of_the_same_shape(variant: str) -> None:
    one, twin = fibonacci_case(silent=True), twin_case(variant)
    check_equal(twin.key.verification.shape, one.key.verification.shape)
    check(twin.key.verification.digest != one.key.verification.digest, "digests differ")
    expect(one, twin.prove(), Code.VK)
    expect(twin, one.honest(), Code.VK)
    # Its own constraints, under the digest and the transcript of the real key.
    lying = configured(ForeignProver, claimed=one.key.verification)
    proof = twin.prove(lying)
    if variant in ("column name", "public name", "label"):
        one.verify(proof)  # names carry no weight in the identity
    else:
        expect(one, proof, Code.OOD)


@pytest.mark.parametrize("label", ["starts at 1, 1 [0]", "moves on [1]", "ends at the result"])
def test_c5_key_of_an_air_with_one_constraint_less(label: str) -> None:
    one = fibonacci_case(silent=True)
    weaker = case(
        Example(
            without_constraint(one.example.system, "fibonacci", label),
            one.example.traces,
            one.publics,
        ),
        one.key.verification.parameters,
    )
    check_equal(weaker.key.verification.shape, one.key.verification.shape)
    expect(one, weaker.prove(), Code.VK)
    expect(weaker, one.honest(), Code.VK)


class OtherBytes(Bytes):
    """The byte table with one other value."""

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"value": [*range(255), 256]}


def test_c5_key_with_other_preprocessed_values() -> None:
    one = products_case()
    twin = case(
        Example(System([Work(5), Ledger(4), OtherBytes()]), one.example.traces, one.publics),
        one.key.verification.parameters,
    )
    check_equal(twin.example.system.digest(), one.example.system.digest())
    check_equal(twin.key.verification.shape, one.key.verification.shape)
    expect(one, twin.prove(), Code.VK)
    expect(twin, one.honest(), Code.VK)
    # A value 256 sold as a byte, with the root of the real key in the transcript.
    traces = {
        name: {c: list(v) for c, v in own.items()} for name, own in one.example.traces.items()
    }
    work = traces["work"]
    row = next(i for i in range(20, 32) if work["x"][i] != 255)
    traces["byte table"]["multiplicity"][work["x"][row]] -= 1
    traces["byte table"]["multiplicity"][255] += 1
    work["x"][row], work["z"][row] = 256, 256 * work["y"][row] % P
    work["power"][row] = pow(256, 4, P) * (row % 2)
    check_equal(traces["byte table"]["multiplicity"][255], 1, "255 is looked up by nobody else")
    twin.verify(twin.prove(traces=traces))
    lying = configured(ForeignProver, claimed=one.key.verification)
    rejection = one.rejection(twin.prove(lying, traces=traces))
    check_equal(rejection.code, Code.MERKLE)
    check("preprocessed" in rejection.check, rejection.check)


def test_c6_the_file_holds_no_key() -> None:
    # The verifier is handed its key. The file repeats the key's header, byte by byte comparable:
    # whatever else stands there is refused, and nothing of it is used.
    check_equal(list(inspect.signature(verify).parameters), ["key", "proof", "publics", "context"])
    one = fibonacci_case()
    parts = ProofMap(one.key.verification, one.honest(), one.publics, one.context)
    codes = {
        "magic": {Code.FORMAT},
        "version": {Code.VERSION},
        "parameters": {Code.PARAMS, Code.SUITE, Code.POLICY, Code.CANONICAL},
        "shape": {Code.SHAPE},
        "key digest": {Code.VK},
    }
    for name, allowed in codes.items():
        section = parts.sections[name]
        for position in range(section.start, section.end):
            for value in (0, 1, 2, 127, 128, 255, one.honest()[position] ^ 1):
                if value != one.honest()[position]:
                    forged = overwritten(one.honest(), position, bytes([value]))
                    code = one.rejection(forged).code
                    check(code in allowed, f"{name}, byte {position}, {value}: {code}")


def test_c6_digest_of_another_key_in_the_file() -> None:
    one = fibonacci_case()
    parts = ProofMap(one.key.verification, one.honest(), one.publics, one.context)
    others = [twin_case("constant"), products_case(), fibonacci_case(5)]
    for digest in [*(o.key.verification.digest for o in others), bytes(32), b"\xff" * 32]:
        expect(one, parts.changed("key digest", 0, digest), Code.VK)


def test_c8_any_order_of_constraints_has_its_own_digest() -> None:
    digests = {System([Twin(6, variant)]).digest() for variant in VARIANTS}
    digests.add(System([Fibonacci(6)]).digest())
    check_equal(len(digests), len(VARIANTS) + 1)


class Named(Fibonacci):
    """Fibonacci under another name."""

    def __init__(self, name: str, log_height: int) -> None:
        super().__init__(log_height)
        self.name = name


def pair(*names: str) -> Case:
    own = fibonacci(4)
    return case(
        Example(
            System([Named(name, 4) for name in names]),
            dict.fromkeys(names, own.traces["fibonacci"]),
            dict.fromkeys(names, own.publics["fibonacci"]),
        ),
        parameters(),
    )


def test_c9_order_of_the_tables() -> None:
    # Tables of one shape: the header's shapes agree, the digests do not.
    one, other = pair("first", "second"), pair("second", "first")
    check_equal(one.key.verification.shape, other.key.verification.shape)
    expect(one, other.honest(), Code.VK)
    expect(other, one.honest(), Code.VK)
    # Tables of different shapes: the shape is looked at before the digest.
    ordered = products_case()
    airs = [Ledger(4), Work(5), Bytes()]
    permuted = case(
        Example(System(airs), ordered.example.traces, ordered.publics),
        ordered.key.verification.parameters,
    )
    permuted.verify(permuted.honest())
    expect(ordered, permuted.honest(), Code.SHAPE)
    parts = ProofMap(
        permuted.key.verification, permuted.honest(), permuted.publics, permuted.context
    )
    relabelled = parts.changed("shape", 0, ordered.key.verification.shape)
    expect(ordered, relabelled, Code.VK)


def test_every_pair_of_keys_is_told_apart() -> None:
    systems = [fibonacci(n).system for n in (4, 5, 6)]
    systems += [products(*heights).system for heights in ((5, 4), (4, 5), (5, 5))]
    systems += [System([Twin(6, variant)]) for variant in VARIANTS]
    systems += [without_constraint(fibonacci(6).system, "fibonacci", "moves on [0]")]
    chosen = [parameters(), parameters(queries=13)]
    caps: list[tuple[bytes, ...]] = [(bytes([n]) * 32,) for n in (1, 2)]
    digests = [
        VerificationKey(system, one, cap).digest
        for system in systems
        for one in chosen
        for cap in (caps if len(system.tables) == 3 else [()])
    ]
    check_equal(len(set(digests)), len(digests))


# ---- context


def test_c10_a_context_that_differs_anywhere() -> None:
    one = fibonacci_case(silent=True)
    proof = one.honest()
    for context in (
        b"",
        b"Context",
        b"context ",
        b"contex",
        b"context\0",
        b"\0context",
        b"x" * 1000,
    ):
        rejection = one.rejection(proof, context=context)
        check_equal(rejection.code, Code.OOD)
    # Bytes cannot move between the context and what follows it.
    empty = one.prove(context=b"")
    check_equal(one.rejection(empty, context=b"\0").code, Code.OOD)
