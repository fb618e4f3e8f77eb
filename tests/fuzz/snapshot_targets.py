"""What the exchange reads: manifests and snapshots."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from decimal import Context as DecimalContext
from decimal import Decimal
from functools import cache
from pathlib import Path

from fuzz.target import Target, json_target, require

from stark.errors import InputError

MANIFEST = {
    "format": "1",
    "exchange": "Example Exchange",
    "time": "2026-11-01T00:00:00Z",
    "epoch": "7",
    "kind": "spot",
    "previous": None,
    "assets": [
        {"symbol": "BTC", "decimals": "8"},
        {"symbol": "ETH", "decimals": "18"},
        {"symbol": "JPY", "decimals": "0"},
    ],
}

CSV_SEEDS = (
    b"account_id,asset,equity\nu-1,BTC,0.5\nu-1,ETH,12.25\nu-2,JPY,1000\nu-4,BTC,21000000.00000001\n",
    b'\xef\xbb\xbfaccount_id,asset,equity\r\n"a,""b""",BTC,1\r\n"u-2","ETH","0.1"\r\nu-3,JPY,7',
)

CSV_TOKENS = (
    *(b'"', b'""', b'","', b",", b"\n", b"\r", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00"),
    *(b"-1", b"+1", b"-0", b"0.", b".5", b"00", b"1e5", b"1_0", b" 1", b"1 ", b"0x1", b"NaN"),
    *(b"inf", b"9" * 40, b"0." + b"1" * 19, b"37778931862957161709567", b"\xd9\xa3", b"\xff"),
    *(b"37778931862957161709568", b"u-1,BTC,0.5\n", b"u-1,ETH,0\n", b"XXX", b"btc", b"0" * 5000),
    *(b"x" * 300, b"\x1a", b"\xc2\xa0", b"\xe2\x80\xae", b"debt", b"\t", b";", b"'", b"\n\n"),
)


@cache
def folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzz-")


def manifest_target() -> Target:
    """Manifests: read, or InputError (whose message can be shown)."""
    from air.snapshot.manifest import read_manifest

    path = Path(folder().name) / "mutant.manifest.json"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            read_manifest(path)
        except InputError as error:
            str(error)

    seed = json.dumps(MANIFEST).encode()
    numbers = json.dumps(MANIFEST | {"epoch": 7, "previous": "0" * 64}, indent=1).encode()
    return json_target("manifest", run, (seed, numbers))


def csv_target() -> Target:
    """Snapshots as CSV: InputError, or the accounts and totals that the csv module finds."""
    from air.snapshot.check import load as load_snapshot

    path = Path(folder().name) / "snapshot.csv"
    path.with_suffix(".manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            snapshot = load_snapshot(path)
        except InputError as error:
            str(error)
            return
        accounts, totals = csv_reference(data)
        require(snapshot.accounts == accounts, "the accounts are not those of the file")
        require(snapshot.totals() == totals, "the totals are not those of the file")

    sections = []
    start = 0
    for line in CSV_SEEDS[0].splitlines(keepends=True):
        sections.append((start, start + len(line)))
        start += len(line)
    return Target("csv", run, CSV_SEEDS, tuple(sections), tokens=CSV_TOKENS)


def csv_reference(data: bytes) -> tuple[int, list[int]]:
    """Number of accounts and totals in minor units of a faultless CSV file."""
    text = data.decode("utf-8-sig")
    decimals = {entry["symbol"]: int(entry["decimals"]) for entry in MANIFEST["assets"]}  # type: ignore[union-attr,index]
    totals = dict.fromkeys(decimals, 0)
    accounts = set()
    exact = DecimalContext(prec=200)
    for account, asset, equity in list(csv.reader(io.StringIO(text, newline="")))[1:]:
        accounts.add(account)
        totals[asset] += int(exact.scaleb(Decimal(equity), decimals[asset]))
    return len(accounts), list(totals.values())
