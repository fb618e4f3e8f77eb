"""Making up a realistic snapshot: for tests, examples and benchmarks.

Most accounts have 1 to 8 holdings and a few in a thousand are whales with many; assets are as
popular as Zipf's law has it; the value of a holding is log-normal. Amounts are written with all
decimals of their asset.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from air.registry import AMOUNT_BOUND, MAX_ASSETS, Asset, Registry
from air.snapshot.columns import COLUMN_NAMES
from air.snapshot.files import atomic_output
from air.snapshot.manifest import Manifest, default_manifest_path, write_manifest
from stark.errors import UsageError

_ACCOUNTS_PER_CHUNK = 1 << 16
_WHALES_PER_ACCOUNT = 1 / 1024
_WHALE_ASSETS = 500
_WHALE_FACTOR = 1000.0
_EMPTY_PER_SINGLE = 1 / 64
_FRACTION_DIGITS = 18
_WHOLE_DIGITS = 15

# Symbol, decimals of a typical ledger, and a price in USD of the right order.
_KNOWN: tuple[tuple[str, int, float], ...] = (
    *(("BTC", 8, 1e5), ("USDT", 6, 1.0), ("ETH", 18, 4e3), ("USDC", 6, 1.0), ("SOL", 9, 2e2)),
    *(("BNB", 8, 1e3), ("XRP", 6, 3.0), ("DOGE", 8, 0.2), ("TRX", 6, 0.3), ("ADA", 6, 0.8)),
    *(("AVAX", 9, 30.0), ("LINK", 12, 20.0), ("TON", 9, 3.0), ("DOT", 10, 4.0), ("LTC", 8, 1e2)),
    *(("BCH", 8, 5e2), ("SHIB", 8, 1e-5), ("UNI", 12, 8.0), ("NEAR", 12, 3.0), ("ATOM", 6, 4.0)),
    *(("XLM", 7, 0.3), ("ETC", 12, 20.0), ("FIL", 12, 2.0), ("APT", 8, 4.0), ("ARB", 12, 0.4)),
    *(("OP", 12, 0.6), ("PEPE", 4, 1e-5), ("EUR", 2, 1.1), ("USD", 2, 1.0), ("DAI", 18, 1.0)),
)
_CONSONANTS, _VOWELS = "BCDFGHJKLMNPQRSTVWXZ", "AEIOU"


def generate(
    path: str | os.PathLike[str], accounts: int, assets: int, holdings: float, seed: int
) -> Manifest:
    """Write a snapshot and its manifest beside it.

    Parameters
    ----------
    path
        ``.csv`` or ``.parquet``; ``S.manifest.json`` is written beside it.
    accounts
        Number of accounts, 1 or more.
    assets
        Number of listed assets, 1 to 2^14.
    holdings
        Mean number of rows per account, 1 to ``assets``; there are
        ``round(accounts * holdings)`` rows.
    seed
        0 or more; equal arguments give equal files, with one version of NumPy.

    Raises
    ------
    UsageError
        If an argument is out of range.
    """
    target = Path(path)
    for name, value, low, high in (
        ("accounts", accounts, 1, None),
        ("assets", assets, 1, MAX_ASSETS),
        ("holdings", holdings, 1, assets),
        ("seed", seed, 0, None),
    ):
        if value < low or (high is not None and value > high):
            limits = f"{low} or more" if high is None else f"{low} to {high}"
            raise UsageError(f"{name} must be {limits}, got {value}")
    if target.suffix.lower() not in (".csv", ".parquet"):
        raise UsageError(f"a snapshot is a .csv or a .parquet file, got {target}")
    market = _market(assets, seed)
    registry = Registry(tuple(map(Asset, market.symbols, market.decimals.tolist())))
    manifest = Manifest("Example Exchange", "2026-11-01T00:00:00Z", 1, "spot", None, registry)
    write_manifest(default_manifest_path(target), manifest)
    with atomic_output(target) as file:
        writer: _Writer = (
            _CsvWriter(file) if target.suffix.lower() == ".csv" else _ParquetWriter(file)
        )
        for columns in _chunks(market, accounts, holdings, seed):
            writer.write(columns)
        writer.close()
    return manifest


@dataclass(frozen=True)
class _Market:
    """Assets in order of popularity: what they are called, count in, and are worth."""

    symbols: list[str]
    decimals: NDArray[np.int64]
    prices: NDArray[np.float64]
    cumulative: NDArray[np.float64]


def _market(assets: int, seed: int) -> _Market:
    rng = np.random.default_rng([seed, 0])
    made_up = max(0, assets - len(_KNOWN))
    taken = {symbol for symbol, _, _ in _KNOWN}
    # 7919 is coprime to 200,000, so that the words are all different; none has fewer letters
    # than five, and of the known symbols none has more than four.
    words = [_word(7919 * index % 200_000) for index in range(made_up)]
    symbols = [symbol for symbol, _, _ in _KNOWN] + [word for word in words if word not in taken]
    decimals = np.append([d for _, d, _ in _KNOWN], rng.integers(2, 19, made_up))[:assets]
    prices = np.append([p for _, _, p in _KNOWN], rng.lognormal(0.0, 2.0, made_up))[:assets]
    weights = 1.0 / np.arange(1, assets + 1)
    cumulative = np.cumsum(weights) / weights.sum()
    cumulative[-1] = 1.0
    return _Market(symbols[:assets], decimals.astype(np.int64), prices, cumulative)


def _word(number: int) -> str:
    """One of 20 * 5 * 20 * 5 * 20 = 200,000 words: consonant, vowel, consonant, and so on."""
    letters = ""
    for position in range(5):
        alphabet = _VOWELS if position % 2 else _CONSONANTS
        number, letter = divmod(number, len(alphabet))
        letters += alphabet[letter]
    return letters


_Columns = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Ids, symbols and amounts as characters, a row each, filled up with zero bytes anywhere."""


