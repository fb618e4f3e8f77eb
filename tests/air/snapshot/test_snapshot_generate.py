"""Generated snapshots: valid arguments, determinism, and the shape that was asked for."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from air.registry import TOTAL_BOUND
from air.snapshot import generate as module
from air.snapshot.check import load
from air.snapshot.files import atomic_output
from air.snapshot.generate import generate
from stark.errors import UsageError


def test_equal_arguments_give_equal_files(tmp_path: Path) -> None:
    for suffix in (".csv", ".parquet"):
        one, other, third = (tmp_path / f"{name}{suffix}" for name in "abc")
        generate(one, 300, 50, 3, 7)
        generate(other, 300, 50, 3, 7)
        generate(third, 300, 50, 3, 8)
        assert one.read_bytes() == other.read_bytes() != third.read_bytes()
    assert len(list(tmp_path.iterdir())) == 9


def test_realistic_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ACCOUNTS_PER_CHUNK", 5000)
    generate(tmp_path / "s.csv", 12_000, 500, 5, 1)
    snapshot = load(tmp_path / "s.csv")
    counts = np.diff(snapshot.offsets)
    assert snapshot.holdings == 60_000
    assert 0.75 < np.mean(counts <= 8) < 0.95
    assert counts.max() > 50
    assert set(np.unique(snapshot.assets[:40_000])) > set(range(30))
    popularity = np.bincount(snapshot.assets, minlength=500)
    assert popularity[0] > popularity[10] > popularity[400] > 0
    assert (snapshot.amount_limbs[:, 4] > 0).any()
    assert {asset.decimals for asset in snapshot.registry} == set(range(2, 19))
    assert max(snapshot.totals()) < TOTAL_BOUND
    empty = ~snapshot.amount_limbs.any(axis=1)
    assert 0 < empty.sum() < 200


def test_largest_registry(tmp_path: Path) -> None:
    manifest = generate(tmp_path / "s.parquet", 10, 1 << 14, 1, 0)
    assert len(manifest.registry) == 1 << 14


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1, 1, 0), "accounts must be 1 or more, got 0"),
        ((1, 0, 1, 0), "assets must be 1 to 16384, got 0"),
        ((1, 16385, 1, 0), "assets must be 1 to 16384, got 16385"),
        ((1, 2, 2.5, 0), "holdings must be 1 to 2, got 2.5"),
        ((1, 2, 0.5, 0), "holdings must be 1 to 2, got 0.5"),
        ((1, 1, 1, -1), "seed must be 0 or more, got -1"),
    ],
)
def test_usage(tmp_path: Path, arguments: tuple[int, int, float, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        generate(tmp_path / "s.csv", *arguments)
    with pytest.raises(UsageError, match="a snapshot is a"):
        generate(tmp_path / "s.txt", 1, 1, 1, 0)
    assert not list(tmp_path.iterdir())


def interrupted_write(file: BinaryIO) -> None:
    file.write(b"new")
    raise KeyboardInterrupt


def test_an_interrupted_output_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_output(path) as file:
        interrupted_write(file)
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_bytes() == b"old"
    with atomic_output(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["s.csv"]
    assert path.read_bytes() == b"new"
