"""Columns of a part of a snapshot, as the readers hand them on, whatever the file format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

COLUMN_NAMES = ("account_id", "asset", "equity")


@dataclass(frozen=True)
class TextColumn:
    """Byte strings that lie somewhere in one buffer.

    Parameters
    ----------
    data
        uint8, C-contiguous.
    starts, ends
        int64, one per row, C-contiguous: row i is ``data[starts[i]:ends[i]]``.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def value(self, row: int) -> bytes:
        """The bytes of one row."""
        return self.data[self.starts[row] : self.ends[row]].tobytes()

    def take(self, rows: NDArray[np.int64]) -> TextColumn:
        """The chosen rows, over the same buffer."""
        return TextColumn(self.data, self.starts[rows], self.ends[rows])

    def packed(self) -> NDArray[np.uint8]:
        """The bytes of all rows, one after the other."""
        lengths = self.ends - self.starts
        before = np.cumsum(lengths) - lengths
        positions = np.repeat(self.starts - before, lengths) + np.arange(lengths.sum())
        return np.take(self.data, positions)

    @classmethod
    def of(cls, values: list[bytes]) -> TextColumn:
        """A column of these values."""
        bounds = np.zeros(len(values) + 1, np.int64)
        np.cumsum([len(value) for value in values], out=bounds[1:])
        data = np.frombuffer(b"".join(values), np.uint8)
        return cls(data, bounds[:-1].copy(), bounds[1:].copy())


@dataclass(frozen=True)
class FixedPointColumn:
    """Numbers with the same number of decimals: value = (high * 2^64 + low) / 10^scale.

    Parameters
    ----------
    low, high
        uint64 and int64, one per row, C-contiguous: 128 bits in two's complement.
    scale
        Decimals of the column, may be negative.
    missing
        bool, one per row: there is no value.
    """

    low: NDArray[np.uint64]
    high: NDArray[np.int64]
    scale: int
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.low)

    def text(self, row: int) -> str:
        """One value in digits, without trailing zeros after the point; empty if missing."""
        if self.missing[row]:
            return ""
        value = (int(self.high[row]) << 64) + int(self.low[row])
        digits = str(abs(value)).zfill(self.scale + 1) + "0" * max(0, -self.scale)
        sign = "-" if value < 0 else ""
        if self.scale <= 0:
            return sign + digits
        fraction = digits[-self.scale :].rstrip("0")
        return sign + digits[: -self.scale] + ("." + fraction if fraction else "")


AmountColumn: TypeAlias = TextColumn | FixedPointColumn


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a snapshot file.

    Parameters
    ----------
    rows
        int64: line or row number of each, as a person counts them, increasing.
    account_ids, assets, equity
        The columns, each as long as ``rows``.
    """

    rows: NDArray[np.int64]
    account_ids: TextColumn
    assets: TextColumn
    equity: AmountColumn
