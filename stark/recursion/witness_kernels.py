"""The kernel that runs a circuit's steps: ``stark.recursion.reference`` on arrays.

Field elements are in Montgomery form. A word that no element has marks wires and digests that are
not written yet. Elements of F are five words one behind the other, tuples in registers.

One step after the other: most permutations wait for the one before them, and what a few cores could
do side by side would not pay for finding it out.
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
from stark.hash.poseidon_single import permute_state
from stark.jit import device, kernel
from stark.recursion.circuit import Capacity, Operation, Rate
from stark.recursion.witness_program import (
    A_READS,
    B_READS,
    D_READS,
    DIGEST_READS,
    FLAGS,
    INDEX_READS,
    WIRE_READS,
)

UNWRITTEN = np.uint32(0xFFFFFFFF)

DONE = -1
"""What the kernel returns if all steps could be run; else twice the step's number, and one more if
the step reads what is not written."""

# Where the permutation table's cells behind those of the permutation itself are.
BIT, INDEX, GAMMA, ACC, HORNER, MULTIPLICITY = 164, 165, 166, 171, 176, 196

_SATISFIED, _UNSATISFIED, _UNKNOWN = 0, 1, 2

_INVERT, _BIT = (
    int(operation) for operation in (Operation.INVERT, Operation.BIT)
)
_PERMUTE, _PLACE, _FOLD = (
    int(operation) for operation in (Operation.PERMUTE, Operation.PLACE, Operation.FOLD)
)
_HINTS, _WIRE, _DIGEST, _KEEP, _SAME, _PATH, _PAIR, _HALVES = (int(rate) for rate in Rate)
_CHAIN, _FRESH, _CAPACITY_DIGEST, _ZERO, _ = (int(capacity) for capacity in Capacity)

_NODE_NEXT, _INDEX_NEXT = FLAGS["node next"], FLAGS["index next"]
_GAMMA_NEXT, _GAMMA_HERE = FLAGS["gamma next"], FLAGS["gamma here"]
_BASE_NEXT, _EXTENSION_NEXT = FLAGS["base next"], FLAGS["extension next"]
_KEEP_NEXT = FLAGS["keep next"]
_WIRE_X, _WIRE_Y, _WIRE_LOW = FLAGS["wire x"], FLAGS["wire y"], FLAGS["wire low"]
_WIRE_HIGH, _WIRE_ACC = FLAGS["wire high"], FLAGS["wire acc"]
_DIGEST_X, _DIGEST_HIGH = FLAGS["digest x"], FLAGS["digest high"]
_DIGEST_NODE, _DIGEST_LEAF = FLAGS["digest node"], FLAGS["digest leaf"]
_ZERO_LANE = FLAGS["zero 0"]

_R_SQUARED = np.uint32(scalar_to_montgomery(scalar_to_montgomery(1)))
_ONE = np.uint32(scalar_to_montgomery(1))
_HALF = np.uint32(scalar_to_montgomery(pow(2, -1, P)))
_ROOT_POWERS = tuple(np.uint32(scalar_to_montgomery(pow(root_of_unity(3), k, P))) for k in range(8))

# The kernel's working area: places of words.
_X, _Y, _NEW, _CURRENT, _LANES = 0, 16, 32, 48, 56
SCRATCH = 64


@device
def _element(words, start):  # type: ignore[no-untyped-def]
    """Five words as an element of F."""
    return (
        words[start],
        words[start + 1],
        words[start + 2],
        words[start + 3],
        words[start + 4],
    )


@device
def _store(words, start, element):  # type: ignore[no-untyped-def]
    words[start] = element[0]
    words[start + 1] = element[1]
    words[start + 2] = element[2]
    words[start + 3] = element[3]
    words[start + 4] = element[4]


@device
def _base(value):  # type: ignore[no-untyped-def]
    zero = np.uint32(0)
    return (value, zero, zero, zero, zero)


@device
def _is_base(element):  # type: ignore[no-untyped-def]
    return (element[1] | element[2] | element[3] | element[4]) == 0


@device
def _integer(value):  # type: ignore[no-untyped-def]
    """The canonical integer of an element of the base field."""
    return np.int64(simd.mont_mul(value, np.uint32(1)))


@device
def _montgomery(value):  # type: ignore[no-untyped-def]
    """The element of a canonical integer."""
    return simd.mont_mul(np.uint32(value), _R_SQUARED)


@device
def _send(wires, address, element, reads):  # type: ignore[no-untyped-def]
    """Write a wire, or compare it if the row reads it."""
    if address != 0:
        start = 5 * address
        if not reads:
            _store(wires, start, element)
        else:
            if wires[start] == UNWRITTEN:
                return _UNKNOWN
            for q in range(5):
                if wires[start + q] != element[q]:
                    return _UNSATISFIED
    return _SATISFIED


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
def _permutation(words, source, target, table):  # type: ignore[no-untyped-def]
    """P of the 16 words at ``source``, to ``target``."""
    simd.store(words, target, permute_state(simd.load(words, source), table))


@device
def _arithmetic_step(  # type: ignore[no-untyped-def]
    operation, row, wire, number, wires, operands, coefficients, frobenius, cells
):
    at = row * 5
    addresses = operands[at], operands[at + 1], operands[at + 2], operands[at + 3]
    reads = operands[at + 4]
    a, b = _element(wires, 5 * addresses[0]), _element(wires, 5 * addresses[1])
    c = _element(wires, 5 * addresses[2])
    if operation == _BIT:
        if wires[5 * wire] == UNWRITTEN:
            return _UNKNOWN
        bit = _integer(wires[5 * wire]) >> number & 1
        a = _base(_montgomery(bit))
        b = a
        if _send(wires, addresses[0], a, (reads & A_READS) != 0) != _SATISFIED:
            return _UNSATISFIED
    if a[0] == UNWRITTEN or c[0] == UNWRITTEN:
        return _UNKNOWN
    if operation == _INVERT:
        if (a[0] | a[1] | a[2] | a[3] | a[4]) == 0:
            return _UNSATISFIED
        b = _inverse(wires, 5 * addresses[0], frobenius)
        if _send(wires, addresses[1], b, (reads & B_READS) != 0) != _SATISFIED:
            return _UNSATISFIED
    if b[0] == UNWRITTEN:
        return _UNKNOWN
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
    _store(flat, start, a)
    _store(flat, start + 5, b)
    _store(flat, start + 10, c)
    _store(flat, start + 15, d)
    return _send(wires, addresses[3], d, (reads & D_READS) != 0)


@device
def _read_digest(digests, place, words, target):  # type: ignore[no-untyped-def]
    for lane in range(8):
        words[target + lane] = digests[8 * place + lane]
    return _UNKNOWN if words[target] == UNWRITTEN else _SATISFIED


@device
def _accumulator(before, words, acc, gamma):  # type: ignore[no-untyped-def]
    """The accumulator of a row, from that of the row before and its lanes, at ``_X``."""
    if before & _BASE_NEXT:
        for lane in range(8):
            acc = ext_add(ext_mul(acc, gamma), _base(words[_X + lane]))
        return acc
    if before & _EXTENSION_NEXT:
        return ext_add(ext_mul(acc, gamma), _element(words, _X + 3))
    return acc if before & _KEEP_NEXT else _base(np.uint32(0))


@device
def _lanes(  # type: ignore[no-untyped-def]
    step, hints, taken, bit, tag, length, wires, digests, places, words
):
    """The row's input at ``_NEW``, from the row before at ``_X``, ``_Y`` and ``_CURRENT``."""
    rate, argument, capacity, second = step[2], step[3], step[4], step[5]
    for lane in range(16):
        words[_NEW + lane] = 0
    if rate == _HINTS:
        for lane in range(argument):
            words[_NEW + 8 - argument + lane] = hints[taken + lane]
    elif rate in (_WIRE, _HALVES):
        start = 3 if rate == _WIRE else 0
        for q in range(5):
            words[_NEW + start + q] = wires[5 * argument + q]
        if wires[5 * argument] == UNWRITTEN:
            return _UNKNOWN
        if rate == _HALVES:
            for q in range(3):
                words[_NEW + 5 + q] = wires[5 * second + q]
            if wires[5 * second] == UNWRITTEN:
                return _UNKNOWN
    elif rate == _DIGEST:
        if _read_digest(digests, places[argument], words, _NEW) != _SATISFIED:
            return _UNKNOWN
    elif rate == _KEEP:
        for lane in range(8):
            words[_NEW + lane] = words[_Y + lane]
    elif rate == _SAME:
        for lane in range(16):
            words[_NEW + lane] = words[_X + lane]
    elif rate == _PATH:
        for lane in range(8):
            words[_NEW + 8 * bit + lane] = words[_CURRENT + lane]
            words[_NEW + 8 - 8 * bit + lane] = hints[taken + lane]
    else:  # PAIR
        for lane in range(8):
            words[_NEW + lane] = words[_CURRENT + lane]
        if _read_digest(digests, places[argument], words, _NEW + 8) != _SATISFIED:
            return _UNKNOWN
    if capacity == _CHAIN:
        for lane in range(8, 16):
            words[_NEW + lane] = words[_Y + lane]
    elif capacity == _FRESH:
        words[_NEW + 8] = np.uint32(tag)
        words[_NEW + 9] = np.uint32(length)
    elif capacity == _CAPACITY_DIGEST:
        return _read_digest(digests, places[second], words, _NEW + 8)
    return _SATISFIED


