"""LogUp: a bus balances when a sum of fractions vanishes (Haboeck, ePrint 2022/1530).

Each message with count n and tuple (v_1, ..., v_w) on the bus number b contributes n / d with

    d = alpha + b + beta v_1 + beta^2 v_2 + ... + beta^w v_w;

over all rows of all tables the sum is zero exactly when every tuple is sent as often as it is
received, up to the error counted by the soundness estimator. The bus number is the constant
coefficient in beta, so that tuples of different buses cannot meet. A table's fractions are grouped,
two to an auxiliary column where the degree allows it. A column h of a group of two satisfies

    h d_1 d_2 = n_1 d_2 + n_2 d_1.

The last group has no column of its own: it sits in the constraint of the running sum phi,

    (phi' - phi - sum of the other h + tau L_last) d_1 d_2 = n_1 d_2 + n_2 d_1

on all rows, cyclically. Summed over the rows it says that the table's fractions add up to its
*terminal* tau, whatever phi starts from. The verifier checks that the terminals add up to zero.

Terminals depend on the witness. A system that hides it adds to each table five main columns, zero
but on row 0, where they hold a random element r_t; r_t joins the running sum, so that the terminal
is uniform, and the honest prover takes r_t that add up to zero. Nothing checks that: for fixed
traces, the sum of all fractions is a rational function of alpha that vanishes at infinity, so that
a constant sum of the r_t, fixed before alpha is drawn, can only be its negative if both are zero
(up to the error that is counted for vanishing fractions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.constraints.air import Constraint, SymbolicAir
from stark.constraints.bus import Interaction
from stark.constraints.expression import Challenge, Column, Expression, Graph, Part, Selector
from stark.field.extension import DEGREE

MASK_NAME = "bus mask"
MINIMUM_DEGREE_TARGET = 3
"""Groups may reach this degree even in an AIR of lower degree: two fractions a column need 3."""


@dataclass(frozen=True)
class Group:
    """The fractions of one auxiliary column, over their common denominator."""

    interactions: tuple[Interaction, ...]
    numerator: Expression
    denominator: Expression


@dataclass(frozen=True)
class BusArgument:
    """The auxiliary columns of one table. Column k < len(groups) - 1 holds the sum of group k on
    its row, the last column the running sum; without groups there is nothing."""

    groups: tuple[Group, ...]
    constraints: tuple[Constraint, ...]

    @property
    def width(self) -> int:
        """Number of auxiliary columns, in extension elements."""
        return len(self.groups)


def add_terminal_mask(air: SymbolicAir) -> None:
    """Give a table with buses the five main columns that hide its terminal."""
    if not air.interactions:
        return
    first = air.graph.selector(Selector.FIRST)
    names = air.columns[Part.MAIN]
    for power in range(DEGREE):
        names.append(f"{MASK_NAME}[{power}]")
        cell = Column(air.graph, Part.MAIN, len(names) - 1)
        air.constraints.append(
            Constraint(f"{MASK_NAME}[{power}] is zero but on row 0", cell - first * cell)
        )
    air.mask_width = DEGREE


def _terminal_mask(air: SymbolicAir) -> Expression:
    """The element that the mask columns hold on a row; 0 without them."""
    mask = air.graph.constant(0)
    start = air.width(Part.MAIN) - air.mask_width
    for power in range(air.mask_width):
        cell = air.graph.cell(Part.MAIN, start + power, 0)
        mask = mask + air.graph.challenge(Challenge.BASIS, power) * cell
    return mask


def bus_argument(air: SymbolicAir, bus_numbers: Mapping[str, int]) -> BusArgument:
    """The auxiliary columns and constraints that tie ``air`` to its buses."""
    if not air.interactions:
        return BusArgument((), ())
    graph = air.graph
    target = max(MINIMUM_DEGREE_TARGET, air.constraint_degree)
    groups = _grouped(graph, air.interactions, bus_numbers, target)
    columns = [graph.cell(Part.AUXILIARY, index, 0) for index in range(len(groups))]
    constraints = [
        Constraint(f"bus group {_names(group)}", column * group.denominator - group.numerator)
        for column, group in zip(columns[:-1], groups[:-1], strict=True)
    ]
    step = graph.cell(Part.AUXILIARY, len(groups) - 1, 1) - columns[-1]
    for column in columns[:-1]:
        step = step - column
    step = step - _terminal_mask(air) + graph.terminal() * graph.selector(Selector.LAST)
    last = groups[-1]
    constraints.append(
        Constraint(f"bus running sum {_names(last)}", step * last.denominator - last.numerator)
    )
    return BusArgument(tuple(groups), tuple(constraints))


def _names(group: Group) -> str:
    return ", ".join(interaction.label for interaction in group.interactions)


def _grouped(
    graph: Graph,
    interactions: Sequence[Interaction],
    bus_numbers: Mapping[str, int],
    target: int,
) -> list[Group]:
    """Neighbours in pairs where the pair's constraint stays within degree ``target``."""
    singles = [_single(graph, item, bus_numbers[item.bus.name]) for item in interactions]
    groups: list[Group] = []
    index = 0
    while index < len(singles):
        group = singles[index]
        if index + 1 < len(singles):
            pair = _merged(group, singles[index + 1])
            if max(pair.denominator.degree + 1, pair.numerator.degree) <= target:
                groups.append(pair)
                index += 2
                continue
        groups.append(group)
        index += 1
    return groups


def _single(graph: Graph, interaction: Interaction, bus_number: int) -> Group:
    denominator = graph.challenge(Challenge.ALPHA) + bus_number
    for exponent, value in enumerate(interaction.values, start=1):
        denominator = denominator + graph.challenge(Challenge.BETA, exponent) * value
    numerator = graph.constant(0)
    for exponent, count in enumerate(interaction.counts):
        numerator = numerator + graph.challenge(Challenge.GAMMA, exponent) * count
    if interaction.received:
        numerator = -numerator
    return Group((interaction,), numerator, denominator)


def _merged(first: Group, second: Group) -> Group:
    return Group(
        first.interactions + second.interactions,
        first.numerator * second.denominator + second.numerator * first.denominator,
        first.denominator * second.denominator,
    )
