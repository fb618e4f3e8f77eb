"""Rows of arithmetic, folds and decompositions, for the kernel that computes witnesses.

All cells of a row are written, and the wires that it writes. See ``stark.recursion.reference`` for
what the steps mean.
"""

from __future__ import annotations

import numpy as np

from stark.field import simd
from stark.field.extension_simd import (
    ext_add,
    ext_inverse,
    ext_mul,
    ext_scale,
    ext_splat,
    ext_sub,
)
from stark.field.koalabear import P, root_of_unity
from stark.field.montgomery import scalar_to_montgomery
from stark.jit import device
from stark.recursion.circuit import Operation
from stark.recursion.witness_program import A_READS, B_READS, D_READS
from stark.recursion.witness_words import (
    ONE,
    SATISFIED,
    UNKNOWN,
    UNSATISFIED,
    UNWRITTEN,
    base,
    element,
    integer,
    is_base,
    montgomery,
    send,
    store,
)

_INVERT, _BIT = int(Operation.INVERT), int(Operation.BIT)
_HALF = np.uint32(scalar_to_montgomery(pow(2, -1, P)))
_ROOT_POWERS = tuple(np.uint32(scalar_to_montgomery(pow(root_of_unity(3), k, P))) for k in range(8))


@device
def _inverse(words, start, frobenius):  # type: ignore[no-untyped-def]
    """1/a for one element, in all lanes of vectors."""
    inverse, _norm = ext_inverse(ext_splat(words, start, 1), frobenius)
    return (
        simd.lane(inverse[0], 0),
        simd.lane(inverse[1], 0),
        simd.lane(inverse[2], 0),
        simd.lane(inverse[3], 0),
        simd.lane(inverse[4], 0),
    )


@device
def arithmetic_step(  # type: ignore[no-untyped-def]
    step, wires, operands, coefficients, frobenius, cells
):
    """EVALUATE, INVERT or BIT."""
    operation, row, wire, number = step[0], step[1], step[2], step[3]
    at = row * 5
    addresses = operands[at], operands[at + 1], operands[at + 2], operands[at + 3]
    reads = operands[at + 4]
    a, b = element(wires, 5 * addresses[0]), element(wires, 5 * addresses[1])
    c = element(wires, 5 * addresses[2])
    if operation == _BIT:
        if wires[5 * wire] == UNWRITTEN:
            return UNKNOWN
        bit = integer(wires[5 * wire]) >> number & 1
        a = base(montgomery(bit))
        b = a
        if send(wires, addresses[0], a, (reads & A_READS) != 0) != SATISFIED:
            return UNSATISFIED
    if a[0] == UNWRITTEN or c[0] == UNWRITTEN:
        return UNKNOWN
    if operation == _INVERT:
        if (a[0] | a[1] | a[2] | a[3] | a[4]) == 0:
            return UNSATISFIED
        b = _inverse(wires, 5 * addresses[0], frobenius)
        if send(wires, addresses[1], b, (reads & B_READS) != 0) != SATISFIED:
            return UNSATISFIED
    if b[0] == UNWRITTEN:
        return UNKNOWN
    q = row * 7
    zero = np.uint32(0)
    d = (coefficients[q + 5], coefficients[q + 6], zero, zero, zero)
    if coefficients[q] != 0:
        d = ext_add(d, ext_scale(ext_mul(a, b), coefficients[q]))
    if coefficients[q + 1] != 0:
        d = ext_add(d, ext_scale(ext_mul(c, ext_sub(a, b)), coefficients[q + 1]))
    d = ext_add(d, ext_scale(a, coefficients[q + 2]))
    d = ext_add(d, ext_scale(b, coefficients[q + 3]))
    d = ext_add(d, ext_scale(c, coefficients[q + 4]))
    start = row * cells.shape[1]
    flat = cells.reshape(-1)
    store(flat, start, a)
    store(flat, start + 5, b)
    store(flat, start + 10, c)
    store(flat, start + 15, d)
    return send(wires, addresses[3], d, (reads & D_READS) != 0)


