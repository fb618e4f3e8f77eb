"""Group G of ``tests/vectors/negative_tests.json``: quotients, out-of-domain values, DEEP.

Every proof here comes from a prover that lies in one round and is honest about its transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    Case,
    LyingInAuxiliary,
    LyingInCodewords,
    LyingInMain,
    LyingInQuotient,
    LyingInValues,
    Matrix,
    bump,
    case,
    configured,
    everywhere_case,
    fibonacci_case,
    plus,
    products_case,
    refused,
)
from support.checks import check, check_equal
from support.forged_traces import broken_products, bus_forgeries
from support.systems import Columns, parameters

from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import GENERATOR, P, root_of_unity
from stark.field.ntt import coset_shift
from stark.prover.keygen import ProvingKey
from stark.prover.openings import TableColumns
from stark.prover.prove import Prover
from stark.verifier import verify as verifier_module
from stark.verifier.layout import TableLayout
from stark.verifier.out_of_domain import check_zeta

# ---- quotients


@pytest.mark.parametrize("table", ["work", "ledger", "byte table"])
@pytest.mark.parametrize("chunk", [0, -1])
@pytest.mark.parametrize("limb", [0, 4])
def test_quotient_chunk_altered(table: str, chunk: int, limb: int) -> None:
    one = products_case()
    chunks = {t.name: t.quotient_chunks for t in one.example.system.tables}

    def change(self: Any, name: str, extension: Matrix) -> None:
        if name == table:
            column = DEGREE * (chunk % chunks[table]) + limb
            extension[:, :, column] = plus(extension[:, :, column], 1)

    rejection = refused(one, one.prove(configured(LyingInQuotient, change=change)), Code.OOD)
    check(table in rejection.check, rejection.check)


@pytest.mark.parametrize("factor", [None, 2, P - 1])
def test_quotient_chunks_swapped_or_scaled(factor: int | None) -> None:
    # G4
    def change(self: Any, name: str, extension: Matrix) -> None:
        if name != "work":
            return
        if factor is None:
            first = extension[:, :, :DEGREE].copy()
            extension[:, :, :DEGREE] = extension[:, :, DEGREE : 2 * DEGREE]
            extension[:, :, DEGREE : 2 * DEGREE] = first
        else:
            extension[:] = (extension.astype(np.uint64) * factor % P).astype(np.uint32)

    one = products_case()
    refused(one, one.prove(configured(LyingInQuotient, change=change)), Code.OOD)


class LongChunk(LyingInQuotient, LyingInValues):
    """q_0 + X^(N + e) and q_1 - X^e: the same quotient, in a chunk of degree N + e."""

    excess = 1

    def change(self, *arguments: Any) -> None:  # type: ignore[override]
        log_blowup = self.parameters.log_blowup
        table = self.tables[0]
        shifts = [coset_shift(table.log_height, log_blowup, c) for c in range(1 << log_blowup)]
        if isinstance(arguments[0], str):
            name, extension = arguments
            if name != table.name:
                return
            for coset, shift in enumerate(shifts):
                for row in range(table.height):
                    point = shift * pow(root_of_unity(table.log_height), row, P) % P
                    cells = extension[coset, row]
                    small = pow(point, self.excess, P)
                    cells[0] = plus(cells[:1], pow(point, table.height, P) * small)[0]
                    cells[DEGREE] = plus(cells[DEGREE : DEGREE + 1], -small)[0]
            return
        # The honest evaluation takes what is on coset 0 for values of a polynomial of degree
        # below N: there X^N is a constant.
        _, values = arguments
        first = len(values[0]) - table.quotient_chunks
        constant = ext.from_base(pow(shifts[0], table.height, P))
        correction = ext.subtract(ext.power(self.zeta, table.height), constant)
        monomial = ext.power(self.zeta, self.excess)
        values[0][first] = ext.add(values[0][first], ext.multiply(monomial, correction))


def test_quotient_chunk_of_too_high_degree() -> None:
    # G5: the identity at zeta holds; FRI alone can see it.
    one = products_case()
    refused(one, one.prove(LongChunk), Code.FRI_FINAL)


def test_degree_n_itself_is_admitted() -> None:
    # (f(X) - f(z)) / (X - z) has degree below N for an f of degree N: FRI admits N + 1
    # coefficients, and the estimator counts them (its degrees are those of N + o - 1).
    one = products_case()
    proof = one.prove(configured(LongChunk, excess=0))
    check(proof != one.honest(), "another proof of the same statement")
    one.verify(proof)


# ---- out-of-domain values


def opened_values(one: Case) -> list[tuple[int, int]]:
    """(table, value) of all out-of-domain values."""
    return [
        (number, value)
        for number, table in enumerate(one.example.system.tables)
        for value in range(TableLayout.of(table).value_count)
    ]


def lying_in_value(table: int, value: int, **attributes: Any) -> type[Prover]:
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[table][value] = ext.add(values[table][value], (0, 0, 1, 0, 0))

    return configured(LyingInValues, change=change, **attributes)


@pytest.mark.parametrize(("table", "value"), opened_values(products_case()))
def test_out_of_domain_value_altered(table: int, value: int) -> None:
    one = products_case()
    rejection = refused(one, one.prove(lying_in_value(table, value)), Code.OOD)
    check(one.example.system.tables[table].name in rejection.check, rejection.check)


@pytest.mark.parametrize(("table", "value"), [(0, 0), (0, 3), (1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize(
    ("honest_codewords", "code"), [(False, Code.FRI_FINAL), (True, Code.FRI_FOLD)]
)
def test_out_of_domain_value_altered_with_the_identity_solved(
    table: int, value: int, honest_codewords: bool, code: Code
) -> None:
    # G2: the DEEP quotient is no polynomial; or FRI is run on another word than it.
    one = products_case()
    lying = lying_in_value(table, value, solved=True, honest_codewords=honest_codewords)
    refused(one, one.prove(lying), code)


def swap_next(self: Any, parts: Sequence[TableColumns], values: list[list[Element]]) -> None:
    """The values of the next row are those of this one."""
    for part, own in zip(parts, values, strict=True):
        for number, cell in enumerate(part.layout.following):
            own[len(part.layout.here) + number] = own[part.layout.here.index(cell)]


def test_next_row_opened_at_zeta() -> None:
    # G6: refused by the identity, or, if that is solved for it, by FRI.
    one = fibonacci_case()
    refused(one, one.prove(configured(LyingInValues, change=swap_next)), Code.OOD)
    solved = configured(LyingInValues, change=swap_next, solved=True, honest_codewords=True)
    refused(one, one.prove(solved), Code.FRI_FOLD)
    solved = configured(LyingInValues, change=swap_next, solved=True)
    refused(one, one.prove(solved), Code.FRI_FINAL)


def test_errors_of_two_values_do_not_cancel() -> None:
    # H13: with equal batching coefficients +e and -e would; they are independent.
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[0][1] = bump(values[0][1], 7)
        values[0][2] = bump(values[0][2], -7)

    one = products_case()
    solved = configured(LyingInValues, change=change, solved=True, honest_codewords=True)
    refused(one, one.prove(solved), Code.FRI_FOLD)
    # Nor do they in powers of one challenge.
    powers = case(one.example, parameters(batching="powers"))
    refused(powers, powers.prove(solved), Code.FRI_FOLD)


def test_honest_run_of_the_lying_provers() -> None:
    # The harness itself changes nothing: a lie that is none is accepted.
    def nothing(self: Any, *arguments: Any) -> None:
        return None

    one = products_case()
    kinds = (LyingInMain, LyingInAuxiliary, LyingInQuotient, LyingInValues, LyingInCodewords)
    for kind in kinds:
        check_equal(one.prove(configured(kind, change=nothing)), one.honest(), kind.__name__)
    solved = configured(LyingInValues, change=nothing, solved=True)
    check_equal(one.prove(solved), one.honest(), "solving the identity of a true claim")


# ---- the verifier's own points


@pytest.mark.parametrize("log_height", [3, 6])
@pytest.mark.parametrize("log_blowup", [1, 3])
def test_zeta_in_a_domain(log_height: int, log_blowup: int) -> None:
    # G3: on the trace domain of any table, or on the evaluation coset of any.
    for smaller in range(log_height + 1):
        on_trace = ext.from_base(root_of_unity(smaller))
        on_coset = ext.from_base(GENERATOR * root_of_unity(smaller + log_blowup))
        for zeta in (on_trace, on_coset):
            with pytest.raises(Rejected) as caught:
                check_zeta(zeta, log_height, log_blowup, GENERATOR)
            check_equal(caught.value.code, Code.DOMAIN)
    check_zeta(ext.from_base(5), log_height, log_blowup, GENERATOR)
    check_zeta((0, 1, 0, 0, 0), log_height, log_blowup, GENERATOR)


def test_zeta_in_a_domain_stops_the_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    # G3: challenges that no prover can have, drawn by a mocked transcript.
    one = fibonacci_case()
    proof = one.honest()
    draw = verifier_module.VerifierTranscript.draw
    for zeta in (ext.ONE, ext.from_base(root_of_unity(6)), ext.from_base(GENERATOR)):

        def drawn(self: Any, label: str, zeta: Element = zeta) -> tuple[Element, ...]:
            honest = draw(self, label)
            return (zeta,) if label == "zeta" else honest

        monkeypatch.setattr(verifier_module.VerifierTranscript, "draw", drawn)
        refused(one, proof, Code.DOMAIN)


def test_query_point_equal_to_an_opening_point(monkeypatch: pytest.MonkeyPatch) -> None:
    # H9: with the check of zeta gone, the division at the query refuses.
    one = everywhere_case()
    zeta = ext.from_base(GENERATOR)  # point 0 of the evaluation coset
    draw = verifier_module.VerifierTranscript.draw
    monkeypatch.setattr(
        verifier_module.VerifierTranscript,
        "draw",
        lambda self, label: (draw(self, label), (zeta,))[label == "zeta"],
    )
    for name in ("check_zeta", "check_table"):
        monkeypatch.setattr(verifier_module, name, lambda *_: None)
    refused(one, one.honest(), Code.DOMAIN)


# ---- each check is the only one between a forgery and acceptance


def single_lies() -> dict[str, tuple[str, Code, Prover | Any, Columns | None]]:
    """By the check that refuses it: its class, a lying prover, and a witness if another."""
    broken = broken_products()["z is the product"][1]
    return {
        "check_table": ("check_table", Code.OOD, Prover, broken),
        "check_buses": (
            "check_buses",
            Code.BUS,
            Prover,
            bus_forgeries()["value 256 is no byte"],
        ),
    }


@pytest.mark.parametrize("name", list(single_lies()))
def test_without_the_check_the_forgery_is_accepted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_name, code, prover, traces = single_lies()[name]
    one = products_case()
    proof = one.prove(prover, traces=traces)
    refused(one, proof, code)
    monkeypatch.setattr(verifier_module, check_name, lambda *_: None)
    one.verify(proof)


def test_keys_of_the_cheating_harness_are_those_of_the_verifier() -> None:
    one = products_case()
    check(isinstance(one.key, ProvingKey), "a proving key")
    one.verify(one.honest())
    fibonacci_case().verify(fibonacci_case().honest())
    everywhere_case().verify(everywhere_case().honest())
