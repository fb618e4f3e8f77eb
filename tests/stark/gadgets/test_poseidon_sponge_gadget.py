"""The Poseidon gadget with all lanes of its output."""

from __future__ import annotations

import pytest

from stark.constraints.air import AirBuilder
from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.gadgets.poseidon import CELLS, SPONGE_CELLS, poseidon_permutation
from stark.hash.poseidon import POSEIDON1


def test_more_outputs_change_nothing_before_them() -> None:
    narrow, wide = AirBuilder("narrow", 2), AirBuilder("wide", 2)
    few = poseidon_permutation(narrow, POSEIDON1)
    many = poseidon_permutation(wide, POSEIDON1, output_lanes=16)
    one, other = narrow.build(), wide.build()
    assert (len(few.outputs), len(many.outputs)) == (8, 16)
    assert len(few.compressed) == len(many.compressed) == 8
    assert len(one.columns[Part.MAIN]) == CELLS
    assert len(other.columns[Part.MAIN]) == SPONGE_CELLS
    assert other.columns[Part.MAIN][:CELLS] == one.columns[Part.MAIN]
    count = len(one.constraints)
    assert [c.label for c in other.constraints[:count]] == [c.label for c in one.constraints]
    assert len(other.constraints) == count + 8


@pytest.mark.parametrize("lanes", [0, 7, 9, 17])
def test_other_numbers_of_outputs_are_refused(lanes: int) -> None:
    with pytest.raises(UsageError):
        poseidon_permutation(AirBuilder("x", 2), POSEIDON1, output_lanes=lanes)
