"""Masked proofs of random tables of degree 1 to 8: the quotient fits what it is computed from.

A quotient that had more coefficients than the prover's points determine would differ from the
constraints at zeta, and the verifier would refuse the honest proof.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import mul

import pytest
from support.cheating import SILENT, Seeded
from support.systems import parameters

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.constraints.expression import Expression
from stark.constraints.interpreter import RowInputs
from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import DEGREE
from stark.field.koalabear import P
from stark.prover import quotient
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.masks import mask_length
from stark.prover.polynomials import Polynomials
from stark.prover.prove import Prover
from stark.system import System, Table
from stark.verifier.verify import verify

Parts = Sequence[Polynomials | None]

KINDS = ("cell", "next", "fixed", "fixed next", "wave", "first", "last")


class Products(Air):
    """Sums of products of ``degree`` factors of every kind, in every kind of constraint.

    ``x`` and ``u`` are free; other columns follow from them.
    """

    def __init__(self, name: str, log_height: int, degree: int, seed: int, buses: bool) -> None:
        super().__init__(log_height)
        self.name = name
        self.degree = degree
        self.buses = buses and degree > 1
        source = random.Random(seed)
        height = 1 << log_height
        self.values = {
            name: [source.choice([0, 1, P - 1, source.randrange(P)]) for _ in range(height)]
            for name in ("x", "u")
        }
        self.fixed_values = [source.randrange(P) for _ in range(height)]
        period = 1 << source.randint(0, log_height)
        self.wave = [source.randrange(P) for _ in range(period)]
        # Every table has the product of cells alone, whose quotient is the longest.
        self.rows_terms = [["cell"] * degree, *self._terms(source, degree)]
        self.step_terms = [["next"] * degree, *self._terms(source, degree)]
        self.edge_terms = self._terms(source, max(1, degree - 2))
        self.tuple_terms = self._terms(source, max(1, degree - 1))

    @staticmethod
    def _terms(source: random.Random, degree: int) -> list[list[str]]:
        return [source.choices(KINDS, k=degree) for _ in range(source.randint(1, 3))]

    # ---- the constraints

    def eval(self, t: AirBuilder) -> None:
        x, u, row, step = (t.main(name) for name in ("x", "u", "row", "step"))
        fixed, wave = t.preprocessed("fixed"), t.periodic(self.wave)
        start, end = t.public("start"), t.public("end")
        factors: dict[str, Expression] = {
            "cell": x,
            "next": u.next,
            "fixed": fixed,
            "fixed next": fixed.next,
            "wave": wave,
            "first": t.is_first_row,
            "last": t.is_last_row,
        }

        def total(terms: Sequence[Sequence[str]]) -> Expression:
            products = (_product(factors[kind] for kind in term) for term in terms)
            return sum(products, t.constant(0))

        t.every_row("row", row - total(self.rows_terms))
        t.transition("step", step.next - total(self.step_terms))
        if self.degree == 1:
            # Values and columns must be used; what has a selector is of degree two.
            t.every_row("nothing", (fixed - fixed) + (wave - wave) + (start - start + end - end))
        else:
            edge = total(self.edge_terms) if self.degree > 2 else t.constant(1)
            t.first_row("start", (x - start) * edge)
            t.last_row("end", (x - end) * edge)
            t.every_row("fixed alone", t.is_first_row * (fixed - self.fixed_values[0]))
            cells = t.main_array("product", DEGREE)
            zero = t.constant(0)
            left = t.extension([x, u, fixed, wave, zero])
            right = t.extension([u.next, x, t.constant(3), wave, fixed.next])
            t.every_row("elements", t.extension(cells) - left * right)
        if self.buses:
            bus = Bus(f"values of {self.name}", 2)
            other, back = t.main("other"), t.main("back")
            t.send(bus, [x, total(self.tuple_terms)], count=1, label="sent")
            t.receive(bus, [back, other], count=1, label="received")

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return {"fixed": self.fixed_values}

    # ---- the trace

    def _value(self, terms: Sequence[Sequence[str]], i: int) -> int:
        height = 1 << self.log_height
        following = (i + 1) % height
        factors = {
            "cell": self.values["x"][i],
            "next": self.values["u"][following],
            "fixed": self.fixed_values[i],
            "fixed next": self.fixed_values[following],
            "wave": self.wave[i % len(self.wave)],
            "first": int(i == 0),
            "last": int(i == height - 1),
        }
        result = 0
        for term in terms:
            product = 1
            for kind in term:
                product = product * factors[kind] % P
            result += product
        return result % P

    def trace(self) -> dict[str, list[int]]:
        rows = range(1 << self.log_height)
        x, u, fixed = self.values["x"], self.values["u"], self.fixed_values
        steps = [self._value(self.step_terms, i) for i in rows]
        result = {
            "x": x,
            "u": u,
            "row": [self._value(self.rows_terms, i) for i in rows],
            "step": [123, *steps[:-1]],
        }
        if self.degree > 1:
            products = []
            for i in rows:
                following = (i + 1) % len(rows)
                wave = self.wave[i % len(self.wave)]
                left = (x[i], u[i], fixed[i], wave, 0)
                products.append(ext.multiply(left, (u[following], x[i], 3, wave, fixed[following])))
            for k in range(DEGREE):
                result[f"product[{k}]"] = [element[k] for element in products]
        if self.buses:
            tuples = [self._value(self.tuple_terms, i) for i in rows]
            result["other"] = [*tuples[1:], tuples[0]]
            result["back"] = [*x[1:], x[0]]
        return result

    def publics(self) -> list[int]:
        return [self.values["x"][0], self.values["x"][-1]]


def _product(factors: Iterable[Expression]) -> Expression:
    return reduce(mul, factors)


def prove_and_verify(
    airs: Sequence[Products], *, queries: int, log_slack: int, log_blowup: int, seed: int = 0
) -> ProvingKey:
    chosen = parameters(
        **SILENT | {"queries": queries},
        zk=True,
        log_slack=log_slack,
        log_blowup=log_blowup,
    )
    key = generate_key(System(airs, zk=True), chosen)
    publics = {air.name: air.publics() for air in airs}
    # A source of the caller's: no check that short masks hide anything.
    source = Seeded(f"{seed}".encode())
    proof = Prover(key, publics, randomness=source).run({air.name: air.trace() for air in airs})
    verify(key.verification, proof, publics)
    return key


@pytest.mark.parametrize("seed", range(12))
def test_random_systems(seed: int) -> None:
    """Three tables of any degree and height, slack and queries."""
    source = random.Random(seed)
    airs = [
        Products(f"table {k}", source.randint(4, 9), source.randint(1, 8), seed + k, k > 0)
        for k in range(3)
    ]
    least = (System(airs, zk=True).degree - 1).bit_length()
    log_slack = source.randint(max(1, least), 4)
    queries = source.choice([1, 2, 6, 20])
    prove_and_verify(
        airs, queries=queries, log_slack=log_slack, log_blowup=max(2, least), seed=seed
    )


@pytest.mark.parametrize("degree", range(1, 9))
@pytest.mark.parametrize("log_height", [4, 8])
def test_every_degree_alone(degree: int, log_height: int) -> None:
    """With the largest slack that the degree allows, which the masks of the low table fill."""
    log_slack = max(1, (degree - 1).bit_length())
    air = Products("table", log_height, degree, degree, False)
    key = prove_and_verify([air], queries=1, log_slack=log_slack, log_blowup=max(2, log_slack))
    (table,) = key.verification.system.tables
    assert table.degree == degree
    slack = table.height >> log_slack
    assert mask_length(table.height, key.verification.parameters) == min(16, slack)


@pytest.mark.parametrize("degree", range(2, 9))
def test_half_the_points_are_too_few(degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of these tables does have so many coefficients: the cases above test the bound."""
    honest = quotient._few_rows

    def fewer(table: Table, parts: Parts, shift: int, length: int) -> RowInputs:
        return honest(table, parts, shift, length // 2)

    monkeypatch.setattr(quotient, "_few_rows", fewer)
    with pytest.raises(Rejected) as caught:
        test_every_degree_alone(degree, 8)
    assert caught.value.code is Code.OOD
