"""The compression function of SHA-256 (FIPS 180-4) as LLVM vector code: 16 messages at once."""

from __future__ import annotations

from math import isqrt
from typing import Any

from stark.field import vector_ir
from stark.field.vector_ir import VECTOR

BLOCK_WORDS = 16
DIGEST_WORDS = 8


def _fraction(value: int, root: int) -> int:
    """First 32 bits of the fractional part of the square or cube root (FIPS 180-4, 4.2.2)."""
    if root == 2:
        return isqrt(value << 64) & 0xFFFFFFFF
    low, high = 0, 1 << 36
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= value << 96 else (low, middle)
    return low & 0xFFFFFFFF


_PRIMES = [n for n in range(2, 312) if all(n % d for d in range(2, isqrt(n) + 1))]
_ROUND_CONSTANTS = [_fraction(prime, 3) for prime in _PRIMES]
INITIAL_STATE = [_fraction(prime, 2) for prime in _PRIMES[:8]]


def _rotations(builder: Any, x: Any, counts: tuple[int, int, int], shift: bool) -> Any:
    """XOR of three rotations, the last being a shift in the message schedule."""
    a, b = (vector_ir.rotate_right(builder, x, count) for count in counts[:2])
    c = (
        builder.lshr(x, vector_ir.constant(VECTOR, counts[2]))
        if shift
        else vector_ir.rotate_right(builder, x, counts[2])
    )
    return builder.xor(builder.xor(a, b), c)


def compression(builder: Any, chaining: list[Any], message: list[Any]) -> list[Any]:
    """The compression function of SHA-256 (FIPS 180-4, 6.2.2), fully unrolled."""
    add = builder.add
    window = list(message)
    a, b, c, d, e, f, g, h = chaining
    for index, constant in enumerate(_ROUND_CONSTANTS):
        slot = index % BLOCK_WORDS
        if index >= BLOCK_WORDS:
            early = _rotations(builder, window[(slot + 1) % 16], (7, 18, 3), True)
            late = _rotations(builder, window[(slot + 14) % 16], (17, 19, 10), True)
            window[slot] = add(add(window[slot], window[(slot + 9) % 16]), add(early, late))
        # choose(e, f, g) = g ^ (e & (f ^ g)); majority(a, b, c) = (a & b) | (c & (a | b))
        choice = builder.xor(g, builder.and_(e, builder.xor(f, g)))
        majority = builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))
        known = add(add(h, vector_ir.constant(VECTOR, constant)), window[slot])
        first = add(add(known, choice), _rotations(builder, e, (6, 11, 25), False))
        second = add(majority, _rotations(builder, a, (2, 13, 22), False))
        a, b, c, d, e, f, g, h = add(first, second), a, b, c, add(d, first), e, f, g
    return [add(x, y) for x, y in zip(chaining, (a, b, c, d, e, f, g, h), strict=True)]
