"""Errors speak to the person and carry their values."""

from __future__ import annotations

from stark.errors import Code, InputError, Rejected


def test_a_rejection_names_class_check_expected_and_got() -> None:
    error = Rejected(Code.MERKLE, "opening of the main tree", "aa", "bb")
    assert str(error) == "Merkle: opening of the main tree (expected aa, got bb)"
    assert (error.code, error.expected, error.got) == (Code.MERKLE, "aa", "bb")
    assert str(Rejected(Code.FORMAT, "empty")) == "Format: empty"


def test_an_input_error_names_file_row_column_value() -> None:
    error = InputError("S.csv", 7, "equity", "-1", "amounts are not negative")
    assert str(error) == "S.csv, row 7, column equity: '-1': amounts are not negative"


def test_foreign_values_are_escaped_and_cut() -> None:
    text = str(InputError("S.csv", 1, None, "\x1b[2J" + "a" * 500, "bad"))
    assert "\x1b" not in text
    assert len(text) < 140
