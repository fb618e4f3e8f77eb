"""Powers of one challenge: Horner's rule over the joint rows, as a circuit reads them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import pytest
from support.checks import check, check_equal
from support.systems import parameters, products

from stark.constraints.expression import Part
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.prover.keygen import generate_key
from stark.system import System
from stark.verifier.deep import TableDeep
from stark.verifier.key import VerificationKey
from stark.verifier.layout import TableLayout, Tree, batching_order, cells
from stark.verifier.verify import batching_coefficients

TABLES = [table.air for table in products(4, 4).system.tables]
"""Two of one height, and a third."""


def key_of(zk: bool, whole_rows: bool, batching: str = "powers") -> VerificationKey:
    chosen = {"zk": True, "log_slack": 3, "log_blowup": 3} if zk else {}
    system = System(TABLES, zk, whole_rows)
    return generate_key(system, parameters(batching=batching, **chosen)).verification


def random_element(source: random.Random) -> Element:
    return ext.from_coefficients([source.randrange(P) for _ in range(5)])


def horner(start: Element, values: Iterable[Element], challenge: Element) -> Element:
    for value in values:
        start = ext.add(ext.multiply(start, challenge), value)
    return start


def functions(row: Sequence[int], tree: Tree) -> list[Element]:
    """What a row holds of the polynomials that it is of: cells, or elements of five cells each."""
    if tree in (Tree.AUXILIARY, Tree.QUOTIENT):
        return [ext.from_coefficients(row[at : at + 5]) for at in range(0, len(row), 5)]
    return [ext.from_base(cell) for cell in row]


over_masks = pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])


@over_masks
@pytest.mark.parametrize("whole_rows", [False, True])
def test_every_value_has_a_power_of_its_own(zk: bool, whole_rows: bool) -> None:
    key = key_of(zk, whole_rows)
    tables = key.system.tables
    challenge = random_element(random.Random(1))
    counts = [TableLayout.of(table).value_count for table in tables]
    coefficients = iter(batching_coefficients(key, [challenge]))
    by_place = {
        (number, place): next(coefficients)
        for number, count in enumerate(counts)
        for place in range(count)
    }
    check_equal(list(coefficients), [])
    for log_height in key.system.log_heights:
        order = batching_order(tables, log_height)
        own = [place for place in by_place if tables[place[0]].log_height == log_height]
        check_equal(sorted(order), sorted(own))
        for k, place in enumerate(order):
            check_equal(by_place[place], ext.power(challenge, len(order) - k), str(place))


def test_independent_coefficients_are_those_drawn() -> None:
    key = key_of(False, True, "independent")
    source = random.Random(2)
    drawn = [random_element(source) for _ in range(70)]
    check_equal(batching_coefficients(key, drawn), drawn)


@over_masks
@pytest.mark.parametrize("seed", range(3))
def test_horners_rule_over_joint_rows(zk: bool, seed: int) -> None:
    """At zeta tree by tree, then on the next row: what the tables' own sums add up to."""
    key = key_of(zk, True)
    source = random.Random(seed)
    challenge, zeta = random_element(source), random_element(source)
    tables = key.system.tables
    layouts = [TableLayout.of(table) for table in tables]
    coefficients = list(batching_coefficients(key, [challenge]))
    rows: list[dict[Tree, list[int]]] = [
        {tree: [source.randrange(P) for _ in range(cells(table, tree))] for tree in Tree}
        for table in tables
    ]
    sums: dict[int, list[Element]] = {}
    for number, layout in enumerate(layouts):
        start = sum(one.value_count for one in layouts[:number])
        own = coefficients[start : start + layout.value_count]
        deep = TableDeep.of(layout, [ext.ZERO] * layout.value_count, own, zeta)
        total = sums.setdefault(layout.table.log_height, [ext.ZERO, ext.ZERO])
        for place, point_sum in enumerate(deep.sums):
            packed = sum(one.at(rows[number][one.tree]) for one in point_sum.rows)
            total[place] = ext.add(total[place], ext.unpack(packed))

    for log_height, (here, following) in sums.items():
        members = [n for n, table in enumerate(tables) if table.log_height == log_height]
        opened_next = [
            tree
            for tree, part in zip(Tree, Part, strict=False)
            if any(tables[n].next_columns[part] for n in members)
        ]
        at_zeta = [f for tree in Tree for n in members for f in functions(rows[n][tree], tree)]
        after = [f for tree in opened_next for n in members for f in functions(rows[n][tree], tree)]
        rest = ext.power(challenge, len(after) + 1)
        check_equal(ext.multiply(rest, horner(ext.ZERO, at_zeta, challenge)), here)
        check_equal(ext.multiply(challenge, horner(ext.ZERO, after, challenge)), following)
        check(len(at_zeta) > 0, "something is opened at every height")
