"""Poseidon of one state, for chains of permutations of which each waits for the one before.

``stark.hash.poseidon_kernels`` permutes 16 states at once, and takes as long for a single one. Here
a vector holds the 16 lanes of one state: half of that time. Rounds, signed lanes and the product
with small matrix entries in 16-bit halves are those of ``stark.hash.poseidon_ir``.

Scales. A vector holds y = f (x + c) as there, c being the next constants. The matrix step divides
by 2^16: f' = f^3 / 2^80 after a full round, f / 2^16 after a partial one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

from stark.field import simd, vector_ir
from stark.field.koalabear import P, inverse
from stark.field.memory import LANES
from stark.field.montgomery import R
from stark.field.vector_ir import I32, I64, P_INVERSE, VECTOR, constant
from stark.hash.poseidon import POSEIDON1, round_constants
from stark.hash.poseidon_ir import REDUCTION_MULTIPLIER, RoundEmitter
from stark.jit import device, kernel

Words = NDArray[np.uint32]

ROUND_WORDS = 3 * LANES
"""Table of a round: addends of the low and of the high halves, then the factor of lane 0."""

_FIRST = POSEIDON1.rounds * ROUND_WORDS
_LAST = _FIRST + LANES
_HALF_ROUNDS = POSEIDON1.full_rounds // 2
_PARTIAL_END = _HALF_ROUNDS + POSEIDON1.partial_rounds
_ROW = POSEIDON1.circulant_row


class SingleStateEmitter(RoundEmitter):
    """Emits rounds of one state."""

    def full_round(self, state: Any, table: Any) -> Any:
        """y -> f' (x' + c') with the round's table at a pointer."""
        return self._mixed(self._canonical(self._cubes([state])[0]), table)

    def partial_round(self, state: Any, table: Any) -> Any:
        """Lane 0 is cubed as a scalar, which is sooner there and back than a vector's cube."""
        builder = self._builder
        factor = builder.load(builder.gep(table, [I64(2 * LANES)]))
        lane = builder.extract_element(state, I32(0))
        # (y y) (y factor): two products deep.
        cube = self._scalar(self._scalar(lane, lane), self._scalar(lane, factor))
        negative = builder.icmp_signed("<", cube, I32(0))
        cube = builder.select(negative, builder.add(cube, I32(P)), cube)
        return self._mixed(builder.insert_element(self._canonical(state), cube, I32(0)), table)

    def first(self, state: Any, table: Any) -> Any:
        """x + c in [-p, p): the table holds c - p."""
        return self._builder.add(state, vector_ir.load(self._builder, table))

    def last(self, state: Any, table: Any) -> Any:
        """To Montgomery form, canonical."""
        factors = vector_ir.load(self._builder, table)
        return self._canonical(self._reduce(self._products([state], [factors]))[0])

    def _scalar(self, x: Any, y: Any) -> Any:
        """x y / 2^32 mod p of signed words in [-p, p], in (-p, p), as ``_reduce``."""
        builder = self._builder
        product = builder.mul(builder.sext(x, I64), builder.sext(y, I64))
        quotient = builder.mul(builder.trunc(product, I32), I32(P_INVERSE))
        multiple = builder.mul(builder.sext(quotient, I64), I64(P))
        high, subtrahend = (
            builder.trunc(builder.ashr(word, I64(32)), I32) for word in (product, multiple)
        )
        return builder.sub(high, subtrahend)

    def _mixed(self, x: Any, table: Any) -> Any:
        """2^-16 M x plus constants, for canonical x; |result| < 2^30.02.

        out_i = sum_k row[k] x_(i+k). Pairs of neighbouring lanes are 16-bit halves of one word,
        rotated by 2q lanes for the entries 2q and 2q + 1 of the row. Low halves l are flipped to
        l - 2^15, signed; the high ones are below 2^15 since x < 2^31. The row sums to 371: with
        addends below 2^16 both sums L, H are below 2^24 in magnitude. The low sum L is divided by
        2^16: as L = 2^16 h + s + 2^15 with s signed 16 bits, it is h - 32512 (s + 2^15) modulo p.
        The table makes up for both flips. In magnitude the result is below 2^24 + 2^8 + 32512 *
        2^15 < 2^30.02.
        """
        builder, bits = self._builder, constant(VECTOR, 16)
        neighbours = self._rotated(x, 1)
        low = builder.or_(builder.and_(x, constant(VECTOR, 0xFFFF)), builder.shl(neighbours, bits))
        high = builder.or_(
            builder.lshr(x, bits), builder.and_(neighbours, constant(VECTOR, 0xFFFF0000))
        )
        sums = []
        for plane, pairs in enumerate((builder.xor(low, constant(VECTOR, 0x80008000)), high)):
            start = builder.gep(table, [I64(plane * LANES)])
            terms = [vector_ir.load(builder, start)]
            terms += [
                self._pair_products(self._rotated(pairs, k), _ROW[k], _ROW[k + 1])
                for k in range(0, LANES, 2)
            ]
            while len(terms) > 1:
                # A tree: sums in a row would be one long chain.
                rest = terms[len(terms) // 2 * 2 :]
                pairs_of_terms = zip(terms[0::2], terms[1::2], strict=False)
                terms = [builder.add(a, b) for a, b in pairs_of_terms] + rest
            sums.append(terms[0])
        flipped = builder.xor(sums[0], constant(VECTOR, 0x8000))
        return builder.add(sums[1], self._pair_products(flipped, -REDUCTION_MULTIPLIER, 1))

    def _rotated(self, x: Any, count: int) -> Any:
        lanes = [(lane + count) % LANES for lane in range(LANES)]
        return vector_ir.shuffle(self._builder, x, x, lanes)


def _step(name: str) -> Any:
    """An intrinsic of a state and a place in the table."""

    def operation(typing_context: Any, state: Any, table: Any, index: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, _, features = context.codegen().magic_tuple()
            pointer = vector_ir.element_pointer(
                *(context, builder, signature.args[1], arguments[1]),
                *(signature.args[2], arguments[2]),
            )
            emitter = SingleStateEmitter(builder, features.split(","))
            return getattr(emitter, name)(arguments[0], pointer)

        return simd.vector(simd.vector, table, index), generate

    operation.__name__ = name
    return intrinsic(operation)


_first, _last = _step("first"), _step("last")
_full_round, _partial_round = _step("full_round"), _step("partial_round")


@device
def permute_state(state, table):  # type: ignore[no-untyped-def]
    """P of the 16 lanes of a vector, Montgomery form; ``table`` is :func:`single_state_table`."""
    state = _first(state, table, _FIRST)
    for half in range(2):
        for index in range(half * _PARTIAL_END, half * _PARTIAL_END + _HALF_ROUNDS):
            state = _full_round(state, table, index * ROUND_WORDS)
        if half == 0:
            for index in range(_HALF_ROUNDS, _PARTIAL_END):
                state = _partial_round(state, table, index * ROUND_WORDS)
    return _last(state, table, _LAST)


@kernel("void(u4[::1], u4[::1], i8)")
def permute_repeatedly(words, table, count):  # type: ignore[no-untyped-def]
    """P, ``count`` times, of 16 words in place."""
    state = simd.load(words, 0)
    for _ in range(count):
        state = permute_state(state, table)
    simd.store(words, 0, state)


@cache
def single_state_table() -> Words:
    """For each round its addends and factor; then the first constants and the last factor.

    The kernel's low sum lacks u = 371 * 2^15, and it does not subtract v = 32512 * 2^15 at the end:
    with addends that make up t, its result is (M x + t - u) / 2^16 + v for inputs x. So t =
    2^16 (f' c' - v) + u; the low addend is t's low half.
    """
    constants = [*round_constants(POSEIDON1), (0,) * LANES]
    scale = R
    words: list[int] = []
    for index in range(POSEIDON1.rounds):
        factor = 0
        if POSEIDON1.is_full(index):
            following = pow(scale, 3, P) * inverse(pow(2, 80, P)) % P
        else:
            # f^3 / 2^96 S(x) times the factor must be f S(x).
            factor = _balanced(pow(2, 96, P) * inverse(scale * scale % P) % P)
            following = scale * inverse(1 << 16) % P
        scale = following
        u, v = sum(_ROW) << 15, REDUCTION_MULTIPLIER << 15
        addends = [((scale * c - v << 16) + u) % P for c in constants[index + 1]]
        words += [t & 0xFFFF for t in addends] + [t >> 16 for t in addends]
        words += [factor] + [0] * (LANES - 1)
    words += [(R * c % P - P) % 2**32 for c in constants[0]]
    words += [_balanced(R * R * inverse(scale) % P)] * LANES
    return np.array(words, np.uint32)


def _balanced(value: int) -> int:
    """The representative in [-p/2, p/2] as a two's complement word."""
    return (value if value <= P // 2 else value - P) % 2**32
