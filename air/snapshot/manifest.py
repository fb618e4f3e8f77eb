"""The manifest of a snapshot: what the exchange states about it, and the listed assets.

``S.manifest.json`` beside ``S.csv``::

    {"format": "1", "exchange": "Example Exchange", "time": "2026-11-01T00:00:00Z", "epoch": "7",
     "kind": "spot", "previous": null, "assets": [{"symbol": "BTC", "decimals": "8"}]}

It is written by people, so spaces and order are free; but integers are decimal strings, and
unknown, missing and repeated keys are errors.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from air.canonical_json import parse_decimal
from air.context import (
    EPOCH_BOUND,
    FORMAT_VERSION,
    KINDS,
    MAX_EXCHANGE_LENGTH,
    exchange_fault,
    hex_fault,
    time_fault,
)
from air.registry import (
    MAX_ASSETS,
    MAX_DECIMALS,
    MAX_SYMBOL_LENGTH,
    Asset,
    Registry,
    symbol_fault,
)
from air.snapshot.files import atomic_output
from stark.errors import InputError, Rejected


@dataclass(frozen=True)
class Manifest:
    """A manifest that was read and checked.

    Parameters
    ----------
    exchange, time, epoch, kind
        As in :class:`air.context.Context`.
    previous
        Digest of the previous statement (32 bytes), ``None`` for the first.
    registry
        The listed assets, in order.
    """

    exchange: str
    time: str
    epoch: int
    kind: str
    previous: bytes | None
    registry: Registry


MAX_BYTES = 1 << 23
"""Twice the longest statement: a manifest may have spaces and line breaks between its values."""

MAX_BRACKETS = MAX_ASSETS * (1 + MAX_SYMBOL_LENGTH) + MAX_EXCHANGE_LENGTH + 64
"""Opening ones: an object per asset, the rest may stand in symbols and the name. An empty list
takes thirty times its bytes in memory."""

MAX_COMMAS = 4 * MAX_ASSETS + MAX_EXCHANGE_LENGTH + 64
"""Two per asset; symbols have none. Twice as many, so that an unknown key is named."""


class _AssetEntry(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    decimals: str


class _ManifestFile(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    exchange: str
    time: str
    epoch: str
    kind: str
    previous: str | None
    assets: list[_AssetEntry]


def default_manifest_path(snapshot_path: str | os.PathLike[str]) -> Path:
    """``S.manifest.json`` for ``S.csv`` or ``S.parquet``."""
    return Path(snapshot_path).with_suffix(".manifest.json")


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read and check a manifest.

    Raises
    ------
    InputError
        The first fault, with the key as column and its value.
    """
    name = os.fspath(path)
    raw = _read_json(name)
    if isinstance(raw, dict) and raw.get("format", FORMAT_VERSION) != FORMAT_VERSION:
        reason = f'unknown format; this version reads "{FORMAT_VERSION}"'
        raise InputError(name, None, "format", raw["format"], reason)
    try:
        fields = msgspec.convert(raw, _ManifestFile)
    except msgspec.ValidationError as error:
        raise _schema_error(name, raw, str(error)) from None
    rules: tuple[tuple[str, object, str | None], ...] = (
        ("exchange", fields.exchange, exchange_fault(fields.exchange)),
        ("time", fields.time, time_fault(fields.time)),
        ("kind", fields.kind, None if fields.kind in KINDS else f"must be {' or '.join(KINDS)}"),
        ("previous", fields.previous, _previous_fault(fields.previous)),
    )
    for key, value, fault in rules:
        if fault is not None:
            raise InputError(name, None, key, value, fault)
    return Manifest(
        exchange=fields.exchange,
        time=fields.time,
        epoch=_integer(name, "epoch", fields.epoch, EPOCH_BOUND),
        kind=fields.kind,
        previous=None if fields.previous is None else bytes.fromhex(fields.previous),
        registry=_registry(name, fields.assets),
    )


