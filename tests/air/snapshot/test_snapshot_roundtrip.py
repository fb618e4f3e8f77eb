"""What is read is what was written: against plain Python, and CSV against Parquet."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from air.registry import AMOUNT_BOUND, Asset, Registry, format_amount, parse_amount
from air.snapshot import builder, csv_reader, parquet_reader, table
from air.snapshot.check import check, load
from air.snapshot.generate import generate
from air.snapshot.manifest import Manifest, default_manifest_path, write_manifest
from air.snapshot.table import Snapshot

REGISTRY = Registry(
    (Asset("BTC", 8), Asset("USDT", 6), Asset("JPY", 0), Asset("ETH", 18), Asset("币安人生", 30))
)
MANIFEST = Manifest("Example Exchange", "2026-11-01T00:00:00Z", 7, "spot", None, REGISTRY)
Accounts = dict[str, list[tuple[int, int]]]

AMOUNTS = (
    st.sampled_from([0, 1, AMOUNT_BOUND - 1, 1 << 60, (1 << 60) - 1, (1 << 15) - 1])
    | st.integers(0, AMOUNT_BOUND - 1)
    | st.integers(0, 10**6)
)
HOLDINGS = st.lists(
    st.tuples(st.integers(0, len(REGISTRY) - 1), AMOUNTS),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row[0],
)
IDS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=12
)
ACCOUNTS = st.dictionaries(IDS, HOLDINGS, min_size=1, max_size=12)
SETTINGS = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


def rows_of(accounts: Accounts) -> Iterator[tuple[str, str, str]]:
    for account_id, holdings in accounts.items():
        for asset, amount in holdings:
            text = format_amount(amount, REGISTRY[asset].decimals)
            yield account_id, REGISTRY[asset].symbol, text


def write_csv(path: Path, accounts: Accounts, quoting: int, newline: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting, lineterminator=newline)  # type: ignore[arg-type]
    writer.writerow(("account_id", "asset", "equity"))
    writer.writerows(rows_of(accounts))
    path.write_bytes(text.getvalue().encode())


def require_equal(snapshot: Snapshot, accounts: Accounts) -> None:
    """Compare with the definition: sorted by asset, zeros dropped unless nothing else is there."""
    assert snapshot.accounts == len(accounts)
    totals = [0] * len(REGISTRY)
    limbs = snapshot.limbs()
    for position, (account_id, holdings) in enumerate(accounts.items()):
        expected = sorted(row for row in holdings if row[1]) or [(0, 0)]
        assert snapshot.account_id(position) == account_id.encode()
        assert snapshot.find(account_id.encode()) == position
        assert snapshot.account_holdings(position) == expected
        first = snapshot.offsets[position]
        for row, (asset, amount) in enumerate(expected, first):
            totals[asset] += amount
            assert [int(limb) for limb in limbs[row]] == [
                amount >> 15 * k & 0x7FFF for k in range(5)
            ]
    assert snapshot.offsets[-1] == snapshot.holdings == len(limbs)
    assert snapshot.totals() == totals
    assert snapshot.find(b"") is None
    assert snapshot.find(b"no such account") is None


def require_same(left: Snapshot, right: Snapshot) -> None:
    for name in ("id_bytes", "id_offsets", "offsets", "assets", "amount_limbs"):
        one, other = getattr(left, name), getattr(right, name)
        assert one.dtype == other.dtype
        assert one.flags.c_contiguous
        assert np.array_equal(one, other)
    assert left.manifest == right.manifest


@SETTINGS
@given(
    ACCOUNTS,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_csv_equals_plain_python(
    tmp_path: Path, accounts: Accounts, quoting: int, newline: str
) -> None:
    path = tmp_path / "s.csv"
    write_manifest(default_manifest_path(path), MANIFEST)
    write_csv(path, accounts, quoting, newline)
    snapshot = load(path)
    require_equal(snapshot, accounts)
    assert check(path).totals == tuple(snapshot.totals())


@SETTINGS
@given(ACCOUNTS, st.integers(128, 300), st.integers(1, 7))
def test_borders_of_blocks_slices_and_batches_do_not_matter(
    tmp_path: Path, accounts: Accounts, block_bytes: int, rows: int
) -> None:
    path = tmp_path / "s.csv"
    write_manifest(default_manifest_path(path), MANIFEST)
    write_csv(path, accounts, csv.QUOTE_MINIMAL, "\n")
    columns = list(zip(*rows_of(accounts), strict=True))
    names = ("account_id", "asset", "equity")
    pq.write_table(
        pa.table([pa.array(column) for column in columns], names), path.with_suffix(".parquet")
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "_BLOCK_BYTES", block_bytes)
        patch.setattr(builder, "_SLICE_ROWS", rows)
        patch.setattr(table, "_TOTALS_SLICE", rows)
        patch.setattr(parquet_reader, "_BATCH_ROWS", rows)
        snapshot = load(path)
        require_equal(snapshot, accounts)
        require_same(snapshot, load(path.with_suffix(".parquet")))


@pytest.mark.parametrize(
    "content",
    [
        b"account_id,asset,equity\nu-1,BTC,0.5\nu-1,USDT,12.5\nu-2,JPY,7\n",
        b"account_id,asset,equity\nu-1,USDT,12.500000\nu-1,BTC,0.50000000\nu-2,JPY,7",
        b"\xef\xbb\xbfaccount_id,asset,equity\r\nu-1,BTC,0.5\r\nu-1,USDT,12.5\r\nu-2,JPY,7\r\n",
        b'"account_id","asset","equity"\n"u-1","BTC","0.5"\nu-1,"USDT",12.5\n"u-2",JPY,7\n',
        b"account_id,asset,equity\nu-1,BTC,0.5\nu-1,JPY,0\nu-1,USDT,12.5\nu-2,ETH,0.0\nu-2,JPY,7\n",
    ],
    ids=["plain", "reordered, no last newline", "BOM and CRLF", "quotes", "zero rows"],
)
def test_forms_of_the_same_snapshot(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.csv"
    write_manifest(default_manifest_path(path), MANIFEST)
    path.write_bytes(content)
    require_equal(load(path), {"u-1": [(0, 50_000_000), (1, 12_500_000)], "u-2": [(2, 7)]})


@pytest.mark.parametrize(
    ("text", "account_id"), [(b'u"1"', 'u"1"'), (b'"u""2"', 'u"2'), (b'"u,""3"', 'u,"3')]
)
def test_quotes_inside_a_value_are_part_of_it(tmp_path: Path, text: bytes, account_id: str) -> None:
    path = tmp_path / "s.csv"
    write_manifest(default_manifest_path(path), MANIFEST)
    path.write_bytes(b"account_id,asset,equity\n" + text + b",BTC,1\n")
    require_equal(load(path), {account_id: [(0, 10**8)]})


def test_unusual_ids_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_manifest(default_manifest_path(path), MANIFEST)
    ids = ["é", "e\u0301", "É", " é", "用户,1", 'q"q', "\t", "x" * 256, "\u202e"]
    accounts: Accounts = {account_id: [(0, 1)] for account_id in ids}
    write_csv(path, accounts, csv.QUOTE_MINIMAL, "\n")
    require_equal(load(path), accounts)


NUMBERS = [("a", 0, 5), ("a", 1, 7_000_000), ("b", 2, 12), ("b", 3, 0), ("c", 4, 0)]


@pytest.mark.parametrize(
    "equity",
    [
        pa.array(["0.00000005", "7", "12", "0", "0"], pa.large_string()),
        pa.array([b"0.00000005", b"7", b"12", b"0", b"0"], pa.binary()),
        pa.array(["0.00000005", "7", "12", "0", "0"]).dictionary_encode(),
        pa.array([Decimal("0.00000005"), 7, 12, 0, 0], pa.decimal128(38, 18)),
        pa.array([Decimal("0.00000005"), 7, 12, 0, 0], pa.decimal128(20, 8)),
        pa.array([Decimal("0.00000005"), 7, 12, 0, 0], pa.decimal64(18, 8)),
    ],
    ids=["large_string", "binary", "dictionary", "decimal128-18", "decimal128-8", "decimal64"],
)
def test_parquet_amounts(tmp_path: Path, equity: pa.Array) -> None:
    path = tmp_path / "s.parquet"
    write_manifest(default_manifest_path(path), MANIFEST)
    ids = pa.array([row[0] for row in NUMBERS]).dictionary_encode()
    assets = pa.array([REGISTRY[row[1]].symbol for row in NUMBERS], pa.large_string())
    pq.write_table(pa.table({"equity": equity, "asset": assets, "account_id": ids}), path)
    require_equal(load(path), {"a": [(0, 5), (1, 7_000_000)], "b": [(2, 12)], "c": [(0, 0)]})


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.int32(), pa.int64(), pa.uint16(), pa.uint64(), pa.decimal128(19, 0)]
)
def test_parquet_integers_count_whole_units(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "s.parquet"
    write_manifest(default_manifest_path(path), MANIFEST)
    equity = pa.array([100, 0], pa.int64()).cast(kind)
    pq.write_table(
        pa.table({"account_id": ["a", "b"], "asset": ["BTC", "JPY"], "equity": equity}), path
    )
    require_equal(load(path), {"a": [(0, 100 * 10**8)], "b": [(0, 0)]})


def test_largest_unsigned_integer(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    write_manifest(default_manifest_path(path), MANIFEST)
    equity = pa.array([2**64 - 1], pa.uint64())
    pq.write_table(pa.table({"account_id": ["a"], "asset": ["JPY"], "equity": equity}), path)
    require_equal(load(path), {"a": [(2, 2**64 - 1)]})


@pytest.mark.parametrize(
    ("accounts", "assets", "holdings", "seed"),
    [(1, 1, 1, 0), (3, 2, 2, 1), (1000, 500, 5, 2), (500, 3, 2.5, 3), (2000, 40, 1, 4)],
)
def test_generated_snapshots(
    tmp_path: Path, accounts: int, assets: int, holdings: float, seed: int
) -> None:
    path = tmp_path / "s.csv"
    manifest = generate(path, accounts, assets, holdings, seed)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == round(accounts * holdings)
    totals = [0] * assets
    for row in rows:
        index = manifest.registry.index(row["asset"])
        assert index is not None
        totals[index] += parse_amount(row["equity"], manifest.registry[index].decimals)
    snapshot = load(path)
    assert snapshot.totals() == totals
    assert snapshot.accounts == accounts
    assert snapshot.holdings == len(rows)
    generate(tmp_path / "s.parquet", accounts, assets, holdings, seed)
    require_same(snapshot, load(tmp_path / "s.parquet"))


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        path = tmp_path / f"s{suffix}"
        generate(path, 100, 5, 2, 0)
        calls: list[tuple[int, int]] = []
        load(path, progress=lambda done, total, calls=calls: calls.append((done, total)))
        assert calls[-1][0] == calls[-1][1]
