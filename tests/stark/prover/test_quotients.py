"""Quotient chunks against the constraints themselves, on cosets that made no chunk."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from support.cheating import Seeded
from support.systems import Example, fibonacci, parameters, products

from stark.constraints.air import Air, AirBuilder
from stark.constraints.interpreter import Constants, RowInputs, evaluate
from stark.constraints.program import compile_fold
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P, inverse
from stark.field.montgomery import from_montgomery
from stark.prover.commitment import Commitment
from stark.prover.keygen import generate_key
from stark.prover.polynomials import Polynomials
from stark.prover.prove import Prover
from stark.prover.selectors import coset_periodic, coset_selectors
from stark.system import System
from stark.verifier.layout import Tree


class Steep(Air):
    """Constraints of degree five, on both rows, with a periodic column and all selectors."""

    name = "steep"

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        wave = t.periodic(list(range(16)))
        t.every_row("product", a * a * a * (a - b) * wave)
        t.transition("same", a.next - a)
        t.first_row("start", a - b)
        t.last_row("end", a - b)


def steep(log_height: int) -> Example:
    system = System([Steep(log_height)])
    ones = [7] * (1 << log_height)
    return Example(system, {"steep": {"a": ones, "b": ones}}, {})


class Checking(Prover):
    """Compares each quotient with the constraints on every coset of the domain."""

    checked = 0

    def quotient(
        self, index: int, commitments: Mapping[Tree, Commitment], challenge: Element
    ) -> Polynomials:
        chunks = super().quotient(index, commitments, challenge)
        table = self.tables[index]
        found = self._columns(index, commitments).columns
        trees = (Tree.PREPROCESSED, Tree.MAIN, Tree.AUXILIARY)
        roots = [constraint.expression.index for constraint in table.constraints]
        program = compile_fold(table.symbolic.graph, roots)
        constants = Constants(
            publics=self.publics[table.name],
            alpha=self.challenges.alpha,
            beta=self.challenges.beta,
            gamma=self.challenges.gamma,
            terminal=self.terminals.get(table.name, ext.ZERO),
        )
        for coset in range(1 << self.parameters.log_blowup):
            shift = chunks.shift(coset)
            selectors = coset_selectors(table.log_height, shift)
            fixed, main, auxiliary = (
                None if tree not in found else found[tree].coset(coset) for tree in trees
            )
            rows = RowInputs(
                preprocessed=fixed,
                main=main,
                auxiliary=auxiliary,
                first=selectors.first,
                last=selectors.last,
                transition=selectors.transition,
                periodic=tuple(
                    coset_periodic(values, table.log_height, shift)
                    for values in table.symbolic.periodic
                ),
            )
            values = evaluate(program, rows, constants, ext.powers(challenge, len(roots)))
            constant = pow(shift, table.height, P)
            own = from_montgomery(np.ascontiguousarray(chunks.coset(coset))).astype(object)
            total = sum(
                own[:, DEGREE * k : DEGREE * (k + 1)] * pow(constant, k, P)
                for k in range(table.quotient_chunks)
            )
            expected = from_montgomery(np.ascontiguousarray(values)).astype(object).T
            divided = expected * inverse(constant - 1) % P
            assert (total % P).tolist() == divided.tolist(), (table.name, coset)
            self.checked += 1
        return chunks


@pytest.mark.parametrize("queries", [1, 20])
@pytest.mark.parametrize("zk", [False, True])
@pytest.mark.parametrize(
    "example",
    [
        fibonacci(4),
        fibonacci(9),
        products(6, 6, 30),
        products(9, 7, 100),
        steep(5),
        steep(9),
    ],
    ids=["one height", "high", "buses", "buses, high", "steep", "steep, high"],
)
def test_chunks_add_up_to_the_quotient_everywhere(example: Example, zk: bool, queries: int) -> None:
    """With few queries masks are short, and what they add to a quotient takes few points."""
    system = System([table.air for table in example.system.tables], zk)
    hiding = {"zk": True, "log_slack": 3} if zk else {}
    chosen = parameters(log_blowup=3, queries=queries, **hiding)
    # A source of the caller's: no check that short masks hide anything.
    prover = Checking(
        generate_key(system, chosen), example.publics, b"", None, Seeded(b"seed") if zk else None
    )
    prover.run(example.traces)
    assert prover.checked == 8 * len(system.tables)
