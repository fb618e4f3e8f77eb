"""Rejections, and reading from bytes (format.md, sections 1 and 2)."""

from __future__ import annotations

P = 2**31 - 2**24 + 1


class Refused(Exception):
    """A file is not accepted. `code` is the class of rejection of format.md, section 2."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code


def require(condition: bool, code: str, why: str) -> None:
    """Go on if the condition holds, else refuse with the given class."""
    if not condition:
        raise Refused(code, why)


def elements(data: bytes) -> list[int]:
    """Field elements, 4 bytes each; anything that is not below p is refused."""
    values = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
    require(all(v < P for v in values), "Canonical", "a field element is not below p")
    return values


class Reader:
    """A position in bytes; reading beyond the end is refused as `Format`."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        require(count <= self.left(), "Format", "the file ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        """The next little-endian integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def end(self) -> None:
        """Nothing may follow."""
        require(self.left() == 0, "Format", "something follows the end")
