"""The master key: fresh, private, never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from air.master_key import generate_master_key, read_master_key
from stark.errors import UsageError


def test_a_fresh_key_is_private_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    generate_master_key(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    key = read_master_key(path)
    assert len(key) == 32
    generate_master_key(tmp_path / "other")
    assert read_master_key(tmp_path / "other") != key


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    generate_master_key(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        generate_master_key(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    generate_master_key(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        read_master_key(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(UsageError, match="32 bytes"):
        read_master_key(path)
