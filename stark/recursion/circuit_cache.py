"""Written circuits on disk: a circuit is the same every time, and slow to write.

A cache is there to save time: one that cannot be read or written costs time, and nothing else.
Nothing in it is trusted for soundness, see :mod:`stark.recursion.circuit_file`.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from stark.errors import UsageError
from stark.recursion.circuit import Circuit
from stark.recursion.circuit_file import decode_circuit, encode_circuit

MAXIMUM_FILE: Final = 1 << 26
"""Bytes of a file that is read; a circuit of 2^17 permutations has 2 MB."""


def read_circuit(path: Path) -> Circuit | None:
    """The circuit in a file; ``None`` for no file, and for one that holds no circuit."""
    try:
        if not path.is_file() or path.stat().st_size > MAXIMUM_FILE:
            return None
        return decode_circuit(path.read_bytes())
    except (OSError, UsageError):
        return None


def keep_circuit(path: Path, circuit: Circuit) -> None:
    """Put a circuit into a file, in the place of what is there, if the system lets us.

    All or nothing: processes that share the cache see whole files.
    """
    data = encode_circuit(circuit)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its owner alone may read and write the file: that is what temporary files are like.
        with NamedTemporaryFile(dir=path.parent, prefix=path.stem, delete=False) as file:
            try:
                file.write(data)
                file.close()
                os.replace(file.name, path)
            finally:
                with suppress(OSError):
                    Path(file.name).unlink(missing_ok=True)
