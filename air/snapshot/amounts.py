"""Amounts of many rows at once, as five limbs of 15 bits.

The rules are those of :func:`air.registry.parse_amount`; the kernels only say which rows break
them, and the reason is found there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from air.registry import (
    AMOUNT_LIMBS,
    LIMB_BITS,
    Registry,
    amount_syntax_fault,
    parse_amount,
)
from air.snapshot.columns import AmountColumn, FixedPointColumn, TextColumn
from air.snapshot.texts import TEXTS, UNKNOWN_ASSET
from stark import parallel
from stark.jit import device, kernel

_ROWS_PER_PIECE = 4096
_LIMB_MASK = np.uint64((1 << LIMB_BITS) - 1)
_LOW_BITS = np.uint64(60)
_LOW_MASK = np.uint64((1 << 60) - 1)
_HIGH_BOUND = np.uint64(1 << 15)
_WORD_MASK = np.uint64(0xFFFFFFFF)
_ZERO = np.uint64(0)
_TEN = np.uint64(10)


def to_limbs(
    column: AmountColumn, codes: NDArray[np.uint16], registry: Registry
) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Limbs of each amount in minor units, least significant first, and the rows at fault.

    Parameters
    ----------
    column
        Amounts in asset units.
    codes
        Index of each row's asset, or ``UNKNOWN_ASSET``: such a row is at fault.
    registry
        Gives the decimals.

    Returns
    -------
    limbs
        uint16, (rows, 5); unspecified where at fault.
    faulty
        int64, increasing: rows for which :func:`amount_fault` has a reason, or of unknown asset.
    """
    decimals = np.array([asset.decimals for asset in registry], np.int64)
    limbs = np.empty((len(column), AMOUNT_LIMBS), np.uint16)
    bad = np.empty(len(column), np.uint8)

    def piece(first: int, last: int) -> None:
        if isinstance(column, TextColumn):
            _text_to_limbs(
                *(column.data, column.starts, column.ends),
                *(codes, decimals, limbs, bad, first, last),
            )
        else:
            _fixed_point_to_limbs(
                *(column.low, column.high, column.scale),
                *(codes, decimals, limbs, bad, first, last),
            )

    parallel.run(piece, len(column), _ROWS_PER_PIECE)
    if isinstance(column, FixedPointColumn):
        bad |= column.missing
    return limbs, np.flatnonzero(bad)


def amount_fault(text: str, decimals: int | None) -> str | None:
    """Why the text is not an amount of an asset with these decimals (``None``: not known)."""
    if decimals is None:
        return amount_syntax_fault(text)
    try:
        parse_amount(text, decimals)
    except ValueError as error:
        return str(error)
    return None


@device
def _append_digit(low, high, digit):  # type: ignore[no-untyped-def]
    """(high * 2^60 + low) * 10 + digit.

    low < 2^60, so low * 10 + 9 < 2^64; high < 2^15 before, below 2^19 after: no wrap-around.
    """
    low = low * _TEN + digit
    return low & _LOW_MASK, high * _TEN + (low >> _LOW_BITS)


@kernel(f"void({TEXTS}, u2[::1], i8[::1], u2[:,::1], u1[::1], i8, i8)")
def _text_to_limbs(data, starts, ends, codes, decimals, limbs, bad, first, last):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        bad[row] = 1
        if codes[row] == UNKNOWN_ASSET:
            continue
        start = starts[row]
        end = ends[row]
        low = _ZERO
        high = _ZERO
        point = end
        good = end > start
        for at in range(start, end):
            digit = np.int64(data[at]) - 48
            if 0 <= digit <= 9:
                low, high = _append_digit(low, high, np.uint64(digit))
                if high >= _HIGH_BOUND:
                    good = False
                    break
            elif digit == -2 and point == end and start < at < end - 1:
                point = at
            else:
                good = False
                break
        fraction = max(end - point - 1, 0)
        if not good or fraction > decimals[codes[row]]:
            continue
        for _ in range(fraction, decimals[codes[row]]):
            low, high = _append_digit(low, high, _ZERO)
            if high >= _HIGH_BOUND:
                break
        if high >= _HIGH_BOUND:
            continue
        for limb in range(4):
            limbs[row, limb] = (low >> np.uint64(15 * limb)) & _LIMB_MASK
        limbs[row, 4] = high
        bad[row] = 0


@kernel(
    "void(Array(uint64, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True), i8, "
    "u2[::1], i8[::1], u2[:,::1], u1[::1], i8, i8)"
)
def _fixed_point_to_limbs(  # type: ignore[no-untyped-def]
    low, high, scale, codes, decimals, limbs, bad, first, last
):
    """Exact multiplication or division by a power of ten, on words w0 ... w3 of 32 bits.

    A word times ten plus a carry is below 2^36, a remainder below 10 times 2^32 plus a word below
    2^36: no wrap-around.
    """
    for row in range(first, last):
        bad[row] = 1
        if codes[row] == UNKNOWN_ASSET or high[row] < 0:
            continue
        w0 = low[row] & _WORD_MASK
        w1 = low[row] >> np.uint64(32)
        w2 = np.uint64(high[row]) & _WORD_MASK
        w3 = np.uint64(high[row]) >> np.uint64(32)
        remainder = _ZERO
        for _ in range(decimals[codes[row]], scale):
            q3 = w3
            w3 = q3 // _TEN
            q2 = ((q3 % _TEN) << np.uint64(32)) | w2
            w2 = q2 // _TEN
            q1 = ((q2 % _TEN) << np.uint64(32)) | w1
            w1 = q1 // _TEN
            q0 = ((q1 % _TEN) << np.uint64(32)) | w0
            w0 = q0 // _TEN
            remainder |= q0 % _TEN
        # 2^75 is bit 11 of w2. Multiplication stops there: what exceeds it never comes back.
        fits = w3 == _ZERO and w2 < np.uint64(1 << 11)
        for _ in range(scale, decimals[codes[row]]):
            if not fits:
                break
            w0 = w0 * _TEN
            w1 = w1 * _TEN + (w0 >> np.uint64(32))
            w2 = w2 * _TEN + (w1 >> np.uint64(32))
            w0 = w0 & _WORD_MASK
            w1 = w1 & _WORD_MASK
            fits = w2 < np.uint64(1 << 11)
        if remainder != _ZERO or not fits:
            continue
        value = w0 | (w1 << np.uint64(32))
        for limb in range(4):
            limbs[row, limb] = (value >> np.uint64(15 * limb)) & _LIMB_MASK
        limbs[row, 4] = (value >> _LOW_BITS) | (w2 << np.uint64(4))
        bad[row] = 0