def _chunks(market: _Market, accounts: int, holdings: float, seed: int) -> Iterator[_Columns]:
    symbols = np.array(market.symbols, "S")
    symbol_bytes = symbols.view(np.uint8).reshape(len(symbols), -1)
    rows = 0
    for first in range(0, accounts, _ACCOUNTS_PER_CHUNK):
        last = min(first + _ACCOUNTS_PER_CHUNK, accounts)
        rng = np.random.default_rng([seed, 1, first])
        target = round(last * holdings) - rows
        rows += target
        whale = rng.random(last - first) < _WHALES_PER_ACCOUNT
        counts = _row_counts(rng, whale, len(symbols), target)
        chosen = _distinct_assets(rng, counts, market.cumulative)
        numbers = 10_000_000 + 7 * np.arange(first, last) + rng.integers(0, 7, last - first)
        ids = np.hstack(
            [np.full((last - first, 2), np.frombuffer(b"u-", np.uint8)), _digits(numbers, 12)]
        )
        amounts = _amount_characters(rng, market, chosen, np.repeat(whale, counts))
        empty = (counts == 1) & (rng.random(last - first) < _EMPTY_PER_SINGLE)
        amounts[np.repeat(empty, counts)] = _padded(b"0", amounts.shape[1])
        yield np.repeat(ids, counts, axis=0), symbol_bytes[chosen], amounts


def _row_counts(
    rng: np.random.Generator, whale: NDArray[np.bool_], assets: int, target: int
) -> NDArray[np.int64]:
    """Rows per account, 1 to ``assets``, ``target`` in all; geometric but for the whales."""
    mean = target / len(whale)
    counts = np.minimum(rng.geometric(1 / max(mean, 1.0), len(whale)), assets)
    largest = min(assets, _WHALE_ASSETS)
    many = rng.integers(min(9, largest), largest + 1, len(whale))
    counts[whale] = many[whale]
    while (excess := int(counts.sum()) - target) != 0:
        movable = np.flatnonzero(counts > 1 if excess > 0 else counts < assets)
        chosen = rng.permutation(movable)[: abs(excess)]
        counts[chosen] -= np.sign(excess)
    return counts


