"""A circuit as bytes, so that it is written once and read where it is used again.

======================== ======================================================================
32 bytes                 SHA-256 of everything that follows
4 bytes                  length of the head, little-endian
head                     JSON in ASCII: numbers of rows and steps, and what is not a long sequence
rest                     zlib: fixed columns in the order of the tables, then the steps, all as
                         little-endian integers of eight bytes
======================== ======================================================================

Names of columns are not in the file: they are those of this version's tables.

A file says what its writer wanted, honest or not: the digest finds accidents, nobody's intent. A
circuit that was read is the wanted one if the root of its fixed columns is. Steps are in no root;
wrong ones end in a witness that is none, or a proof that is refused.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from typing import Any, Final

from stark.errors import UsageError
from stark.field.koalabear import TWO_ADICITY
from stark.recursion.circuit import STEP_WIDTH, Circuit
from stark.recursion.tables.arithmetic import ARITHMETIC_COLUMNS
from stark.recursion.tables.decomposition import BITS, DECOMPOSITION_COLUMNS, take_column
from stark.recursion.tables.fold import FOLD_COLUMNS
from stark.recursion.tables.permutation import PERMUTATION_COLUMNS

_DIGEST: Final = hashlib.sha256().digest_size
_LENGTH: Final = struct.Struct("<I")
_WORD: Final = 8
_COUNTS: Final = ("hint_count", "wire_count", "digest_count", "log_order")
_TABLES: Final = ("arithmetic", "permutation", "fold", "decomposition")

MAXIMUM_ROWS: Final = 1 << TWO_ADICITY
"""Rows of a table: no domain is longer."""

MAXIMUM_STEPS: Final = 1 << TWO_ADICITY + 3
"""Steps: each has a row of one of four tables, and a row of folds has two."""

MAXIMUM_COUNT: Final = 1 << 31
"""Of wires, digests, values: addresses are field elements."""

_LEVEL: Final = 1
"""Of compression: most cells are zero, and higher levels take longer for little."""


def encode_circuit(circuit: Circuit) -> bytes:
    """The file of a circuit; :func:`decode_circuit` reads it.

    Raises
    ------
    UsageError
        If its columns are not those of this version's tables.
    """
    if {name: tuple(table) for name, table in circuit.tables.items()} != _names(circuit.widths):
        raise UsageError("a circuit with other columns than its tables have cannot be kept")
    head = {
        "rows": [circuit.rows[name] for name in _TABLES],
        "steps": len(circuit.steps) // STEP_WIDTH,
        "widths": list(circuit.widths),
        "cap_heights": sorted(circuit.cap_heights.items()),
        "labels": list(circuit.labels),
        **{name: getattr(circuit, name) for name in _COUNTS},
    }
    encoded = json.dumps(head).encode("ascii")
    compressor = zlib.compressobj(_LEVEL)
    parts = [_LENGTH.pack(len(encoded)), encoded]
    for table in circuit.tables.values():
        parts += [compressor.compress(_little_endian(values)) for values in table.values()]
    parts += [compressor.compress(_little_endian(circuit.steps)), compressor.flush()]
    content = b"".join(parts)
    return hashlib.sha256(content).digest() + content


def decode_circuit(data: bytes) -> Circuit:
    """The circuit of a file.

    Raises
    ------
    UsageError
        For bytes that are no such file: cut, changed, too long, of other types. Values of columns
        and arguments of steps are checked where they are used.
    """
    content = memoryview(data)[_DIGEST:]
    if len(content) < _LENGTH.size or hashlib.sha256(content).digest() != data[:_DIGEST]:
        raise UsageError("file of a circuit: it is cut or changed")
    (length,) = _LENGTH.unpack(content[: _LENGTH.size])
    end = _LENGTH.size + length
    try:
        head = json.loads(bytes(content[_LENGTH.size : end]).decode("ascii"))
    except (ValueError, RecursionError):
        raise UsageError("file of a circuit: its head is no JSON") from None
    fields = _Fields(head)
    rows = fields.integers("rows", MAXIMUM_ROWS, len(_TABLES))
    steps = fields.integer("steps", MAXIMUM_STEPS)
    widths = tuple(fields.integers("widths", BITS))
    if list(widths) != sorted(set(widths)):
        raise UsageError("file of a circuit: widths do not ascend")
    counts = {name: fields.integer(name, MAXIMUM_COUNT) for name in _COUNTS}
    cap_heights = dict(fields.pairs("cap_heights", int))
    for address, log_size in cap_heights.items():
        if not 0 < address <= counts["digest_count"] or not 0 <= log_size <= TWO_ADICITY:
            raise UsageError("file of a circuit: a cap of no digests")
    labels = tuple(fields.pairs("labels", str))
    words = _Words(content[end:])
    tables = {
        name: {column: words.take(count) for column in columns}
        for (name, columns), count in zip(_names(widths).items(), rows, strict=True)
    }
    taken = words.take(steps * STEP_WIDTH)
    words.require_end()
    return Circuit(
        arithmetic=tables["arithmetic"],
        permutation=tables["permutation"],
        fold=tables["fold"],
        decomposition=tables["decomposition"],
        steps=taken,
        hint_count=counts["hint_count"],
        wire_count=counts["wire_count"],
        digest_count=counts["digest_count"],
        cap_heights=cap_heights,
        widths=widths,
        log_order=counts["log_order"],
        labels=labels,
    )


def _names(widths: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """Columns by table, in the order in which a builder makes them."""
    taken = (take_column(width) for width in widths)
    columns = (
        *(ARITHMETIC_COLUMNS, PERMUTATION_COLUMNS, FOLD_COLUMNS),
        (*DECOMPOSITION_COLUMNS, *taken),
    )
    return dict(zip(_TABLES, columns, strict=True))


def _little_endian(values: Sequence[int]) -> bytes:
    words = array("q", values)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


class _Words:
    """The compressed integers, taken one sequence after the other: never more than is asked for."""

    def __init__(self, compressed: memoryview) -> None:
        self._inflater = zlib.decompressobj()
        self._rest: bytes | memoryview = compressed

    def take(self, count: int) -> array[int]:
        result = array("q")
        result.frombytes(self._bytes(_WORD * count))
        if sys.byteorder == "big":
            result.byteswap()
        return result

    def _bytes(self, count: int) -> bytes:
        # A limit of 0 would be none.
        if count == 0:
            return b""
        try:
            found = self._inflater.decompress(self._rest, count)
        except zlib.error:
            raise UsageError("file of a circuit: its integers are not compressed") from None
        self._rest = self._inflater.unconsumed_tail
        if len(found) != count:
            raise UsageError("file of a circuit: it ends too early")
        return found

    def require_end(self) -> None:
        try:
            more = self._inflater.decompress(self._rest, 1)
        except zlib.error:
            raise UsageError("file of a circuit: its integers are not compressed") from None
        if more or not self._inflater.eof or self._inflater.unused_data:
            raise UsageError("file of a circuit: it does not end where it should")


class _Fields:
    """The head, of which anything may be of another type."""

    def __init__(self, head: Any) -> None:
        expected = {"rows", "steps", "widths", "cap_heights", "labels", *_COUNTS}
        if not isinstance(head, dict) or set(head) != expected:
            raise UsageError("file of a circuit: its head has other fields")
        self._head = head

    def integer(self, name: str, limit: int) -> int:
        return _integer(name, self._head[name], limit)

    def integers(self, name: str, limit: int, count: int | None = None) -> list[int]:
        values = self._list(name)
        if count not in (None, len(values)):
            raise UsageError(f"file of a circuit: {count} {name} are needed")
        return [_integer(name, value, limit) for value in values]

    def pairs(self, name: str, second: type) -> list[tuple[int, Any]]:
        """Pairs of a number and something of a type."""
        pairs = self._list(name)
        for pair in pairs:
            if not isinstance(pair, list) or [type(one) for one in pair] != [int, second]:
                raise UsageError(f"file of a circuit: {name} are no pairs")
        return [(first, other) for first, other in pairs]

    def _list(self, name: str) -> list[Any]:
        values = self._head[name]
        if not isinstance(values, list):
            raise UsageError(f"file of a circuit: {name} is no list")
        return values


def _integer(name: str, value: Any, limit: int) -> int:
    if type(value) is not int or not 0 <= value <= limit:
        raise UsageError(f"file of a circuit: {name} is not in 0 ... {limit}")
    return value