@device
def _wire_value(flags, words, acc):  # type: ignore[no-untyped-def]
    """v of a permutation's row; at most one of its flags is set."""
    if flags & _WIRE_X:
        return _element(words, _X + 3)
    if flags & _WIRE_Y:
        return _element(words, _Y)
    if flags & _WIRE_LOW:
        return _element(words, _X)
    if flags & _WIRE_HIGH:
        zero = np.uint32(0)
        return (words[_X + 5], words[_X + 6], words[_X + 7], zero, zero)
    return acc if flags & _WIRE_ACC else _base(np.uint32(0))


@device
def _send_digest(flags, numbers, at, index, words, digests, counts):  # type: ignore[no-untyped-def]
    """Write the row's digest, or compare it: outside its address there is none."""
    size = numbers[at + 3]
    if size == 0:
        return _SATISFIED
    number = (numbers[at + 4] + numbers[at + 5] * index) % P
    if number >= size:
        return _UNSATISFIED
    place = numbers[at + 2] + number
    for lane in range(8):
        value = np.uint32(0)
        if flags & _DIGEST_X:
            value = words[_X + lane]
        elif flags & _DIGEST_HIGH:
            value = words[_X + 8 + lane]
        elif flags & _DIGEST_NODE:
            value = simd.mont_add(words[_X + lane], words[_Y + lane])
        elif flags & _DIGEST_LEAF:
            value = words[_Y + lane]
        if flags & DIGEST_READS:
            if digests[8 * place + lane] != value:
                return _UNSATISFIED
        else:
            digests[8 * place + lane] = value
    if flags & DIGEST_READS:
        counts[place] += 1
    return _SATISFIED


