"""The debugger lists exactly what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.debug import trace_reading
from stark.debug.faults import BusFault, Cell, ConstraintFault, Message, explain, faults
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.system import System

Trace = NDArray[np.uint64]


class Fibonacci(Air):
    name = "fibonacci"

    def eval(self, t: AirBuilder) -> None:
        a, b = t.main("a"), t.main("b")
        result = t.public("result")
        t.first_row("starts at 1, 1", a - 1, b - 1)
        t.transition("moves on", a.next - b, b.next - (a + b))
        t.last_row("ends at the result", b - result)


def fibonacci(log_height: int) -> Trace:
    rows = [(1, 1)]
    while len(rows) < 1 << log_height:
        a, b = rows[-1]
        rows.append((b, (a + b) % P))
    return np.array(rows, np.uint64)


FIBONACCI = System([Fibonacci(3)])
RESULT = {"fibonacci": [34]}


def test_an_honest_trace_has_no_faults() -> None:
    assert faults(FIBONACCI, {"fibonacci": fibonacci(3)}, RESULT) == []
    assert explain([]) == ""
    (single,) = System([Fibonacci(0)]).tables
    assert single.height == 1
    assert faults(System([Fibonacci(0)]), {"fibonacci": fibonacci(0)}, {"fibonacci": [1]}) == []


def test_a_changed_cell_is_found_on_both_its_rows() -> None:
    trace = fibonacci(3)
    trace[4, 1] += 10
    found = faults(FIBONACCI, {"fibonacci": trace}, RESULT)
    assert {(f.label, f.row, f.value) for f in found if isinstance(f, ConstraintFault)} == {
        ("moves on [0]", 4, P - 10),
        ("moves on [1]", 3, 10),
        ("moves on [1]", 4, P - 10),
    }
    fault = next(f for f in found if isinstance(f, ConstraintFault) and f.row == 3)
    assert fault.cells == (Cell("a", 3, 3), Cell("b", 3, 5), Cell("b", 4, 18))
    assert fault.failing_rows == 2
    text = explain([fault])
    for part in ("fibonacci, row 3", "'moves on [1]' is 10", "2 such rows", "b[row 4] = 18"):
        assert part in text


def test_boundaries_are_checked_on_their_row_only() -> None:
    trace = fibonacci(3)
    (fault,) = faults(FIBONACCI, {"fibonacci": trace}, {"fibonacci": [35]})
    assert isinstance(fault, ConstraintFault)
    assert (fault.label, fault.row, fault.value) == ("ends at the result", 7, P - 1)
    trace[:, 0] += 1
    labels = {f.label for f in faults(FIBONACCI, {"fibonacci": trace}, RESULT) if f.row == 0}
    assert labels == {"starts at 1, 1 [0]", "moves on [0]", "moves on [1]"}


class Cyclic(Air):
    name = "cyclic"

    def eval(self, t: AirBuilder) -> None:
        x, fixed = t.main("x"), t.preprocessed("fixed")
        t.every_row("steps around", x.next - x - fixed - t.periodic([0, 1]) + t.is_first_row)

    def preprocessed(self) -> dict[str, list[int]]:
        # The steps on rows 0 ... 3 are fixed + (0, 1, 0, 1) - (1, 0, 0, 0) and sum to zero.
        return {"fixed": [3, 4, P - 6, P - 2]}


def test_every_row_wraps_around() -> None:
    honest = np.array([[10], [12], [17], [11]])
    assert faults(System([Cyclic(2)]), {"cyclic": honest}, {}) == []
    honest[0] = 11
    found = faults(System([Cyclic(2)]), {"cyclic": honest}, {})
    assert [(f.row, f.value) for f in found if isinstance(f, ConstraintFault)] == [
        (0, P - 1),
        (3, 1),
    ]


def test_lists_are_limited_and_counted() -> None:
    trace = np.zeros((8, 2), np.uint64)
    trace[:, 0] = 5
    found = faults(FIBONACCI, {"fibonacci": trace}, RESULT, limit=2)
    moves = [f for f in found if isinstance(f, ConstraintFault) and f.label == "moves on [1]"]
    assert [(f.row, f.failing_rows) for f in moves] == [(0, 7), (1, 7)]


def test_chunks_of_rows_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = fibonacci(3)
    trace[4, 1] += 10
    whole = faults(FIBONACCI, {"fibonacci": trace}, RESULT)
    monkeypatch.setattr(trace_reading, "CHUNK_ROWS", 2)
    assert faults(FIBONACCI, {"fibonacci": trace}, RESULT) == whole


# ---- buses

PAIRS = Bus("pairs", 2)
SUMS = Bus("sums", 1, per_key_bound="few rows")


class Sender(Air):
    name = "sender"

    def eval(self, t: AirBuilder) -> None:
        x, y, n = (t.main(name) for name in "xyn")
        t.send(PAIRS, [x, y], count=n, label="a pair")
        t.send(SUMS, [x], count=[n, y], label="a sum")


class Receiver(Air):
    name = "receiver"

    def eval(self, t: AirBuilder) -> None:
        x, y, n = (t.main(name) for name in "xyn")
        t.receive(PAIRS, [x, y], count=n, bound=None, label="pairs wanted")
        t.receive(SUMS, [x], count=[n, y], label="sums wanted")


BUSES = System([Sender(2), Receiver(2)])


def buses(sent: list[list[int]], received: list[list[int]]) -> list[BusFault]:
    """The faults of these rows, filled up with rows of zeros, whose counts are zero."""
    traces = {
        name: np.array(rows + [[0, 0, 0]] * (4 - len(rows)))
        for name, rows in (("sender", sent), ("receiver", received))
    }
    found = faults(BUSES, traces, {})
    assert all(isinstance(fault, BusFault) for fault in found)
    return [fault for fault in found if isinstance(fault, BusFault)]


SENT = [[1, 1, 1], [1, 1, 2], [2, 5, 1], [3, 0, 0]]


def test_balanced_counts_have_no_faults() -> None:
    assert buses(SENT, [[2, 5, 1], [1, 1, 2], [4, 0, 0], [1, 1, 1]]) == []
    assert buses([], []) == []


def test_each_power_is_compared_by_itself() -> None:
    # On the second bus key 1 is sent with counts (1, 1) and (2, 1), received with (3, 1).
    (fault,) = buses(SENT, [[1, 1, 3], [2, 5, 1]])
    assert fault == BusFault(
        "sums",
        (1,),
        1,
        1,
        (
            Message("sender", "a sum", 0, 1),
            Message("sender", "a sum", 1, 1),
            Message("receiver", "sums wanted", 0, P - 1),
        ),
        3,
        1,
    )


def test_tuples_are_compared_whole() -> None:
    found = [f for f in buses(SENT, [[1, 1, 3], [5, 2, 1]]) if f.bus == "pairs"]
    assert [(f.values, f.total, f.failing_tuples) for f in found] == [
        ((2, 5), 1, 2),
        ((5, 2), P - 1, 2),
    ]
    text = explain(found)
    for part in ("bus 'pairs': (2, 5) leaves 1", "+1 by 'a pair' of sender, row 2", "leaves -1"):
        assert part in text


def test_counts_are_added_mod_p() -> None:
    half = (P - 1) // 2
    sent = [[7, 0, half], [7, 0, half], [7, 0, 1], [0, 0, 0]]
    assert buses(sent, [[7, 0, 0], [7, 0, 0]]) == []
    sent[2][2] = 2
    found = buses(sent, [[7, 0, 0], [7, 0, 0]])
    assert [(f.bus, f.total, f.message_count) for f in found] == [
        ("pairs", 1, 3),
        ("sums", 1, 3),
    ]


def test_only_messages_with_a_count_are_listed() -> None:
    # The second bus gets counts (1, 0) and (0, 4) for one key: one message in each power.
    found = [fault for fault in buses([[7, 0, 1], [7, 4, 0]], []) if fault.bus == "sums"]
    assert [(f.power, f.total, [(m.row, m.count) for m in f.messages]) for f in found] == [
        (0, 1, [(0, 1)]),
        (1, 4, [(1, 4)]),
    ]


def test_messages_are_limited_and_counted() -> None:
    sent = [[7, 0, 1]] * 4
    traces = {"sender": np.array(sent), "receiver": np.zeros((4, 3), np.int64)}
    found = faults(BUSES, traces, {}, limit=1)
    fault = found[0]
    assert isinstance(fault, BusFault)
    assert (fault.total, len(fault.messages), fault.message_count) == (4, 1, 4)
    assert "3 more messages" in explain(found)


# ---- refusals


def test_wrong_inputs_are_refused() -> None:
    trace = fibonacci(3)
    with pytest.raises(UsageError, match="expected traces of"):
        faults(FIBONACCI, {}, RESULT)
    with pytest.raises(UsageError, match="expected traces of"):
        faults(FIBONACCI, {"fibonacci": trace, "other": trace}, RESULT)
    with pytest.raises(UsageError, match="expected traces of"):
        faults(FIBONACCI, {"fibonacci": trace}, {"other": []})
    with pytest.raises(UsageError, match="1 public values, got 0"):
        faults(FIBONACCI, {"fibonacci": trace}, {})
    with pytest.raises(UsageError, match="shape"):
        faults(FIBONACCI, {"fibonacci": trace[:4]}, RESULT)
    with pytest.raises(UsageError, match="float64"):
        faults(FIBONACCI, {"fibonacci": trace.astype(float)}, RESULT)
    trace[2, 1] = P
    with pytest.raises(UsageError, match="b on row 2 is 2130706433"):
        faults(FIBONACCI, {"fibonacci": trace}, RESULT)


def test_preprocessed_columns_are_checked() -> None:
    class Short(Cyclic):
        def preprocessed(self) -> dict[str, list[int]]:
            return {"fixed": [1, 2]}

    class Missing(Cyclic):
        def preprocessed(self) -> dict[str, list[int]]:
            return {}

    for broken in (Short(2), Missing(2)):
        with pytest.raises(UsageError, match="preprocessed"):
            faults(System([broken]), {"cyclic": np.zeros((4, 1), np.int64)}, {})
