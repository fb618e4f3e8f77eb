"""What is said of results: alignment, escapes, JSON of errors."""

from __future__ import annotations

from decimal import Decimal

import pytest

from air.report import cut_bits, error_text, printable, table_lines
from air.report_json import error_json, fault_json
from stark.errors import Code, InputError, Rejected, UsageError


def test_points_stand_in_one_column() -> None:
    assert table_lines([("BTC", "1.50"), ("USDT", "1234.5"), ("JPY", "7")]) == [
        "  BTC      1.50",
        "  USDT  1234.5",
        "  JPY      7",
    ]
    assert table_lines([]) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 取引所", "plain 取引所"),
        ("a\nb\x1b[0m", "a\\nb\\x1b[0m"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_bits_are_cut_not_rounded() -> None:
    assert cut_bits(Decimal("127.9999")) == "127.99"
    assert cut_bits(Decimal("128")) == "128.00"


def test_errors_as_json() -> None:
    rejected = error_json(Rejected(Code.MERKLE, "main tree", 1, (2, 3)))
    assert rejected == {
        "kind": "rejected",
        "code": "Merkle",
        "check": "main tree",
        "expected": "1",
        "got": "(2, 3)",
        "message": "Merkle: main tree (expected 1, got (2, 3))",
    }
    assert error_json(UsageError("no"))["kind"] == "usage"
    assert error_json(FileNotFoundError(2, "No such file", "x")) == {
        "kind": "file",
        "message": "x: No such file",
    }
    assert error_text(OSError("bare")) == "bare"


def test_a_fault_with_bytes_is_json() -> None:
    fault = fault_json(InputError("s.csv", 3, "equity", b"\xff", "not UTF-8"))
    assert fault["value"] == "b'\\xff'"
    assert fault_json(InputError("s.csv", None, None, None, "empty"))["value"] is None