@device
def _place_step(row, folds, wires, flat, start):  # type: ignore[no-untyped-def]
    """The cells of a fold's row that are known before its leaf; ``start`` is the first of all."""
    at = 7 * row
    out, weight = folds[at + 5], folds[at + 6]
    place, point = _element(wires, 5 * folds[at + 3]), _element(wires, 5 * folds[at + 4])
    if place[0] == UNWRITTEN or point[0] == UNWRITTEN:
        return _UNKNOWN
    if not _is_base(place) or not _is_base(point):
        return _UNSATISFIED
    index, y = _integer(place[0]), point[0]
    slot = index // weight & 7
    index_out = _montgomery(index - slot * weight)
    for k in range(3):
        flat[start + 105 + k] = _ONE if slot >> k & 1 else np.uint32(0)
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
    _store(wires, 5 * (out + 1), _base(index_out))
    _store(wires, 5 * (out + 2), _base(y_out))
    return _SATISFIED


@device
def _fold_step(row, folds, wires, flat, start):  # type: ignore[no-untyped-def]
    """The other cells of a fold's row."""
    at = 7 * row
    for t in range(8):
        value = _element(wires, 5 * (folds[at] + t))
        if value[0] == UNWRITTEN:
            return _UNKNOWN
        _store(flat, start + 5 * t, value)
    beta, value = _element(wires, 5 * folds[at + 1]), _element(wires, 5 * folds[at + 2])
    if beta[0] == UNWRITTEN or value[0] == UNWRITTEN:
        return _UNKNOWN
    slot = 0
    for k in range(3):
        if flat[start + 105 + k] != 0:
            slot += 1 << k
    for q in range(5):
        if flat[start + 5 * slot + q] != value[q]:
            return _UNSATISFIED
    _store(flat, start + 40, beta)
    _store(flat, start + 45, value)
    u = ext_scale(beta, simd.mont_mul(flat[start + 110], flat[start + 114]))
    _store(flat, start + 50, u)
    # (a + b)/2 + (a - b)/2 u z^-t: 4, then 2, then 1 of them, each group behind its operands,
    # g at 60, h at 80, the result at 90; the first operands are the leaf.
    source, target, count, stride = start, start + 60, 4, 1
    for level in range(3):
        if level == 1:
            _store(flat, start + 55, u)
        for t in range(count):
            a = _element(flat, source + 5 * t)
            b = _element(flat, source + 5 * (t + count))
            factor = ext_scale(u, _ROOT_POWERS[(8 - t * stride) & 7])
            folded = ext_add(ext_add(a, b), ext_mul(factor, ext_sub(a, b)))
            _store(flat, target + 5 * t, ext_scale(folded, _HALF))
        source, target = target, target + 5 * count
        count, stride = count // 2, stride * 2
        u = ext_mul(u, u)
    # n: the two of the leaf's values that agree with the upper bits of the slot.
    for t in range(2):
        _store(flat, start + 95 + 5 * t, _element(flat, start + 5 * ((slot & 6) + t)))
    _store(wires, 5 * folds[at + 5], _element(flat, start + 90))
    return _SATISFIED


