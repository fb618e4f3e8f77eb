"""Parameters follow what tables are: their figures come from the AIRs, never from a constant.

From a table's symbols to its figures, from figures to bits, from bits to parameters: more columns,
rows, constraints, degree or bus messages never give more bits nor cheaper parameters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.checks import check, check_equal

from stark.constraints.air import Air, AirBuilder
from stark.constraints.bus import Bus
from stark.errors import UsageError
from stark.field.koalabear import TWO_ADICITY
from stark.soundness import PROFILES, ProtocolParameters, Role, estimate, find_parameters
from stark.soundness.figures import SystemFigures
from stark.system import System
from stark.verifier.figures import system_figures

SITES = ("lookup", "ali", "deep", "batching", "fold")
POWERS = Role(regime="udr", log_blowup=2, batching="powers")
INDEPENDENT = Role(regime="jbr", log_blowup=3, batching="independent")
MASKED = replace(INDEPENDENT, zk=True, log_slack=4)


class Grown(Air):
    """``width`` columns, each with a constraint of ``degree``, ``messages`` on a bus of
    ``bus_width`` elements, and one relation to the next row if ``following``."""

    name = "grown"

    def __init__(
        self,
        log_height: int = 12,
        width: int = 4,
        degree: int = 3,
        messages: int = 1,
        bus_width: int = 1,
        following: bool = True,
    ) -> None:
        super().__init__(log_height)
        self.width, self.degree, self.following = width, degree, following
        self.messages, self.bus = messages, Bus("bus", bus_width)

    def eval(self, t: AirBuilder) -> None:
        columns = t.main_array("x", self.width)
        t.every_row("powers", *(x**self.degree - x for x in columns))
        if self.following:
            t.transition("moves", columns[0].next - columns[0])
        for number in range(self.messages):
            values = [columns[0]] * self.bus.width
            t.send(self.bus, values, label=f"sent {number}")
            t.receive(self.bus, values, label=f"received {number}")


def grown(zk: bool = False, **sizes: Any) -> SystemFigures:
    return system_figures(System([Grown(**sizes)], zk))


# ---- from tables to figures


def test_figures_are_those_of_the_table() -> None:
    (small,) = grown().tables
    (wide,) = grown(width=9).tables
    # Five more columns, with a constraint each, opened at one point: no next row is read.
    check_equal(wide.functions - small.functions, 5)
    (still,) = grown(following=False).tables
    check_equal(small.functions - still.functions, 1)
    check_equal(small.constraints - still.constraints, 1)
    check_equal(wide.constraints - small.constraints, 5)
    check_equal(grown(log_height=15).tables[0], replace(small, log_height=15))
    check_equal((small.degree, grown(degree=5).tables[0].degree), (3, 5))
    check(grown(degree=9).tables[0].functions > small.functions, "more chunks of the quotient")
    check_equal((small.points, small.log_height), (2, 12))
    check(grown(zk=True).tables[0].functions > small.functions, "masks are functions too")


def test_figures_are_those_of_the_buses() -> None:
    changes: list[dict[str, Any]] = [{}, {"messages": 3}, {"bus_width": 6}]
    (one,), (three,), (broad,) = (grown(**change).buses for change in changes)
    check_equal((one.fractions, three.fractions), (2 << 12, 6 << 12))
    check_equal((one.count_bound, three.count_bound), (2 << 12, 6 << 12))
    check_equal((one.width, broad.width), (1, 6))
    check_equal(grown(messages=0).buses, ())


def test_two_tables_are_summed() -> None:
    other = Grown(14)
    other.name = "other"
    figures = system_figures(System([Grown(), other]))
    check_equal(figures.log_heights, (14, 12))
    check_equal(figures.constraints, 2 * grown().constraints)
    (bus,) = figures.buses
    check_equal(bus.fractions, (2 << 12) + (2 << 14))


# ---- from figures to bits

GROWTH = ("width", "log_height", "degree", "messages", "bus_width")
sizes = st.fixed_dictionaries(
    {
        "width": st.integers(1, 40),
        "log_height": st.integers(12, 18),
        "degree": st.integers(2, 9),
        "messages": st.integers(0, 4),
        "bus_width": st.integers(1, 9),
    }
)
UDR_PARAMETERS = find_parameters(grown(), 128, POWERS)
JBR_PARAMETERS = find_parameters(grown(), 128, INDEPENDENT)


def sites(figures: SystemFigures, parameters: ProtocolParameters) -> dict[str, float]:
    """Fewest bits by site: the numbers of folds of two systems may differ."""
    found: dict[str, float] = {}
    for entry in estimate(figures, parameters).rounds:
        site = entry.name.split()[0]
        found[site] = min(found.get(site, 1e9), float(entry.bits))
    return found


@settings(max_examples=40, deadline=None)
@given(sizes, st.sampled_from(GROWTH), st.integers(1, 4))
def test_more_of_anything_never_gives_more_bits(
    before: dict[str, Any], what: str, more: int
) -> None:
    after = {**before, what: before[what] + more}
    if what == "bus_width" and not before["messages"]:
        return
    for parameters in (UDR_PARAMETERS, JBR_PARAMETERS):
        smaller = sites(grown(**before), parameters)
        larger = sites(grown(**after), parameters)
        for site, bits in smaller.items():
            check(larger[site] <= bits, f"{site}: {larger[site]} > {bits} with more {what}")


@pytest.mark.parametrize(
    ("change", "site"),
    [
        ({"width": 400}, "ALI"),
        ({"width": 400}, "batching"),
        ({"log_height": 16}, "DEEP"),
        ({"log_height": 16}, "batching"),
        ({"log_height": 16}, "lookup"),
        ({"degree": 9}, "DEEP"),
        ({"messages": 9}, "lookup"),
        ({"bus_width": 9}, "lookup"),
    ],
)
def test_each_site_sees_what_it_depends_on(change: dict[str, Any], site: str) -> None:
    before = sites(grown(), UDR_PARAMETERS)
    after = sites(grown(**change), UDR_PARAMETERS)
    check(after[site] < before[site], f"{site}: {before[site]} to {after[site]}")
    check_equal(after["query"], before["query"], "queries depend on the rate alone")


# ---- from bits to parameters


def price(parameters: ProtocolParameters) -> tuple[int, int]:
    """Queries, then all grinding that is searched."""
    return parameters.queries, sum(getattr(parameters, f"grinding_{site}") for site in SITES)


@settings(max_examples=25, deadline=None)
@given(sizes, st.sampled_from(GROWTH), st.integers(1, 4), st.sampled_from([POWERS, INDEPENDENT]))
def test_more_of_anything_never_makes_parameters_cheaper(
    before: dict[str, Any], what: str, more: int, role: Role
) -> None:
    if what == "log_height":
        more = min(more, TWO_ADICITY - role.log_blowup - before[what])
    smaller, larger = grown(**before), grown(**{**before, what: before[what] + more})
    found, after = (find_parameters(figures, 128, role) for figures in (smaller, larger))
    check(after.queries >= found.queries, f"{found.queries} to {after.queries} queries")
    if after.multiplicity == found.multiplicity:
        check(price(after) >= price(found), f"{price(found)} to {price(after)} with more {what}")
    for figures, parameters in ((smaller, found), (larger, after)):
        check(estimate(figures, parameters).minimum >= 128, "the target is reached")


@pytest.mark.parametrize(
    ("change", "site"),
    [
        ({"width": 4000}, "grinding_batching"),
        ({"log_height": 22}, "grinding_batching"),
        ({"messages": 40, "bus_width": 60}, "grinding_lookup"),
    ],
)
def test_a_larger_table_needs_more_grinding(change: dict[str, Any], site: str) -> None:
    usual: dict[str, Any] = {"log_height": 20, "width": 200}
    small, large = grown(**usual), grown(**{**usual, **change})
    before, after = (find_parameters(figures, 128, POWERS) for figures in (small, large))
    check(getattr(after, site) > getattr(before, site), site)
    # Yesterday's parameters do not do for today's tables.
    check(estimate(large, before).minimum < 128, "the target is missed")


def test_a_higher_table_needs_more_queries_below_the_johnson_bound() -> None:
    low, high = (find_parameters(grown(log_height=h), 128, INDEPENDENT) for h in (12, 20))
    check(high.queries > low.queries, f"{low.queries} to {high.queries}")
    check(high.multiplicity < low.multiplicity, "less room for m")


def test_more_tables_of_other_heights_cost_more() -> None:
    def several(*heights: int) -> SystemFigures:
        tables = []
        for number, height in enumerate(heights):
            table = Grown(height, width=60)
            table.name = f"table {number}"
            tables.append(table)
        return system_figures(System(tables))

    one, four = several(16), several(16, 15, 14, 13)
    before, after = (sites(figures, UDR_PARAMETERS) for figures in (one, four))
    for site in ("lookup", "ALI", "batching", "fold"):
        check(after[site] < before[site], f"{site}: {before[site]} to {after[site]}")
    found, more = (find_parameters(figures, 128, POWERS) for figures in (one, four))
    check(price(more) >= price(found), f"{price(found)} to {price(more)}")


def test_masks_cost_queries() -> None:
    """The rate grows by a sixteenth."""
    plain = find_parameters(grown(log_height=14), 128, INDEPENDENT)
    masked = find_parameters(grown(zk=True, log_height=14), 128, MASKED)
    check(masked.rate > plain.rate, "a larger rate")
    check(masked.queries > plain.queries, f"{plain.queries} to {masked.queries}")


def test_profiles_search_for_the_system_at_hand() -> None:
    profile = PROFILES["proven128"]
    found = {h: profile.find(grown(zk=True, log_height=h)) for h in (12, 20)}
    check(found[12] != found[20], "other parameters for another height")
    with pytest.raises(UsageError, match="grinding at"):
        find_parameters(grown(log_height=20, width=200), 128, replace(POWERS, max_grinding=1))
