"""Output files that only their owner can read, and that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_output(path: Path, durable: bool = True) -> Iterator[Path]:
    """The name of a new empty file of mode 0600 that is renamed to ``path`` after the block.

    It lies in the same directory (a rename across file systems is not atomic). On any error, an
    interrupt included, it is removed and ``path`` is left as it was.

    Parameters
    ----------
    durable
        Wait until the content is on the disk before renaming. Without it a power failure may
        leave an empty file.

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
        if durable:
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_private(path: Path, data: bytes, durable: bool = True) -> None:
    """Write a whole file, see :func:`private_output`."""
    with private_output(path, durable) as partial:
        partial.write_bytes(data)
