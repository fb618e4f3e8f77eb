"""Every fault of a snapshot, with its exact file, row, column, value and reason."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from air.registry import Asset, Registry
from air.snapshot import builder, csv_reader, table
from air.snapshot.check import CheckResult, check, load
from air.snapshot.manifest import Manifest, write_manifest
from stark.errors import InputError

HEADER = b"account_id,asset,equity\n"
REGISTRY = Registry((Asset("BTC", 8), Asset("USDT", 6), Asset("JPY", 0)))
MANIFEST = Manifest("Example Exchange", "2026-11-01T00:00:00Z", 7, "spot", None, REGISTRY)
Fault = tuple[int | None, str | None, object, str]


@pytest.fixture
def checked(tmp_path: Path) -> Callable[..., CheckResult]:
    """Write a CSV (bytes) or a Parquet file (a table) and check it."""
    write_manifest(tmp_path / "s.manifest.json", MANIFEST)

    def run(content: bytes | pa.Table, **options: Any) -> CheckResult:
        if isinstance(content, bytes):
            path = tmp_path / "s.csv"
            path.write_bytes(content)
        else:
            path = tmp_path / "s.parquet"
            pq.write_table(content, path)
        result = check(path, **options)
        assert all(fault.file == str(path) for fault in result.faults)
        return result

    return run


def listed(result: CheckResult) -> list[Fault]:
    assert result.ok == (not result.faults)
    if result.faults:
        assert (result.accounts, result.holdings, result.totals) == (0, 0, ())
    return [(fault.row, fault.column, fault.value, fault.reason) for fault in result.faults]


SYNTAX = "not a decimal amount: digits 0-9 and at most one point between them, nothing else"
OVERFLOW = (
    "too large: the largest amount that fits is 377789318629571.61709567 (2^75 - 1 minor units)"
)
NEGATIVE = "negative: an amount is 0 or more, without a sign"
AMOUNTS: list[tuple[bytes, object, str]] = [
    (b"-1", "-1", NEGATIVE),
    (b"-0.5", "-0.5", NEGATIVE),
    (b"nan", "nan", "not a number"),
    (b"NaN", "NaN", "not a number"),
    (b"inf", "inf", "not a number"),
    (b"-Infinity", "-Infinity", "not a number"),
    (b"1e5", "1e5", "exponents are not read: write all digits"),
    (b"+1", "+1", SYNTAX),
    (b" 1", " 1", SYNTAX),
    (b"1_0", "1_0", SYNTAX),
    (b".5", ".5", SYNTAX),
    (b"5.", "5.", SYNTAX),
    (b"1.2.3", "1.2.3", SYNTAX),
    (b"1\x00", "1\x00", SYNTAX),
    ("٣".encode(), "٣", SYNTAX),
    (b"\xff", b"\xff", SYNTAX),
    (b"", "", "the amount is empty"),
    (
        b"0.000000001",
        "0.000000001",
        "9 digits after the point, but the asset has 8 decimals; amounts are never rounded",
    ),
    (
        b"377789318629571.61709568",
        "377789318629571.61709568",
        OVERFLOW,
    ),
]


@pytest.mark.parametrize(("text", "value", "reason"), AMOUNTS)
def test_amounts(checked: Callable[..., CheckResult], text: bytes, value: Any, reason: str) -> None:
    result = checked(HEADER + b"u-1,USDT,1\nu-1,BTC," + text + b"\nu-2,BTC,1\n")
    assert listed(result) == [(3, "equity", value, reason)]


UNKNOWN = "not listed in the manifest"
ROWS: list[tuple[bytes, list[Fault]]] = [
    (b"u-1,ETH,1\n", [(2, "asset", "ETH", UNKNOWN)]),
    (b"u-1,btc,1\n", [(2, "asset", "btc", UNKNOWN + ", which has BTC")]),
    (b"u-1,BTC ,1\n", [(2, "asset", "BTC ", UNKNOWN + ", which has BTC")]),
    (b"u-1,,1\n", [(2, "asset", "", "the asset is empty")]),
    (b"u-1,\xff,1\n", [(2, "asset", b"\xff", UNKNOWN)]),
    (b"u-1,B\x00TC,1\n", [(2, "asset", "B\x00TC", UNKNOWN)]),
    (
        b"u-1,ETH,-1\n",
        [(2, "asset", "ETH", UNKNOWN), (2, "equity", "-1", NEGATIVE)],
    ),
    (b",BTC,1\n", [(2, "account_id", "", "the account id is empty")]),
    (
        b",BTC,x\n",
        [(2, "account_id", "", "the account id is empty"), (2, "equity", "x", SYNTAX)],
    ),
    (
        b"u-1,BTC,1\n" + b"x" * 257 + b",BTC,1\n" + b"x" * 257 + b",USDT,1\n",
        [
            (row, "account_id", "x" * 257, "the account id has 257 bytes; at most 256 are allowed")
            for row in (3, 4)
        ],
    ),
    (b"u\xff,BTC,1\n", [(2, "account_id", b"u\xff", "the account id is not UTF-8 (byte 1)")]),
    (b"u\x00,BTC,1\n", [(2, "account_id", "u\x00", "the account id contains NUL")]),
    (b'"u\r",BTC,1\n', [(2, "account_id", "u\r", "the account id contains a line break")]),
    (b'u-1,BTC,"1\r"\n', [(2, "equity", "1\r", SYNTAX)]),
    (
        b'"u,BTC",1\n',
        [(2, None, '"u,BTC",1', "2 values, must be 3: account_id,asset,equity")],
    ),
    (
        b",BTC,1\nu-1,BTC,1\n,BTC,1\n",
        [(row, "account_id", "", "the account id is empty") for row in (2, 4)],
    ),
    (
        b"u-1,XYZ,1\nu-1,UVW,1\n",
        [(2, "asset", "XYZ", UNKNOWN), (3, "asset", "UVW", UNKNOWN)],
    ),
    (b"u\r1,BTC,1\n", [(2, None, "u\r1,BTC,1", "a carriage return stands inside the line")]),
    (
        b"u-1,BTC\n",
        [(2, None, "u-1,BTC", "2 values, must be 3: account_id,asset,equity")],
    ),
    (
        b"u-0,BTC,1\nu-1,BTC,1,0\nu-2,BTC,x\n",
        [
            (3, None, "u-1,BTC,1,0", "4 values, must be 3: account_id,asset,equity"),
            (4, "equity", "x", SYNTAX),
        ],
    ),
    (
        # As many commas as two a line would make, but not two in each.
        b"u-0,BTC\nu-1,BTC,1,0\n",
        [
            (2, None, "u-0,BTC", "2 values, must be 3: account_id,asset,equity"),
            (3, None, "u-1,BTC,1,0", "4 values, must be 3: account_id,asset,equity"),
        ],
    ),
    (b"u-0,BTC,1\n\nu-1,BTC,1\n", [(3, None, "", "the line is empty")]),
    (b"\nu-1,BTC,1\n", [(2, None, "", "the line is empty")]),
    (
        b'"u-1,BTC,1\nu-2,BTC,1\n',
        [(2, None, '"u-1,BTC,1', "quotes are not closed, or not around a whole value")],
    ),
    (
        b'"u-1"x,BTC,1\n',
        [(2, None, '"u-1"x,BTC,1', "quotes are not closed, or not around a whole value")],
    ),
    (
        b"u-1,BTC,1\nu-1,USDT,1\nu-1,BTC,0\n",
        [(4, "asset", "BTC", "account 'u-1' has this asset at row 2 already")],
    ),
    (
        b"u-1,JPY,1\nu-1,BTC,1\nu-1,JPY,2\nu-1,BTC,0\nu-1,JPY,2\n",
        [
            (4, "asset", "JPY", "account 'u-1' has this asset at row 2 already"),
            (5, "asset", "BTC", "account 'u-1' has this asset at row 3 already"),
            (6, "asset", "JPY", "account 'u-1' has this asset at row 2 already"),
        ],
    ),
    (
        # Lines at fault are counted as lines, and do not separate an account's rows.
        b"u-1,BTC,1\nu-1,BTC\nu-1,BTC,2\n",
        [
            (3, None, "u-1,BTC", "2 values, must be 3: account_id,asset,equity"),
            (4, "asset", "BTC", "account 'u-1' has this asset at row 2 already"),
        ],
    ),
    (
        b"u-1,BTC,1\nu-2,BTC,1\nu-1,USDT,1\nu-1,JPY,1\nu-2,JPY,1\n",
        [
            (
                row,
                "account_id",
                name,
                f"this account was at row {first} already; rows of an account are adjacent",
            )
            for row, name, first in ((4, "u-1", 2), (6, "u-2", 3))
        ],
    ),
]


@pytest.mark.parametrize(("rows", "faults"), ROWS)
def test_rows(checked: Callable[..., CheckResult], rows: bytes, faults: list[Fault]) -> None:
    assert listed(checked(HEADER + rows)) == faults


@pytest.mark.parametrize("block_bytes", [16, 24, 40])
@pytest.mark.parametrize(("rows", "faults"), [case for case in ROWS if len(case[0]) < 100])
def test_rows_in_small_blocks(
    checked: Callable[..., CheckResult],
    monkeypatch: pytest.MonkeyPatch,
    block_bytes: int,
    rows: bytes,
    faults: list[Fault],
) -> None:
    """Accounts and lines that cross the borders of blocks are no different."""
    monkeypatch.setattr(csv_reader, "_require_header", lambda *_: None)
    monkeypatch.setattr(csv_reader, "_BLOCK_BYTES", block_bytes)
    assert listed(checked(b"header\n" + rows)) == faults


FILES: list[tuple[bytes, Fault]] = [
    (b"", (None, None, None, "the file is empty; line 1 must be account_id,asset,equity")),
    (HEADER, (None, None, None, "there is no account in this file")),
    (HEADER[:-1], (None, None, None, "there is no account in this file")),
    (
        b"u-1,BTC,1\n",
        (1, None, "u-1,BTC,1", "line 1 must be account_id,asset,equity"),
    ),
    (
        b"account_id,asset,balance\nu-1,BTC,1\n",
        (1, None, "account_id,asset,balance", "line 1 must be account_id,asset,equity"),
    ),
    (
        b"account_id,asset,equity,debt\nu-1,BTC,1,0\n",
        (
            1,
            None,
            "account_id,asset,equity,debt",
            "line 1 must be account_id,asset,equity; debts are no part of a spot snapshot",
        ),
    ),
    (
        b"\xff\xfea\x00\n",
        (1, None, b"\xff\xfea\x00\n", "this is UTF-16; save the file as UTF-8"),
    ),
    (
        b"\xff,asset,equity\n",
        (1, None, b"\xff,asset,equity", "line 1 must be account_id,asset,equity"),
    ),
]


@pytest.mark.parametrize(("content", "fault"), FILES)
def test_files(checked: Callable[..., CheckResult], content: bytes, fault: Fault) -> None:
    assert listed(checked(content)) == [fault]


def test_a_line_without_end(
    checked: Callable[..., CheckResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "_BLOCK_BYTES", 64)
    result = checked(HEADER + b"x" * 200)
    assert listed(result) == [(None, None, b"x" * 40, "a line is longer than 64 bytes")]


def test_too_many_rows(
    checked: Callable[..., CheckResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MAX_HOLDINGS", 2)
    assert checked(HEADER + b"a,BTC,1\nb,BTC,1\n").ok
    result = checked(HEADER + b"a,BTC,1\nb,BTC,1\nc,BTC,1\n")
    assert listed(result) == [(None, None, None, "more than 2 rows: no publication has as many")]


def test_a_total_that_no_statement_can_say(
    checked: Callable[..., CheckResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amounts are added up where there are so many that their total could pass its bound."""
    monkeypatch.setattr(table, "UNADDED_HOLDINGS", 2)
    monkeypatch.setattr(builder, "TOTAL_BOUND", 300_000_000)
    three = HEADER + b"a,BTC,1\nb,BTC,1\nc,BTC,0.99999999\n"
    assert checked(three).ok
    result = checked(three.replace(b"0.99999999", b"1"))
    reason = "the total of BTC is 2^105 minor units or more"
    assert listed(result) == [(None, "equity", None, reason)]
    # Two of them cannot pass it, whatever they are.
    assert checked(HEADER + b"a,BTC,2\nb,BTC,2\n").ok


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    write_manifest(tmp_path / "s.manifest.json", MANIFEST)
    for name, reason in (
        ("s.csv", "cannot be read: No such file or directory"),
        ("s.parquet", "cannot be read: no such file"),
        ("s.xlsx", "a snapshot is a .csv or a .parquet file"),
    ):
        (fault,) = check(tmp_path / name).faults
        assert (fault.file, fault.reason) == (str(tmp_path / name), reason)
    (fault,) = check(tmp_path / "t.csv").faults
    assert fault.file == str(tmp_path / "t.manifest.json")
    assert fault.reason == "cannot be read: No such file or directory"


