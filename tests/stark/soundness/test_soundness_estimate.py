"""The estimator: written-out figures, monotony in every parameter, side conditions, report."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stark.errors import Code, Rejected
from stark.soundness.bits import combine
from stark.soundness.estimate import Report, estimate
from stark.soundness.figures import BusFigures, SystemFigures, TableFigures
from stark.soundness.parameters import ProtocolParameters
from stark.soundness.regimes import johnson

P = 2130706433
FIELD_BITS = 5 * math.log2(P)

CHAIN = TableFigures("chain", 18, 236, 300, 3, 2)
TREE = TableFigures("tree", 15, 180, 170, 3, 2)
RANGE = TableFigures("range", 15, 20, 12, 2, 1)
BUS = BusFigures("range", 1, 14 << 18, count_bound=14 << 18)
SUMS = BusFigures("sums", 2, 1 << 18, gamma_degree=4)
SYSTEM = SystemFigures((CHAIN, TREE, RANGE), (BUS, SUMS))

UDR = ProtocolParameters(
    log_blowup=2,
    queries=160,
    regime="udr",
    multiplicity=0,
    batching="powers",
    log_max_arity=3,
    log_final_length=6,
    cap_height=5,
    grinding_lookup=1,
    grinding_ali=2,
    grinding_deep=3,
    grinding_batching=4,
    grinding_fold=5,
    grinding_query=20,
    zk=False,
    log_slack=0,
    hash_suite="sha256",
)
JBR = replace(UDR, regime="jbr", multiplicity=12, batching="independent", log_blowup=3, queries=75)


def bits(report: Report) -> dict[str, float]:
    return {entry.name: float(entry.bits) for entry in report.rounds}


def test_unique_decoding_by_hand() -> None:
    # n = 2^20 at the largest height, theta = 3/8.
    chain_error, tree_error = 3 / 8 * 2**20 + 1, 3 / 8 * 2**17 + 1
    expected = {
        "lookup": 1 - math.log2((14 << 18) * 3 + (1 << 18) * 8),
        "ALI": 2 - math.log2(482),
        "DEEP": 3 - math.log2(3 * (2**18 + 1) + 2**18 - 1),
        "batching": 4 - math.log2(235 * chain_error + 199 * tree_error),
        # Eight functions are folded, and the batch of tree and range joins as the ninth.
        "fold 1": 5 - math.log2(8 * tree_error),
        "fold 2": 5 - math.log2(7 * (3 / 8 * 2**14 + 1)),
        "fold 3": 5 - math.log2(7 * (3 / 8 * 2**11 + 1)),
        "fold 4": 5 - math.log2(7 * (3 / 8 * 2**8 + 1)),
    }
    wanted = {name: FIELD_BITS + value for name, value in expected.items()}
    wanted["query"] = 20 - 160 * math.log2(5 / 8)
    report = estimate(SYSTEM, UDR)
    assert list(bits(report)) == list(wanted)
    assert bits(report) == pytest.approx(wanted, abs=0.00011)
    assert all(bits(report)[name] <= value for name, value in wanted.items())
    assert [entry.grinding for entry in report.rounds] == [1, 2, 3, 4, 5, 5, 5, 5, 20]


def test_johnson_by_hand() -> None:
    rate, m = 1 / 8, 12.5
    root = math.sqrt(rate)
    theta = 1 - root - root / 24
    list_size = m / root

    def error(length: int) -> float:
        return (2 * m**5 + 3 * m * theta * rate) * length / (3 * rate**1.5) + m / root

    expected = {
        "lookup": 1 - math.log2(list_size * ((14 << 18) * 3 + (1 << 18) * 8)),
        "ALI": 2 - math.log2(list_size * 482),
        "DEEP": 3 - math.log2(list_size * (3 * (2**18 + 1) + 2**18 - 1)),
        "batching": 4 - math.log2(error(2**21) + error(2**18)),
        "fold 1": 5 - math.log2(8 * error(2**18)),
        "fold 4": 5 - math.log2(7 * error(2**9)),
    }
    report = estimate(SYSTEM, JBR)
    found = bits(report)
    assert found["query"] == pytest.approx(20 - 75 * math.log2(1 - theta), abs=0.00011)
    for name, value in expected.items():
        assert found[name] == pytest.approx(FIELD_BITS + value, abs=0.00011), name
    assert float(report.regime.theta) == pytest.approx(theta)
    assert report.regime.list_formula == "(m + 1/2)/sqrt(rate)"


def test_the_smaller_list_is_taken() -> None:
    # At a rate of 9/16 and m = 3, (m + 1/2)/sqrt(rate) = 4.67 and m/rate = 5.33; at 0.75 and
    # m = 4, 5.196 and 5.333; only above 0.73 and m = 3 is it the other way round.
    assert johnson(Fraction(9, 16), 3).list_size == Fraction(14, 3)
    beyond = johnson(Fraction(3, 4), 3)
    assert (beyond.list_size, beyond.list_formula) == (4, "m/rate")


def test_zero_knowledge_uses_the_dimension_with_slack() -> None:
    zk = replace(JBR, zk=True, log_slack=6)
    root = math.sqrt(65 / 64 / 8)
    report = estimate(SYSTEM, zk)
    assert bits(report)["query"] == pytest.approx(
        20 - 75 * math.log2(root + root / 24), abs=0.00011
    )
    dimension = 2**18 * 65 // 64
    list_size = 12.5 / root
    wanted = FIELD_BITS + 3 - math.log2(list_size * (3 * (dimension + 1) + dimension - 1))
    assert bits(report)["DEEP"] == pytest.approx(wanted, abs=0.00011)
    # A shorter final polynomial rounds its slack up, and with it the rate of every layer.
    assert estimate(SYSTEM, replace(zk, log_final_length=5)).regime.rate * 8 * 32 == 33


def test_zero_knowledge_needs_room_for_randomness() -> None:
    # The smallest table, 2^15 rows, has 512 coefficients at a slack of 1/64: 2 (250 + 5) + 1.
    zk = replace(JBR, zk=True, log_slack=6, queries=250)
    assert estimate(SYSTEM, zk)
    with pytest.raises(Rejected) as caught:
        estimate(SYSTEM, replace(zk, queries=251))
    assert caught.value.code is Code.ZK
    assert "tree" in caught.value.check


tables = st.builds(
    TableFigures,
    st.just("table"),
    st.integers(6, 19),
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.integers(1, 9),
    st.integers(1, 9),
)
buses = st.builds(
    BusFigures, st.just("bus"), st.integers(1, 40), st.integers(1, 2**26), st.integers(0, 9)
)
systems = st.builds(
    SystemFigures,
    st.lists(tables, min_size=1, max_size=4).map(tuple),
    st.lists(buses, min_size=1, max_size=3).map(tuple),
)
parameter_sets = st.builds(
    replace,
    st.sampled_from([UDR, JBR, replace(JBR, batching="powers")]),
    log_blowup=st.integers(1, 4),
    queries=st.integers(1, 300),
    grinding_batching=st.integers(0, 30),
    log_max_arity=st.integers(1, 3),
)


def not_above(after: Report, before: Report, names: tuple[str, ...]) -> None:
    """Every round that exists in both has at most as many bits; ``names`` have fewer."""
    old, new = bits(before), bits(after)
    assert after.minimum <= before.minimum
    for name in old.keys() & new.keys():
        assert new[name] <= old[name], name
    for name in names:
        assert new[name] < old[name], name


@settings(max_examples=60, deadline=None)
@given(systems, parameter_sets, st.data())
def test_larger_systems_have_fewer_bits(
    system: SystemFigures, parameters: ProtocolParameters, data: st.DataObject
) -> None:
    before = estimate(system, parameters)
    table, bus = system.tables[0], system.buses[0]
    changes: list[tuple[Any, tuple[str, ...]]] = [
        (replace(table, constraints=2 * table.constraints), ("ALI",)),
        (replace(table, functions=2 * table.functions + 1), ()),
        (replace(table, degree=table.degree + 1), ()),
        (replace(table, points=table.points + 1), ()),
        (replace(bus, width=2 * bus.width + 3), ("lookup",)),
        (replace(bus, gamma_degree=2 * bus.gamma_degree + bus.degree), ("lookup",)),
        (replace(bus, fractions=2 * bus.fractions), ("lookup",)),
    ]
    change, names = data.draw(st.sampled_from(changes))
    # A change of less than the largest or of a small part can vanish in rounding; of all, not.
    if isinstance(change, TableFigures):
        larger = replace(system, tables=(change, *system.tables[1:]))
        names = names if len(system.tables) == 1 else ()
    else:
        larger = replace(system, buses=(change, *system.buses[1:]))
        names = names if len(system.buses) == 1 else ()
    not_above(estimate(larger, parameters), before, names)


@settings(max_examples=40, deadline=None)
@given(tables, buses, parameter_sets)
def test_higher_tables_have_fewer_bits(
    table: TableFigures, bus: BusFigures, parameters: ProtocolParameters
) -> None:
    before = estimate(SystemFigures((table,), (bus,)), parameters)
    higher = replace(table, log_height=table.log_height + 1)
    after = estimate(
        SystemFigures((higher,), (replace(bus, fractions=2 * bus.fractions),)), parameters
    )
    assert after.minimum <= before.minimum
    for name in ("lookup", "DEEP", "batching"):
        assert bits(after)[name] < bits(before)[name]


def test_one_more_table_has_fewer_bits() -> None:
    for parameters in (UDR, JBR):
        before = estimate(SystemFigures((CHAIN, TREE), SYSTEM.buses), parameters)
        not_above(estimate(SYSTEM, parameters), before, ("ALI",))


@settings(max_examples=60, deadline=None)
@given(
    systems,
    parameter_sets,
    st.sampled_from(
        [
            ("lookup", "grinding_lookup"),
            ("ALI", "grinding_ali"),
            ("DEEP", "grinding_deep"),
            ("batching", "grinding_batching"),
            ("fold", "grinding_fold"),
            ("query", "grinding_query"),
            ("query", "queries"),
        ]
    ),
)
def test_grinding_and_queries_add_bits_to_their_rounds_only(
    system: SystemFigures, parameters: ProtocolParameters, site: tuple[str, str]
) -> None:
    name, label = site
    stronger = replace(parameters, **{label: getattr(parameters, label) + 1})
    before, after = estimate(system, parameters), estimate(system, stronger)
    for old, new in zip(before.rounds, after.rounds, strict=True):
        assert old.name == new.name
        if not old.name.startswith(name):
            assert new == old
        elif label == "queries":
            assert new.bits > old.bits
        else:
            assert new.bits == old.bits + 1


@settings(max_examples=40, deadline=None)
@given(systems, st.integers(3, 500), st.integers(1, 4))
def test_multiplicity_trades_queries_for_everything_else(
    system: SystemFigures, multiplicity: int, log_blowup: int
) -> None:
    parameters = replace(JBR, multiplicity=multiplicity, log_blowup=log_blowup)
    before = estimate(system, parameters)
    after = estimate(system, replace(parameters, multiplicity=multiplicity + 1))
    for old, new in zip(before.rounds, after.rounds, strict=True):
        assert new.bits > old.bits if old.name == "query" else new.bits < old.bits


@settings(max_examples=40, deadline=None)
@given(systems, st.integers(1, 3), st.sampled_from([UDR, JBR]))
def test_blowup_adds_bits_to_queries(
    system: SystemFigures, log_blowup: int, base: ProtocolParameters
) -> None:
    before = estimate(system, replace(base, log_blowup=log_blowup))
    after = estimate(system, replace(base, log_blowup=log_blowup + 1))
    assert bits(after)["query"] > bits(before)["query"]
    for name in ("batching", "DEEP"):
        assert bits(after)[name] <= bits(before)[name]


@settings(max_examples=30, deadline=None)
@given(systems, parameter_sets)
def test_summary_figures(system: SystemFigures, parameters: ProtocolParameters) -> None:
    report = estimate(system, parameters)
    all_bits = [entry.bits for entry in report.rounds]
    assert report.minimum == report.weakest.bits == min(all_bits)
    assert report.union == combine(all_bits)
    assert report.minimum - 6 <= report.union < report.minimum
    assert report.floors == (("sha256 collisions", 128),)


def test_reference_is_the_minimum_at_m_50() -> None:
    report = estimate(SYSTEM, JBR)
    assert report.reference == estimate(SYSTEM, replace(JBR, multiplicity=50)).minimum
    assert report.reference is not None
    assert report.reference < report.minimum
    assert estimate(SYSTEM, UDR).reference is None


def test_lines_show_every_round_and_never_round_up() -> None:
    report = estimate(SYSTEM, JBR)
    text = "\n".join(report.lines())
    for entry in report.rounds:
        shown = next(line for line in report.lines() if line.startswith(entry.name)).split()
        value = Decimal(shown[len(entry.name.split())])
        assert entry.bits - Decimal("0.01") < value <= entry.bits
    for part in ("m = 12", "(m + 1/2)/sqrt(rate)", "sha256 collisions", "sum over", "fixed m = 50"):
        assert part in text
    assert "\n" not in "".join(report.lines())
    assert "m =" not in "\n".join(estimate(SYSTEM, UDR).lines())
    assert "fixed" not in "\n".join(estimate(SYSTEM, replace(JBR, multiplicity=50)).lines())


def test_no_bus_no_lookup_round() -> None:
    report = estimate(SystemFigures((CHAIN,)), UDR)
    assert "lookup" not in bits(report)


def test_reports_are_reproducible() -> None:
    assert estimate(SYSTEM, JBR) == estimate(SYSTEM, JBR)
    # Bits as decimals with four digits: the same text on every machine.
    assert [str(entry.bits) for entry in estimate(SYSTEM, JBR).rounds] == JBR_BITS


JBR_BITS = [
    "127.1557",
    "142.8866",
    "132.7995",
    "115.6391",
    "116.8090",
    "120.0017",
    "123.0017",
    "126.0017",
    "128.0829",
]


def test_side_condition() -> None:
    # (1 - theta) n = 5/8 * 2^8 = 160 at a height of 2^6: 64 + 95 < 160, 64 + 96 is not.
    small = TableFigures("small", 6, 5, 5, 3, 95)
    assert estimate(SystemFigures((small,)), UDR)
    with pytest.raises(Rejected) as caught:
        estimate(SystemFigures((replace(small, points=96),)), UDR)
    assert caught.value.code is Code.PARAMS


def test_distance_zero_is_rejected() -> None:
    wide = replace(JBR, log_blowup=1, zk=True, log_slack=1, multiplicity=3)
    with pytest.raises(Rejected) as caught:
        estimate(SYSTEM, wide)
    assert caught.value.code is Code.PARAMS


def test_heights_must_fit_the_parameters() -> None:
    for table in (replace(CHAIN, log_height=23), replace(CHAIN, log_height=5)):
        with pytest.raises(Rejected) as caught:
            estimate(SystemFigures((table,)), UDR)
        assert caught.value.code is Code.PARAMS


@pytest.mark.parametrize(
    "changes",
    [
        {"functions": 0},
        {"constraints": 0},
        {"degree": 0},
        {"points": 0},
        {"log_height": -1},
        {"log_height": 25},
    ],
)
def test_empty_tables_are_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        replace(CHAIN, **changes)
    assert caught.value.code is Code.PARAMS


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"fractions": 0},
        {"gamma_degree": -1},
        {"count_bound": 0},
        {"count_bound": P},
    ],
)
def test_empty_or_wrapping_buses_are_rejected(changes: dict[str, Any]) -> None:
    assert replace(BUS, count_bound=P - 1)
    with pytest.raises(Rejected) as caught:
        replace(BUS, **changes)
    assert caught.value.code is Code.PARAMS


def test_a_system_without_tables_is_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        SystemFigures(())
    assert caught.value.code is Code.PARAMS
