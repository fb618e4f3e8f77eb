"""Masks shorter than the slack, in tables of degree up to 4: the hull of the whole view again.

The constraints multiply one column of the witness by fixed and periodic columns and selectors, so
that they have a degree and stay affine in the masks: as in ``test_zk_views.py`` equal hulls are
equal distributions. Here the masks leave most of the slack unused, the quotient has a rest that few
points determine, and there are two queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from support.cheating import SILENT, Seeded, configured
from support.systems import Columns, parameters
from support.zk import Coins, Interactive, affine_rank, joined

from stark.constraints.air import Air, AirBuilder
from stark.field.koalabear import P
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.masks import Masks, mask_length
from stark.prover.prove import Prover
from stark.soundness.estimate import check_randomness
from stark.system import System, Table
from stark.verifier.figures import system_figures
from stark.verifier.layout import Tree
from stark.verifier.protocol import schema

Matrix = NDArray[np.uint32]

RESULT = 1234567
INDICES = (45, 202)
"""Queried positions; domains have 4 N points. Neither is the other's next row at any height."""

SPARE = 4
"""Proofs beyond the dimension."""


class Line(Air):
    """Points of a line that ends at a public value, and their sums; affine, but of a degree."""

    def __init__(self, name: str, log_height: int, degree: int) -> None:
        super().__init__(log_height)
        self.name = name
        self.degree = degree

    def eval(self, t: AirBuilder) -> None:
        a, b, c = t.main("a"), t.main("b"), t.main("c")
        t.transition("moves on", a.next - a - b, b.next - b)
        t.last_row("ends at the result", a - t.public("result"))
        factor = t.periodic([3, 5])
        if self.degree > 2:
            factor = factor * t.preprocessed("fixed") ** (self.degree - 2)
        t.every_row("sum", factor * (c - a - b))

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        height = 1 << self.log_height
        return {"fixed": [pow(7, i, P) for i in range(height)]} if self.degree > 2 else {}

    def trace(self, slope: int) -> dict[str, list[int]]:
        height = 1 << self.log_height
        a = [(RESULT - (height - 1 - i) * slope) % P for i in range(height)]
        return {"a": a, "b": [slope] * height, "c": [(one + slope) % P for one in a]}


class Flat(Air):
    """Equal columns, row by row: no constraint reaches the next row, so that less slack will do."""

    name = "flat"

    def eval(self, t: AirBuilder) -> None:
        t.every_row("equal", t.periodic([3, 5]) * (t.main("a") - t.main("b")))

    def trace(self, slope: int) -> dict[str, list[int]]:
        values = [slope * i % P for i in range(1 << self.log_height)]
        return {"a": values, "b": values}


def airs(several: bool) -> list[Line | Flat]:
    if not several:
        return [Line("line", 7, 4)]
    return [Line("line", 7, 4), Line("short", 7, 2), Line("tall", 8, 3), Flat(5)]


@cache
def key(several: bool) -> ProvingKey:
    """Masks have 16 coefficients; slacks are 32 and 64, and 8 in the flat table."""
    chosen = parameters(
        **SILENT | {"queries": 2},
        zk=True,
        log_slack=2,
        log_blowup=2,
        log_max_arity=3,
        log_final_length=3,
    )
    return generate_key(System(airs(several), zk=True), chosen)


def publics(several: bool) -> dict[str, list[int]]:
    return {air.name: [RESULT] for air in airs(several) if isinstance(air, Line)}


class TwoQueries(Coins):
    """Fixed coins, with two positions."""

    def draw_indices(self, label: str) -> tuple[int, ...]:
        super().draw_indices(label)
        return INDICES


class Watched(Interactive):
    """An honest prover of these tables."""

    several: bool = False

    def __init__(self, seed: bytes) -> None:
        own = key(self.several)
        Prover.__init__(self, own, publics(self.several))
        self.transcript = TwoQueries(schema(own.verification, 0))
        self.masks = self.masks_type(self.parameters, Seeded(seed))
        self.view = {}
        self.salts = set()


SEVERAL: type[Watched] = configured(Watched, several=True)  # type: ignore[assignment]


