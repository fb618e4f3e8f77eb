"""Group E of ``tests/vectors/negative_tests.json``: transcripts of provers that leave things out.

A prover that does not absorb a message may choose it after the challenges. What it then sends is
refused, because the verifier's challenges are others: here nothing else is wrong with its proof.
"""

from __future__ import annotations

from typing import Any

import pytest
from support.cheating import (
    SILENT,
    Case,
    DeafProver,
    LyingInAuxiliary,
    LyingInWork,
    altered,
    case,
    configured,
    everywhere_case,
    failing_nonce,
    fibonacci_case,
    products_case,
)
from support.checks import check, check_equal
from support.mutations import ProofMap, overwritten
from support.systems import fibonacci, parameters, products

from stark.errors import Code
from stark.field import extension as ext
from stark.field.koalabear import P
from stark.hash.sha256 import grind_succeeds
from stark.prover import prove as prover_module
from stark.prover.prove import Prover
from stark.transcript.schema import Grinding, Known, Sent
from stark.verifier.protocol import PROTOCOL, schema

LONG_WORK = dict.fromkeys(SILENT, 12)
"""Twelve bits at every site: a nonce for another transcript passes once in 4,096 times."""


def expect(one: Case, proof: bytes, code: Code, publics: Any = None) -> None:
    rejection = one.rejection(proof, publics)
    check(rejection.code is code, f"expected {code}, got {rejection}")


def deaf(*labels: str, **attributes: Any) -> type[Prover]:
    return configured(DeafProver, omitted=frozenset(labels), **attributes)


EARLY = [
    "protocol",
    "parameters",
    "key",
    "context",
    "public work",
    "heights",
    "main commitment",
    "auxiliary commitment",
    "terminals",
    "quotient commitment",
]
"""Messages before the out-of-domain point: leaving one out is met there at the latest."""


@pytest.mark.parametrize("label", EARLY)
def test_e1_e2_e3_a_message_is_not_absorbed(label: str) -> None:
    one = products_case(silent=True)
    expect(one, one.prove(deaf(label)), Code.OOD)
    # With work at every site the next nonce fails before that.
    working = case(one.example, parameters(**LONG_WORK))
    expect(working, working.prove(deaf(label)), Code.POW)


def test_e1_public_values_chosen_after_the_challenges() -> None:
    # The prover binds one value, proves another, and shows the one that it proved.
    one = fibonacci_case(silent=True)
    value = (one.publics["fibonacci"][0] + 1) % P

    class Adapting(DeafProver):
        omitted = frozenset({"public fibonacci"})

        def commit_main(self, main: Any) -> Any:
            commitment = super().commit_main(main)
            self.publics = {"fibonacci": (value,)}
            return commitment

    expect(one, one.prove(Adapting), Code.OOD, {"fibonacci": [value]})


def test_e3_terminals_chosen_after_the_challenges() -> None:
    # I4: the sum is zero, but the terminals were not bound.
    # It balances a bus on which a value that is no byte is looked up.
    one = products_case(silent=True)

    class Adapting(DeafProver, LyingInAuxiliary):
        omitted = frozenset({"terminals"})

        def change(self, matrices: Any, terminals: Any) -> None:
            others = ext.add(terminals["work"], terminals["ledger"])
            terminals["byte table"] = ext.negate(others)

    row = 20
    y = one.example.traces["work"]["y"][row]
    traces = altered(one.example.traces, "work", "x", row, 256)
    traces = altered(altered(traces, "work", "z", row, 256 * y), "work", "power", row, 0)
    expect(one, one.prove(traces=traces), Code.BUS)
    expect(one, one.prove(Adapting, traces=traces), Code.OOD)


@pytest.mark.parametrize("label", ["values fibonacci", "fri 0", "final polynomial"])
def test_e4_e13_a_later_message_is_not_absorbed(label: str) -> None:
    # All points are queried, so that openings have the same size under any challenges: what
    # fails is FRI, whose batching coefficients, fold challenge or nothing are others.
    one = everywhere_case()
    proof = one.prove(deaf(label))
    if label == "final polynomial":
        # Only the queries follow, and every point is one of them whatever they are. What fewer
        # queries refuse is in test_rejections_adaptive.py.
        one.verify(proof)
    else:
        code = Code.FRI_FOLD if label == "values fibonacci" else Code.FRI_FINAL
        expect(one, proof, code)
    working = case(fibonacci(), parameters(**LONG_WORK))
    expect(working, working.prove(deaf(label)), Code.POW)


def test_e13_a_first_layer_chosen_for_its_challenge() -> None:
    # With the root of a layer left out, later layers' challenges differ as well.
    one = case(fibonacci(4), parameters(**SILENT, queries=1000, log_max_arity=1))
    expect(one, one.prove(deaf("fri 0")), Code.FRI_FOLD)


def test_e7_another_protocol_string(monkeypatch: pytest.MonkeyPatch) -> None:
    one = products_case(silent=True)
    working = case(one.example, parameters(**LONG_WORK))
    honest = prover_module.bind

    def bind(transcript: Any, key: Any, values: Any, context: Any) -> None:
        known = transcript.known

        def other(label: str, data: bytes) -> None:
            known(label, data.swapcase() if label == "protocol" else data)

        transcript.known = other
        honest(transcript, key, values, context)

    monkeypatch.setattr(prover_module, "bind", bind)
    expect(one, one.prove(), Code.OOD)
    expect(working, working.prove(), Code.POW)
    check(PROTOCOL.swapcase() != PROTOCOL, "another string")