def test_limit_lists_the_first_and_counts_all(checked: Callable[..., CheckResult]) -> None:
    rows = b"".join(b"u-%d,BTC,-1\n" % index for index in range(50))
    rows += b"u-0,BTC,1\n" * 3
    result = checked(HEADER + rows, limit=7)
    assert [fault.row for fault in result.faults] == list(range(2, 9))
    assert result.fault_count == 50 + 1 + 2
    # Faults of a later pass stand in their place: the account that returns is at row 3.
    rows = b"a,BTC,1\nb,BTC,1\na,USDT,1\n" + b"c,BTC,-1\nc,USDT,-1\nc,JPY,x\n"
    result = checked(HEADER + rows, limit=2)
    assert [(fault.row, fault.column) for fault in result.faults] == [
        (4, "account_id"),
        (5, "equity"),
    ]
    assert result.fault_count == 4
    rows = b"a,BTC,1\na,BTC,1\nb,BTC,1\na,USDT,1\n"
    result = checked(HEADER + rows, limit=1)
    assert [(fault.row, fault.column) for fault in result.faults] == [(3, "asset")]
    assert result.fault_count == 2


def test_a_file_sorted_by_asset_is_counted_without_listing_it(
    checked: Callable[..., CheckResult],
) -> None:
    names = [b"BTC", b"USDT", b"JPY"]
    rows = b"".join(b"u-%d,%s,1\n" % (user, name) for name in names for user in range(100))
    result = checked(HEADER + rows, limit=5)
    assert [fault.row for fault in result.faults] == [102, 103, 104, 105, 106]
    assert result.fault_count == 200


