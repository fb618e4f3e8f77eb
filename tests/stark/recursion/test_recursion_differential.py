"""Two verifiers, one judgement: the circuit accepts a proof if and only if ``verify`` does.

More than a thousand changed proofs of one small system, and samples of those of others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from random import Random

import numpy as np
import pytest
from support.cheating import Seeded
from support.recursion_files import Forgery, changed_files
from support.recursion_forgeries import forged, liars, wrong_publics, wrong_traces
from support.recursion_inner import CONTEXT, Recursion
from support.recursion_systems import recursion

from stark.field.koalabear import P
from stark.prover.prove import Prover

IN_FULL = "one table"
SAMPLED = [
    "no layer of several tables",
    "three heights",
    "largest without bus and fixed columns",
    "equal heights",
    "fixed columns on the next row",
    "many public values",
    "caps as high as the smallest tree",
    "queries everywhere",
    "work",
    "masks and work",
    "masks under a high cap",
]

LARGE = {"masks under a high cap", "caps as high as the smallest tree"}
"""Their caps have hundreds of digests, and take long to absorb in plain Python."""

PLACES = {
    "PoW": {"transcript"},
    "Bus": {"transcript", "out of domain"},
    "OOD": {"transcript", "out of domain"},
    "Merkle": {"query"},
    "FriFold": {"query"},
    "FriFinal": {"query"},
}
"""Parts of the circuit that may fail where ``verify`` rejects with a code. It looks at the identity
before later proofs of work, the circuit at all proofs of work first."""


def judge(one: Recursion, forgeries: Iterable[Forgery]) -> Counter[tuple[str, str]]:
    """Both judgements of each, which must agree; how often each pair of reasons was given."""
    found: Counter[tuple[str, str]] = Counter()
    for number, forgery in enumerate(forgeries):
        code = one.natively(forgery.proof, forgery.publics)
        label = one.in_circuit(forgery.proof, forgery.publics).split(" ")[0]
        place = "out of domain" if label == "out" else label
        assert bool(code) == bool(place), (forgery.name, number, code, place)
        assert place in PLACES.get(code, {""}) | {"form"} or not code, (forgery.name, code, place)
        if place not in ("", "form") and number % 20 == 0:
            hints = one.hints(forgery.proof, forgery.publics)
            assert one.failing_plainly(hints) == one.failing(hints)
        found[code, place] += 1
    return found


def reached(found: Counter[tuple[str, str]]) -> set[str]:
    return {place for _, place in found}


def test_every_change_of_a_small_proof() -> None:
    one = recursion(IN_FULL)
    files = judge(one, changed_files(one.inner))
    assert ("", "") not in files
    lies = judge(one, forged(one.inner, liars(one.inner)))
    traces = judge(one, wrong_traces(one.inner))
    publics = judge(one, wrong_publics(one.inner))
    total = files + lies + traces + publics
    assert sum(total.values()) > 1000
    assert sum(count for (_, place), count in total.items() if place != "form") > 500
    assert {code for code, _ in lies} >= {"", "OOD", "Merkle", "FriFold", "FriFinal"}
    assert set(traces) == {("OOD", "out of domain")}
    assert reached(publics) == {"form", "out of domain"}


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_of_changed_files(name: str) -> None:
    one = recursion(name)
    source = Random(name)
    found = judge(one, source.sample(changed_files(one.inner, 30), 8 if name in LARGE else 25))
    assert "query" in reached(found)


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_of_lying_provers(name: str) -> None:
    one = recursion(name)
    source = Random(name)
    lies = liars(one.inner)
    count = min(5 if name in LARGE else 15, len(lies))
    found = judge(one, forged(one.inner, source.sample(lies, count)))
    assert reached(found) & {"query", "out of domain"}


@pytest.mark.parametrize("name", ["work", "masks and work"])
def test_every_proof_of_work(name: str) -> None:
    one = recursion(name)
    lies = [lie for lie in liars(one.inner) if lie[0].startswith("work")]
    found = judge(one, forged(one.inner, lies[:: 5 if name == "work" else 7]))
    # Another nonce that works is another proof; those of no work are refused.
    assert found["", ""]
    assert found["PoW", "transcript"] + found["PoW", "form"] > found["", ""]
    assert found["PoW", "transcript"]


def test_wrong_witnesses_of_several_tables() -> None:
    one = recursion("three heights")
    found = judge(one, list(wrong_traces(one.inner))[::2])
    assert {("OOD", "out of domain"), ("Bus", "out of domain")} <= set(found)


# ---- statements


@pytest.mark.parametrize("name", ["one table", "many public values", "masks"])
def test_another_statement(name: str) -> None:
    one = recursion(name)
    proof = one.inner.honest()
    honest = one.hints(proof)
    assert one.failing(honest) == ""
    contexts = [bytes(32), CONTEXT[::-1], CONTEXT[:31] + b"\0", CONTEXT[16:] + CONTEXT[:16]]
    statements = [one.statement(context=context) for context in contexts]
    for context in contexts:
        assert one.natively(proof, context=context)
        assert one.in_circuit(proof, context=context)
    for forgery in wrong_publics(one.inner):
        assert forgery.publics is not None
        statements.append(one.statement(forgery.publics))
    publics = {table: list(values) for table, values in one.inner.publics.items()}
    for table, values in publics.items():
        # As many, in another order: the same length of the statement's digests.
        moved = {**publics, table: values[1:] + values[:1]}
        if moved != publics:
            assert one.natively(proof, moved)
            assert one.in_circuit(proof, moved)
            statements.append(one.statement(moved))
    for statement in statements:
        # The values that the honest proof gives, under another statement.
        changed = honest.copy()
        changed[: len(statement)] = statement
        assert one.failing(changed)


def test_lanes_that_hold_no_public_value_are_zero() -> None:
    one = recursion("nine public values")
    honest = one.hints(one.inner.honest())
    for lane in range(16 + 8 + 1, 16 + 16):
        changed = honest.copy()
        changed[lane] = 1
        assert one.failing(changed) == "statement"


# ---- the values that a circuit takes


@pytest.mark.parametrize("name", ["three heights", "masks and work"])
def test_every_value_is_bound(name: str) -> None:
    # Whatever the form of a file: none of the values may be another.
    one = recursion(name)
    honest = one.hints(one.inner.honest())
    places: Counter[str] = Counter()
    for number in range(len(honest)):
        changed = honest.copy()
        changed[number] = (int(changed[number]) + 1) % P
        label = one.failing(changed)
        assert label, number
        places[label.split(" ")[0]] += 1
    assert places["query"]
    assert places["out"] or places["transcript"]


def test_exchanged_and_doubled_values() -> None:
    one = recursion("three heights")
    honest = one.hints(one.inner.honest())
    source = Random(3)
    for _ in range(300):
        size = source.choice((1, 5, 8, 40))
        first, second = (source.randrange(len(honest) - size) for _ in range(2))
        doubled = honest.copy()
        doubled[first : first + size] = honest[second : second + size]
        if not np.array_equal(doubled, honest):
            assert one.failing(doubled)
        if abs(first - second) >= size:
            exchanged = doubled.copy()
            exchanged[second : second + size] = honest[first : first + size]
            if not np.array_equal(exchanged, honest):
                assert one.failing(exchanged)


def test_values_of_two_proofs() -> None:
    # The same statement under other masks and salts: each is accepted, nothing in between is.
    one = recursion("masks and work")
    inner = one.inner
    prover = Prover(inner.key, inner.publics, CONTEXT, None, Seeded(b"other masks"))
    first = one.hints(inner.honest())
    second = one.hints(prover.run(inner.example.traces))
    assert one.failing(first) == one.failing(second) == ""
    statement = len(one.statement())
    for cut in range(statement + 1, len(first), 13):
        for one_part, other in ((first, second), (second, first)):
            assert one.failing(np.concatenate([one_part[:cut], other[cut:]]))
