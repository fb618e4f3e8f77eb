"""Assets and the exact text of amounts."""

import re
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from air.registry import (
    AMOUNT_BOUND,
    MAX_ASSETS,
    MAX_DECIMALS,
    TOTAL_BOUND,
    Asset,
    Registry,
    format_amount,
    parse_amount,
)
from stark.errors import Code, Rejected


@given(st.integers(0, TOTAL_BOUND - 1), st.integers(0, MAX_DECIMALS))
def test_format_amount_equals_decimal(amount: int, decimals: int) -> None:
    with localcontext() as context:
        context.prec = 60
        assert format_amount(amount, decimals) == f"{Decimal(amount).scaleb(-decimals):f}"


@given(st.integers(0, AMOUNT_BOUND - 1), st.integers(0, MAX_DECIMALS), st.integers(0, 3))
def test_parse_inverts_format(amount: int, decimals: int, zeros: int) -> None:
    text = format_amount(amount, decimals)
    assert parse_amount("0" * zeros + text, decimals) == amount
    if "." in text:
        assert parse_amount(text.rstrip("0").rstrip("."), decimals) == amount


@pytest.mark.parametrize(
    ("text", "decimals", "amount"),
    [
        ("0", 0, 0),
        ("0", 30, 0),
        ("12.5", 6, 12_500_000),
        ("0.50000000", 8, 50_000_000),
        ("007", 2, 700),
        ("0" * 10_000 + "1", 0, 1),
        (str(AMOUNT_BOUND - 1), 0, AMOUNT_BOUND - 1),
        ("377789318629571.61709567", 8, AMOUNT_BOUND - 1),
        ("0.000000037778931862957161709567", 30, AMOUNT_BOUND - 1),
    ],
)
def test_parse_examples(text: str, decimals: int, amount: int) -> None:
    assert parse_amount(text, decimals) == amount


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the amount is empty"),
        (" ", "the amount is empty"),
        ("-1", "negative: an amount is 0 or more, without a sign"),
        ("-0.5", "negative: an amount is 0 or more, without a sign"),
        ("NaN", "not a number"),
        ("-inf", "not a number"),
        ("Infinity", "not a number"),
        ("1e5", "exponents are not read: write all digits"),
        ("1.5E-3", "exponents are not read: write all digits"),
        *(
            (text, "not a decimal amount: digits 0-9 and at most one point between them")
            for text in [
                "+1",
                ".5",
                "5.",
                ".",
                "1.2.3",
                "1_000",
                "1,5",
                " 1",
                "1\n",
                "٣",
                "½",
                "0x1",
            ]
        ),
        (
            "1.123456789",
            "9 digits after the point, but the asset has 8 decimals; amounts are never",
        ),
        (
            "1.000000000",
            "9 digits after the point, but the asset has 8 decimals; amounts are never",
        ),
        (
            "377789318629571.61709568",
            "too large: the largest amount that fits is 377789318629571.61709567 (2^75 - 1 minor",
        ),
        ("9" * 10_000, "too large: the largest amount that fits is 377789318629571.61709567"),
    ],
)
def test_parse_refuses(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(reason)):
        parse_amount(text, 8)


def test_format_refuses_negative() -> None:
    for amount, decimals in ((-1, 0), (1, -1)):
        with pytest.raises(ValueError, match="must be 0 or more"):
            format_amount(amount, decimals)


@pytest.mark.parametrize(
    "symbol", ["BTC", "1000SATS", "USD₮", "$WIF", "币安人生", "a" * 32, "-", "[x]"]
)
def test_symbols(symbol: str) -> None:
    assert Asset(symbol, 0).symbol == symbol


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "a" * 33,
        "B TC",
        "B,TC",
        'B"',
        "B\\",
        "B\n",
        "B\x00",
        "B\u200b",
        "\u0412TC",
        "É",
        "\ud800",
        "B\u00a0",
        "\u202eBTC",
        "BTC\x7f",
        "\ufeffBTC",
        "\u0391TOM",
    ],
)
def test_symbols_refused(symbol: str) -> None:
    with pytest.raises(Rejected, match="Statement: asset symbol"):
        Asset(symbol, 0)


def test_largest_amount() -> None:
    assert Asset("BTC", 8).largest_amount == "377789318629571.61709567"


def test_registry_order_and_index() -> None:
    registry = Registry((Asset("B", 1), Asset("A", 2), Asset("a", 30)))
    assert [asset.symbol for asset in registry] == ["B", "A", "a"]
    assert len(registry) == 3
    assert registry[1] == Asset("A", 2)
    assert [registry.index(symbol) for symbol in ("B", "A", "a", "C")] == [0, 1, 2, None]
    assert Registry.from_json(registry.to_json()) == registry


def test_registry_limits() -> None:
    most = tuple(Asset(f"A{index}", 0) for index in range(MAX_ASSETS))
    assert len(Registry(most)) == MAX_ASSETS
    for assets, check in (
        ((), r"Statement: number of assets \(expected 1 to 16384, got 0\)"),
        ((*most, Asset("B", 0)), r"Statement: number of assets \(.* got 16385\)"),
        ((Asset("A", 0), Asset("A", 1)), r"asset symbols are unique \(expected each once, got A\)"),
    ):
        with pytest.raises(Rejected, match=check):
            Registry(assets)
    with pytest.raises(Rejected, match=r"decimals of asset A \(expected 0 to 30, got 31\)"):
        Asset("A", 31)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("BTC", Code.FORMAT),
        ([], Code.STATEMENT),
        (["BTC"], Code.FORMAT),
        ([{"symbol": "BTC"}], Code.FORMAT),
        ([{"symbol": "BTC", "decimals": "8", "price": "1"}], Code.FORMAT),
        ([{"symbol": None, "decimals": "8"}], Code.FORMAT),
        ([{"symbol": "BTC", "decimals": "08"}], Code.FORMAT),
        ([{"symbol": "BTC", "decimals": "31"}], Code.CANONICAL),
        ([{"symbol": "B C", "decimals": "8"}], Code.STATEMENT),
        ([{"symbol": "BTC", "decimals": "8"}] * 2, Code.STATEMENT),
    ],
)
def test_from_json_refuses(value: object, code: Code) -> None:
    with pytest.raises(Rejected) as caught:
        Registry.from_json(value)  # type: ignore[arg-type]
    assert caught.value.code is code
