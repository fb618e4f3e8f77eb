"""Collecting the faults of a snapshot, in bounded memory."""

from __future__ import annotations

from stark.errors import InputError

MAX_SHOWN = 1000
"""Of longer values, which may be a whole line of megabytes, the beginning is kept."""


class Faults:
    """The first faults of each pass over a file, and the number of all.

    A pass reports faults in the order of their rows; after the last one, :meth:`listed` is exact:
    the ``limit`` faults with the smallest rows are among the first ``limit`` of each pass.
    """

    def __init__(self, file: str, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._kept: list[InputError] = []
        self._room = limit
        self.count = 0

    def begin_pass(self) -> None:
        """Room for ``limit`` more: the next pass starts at the top of the file again."""
        self._room = self._limit

    @property
    def full(self) -> bool:
        """True if this pass keeps no more faults; :meth:`skip` counts them without a reason."""
        return self._room == 0

    def add(self, row: int | None, column: str | None, value: object, reason: str) -> None:
        """Count a fault, and keep it if there is room."""
        self.count += 1
        if self._room:
            self._room -= 1
            if isinstance(value, str | bytes):
                value = value[:MAX_SHOWN]
            self._kept.append(InputError(self._file, row, column, value, reason))

    def add_error(self, error: InputError) -> None:
        """Count and keep a fault that ended the reading."""
        self.count += 1
        self._kept.append(error)

    def skip(self, count: int) -> None:
        """Count faults that there is no room for."""
        self.count += count

    def listed(self) -> tuple[InputError, ...]:
        """The first faults by row; those of no row come last."""
        order = sorted(self._kept, key=lambda fault: (fault.row is None, fault.row or 0))
        return tuple(order[: self._limit])


def shown_text(value: bytes) -> str | bytes:
    """Bytes of a file as a person reads them: text if they are UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
