"""Reading and writing manifests; every fault names key and value."""

import json
from pathlib import Path
from typing import Any

import pytest

from air.registry import MAX_ASSETS, Asset, Registry
from air.snapshot.manifest import Manifest, default_manifest_path, read_manifest, write_manifest
from stark.errors import InputError

EXAMPLE: dict[str, Any] = {
    "format": "1",
    "exchange": "Example Exchange",
    "time": "2026-11-01T00:00:00Z",
    "epoch": "7",
    "kind": "spot",
    "previous": None,
    "assets": [{"symbol": "BTC", "decimals": "8"}, {"symbol": "USDT", "decimals": "6"}],
}
REGISTRY = Registry((Asset("BTC", 8), Asset("USDT", 6)))
MANIFEST = Manifest("Example Exchange", "2026-11-01T00:00:00Z", 7, "spot", None, REGISTRY)


@pytest.mark.parametrize(
    ("snapshot", "manifest"),
    [
        ("a/S.csv", "a/S.manifest.json"),
        ("S.parquet", "S.manifest.json"),
        ("S.1.csv", "S.1.manifest.json"),
    ],
)
def test_default_path(snapshot: str, manifest: str) -> None:
    assert default_manifest_path(snapshot) == Path(manifest)


def test_example_and_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "s.manifest.json"
    path.write_text(json.dumps(EXAMPLE))
    assert read_manifest(path) == MANIFEST
    assert read_manifest(str(path)) == MANIFEST
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(EXAMPLE, indent=4).encode())
    assert read_manifest(path) == MANIFEST
    other = Manifest("币安", "2027-01-01T12:30:59Z", 2**64 - 1, "spot", bytes(range(32)), REGISTRY)
    write_manifest(path, other)
    assert read_manifest(path) == other


HEX = "32 bytes are 64 digits 0-9 a-f, or null for the first snapshot"
STRINGS = 'write integers as strings, for example "8"'
DECIMAL = 'expected a decimal string such as "0" or "17"'


@pytest.mark.parametrize(
    ("path", "value", "column", "shown", "reason"),
    [
        ("format", "2", "format", "2", 'unknown format; this version reads "1"'),
        ("format", 1, "format", 1, 'unknown format; this version reads "1"'),
        ("exchange", KeyError, "exchange", None, "this key is missing"),
        ("exchange", "", "exchange", "", "a name has 1 to 128 characters"),
        ("exchange", 5, "exchange", 5, STRINGS),
        (
            "time",
            "yesterday",
            "time",
            "yesterday",
            "a time is RFC 3339 in UTC to the second, for example 2026-11-01T00:00:00Z",
        ),
        ("epoch", 7, "epoch", 7, STRINGS),
        ("epoch", 7.5, "epoch", 7.5, STRINGS),
        ("epoch", "07", "epoch", "07", DECIMAL),
        ("epoch", "-1", "epoch", "-1", DECIMAL),
        ("epoch", str(2**64), "epoch", str(2**64), f"expected less than {2**64}"),
        ("kind", "margin", "kind", "margin", "must be spot"),
        ("previous", "", "previous", "", HEX),
        ("previous", "AB" * 32, "previous", "AB" * 32, HEX),
        ("previous", KeyError, "previous", None, "this key is missing"),
        ("nonce", "00", "nonce", "00", "unknown key"),
        ("assets", "BTC", "assets", "BTC", "Expected `array`, got `str`"),
        ("assets", [], "assets", "0 assets", f"there must be 1 to {MAX_ASSETS} assets"),
        ("assets.1", "ETH", "assets[1]", "ETH", "Expected `object`, got `str`"),
        ("assets.1.decimals", 6, "assets[1].decimals", 6, STRINGS),
        ("assets.1.decimals", "31", "assets[1].decimals", "31", "expected less than 31"),
        ("assets.1.decimals", "1.5", "assets[1].decimals", "1.5", DECIMAL),
        ("assets.1.decimals", KeyError, "assets[1].decimals", None, "this key is missing"),
        ("assets.1.price", "1", "assets[1].price", "1", "unknown key"),
        ("assets.1.symbol", None, "assets[1].symbol", None, "Expected `str`, got `null`"),
        ("assets.1.symbol", "BTC", "assets[1].symbol", "BTC", "this symbol is assets[0] already"),
    ],
)
def test_faults(
    tmp_path: Path, path: str, value: Any, column: str, shown: Any, reason: str
) -> None:
    document = json.loads(json.dumps(EXAMPLE))
    target: Any = document
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        target = target[key]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    file = tmp_path / "s.manifest.json"
    file.write_text(json.dumps(document))
    with pytest.raises(InputError) as caught:
        read_manifest(file)
    error = caught.value
    assert (error.file, error.row, error.column) == (str(file), None, column)
    assert (error.value, error.reason) == (shown, reason)


def test_symbol_rule(tmp_path: Path) -> None:
    file = tmp_path / "s.manifest.json"
    file.write_text(json.dumps(EXAMPLE | {"assets": [{"symbol": "B TC", "decimals": "8"}]}))
    with pytest.raises(
        InputError, match=r"column assets\[0\].symbol: 'B TC': a symbol has 1 to 32"
    ):
        read_manifest(file)


@pytest.mark.parametrize(
    ("data", "row", "column", "reason"),
    [
        (b"", 1, None, "not JSON: Expecting value at character 1"),
        (b'{"format": "1",\n oops}', 2, None, "not JSON: Expecting property name enclosed"),
        (b'{"epoch": "1", "epoch": "2"}', None, "epoch", "this key stands twice in one object"),
        (b"\xff", None, None, "not UTF-8 at byte 0"),
        (b"[" * 100_000, None, None, "not a manifest: a number is too long, or lists"),
        (b"9" * 5000, None, None, "not a manifest: a number is too long, or lists"),
        (b"[]", None, None, "Expected `object`, got `array`"),
    ],
)
def test_not_a_manifest(
    tmp_path: Path, data: bytes, row: int | None, column: str | None, reason: str
) -> None:
    file = tmp_path / "s.manifest.json"
    file.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_manifest(file)
    assert (caught.value.row, caught.value.column) == (row, column)
    assert caught.value.reason.startswith(reason)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        read_manifest(tmp_path / "s.manifest.json")


def test_a_key_that_cannot_be_encoded_is_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "S.manifest.json"
    for text in ('{"\\ud800":1}', '{"exchänge": "x"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="unknown key"):
            read_manifest(path)
