"""Group I again: single messages on buses whose counts and tuples a prover chooses freely."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from support.cheating import SILENT, Case, Matrix, case, configured, refused
from support.checks import check, check_equal
from support.forged_traces import failing_labels
from support.systems import Columns, Example, parameters

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.constraints.expression import Challenge, Op
from stark.errors import Code
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P
from stark.field.memory import aligned_zeros
from stark.field.montgomery import to_montgomery
from stark.prover import prove as prover_module
from stark.prover.auxiliary import VanishingDenominatorError
from stark.prover.prove import Prover
from stark.system import System
from stark.verifier import verify as verifier_module

FREE = "nothing bounds them here: the tests choose counts that no sound table admits"
ONE = Bus("one", 1, per_key_bound=FREE)
PAIR = Bus("pair", 2, per_key_bound=FREE)
OTHER = Bus("other", 2, per_key_bound=FREE)
BUSES = (ONE, PAIR, OTHER)

Message = tuple[Bus, tuple[int, ...], tuple[int, int]]
"""A tuple on a bus, and its count: a vector of two."""


class Party(Air):
    """Sends, or receives, one message on every bus a row."""

    def __init__(self, received: bool) -> None:
        super().__init__(3)
        self.name = "receiver" if received else "sender"
        self.received = received

    def eval(self, t: AirBuilder) -> None:
        message = t.receive if self.received else t.send
        for bus in BUSES:
            values = t.main_array(f"{bus.name} value", bus.width)
            message(bus, values, count=t.main_array(f"{bus.name} count", 2))


@cache
def parties() -> Case:
    nothing = columns([])
    return case(Example(System([Party(False), Party(True)]), nothing, {}), parameters(**SILENT))


def columns(sent: Sequence[Message], received: Sequence[Message] = ()) -> Columns:
    """Row k holds message k; all other tuples and counts are zero."""
    result: Columns = {}
    for name, messages in (("sender", sent), ("receiver", received)):
        own = {f"{bus.name} value[{k}]": [0] * 8 for bus in BUSES for k in range(bus.width)}
        own |= {f"{bus.name} count[{k}]": [0] * 8 for bus in BUSES for k in range(2)}
        for row, (bus, values, counts) in enumerate(messages):
            for kind, entries in (("value", values), ("count", counts)):
                for k, entry in enumerate(entries):
                    own[f"{bus.name} {kind}[{k}]"][row] = entry % P
        result[name] = own
    return result


ONCE = (1, 0)
BACK = (-1, 0)

UNBALANCED: dict[str, Columns] = {
    "I5 [x] received as [0, x]": columns([(ONE, (5,), ONCE)], [(PAIR, (0, 5), ONCE)]),
    "I5 [x] received as [x, 0]": columns([(ONE, (5,), ONCE)], [(PAIR, (5, 0), ONCE)]),
    "I5 [0, x] received as [x]": columns([(PAIR, (0, 5), ONCE)], [(ONE, (5,), ONCE)]),
    "I5 [x, 0] received as [x]": columns([(PAIR, (5, 0), ONCE)], [(ONE, (5,), ONCE)]),
    "I5 [x, 0] received as [0, x]": columns([(PAIR, (5, 0), ONCE)], [(PAIR, (0, 5), ONCE)]),
    "I5 [x] received as [x - 1] of the next bus": columns(
        [(PAIR, (5, 6), ONCE)], [(OTHER, (4, 6), ONCE)]
    ),
    "I7 a padding row taken for an entry": columns([(PAIR, (0, 0), ONCE)]),
    "I8 a padding row sends": columns([], [(PAIR, (1, 2), (0, 0)), (PAIR, (0, 0), ONCE)]),
    "I9 another bus": columns([(PAIR, (3, 4), ONCE)], [(OTHER, (3, 4), ONCE)]),
    "I9 another bus, and back": columns(
        [(PAIR, (3, 4), ONCE), (OTHER, (3, 5), ONCE)],
        [(OTHER, (3, 4), ONCE), (PAIR, (3, 5), ONCE)],
    ),
    "I13 sent -1 times": columns([(PAIR, (3, 4), BACK)]),
    "I13 sent -1 times for another": columns([(PAIR, (3, 4), BACK), (PAIR, (3, 5), ONCE)]),
    "I13 sent p - 1 times, received once": columns(
        [(PAIR, (3, 4), (P - 1, 0))], [(PAIR, (3, 4), ONCE)]
    ),
    "sent twice, received once": columns(
        [(PAIR, (3, 4), ONCE), (PAIR, (3, 4), ONCE)], [(PAIR, (3, 4), ONCE)]
    ),
    "received as the other entry of the vector": columns(
        [(PAIR, (3, 4), (7, 0))], [(PAIR, (3, 4), (0, 7))]
    ),
    "vectors whose sums agree": columns([(PAIR, (3, 4), (7, 1))], [(PAIR, (3, 4), (1, 7))]),
    "tuples whose sums agree": columns(
        [(ONE, (2,), ONCE), (ONE, (6,), ONCE)], [(ONE, (3,), ONCE), (ONE, (5,), ONCE)]
    ),
    "elements exchanged between tuples": columns(
        [(PAIR, (1, 2), ONCE), (PAIR, (3, 4), ONCE)], [(PAIR, (1, 4), ONCE), (PAIR, (3, 2), ONCE)]
    ),
}


@pytest.mark.parametrize("name", list(UNBALANCED))
def test_messages_that_do_not_meet(name: str) -> None:
    # I5, I7, I8, I9, I13: see the names.
    one, traces = parties(), UNBALANCED[name]
    check(failing_labels(one.example.system, traces, {}) <= {b.name for b in BUSES}, name)
    refused(one, one.prove(traces=traces), Code.BUS)


@pytest.mark.parametrize(
    "traces",
    [
        columns([(PAIR, (3, 4), ONCE)], [(PAIR, (3, 4), ONCE)]),
        columns([(PAIR, (3, 4), (2, 5))], [(PAIR, (3, 4), (2, 0)), (PAIR, (3, 4), (0, 5))]),
        # I13: counts are read mod p. That they cannot wrap around is for key generation to see,
        # and that they are what they say, for constraints.
        columns([(PAIR, (3, 4), ONCE), (PAIR, (3, 4), BACK)]),
        columns([(PAIR, (3, 4), (P - 1, 0)), (PAIR, (3, 4), ONCE)]),
    ],
)
def test_messages_that_meet(traces: Columns) -> None:
    one = parties()
    one.verify(one.prove(traces=traces))


# ---- poles


class Single(Air):
    """One message a row, on one bus: one fraction, in the constraint of the running sum."""

    def __init__(self, received: bool) -> None:
        super().__init__(3)
        self.name = "receiver" if received else "sender"
        self.received = received

    def eval(self, t: AirBuilder) -> None:
        message = t.receive if self.received else t.send
        message(ONE, [t.main("value")], count=t.main("count"))


BETA: Element = (3, 1, 4, 1, 5)
GAMMA: Element = (2, 7, 1, 8, 2)
POLE = 9
ALPHA = ext.negate(ext.add(ext.ONE, ext.scale(BETA, POLE)))
"""alpha + 1 + beta 9 = 0: the denominator of (9) on the first bus vanishes."""


def test_i1_a_fraction_that_is_free_under_a_chosen_challenge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The sender's 7 is received by nobody. Its second row sends (9) zero times: at its pole the
    # constraint says 0 = 0, and the running sum may jump there.
    nothing = {"value": [0] * 8, "count": [0] * 8}
    sender = {"value": [7, POLE, *[0] * 6], "count": [1, *[0] * 7]}
    traces = {"sender": sender, "receiver": nothing}
    one = case(Example(System([Single(False), Single(True)]), traces, {}), parameters(**SILENT))

    def auxiliary_matrices(self: Any, main: Any) -> list[Matrix]:
        drawn = self.challenges
        denominator = ext.add(ext.add(drawn.alpha, ext.ONE), ext.scale(drawn.beta, 7))
        sums = aligned_zeros((8, 16))
        sums[1, :DEGREE] = to_montgomery(np.array([ext.invert(denominator)], np.uint32))[0]
        self.terminals = {"sender": ext.ZERO, "receiver": ext.ZERO}
        return [sums, aligned_zeros((8, 16))]

    forging = configured(Prover, auxiliary_matrices=auxiliary_matrices)
    refused(one, one.prove(), Code.BUS)
    refused(one, one.prove(forging), Code.OOD, check="sender")

    for module, name in (
        (prover_module, "ProverTranscript"),
        (verifier_module, "VerifierTranscript"),
    ):
        honest = getattr(module, name)

        class Mocked(honest):  # type: ignore[misc]
            def draw(self, label: str) -> tuple[Element, ...]:
                drawn: tuple[Element, ...] = super().draw(label)
                return (ALPHA, BETA, GAMMA) if label == "lookup" else drawn

        monkeypatch.setattr(module, name, Mocked)
    # The honest prover stops. The forged proof is accepted: it is for the error bound to say that
    # no alpha meets a pole, and a transcript that binds the columns before it is drawn.
    with pytest.raises(VanishingDenominatorError, match="sender"):
        one.prove()
    one.verify(one.prove(forging))


def test_i1_no_circuit_has_a_denominator_that_is_always_zero() -> None:
    # alpha is a term of every denominator, with coefficient 1 and apart from all else: at any
    # values of the cells, two alphas give two denominators.
    for table in parties().example.system.tables:
        graph = table.symbolic.graph
        for group in table.bus_argument.groups:
            alphas = [
                node
                for index in graph.reachable([group.denominator.index])
                for node in [graph.nodes[index]]
                if node[0] == Op.CHALLENGE and node[1] == Challenge.ALPHA
            ]
            check_equal(len(alphas), 1, "alpha is a term of it")
            check(group.denominator.degree >= 1, "and so are cells")
    # A tuple whose own terms cancel the bus number is no pole.
    traces = columns([(ONE, (P - 1,), ONCE)], [(ONE, (P - 1,), ONCE)])
    one = parties()
    one.verify(one.prove(traces=traces))
