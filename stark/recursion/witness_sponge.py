"""Rows of permutations, for the kernel that computes witnesses.

What a row takes from the row before is in a working area of words: its input and output, gamma, the
accumulator, and the canonical index.
"""

from __future__ import annotations

import numpy as np

from stark.field import simd
from stark.field.extension_simd import ext_add, ext_mul
from stark.field.koalabear import P
from stark.hash.poseidon_single import permute_state
from stark.jit import device
from stark.recursion.circuit import Capacity, Rate
from stark.recursion.witness_program import DIGEST_READS, FLAGS, INDEX_READS, WIRE_READS
from stark.recursion.witness_words import (
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

# Where the table's cells behind those of the permutation itself are.
BIT, INDEX, GAMMA, ACC, HORNER, MULTIPLICITY = 164, 165, 166, 171, 176, 196

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

# Places in the working area; the input of the row that is computed is put together at _NEW.
_X, _Y, _NEW, _CURRENT, _GAMMA, _ACC, _INDEX = 0, 16, 32, 48, 56, 61, 66
SCRATCH = 67
"""Words of the working area."""


@device
def _permutation(words, source, target, table):  # type: ignore[no-untyped-def]
    """P of the 16 words at ``source``, to ``target``."""
    simd.store(words, target, permute_state(simd.load(words, source), table))


@device
def _read_digest(digests, place, words, target):  # type: ignore[no-untyped-def]
    for lane in range(8):
        words[target + lane] = digests[8 * place + lane]
    return UNKNOWN if words[target] == UNWRITTEN else SATISFIED


@device
def _accumulator(before, words, acc, gamma):  # type: ignore[no-untyped-def]
    """The accumulator of a row, from that of the row before and its lanes, at ``_X``."""
    if before & _BASE_NEXT:
        for lane in range(8):
            acc = ext_add(ext_mul(acc, gamma), base(words[_X + lane]))
        return acc
    if before & _EXTENSION_NEXT:
        return ext_add(ext_mul(acc, gamma), element(words, _X + 3))
    return acc if before & _KEEP_NEXT else base(np.uint32(0))


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
            return UNKNOWN
        if rate == _HALVES:
            for q in range(3):
                words[_NEW + 5 + q] = wires[5 * second + q]
            if wires[5 * second] == UNWRITTEN:
                return UNKNOWN
    elif rate == _DIGEST:
        if _read_digest(digests, places[argument], words, _NEW) != SATISFIED:
            return UNKNOWN
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
        if _read_digest(digests, places[argument], words, _NEW + 8) != SATISFIED:
            return UNKNOWN
    if capacity == _CHAIN:
        for lane in range(8, 16):
            words[_NEW + lane] = words[_Y + lane]
    elif capacity == _FRESH:
        words[_NEW + 8] = np.uint32(tag)
        words[_NEW + 9] = np.uint32(length)
    elif capacity == _CAPACITY_DIGEST:
        return _read_digest(digests, places[second], words, _NEW + 8)
    return SATISFIED


@device
def _wire_value(flags, words, acc):  # type: ignore[no-untyped-def]
    """v of a permutation's row; at most one of its flags is set."""
    if flags & _WIRE_X:
        return element(words, _X + 3)
    if flags & _WIRE_Y:
        return element(words, _Y)
    if flags & _WIRE_LOW:
        return element(words, _X)
    if flags & _WIRE_HIGH:
        zero = np.uint32(0)
        return (words[_X + 5], words[_X + 6], words[_X + 7], zero, zero)
    return acc if flags & _WIRE_ACC else base(np.uint32(0))


@device
def _send_digest(flags, numbers, at, index, words, digests, counts):  # type: ignore[no-untyped-def]
    """Write the row's digest, or compare it: outside its address there is none."""
    size = numbers[at + 3]
    if size == 0:
        return SATISFIED
    number = (numbers[at + 4] + numbers[at + 5] * index) % P
    if number >= size:
        return UNSATISFIED
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
                return UNSATISFIED
        else:
            digests[8 * place + lane] = value
    if flags & DIGEST_READS:
        counts[place] += 1
    return SATISFIED


@device
def forget_row(words, table):  # type: ignore[no-untyped-def]
    """The row before is one that no step computes: its input is zero."""
    for lane in range(SCRATCH):
        words[lane] = 0
    _permutation(words, _X, _Y, table)


@device
def _start_row(step, before, own, address, wires, words):  # type: ignore[no-untyped-def]
    """Index, bit, accumulator, gamma and the node below of a row: (status, bit)."""
    index = np.int64(words[_INDEX])
    if not before & _INDEX_NEXT:
        index = np.int64(0)
        if own & INDEX_READS and address != 0:
            value = element(wires, 5 * address)
            if value[0] == UNWRITTEN:
                return UNKNOWN, 0
            if not is_base(value):
                return UNSATISFIED, 0
            index = integer(value[0])
    bit = 0
    if step[2] == _PATH:
        bit = index >> step[6] & 1
        index -= bit << step[6]
    words[_INDEX] = np.uint32(index)
    gamma = element(words, _GAMMA)
    store(words, _ACC, _accumulator(before, words, element(words, _ACC), gamma))
    if not before & _GAMMA_NEXT:
        store(words, _GAMMA, base(np.uint32(0)))
    for lane in range(8):
        value = words[_Y + lane]
        if before & _NODE_NEXT:
            value = simd.mont_add(value, words[_X + lane])
        words[_CURRENT + lane] = value
    return SATISFIED, bit


@device
def _draw_gamma(before, words):  # type: ignore[no-untyped-def]
    for q in range(5):
        if before & _GAMMA_NEXT and words[_Y + q] != words[_GAMMA + q]:
            return UNSATISFIED
        words[_GAMMA + q] = words[_Y + q]
    return SATISFIED


@device
def permutation_step(  # type: ignore[no-untyped-def]
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
    cells,
):
    """A row: its input, the cells of ``cells`` that the step knows, and its messages."""
    row = step[1]
    before = flags[row - 1] if row > 0 else 0
    own = flags[row]
    at = 8 * row
    status, bit = _start_row(step, before, own, numbers[at + 1], wires, words)
    if status != SATISFIED:
        return status
    tag, length = numbers[at + 6], numbers[at + 7]
    status = _lanes(step, hints, taken, bit, tag, length, wires, digests, places, words)
    if status != SATISFIED:
        return status
    for lane in range(16):
        words[_X + lane] = words[_NEW + lane]
        inputs[row, lane] = words[_X + lane]
    for lane in range(7):
        if own & _ZERO_LANE << lane and words[_X + lane] != 0:
            return UNSATISFIED
    _permutation(words, _X, _Y, table)
    if own & _GAMMA_HERE and _draw_gamma(before, words) != SATISFIED:
        return UNSATISFIED
    index = np.int64(words[_INDEX])
    acc = element(words, _ACC)
    cells[row, BIT] = montgomery(bit)
    cells[row, INDEX] = montgomery(index)
    for q in range(5):
        cells[row, GAMMA + q] = words[_GAMMA + q]
        cells[row, ACC + q] = words[_ACC + q]
    value = _wire_value(own, words, acc)
    status = send(wires, numbers[at], value, (own & WIRE_READS) != 0)
    if status != SATISFIED:
        return status
    value = base(montgomery(index))
    status = send(wires, numbers[at + 1], value, (own & INDEX_READS) != 0)
    if status != SATISFIED:
        return status
    return _send_digest(own, numbers, at, index, words, digests, counts)
