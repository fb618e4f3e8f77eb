"""What the estimator must know of a multi-table STARK: heights, widths, degrees, counts."""

from __future__ import annotations

from dataclasses import dataclass

from stark.errors import Code, Rejected
from stark.field.koalabear import TWO_ADICITY, P


def _require(condition: bool, check: str, expected: object, got: object) -> None:
    if not condition:
        raise Rejected(Code.PARAMS, check, expected, got)


@dataclass(frozen=True)
class TableFigures:
    """One table.

    Parameters
    ----------
    name
        For reports and errors.
    log_height
        Log2 of the number of rows.
    functions
        Functions of this table in the FRI batch: one for every committed column (preprocessed,
        main, auxiliary, quotient, mask) and out-of-domain point at which it is opened.
    constraints
        Constraints combined by the constraint challenge, those of boundaries and buses included.
    degree
        Largest degree of a constraint in the columns.
    points
        Largest number of out-of-domain points at which one column is opened; the current and the
        next row make 2.
    """

    name: str
    log_height: int
    functions: int
    constraints: int
    degree: int
    points: int

    def __post_init__(self) -> None:
        # Zero of anything would make a bound meaningless: no constraint proves nothing.
        for label in ("functions", "constraints", "degree", "points"):
            value = getattr(self, label)
            _require(value >= 1, f"{label} of table {self.name}", ">= 1", value)
        _require(
            0 <= self.log_height <= TWO_ADICITY,
            f"log2 of the height of table {self.name}",
            f"0..{TWO_ADICITY}",
            self.log_height,
        )


@dataclass(frozen=True)
class BusFigures:
    """One bus.

    Parameters
    ----------
    name
        For reports and errors.
    width
        Elements of a tuple, without the bus identifier.
    fractions
        Fractions in the bus sum: over all tables, rows times interactions with this bus.
    gamma_degree
        Degree of the numerators in the challenge gamma; 0 if numerators are plain counts.
    count_bound
        Sum over all rows of the largest counts sent, an integer. It must lie below p: LogUp
        compares sums mod p. ``None`` for a bus that argues its bound per tuple where it is
        defined.
    """

    name: str
    width: int
    fractions: int
    gamma_degree: int = 0
    count_bound: int | None = None

    def __post_init__(self) -> None:
        for label, least in (("width", 1), ("fractions", 1), ("gamma_degree", 0)):
            value = getattr(self, label)
            _require(value >= least, f"{label} of bus {self.name}", f">= {least}", value)
        if self.count_bound is not None:
            _require(
                1 <= self.count_bound < P,
                f"sum of the counts of bus {self.name}",
                f"1..{P - 1}",
                self.count_bound,
            )

    @property
    def degree(self) -> int:
        """Degree in the bus challenges that one fraction adds to the cleared bus sum.

        W + 1 for the tuple with its bus identifier, 1 for the chance that its denominator
        vanishes, and the degree of the numerators in gamma (LogUp, ePrint 2022/1530, section 4).
        """
        return self.width + 2 + self.gamma_degree


@dataclass(frozen=True)
class SystemFigures:
    """All tables and buses that one proof ties together. There may be no bus."""

    tables: tuple[TableFigures, ...]
    buses: tuple[BusFigures, ...] = ()

    def __post_init__(self) -> None:
        _require(len(self.tables) >= 1, "at least one table", ">= 1", len(self.tables))

    @property
    def log_heights(self) -> tuple[int, ...]:
        """Distinct log2 heights, largest first."""
        return tuple(sorted({table.log_height for table in self.tables}, reverse=True))

    @property
    def constraints(self) -> int:
        """Constraints of all tables."""
        return sum(table.constraints for table in self.tables)

    def functions_at(self, log_height: int) -> int:
        """Functions in the FRI batch of all tables of one height."""
        return sum(table.functions for table in self.tables if table.log_height == log_height)
