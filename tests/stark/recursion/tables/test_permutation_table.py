"""The permutation table: a program against plain hashing, and a forgery for every constraint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from support.recursion_program import (
    CAP_NUMBER,
    cap_digest,
    challenge,
    injected_digest,
    leaf_digest,
    leaf_sum,
    program,
)
from support.recursion_rows import (
    Cells,
    Forgery,
    Step,
    broken,
    columns,
    element,
    labels,
    permutation_rows,
)

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, POSEIDON2, compress, permute
from stark.recursion.tables.permutation import PERMUTATION_COLUMNS, PermutationAir
from stark.system import System

PROGRAM = program()
ROWS = len(PROGRAM)
Forgeries = Mapping[int, Forgery]
"""What forgers add, by row of the program and cell."""


def air(steps: Sequence[Step]) -> PermutationAir:
    log_height = (len(steps) - 1).bit_length()
    fixed = columns(PERMUTATION_COLUMNS, [step.fixed for step in steps])
    return PermutationAir(log_height, POSEIDON1, fixed)


def lanes(row: Cells, name: str, first: int = 0, end: int = 8) -> list[int]:
    return [row[f"hash.{name}[{lane}]"] for lane in range(first, end)]


def public(row: Cells) -> list[int]:
    return lanes(row, "y")


def test_widths_and_degree() -> None:
    (table,) = System([PermutationAir(3, POSEIDON1)]).tables
    assert [table.width(part) for part in Part] == [41, 197, 3]
    assert (table.degree, table.quotient_chunks) == (3, 2)
    assert tuple(table.symbolic.columns[Part.PREPROCESSED]) == PERMUTATION_COLUMNS


def test_the_program_is_what_plain_hashing_says() -> None:
    rows = permutation_rows(PROGRAM, {})
    assert broken(air(PROGRAM), rows, public(rows[-1])) == set()
    assert lanes(rows[3], "y", 0, 16) == permute(POSEIDON1, lanes(rows[3], "x", 0, 16))
    assert element(rows[1], "gamma") == challenge()
    assert lanes(rows[5], "y") == leaf_digest()
    assert element(rows[6], "acc") == leaf_sum()
    assert compress(POSEIDON1, lanes(rows[9], "x", 0, 16)) == cap_digest()
    assert lanes(rows[11], "y") == injected_digest()
    assert [rows[row]["index"] for row in range(5, 10)] == [5, 1, 1, 1, 1]
    assert rows[9]["index"] == CAP_NUMBER


def test_horner_cells_are_partial_sums() -> None:
    for row in permutation_rows(PROGRAM, {}):
        gamma, value = element(row, "gamma"), element(row, "acc")
        for lane in range(8):
            cell = ext.from_base(row[f"hash.x[{lane}]"])
            value = ext.add(ext.multiply(value, gamma), cell)
            if lane % 2:
                assert element(row, f"h{lane + 1}") == value


def test_every_flag_is_used() -> None:
    fixed = columns(PERMUTATION_COLUMNS, [step.fixed for step in PROGRAM])
    unused = {name for name, values in fixed.items() if not any(values)}
    of_messages = {"wire address", "wire count", "wire x", "wire y", "wire low", "wire high"}
    of_messages |= {"wire acc", "index address", "digest address", "digest count"}
    assert unused == of_messages | {"digest high", "digest leaf"}


# ---- the permutation's own constraints


def gadget_cells() -> list[tuple[str, str]]:
    """(label, cell) of the constraints that give the permutation's cells."""
    full = [
        (f"hash.{name} [{lane}]", f"hash.{name}[{lane}]")
        for name in (*(f"full{number}" for number in range(1, 8)), "y")
        for lane in range(16)
    ]
    return full + [(f"hash.z{number + 1}", f"hash.z[{number}]") for number in range(20)]


def test_every_cell_of_a_permutation_is_constrained() -> None:
    cells = gadget_cells()
    steps = [Step({"straight": 1}, range(row, row + 16)) for row in range(256)]
    forged = {row: {cell: 1 + row} for row, (_, cell) in enumerate(cells)}
    rows = permutation_rows(steps, forged)
    expected = {(row, label) for row, (label, _) in enumerate(cells)}
    assert broken(air(steps), rows, public(rows[-1])) == expected


# ---- all others


def each(row: int, cell: str, count: int, first: int = 0) -> list[Forgeries]:
    return [{row: {f"{cell}[{first + k}]": 1}} for k in range(count)]


def numbered(label: str, forgeries: Sequence[Forgeries]) -> dict[str, list[Forgeries]]:
    return {f"{label} [{number}]": [forged] for number, forged in enumerate(forgeries)}