def witness(number: int, several: bool) -> Columns:
    slope = int(np.random.default_rng(number).integers(1, P)) if number else 0
    return {air.name: air.trace(slope) for air in airs(several)}


@cache
def views(number: int, proofs: int, prover: type[Watched]) -> dict[str, NDArray[np.int64]]:
    columns = witness(number, prover.several)
    found = []
    for run_number in range(proofs):
        run = prover(f"{number} {run_number}".encode())
        run.run(columns)
        found.append(run.view)
    return {name: np.stack([view[name] for view in found]) for name in found[0]}


def hulls(prover: type[Watched], *prefixes: str) -> tuple[int, int, int]:
    """Dimensions of the hull of one witness's view, and with another's added; the view's width."""
    width = joined(views(0, 1, prover), *prefixes).shape[1]
    one = joined(views(0, width + SPARE, prover), *prefixes)
    other = joined(views(1, 2, prover), *prefixes)
    return affine_rank(one), affine_rank(np.concatenate([one, other])), width


@pytest.mark.parametrize("several", [False, True])
def test_masks_are_shorter_than_the_slack_and_long_enough(several: bool) -> None:
    verification = key(several).verification
    check_randomness(system_figures(verification.system), verification.parameters)
    lengths = {
        table.name: (mask_length(table.height, verification.parameters), table.height // 4)
        for table in verification.system.tables
    }
    assert lengths.pop("flat", (8, 8)) == (8, 8)
    assert all(length == 16 < slack for length, slack in lengths.values())


# Relations between what is shown of a table: its quotient at zeta follows from columns that are all
# opened (5). At x it depends on a and b at w x, of which nothing is shown: two of five dimensions
# are free (3 a query). The flat table's is known at x, too (5 a query).
LINE = 5 + 3 * 2
FLAT = 5 + 5 * 2
SHOWN = "main", "quotient"


def test_one_table_shows_nothing() -> None:
    one, both, width = hulls(Watched, *SHOWN)
    assert one == both == width - LINE


def test_tables_of_one_and_of_several_heights_show_nothing() -> None:
    one, both, width = hulls(SEVERAL, *SHOWN)
    assert one == both == width - 3 * LINE - FLAT


def test_the_whole_view_shows_nothing() -> None:
    """With FRI: each of its values at a query, and the end, follow from what is before them. The
    fixed column at zeta is a constant."""
    one, both, width = hulls(Watched)
    layers = sum(name.startswith("FRI") for name in views(0, 1, Watched))
    assert one == both == width - LINE - 5 * 2 * (layers + 1) - 5


# ---- provers that hide less


class _Short(Masks):
    """Masks of which only the lowest coefficients are drawn."""

    of_columns = of_chunks = 1 << 20

    def columns(self, table: Table, tree: Tree, padded: int) -> Matrix:
        return _cut(super().columns(table, tree, padded), self.of_columns)

    def chunks(self, table: Table) -> list[Matrix]:
        return [_cut(mask, self.of_chunks) for mask in super().chunks(table)]


def _cut(mask: Matrix, length: int) -> Matrix:
    mask[length:] = 0
    return mask


def short(prover: type[Watched] = Watched, **lengths: int) -> type[Watched]:
    masks = type(_Short.__name__, (_Short,), lengths)
    return configured(prover, masks_type=masks)  # type: ignore[return-value]


# At x and w x for each query, and five each at zeta and w zeta.
COLUMNS = 2 * (2 + 5)
# Over F: at each query and at zeta.
CHUNKS = 2 + 1


def test_as_many_coefficients_as_functionals_suffice() -> None:
    one, both, width = hulls(short(of_columns=COLUMNS, of_chunks=CHUNKS), *SHOWN)
    assert one == both == width - LINE


@pytest.mark.parametrize(
    ("of_columns", "of_chunks"), [(COLUMNS - 1, CHUNKS), (COLUMNS, CHUNKS - 1)]
)
def test_one_coefficient_fewer_shows(of_columns: int, of_chunks: int) -> None:
    """(With columns of more coefficients than it takes, these help to hide chunks.)"""
    one, both, width = hulls(short(of_columns=of_columns, of_chunks=of_chunks), *SHOWN)
    assert one < width - LINE
    assert one < both
