"""Snapshots as Parquet: files with changed bytes, and files of odd schemas.

What the library for Parquet does in native code is not of this project: a file that crashes the
process there ends the fuzzing of this target, and is a finding to report to that library.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from decimal import Context as DecimalContext
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.snapshot_targets import MANIFEST, folder
from fuzz.target import Target, require

from stark.errors import InputError

IDS = ["u-1", "u-1", "u-2", "zoë", "u-5"]
ASSETS = ["BTC", "ETH", "JPY", "BTC", "ETH"]
AMOUNTS = ["0.5", "12.25", "1000", "21000000.00000001", "0"]
TOKENS = (
    *(b"PAR1", b"PARE", b"account_id", b"asset", b"equity", b"ARROW:schema", b"\x15\x00"),
    *(b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\x00" * 8, b"\x80" * 10, b"\x15\xfe\xff\xff\xff\x0f"),
)


def read(data: bytes) -> tuple[int, list[int]] | None:
    """Accounts and totals by the code under test; ``None`` if it refuses the file in words."""
    from air.snapshot.check import load

    path = Path(folder().name) / "mutant.parquet"
    path.with_suffix(".manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    path.write_bytes(data)
    try:
        snapshot = load(path)
    except InputError as error:
        str(error)
        return None
    return snapshot.accounts, snapshot.totals()


def reference(data: bytes) -> tuple[int, list[int]]:
    """The same by the library's own conversion to Python values, from a faultless file."""
    decimals = {entry["symbol"]: int(entry["decimals"]) for entry in MANIFEST["assets"]}  # type: ignore[union-attr,index]
    totals = dict.fromkeys(decimals, 0)
    accounts = set()
    exact = DecimalContext(prec=2000)
    table = pq.ParquetFile(io.BytesIO(data)).read(columns=["account_id", "asset", "equity"])
    for row in table.to_pylist():
        account, asset, equity = (_text(row[name]) for name in ("account_id", "asset", "equity"))
        accounts.add(account)
        totals[asset] += int(exact.scaleb(exact.create_decimal(equity), decimals[asset]))
    return len(accounts), list(totals.values())


def _text(value: Any) -> Any:
    return value.decode("utf-8") if isinstance(value, bytes) else value


def _compare(data: bytes) -> None:
    found = read(data)
    if found is not None:
        require(found == reference(data), "accounts or totals are not those of the file")


def written(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


@cache
def seeds() -> tuple[bytes, ...]:
    strings = {"account_id": IDS, "asset": ASSETS, "equity": AMOUNTS}
    fixed = pa.array([Decimal(text) for text in AMOUNTS], pa.decimal128(30, 8))
    return (
        written(strings, compression="none", use_dictionary=False, write_page_checksum=True),
        written(strings, compression="none", store_schema=False),
        written({**strings, "equity": fixed}, compression="snappy", row_group_size=2),
        written(
            {**strings, "asset": pa.array(ASSETS).dictionary_encode(), "equity": range(5)},
            compression="zstd",
            data_page_version="2.0",
        ),
        written(
            strings, compression="lz4", column_encoding="DELTA_BYTE_ARRAY", use_dictionary=False
        ),
    )


def parquet_target() -> Target:
    """Changed bytes of small files: refused in words, or read as the library reads them."""
    honest = seeds()[0]
    for data in seeds():
        require(read(data) is not None, "an honest file is refused")
    footer = len(honest) - 8 - int.from_bytes(honest[-8:-4], "little")
    sections = ((0, 4), (4, footer), (footer, len(honest) - 8), (len(honest) - 8, len(honest)))
    elements = (len(honest) - 8, *range(footer, len(honest) - 8, 3))
    return Target("parquet", _compare, seeds(), sections, elements, tokens=TOKENS)


# ---- odd schemas

Maker = Callable[[random.Random, list[str]], Any]

TYPES = (
    *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view()),
    *(pa.int8(), pa.int64(), pa.uint8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_()),
    *(pa.decimal32(9, 2), pa.decimal64(18, 8), pa.decimal128(38, 38), pa.decimal128(38, 0)),
    *(pa.decimal128(1, 0), pa.decimal256(76, 10), pa.decimal256(20, 8), pa.null()),
    *(pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.date32(), pa.time64("us"), pa.binary(3)),
    *(pa.duration("s"), pa.list_(pa.string()), pa.struct([("equity", pa.string())])),
    *(pa.map_(pa.string(), pa.string()), pa.dictionary(pa.int8(), pa.string())),
    *(pa.dictionary(pa.int32(), pa.int64()), pa.dictionary(pa.int16(), pa.large_binary())),
)