def test_e8_there_is_no_salt_without_masks() -> None:
    # A proof that hides nothing has none: its schema does not have the item.
    for one in (fibonacci_case(), products_case()):
        labels = [item.label for item in schema(one.key.verification, 0)]
        check("salt" not in labels, f"{labels}")


# ---- proofs of work

SITES = [
    "work lookup",
    "work constraints",
    "work zeta",
    "work batching",
    "work fold 0",
    "work fold 1",
    "work fold 2",
    "work queries",
]


def working_case() -> Case:
    one = products_case()
    items = schema(one.key.verification, 0)
    check_equal([item.label for item in items if isinstance(item, Grinding)], SITES)
    return one


@pytest.mark.parametrize("site", SITES)
def test_e9_a_wrong_nonce(site: str) -> None:
    # All else is honest, the later nonces too.
    one = working_case()

    def nonce(self: Any, bits: int) -> int:
        return failing_nonce(self.transcript.state, bits)

    rejection = one.rejection(one.prove(configured(LyingInWork, site=site, nonce=nonce)))
    check(rejection.code is Code.POW and rejection.check == site, f"{rejection}")


@pytest.mark.parametrize("site", SITES)
def test_e9_a_nonce_of_one_bit_too_few(site: str) -> None:
    one = case(products(), parameters(**dict.fromkeys(SILENT, 6)))

    def nonce(self: Any, bits: int) -> int:
        return failing_nonce(self.transcript.state, bits, passing=bits - 1)

    rejection = one.rejection(one.prove(configured(LyingInWork, site=site, nonce=nonce)))
    check(rejection.code is Code.POW and rejection.check == site, f"{rejection}")


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("change", ["zero", "largest", "missing", "another proof's"])
def test_e9_a_nonce_replaced_in_the_file(site: str, change: str) -> None:
    one = case(products(), parameters(**LONG_WORK))
    parts = ProofMap(one.key.verification, one.honest(), one.publics, one.context)
    section = parts.sections[site]
    other = ProofMap(
        one.key.verification, one.prove(context=b"another"), one.publics, b"another"
    ).data(site)
    if change == "missing":
        forged = parts.without(section.start, section.end)
    else:
        data = {"zero": bytes(8), "largest": b"\xff" * 8, "another proof's": other}[change]
        if data == parts.data(site):
            return
        forged = overwritten(one.honest(), section.start, data)
    rejection = one.rejection(forged)
    check(rejection.code is Code.POW and rejection.check == site, f"{rejection}")


@pytest.mark.parametrize("site", SITES)
def test_e10_work_done_before_the_commitment(site: str) -> None:
    # The nonce is found on the state before the last message, which is then free to choose.
    one = case(products(), parameters(**LONG_WORK))
    items = schema(one.key.verification, len(one.context))
    place = next(i for i, item in enumerate(items) if item.label == site)
    last = next(item.label for item in reversed(items[:place]) if isinstance(item, Sent))

    class Early(LyingInWork):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.site = site
            absorb = self.transcript._absorb

            def remembering(label: str, data: bytes) -> None:
                if label == last:
                    self.before = self.transcript.state
                absorb(label, data)

            self.transcript._absorb = remembering  # type: ignore[method-assign]

        def nonce(self, bits: int) -> int:
            nonce = 0
            while not grind_succeeds(self.before, nonce, bits):
                nonce += 1
            return nonce

    rejection = one.rejection(one.prove(Early))
    check(rejection.code is Code.POW and rejection.check == site, f"{rejection}")


def test_every_challenge_that_is_worked_for_comes_after_its_nonce() -> None:
    items = schema(working_case().key.verification, 3)
    protected = {
        item.label: items[number + 1].label
        for number, item in enumerate(items)
        if isinstance(item, Grinding)
    }
    check_equal(protected, {site: site.removeprefix("work ") for site in SITES})
    known = [number for number, item in enumerate(items) if isinstance(item, Known)]
    check_equal(known, list(range(len(known))), "what is known comes first")


# ---- commitments


@pytest.mark.parametrize(
    "pair",
    [
        ("main commitment", "auxiliary commitment"),
        ("main commitment", "quotient commitment"),
        ("auxiliary commitment", "quotient commitment"),
    ],
)
def test_e12_two_commitments_swapped(pair: tuple[str, str]) -> None:
    one = products_case(silent=True)
    parts = ProofMap(one.key.verification, one.honest(), one.publics, one.context)
    first, second = (parts.data(label) for label in pair)
    check_equal(len(first), len(second))
    forged = parts.changed(pair[0], 0, second)
    forged = overwritten(forged, parts.sections[pair[1]].start, first)
    expect(one, forged, Code.OOD)


@pytest.mark.parametrize("label", ["main commitment", "quotient commitment", "fri 0", "fri 1"])
def test_e12_digests_of_a_commitment_in_another_order(label: str) -> None:
    # Sent so by the prover, who takes the challenges that follow from it.
    one = fibonacci_case()

    class Reversing(Prover):
        def run(self, traces: Any) -> bytes:
            send = self.transcript.send_digests

            def reversed_digests(name: str, digests: Any) -> None:
                send(name, list(digests)[::-1] if name == label else digests)

            self.transcript.send_digests = reversed_digests  # type: ignore[method-assign]
            return super().run(traces)

    expect(one, one.prove(Reversing), Code.MERKLE)