@device
def place_step(row, folds, wires, flat, start):  # type: ignore[no-untyped-def]
    """The cells of a fold's row that are known before its leaf; ``start`` is the first of all."""
    at = 7 * row
    out, weight = folds[at + 5], folds[at + 6]
    place, point = element(wires, 5 * folds[at + 3]), element(wires, 5 * folds[at + 4])
    if place[0] == UNWRITTEN or point[0] == UNWRITTEN:
        return UNKNOWN
    if not is_base(place) or not is_base(point):
        return UNSATISFIED
    index, y = integer(place[0]), point[0]
    slot = index // weight & 7
    index_out = montgomery(index - slot * weight)
    for k in range(3):
        flat[start + 105 + k] = ONE if slot >> k & 1 else np.uint32(0)
    square = simd.mont_mul(y, y)
    fourth = simd.mont_mul(square, square)
    y_out = simd.mont_mul(fourth, fourth)
    flat[start + 108] = place[0]
    flat[start + 109] = index_out
    flat[start + 110] = y
    flat[start + 111] = square
    flat[start + 112] = fourth
    flat[start + 113] = y_out
    flat[start + 114] = _ROOT_POWERS[slot]
    store(wires, 5 * (out + 1), base(index_out))
    store(wires, 5 * (out + 2), base(y_out))
    return SATISFIED


@device
def fold_step(row, folds, wires, flat, start):  # type: ignore[no-untyped-def]
    """The other cells of a fold's row."""
    at = 7 * row
    for t in range(8):
        value = element(wires, 5 * (folds[at] + t))
        if value[0] == UNWRITTEN:
            return UNKNOWN
        store(flat, start + 5 * t, value)
    beta, value = element(wires, 5 * folds[at + 1]), element(wires, 5 * folds[at + 2])
    if beta[0] == UNWRITTEN or value[0] == UNWRITTEN:
        return UNKNOWN
    slot = 0
    for k in range(3):
        if flat[start + 105 + k] != 0:
            slot += 1 << k
    for q in range(5):
        if flat[start + 5 * slot + q] != value[q]:
            return UNSATISFIED
    store(flat, start + 40, beta)
    store(flat, start + 45, value)
    u = ext_scale(beta, simd.mont_mul(flat[start + 110], flat[start + 114]))
    store(flat, start + 50, u)
    # (a + b)/2 + (a - b)/2 u z^-t: 4, then 2, then 1 of them, each group behind its operands,
    # g at 60, h at 80, the result at 90; the first operands are the leaf.
    source, target, count, stride = start, start + 60, 4, 1
    for level in range(3):
        if level == 1:
            store(flat, start + 55, u)
        for t in range(count):
            a = element(flat, source + 5 * t)
            b = element(flat, source + 5 * (t + count))
            factor = ext_scale(u, _ROOT_POWERS[(8 - t * stride) & 7])
            folded = ext_add(ext_add(a, b), ext_mul(factor, ext_sub(a, b)))
            store(flat, target + 5 * t, ext_scale(folded, _HALF))
        source, target = target, target + 5 * count
        count, stride = count // 2, stride * 2
        u = ext_mul(u, u)
    # n: the two of the leaf's values that agree with the upper bits of the slot.
    for t in range(2):
        store(flat, start + 95 + 5 * t, element(flat, start + 5 * ((slot & 6) + t)))
    store(wires, 5 * folds[at + 5], element(flat, start + 90))
    return SATISFIED


@device
def decompose(value, width, powers, flat, start):  # type: ignore[no-untyped-def]
    """All cells of a decomposition's row, ``low`` and y as the last two of them in turn."""
    number = integer(value)
    for k in range(31):
        flat[start + k] = ONE if number >> k & 1 else np.uint32(0)
    for k, high in enumerate((7, 31, 127)):
        flat[start + 31 + k] = ONE if (number >> 24 & high) == high else np.uint32(0)
    order = powers.shape[0]
    y = ONE
    for i in range(order):
        if number >> i & 1:
            y = simd.mont_mul(y, simd.mont_add(powers[i], ONE))
        flat[start + 34 + i // 2] = y
    low = np.uint32(0)
    if width > 0:
        low = montgomery(number & ((1 << width) - 1))
    flat[start + 34 + (order + 1) // 2] = low
    return low, y
