"""A search never returns parameters under which the bound's side condition fails."""

from __future__ import annotations

import pytest

from stark.errors import Code, Rejected
from stark.soundness.estimate import estimate
from stark.soundness.figures import SystemFigures, TableFigures
from stark.soundness.search import Role, find_parameters

TARGET = 100


def figures(log_height: int, points: int) -> SystemFigures:
    table = TableFigures("short", log_height, 3, constraints=2, degree=2, points=points)
    return SystemFigures(tables=(table,), buses=())


def role(log_blowup: int) -> Role:
    return Role(regime="udr", log_blowup=log_blowup, batching="independent", log_final_length=0)


@pytest.mark.parametrize(("log_height", "points"), [(0, 1), (0, 2), (1, 2)])
def test_tables_too_short_for_their_opened_points(log_height: int, points: int) -> None:
    # Half of the distance at blowup 2: N + points coefficients need less than 3/4 of 2 N.
    assert not (1 << log_height) + points < 3 / 4 * (2 << log_height)
    with pytest.raises(Rejected) as caught:
        find_parameters(figures(log_height, points), TARGET, role(1))
    assert caught.value.code is Code.PARAMS
    assert caught.value.check == "agreement left to the opened points of table short"


@pytest.mark.parametrize(("log_height", "points"), [(2, 1), (3, 2), (3, 3)])
def test_tables_just_long_enough(log_height: int, points: int) -> None:
    assert (1 << log_height) + points < 3 / 4 * (2 << log_height)
    found = find_parameters(figures(log_height, points), TARGET, role(1))
    assert estimate(figures(log_height, points), found).minimum >= TARGET
