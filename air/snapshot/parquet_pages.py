"""Looking through the pages of a Parquet file before any is unpacked.

A few kilobytes can unpack to terabytes: pages of zeros, or one long value in a dictionary that a
run of references repeats. What a page unpacks to stands in its header, in the compact protocol of
Thrift (parquet-format, PageHeader); here the headers are read, and pages that no snapshot needs
are refused. A header that lies about its page is found out by the library when it unpacks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from air.snapshot import table
from stark.errors import InputError
from stark.jit import kernel

MAX_VALUE_BYTES = 1024
"""The longest value of a text column: ids have up to 256 bytes, amounts a few dozen digits."""

MAX_PAGE_BYTES = 1 << 27
"""Unpacked bytes of a page. Writers make pages of 1 MiB, one of them up to 100 MB."""

ROWS_PER_BYTE = 16
FREE_ROWS = 1 << 20
"""Rows that a file may have for each of its bytes, and besides: snapshots take a byte or more per
row, and reading takes memory and time by the row."""

_PAGE_OVERHEAD = 1 << 12
_VALUE_OVERHEAD = 16
_HEADER_BYTES = 1 << 16
_MAX_FIELDS = 256
_MAX_NESTING = 8
_DATA_V1, _DICTIONARY, _DATA_V2 = 0, 2, 3

Fields = dict[int, Any]


def check_pages(path: str, file: BinaryIO, metadata: Any, columns: Sequence[str]) -> None:
    """Refuse files whose pages unpack to more than a snapshot of their rows needs.

    Parameters
    ----------
    file
        The file, for reading; its position changes.
    metadata
        Its ``pyarrow.parquet.FileMetaData``.
    columns
        Paths of the columns that will be read.

    Raises
    ------
    InputError
        For too many rows, a page header that cannot be read, a page that is too long by itself or
        for its number of values, or a dictionary with a value of more than ``MAX_VALUE_BYTES``.
    """
    size = file.seek(0, 2)
    rows = metadata.num_rows
    if rows > table.MAX_HOLDINGS:
        raise _fault(path, None, f"more than {table.MAX_HOLDINGS} rows: a total could pass 2^105")
    if rows > FREE_ROWS + ROWS_PER_BYTE * size:
        raise _fault(path, None, f"{rows} rows in {size} bytes: no snapshot packs that well")
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            if chunk.path_in_schema in columns:
                _check_chunk(path, file, size, chunk)


def _check_chunk(path: str, file: BinaryIO, size: int, chunk: Any) -> None:
    column = chunk.path_in_schema
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    end = start + chunk.total_compressed_size
    if not 0 <= start <= end <= size:
        raise _fault(path, column, "its data lie outside the file")
    values = 0
    # The reader stops when it has the values that the metadata promise; so does this.
    while start < end and values < chunk.num_values:
        file.seek(start)
        header, length = page_header(path, column, file.read(min(_HEADER_BYTES, end - start)))
        kind, unpacked, packed = header.get(1), _size(header, 2), _size(header, 3)
        if unpacked is None or packed is None or packed > end - start - length:
            raise _fault(path, column, "a page has a length that does not fit")
        if unpacked > MAX_PAGE_BYTES:
            raise _fault(path, column, f"a page unpacks to more than {MAX_PAGE_BYTES} bytes")
        start += length + packed
        if kind in (_DATA_V1, _DATA_V2):
            details = header.get(5 if kind == _DATA_V1 else 8)
            count = _size(details, 1) if isinstance(details, dict) else None
            if count is None:
                raise _fault(path, column, "a page does not say how many values it has")
            if unpacked > _PAGE_OVERHEAD + count * (MAX_VALUE_BYTES + _VALUE_OVERHEAD):
                raise _fault(path, column, f"{count} values unpack to {unpacked} bytes")
            values += count
        elif kind == _DICTIONARY and chunk.physical_type == "BYTE_ARRAY":
            file.seek(start - packed)
            _check_dictionary(path, column, file.read(packed), unpacked, chunk.compression)


def _check_dictionary(path: str, column: str, data: bytes, unpacked: int, codec: str) -> None:
    """The values of a dictionary, each with its length before it, are not too long."""
    if codec != "UNCOMPRESSED":
        data = _unpacked(path, column, data, unpacked, codec)
    longest = np.zeros(1, np.int64)
    _longest_value(np.frombuffer(data, np.uint8), longest)
    if longest[0] > MAX_VALUE_BYTES:
        reason = f"a value of {longest[0]} bytes; at most {MAX_VALUE_BYTES} are read"
        raise _fault(path, column, reason)


def _unpacked(path: str, column: str, data: bytes, unpacked: int, codec: str) -> bytes:
    # Two forms of LZ4 have one name: a bare block, and one behind two lengths of four bytes.
    name: Any = "lz4_raw" if codec == "LZ4" else codec.lower()
    for start in (0, 8) if codec == "LZ4" else (0,):
        try:
            return bytes(pa.Codec(name).decompress(data[start:], unpacked, asbytes=True))
        except (ValueError, OSError, pa.ArrowException):
            continue
    raise _fault(path, column, f"a dictionary cannot be unpacked ({codec})")


@kernel("void(Array(uint8, 1, 'C', readonly=True), i8[::1])")
def _longest_value(data, longest):  # type: ignore[no-untyped-def]
    at = np.int64(0)
    while at + 4 <= len(data):
        length = np.int64(0)
        for byte in range(4):
            length |= np.int64(data[at + byte]) << np.int64(8 * byte)
        # Lengths are below 2^32 and at most len(data) / 4 of them are added: no overflow.
        longest[0] = max(longest[0], length)
        at += 4 + length


def page_header(path: str, column: str, data: bytes) -> tuple[Fields, int]:
    """The fields of the page header that ``data`` begins with, by number, and its length.

    Raises ``InputError`` if it is none, or longer than ``data``.
    """
    try:
        return _Compact(data).read()
    except (IndexError, ValueError):
        raise _fault(path, column, "a page header cannot be read") from None


class _Compact:
    """A struct in Thrift's compact protocol; IndexError or ValueError if it is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._fields = 0

    def read(self) -> tuple[Fields, int]:
        fields = self._struct(0)
        return fields, self._at

    def _byte(self) -> int:
        value = self._data[self._at]
        self._at += 1
        return value

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number of more than ten bytes")

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _struct(self, depth: int) -> Fields:
        if depth > _MAX_NESTING:
            raise ValueError("nested too deep")
        fields: Fields = {}
        number = 0
        while head := self._byte():
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise ValueError("too many fields")
            kind, delta = head & 15, head >> 4
            number = number + delta if delta else self._integer()
            fields[number] = self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._integer()
        if kind in (7, 8):
            skipped = 8 if kind == 7 else self._varint()
            self._at += skipped
            if self._at > len(self._data):
                raise IndexError("the header ends early")
            return None
        if kind == 12:
            return self._struct(depth + 1)
        # Lists, sets and maps occur in no page header.
        raise ValueError("a type that page headers do not have")


def _size(fields: Fields, number: int) -> int | None:
    value = fields.get(number)
    return value if type(value) is int and 0 <= value < 1 << 31 else None


def _fault(path: str, column: str | None, reason: str) -> InputError:
    return InputError(path, None, column, None, f"not a readable Parquet file: {reason}")
