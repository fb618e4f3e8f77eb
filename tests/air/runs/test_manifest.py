"""The manifest of a run: its bytes, and what it is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from air.canonical_json import decode, encode
from air.runs.manifest import MAXIMUM_FILE, RunManifest, key_fingerprint
from air.runs.seed import RunSeed
from stark.errors import UsageError

MANIFEST = RunManifest(
    version="1.2.3",
    snapshot=bytes([1] * 32),
    master_key=bytes([2] * 32),
    profile="proven128",
    shape="rows14-slots12-assets9",
    batches=3,
    aggregated=True,
    keys=bytes([3] * 32),
    statement=bytes([4] * 32),
    seed=RunSeed(bytes([5] * 32)),
)


def test_a_manifest_comes_back() -> None:
    for one in (MANIFEST, replace(MANIFEST, aggregated=False, batches=1)):
        assert RunManifest.decode(one.encode()) == one


def test_the_seed_is_not_shown() -> None:
    assert "0505" not in repr(MANIFEST)
    assert "\\x05" not in repr(MANIFEST)
    assert b"05" * 32 in MANIFEST.encode()


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_half_a_manifest_is_refused(size: int) -> None:
    with pytest.raises(UsageError, match="manifest"):
        RunManifest.decode(MANIFEST.encode()[:size])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "2"),
        ("batches", 3),
        ("batches", "03"),
        ("batches", "-1"),
        ("aggregated", "true"),
        ("snapshot", "01" * 31),
        ("snapshot", "0A" * 32),
        ("snapshot", None),
        ("seed", " " + "05" * 31 + "5"),
        ("profile", ["proven128"]),
        ("profile", "x" * 101),
        ("other", "1"),
    ],
)
def test_odd_values_are_refused(name: str, value: Any) -> None:
    fields = decode(MANIFEST.encode())
    fields[name] = value
    data = encode(fields) if type(value) is not int else MANIFEST.encode().replace(b'"3"', b"3")
    with pytest.raises(UsageError, match="manifest"):
        RunManifest.decode(data)


def test_a_missing_field_and_a_long_file_are_refused() -> None:
    fields = decode(MANIFEST.encode())
    del fields["keys"]
    with pytest.raises(UsageError, match="keys"):
        RunManifest.decode(encode(fields))
    with pytest.raises(UsageError, match="at most"):
        RunManifest.decode(MANIFEST.encode() + b" " * MAXIMUM_FILE)
    for data in (b"[]", b"null", b"\xff", b"1"):
        with pytest.raises(UsageError, match="manifest"):
            RunManifest.decode(data)


@pytest.mark.parametrize(
    ("name", "value", "words", "shown"),
    [
        ("version", "1.2.4", "version of stark-liabilities", ("1.2.3", "1.2.4")),
        ("snapshot", bytes(32), "snapshot", ("01" * 32, "00" * 32)),
        ("master_key", bytes(32), "master key", ("02" * 32, "00" * 32)),
        ("profile", "proven100", "profile", ("proven128", "proven100")),
        ("shape", "rows12", "shape", ("rows14-slots12-assets9", "rows12")),
        ("batches", 4, "number of batches", ("3", "4")),
        ("aggregated", False, "aggregation", ("on", "off")),
        ("keys", bytes(32), "pinned keys", ("03" * 32, "00" * 32)),
        ("statement", bytes(32), "statement", ("04" * 32, "00" * 32)),
    ],
)
def test_what_differs_is_named(name: str, value: Any, words: str, shown: tuple[str, str]) -> None:
    same = getattr(MANIFEST, name)
    MANIFEST.require(**{name: same})
    with pytest.raises(UsageError, match=words) as caught:
        MANIFEST.require(**{name: value})
    there, here = shown
    assert f"is {there}, not {here}" in str(caught.value)


def test_the_fingerprint_tells_keys_apart_and_is_not_the_key() -> None:
    keys = [bytes(32), bytes(31) + b"\1", bytes(range(32))]
    prints = {key_fingerprint(key) for key in keys}
    assert len(prints) == 3
    assert not prints & set(keys)
