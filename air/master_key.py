"""The exchange's master key: 32 secret bytes from which all salts and the placement derive.

It is read from a file that only its owner may read, never from a command line, and never logged.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from stark.errors import UsageError

KEY_SIZE = 32


def generate_master_key(path: str | os.PathLike[str]) -> None:
    """Write a fresh key, readable by its owner alone (mode 0600).

    Raises
    ------
    UsageError
        If the file exists: a key that is overwritten is lost, and with it every salt.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{os.fspath(path)} exists already; a key is never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_SIZE))
        file.flush()
        os.fsync(file.fileno())


def read_master_key(path: str | os.PathLike[str]) -> bytes:
    """The key in ``path``.

    Raises
    ------
    UsageError
        If others than the owner may read the file, or it does not hold 32 bytes.
    OSError
        If it cannot be read.
    """
    name = os.fspath(path)
    if os.name == "posix" and stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        raise UsageError(f"{name} can be read by others: run chmod 600 on it")
    key = Path(path).read_bytes()
    if len(key) != KEY_SIZE:
        raise UsageError(f"{name}: a master key has {KEY_SIZE} bytes, this file has {len(key)}")
    return key
