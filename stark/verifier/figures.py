"""What the soundness estimator must know of a system, taken from its tables."""

from __future__ import annotations

from stark.soundness.figures import BusFigures, SystemFigures, TableFigures
from stark.system import System, Table
from stark.verifier.layout import TableLayout


def system_figures(system: System) -> SystemFigures:
    """Widths, heights, degrees and buses of ``system``."""
    return SystemFigures(
        tables=tuple(
            _table_figures(table, _is_first_of_height(system, table) and system.zk)
            for table in system.tables
        ),
        buses=tuple(_bus_figures(system, number) for number in range(len(system.buses))),
    )


def _is_first_of_height(system: System, table: Table) -> bool:
    return table is next(t for t in system.tables if t.log_height == table.log_height)


def _table_figures(table: Table, masked: bool) -> TableFigures:
    """``masked``: the mask of this height's codeword, one function more, is counted here."""
    layout = TableLayout.of(table)
    return TableFigures(
        name=table.name,
        log_height=table.log_height,
        functions=layout.value_count + masked,
        constraints=len(table.constraints),
        # The quotient's chunks have that degree in X^N, whatever that of the constraints.
        degree=max(table.degree, table.quotient_chunks),
        points=2 if layout.following else 1,
    )


def _bus_figures(system: System, number: int) -> BusFigures:
    bus = system.buses[number]
    fractions = bound = gamma_degree = 0
    for table in system.tables:
        for interaction in table.symbolic.interactions:
            if interaction.bus == bus:
                fractions += table.height
                bound += (interaction.bound or 0) << table.log_height
                gamma_degree = max(gamma_degree, len(interaction.counts) - 1)
    return BusFigures(
        name=bus.name,
        width=bus.width,
        fractions=fractions,
        gamma_degree=gamma_degree,
        count_bound=None if bus.per_key_bound else bound,
    )
