"""Reading ``account_id,asset,equity`` as CSV, a block of lines at a time.

A row is a line: values hold no line breaks. Lines end in LF or CRLF; values may stand in double
quotes, in which a comma is a comma and two double quotes are one. A block in which every line has
two commas and quotes only around whole values is cut up by array operations; any other block is
read line by line with the csv module, which decides what is at fault.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from air.snapshot.columns import COLUMN_NAMES, Chunk, TextColumn
from air.snapshot.faults import Faults, shown_text
from stark.errors import InputError

_BLOCK_BYTES = 1 << 23
_BOM = b"\xef\xbb\xbf"
_LF, _CR, _COMMA, _QUOTE = 10, 13, 44, 34

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in bytes of the file."""


def read_csv(path: str, faults: Faults, progress: Progress | None = None) -> Iterator[Chunk]:
    """The rows of the file; lines that are not three values go to the collector.

    Raises
    ------
    InputError
        If the file cannot be read, has another header, or has a line longer than 8 MiB.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            _require_header(path, file.readline(_BLOCK_BYTES))
            line = 2
            for block in _blocks(path, file):
                lines = block.count(b"\n")
                yield _cut(block, line) or _cut_by_line(block, line, faults)
                line += lines
                if progress is not None:
                    progress(file.tell(), size)
    except OSError as error:
        raise InputError(path, None, None, None, f"cannot be read: {error.strerror}") from None


def _require_header(path: str, line: bytes) -> None:
    wanted = ",".join(COLUMN_NAMES)
    if not line:
        raise InputError(path, None, None, None, f"the file is empty; line 1 must be {wanted}")
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(path, 1, None, line[:40], "this is UTF-16; save the file as UTF-8")
    # A UTF-8 byte order mark, as Excel writes it, is no part of the first name.
    shown = shown_text(line.removeprefix(_BOM).rstrip(b"\r\n"))
    names = _values(shown) if isinstance(shown, str) else None
    if names == list(COLUMN_NAMES):
        return
    reason = f"line 1 must be {wanted}"
    if names is not None and "debt" in names:
        reason += "; debts are no part of a spot snapshot"
    raise InputError(path, 1, None, shown, reason)


def _blocks(path: str, file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, about 8 MiB at a time, each ended by LF."""
    rest = b""
    while data := file.read(_BLOCK_BYTES):
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            rest += data
            if len(rest) > _BLOCK_BYTES:
                reason = f"a line is longer than {_BLOCK_BYTES} bytes"
                raise InputError(path, None, None, rest[:40], reason)
            continue
        yield rest + data[:cut]
        rest = data[cut:]
    if rest:
        yield rest + b"\n"


def _cut(block: bytes, first_line: int) -> Chunk | None:
    """The rows of a regular block; ``None`` if it is not regular."""
    if b'"' in block:
        unquoted = _without_quotes(np.frombuffer(block, np.uint8))
        if unquoted is None:
            return None
        data = unquoted
    else:
        data = np.frombuffer(block, np.uint8)
    line_ends = np.flatnonzero(data == _LF)
    commas = np.flatnonzero(data == _COMMA)
    if len(commas) != 2 * len(line_ends):
        return None
    first_commas, second_commas = np.ascontiguousarray(commas.reshape(-1, 2).T)
    starts = np.append(0, line_ends[:-1] + 1)
    if (first_commas < starts).any() or (second_commas > line_ends).any():
        return None
    # Line 0 may be empty only if it has no comma, so that line_ends - 1 is never negative here.
    ends_in_cr = data[line_ends - 1] == _CR
    if b"\r" in block and np.count_nonzero(data == _CR) != np.count_nonzero(ends_in_cr):
        return None
    return Chunk(
        rows=np.arange(first_line, first_line + len(line_ends)),
        account_ids=TextColumn(data, starts, first_commas),
        assets=TextColumn(data, first_commas + 1, second_commas),
        equity=TextColumn(data, second_commas + 1, line_ends - ends_in_cr),
    )


def _without_quotes(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The block without its quotes, if each pair of them encloses one whole, plain value."""
    quotes = np.flatnonzero(data == _QUOTE)
    if len(quotes) % 2:
        return None
    opening, closing = quotes[0::2], quotes[1::2]
    delimiters = np.flatnonzero((data == _COMMA) | (data == _LF))
    before = data[opening - 1]
    after = data[closing + 1]
    regular = (
        ((opening == 0) | (before == _COMMA) | (before == _LF)).all()
        and ((after == _COMMA) | (after == _LF) | (after == _CR)).all()
        and (data[closing - 1] != _CR).all()
        and (np.searchsorted(delimiters, opening) == np.searchsorted(delimiters, closing)).all()
    )
    return data[data != _QUOTE] if regular else None


def _cut_by_line(block: bytes, first_line: int, faults: Faults) -> Chunk:
    rows: list[int] = []
    columns: tuple[list[bytes], ...] = ([], [], [])
    for number, line in enumerate(block[:-1].split(b"\n"), first_line):
        line = line.removesuffix(b"\r")
        values = _values(line.decode("utf-8", "surrogateescape"))
        if values is not None and len(values) == 3:
            rows.append(number)
            for column, value in zip(columns, values, strict=True):
                column.append(value.encode("utf-8", "surrogateescape"))
            continue
        if b"\r" in line:
            reason = "a carriage return stands inside the line"
        elif values is None:
            reason = "quotes are not closed, or not around a whole value"
        elif not values:
            reason = "the line is empty"
        else:
            reason = f"{len(values)} values, must be 3: {','.join(COLUMN_NAMES)}"
        faults.add(number, None, shown_text(line), reason)
    account_ids, assets, equity = map(TextColumn.of, columns)
    return Chunk(np.array(rows, np.int64), account_ids, assets, equity)


def _values(line: str) -> list[str] | None:
    """The values of one line, ``None`` if its quotes are wrong."""
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return rows[0] if rows else []
