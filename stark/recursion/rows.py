"""The rows of a circuit while it is written, and the addresses that its messages have."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from stark.errors import UsageError
from stark.recursion.circuit import STEP_WIDTH, Operation
from stark.recursion.tables.arithmetic import ARITHMETIC_COLUMNS
from stark.recursion.tables.decomposition import DECOMPOSITION_COLUMNS, take_column
from stark.recursion.tables.fold import FOLD_COLUMNS
from stark.recursion.tables.permutation import PERMUTATION_COLUMNS

Wire = int
"""Address of a wire."""

DigestWire = int
"""Address of a digest."""

RATE = 8
"""Lanes of a block."""

WRITES = -2
"""Stands for the number of reads of an address until that is known."""


class Rows:
    """The fixed columns of a table, filled row by row; most cells of a row are zero.

    Until the table is complete, its columns are longer than it is: zeros are made many at a time.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.columns = {name: array("q") for name in names}
        self.count = 0
        self._height = 0

    def append(self, values: Mapping[str, int]) -> int:
        """A row that is zero but for ``values``; its number."""
        row = self.count
        self.count += 1
        self._reserve(self.count)
        columns = self.columns
        for name, value in values.items():
            columns[name][row] = value
        return row

    def set(self, row: int, name: str, value: int) -> None:
        """Set a cell of a row, one that exists or that ``count`` will soon include."""
        self._reserve(row + 1)
        self.columns[name][row] = value

    def complete(self) -> None:
        """Columns as long as there are rows."""
        self._reserve(self.count)
        for column in self.columns.values():
            del column[self.count :]
        self._height = self.count

    def _reserve(self, rows: int) -> None:
        """Columns of at least that many cells; twice as many as before, so that each cell is moved
        once on average."""
        if rows <= self._height:
            return
        height = max(rows, 2 * self._height)
        for column in self.columns.values():
            column.frombytes(bytes(column.itemsize * (height - self._height)))
        self._height = height


class Addresses:
    """Addresses of one bus and how often each is read."""

    def __init__(self) -> None:
        self.reads = array("q", [0])

    def fresh(self, count: int = 1) -> int:
        """The first of ``count`` new addresses."""
        first = len(self.reads)
        self.reads.extend([0] * count)
        return first

    def read(self, address: int) -> int:
        """Count a read; the address itself."""
        if not 0 < address < len(self.reads):
            raise UsageError(f"{address} is no address of this circuit")
        self.reads[address] += 1
        return address


class CircuitRows:
    """All rows of a circuit, its addresses and its steps.

    Parameters
    ----------
    log_order
        log2 of the largest evaluation domain of an inner proof.
    widths
        The numbers of bits that are ever taken of a base element, distinct, ascending.
    """

    def __init__(self, log_order: int, widths: Sequence[int]) -> None:
        self.log_order = log_order
        self.widths = tuple(widths)
        self.wires = Addresses()
        self.digests = Addresses()
        self.arithmetic = Rows(ARITHMETIC_COLUMNS)
        self.permutation = Rows(PERMUTATION_COLUMNS)
        self.folds = Rows(FOLD_COLUMNS)
        self.decomposition = Rows(
            (*DECOMPOSITION_COLUMNS, *(take_column(width) for width in self.widths))
        )
        self.steps = array("q")
        self.hint_count = 0
        self.labels: list[tuple[int, str]] = []
        self.cap_heights: dict[int, int] = {}

    def label(self, name: str) -> None:
        """Name the part of the program that begins here."""
        self.labels.append((len(self.steps) // STEP_WIDTH, name))

    def hints(self, count: int) -> None:
        """Count values that the next step takes from the inner proof."""
        self.hint_count += count

    def step(self, operation: Operation, row: int, *arguments: int) -> None:
        """Append a step of witness generation."""
        padding = STEP_WIDTH - 2 - len(arguments)
        self.steps.extend([operation, row, *arguments, *([0] * padding)])
