"""Tables whose preprocessed columns are a circuit: given from outside, checked here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from stark.constraints.air import Air
from stark.errors import UsageError
from stark.field.koalabear import P

Columns = Mapping[str, Sequence[int]]


class FixedAir(Air):
    """An AIR with preprocessed values that are given when it is made.

    Parameters
    ----------
    log_height
        log2 of the number of rows.
    fixed_columns
        Names of the preprocessed columns, in order.
    flags
        Those that hold 0 or 1.
    columns
        Canonical values by name, one per row; ``None`` for symbolic use (widths, degrees, keys that
        hold the preprocessed root), where nobody asks for values.

    Raises
    ------
    UsageError
        If a column is missing or unknown, has another length, or holds something else than it may.
    """

    def __init__(
        self,
        log_height: int,
        fixed_columns: tuple[str, ...],
        flags: Collection[str],
        columns: Columns | None,
    ) -> None:
        super().__init__(log_height)
        self.fixed_columns = fixed_columns
        self._columns = None if columns is None else dict(columns)
        if self._columns is None:
            return
        if set(self._columns) != set(fixed_columns):
            missing = sorted(set(fixed_columns) - set(self._columns))
            unknown = sorted(set(self._columns) - set(fixed_columns))
            raise UsageError(f"{self.name}: columns missing {missing}, unknown {unknown}")
        for name, values in self._columns.items():
            if len(values) != 1 << log_height:
                raise UsageError(
                    f"{self.name}: {name!r} has {len(values)} values on {1 << log_height} rows"
                )
            held = set(values)
            if min(held) < 0 or max(held) >= P:
                raise UsageError(f"{self.name}: {name!r} holds a value outside 0 ... p - 1")
            if name in flags and not held <= {0, 1}:
                raise UsageError(f"{self.name}: {name!r} holds something else than 0 and 1")

    def preprocessed(self) -> Columns:
        """The values that were given.

        Raises
        ------
        UsageError
            If the AIR was made without them.
        """
        if self._columns is None:
            raise UsageError(f"{self.name}: made without preprocessed values")
        return self._columns

    def _at_most_one(self, columns: Columns, names: Sequence[str]) -> None:
        """UsageError if two of these flags are set on one row."""
        sums = map(sum, zip(*(columns[name] for name in names), strict=True))
        for row, count in enumerate(sums):
            if count > 1:
                raise UsageError(f"{self.name}: row {row} sets two of {', '.join(names)}")

    def _only_where(self, columns: Columns, name: str, flag: str) -> None:
        """UsageError if a column is not zero on a row where ``flag`` is."""
        for row, (value, allowed) in enumerate(zip(columns[name], columns[flag], strict=True)):
            if value and not allowed:
                raise UsageError(f"{self.name}: row {row} has {name!r} without {flag!r}")
