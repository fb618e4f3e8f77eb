"""Poseidon's rounds as LLVM vector code: 16 permutations at once, vector k holding lane k of each.

Matrix. The circulant has small entries (their sum is 371), so its product needs no field
multiplication. Modulo X^16 - 1 = (X^8 - 1)(X^8 + 1) it splits into a cyclic product A of the sums
a_i = x_i + x_(i+8) and a negacyclic product B of the differences d_i; A + B and A - B are twice the
result. Each a_i and d_i is cut into signed 16-bit halves, low + 2^16 high, and the two planes of
halves are multiplied by the entries in pairs: low(a_0) c_0 + low(a_1) c_1 is one multiply-add of
16-bit pairs (``vpmaddwd`` or ``vpdpwssd`` on x86).

Reduction. p = 2^16 * 32512 + 1, hence 2^-16 = -32512 mod p and
(L + 2^16 H) / 2^16 = H + (L >> 16) - 32512 (L mod 2^16) mod p: a multiply-add of 16-bit pairs.

Scale. Each of these steps multiplies the state by a constant: 2 from the remainders, 2^-16 from the
reduction, 2^-64 from the two Montgomery reductions of a cube. So a vector holds y = f (x + c): c
are the constants of the next round, and f changes from round to round, the same for all inputs. The
tables of ``stark.hash.poseidon_tables`` contain it. In a partial round lane 0 alone is cubed, and
one more product brings it back to the scale of the others.

Ranges. Lanes are signed 32-bit integers. A signed product t with |t| <= p^2 reduces to less than
p^2 / 2^32 + p / 2 = 0.9961 p in magnitude (``_reduce``), so from y in [-p, p] squares, cubes and
the product by a factor in [-p/2, p/2] all lie in (-p, p). The matrix keeps that: ``_circulant``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from stark.field import vector_ir
from stark.field.koalabear import P
from stark.field.vector_ir import I32, LANES, P_INVERSE, VECTOR, WIDE, constant
from stark.hash.poseidon import POSEIDON1

HALF = LANES // 2
ROUND_WORDS = 4 * HALF + 1
"""Table of a round: for i < 8 the addends (low, high) of A_i, then those of B_i; the factor."""

REDUCTION_MULTIPLIER = (P - 1) >> 16
"""32512 = -1 / 2^16 mod p."""

_FLOATS = ir.VectorType(ir.DoubleType(), HALF)
_ROW = POSEIDON1.circulant_row
# out_i = sum_j row[(j - i) mod 16] x_j is the product of x with the polynomial row[-k mod 16] X^k.
_POLYNOMIAL = [_ROW[-k % LANES] for k in range(LANES)]
CYCLIC = [_POLYNOMIAL[k] + _POLYNOMIAL[k + HALF] for k in range(HALF)]
NEGACYCLIC = [_POLYNOMIAL[k] - _POLYNOMIAL[k + HALF] for k in range(HALF)]

Group = Sequence[Any]


class RoundEmitter:
    """Emits rounds with one LLVM builder, for a processor with the given LLVM features.

    Two target-specific improvements, both optional. The multiply-add of 16-bit pairs is called by
    name on x86, because LLVM does not find it in the plain form once it has simplified the
    factors. And with ``avx512dq`` LLVM drops the masks from a product of which only the low half
    is used and takes the 64-bit multiplication, three times as expensive on Intel; a fence behind
    the product keeps the masks.
    """

    def __init__(self, builder: Any, features: Collection[str]) -> None:
        self._builder = builder
        self._fence = "+avx512dq" in features
        self._pair_product = ""
        self._pair_lanes = LANES
        if "+avx512bw" in features:
            self._pair_product = "llvm.x86.avx512.pmaddw.d.512"
        elif "+avx2" in features:
            self._pair_product, self._pair_lanes = "llvm.x86.avx2.pmadd.wd", LANES // 2

    def full_round(self, state: Group, word: Callable[[int], Any]) -> list[Any]:
        """y -> f' (x' + c') of a full round; ``word(k)`` is word k of its table in all lanes."""
        lanes: list[Any] = []
        for start in range(0, LANES, HALF):
            lanes += self._cubes(state[start : start + HALF])
        return self._circulant([self._canonical(x) for x in lanes], word)

    def partial_round(self, state: Group, word: Callable[[int], Any]) -> tuple[list[Any], Any]:
        """A partial round; also the output of its S-box, canonical, at scale f."""
        cube = self._cubes(state[:1])
        (output,) = self._reduce(self._products(cube, [word(ROUND_WORDS - 1)]))
        lanes = [self._canonical(x) for x in (output, *state[1:])]
        return self._circulant(lanes, word), lanes[0]

    def scaled(self, state: Group, factor: Any) -> list[Any]:
        """Montgomery products, canonical, of lanes in (-p, p) with a factor in [-p/2, p/2]."""
        lanes: list[Any] = []
        for start in range(0, LANES, HALF):
            group = state[start : start + HALF]
            lanes += self._reduce(self._products(group, [factor] * HALF))
        return [self._canonical(x) for x in lanes]

    def _canonical(self, x: Any) -> Any:
        """A value in (-p, p) as one in [0, p): a negative one, read unsigned, exceeds it plus p."""
        return vector_ir.minimum(self._builder, x, self._builder.add(x, constant(VECTOR, P)))

    def _signed_product(self, x: Any, y: Any) -> Any:
        """64-bit products of the signed low halves of 64-bit words (one vpmuldq)."""
        builder, bits = self._builder, constant(WIDE, 32)
        x, y = (builder.ashr(builder.shl(value, bits), bits) for value in (x, y))
        return builder.mul(x, y)

    def _products(self, xs: Group, ys: Group) -> list[tuple[Any, Any]]:
        """Signed products of vectors, as 64-bit words of the even and of the odd lanes."""
        builder, shift = self._builder, constant(WIDE, 32)
        even = [[builder.bitcast(value, WIDE) for value in side] for side in (xs, ys)]
        odd = [[builder.ashr(value, shift) for value in side] for side in even]
        return [
            (self._signed_product(a, b), self._signed_product(c, d))
            for a, b, c, d in zip(*even, *odd, strict=True)
        ]

    def _quotient(self, product: Any) -> Any:
        """t / p mod 2^32 in the low halves of 64-bit words."""
        builder = self._builder
        quotient = vector_ir.multiply_low_halves(builder, product, constant(WIDE, P_INVERSE))
        if not self._fence:
            return quotient
        # The only opaque generic no-op is defined on floats; the cast costs nothing.
        fence = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_FLOATS, [_FLOATS]), "llvm.arithmetic.fence.v8f64"
        )
        return builder.bitcast(builder.call(fence, [builder.bitcast(quotient, _FLOATS)]), WIDE)

    def _reduce(self, products: Sequence[tuple[Any, Any]]) -> list[Any]:
        """Montgomery reduction t / 2^32 mod p of signed products, to signed lanes.

        With m = t / p mod 2^32 taken as signed, m p has the low half of t, so the difference of
        the high halves is exact: at most |t| / 2^32 + p / 2 in magnitude.
        """
        builder, modulus = self._builder, constant(WIDE, P)
        quotients = [[self._quotient(word) for word in pair] for pair in products]
        multiples = [[self._signed_product(m, modulus) for m in pair] for pair in quotients]
        return [
            builder.sub(vector_ir.high_words(builder, *t), vector_ir.high_words(builder, *u))
            for t, u in zip(products, multiples, strict=True)
        ]

    def _cubes(self, xs: Group) -> list[Any]:
        """x^3 / 2^64 of each vector. Steps of all vectors alternate: one cube is a long chain."""
        return self._reduce(self._products(xs, self._reduce(self._products(xs, xs))))

    def _pair_products(self, pairs: Any, first: int, second: int) -> Any:
        """low(x) first + high(x) second, for signed 16-bit halves of each lane."""
        builder = self._builder
        if not self._pair_product:
            bits = constant(VECTOR, 16)
            low = builder.ashr(builder.shl(pairs, bits), bits)
            high = builder.ashr(pairs, bits)
            terms = (builder.mul(x, constant(VECTOR, c)) for x, c in ((low, first), (high, second)))
            return builder.add(*terms)
        factors = constant(VECTOR, (first & 0xFFFF) | (second & 0xFFFF) << 16)
        lanes = self._pair_lanes
        words, result = ir.VectorType(ir.IntType(16), 2 * lanes), ir.VectorType(I32, lanes)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(result, [words, words]), self._pair_product
        )
        parts = []
        for start in range(0, LANES, lanes):
            chosen = range(start, start + lanes)
            operands = (vector_ir.shuffle(builder, x, x, chosen) for x in (pairs, factors))
            parts.append(builder.call(function, [builder.bitcast(x, words) for x in operands]))
        if len(parts) == 1:
            return parts[0]
        return vector_ir.shuffle(builder, parts[0], parts[1], range(LANES))

    def _planes(self, values: Group) -> tuple[list[Any], list[Any]]:
        """Low halves of neighbours as 16-bit pairs, and high halves likewise."""
        builder, bits = self._builder, constant(VECTOR, 16)
        lower, upper = constant(VECTOR, 0xFFFF), constant(VECTOR, 0xFFFF0000)
        low, high = [], []
        for x, y in zip(values[0::2], values[1::2], strict=True):
            low.append(builder.or_(builder.and_(x, lower), builder.shl(y, bits)))
            high.append(builder.or_(builder.lshr(x, bits), builder.and_(y, upper)))
        return low, high

    def _convolve(
        self, pairs: Group, coefficients: Sequence[int], sign: int, starts: Group
    ) -> list[Any]:
        """sum_j c[(i - j) mod 8] x_j added to ``starts``; where the index wraps, times ``sign``."""
        sums = []
        for i, total in enumerate(starts):
            for q, pair in enumerate(pairs):
                first, second = (
                    coefficients[(i - j) % HALF] * (1 if j <= i else sign)
                    for j in (2 * q, 2 * q + 1)
                )
                total = self._builder.add(total, self._pair_products(pair, first, second))
            sums.append(total)
        return sums

    def _circulant(self, xs: Group, addend: Callable[[int], Any]) -> list[Any]:
        """2^-15 M x plus constants, for canonical x; |result| < 2^30.02.

        a < 2 p < 2^32 is unsigned: flipping the top bits of both halves subtracts 2^15 from each
        and makes them signed; |d| < p is signed, and only its low half is flipped. The tables make
        up for what is subtracted. In a plane, the entries of A sum to 371 and those of B to 273 in
        magnitude, so |L|, |H| < 644 * 2^15 + 2^17 < 2^24.4 with the tables' 16-bit addends, and the
        result is below 2^24.4 + 2^9 + 32512 * 2^15 < 2^30.02 in magnitude.
        """
        builder = self._builder
        both, low_only = constant(VECTOR, 0x80008000), constant(VECTOR, 0x8000)
        pairs = list(zip(xs[:HALF], xs[HALF:], strict=True))
        sums = self._planes([builder.xor(builder.add(x, y), both) for x, y in pairs])
        differences = self._planes([builder.xor(builder.sub(x, y), low_only) for x, y in pairs])
        planes = []
        for plane in (0, 1):
            starts = [addend(4 * i + plane) for i in range(HALF)]
            a = self._convolve(sums[plane], CYCLIC, 1, starts)
            starts = [addend(4 * i + 2 + plane) for i in range(HALF)]
            b = self._convolve(differences[plane], NEGACYCLIC, -1, starts)
            halves = list(zip(a, b, strict=True))
            planes.append([builder.add(*t) for t in halves] + [builder.sub(*t) for t in halves])
        results = []
        for low, high in zip(*planes, strict=True):
            # high word + (low word >> 16) - 32512 (its low half), the latter flipped to signed
            rest = self._pair_products(builder.xor(low, low_only), -REDUCTION_MULTIPLIER, 1)
            results.append(builder.add(high, rest))
        return results
