"""Reading the columns account_id, asset and equity of a Parquet file, a batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from air.snapshot.columns import (
    COLUMN_NAMES,
    AmountColumn,
    Chunk,
    FixedPointColumn,
    TextColumn,
)
from air.snapshot.csv_reader import Progress
from air.snapshot.table import MAX_HOLDINGS
from stark.errors import InputError

_BATCH_ROWS = 1 << 18

MAX_VALUE_BYTES = 1024
"""The longest value of a dictionary: ids have up to 256 bytes, amounts a few dozen digits."""

ROWS_PER_BYTE = 16
FREE_ROWS = 1 << 20
"""Rows that a file may have for each of its bytes, and besides: snapshots take a byte or more per
row, and reading takes memory and time by the row."""

_ID, _ASSET, _EQUITY = COLUMN_NAMES


def read_parquet(path: str, progress: Progress | None = None) -> Iterator[Chunk]:
    """The rows of the file, counted from 1.

    Ids and assets are strings or binaries (or dictionaries of them); amounts are, in asset units,
    strings, decimals of up to 128 bits, or integers. Columns may stand in any order.

    Raises
    ------
    InputError
        If the file cannot be read, is truncated or corrupt, or has other columns or types.
    """
    try:
        # Checksums of pages, where the writer left any, find what decompression does not.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _require_columns(path, file.schema_arrow)
            _require_plausible_rows(path, file.metadata.num_rows)
            row = 1
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(COLUMN_NAMES)):
                yield Chunk(
                    rows=np.arange(row, row + len(batch)),
                    account_ids=_text_column(path, _ID, batch.column(_ID)),
                    assets=_text_column(path, _ASSET, batch.column(_ASSET)),
                    equity=_amount_column(path, batch.column(_EQUITY)),
                )
                row += len(batch)
                if progress is not None:
                    progress(row - 1, file.metadata.num_rows)
    except FileNotFoundError:
        raise InputError(path, None, None, None, "cannot be read: no such file") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError, OverflowError) as error:
        # Names and messages with bytes of the file in them need not be UTF-8.
        first = next(iter(str(error).splitlines()), type(error).__name__)
        reason = f"not a readable Parquet file: {first}"
        raise InputError(path, None, None, None, reason) from None


def _require_plausible_rows(path: str, rows: int) -> None:
    size = os.path.getsize(path)
    if rows > MAX_HOLDINGS:
        reason = f"more than {MAX_HOLDINGS} rows: no publication has as many"
    elif rows > FREE_ROWS + ROWS_PER_BYTE * size:
        reason = f"{rows} rows in {size} bytes: no snapshot packs that well"
    else:
        return
    raise InputError(path, None, None, None, reason)


def _require_columns(path: str, schema: Any) -> None:
    wanted = ", ".join(COLUMN_NAMES)
    if sorted(schema.names) != sorted(COLUMN_NAMES):
        reason = f"the columns must be {wanted}"
        if "debt" in schema.names:
            reason += "; debts are no part of a spot snapshot"
        raise InputError(path, None, None, ",".join(schema.names), reason)
    for name in COLUMN_NAMES:
        kind = schema.field(name).type
        if name == _EQUITY and pa.types.is_floating(kind):
            reason = "floating point does not hold amounts exactly; use strings or decimals"
        elif name == _EQUITY and not (_is_text(kind) or _is_fixed_point(kind)):
            reason = "amounts must be strings, decimals of up to 128 bits, or integers"
        elif name != _EQUITY and not _is_text(kind):
            reason = "must be strings or binaries"
        else:
            continue
        raise InputError(path, None, name, str(kind), reason)


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _is_fixed_point(kind: Any) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or (pa.types.is_decimal(kind) and not pa.types.is_decimal256(kind))
    )


def _text_column(path: str, name: str, array: Any) -> TextColumn:
    """A missing value becomes an empty one, which is at fault in every column."""
    if pa.types.is_dictionary(array.type):
        # Each row repeats a whole value of the dictionary: none may be long.
        longest = pc.max(pc.binary_length(array.dictionary)).as_py() or 0
        if longest > MAX_VALUE_BYTES:
            reason = f"a value of {longest} bytes; at most {MAX_VALUE_BYTES} are read"
            raise InputError(path, None, name, None, reason)
        array = array.dictionary_decode()
    array = pc.fill_null(pc.cast(array, pa.large_binary()), b"")
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    values = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return TextColumn(values, bounds[:-1], bounds[1:])


def _amount_column(path: str, array: Any) -> AmountColumn:
    if _is_text(array.type):
        return _text_column(path, _EQUITY, array)
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_uint64(array.type):
        low = pc.fill_null(array, 0).to_numpy()
        return FixedPointColumn(low, np.zeros(len(low), np.int64), 0, missing)
    if pa.types.is_integer(array.type):
        values = pc.fill_null(pc.cast(array, pa.int64()), 0).to_numpy()
        return FixedPointColumn(values.astype(np.uint64), values >> 63, 0, missing)
    scale = array.type.scale
    array = pc.cast(array, pa.decimal128(38, scale))
    words = np.frombuffer(array.buffers()[1], np.int64).reshape(-1, 2)
    words = words[array.offset : array.offset + len(array)]
    low = np.ascontiguousarray(words[:, 0]).view(np.uint64)
    return FixedPointColumn(low, np.ascontiguousarray(words[:, 1]), scale, missing)
