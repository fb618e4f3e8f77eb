"""The fold table against the FRI verifier, and a forgery for every constraint."""

from __future__ import annotations

from random import Random

import pytest
from support.recursion_rows import Forgery, broken, columns, element, fold_row, labels

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.extension import ZERO, Element
from stark.field.koalabear import P, root_of_unity
from stark.fri.verifier import fold_leaf
from stark.recursion.tables.fold import FOLD_COLUMNS, FoldAir
from stark.system import System


def elements(seed: int, count: int) -> list[Element]:
    random = Random(seed)
    return [
        (random.randrange(P), random.randrange(P), random.randrange(P), random.randrange(P), P - 1)
        for _ in range(count)
    ]


def air(weights: list[int]) -> FoldAir:
    log_height = (len(weights) - 1).bit_length()
    rows = [{"active": 1, "weight": weight} for weight in weights]
    rows += [{}] * ((1 << log_height) - len(rows))
    return FoldAir(log_height, columns(FOLD_COLUMNS, rows))


IDLE = fold_row([ZERO] * 8, ZERO, 0, 3, {"y": P - 1})
"""Zeros, but for the shift."""


def test_widths_and_degree() -> None:
    (table,) = System([FoldAir(3)]).tables
    assert [table.width(part) for part in Part] == [11, 115, 8]
    assert (table.degree, table.quotient_chunks) == (3, 2)
    assert tuple(table.symbolic.columns[Part.PREPROCESSED]) == FOLD_COLUMNS


@pytest.mark.parametrize("log_size", [3, 4, 7, 24])
def test_folds_are_those_of_the_verifier(log_size: int) -> None:
    leaf, (beta,) = elements(1, 8), elements(2, 1)
    weight = 1 << log_size >> 3
    rows = []
    for slot in range(8):
        for index_out in sorted({0, weight // 2, weight - 1}):
            row = fold_row(leaf, beta, index_out + weight * slot, log_size, {})
            assert element(row, "result") == fold_leaf(leaf, index_out, log_size, beta)
            assert element(row, "value") == leaf[slot]
            assert row["y_out"] == pow(root_of_unity(log_size), -8 * index_out, P)
            assert row["index_out"] == index_out
            rows.append(row)
    count = len(rows)
    rows += [IDLE] * ((1 << (count - 1).bit_length()) - count)
    assert broken(air([weight] * count), rows) == set()


def test_idle_rows_are_zero_but_for_the_shift() -> None:
    assert {name for name, value in IDLE.items() if value} == {"shift"}
    assert IDLE["shift"] == 1


FORGERIES: dict[str, list[Forgery]] = {
    "bits are boolean [0]": [{"bit[0]": 1}],
    "bits are boolean [1]": [{"bit[1]": 2}],
    "bits are boolean [2]": [{"bit[2]": P - 2}],
    "index is made of slot and leaf": [{"index": 8}, {"index": P - 1}],
    "shift is the slot's root": [{"shift": 1}],
    "powers of y [0]": [{"y2": 1}],
    "powers of y [1]": [{"y4": 1}],
    "powers of y [2]": [{"y_out": 1}],
} | {
    label: [{f"{cell}[{k}]": 1} for k in range(5)]
    for label, cell in (
        ("u is the challenge over the point", "u"),
        ("u2 is its square", "u2"),
        *((f"g{t} is a first fold", f"g{t}") for t in range(4)),
        *((f"h{t} is a second fold", f"h{t}") for t in range(2)),
        ("result is the third fold", "result"),
        *((f"n{t} is selected by the upper bits", f"n{t}") for t in range(2)),
        ("value is in the leaf at its slot", "value"),
    )
}
"""By constraint: what forgers add to the row of slot 1; all that follows is computed from it."""


def test_every_constraint_refuses_forgeries_that_no_other_refuses() -> None:
    known = labels(FoldAir(0))
    assert sorted(FORGERIES) == sorted(known)
    cases = [(label, forged) for label in known for forged in FORGERIES[label]]
    leaf, (beta,) = elements(3, 8), elements(4, 1)
    rows = [fold_row(leaf, beta, 8 + 5, 6, forged) for _, forged in cases]
    rows += [IDLE] * ((1 << (len(rows) - 1).bit_length()) - len(rows))
    expected = {(row, label) for row, (label, _) in enumerate(cases)}
    assert broken(air([8] * len(cases)), rows) == expected


def test_another_slot_needs_an_index_outside_the_layer() -> None:
    """What a prover can do: its row holds, but its leaf is none of the layer's."""
    leaf, (beta,) = elements(5, 8), elements(6, 1)
    row = fold_row(leaf, beta, 8 * 3 + 5, 6, {"bit[1]": P - 1, "index_out": 16})
    assert broken(air([8]), [row]) == set()
    assert row["index"] == 8 * 3 + 5
    assert not 0 <= row["index_out"] < 8


def test_malformed_columns_are_refused() -> None:
    with pytest.raises(UsageError):
        FoldAir(0, columns(FOLD_COLUMNS, [{"active": 2}]))
    with pytest.raises(UsageError):
        FoldAir(0).preprocessed()
