"""The three ways in which this project says no.

``Rejected``    a proof, statement or customer file does not hold
``InputError``  a snapshot, manifest or other input of the prover is not acceptable
``UsageError``  the caller asked for something that cannot be done

Every one carries the offending values as attributes, so that a program can act on them and a
person can read them. Nothing in the verifier raises any other exception on any input.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """Stable classes of rejection, in the order in which a verifier meets them."""

    FORMAT = "Format"
    VERSION = "Version"
    SUITE = "Suite"
    CANONICAL = "Canonical"
    LIMIT = "Limit"
    POLICY = "Policy"
    PARAMS = "Params"
    VK = "VK"
    PUBLIC = "Public"
    SHAPE = "Shape"
    MERKLE = "Merkle"
    OOD = "OOD"
    DOMAIN = "Domain"
    BUS = "Bus"
    POW = "PoW"
    FRI_FOLD = "FriFold"
    FRI_FINAL = "FriFinal"
    ZK = "ZK"
    RECURSION = "Recursion"
    STATEMENT = "Statement"
    INCLUSION = "Inclusion"


class StarkError(Exception):
    """Base of every error that this project raises on purpose."""


class Rejected(StarkError):
    """A proof, statement or customer file was checked and does not hold.

    Parameters
    ----------
    code
        Class of the rejection; stable across versions.
    check
        Name of the check that failed, in plain words.
    expected, got
        What the check wanted and what it found, as short text or numbers.
    """

    def __init__(self, code: Code, check: str, expected: object = "", got: object = "") -> None:
        self.code = code
        self.check = check
        self.expected = expected
        self.got = got
        super().__init__(code, check, expected, got)

    def __str__(self) -> str:
        text = f"{self.code}: {self.check}"
        if self.expected != "" or self.got != "":
            text += f" (expected {self.expected}, got {self.got})"
        return text


class InputError(StarkError):
    """An input of the prover is not acceptable.

    Parameters
    ----------
    file
        The file as the caller named it.
    row
        Line or row number, counted from 1 as editors do; ``None`` if the fault has no row.
    column
        Name of the column or key; ``None`` if the fault has none.
    value
        The offending value as it stands in the file.
    reason
        What is wrong with it, and what would be right.
    """

    def __init__(
        self, file: str, row: int | None, column: str | None, value: object, reason: str
    ) -> None:
        self.file = file
        self.row = row
        self.column = column
        self.value = value
        self.reason = reason
        super().__init__(file, row, column, value, reason)

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        shown = "" if self.value is None else f" {_printable(self.value)}:"
        return f"{place}:{shown} {self.reason}"


class UsageError(StarkError):
    """The caller asked for something that cannot be done; the message says what can."""


def _printable(value: object) -> str:
    """The value on one line, escaped, at most 80 characters (it comes from a foreign file)."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
