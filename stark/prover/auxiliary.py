"""The prover's auxiliary columns: the fractions of the bus argument, summed along the trace.

What they must satisfy is written in :mod:`stark.lookup.logup`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stark.constraints.expression import Part
from stark.constraints.interpreter import Constants, RowInputs, evaluate_roots
from stark.constraints.program import compile_store
from stark.errors import UsageError
from stark.field import simd
from stark.field.extension import DEGREE, Element
from stark.field.extension_kernels import batch_inverse, multiply, running_sum
from stark.field.koalabear import P
from stark.field.memory import LANES, aligned_empty, padded_width
from stark.field.montgomery import from_montgomery, scalar_to_montgomery, to_montgomery
from stark.field.transposition import columns_to_rows
from stark.jit import kernel
from stark.lookup.logup import Group
from stark.parallel import run
from stark.system import Table

Array = NDArray[np.uint32]

CHUNK_ROWS = 1 << 16
"""Rows at a time: their fractions (a few MB per column) stay in the last-level cache."""


class VanishingDenominatorError(UsageError):
    """A tuple met a pole of the bus argument under these challenges.

    Happens with probability about (rows * width) / p^5; the row must not be skipped, since its
    fraction would then be free.
    """


def auxiliary_columns(
    table: Table,
    preprocessed: Array | None,
    main: Array,
    publics: Sequence[int],
    alpha: Element,
    beta: Element,
    gamma: Element,
) -> tuple[Array, Element]:
    """The auxiliary columns of a table on the trace domain, and its terminal.

    Parameters
    ----------
    preprocessed, main
        (N, padded width) uint32, Montgomery form, on the trace domain.
    publics
        The table's public values, canonical.
    alpha, beta, gamma
        The challenges of the bus argument, canonical.

    Returns
    -------
    matrix
        (N, 5 K padded to a multiple of 16) uint32, Montgomery form, for K groups: columns
        5k ... 5k + 4 hold the fraction of group k on its row; the last five hold the running sum,
        which is 0 on row 0.
    terminal
        The sum of all fractions over all rows, and of the mask of row 0 if there is one; canonical.

    Raises
    ------
    VanishingDenominatorError
        If a denominator is zero.
    UsageError
        If the table sends and receives nothing.
    ValueError
        If a matrix does not have the shape above.
    """
    groups = table.bus_argument.groups
    if not groups:
        raise UsageError(f"{table.name}: a table without buses has no auxiliary columns")
    program = compile_store(
        table.symbolic.graph,
        [root.index for group in groups for root in (group.numerator, group.denominator)],
    )
    inputs = _trace_domain(table, preprocessed, main)
    if inputs.rows != table.height:
        raise ValueError(f"{table.name}: expected {table.height} rows, got {inputs.rows}")
    constants = Constants(publics, alpha, beta, gamma)
    matrix = aligned_empty((table.height, padded_width(DEGREE * len(groups))))
    columns = aligned_empty((matrix.shape[1], padded_width(min(table.height, CHUNK_ROWS))))
    columns[DEGREE * len(groups) :] = 0
    carry = np.zeros(DEGREE, np.uint32)
    for lo in range(0, table.height, CHUNK_ROWS):
        hi = min(table.height, lo + CHUNK_ROWS)
        values = evaluate_roots(program, inputs, constants, (lo, hi))
        mask = _terminal_mask(table, main) if lo == 0 else None
        carry = _fill(columns, hi - lo, table, values, carry, mask)
        columns_to_rows(columns, matrix[lo:hi])
    return matrix, tuple(from_montgomery(carry).tolist())


def _terminal_mask(table: Table, main: Array) -> Array | None:
    """The element on row 0 that hides the terminal, (5,), if the table has one."""
    if not table.symbolic.mask_width:
        return None
    return main[0, table.witness_width : table.width(Part.MAIN)]


def _fill(
    columns: Array,
    rows: int,
    table: Table,
    values: Sequence[Array],
    carry: Array,
    mask: Array | None,
) -> Array:
    """Fractions and running sum of some rows, a column per row of ``columns``; the new sum.

    ``values`` alternates numerators and denominators. The last fraction makes way for the sum.
    ``mask`` joins the sum on the first of these rows.
    """
    groups = table.bus_argument.groups
    for number, group in enumerate(groups):
        numerator, denominator = values[2 * number], values[2 * number + 1]
        columns[DEGREE * number : DEGREE * (number + 1), :rows] = multiply(
            np.ascontiguousarray(numerator), _inverse(table, group, denominator)
        )
    length = columns.shape[1]
    sums = aligned_empty((DEGREE, length))
    flat, flat_sums = columns.reshape(-1), sums.reshape(-1)
    run(
        lambda lo, hi: _sum_fractions(flat, flat_sums, length, len(groups), lo, hi),
        length,
        64 * LANES,
    )
    if mask is not None:
        sums[:, 0] = (sums[:, 0].astype(np.uint64) + mask) % P
    steps = np.empty((DEGREE, rows + 1), np.uint32)
    steps[:, 0] = carry
    steps[:, 1:] = sums[:, :rows]
    totals = running_sum(steps)
    end = DEGREE * len(groups)
    columns[end - DEGREE : end, :rows] = totals[:, :-1]
    return totals[:, -1].copy()


def _inverse(table: Table, group: Group, denominator: Array) -> Array:
    try:
        return batch_inverse(np.ascontiguousarray(denominator))
    except ZeroDivisionError:
        labels = ", ".join(interaction.label for interaction in group.interactions)
        raise VanishingDenominatorError(
            f"{table.name}: a denominator of {labels} vanished; draw other bus challenges"
        ) from None


def _trace_domain(table: Table, preprocessed: Array | None, main: Array) -> RowInputs:
    """Inputs on the trace domain. An AIR cannot name X - w^-1 in a message: it is left out."""
    first, last = np.zeros((2, table.height), np.uint32)
    first[0] = last[-1] = scalar_to_montgomery(1)
    periodic = [to_montgomery(np.array(values, np.uint32)) for values in table.symbolic.periodic]
    return RowInputs(preprocessed, main, first=first, last=last, periodic=periodic)


@kernel("void(u4[::1], u4[::1], i8, i8, i8, i8)")
def _sum_fractions(columns: Array, sums: Array, length: int, groups: int, lo: int, hi: int) -> None:
    """Coefficient by coefficient, the sum of the groups' fractions on rows lo ... hi - 1."""
    for q in range(5):
        for i in range(lo, hi, 16):
            total = simd.load(columns, q * length + i)
            for group in range(1, groups):
                fraction = simd.load(columns, (5 * group + q) * length + i)
                total = simd.field_add(total, fraction)
            simd.store(sums, q * length + i, total)
