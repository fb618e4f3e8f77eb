"""Reading ``account_id,asset,equity`` as CSV, a block of lines at a time.

A row is a line: values hold no line breaks. Lines end in LF or CRLF; values may stand in double
quotes, in which a comma is a comma and two double quotes are one. A block in which every line has
two commas and quotes only around whole values is cut up by array operations; in any other block
lines with quotes are read one by one with the csv module, which decides what is at fault.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from air.snapshot.columns import COLUMN_NAMES, Chunk, TextColumn
from air.snapshot.faults import Faults, shown_text
from stark.errors import InputError

_BLOCK_BYTES = 1 << 23
_PART_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_LF, _CR, _COMMA, _QUOTE = 10, 13, 44, 34

MAX_BROKEN_LINES = 1 << 18
"""They are read one by one: so many take about half a second."""

_Cut: TypeAlias = tuple[Chunk, int]
"""The rows of a block, and how many more lines may have wrong quotes."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do, in bytes of the file."""


def read_csv(path: str, faults: Faults, progress: Progress | None = None) -> Iterator[Chunk]:
    """The rows of the file; lines that are not three values go to the collector.

    Raises
    ------
    InputError
        If the file cannot be read, has another header, a line longer than 8 MiB, or more than
        ``MAX_BROKEN_LINES`` lines with wrong quotes.
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            _require_header(path, file.readline(_BLOCK_BYTES))
            line = 2
            room = MAX_BROKEN_LINES
            for block in _blocks(path, file):
                chunk = _cut(block, line)
                if chunk is not None:
                    yield chunk
                    line += block.count(b"\n")
                else:
                    for part in _parts(block):
                        chunk = _cut(part, line)
                        if chunk is None:
                            chunk, room = _cut_by_line(path, part, line, faults, room)
                        yield chunk
                        line += part.count(b"\n")
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


def _parts(block: bytes) -> Iterator[bytes]:
    """Whole lines, about 1 MiB at a time: a line of one byte takes a hundred while it is cut."""
    start = 0
    while start < len(block):
        end = block.find(b"\n", min(start + _PART_BYTES, len(block) - 1)) + 1
        yield block[start:end]
        start = end


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


def _cut_by_line(path: str, block: bytes, first_line: int, faults: Faults, room: int) -> _Cut:
    """The rows of an irregular block, whose other lines go to the collector.

    Only lines with quotes are read one by one; ``room`` is how many of them may be at fault.
    """
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LF)
    starts = np.append(0, ends[:-1] + 1)
    commas = np.flatnonzero(data == _COMMA)
    first_comma = np.searchsorted(commas, starts)
    comma_count = np.diff(first_comma, append=len(commas))
    has_quotes = _count_by_line(data == _QUOTE, starts) > 0
    ends_in_cr = (ends > starts) & (data[ends - 1] == _CR)
    stray_cr = _count_by_line(data == _CR, starts) != ends_in_cr
    ends = ends - ends_in_cr
    good = ~stray_cr & ~has_quotes & (comma_count == 2)
    plain = np.flatnonzero(good)
    last = len(starts)
    unquoted: list[list[bytes]] = []
    # A line with fewer commas cannot have three values, whatever its quotes.
    quoted = np.flatnonzero(has_quotes & (comma_count >= 2))
    places = zip(quoted.tolist(), starts[quoted].tolist(), ends[quoted].tolist(), strict=True)
    for line, start, end in places:
        text = block[start:end]
        values = None if text.endswith(b"\r") else _values(_decoded(text))
        if values is not None and len(values) == 3:
            good[line] = True
            unquoted.append([value.encode("utf-8", "surrogateescape") for value in values])
        elif room == 0:
            last = line
            break
        else:
            room -= 1
    bad = np.flatnonzero(~good[:last])
    for done, line in enumerate(bad.tolist()):
        if faults.full:
            faults.skip(len(bad) - done)
            break
        value = block[starts[line] : ends[line]]
        faults.add(first_line + line, None, shown_text(value), _line_fault(value))
    if last < len(starts):
        reason = f"more than {MAX_BROKEN_LINES} lines with wrong quotes; the rest is not read"
        raise InputError(path, first_line + last, None, None, reason)
    rows = np.concatenate([plain, np.setdiff1d(np.flatnonzero(good), plain, assume_unique=True)])
    order = np.argsort(rows)
    middle = first_comma[plain]
    bounds = (
        (starts[plain], commas[middle]),
        (commas[middle] + 1, commas[middle + 1]),
        (commas[middle + 1] + 1, ends[plain]),
    )
    columns = []
    for number, (column_starts, column_ends) in enumerate(bounds):
        others = TextColumn.of([values[number] for values in unquoted])
        columns.append(
            TextColumn(
                np.concatenate([data, others.data]),
                np.concatenate([column_starts, others.starts + len(data)])[order],
                np.concatenate([column_ends, others.ends + len(data)])[order],
            )
        )
    return Chunk(rows[order] + first_line, *columns), room


def _count_by_line(marked: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    positions = np.flatnonzero(marked)
    return np.diff(np.searchsorted(positions, starts), append=len(positions))


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _line_fault(line: bytes) -> str:
    """Why a line is not three values."""
    values = _values(_decoded(line))
    if b"\r" in line:
        return "a carriage return stands inside the line"
    if values is None:
        return "quotes are not closed, or not around a whole value"
    if not values:
        return "the line is empty"
    return f"{len(values)} values, must be 3: {','.join(COLUMN_NAMES)}"


def _values(line: str) -> list[str] | None:
    """The values of one line, ``None`` if its quotes are wrong."""
    try:
        rows = list(csv.reader([line], strict=True))
    except csv.Error:
        return None
    return rows[0] if rows else []
