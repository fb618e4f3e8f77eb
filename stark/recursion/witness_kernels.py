"""The kernel that runs a circuit's steps: ``stark.recursion.reference`` on arrays.

One step after the other: most permutations wait for the one before them, and what a few cores could
do side by side would not pay for finding it out.
"""

from __future__ import annotations

from stark.field.extension_simd import ext_add, ext_mul
from stark.jit import kernel
from stark.recursion.circuit import Operation, Rate
from stark.recursion.witness_rows import arithmetic_step, decompose, fold_step, place_step
from stark.recursion.witness_sponge import ACC, GAMMA, HORNER, forget_row, permutation_step
from stark.recursion.witness_words import SATISFIED, UNKNOWN, UNWRITTEN, base, element, store

DONE = -1
"""What the kernel returns if all steps could be run; else twice the step's number, and one more if
the step reads what is not written."""

_BIT, _PERMUTE = int(Operation.BIT), int(Operation.PERMUTE)
_PLACE, _FOLD = int(Operation.PLACE), int(Operation.FOLD)
_HINTS, _PATH = int(Rate.HINTS), int(Rate.PATH)


@kernel(
    "i8(i8[:, ::1], u4[::1], i8[::1], u4[::1], u4[::1], i8[::1], i8[::1], i8[::1], i8[::1],"
    " i8[::1], u4[::1], u4[::1], u4[::1], u4[::1], i8[::1], u4[::1], u4[:, ::1], u4[:, ::1],"
    " u4[:, ::1], u4[:, ::1], u4[:, ::1])"
)
def run_steps(  # type: ignore[no-untyped-def]
    steps,
    hints,
    operands,
    coefficients,
    frobenius,
    flags,
    numbers,
    places,
    folds,
    decompositions,
    powers,
    table,
    wires,
    digests,
    counts,
    words,
    arithmetic,
    inputs,
    permutation,
    fold,
    decomposition,
):
    """Run all steps; see ``DONE``. ``inputs`` gets the inputs of permutations, ``permutation`` what
    is behind their cells but for Horner's sums and multiplicities."""
    taken, last = 0, -2
    for number in range(steps.shape[0]):
        step = steps[number]
        operation, row = step[0], step[1]
        status = SATISFIED
        if operation == _PERMUTE:
            if last != row - 1:
                forget_row(words, table)
            last = row
            status = permutation_step(
                step,
                hints,
                taken,
                flags,
                numbers,
                places,
                wires,
                digests,
                counts,
                words,
                table,
                inputs,
                permutation,
            )
            if step[2] == _HINTS:
                taken += step[3]
            elif step[2] == _PATH:
                taken += 8
        elif operation == _PLACE:
            status = place_step(row, folds, wires, fold.reshape(-1), row * fold.shape[1])
        elif operation == _FOLD:
            status = fold_step(row, folds, wires, fold.reshape(-1), row * fold.shape[1])
        elif operation <= _BIT:
            status = arithmetic_step(step, wires, operands, coefficients, frobenius, arithmetic)
        else:
            source, start = 5 * step[2], row * decomposition.shape[1]
            address, width = decompositions[2 * row], decompositions[2 * row + 1]
            value = wires[source + step[3]]
            low, y = decompose(value, width, powers, decomposition.reshape(-1), start)
            if wires[source] == UNWRITTEN:
                status = UNKNOWN
            store(wires, 5 * address, base(value))
            store(wires, 5 * (address + 1), base(low))
            store(wires, 5 * (address + 2), base(y))
        if status != SATISFIED:
            return 2 * number + (1 if status == UNKNOWN else 0)
    return DONE


@kernel("void(u4[:, ::1], i8, i8)")
def sum_lanes(permutation, lo, hi):  # type: ignore[no-untyped-def]
    """Horner's sums after two, four, six and eight lanes, from gamma and acc."""
    flat = permutation.reshape(-1)
    for row in range(lo, hi):
        start = row * permutation.shape[1]
        gamma, value = element(flat, start + GAMMA), element(flat, start + ACC)
        for lane in range(8):
            value = ext_add(ext_mul(value, gamma), base(flat[start + lane]))
            if lane & 1:
                store(flat, start + HORNER + 5 * (lane >> 1), value)
