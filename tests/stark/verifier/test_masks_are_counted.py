"""The estimator counts one mask for each height's codeword, not one for each table."""

from __future__ import annotations

import pytest
from support.systems import products

from stark.system import System
from stark.verifier.figures import system_figures
from stark.verifier.layout import TableLayout


@pytest.mark.parametrize("zk", [False, True])
@pytest.mark.parametrize("log_heights", [(5, 4), (5, 5), (8, 5), (8, 8)])
def test_functions_by_height(log_heights: tuple[int, int], zk: bool) -> None:
    tables = products(*log_heights, real=11).system.tables
    system = System([table.air for table in tables], zk=zk)
    figures = system_figures(system)
    for log_height in system.log_heights:
        opened = [
            TableLayout.of(t).value_count for t in system.tables if t.log_height == log_height
        ]
        assert figures.functions_at(log_height) == sum(opened) + zk
