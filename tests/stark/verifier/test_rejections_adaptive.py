"""Group E again: provers that choose a message after the challenges that should depend on it.

A transcript that leaves a message out lets the prover solve for it. Each forgery here is complete:
a verifier with the same hole accepts it. The real one does not, and nothing else is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    EVERYWHERE,
    SILENT,
    Case,
    DeafProver,
    LyingInQuotient,
    LyingInValues,
    Matrix,
    bump,
    case,
    configured,
    deaf_verifier,
    everywhere_case,
    fibonacci_case,
    foreseen,
    interpolated,
    plus,
    refused,
    solve_linear,
    solve_quotient,
)
from support.cheating_fri import LyingInFri
from support.checks import check, check_equal
from support.systems import Example, fibonacci, parameters

from stark.constraints.air import Air, AirBuilder
from stark.errors import Code
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.prover import prove as prover_module
from stark.prover.openings import TableColumns
from stark.prover.prove import Prover
from stark.system import System
from stark.verifier import verify as verifier_module
from stark.verifier.out_of_domain import OpenedTable, selectors_at, vanishing_at
from stark.verifier.verify import PublicValues


def accepted_by_a_deaf_verifier(
    one: Case, proof: bytes, *labels: str, publics: PublicValues | None = None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier_module, "VerifierTranscript", deaf_verifier(*labels))
        one.verify(proof, publics)


# ---- public values solved for


class Constants(Air):
    """Five columns that stay what they are: five public values."""

    name = "constants"

    def eval(self, t: AirBuilder) -> None:
        cells = t.main_array("a", 5)
        values = t.public_array("value", 5)
        t.first_row("starts", *(a - v for a, v in zip(cells, values, strict=True)))
        t.transition("stays", *(a.next - a for a in cells))


def constants_case() -> Case:
    traces = {"constants": {f"a[{k}]": [k] * 16 for k in range(5)}}
    example = Example(System([Constants(4)]), traces, {"constants": list(range(5))})
    return case(example, parameters(**SILENT))


def test_e1_public_values_solved_for_after_zeta() -> None:
    # The prover commits to a quotient off by 1. After zeta, five values in the base field make up
    # for it: sum of c^k L(zeta) (v_k - v'_k) = (zeta^N - 1) * 1 is five equations.
    one = constants_case()

    class Adapting(DeafProver, LyingInQuotient):
        omitted = frozenset({"public constants"})
        constraint_challenge: Element

        def change(self, table: str, extension: Matrix) -> None:
            extension[:, :, 0] = plus(extension[:, :, 0], 1)

        def quotient(self, index: int, commitments: Any, challenge: Element) -> Any:
            self.constraint_challenge = challenge
            return super().quotient(index, commitments, challenge)

        def send_values(self, parts: Any, zeta: Element) -> Any:
            first = selectors_at(4, zeta)[0]
            weights = [
                ext.multiply(ext.power(self.constraint_challenge, k), first) for k in range(5)
            ]
            columns = [list(row) for row in zip(*weights, strict=True)]
            differences = solve_linear(columns, vanishing_at(4, zeta))
            shown = (k - d for k, d in zip(range(5), differences, strict=True))
            self.publics = {"constants": tuple(value % P for value in shown)}
            publics.append(self.publics)
            return super().send_values(parts, zeta)

    publics: list[PublicValues] = []
    proof = one.prove(Adapting)
    check(publics[0] != one.publics, "other values than the columns'")
    accepted_by_a_deaf_verifier(one, proof, "public constants", publics=publics[0])
    refused(one, proof, Code.OOD, publics=publics[0])


# ---- out-of-domain values solved for


class Cancelling(LyingInValues):
    """a(zeta) is wrong; b(zeta) and the quotient's value make up for it, in the identity and in
    the batch, whose coefficients are known."""

    def coefficients(self) -> Sequence[Element]:
        raise NotImplementedError

    def change(self, parts: Sequence[TableColumns], values: list[list[Element]]) -> None:
        coefficients = self.coefficients()
        (part,), (own,) = parts, values

        def moved(wrong_a: Element, wrong_b: Element) -> list[Element]:
            shifted = [ext.add(own[0], wrong_a), ext.add(own[1], wrong_b), *own[2:]]
            opened = OpenedTable(part.layout, tuple(shifted), self.publics["fibonacci"], ext.ZERO)
            return solve_quotient(opened, self.challenges, self.zeta, self.constraint_challenge)

        def error(solved: list[Element]) -> Element:
            """What the batch at zeta is off by; linear in what is wrong."""
            wrong = map(ext.subtract, solved, own)
            return ext.total(map(ext.multiply, coefficients, wrong))

        by_a, by_b = error(moved(ext.ONE, ext.ZERO)), error(moved(ext.ZERO, ext.ONE))
        wrong_b = ext.negate(ext.multiply(by_a, ext.invert(by_b)))
        values[0] = moved(ext.ONE, wrong_b)
        check_equal(error(values[0]), ext.ZERO)


def test_e4_out_of_domain_values_solved_for_after_the_batching_coefficients() -> None:
    class Adapting(DeafProver, Cancelling):
        omitted = frozenset({"values fibonacci"})

        def coefficients(self) -> Sequence[Element]:
            return foreseen(self.transcript, 1).draw("batching")

    one = everywhere_case()
    proof = one.prove(Adapting)
    accepted_by_a_deaf_verifier(one, proof, "values fibonacci")
    refused(one, proof, Code.FRI_FOLD, check="fri layer 0")


def test_h13_equal_coefficients_let_errors_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    # Their sum is zero. A prover alone does not choose the coefficients; were they equal for the
    # verifier too, the forgery would be accepted.
    class Equal(Cancelling):
        def coefficients(self) -> Sequence[Element]:
            return [ext.ONE] * 5

    one = fibonacci_case()
    refused(one, one.prove(Equal), Code.FRI_FINAL)

    def equal(key: Any, drawn: Sequence[Element]) -> list[Element]:
        return [drawn[0]] * len(drawn)

    monkeypatch.setattr(prover_module, "batching_coefficients", equal)
    proof = one.prove(Equal)
    refused(one, proof, Code.FRI_FOLD, check="fri layer 0")
    monkeypatch.setattr(verifier_module, "batching_coefficients", equal)
    one.verify(proof)


# ---- FRI


def test_e13_words_that_fold_to_a_polynomial_under_a_challenge_known_before() -> None:
    # Random on one half of the points; on the other, what the fold is to be. Later layers and the
    # final polynomial are right, so that the word's place in the protocol alone refuses it.
    one = case(fibonacci(4), parameters(**EVERYWHERE, log_max_arity=1))

    def fitted(beta: Element, word: Matrix, log_size: int) -> Matrix:
        size = 1 << log_size
        source = np.random.default_rng(8)
        natural: list[Element] = [ext.ZERO] * size
        for index in range(size // 2):
            y = pow(root_of_unity(log_size), index, P)
            left: Element = tuple(source.integers(0, P, DEGREE).tolist())  # type: ignore[assignment]
            # (l + r) / 2 + beta (l - r) / (2 y) = 1.
            ratio = ext.scale(beta, pow(y, -1, P))
            known = ext.multiply(left, ext.add(ext.ONE, ratio))
            wanted = ext.subtract(ext.from_base(2), known)
            right = ext.multiply(wanted, ext.invert(ext.subtract(ext.ONE, ratio)))
            natural[index], natural[index + size // 2] = left, right
        cosets, rows = word.shape[1:]
        table = np.array(natural, np.uint32).T.reshape(DEGREE, rows, cosets).transpose(0, 2, 1)
        return to_montgomery(np.ascontiguousarray(table))

    for layer in (0, 1):

        class Fitting(DeafProver, LyingInFri):
            omitted = frozenset({f"fri {layer}"})
            lying = layer

            def committed(self, layer: int, word: Matrix) -> Matrix:
                if layer != self.lying:
                    return word
                (beta,) = foreseen(self.transcript, 1).draw(f"fold {layer}")
                return fitted(beta, word, 6 - layer)

            def ended(self, final: list[Element]) -> list[Element]:
                check_equal(final, [ext.ONE, *[ext.ZERO] * (len(final) - 1)])
                return final

        proof = one.prove(Fitting)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(verifier_module, "VerifierTranscript", deaf_verifier(f"fri {layer}"))
            refused(one, proof, Code.FRI_FOLD, check=f"fri layer {layer}")
        refused(one, proof, Code.FRI_FOLD)


class Foreseeing(LyingInValues):
    """Claims a false value; the final polynomial fits the queries that it foresees."""

    solved = True

    def change(self, parts: Any, values: list[list[Element]]) -> None:
        values[0][1] = bump(values[0][1])

    def final_polynomial(self, word: Matrix) -> list[Element]:
        indices = foreseen(self.transcript, 1).draw_indices("queries")
        canonical = from_montgomery(np.ascontiguousarray(word)).tolist()
        points = []
        for place in {index % 16 for index in indices}:
            value = tuple(limb[place % 4][place // 4] for limb in canonical)
            points.append((pow(root_of_unity(4), place, P), value))
        fitted = interpolated(points)  # type: ignore[arg-type]
        return [*fitted, *[ext.ZERO] * (4 - len(fitted))]


def test_e13_a_final_polynomial_that_fits_the_queries() -> None:
    one = case(fibonacci_case(4).example, parameters(**SILENT, queries=4))
    deaf: type[Prover] = configured(
        type("Deaf", (DeafProver, Foreseeing), {}), omitted=frozenset({"final polynomial"})
    )
    accepted_by_a_deaf_verifier(one, one.prove(deaf), "final polynomial")
    # Absorbed, it leads to other queries, which are opened as they should be.
    refused(one, one.prove(Foreseeing), Code.FRI_FINAL)


def test_harness_of_deaf_verifiers() -> None:
    # A verifier that is not deaf to anything is the honest one; one that is deaf refuses others.
    one = everywhere_case()
    accepted_by_a_deaf_verifier(one, one.honest())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier_module, "VerifierTranscript", deaf_verifier("main commitment"))
        refused(one, one.honest(), Code.OOD)
    traces: Mapping[str, Any] = one.example.traces
    check_equal(one.prove(configured(LyingInFri), traces=dict(traces)), one.honest())
