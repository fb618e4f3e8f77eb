"""Output files that only their owner can read, and that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_output(path: Path) -> Iterator[Path]:
    """The name of a new empty file of mode 0600 that is renamed to ``path`` after the block.

    It lies in the same directory (a rename across file systems is not atomic). On any error, an
    interrupt included, it is removed and ``path`` is left as it was.

    Raises
    ------
    OSError
        As opening and renaming files do.
    """
    # Made with mode 0600, not changed to it afterwards: at no time can others open the file.
    handle, name = tempfile.mkstemp(".partial", f"{path.name}.", path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def private_writer(folder: Path) -> Iterator[Callable[[str, bytes], None]]:
    """A function that writes many small files, name and content, into a folder.

    Each appears whole or not at all, with mode 0600. It does not wait for the disk, which would
    take most of the time: after a power failure files may be empty.

    Raises
    ------
    OSError
        As opening and renaming files do.
    """
    partial = os.path.join(folder, f"{secrets.token_hex(8)}.partial")

    def write(name: str, data: bytes) -> None:
        # One name for all: to look for a free one each time takes longer than all the rest.
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(partial, os.path.join(folder, name))

    try:
        yield write
    finally:
        Path(partial).unlink(missing_ok=True)
