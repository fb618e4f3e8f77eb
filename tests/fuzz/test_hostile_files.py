"""Files made to keep a reader busy, fill its memory or surprise it: each was found by trying."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz.snapshot_targets import MANIFEST
from fuzz.target import TIME_LIMIT
from support.publications import PROFILE, SHAPE, hollow, proven, with_batch

from air import verification
from air.keys import verification_key
from air.proof_size import least_proof_size
from air.registry import Asset, Registry
from air.snapshot.check import CheckResult, check
from air.snapshot.columns import TextColumn
from air.snapshot.csv_reader import MAX_BROKEN_LINES
from air.snapshot.faults import MAX_SHOWN
from air.snapshot.manifest import MAX_BYTES, read_manifest
from air.snapshot.texts import FNV_BASIS, SymbolTable, hash_texts
from air.verification import verify_publication
from stark.errors import Code, InputError, Rejected
from stark.verifier.header import encode_header

HEADER = b"account_id,asset,equity\n"
MEBIBYTE = 1 << 20

Checked = Callable[..., CheckResult]


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    (tmp_path / "s.manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    # Kernels are compiled beforehand.
    (tmp_path / "s.csv").write_bytes(HEADER + b'"a",BTC,1\n')
    check(tmp_path / "s.csv")

    def run(data: bytes, suffix: str = ".csv", limit: int = 10) -> CheckResult:
        path = tmp_path / f"s{suffix}"
        path.write_bytes(data)
        start = time.process_time()
        result = check(path, limit=limit)
        assert time.process_time() - start < TIME_LIMIT
        return result

    return run


# ---- proof files


def test_hollow_proofs_are_refused_before_the_totals_are_hashed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object) -> None:
        raise LookupError("this hashes every asset of the capacity")

    monkeypatch.setattr(verification, "check_totals", forbidden)
    key = verification_key(PROFILE, SHAPE)
    least = least_proof_size(key)
    head = encode_header(key)
    publication = hollow(3)
    full = tuple(replace(b, proof=head + bytes(least - len(head))) for b in publication.batches)
    # Long enough: it comes to the totals.
    whole = replace(publication, batches=full)
    with pytest.raises(LookupError):
        verify_publication(whole.encode(), None, (PROFILE,))
    for number in range(3):
        short = with_batch(whole, number, proof=full[number].proof[:-1])
        with pytest.raises(Rejected) as caught:
            verify_publication(short.encode(), None, (PROFILE,))
        assert caught.value.code is Code.FORMAT
        assert (caught.value.expected, caught.value.got) == (f"at least {least} bytes", least - 1)


def test_the_least_length_is_below_that_of_honest_proofs() -> None:
    proof = proven(1).publication.batches[0].proof
    least = least_proof_size(verification_key(PROFILE, SHAPE))
    # Messages and one query of about fifty: not so low that it would refuse nothing.
    assert len(proof) // 20 < least < len(proof)


# ---- manifests


@pytest.mark.parametrize(
    "key",
    ["x - at `$.zzz", "x` - at `$.zzz", "y - at `$.q[3]", "z - at `$.assets[9].symbol"],
)
def test_keys_that_look_like_the_end_of_a_message(tmp_path: Path, key: str) -> None:
    path = tmp_path / "m.json"
    for value in (MANIFEST | {key: 1}, MANIFEST | {"assets": [{key: 1}]}):
        path.write_text(json.dumps(value), encoding="utf-8")
        with pytest.raises(InputError) as caught:
            read_manifest(path)
        str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b" " * (MAX_BYTES + 1),
        b"[" + b"[]," * (MAX_BYTES // 3 - 2) + b"[]]",
        b'{"a":' * (MAX_BYTES // 5),
        b"9" * MAX_BYTES,
        b"[" + b"1," * (MAX_BYTES // 2 - 2) + b"1]",
        b'{"assets":"' + b"[" * (MAX_BYTES - 20) + b'"}',
        b'"' + b"\\u0000" * (MAX_BYTES // 6 - 2) + b'"',
    ],
    ids=["longer", "lists", "nested", "digits", "numbers", "brackets", "escapes"],
)
def test_manifests_of_the_greatest_length(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    str(caught.value)
    assert time.process_time() - start < TIME_LIMIT


# ---- CSV


@pytest.mark.parametrize(
    ("line", "faults_per_line"),
    [
        (b"\n", 1),
        (b"a,b\n", 1),
        (b'"\n', 1),
        (b",,\n", 3),
        (b"\ra,BTC,1\n", 1),
        (b"a,BTC,1\r\r\n", 1),
        (b'"a",BTC,1\r\r\n', 1),
    ],
)
def test_many_faulty_lines(checked: Checked, line: bytes, faults_per_line: int) -> None:
    lines = 2 * MEBIBYTE // len(line)
    result = checked(HEADER + line * lines, limit=3)
    # Rows with several faults count once when no more are listed.
    read = min(lines, MAX_BROKEN_LINES + 1) if line.startswith(b'"a') else lines
    assert read <= result.fault_count <= faults_per_line * read
    assert result.faults[0].row == 2


def test_lines_with_wrong_quotes_are_read_up_to_a_limit(checked: Checked) -> None:
    result = checked(HEADER + b'",,\n' * (MAX_BROKEN_LINES + 9))
    assert result.fault_count == MAX_BROKEN_LINES + 1
    assert checked(HEADER + b'",,\n' * 9).fault_count == 9


def test_good_lines_among_broken_ones_keep_their_order(checked: Checked, tmp_path: Path) -> None:
    rows = b'u1,BTC,1\n"u""2",ETH,2\nu3,JPY,3\r\n"u4","BTC","4"\n'
    result = checked(HEADER + rows)
    assert result.ok
    assert result.totals == (5 * 10**8, 2 * 10**18, 3)
    result = checked(HEADER + rows + b"\n" + rows)
    # The empty line, and four accounts that return.
    assert [fault.row for fault in result.faults] == [6, 7, 8, 9, 10]


def test_values_of_megabytes_are_not_kept(checked: Checked) -> None:
    result = checked(HEADER + b"x" * (4 * MEBIBYTE) + b"\n")
    (fault,) = result.faults
    assert fault.value == "x" * MAX_SHOWN


def test_unknown_assets_are_compared_with_a_long_list_once(tmp_path: Path) -> None:
    assets = [{"symbol": f"S{n}", "decimals": "8"} for n in range(1 << 14)]
    (tmp_path / "s.manifest.json").write_text(json.dumps(MANIFEST | {"assets": assets}))
    (tmp_path / "s.csv").write_bytes(HEADER + b"a,s9,1\na,X,1\n" * 1000)
    start = time.process_time()
    result = check(tmp_path / "s.csv", limit=2000)
    assert time.process_time() - start < TIME_LIMIT
    assert "which has S9" in result.faults[0].reason
    assert result.faults[1].reason == "not listed in the manifest"


def test_symbols_that_share_a_hash_do_not_share_a_slot() -> None:
    # Blocks that lead the low 16 bits of FNV-1a from its basis back to it.
    low, prime = FNV_BASIS & 0xFFFF, 0x1B3
    blocks = []
    for block in itertools.product(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", repeat=4):
        value = low
        for byte in block:
            value = (value ^ byte) * prime & 0xFFFF
        if value == low:
            blocks.append(bytes(block))
        if len(blocks) == 8:
            break
    # Five blocks of eight: 2^15 symbols, of which as many as can be listed.
    chosen = itertools.islice(itertools.product(blocks, repeat=5), 1 << 14)
    symbols = [b"".join(parts) for parts in chosen]
    hashes, _ = hash_texts(TextColumn.of(symbols))
    assert len(np.unique(hashes & np.uint64(0xFFFF))) == 1
    registry = Registry(tuple(Asset(symbol.decode(), 0) for symbol in symbols))
    start = time.process_time()
    codes = SymbolTable(registry).match(TextColumn.of(symbols * 8))
    assert time.process_time() - start < TIME_LIMIT
    assert codes.tolist() == [*range(1 << 14)] * 8


# ---- Parquet


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


def repeated(value: str, count: int) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([value]))


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("column", ["account_id", "asset", "equity"])
def test_a_long_value_in_a_dictionary(checked: Checked, codec: str, column: str) -> None:
    # A megabyte for each of 2^17 rows would be 128 GiB.
    rows = 1 << 17
    for length, refused in ((MEBIBYTE, True), (100, False)):
        columns = {
            "account_id": repeated("u", rows),
            "asset": repeated("BTC", rows),
            "equity": repeated("1", rows),
        }
        columns[column] = repeated("0" * length, rows)
        data = parquet(columns, compression=codec)
        before = pa.default_memory_pool().max_memory()
        result = checked(data, ".parquet")
        assert not result.ok
        assert ("at most 1024 are read" in result.faults[0].reason) == refused
        assert pa.default_memory_pool().max_memory() <= max(before, 256 * MEBIBYTE)


def test_rows_of_nothing(checked: Checked) -> None:
    rows = 3_000_000
    columns = {name: pa.nulls(rows, pa.string()) for name in ("account_id", "asset", "equity")}
    result = checked(parquet(columns), ".parquet")
    assert "no snapshot packs that well" in result.faults[0].reason


def test_rows_of_one_account(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("air.snapshot.builder._SPARE_ROWS", 1000)
    rows = 500_000
    columns = {
        "account_id": repeated("u", rows),
        "asset": repeated("BTC", rows),
        "equity": repeated("1", rows),
    }
    result = checked(parquet(columns), ".parquet")
    assert result.fault_count == 1
    assert "more rows than accounts times assets" in result.faults[0].reason
    monkeypatch.setattr("air.snapshot.builder._SPARE_ROWS", rows)
    assert checked(parquet(columns), ".parquet").fault_count == rows - 1


def test_the_longest_values_that_are_read(checked: Checked) -> None:
    columns = {"account_id": ["x" * 256], "asset": ["JPY"], "equity": ["0" * 1023 + "7"]}
    for dictionary in (True, False):
        result = checked(parquet(columns, use_dictionary=dictionary), ".parquet")
        assert result.totals == (0, 0, 7)


def test_names_of_columns_that_are_not_text(checked: Checked) -> None:
    columns = {"account_id": ["a"], "asset": ["BTC"], "equity": [Decimal(1)]}
    data = parquet(columns, store_schema=False)
    for name in (b"asset", b"account_id", b"equity"):
        changed = data.replace(name, b"\xff" * len(name))
        assert not checked(changed, ".parquet").ok
