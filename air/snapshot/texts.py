"""Comparing and looking up byte strings, many at a time."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

from air.registry import Registry
from air.snapshot.columns import TextColumn
from stark import parallel
from stark.jit import device, kernel

UNKNOWN_ASSET = 0xFFFF
"""Code of a symbol that is not listed; indices are below 2^14."""

MAX_ID_BYTES = 256

FNV_BASIS = 0xCBF29CE484222325

_ROWS_PER_PIECE = 4096

TEXTS = (
    "Array(uint8, 1, 'C', readonly=True), "
    "Array(int64, 1, 'C', readonly=True), Array(int64, 1, 'C', readonly=True)"
)
"""Signature of the data, starts and ends of a text column: views of files cannot be written to."""


def id_fault(value: bytes) -> str | None:
    """Why the bytes are not an account id, or ``None`` if they are one.

    Line breaks are refused because a row would no longer be a line, NUL because programs in C
    cut the id there.
    """
    if not value:
        return "the account id is empty"
    if len(value) > MAX_ID_BYTES:
        return f"the account id has {len(value)} bytes; at most {MAX_ID_BYTES} are allowed"
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"the account id is not UTF-8 (byte {error.start})"
    for byte, name in ((b"\0", "NUL"), (b"\n", "a line break"), (b"\r", "a line break")):
        if byte in value:
            return f"the account id contains {name}"
    return None


def are_ids(column: TextColumn) -> bool:
    """Whether no value has an :func:`id_fault`."""
    lengths = column.ends - column.starts
    if len(column) == 0:
        return True
    if lengths.min() == 0 or lengths.max() > MAX_ID_BYTES:
        return False
    data = column.packed()
    try:
        data.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    # All of it is UTF-8: so is each value, unless one begins with a byte 10xxxxxx.
    begins_inside = data[np.cumsum(lengths) - lengths] & 0xC0 == 0x80
    forbidden = (data == 0) | (data == 10) | (data == 13)
    return not (begins_inside.any() or forbidden.any())


def run_starts(column: TextColumn) -> NDArray[np.int64]:
    """Rows whose value differs from the row before; row 0 is the first of them."""
    differs = np.empty(len(column), np.uint8)

    def piece(first: int, last: int) -> None:
        _differs_from_previous(column.data, column.starts, column.ends, differs, first, last)

    parallel.run(piece, len(column), _ROWS_PER_PIECE)
    return np.flatnonzero(differs)


def hash_texts(
    column: TextColumn, basis: int = FNV_BASIS
) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """A 64-bit hash of each value, and 1 where it is not 1 to 256 bytes of visible ASCII.

    The hash is FNV-1a from ``basis``. Equal hashes must be followed by a comparison; from the
    published basis, or any that they know, an adversary makes as many as they like.
    """
    hashes = np.empty(len(column), np.uint64)
    unusual = np.empty(len(column), np.uint8)

    def piece(first: int, last: int) -> None:
        texts = (column.data, column.starts, column.ends)
        _hash(*texts, np.uint64(basis), hashes, unusual, first, last)

    parallel.run(piece, len(column), _ROWS_PER_PIECE)
    return hashes, unusual


def random_basis() -> int:
    """A basis that nobody knows who wrote the texts."""
    return secrets.randbits(64)


class SymbolTable:
    """Looks up the symbols of a registry: open addressing, at most a quarter full.

    The hash starts from a random basis, and its high bits, which depend on all bits of the symbol,
    choose the slot: nobody can list symbols that all fall into one.
    """

    def __init__(self, registry: Registry) -> None:
        self._symbols = TextColumn.of([asset.symbol.encode() for asset in registry])
        bits = (4 * len(registry) - 1).bit_length()
        self._slots = np.full(1 << bits, -1, np.int32)
        self._shift = 64 - bits
        self._basis = random_basis()
        mask = len(self._slots) - 1
        hashes, _ = hash_texts(self._symbols, self._basis)
        for index, value in enumerate(hashes.tolist()):
            slot = value >> self._shift
            while self._slots[slot] >= 0:
                slot = (slot + 1) & mask
            self._slots[slot] = index

    def match(self, column: TextColumn) -> NDArray[np.uint16]:
        """Index of each symbol in the registry, ``UNKNOWN_ASSET`` if it is not listed."""
        codes = np.empty(len(column), np.uint16)
        symbols = self._symbols

        def piece(first: int, last: int) -> None:
            _match(
                *(column.data, column.starts, column.ends),
                *(symbols.data, symbols.starts, symbols.ends, self._slots),
                *(np.uint64(self._basis), self._shift, codes, first, last),
            )

        parallel.run(piece, len(column), _ROWS_PER_PIECE)
        return codes


@device
def _fnv(data, start, end, value):  # type: ignore[no-untyped-def]
    """FNV-1a over data[start:end] from a value; products wrap modulo 2^64 by definition."""
    for at in range(start, end):
        value = (value ^ np.uint64(data[at])) * np.uint64(0x100000001B3)
    return value


@device
def _equal(left, left_start, right, right_start, length):  # type: ignore[no-untyped-def]
    equal = True
    for k in range(length):
        equal &= left[left_start + k] == right[right_start + k]
    return equal


@kernel(f"void({TEXTS}, u1[::1], i8, i8)")
def _differs_from_previous(data, starts, ends, differs, first, last):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        length = ends[row] - starts[row]
        differs[row] = (
            row == 0
            or length != ends[row - 1] - starts[row - 1]
            or not _equal(data, starts[row], data, starts[row - 1], length)
        )


@kernel(f"void({TEXTS}, u8, u8[::1], u1[::1], i8, i8)")
def _hash(data, starts, ends, basis, hashes, unusual, first, last):  # type: ignore[no-untyped-def]
    for row in range(first, last):
        start = starts[row]
        end = ends[row]
        hashes[row] = _fnv(data, start, end, basis)
        strange = end == start or end - start > MAX_ID_BYTES
        for at in range(start, end):
            strange |= data[at] < 0x20 or data[at] > 0x7E
        unusual[row] = strange


@kernel(f"void({TEXTS}, {TEXTS}, i4[::1], u8, i8, u2[::1], i8, i8)")
def _match(  # type: ignore[no-untyped-def]
    data, starts, ends, symbols, symbol_starts, symbol_ends, slots, basis, shift, codes, first, last
):
    mask = np.uint64(len(slots) - 1)
    for row in range(first, last):
        start = starts[row]
        length = ends[row] - start
        slot = _fnv(data, start, ends[row], basis) >> np.uint64(shift)
        codes[row] = UNKNOWN_ASSET
        # Ends at an empty slot: three quarters of them are.
        while slots[slot] >= 0:
            index = slots[slot]
            at = symbol_starts[index]
            if symbol_ends[index] - at == length and _equal(data, start, symbols, at, length):
                codes[row] = index
                break
            slot = (slot + np.uint64(1)) & mask