def write_manifest(path: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write a manifest that :func:`read_manifest` reads back as an equal one."""
    value = {
        "format": FORMAT_VERSION,
        "exchange": manifest.exchange,
        "time": manifest.time,
        "epoch": str(manifest.epoch),
        "kind": manifest.kind,
        "previous": None if manifest.previous is None else manifest.previous.hex(),
        "assets": [
            {"symbol": asset.symbol, "decimals": str(asset.decimals)} for asset in manifest.registry
        ],
    }
    with atomic_output(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")


def _read_json(name: str) -> Any:
    try:
        with open(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            reason = f"a manifest has at most {MAX_BYTES} bytes"
            raise InputError(name, None, None, None, reason)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(name, None, None, None, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(name, None, None, None, f"not UTF-8 at byte {error.start}") from None

    if text.count("[") + text.count("{") > MAX_BRACKETS or text.count(",") > MAX_COMMAS:
        reason = "not a manifest: too many values"
        raise InputError(name, None, None, None, reason)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key, item in pairs:
            if not key.isascii():
                # All known keys are ASCII; a lone surrogate could not even be encoded.
                raise InputError(name, None, ascii(key), item, "unknown key")
            if key in value:
                raise InputError(name, None, key, item, "this key stands twice in one object")
            value[key] = item
        return value

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        reason = f"not JSON: {error.msg} at character {error.colno}"
        raise InputError(name, error.lineno, None, None, reason) from None
    except (ValueError, RecursionError):
        # Integers of thousands of digits, and nesting of thousands of levels.
        reason = "not a manifest: a number is too long, or lists are nested too deep"
        raise InputError(name, None, None, None, reason) from None


def _schema_error(name: str, raw: Any, message: str) -> InputError:
    """msgspec says "... - at `$.assets[1].decimals`": turn it into a key with its value."""
    reason, _, path = message.partition(" - at `$")
    path = path.rstrip("`")
    column: str | None = path.lstrip(".") or None
    value = raw
    try:
        for key, index in re.findall(r"\.([^.\[\]]+)|\[(\d+)\]", path):
            value = value[int(index)] if index else value[key]
    except (KeyError, IndexError, TypeError):
        # A key that looks like the end of such a message stands in the message before its end.
        return InputError(name, None, None, None, f"not a manifest: {message}")
    unknown = re.search(r"(unknown|missing required) field `(.*)`", reason)
    if unknown is not None:
        column = f"{column}.{unknown[2]}" if column else unknown[2]
        known = isinstance(value, dict) and unknown[1] == "unknown"
        value = value.get(unknown[2]) if known else None
        reason = "unknown key" if unknown[1] == "unknown" else "this key is missing"
    elif "Expected `str" in reason and type(value) in (int, float):
        reason = 'write integers as strings, for example "8"'
    return InputError(name, None, column, value, reason)


def _previous_fault(text: str | None) -> str | None:
    reason = None if text is None else hex_fault(text)
    return reason and f"{reason}, or null for the first snapshot"


def _integer(name: str, key: str, text: str, bound: int) -> int:
    try:
        return parse_decimal(text, bound, key)
    except Rejected as error:
        raise InputError(name, None, key, text, f"expected {error.expected}") from None


def _registry(name: str, entries: list[_AssetEntry]) -> Registry:
    if not 1 <= len(entries) <= MAX_ASSETS:
        wanted = f"there must be 1 to {MAX_ASSETS} assets"
        raise InputError(name, None, "assets", f"{len(entries)} assets", wanted)
    first_at: dict[str, int] = {}
    assets: list[Asset] = []
    for index, entry in enumerate(entries):
        key = f"assets[{index}]"
        reason = symbol_fault(entry.symbol)
        if reason is not None:
            raise InputError(name, None, f"{key}.symbol", entry.symbol, reason)
        if entry.symbol in first_at:
            again = f"this symbol is assets[{first_at[entry.symbol]}] already"
            raise InputError(name, None, f"{key}.symbol", entry.symbol, again)
        first_at[entry.symbol] = index
        decimals = _integer(name, f"{key}.decimals", entry.decimals, MAX_DECIMALS + 1)
        assets.append(Asset(entry.symbol, decimals))
    return Registry(tuple(assets))
