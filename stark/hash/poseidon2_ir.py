"""Poseidon2's rounds as LLVM vector code: 16 permutations at once, vector k holding lane k of each.

Lanes are canonical Montgomery elements between the layers; since (a R)^3 / R^2 = a^3 R, cubes stay
in that form. The S-box takes signed lanes: with x in [0, p) and the table holding c - p, the sum
x + (c - p) lies in [-p, p), so it costs no reduction, and the cube comes out in (-p, p) (ranges:
``stark.hash.poseidon_ir``).

Internal layer. With z the new lane 0 and u the sum of the others, t = u + z, lane 0 becomes
t - 2 z = u - z and lane i becomes t + V_i x_i. Every V_i is n / 2^k up to its sign, n in 1 ... 4.
The next cube needs u - z alone, so a processor starts it while the other lanes are still added up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stark.field import vector_ir
from stark.field.koalabear import P, inverse
from stark.field.vector_ir import LANES, VECTOR, constant
from stark.hash.poseidon2 import DIAGONAL, external_layer
from stark.hash.poseidon_ir import RoundEmitter

_GROUP = LANES // 2
"""Cubes whose steps alternate: enough to hide latencies, few enough for the registers."""

_TWO_ADIC_BITS = 24


def diagonal_factors() -> list[tuple[int, int, int]]:
    """For each V_i its (sign, n, k): V_i = sign * n / 2^k mod p, with the smallest k."""
    choices = [
        (sign, n, k) for k in range(_TWO_ADIC_BITS + 1) for n in (1, 2, 3, 4) for sign in (1, -1)
    ]
    found: dict[int, tuple[int, int, int]] = {}
    for choice in choices:
        sign, n, k = choice
        found.setdefault(sign * n * inverse(pow(2, k, P)) % P, choice)
    return [found[value] for value in DIAGONAL]


class _Lane:
    """A vector that adds like a field element, for the layers that are written for any values."""

    def __init__(self, builder: Any, vector: Any) -> None:
        self._builder = builder
        self.vector = vector

    def __add__(self, other: _Lane) -> _Lane:
        total = vector_ir.field_add(self._builder, self.vector, other.vector)
        return _Lane(self._builder, total)

    def __mul__(self, factor: int) -> _Lane:
        """By 1 ... 4, as sums; a doubling serves both additions of 4."""
        double = self + self
        return (self, double, double + self, double + double)[factor - 1]


class Poseidon2Emitter(RoundEmitter):
    """Emits Poseidon2's layers and rounds; arguments and results are canonical vectors."""

    def external(self, state: Sequence[Any]) -> list[Any]:
        lanes = external_layer([_Lane(self._builder, vector) for vector in state])
        return [lane.vector for lane in lanes]

    def external_round(self, state: Sequence[Any], word: Callable[[int], Any]) -> list[Any]:
        """A full round; ``word(k)`` is the constant of lane k minus p, in all lanes."""
        cubes: list[Any] = []
        for start in range(0, LANES, _GROUP):
            chosen = range(start, start + _GROUP)
            cubes += self._cubes([self._builder.add(state[k], word(k)) for k in chosen])
        return self.external([self._canonical(cube) for cube in cubes])

    def internal_round(
        self, state: Sequence[Any], word: Callable[[int], Any]
    ) -> tuple[list[Any], Any]:
        """A partial round, and the output of its S-box."""
        builder = self._builder
        (cube,) = self._cubes([builder.add(state[0], word(0))])
        output = self._canonical(cube)
        others = list(state[1:])
        while len(others) > 1:
            pairs = zip(others[0:-1:2], others[1::2], strict=True)
            rest = others[-1:] if len(others) % 2 else []
            others = [vector_ir.field_add(builder, x, y) for x, y in pairs] + rest
        total = vector_ir.field_add(builder, others[0], output)
        lanes = [vector_ir.field_sub(builder, others[0], output)]
        for x, (sign, n, k) in zip(state[1:], diagonal_factors()[1:], strict=True):
            product = (_Lane(builder, self._divided(x, k)) * n).vector
            combine = vector_ir.field_add if sign > 0 else vector_ir.field_sub
            lanes.append(combine(builder, total, product))
        return lanes, output

    def _divided(self, x: Any, bits: int) -> Any:
        """x / 2^k mod p for k <= 24, canonical.

        x = h 2^k + l, and 2^24 divides p - 1, so l / 2^k = -l (p - 1) / 2^k mod p; that is
        -l (2^(31 - k) - 2^(24 - k)). The product is below p as l < 2^k; hence h minus it lies in
        (-p, p).
        """
        builder = self._builder
        if bits == 0:
            return x
        if bits == 1:
            return vector_ir.field_halve(builder, x)
        # l at bit 31 - k: all of x but its low k bits shifted out.
        low = builder.shl(x, constant(VECTOR, 32 - bits))
        low = builder.lshr(low, constant(VECTOR, 1))
        product = builder.sub(low, builder.lshr(low, constant(VECTOR, 7)))
        return self._canonical(builder.sub(builder.lshr(x, constant(VECTOR, bits)), product))