def _distinct_assets(
    rng: np.random.Generator, counts: NDArray[np.int64], cumulative: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Assets of all rows, by popularity, no asset twice in an account, in no order."""
    assets = len(cumulative)
    account = np.repeat(np.arange(len(counts)), counts)
    chosen = np.searchsorted(cumulative, rng.random(len(account)), "right")
    again = np.arange(0)
    for _ in range(16):
        keys = account * assets + chosen
        order = np.argsort(keys, kind="stable")
        again = order[1:][keys[order[1:]] == keys[order[:-1]]]
        if len(again) == 0:
            return chosen
        chosen[again] = np.searchsorted(cumulative, rng.random(len(again)), "right")
    # Accounts that hold nearly all assets: the smallest of exponential variables divided by the
    # weights are a weighted sample without repetition (Efraimidis and Spirakis 2006).
    starts = np.cumsum(counts) - counts
    weights = np.diff(cumulative, prepend=0.0)
    for owner in np.unique(account[again]):
        ranks = np.argsort(rng.exponential(size=assets) / weights)
        chosen[starts[owner] : starts[owner] + counts[owner]] = ranks[: counts[owner]]
    return chosen


def _amount_characters(
    rng: np.random.Generator,
    market: _Market,
    chosen: NDArray[np.int64],
    whale: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    decimals = market.decimals[chosen]
    value = rng.lognormal(5.0, 2.5, len(chosen)) * np.where(whale, _WHALE_FACTOR, 1.0)
    # At least one and a half minor units, or of 10^-15: an amount is never written as zero.
    smallest = 1.5 * 10.0 ** -np.minimum(decimals, _WHOLE_DIGITS)
    amount = np.maximum(value / market.prices[chosen], smallest)
    # Whole part and one more unit stay below 2^75 minor units, and within 15 digits.
    largest = [
        min(AMOUNT_BOUND // 10**d - 1, 10**_WHOLE_DIGITS - 1) for d in market.decimals.tolist()
    ]
    amount = np.minimum(amount, np.array(largest, np.float64)[chosen])
    whole = np.floor(amount).astype(np.int64)
    fraction = np.floor((amount - whole) * 1e15).astype(np.int64) * 1000
    fraction += rng.integers(0, 1000, len(chosen))
    fraction_digits = _digits(fraction, _FRACTION_DIGITS, zeros=True)
    fraction_digits[np.arange(_FRACTION_DIGITS) >= decimals[:, None]] = 0
    point = np.full((len(chosen), 1), ord("."), np.uint8)
    return np.hstack([_digits(whole, _WHOLE_DIGITS), point, fraction_digits])


def _digits(values: NDArray[np.int64], width: int, zeros: bool = False) -> NDArray[np.uint8]:
    """Decimal digits, right-aligned; leading zeros are characters only if ``zeros``."""
    characters = np.empty((len(values), width), np.uint8)
    left = values
    for position in range(width - 1, -1, -1):
        rest = left // 10
        characters[:, position] = left - rest * 10 + ord("0")
        if not zeros and position < width - 1:
            characters[left == 0, position] = 0
        left = rest
    return characters


def _padded(text: bytes, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(text.ljust(width, b"\0"), np.uint8)


class _Writer(Protocol):
    def write(self, columns: _Columns) -> None: ...

    def close(self) -> None: ...


class _CsvWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.write(",".join(COLUMN_NAMES).encode() + b"\n")

    def write(self, columns: _Columns) -> None:
        ids, symbols, amounts = columns
        comma = np.full((len(ids), 1), ord(","), np.uint8)
        newline = np.full((len(ids), 1), ord("\n"), np.uint8)
        characters = np.hstack([ids, comma, symbols, comma, amounts, newline]).ravel()
        self._file.write(characters[characters != 0].tobytes())

    def close(self) -> None:
        pass


class _ParquetWriter:
    def __init__(self, file: BinaryIO) -> None:
        self._schema = pa.schema([(name, pa.string()) for name in COLUMN_NAMES])
        self._writer = pq.ParquetWriter(file, self._schema, write_page_checksum=True)

    def write(self, columns: _Columns) -> None:
        arrays = [_string_array(characters) for characters in columns]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        self._writer.close()


def _string_array(characters: NDArray[np.uint8]) -> pa.StringArray:
    filled = characters != 0
    offsets = np.append(0, np.cumsum(filled.sum(axis=1))).astype(np.int32)
    data = characters[filled]
    return pa.StringArray.from_buffers(
        len(characters), pa.py_buffer(offsets.tobytes()), pa.py_buffer(data.tobytes())
    )