def test_load_raises_the_first_and_counts_the_others(
    checked: Callable[..., CheckResult], tmp_path: Path
) -> None:
    checked(HEADER + b"a,BTC,1\nb,BTC,-1\na,BTC,1\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "s.csv")
    path = tmp_path / "s.csv"
    assert str(caught.value) == (
        f"{path}, row 3, column equity: '-1': {NEGATIVE} (and 1 more; a check lists them)"
    )
    checked(HEADER + b"a,BTC,1\nb,BTC,-1\n")
    with pytest.raises(InputError) as caught:
        load(tmp_path / "s.csv")
    assert str(caught.value) == f"{path}, row 3, column equity: '-1': {NEGATIVE}"


def parquet(ids: Any, assets: Any, equity: Any) -> pa.Table:
    return pa.table({"account_id": ids, "asset": assets, "equity": equity})


def test_parquet_rows(checked: Callable[..., CheckResult]) -> None:
    result = checked(
        parquet(
            ["a", "a", None, "b", "a", "c", "d"],
            ["BTC", "BTC", "BTC", "ETH", "JPY", None, "BTC"],
            ["1", "2", "1", "1", "1.5", "1", None],
        )
    )
    assert listed(result) == [
        (2, "asset", "BTC", "account 'a' has this asset at row 1 already"),
        (3, "account_id", "", "the account id is empty"),
        (4, "asset", "ETH", UNKNOWN),
        (
            5,
            "equity",
            "1.5",
            "1 digits after the point, but the asset has 0 decimals; amounts are never rounded",
        ),
        (
            5,
            "account_id",
            "a",
            "this account was at row 1 already; rows of an account are adjacent",
        ),
        (6, "asset", "", "the asset is empty"),
        (7, "equity", "", "the amount is empty"),
    ]


def test_parquet_decimals_and_integers(checked: Callable[..., CheckResult]) -> None:
    scaled = pa.array(
        [Decimal("-0.5"), Decimal("0.000000001"), None, Decimal(10) ** 19],
        pa.decimal128(38, 18),
    )
    result = checked(parquet(["a", "b", "c", "d"], ["BTC"] * 4, scaled))
    assert listed(result) == [
        (1, "equity", "-0.5", NEGATIVE),
        (
            2,
            "equity",
            "0.000000001",
            "9 digits after the point, but the asset has 8 decimals; amounts are never rounded",
        ),
        (3, "equity", "", "the amount is empty"),
        (4, "equity", "10000000000000000000", OVERFLOW),
    ]
    result = checked(parquet(["a", "b"], ["BTC"] * 2, pa.array([-1, 2**62], pa.int64())))
    assert listed(result) == [
        (1, "equity", "-1", NEGATIVE),
        (2, "equity", str(2**62), OVERFLOW),
    ]


COLUMNS = "the columns must be account_id, asset, equity"
FLOATS = "floating point does not hold amounts exactly; use strings or decimals"
TYPES: list[tuple[pa.Table, Fault]] = [
    (parquet(["a"], ["BTC"], [1.5]), (None, "equity", "double", FLOATS)),
    (
        parquet(["a"], ["BTC"], pa.array([1.5], pa.float32())),
        (None, "equity", "float", FLOATS),
    ),
    (
        parquet(["a"], ["BTC"], [True]),
        (
            None,
            "equity",
            "bool",
            "amounts must be strings, decimals of up to 128 bits, or integers",
        ),
    ),
    (
        parquet(["a"], ["BTC"], pa.array([1], pa.decimal256(60, 8))),
        (
            None,
            "equity",
            "decimal256(60, 8)",
            "amounts must be strings, decimals of up to 128 bits, or integers",
        ),
    ),
    (
        parquet([1], ["BTC"], ["1"]),
        (None, "account_id", "int64", "must be strings or binaries"),
    ),
    (parquet(["a"], [1], ["1"]), (None, "asset", "int64", "must be strings or binaries")),
    (pa.table({"account_id": ["a"]}), (None, None, "account_id", COLUMNS)),
    (
        pa.table({"account_id": ["a"], "asset": ["BTC"], "equity": ["1"], "debt": ["1"]}),
        (
            None,
            None,
            "account_id,asset,equity,debt",
            COLUMNS + "; debts are no part of a spot snapshot",
        ),
    ),
    (
        parquet([], [], pa.array([], pa.string())),
        (None, "account_id", "null", "must be strings or binaries"),
    ),
    (
        parquet(*[pa.array([], pa.string())] * 3),
        (None, None, None, "there is no account in this file"),
    ),
]


@pytest.mark.parametrize(("content", "fault"), TYPES)
def test_parquet_types(
    checked: Callable[..., CheckResult], content: pa.Table, fault: Fault
) -> None:
    assert listed(checked(content)) == [fault]


def test_parquet_truncated_or_corrupt(tmp_path: Path) -> None:
    write_manifest(tmp_path / "s.manifest.json", MANIFEST)
    path = tmp_path / "s.parquet"
    ids = [f"user-{index}" for index in range(1000)]
    content = parquet(ids, ["BTC"] * 1000, ["1.5"] * 1000)
    pq.write_table(content, path, compression="snappy", write_page_checksum=True)
    whole = path.read_bytes()
    assert check(path).ok
    for size in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        (fault,) = check(path).faults
        assert fault.reason.startswith("not a readable Parquet file: ")
        assert "\n" not in fault.reason
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    (fault,) = check(path).faults
    assert fault.reason.startswith("not a readable Parquet file: ")