VALUES: tuple[Any, ...] = (
    *("", "u-1", "BTC", "ETH", "0.5", "-1", "1e5", "NaN", "x" * 300, "x" * 1025, "0" * 1024),
    *("0" * 1500 + "1", "\x00", "a\nb", "\u202e", b"\xff", b"\xed\xa0\x80", None, 0, 1, -1, 127),
    *(2**63 - 1, -(2**63), 2**64 - 1, True, 0.5, float("inf"), float("nan"), [], {}, ["x"]),
    *(Decimal("0.1"), Decimal("-0.1"), Decimal(10) ** 37, Decimal("1e-38"), Decimal("1e-10")),
    *(Decimal("37778931862957161709567"), Decimal("37778931862957161709568")),
)

NAMES = ("account_id", "asset", "equity", "debt", "Equity", "equity.x", "", "é", "account_id ")


def odd_file(source: random.Random) -> bytes | None:
    """A file that the library writes, of columns drawn at random; ``None`` if it writes none."""
    rows = source.choice((0, 1, 2, 5, 300))
    columns: list[Any] = []
    names = list(NAMES[:3])
    for honest in (IDS, ASSETS, AMOUNTS):
        values: list[Any] = [honest[row % 5] for row in range(rows)]
        for _ in range(source.choice((0, 0, 1, 3)) if rows else 0):
            values[source.randrange(rows)] = source.choice(VALUES)
        columns.append(_column(values, source))
    action = source.randrange(8)
    if action == 0:
        names[source.randrange(3)] = source.choice(NAMES)
    elif action == 1:
        names.append(source.choice(NAMES))
        columns.append(source.choice(columns))
    order = list(range(len(names)))
    source.shuffle(order)
    options: dict[str, Any] = {
        "compression": source.choice(("none", "snappy", "gzip", "brotli", "zstd", "lz4")),
        "use_dictionary": source.choice((True, False)),
        "store_schema": source.choice((True, False)),
        "row_group_size": source.choice((1, 7, 1000)),
        "data_page_version": source.choice(("1.0", "2.0")),
        "data_page_size": source.choice((1, 1 << 20)),
        "version": source.choice(("1.0", "2.4", "2.6")),
        "write_statistics": source.choice((True, False)),
        "write_page_checksum": source.choice((True, False)),
    }
    file = io.BytesIO()
    try:
        table = pa.Table.from_arrays([columns[k] for k in order], [names[k] for k in order])
        pq.write_table(table, file, **options)
    except (pa.ArrowException, ValueError, TypeError, OSError):
        return None
    return file.getvalue()


def _column(values: list[Any], source: random.Random) -> Any:
    """An array of a drawn type; values that it cannot hold are missing."""
    kind = source.choice(TYPES) if source.randrange(3) == 0 else pa.string()
    parts = []
    for value in values:
        try:
            parts.append(pa.array([value], kind))
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            parts.append(pa.nulls(1, kind))
    return pa.chunked_array(parts, kind)


def parquet_schema_target() -> Target:
    """Bytes are the seed of an odd file: refused in words, or read as the library reads it."""

    def run(data: bytes) -> None:
        file = odd_file(random.Random(data))
        if file is not None:
            _compare(file)

    return Target("parquet-schema", run, tuple(bytes([n]) for n in range(8)))