FORGERIES: dict[str, list[Forgeries]] = (
    numbered("a sponge starts with tag and length", each(2, "hash.x", 8, 8))
    | numbered("filling is zero", each(10, "hash.x", 7))
    | numbered("the capacity goes on", each(3, "hash.x", 8, 8))
    | numbered("the rate goes on", each(1, "hash.x", 8))
    # The leaf is the right half of row 6, its parent the left half of row 7.
    | numbered("a leaf is in its parent", each(6, "hash.x", 8, 8))
    | numbered("a node is in its parent", each(7, "hash.x", 8))
    | numbered("the input stays", each(9, "hash.x", 16))
    | {
        "bit is boolean": [{6: {"bit": 1}}, {7: {"bit": 2}}, {7: {"bit": P - 1}}],
        # The injected leaf and the node change sides.
        "bit is 0 where it is straight": [{8: {"bit": 1}}, {0: {"bit": 1}}],
        "index goes on": [{6: {"index": 1}}, {7: {"index": 4}}, {8: {"index": 1}}],
        # After nothing; after base values, an element, what is kept.
        "acc goes on": [forged for row in (2, 3, 4, 5, 6, 7) for forged in each(row, "acc", 5)],
        "gamma is squeezed": each(1, "gamma", 5),
        "gamma goes on": [forged for row in (2, 6) for forged in each(row, "gamma", 5)],
    }
    | {
        f"h{lane} goes on from two lanes before": [
            forged for row in (2, 12) for forged in each(row, f"h{lane}", 5)
        ]
        for lane in (2, 4, 6, 8)
    }
)
"""By constraint, but for those of the permutation and of the public values."""


def test_every_constraint_refuses_forgeries_that_no_other_refuses() -> None:
    """Each forged program is a block of rows of one tall table."""
    of_publics = [f"the last row's output is public [{lane}]" for lane in range(8)]
    known = labels(PermutationAir(0, POSEIDON1))
    own = {label for label, _ in gadget_cells()}
    assert sorted([*FORGERIES, *of_publics, *own]) == sorted(known)
    cases = [(label, forged) for label, found in FORGERIES.items() for forged in found]
    blocks = [forged for _, forged in cases]
    blocks += [{}] * ((1 << (len(cases) - 1).bit_length()) - len(blocks))
    honest = permutation_rows(PROGRAM, {})
    rows = [row for forged in blocks for row in permutation_rows(PROGRAM, forged, honest)]
    steps = [
        replace(step, fixed=step.fixed | {"digest address": 1 + number})
        for number in range(len(blocks))
        for step in PROGRAM
    ]
    found = broken(air(steps), rows, public(rows[-1]))
    assert {(row // ROWS, label) for row, label in found} == {
        (number, label) for number, (label, _) in enumerate(cases)
    }


def test_sums_start_from_zero_on_the_first_row() -> None:
    """The constraint is cyclic: it is the last row, without a flag, that says so."""
    rows = permutation_rows(PROGRAM, {0: {"acc[2]": 1}})
    assert broken(air(PROGRAM), rows, public(rows[-1])) == {(ROWS - 1, "acc goes on")}


@pytest.mark.parametrize("lane", range(8))
def test_another_public_digest_is_refused(lane: int) -> None:
    rows = permutation_rows(PROGRAM, {})
    digest = public(rows[-1])
    digest[lane] = (digest[lane] + 1) % P
    expected = {(ROWS - 1, f"the last row's output is public [{lane}]")}
    assert broken(air(PROGRAM), rows, digest) == expected


@pytest.mark.parametrize("bits", [(0, 0), (0, 1), (1, 1)])
def test_wrong_bits_end_outside_the_cap(bits: tuple[int, int]) -> None:
    """What a prover can do: its rows hold, but no digest of the cap has the number it ends at."""
    steps = list(PROGRAM)
    for row, bit in zip((6, 7), bits, strict=True):
        steps[row] = replace(steps[row], bit=bit)
    rows = permutation_rows(steps, {})
    assert broken(air(steps), rows, public(rows[-1])) == set()
    assert rows[9]["index"] not in (0, 1)


# ---- columns that are no circuit


def changed(row: int, **values: int) -> list[Step]:
    steps = list(PROGRAM)
    named = {name.replace("_", " "): value for name, value in values.items()}
    steps[row] = replace(steps[row], fixed=steps[row].fixed | named)
    return steps


@pytest.mark.parametrize(
    ("row", "values"),
    [
        *((15, {name: 1}) for name in ("node_next", "leaf_next", "same_next", "keep_next")),
        *((15, {name: 1}) for name in ("capacity_next", "gamma_next", "index_next")),
        (2, {"keep_next": 1}),
        (2, {"wire_x": 1, "wire_y": 1}),
        (9, {"digest_leaf": 1}),
        (9, {"free": 1}),
        (3, {"tag": 1}),
        (3, {"length": 1}),
        (3, {"weight_next": 1}),
        (10, {"rate_next": 1}),
        (8, {"straight": 0}),
        (5, {"weight_next": 0}),
        (12, {"digest_number": 1}),
        (1, {"gamma_here": 0}),
        (2, {"gamma_next": 0}),
        (5, {"index_count": 0}),
        (7, {"index_next": 0}),
        (3, {"straight": 2}),
    ],
)
def test_columns_that_leave_something_free_are_refused(row: int, values: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        air(changed(row, **values))


def test_bits_that_fill_no_half_need_not_be_straight() -> None:
    air(changed(10, straight=0))


def test_other_permutations_are_refused() -> None:
    with pytest.raises(UsageError):
        PermutationAir(3, POSEIDON2)
    with pytest.raises(UsageError):
        PermutationAir(3, replace(POSEIDON1, partial_rounds=19))