@device
def decompose(value, width, powers, flat, start):  # type: ignore[no-untyped-def]
    """All cells of a decomposition's row, ``low`` and y as the last two of them in turn."""
    number = _integer(value)
    for k in range(31):
        flat[start + k] = _ONE if number >> k & 1 else np.uint32(0)
    for k, high in enumerate((7, 31, 127)):
        flat[start + 31 + k] = _ONE if (number >> 24 & high) == high else np.uint32(0)
    order = powers.shape[0]
    y = _ONE
    for i in range(order):
        if number >> i & 1:
            y = simd.mont_mul(y, simd.mont_add(powers[i], _ONE))
        flat[start + 34 + i // 2] = y
    low = np.uint32(0)
    if width > 0:
        low = _montgomery(number & ((1 << width) - 1))
    flat[start + 34 + (order + 1) // 2] = low
    return low, y


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
    taken = 0
    zero = _base(np.uint32(0))
    gamma, acc, index, last = zero, zero, 0, -2
    for step in range(steps.shape[0]):
        operation, row = steps[step, 0], steps[step, 1]
        status = _SATISFIED
        if operation == _PERMUTE:
            before = flags[row - 1] if row > 0 else 0
            if last != row - 1:
                # The row before is not computed: its input is zero.
                for lane in range(16):
                    words[_X + lane] = 0
                _permutation(words, _X, _Y, table)
                gamma, acc, index = zero, zero, 0
            last = row
            own = flags[row]
            at = 8 * row
            if not before & _INDEX_NEXT:
                index = 0
                if own & INDEX_READS and numbers[at + 1] != 0:
                    start = _element(wires, 5 * numbers[at + 1])
                    if start[0] == UNWRITTEN:
                        return 2 * step + 1
                    if not _is_base(start):
                        return 2 * step
                    index = _integer(start[0])
            bit = 0
            if steps[step, 2] == _PATH:
                bit = index >> steps[step, 6] & 1
                index -= bit << steps[step, 6]
            acc = _accumulator(before, words, acc, gamma)
            if not before & _GAMMA_NEXT:
                gamma = zero
            for lane in range(8):
                value = words[_Y + lane]
                if before & _NODE_NEXT:
                    value = simd.mont_add(value, words[_X + lane])
                words[_CURRENT + lane] = value
            tag, length = numbers[at + 6], numbers[at + 7]
            status = _lanes(
                steps[step], hints, taken, bit, tag, length, wires, digests, places, words
            )
            if steps[step, 2] == _HINTS:
                taken += steps[step, 3]
            elif steps[step, 2] == _PATH:
                taken += 8
            for lane in range(16):
                words[_X + lane] = words[_NEW + lane]
                inputs[row, lane] = words[_X + lane]
            for lane in range(7):
                if own & _ZERO_LANE << lane and words[_X + lane] != 0:
                    return 2 * step
            if status == _SATISFIED:
                _permutation(words, _X, _Y, table)
                if own & _GAMMA_HERE:
                    drawn = _element(words, _Y)
                    if before & _GAMMA_NEXT:
                        for q in range(5):
                            if drawn[q] != gamma[q]:
                                return 2 * step
                    gamma = drawn
                flat = permutation.reshape(-1)
                start = row * permutation.shape[1]
                flat[start + BIT] = _montgomery(bit)
                flat[start + INDEX] = _montgomery(index)
                _store(flat, start + GAMMA, gamma)
                _store(flat, start + ACC, acc)
                value = _wire_value(own, words, acc)
                status = _send(wires, numbers[at], value, (own & WIRE_READS) != 0)
            if status == _SATISFIED:
                value = _base(_montgomery(index))
                status = _send(wires, numbers[at + 1], value, (own & INDEX_READS) != 0)
            if status == _SATISFIED:
                status = _send_digest(own, numbers, at, index, words, digests, counts)
        elif operation == _PLACE:
            status = _place_step(row, folds, wires, fold.reshape(-1), row * fold.shape[1])
        elif operation == _FOLD:
            status = _fold_step(row, folds, wires, fold.reshape(-1), row * fold.shape[1])
        elif operation <= _BIT:
            wire, number = steps[step, 2], steps[step, 3]
            status = _arithmetic_step(
                operation, row, wire, number, wires, operands, coefficients, frobenius, arithmetic
            )
        else:  # DECOMPOSE
            address, width = decompositions[2 * row], decompositions[2 * row + 1]
            value = wires[5 * steps[step, 2] + steps[step, 3]]
            if wires[5 * steps[step, 2]] == UNWRITTEN:
                return 2 * step + 1
            first = row * decomposition.shape[1]
            low, y = decompose(value, width, powers, decomposition.reshape(-1), first)
            _store(wires, 5 * address, _base(value))
            _store(wires, 5 * (address + 1), _base(low))
            _store(wires, 5 * (address + 2), _base(y))
        if status != _SATISFIED:
            return 2 * step + (1 if status == _UNKNOWN else 0)
    return DONE


@kernel("void(u4[:, ::1], i8, i8)")
def sum_lanes(permutation, lo, hi):  # type: ignore[no-untyped-def]
    """Horner's sums after two, four, six and eight lanes, from gamma and acc."""
    flat = permutation.reshape(-1)
    for row in range(lo, hi):
        start = row * permutation.shape[1]
        gamma, value = _element(flat, start + GAMMA), _element(flat, start + ACC)
        for lane in range(8):
            value = ext_add(ext_mul(value, gamma), _base(flat[start + lane]))
            if lane & 1:
                _store(flat, start + HORNER + 5 * (lane >> 1), value)
