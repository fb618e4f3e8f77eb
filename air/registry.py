"""The listed assets, in order, and the exact text form of their amounts.

An amount is an integer in minor units: an asset with 8 decimals counts in units of 10^-8. Text is
converted exactly or refused; nothing here rounds, and no floating point is involved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from air.canonical_json import JsonValue, abbreviate, parse_decimal
from stark.errors import Code, Rejected

MAX_ASSETS = 1 << 14
"""An asset's index is looked up in the range table, which holds 15-bit values; differences of
indices must fit as well, and half of it leaves room."""

MAX_DECIMALS = 30
"""No ledger in use has more than 30 decimals (18 is usual); 2^75 minor units exceed 10^22, so that
amounts of such an asset stay below 10^-7."""

MAX_SYMBOL_LENGTH = 32

LIMB_BITS = 15
AMOUNT_LIMBS = 5
TOTAL_LIMBS = 7

AMOUNT_BOUND = 1 << (LIMB_BITS * AMOUNT_LIMBS)
"""Amounts of a holding are below 2^75: five limbs of 15 bits, each looked up."""

TOTAL_BOUND = 1 << (LIMB_BITS * TOTAL_LIMBS)
"""Totals are below 2^105: seven limbs. 2^30 holdings of the largest amount stay below it."""

# Visible ASCII without comma, double quote and backslash (which CSV and JSON would have to
# escape), currency signs, and the scripts in which symbols are listed that no Latin letter can be
# hardly be confused with: kana, CJK ideographs, Hangul syllables. No invisible or reordering
# character is among them. A few look like Latin letters all the same (and 0 like O): reports show
# the code points of what is not ASCII, and name symbols that look alike.
# Ranges, not Unicode properties: those change from one Python version to the next.
_SYMBOL = re.compile(
    r"[!#-+\--\[\]-~\u20a0-\u20c0\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]{1,32}"
)
_AMOUNT = re.compile(r"([0-9]+)(?:\.([0-9]+))?")


def symbol_fault(symbol: str) -> str | None:
    """Why the text is not an asset symbol, or ``None`` if it is one."""
    if _SYMBOL.fullmatch(symbol):
        return None
    return (
        f"a symbol has 1 to {MAX_SYMBOL_LENGTH} visible characters: ASCII without comma, double "
        "quote and backslash, currency signs, kana, CJK ideographs or Hangul"
    )


@dataclass(frozen=True)
class Asset:
    """One listed asset.

    Parameters
    ----------
    symbol
        1 to 32 characters (see :func:`symbol_fault`); compared exactly, case included.
    decimals
        0 to 30: the ledger counts in units of 10^-decimals.
    """

    symbol: str
    decimals: int

    def __post_init__(self) -> None:
        reason = symbol_fault(self.symbol)
        if reason is not None:
            raise Rejected(Code.STATEMENT, "asset symbol", reason, abbreviate(self.symbol))
        if not 0 <= self.decimals <= MAX_DECIMALS:
            raise Rejected(
                Code.STATEMENT,
                f"decimals of asset {self.symbol}",
                f"0 to {MAX_DECIMALS}",
                self.decimals,
            )

    @property
    def largest_amount(self) -> str:
        """The largest amount that one holding can have, in asset units."""
        return format_amount(AMOUNT_BOUND - 1, self.decimals)


@dataclass(frozen=True)
class Registry:
    """The ordered list of assets; an asset's index is its position here.

    Raises ``Rejected`` (``Statement``) unless there are 1 to 2^14 assets with unique symbols.
    """

    assets: tuple[Asset, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.assets) <= MAX_ASSETS:
            raise Rejected(
                Code.STATEMENT, "number of assets", f"1 to {MAX_ASSETS}", len(self.assets)
            )
        seen: set[str] = set()
        for asset in self.assets:
            if asset.symbol in seen:
                raise Rejected(
                    Code.STATEMENT, "asset symbols are unique", "each once", asset.symbol
                )
            seen.add(asset.symbol)

    def __len__(self) -> int:
        return len(self.assets)

    def __iter__(self) -> Iterator[Asset]:
        return iter(self.assets)

    def __getitem__(self, index: int) -> Asset:
        return self.assets[index]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {asset.symbol: index for index, asset in enumerate(self.assets)}

    def index(self, symbol: str) -> int | None:
        """Position of the asset with this symbol, or ``None`` if it is not listed."""
        return self._indices.get(symbol)

    def to_json(self) -> list[JsonValue]:
        """The value that canonical JSON encodes: a list of ``{"decimals", "symbol"}``."""
        return [{"decimals": str(asset.decimals), "symbol": asset.symbol} for asset in self.assets]

    @classmethod
    def from_json(cls, value: JsonValue) -> Registry:
        """The inverse of :meth:`to_json`. Raises ``Rejected`` for anything else."""
        if not isinstance(value, list):
            raise Rejected(Code.FORMAT, "assets", "a list", abbreviate(value))
        if not 1 <= len(value) <= MAX_ASSETS:
            raise Rejected(Code.STATEMENT, "number of assets", f"1 to {MAX_ASSETS}", len(value))
        return cls(tuple(_asset_from_json(item) for item in value))


def _asset_from_json(value: JsonValue) -> Asset:
    if not isinstance(value, dict) or value.keys() != {"decimals", "symbol"}:
        got = sorted(value) if isinstance(value, dict) else value
        raise Rejected(
            Code.FORMAT, "asset", "an object with keys decimals, symbol", abbreviate(got)
        )
    symbol = value["symbol"]
    if not isinstance(symbol, str):
        raise Rejected(Code.FORMAT, "asset symbol", "a string", abbreviate(symbol))
    return Asset(symbol, parse_decimal(value["decimals"], MAX_DECIMALS + 1, "asset decimals"))


def format_amount(amount: int, decimals: int) -> str:
    """An amount of minor units in asset units, exactly, with all its decimals.

    Works for totals as well as for single amounts.

    Raises
    ------
    ValueError
        If ``amount`` or ``decimals`` is negative.

    Examples
    --------
    >>> format_amount(50_000_000, 8)
    '0.50000000'
    """
    if amount < 0 or decimals < 0:
        raise ValueError(f"amount and decimals must be 0 or more, got {amount}, {decimals}")
    digits = str(amount).zfill(decimals + 1)
    return digits if decimals == 0 else f"{digits[:-decimals]}.{digits[-decimals:]}"


def parse_amount(text: str, decimals: int) -> int:
    """The minor units of an amount in asset units, exactly.

    ``text`` is one or more ASCII digits, and optionally a point and one or more digits, at most
    ``decimals`` of them. Leading zeros are accepted.

    Raises
    ------
    ValueError
        With the reason in words: not such a text, more digits than ``decimals`` (zeros too: a
        ledger that writes them has another precision than declared), or 2^75 minor units or more.

    Examples
    --------
    >>> parse_amount("12.5", 6)
    12500000
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(amount_syntax_fault(text))
    whole, fraction = match[1].lstrip("0"), match[2] or ""
    if len(fraction) > decimals:
        raise ValueError(
            f"{len(fraction)} digits after the point, but the asset has {decimals} decimals; "
            "amounts are never rounded"
        )
    # 2^75 has 23 digits: a longer whole part exceeds it at any decimals, and int() is not asked
    # for texts of any length.
    if len(whole) <= 23:
        amount = int(whole + fraction.ljust(decimals, "0") or "0")
        if amount < AMOUNT_BOUND:
            return amount
    raise ValueError(
        f"too large: the largest amount that fits is {format_amount(AMOUNT_BOUND - 1, decimals)} "
        "(2^75 - 1 minor units)"
    )


def amount_syntax_fault(text: str) -> str | None:
    """Why the text is no amount, whatever the asset's decimals; ``None`` if it may be one."""
    if _AMOUNT.fullmatch(text):
        return None
    bare = text.strip().lower()
    if not bare:
        return "the amount is empty"
    if bare.lstrip("+-") in {"nan", "inf", "infinity", "null", "none", "n/a"}:
        return "not a number"
    if bare.startswith("-"):
        return "negative: an amount is 0 or more, without a sign"
    if re.fullmatch(r"\+?[0-9.]+e[+-]?[0-9]+", bare):
        return "exponents are not read: write all digits"
    return "not a decimal amount: digits 0-9 and at most one point between them, nothing else"
