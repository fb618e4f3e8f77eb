"""Checks of the circuit that give a prover freedom where they are missing: what it would solve for.

Inverses, places and bits are wires of the prover's choice that one row binds. See
``test_recursion_deletion.py`` for the list of all checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    Case,
    LyingInValues,
    Matrix,
    altered,
    configured,
)
from support.cheating_fri import LyingInFri
from support.recursion_deletion import Lanes, deleted_circuit, passes_without, pool
from support.recursion_garbled import Garbled, idle, stuck_inputs
from support.recursion_inner import Recursion, algebraic, inner_case
from support.recursion_systems import joined, publics, recursion
from support.systems import fibonacci

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import GENERATOR, P, inverse, root_of_unity
from stark.prover.prove import Prover
from stark.recursion import reference
from stark.recursion.transcript import CircuitTranscript
from stark.verifier import verify as verifier_module

# ---- values that are solved for


def solved(
    one: Recursion, unchecked: Sequence[str], equation: str, values: Iterable[int]
) -> list[Element]:
    """What the wires that are not checked must hold for the equations, one for each, to hold."""
    circuit, builder = deleted_circuit(one.key, frozenset([*unchecked, equation]))
    gaps = []
    for start in (ext.ZERO, ext.ONE):
        hints = [*pool([start] * len(unchecked)), *(int(value) for value in values)]
        wires = reference.run(circuit, hints).wires
        gaps.append([ext.subtract(wires[a], wires[b]) for a, b in builder.dropped])
    return [
        ext.negate(ext.multiply(at_zero, ext.invert(ext.subtract(at_one, at_zero))))
        for at_zero, at_one in zip(*gaps, strict=True)
    ]


@pytest.mark.parametrize("number", [1, 2])
def test_inverses_of_the_selectors(number: int) -> None:
    one = recursion("one table")
    traces = altered(one.inner.example.traces, "fibonacci", "a", 9, 1)
    proof = one.inner.prove(traces=traces)
    assert one.natively(proof) == "OOD"
    hints = one.hints(proof)
    name = f"PointCache.selector: invert {number}"
    free = solved(one, [name], "check_table: equals", hints)
    assert passes_without(one, name, hints, free) == "out of domain"


@pytest.mark.parametrize("point", [1, 2])
def test_inverses_of_the_differences_to_the_points(point: int) -> None:
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[0][0] = ext.add(values[0][0], ext.ONE)

    one = recursion("one table")
    lying = configured(LyingInValues, change=change, solved=True, honest_codewords=True)
    proof = one.inner.prove(lying)
    assert one.natively(proof) == "FriFold"
    hints = one.hints(proof)
    names = [f"HeightDeep._quotient: invert {2 * query + point}" for query in range(3)]
    free = solved(one, names, "fold_eight: value", hints)
    assert passes_without(one, names, hints, free) == "query 0"


def test_inverse_of_the_place_in_the_final_polynomial() -> None:
    # Of degree one, it has any value somewhere.
    def ended(self: Any, final: list[Element]) -> list[Element]:
        return [ext.add(final[0], ext.ONE), ext.ONE]

    one = Recursion(inner_case(fibonacci(1), algebraic(log_final_length=1)))
    proof = one.inner.prove(configured(LyingInFri, ended=ended))
    assert one.natively(proof) == "FriFinal"
    hints = one.hints(proof)
    names = [f"Queries.check: invert {query + 1}" for query in range(3)]
    free = solved(one, names, "Queries.check: equals", hints)
    assert passes_without(one, names, hints, free) == "query 0"


# ---- the point


class ChosenZeta(Prover):
    """Meets a point that it has chosen."""

    point: Element
    queries: tuple[int, ...] = ()

    def draw_zeta(self) -> Element:
        self.work("work zeta")
        self.transcript.draw("zeta")
        return self.point

    def open(self, commitments: Any, layers: Any, indices: Sequence[int]) -> bytes:
        type(self).queries = tuple(indices)
        return super().open(commitments, layers, indices)


def refused_point(one: Recursion, prover: type[Prover], number: int, traces: Any = None) -> str:
    """Nobody can have this point drawn; here prover and verifiers are made to."""
    proof = one.inner.prove(prover, traces=traces)
    zeta: Element = prover.point  # type: ignore[attr-defined]
    draw, drawn = verifier_module.VerifierTranscript.draw, CircuitTranscript.draw

    def native(self: Any, label: str) -> Any:
        honest = draw(self, label)
        return (zeta,) if label == "zeta" else honest

    def inside(self: Any, label: str, **gamma: bool) -> Any:
        honest = drawn(self, label, **gamma)
        return [self._builder.constant(zeta)] if label == "zeta" else honest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier_module.VerifierTranscript, "draw", native)
        patch.setattr(CircuitTranscript, "draw", inside)
        assert one.natively(proof) == "Domain"
        return passes_without(one, f"PointCache.check_outside: invert {number}", one.hints(proof))


def test_a_point_of_the_trace_domain() -> None:
    # Row 5 alone is looked at: its constraints hold, and those of row 20 do not.
    one = recursion("one table")
    point = ext.from_base(pow(root_of_unity(6), 5, P))
    broken = altered(one.inner.example.traces, "fibonacci", "a", 20, 1)
    prover = configured(ChosenZeta, point=point)
    assert refused_point(one, prover, 1, broken) == "out of domain"


def test_a_point_of_the_evaluation_domain() -> None:
    # The words are zero, as they are for another point: no query but that of the point can tell.
    one = recursion("five public values")

    def codewords(self: Any, *arguments: Any) -> dict[int, Matrix]:
        return {3: np.zeros((5, 4, 8), np.uint32)}

    for place in (3, 7, 11):
        point = ext.from_base(GENERATOR * pow(root_of_unity(5), place, P) % P)
        prover = configured(ChosenZeta, point=point, codewords=codewords)
        assert refused_point(one, prover, 2) == "out of domain"
        assert place not in prover.queries  # type: ignore[attr-defined]


# ---- places of queries


def garbled_case(one: Case, *trees: str) -> tuple[Recursion, bytes, list[int], tuple[int, ...]]:
    """A proof whose trees are garbage but for leaf 0, its values, and the queries."""
    names = frozenset(trees)
    recursive = Recursion(one)
    lying = configured(Garbled, garbled=names, traces=one.example.traces)
    proof = one.prove(lying)
    assert recursive.natively(proof)
    with pytest.MonkeyPatch.context() as patch:
        stuck_inputs(patch, names)
        hints = recursive.hints(proof)
    queries: tuple[int, ...] = lying.queries  # type: ignore[attr-defined]
    assert any(queries), "all queries ask for leaf 0 itself"
    return recursive, proof, hints.tolist(), queries


@pytest.mark.parametrize(
    ("off", "free"),
    [("_read_index: index", []), ("CircuitTranscript.draw_indices: decompose", [[0]])],
)
def test_the_place_that_is_opened(off: str, free: list[Lanes]) -> None:
    inner = inner_case(publics(5, 6), algebraic(queries=4, log_final_length=0))
    one, _, hints, _ = garbled_case(inner, "main", "quotient", "fri 0", "fri 1")
    assert passes_without(one, off, hints, free) in ("transcript", "query 0")


def test_bits_that_a_fold_takes_off() -> None:
    # A bit that is no bit: index - bit 2^k = 0.
    inner = inner_case(publics(5, 6), algebraic(queries=2, log_final_length=5))
    one, _, hints, queries = garbled_case(inner, "fri 0")
    log_leaves = 6 + 2 - 1
    free = [[index * inverse(1 << log_leaves) % P] for index in queries]
    assert passes_without(one, "begin_fold: bit", hints, free) == "query 0"


def test_bits_that_a_smaller_tree_takes_off() -> None:
    example = joined(publics(5, 6), idle(5))
    inner = inner_case(example, algebraic(queries=2, log_final_length=5))
    one, _, hints, queries = garbled_case(inner, "auxiliary")
    free = [[index * inverse(1 << 7) % P] for index in queries]
    assert passes_without(one, "low_bits: bit", hints, free) == "query 0"
