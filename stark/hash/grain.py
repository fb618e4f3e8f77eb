"""The Grain LFSR that yields Poseidon's round constants.

Source: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon" (ePrint 2019/458),
appendix E. The seed encodes the instance, so that nobody could choose the constants.
"""

from __future__ import annotations

from collections.abc import Iterator

_PRIME_FIELD = 1
"""Two-bit code of a prime field in the seed."""

_POWER_SBOX = 0
"""Four-bit code of the S-box x -> x^alpha in the seed."""

_WARM_UP_BITS = 160
"""Discarded before the first output."""

_TAPS = (62, 51, 38, 23, 13, 0)
"""Feedback b[i + 80] = b[i + 62] ^ b[i + 51] ^ b[i + 38] ^ b[i + 23] ^ b[i + 13] ^ b[i]."""


def _bits(field_bits: int, width: int, full_rounds: int, partial_rounds: int) -> Iterator[int]:
    """The shrunk bit stream: of each pair of raw bits, the second is kept if the first is 1."""
    fields = (
        (_PRIME_FIELD, 2),
        (_POWER_SBOX, 4),
        (field_bits, 12),
        (width, 12),
        (full_rounds, 10),
        (partial_rounds, 10),
        ((1 << 30) - 1, 30),
    )
    seed = "".join(format(value, f"0{size}b") for value, size in fields)
    # Bit k of the integer is the k-th oldest bit of the register.
    state = int(seed[::-1], 2)

    def step() -> int:
        nonlocal state
        bit = 0
        for tap in _TAPS:
            bit ^= state >> tap
        bit &= 1
        state = state >> 1 | bit << 79
        return bit

    for _ in range(_WARM_UP_BITS):
        step()
    while True:
        keep, bit = step(), step()
        if keep:
            yield bit


def field_elements(
    modulus: int, width: int, full_rounds: int, partial_rounds: int
) -> Iterator[int]:
    """The endless stream of field elements of one Poseidon instance.

    Each is read most significant bit first, as many bits as the modulus has, and rejected if it
    is not below the modulus.
    """
    size = modulus.bit_length()
    bits = _bits(size, width, full_rounds, partial_rounds)
    while True:
        value = 0
        for _ in range(size):
            value = value << 1 | next(bits)
        if value < modulus:
            yield value
