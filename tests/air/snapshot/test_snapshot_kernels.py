"""The kernels of the reader against plain Python."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from air.registry import AMOUNT_BOUND, MAX_ASSETS, Asset, Registry, format_amount, parse_amount
from air.snapshot.amounts import amount_fault, to_limbs
from air.snapshot.columns import FixedPointColumn, TextColumn
from air.snapshot.texts import UNKNOWN_ASSET, SymbolTable, hash_texts, run_starts

ALL_DECIMALS = Registry(tuple(Asset(f"A{decimals}", decimals) for decimals in range(31)))
DECIMALS = st.integers(0, 30)
NEAR_TEXTS = st.text("0123456789.", max_size=40) | st.text("019.+-eE _\0٣x", max_size=6)
EXACT_TEXTS = st.builds(
    format_amount,
    st.integers(0, 2 * AMOUNT_BOUND) | st.integers(AMOUNT_BOUND - 2, AMOUNT_BOUND + 2),
    DECIMALS,
)


def limbs_of(amount: int) -> list[int]:
    return [amount >> 15 * k & 0x7FFF for k in range(5)]


@settings(max_examples=300)
@given(st.lists(st.tuples(NEAR_TEXTS | EXACT_TEXTS, DECIMALS), max_size=20))
def test_text_amounts(rows: list[tuple[str, int]]) -> None:
    column = TextColumn.of([text.encode() for text, _ in rows])
    codes = np.array([decimals for _, decimals in rows], np.uint16)
    limbs, faulty = to_limbs(column, codes, ALL_DECIMALS)
    bad = set(faulty.tolist())
    for row, (text, decimals) in enumerate(rows):
        assert (amount_fault(text, decimals) is not None) == (row in bad)
        if row not in bad:
            assert limbs[row].tolist() == limbs_of(parse_amount(text, decimals))


def test_text_amounts_at_the_bound() -> None:
    texts = []
    codes = []
    for decimals in range(31):
        for amount in (0, 1, AMOUNT_BOUND - 1, AMOUNT_BOUND, AMOUNT_BOUND + 1, 10 * AMOUNT_BOUND):
            texts.append(("000" + format_amount(amount, decimals)).encode())
            codes.append(decimals)
    limbs, faulty = to_limbs(TextColumn.of(texts), np.array(codes, np.uint16), ALL_DECIMALS)
    assert faulty.tolist() == [row for row in range(len(texts)) if row % 6 >= 3]
    assert limbs[2].tolist() == [0x7FFF] * 5
    _, faulty = to_limbs(TextColumn.of([b"9" * 10_000]), np.zeros(1, np.uint16), ALL_DECIMALS)
    assert faulty.tolist() == [0]


def test_unknown_assets_are_at_fault() -> None:
    codes = np.array([UNKNOWN_ASSET, 3], np.uint16)
    text = TextColumn.of([b"1", b"1"])
    ones = np.ones(2, np.uint64)
    fixed = FixedPointColumn(ones, np.zeros(2, np.int64), 0, np.zeros(2, np.bool_))
    for column in (text, fixed):
        assert to_limbs(column, codes, ALL_DECIMALS)[1].tolist() == [0]


WIDE = st.integers(-(10**38) + 1, 10**38 - 1)
INTEGERS = (
    st.sampled_from([0, 1, -1, AMOUNT_BOUND - 1, AMOUNT_BOUND, 10**38 - 1, -(10**38) + 1, 2**64])
    | WIDE
    | st.integers(0, AMOUNT_BOUND)
    | st.builds(lambda digits, power: digits * 10**power, st.integers(0, 10**6), st.integers(0, 30))
)


@settings(max_examples=300)
@given(
    st.lists(st.tuples(INTEGERS, DECIMALS, st.booleans()), max_size=12),
    st.integers(-5, 38),
)
def test_fixed_point_amounts(rows: list[tuple[int, int, bool]], scale: int) -> None:
    words = [value % 2**128 for value, _, _ in rows]
    column = FixedPointColumn(
        np.array([word % 2**64 for word in words], np.uint64),
        np.array([word >> 64 for word in words], np.uint64).view(np.int64),
        scale,
        np.array([missing for _, _, missing in rows], np.bool_),
    )
    codes = np.array([decimals for _, decimals, _ in rows], np.uint16)
    limbs, faulty = to_limbs(column, codes, ALL_DECIMALS)
    for row, (value, decimals, missing) in enumerate(rows):
        exact = Fraction(value) * Fraction(10) ** (decimals - scale)
        good = exact.denominator == 1 and 0 <= exact < AMOUNT_BOUND and not missing
        assert good == (row not in faulty)
        text = column.text(row)
        assert good == (amount_fault(text, decimals) is None)
        if not missing:
            assert Fraction(text) == Fraction(value) / Fraction(10) ** scale
        if good:
            assert limbs[row].tolist() == limbs_of(int(exact))


VALUES = st.lists(st.binary(max_size=5) | st.sampled_from([b"", b"a", b"b", b"ab"]), max_size=30)


def fnv(data: bytes) -> int:
    """FNV-1a, 64 bits (Fowler, Noll, Vo)."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


@given(VALUES)
def test_runs_hashes_and_packing(values: list[bytes]) -> None:
    column = TextColumn.of(values)
    expected = [row for row, value in enumerate(values) if row == 0 or value != values[row - 1]]
    assert run_starts(column).tolist() == expected
    hashes, unusual = hash_texts(column)
    assert hashes.tolist() == [fnv(value) for value in values]
    assert unusual.tolist() == [
        int(not value or any(not 0x20 <= byte <= 0x7E for byte in value)) for value in values
    ]
    chosen = np.arange(0, len(values), 2)
    assert column.take(chosen).packed().tobytes() == b"".join(values[::2])
    assert [column.value(row) for row in range(len(column))] == values


def test_hash_of_a_published_vector_and_length_limit() -> None:
    hashes, unusual = hash_texts(TextColumn.of([b"foobar", b"x" * 256, b"x" * 257]))
    assert hashes[0] == 0x85944171F73967E8
    assert unusual.tolist() == [0, 0, 1]


@given(
    st.lists(st.text("ABC₮", min_size=1, max_size=3), min_size=1, max_size=20, unique=True), VALUES
)
def test_symbols(symbols: list[str], others: list[bytes]) -> None:
    table = SymbolTable(Registry(tuple(Asset(symbol, 0) for symbol in symbols)))
    queries = [symbol.encode() for symbol in symbols] + others + [b"A", b"AB", b"\xe2\x82"]
    index = {symbol.encode(): position for position, symbol in enumerate(symbols)}
    codes = table.match(TextColumn.of(queries))
    assert codes.tolist() == [index.get(query, UNKNOWN_ASSET) for query in queries]


def test_symbols_of_the_largest_registry() -> None:
    names = [f"S{index}" for index in range(MAX_ASSETS)]
    table = SymbolTable(Registry(tuple(Asset(name, 0) for name in names)))
    assert table.match(TextColumn.of([name.encode() for name in names])).tolist() == list(
        range(MAX_ASSETS)
    )
