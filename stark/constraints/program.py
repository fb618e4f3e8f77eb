"""Programs of a register machine that evaluates expressions on blocks of rows.

An AIR is not compiled to machine code: that would take a compiler run of seconds to minutes for
every AIR. It becomes a list of operations on vectors of a few hundred rows, which one precompiled
kernel interprets; per row, the cost of decoding an operation vanishes.

The machine's memory (*workspace*) holds one *slot* for each gathered column and for each register,
then the constants. A slot has ``stride = block + 16`` words: row r of a block is word r, and since
16 rows past the block are gathered too, the next row of a column is the same operand one word on.
A constant is 16 equal words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stark.constraints.expression import Graph, Part
from stark.constraints.lowering import Kind, Lowered, Value, lower
from stark.field.extension import DEGREE

LANES = 16
GROUP = 64
"""Rows that the kernel takes at a time where decoding would cost as much as arithmetic."""

ACCUMULATED = 4
"""Values folded by one ACCUMULATE: it loads and stores the accumulators once for all of them."""

WORKSPACE_BYTES = 1 << 19
"""Wanted size of the workspace, half of a usual second-level cache of 1 MiB."""

MAX_RESIDENT_TILES = 24
"""Up to so many tiles are gathered at the start of a block, row by row as they lie in memory. Wider
tables would fill the cache with columns that are not used yet: theirs are gathered one by one, just
before their first use, into slots that others have left."""


class Mode(Enum):
    """What becomes of the roots: one random combination of all, or the values of each."""

    FOLD = "fold"
    STORE = "store"


class Opcode(IntEnum):
    """Operations, each followed by its operands in the code.

    A source takes two words: its address, and the mask of the row offset (0 for a constant, which
    is the same 16 words on all rows, else -1). A destination is an address.
    """

    ADD = 0  # destination, source, source; likewise the following two
    SUBTRACT = 1
    MULTIPLY = 2
    DOT = 3  # destination, number of products, source, source, source, source, ...
    COMBINE = 4  # destination, even number of products, address, constant's address, ...
    ACCUMULATE = 5  # first value, then ACCUMULATED addresses
    STORE = 6  # row of the output, address
    GATHER = 7  # source, tile, address of its 16 slots


LENGTHS = {
    Opcode.ADD: 6,
    Opcode.SUBTRACT: 6,
    Opcode.MULTIPLY: 6,
    Opcode.ACCUMULATE: 2 + ACCUMULATED,
    Opcode.STORE: 3,
    Opcode.GATHER: 4,
}
"""Words of the operations whose length does not follow from a number of products."""


class Source(IntEnum):
    """Where a gathered slot comes from; the first words of a row of ``Program.gathers``."""

    PREPROCESSED = 0  # tile of 16 columns, into 16 slots; likewise the following two
    MAIN = 1
    AUXILIARY = 2
    SELECTOR = 3  # selector
    PERIODIC = 4  # index of the periodic column


@dataclass(frozen=True)
class Program:
    """Operations for some roots of a graph, to be run with any constants and any rows.

    Attributes
    ----------
    code
        int64, one dimension: see :class:`Opcode`.
    gathers
        int64 (n, 3): :class:`Source`, tile or index, first slot; at the start of a block.
    inputs
        Source and tile or index of all that is gathered, then or later.
    constants
        Entries of the constant pool, in evaluation order: ``(CONSTANT, node, coefficient)``,
        ``(ZERO,)`` or an operation on two earlier entries.
    components
        Per value of the fold, its root and its coefficient of the root; ``None`` for padding.
    extended
        Per root, whether its values lie in the extension field.
    block, stride, slots
        Rows in a block; words in a slot; number of slots.
    """

    graph: Graph
    mode: Mode
    code: NDArray[np.int64]
    gathers: NDArray[np.int64]
    inputs: tuple[tuple[int, int], ...]
    constants: tuple[tuple[int, ...], ...]
    components: tuple[tuple[int, int] | None, ...]
    extended: tuple[bool, ...]
    block: int
    slots: int

    @property
    def stride(self) -> int:
        return self.block + LANES

    @property
    def workspace_words(self) -> int:
        return self.slots * self.stride + len(self.constants) * LANES

    @property
    def operations(self) -> int:
        """Number of instructions."""
        return len(list(instructions(self.code)))


def compile_fold(graph: Graph, roots: Sequence[int]) -> Program:
    """The program that combines the nodes ``roots`` of ``graph`` with random weights.

    Roots may be of either field, repeat, or be constant. Cached: a graph only grows, so what a
    root means never changes.
    """
    return _compile(graph, tuple(roots), Mode.FOLD)


def compile_store(graph: Graph, roots: Sequence[int]) -> Program:
    """Like :func:`compile_fold`, for the values of each root."""
    return _compile(graph, tuple(roots), Mode.STORE)


@lru_cache(maxsize=256)
def _compile(graph: Graph, roots: tuple[int, ...], mode: Mode) -> Program:
    lowered, values = lower(graph, roots)
    events = _schedule(lowered, values, mode)
    events = _with_gathers(lowered, events)
    layout = _Layout(lowered, events)
    block = _block(layout)
    components: list[tuple[int, int] | None] = []
    if mode is Mode.FOLD:
        components = [(r, k) for r, root in enumerate(values) for k in range(len(root))]
        components += [None] * (-len(components) % ACCUMULATED)
    return Program(
        graph=graph,
        mode=mode,
        code=layout.encode(events, block + LANES),
        gathers=np.array(layout.gathers, np.int64).reshape(-1, 3),
        inputs=tuple(sorted(layout.gathered)),
        constants=tuple(layout.pool),
        components=tuple(components),
        extended=tuple(graph.extended[root] for root in roots),
        block=block,
        slots=layout.slots,
    )


def _block(layout: _Layout) -> int:
    """The longest block, within 64 ... 512 rows, whose workspace has the wanted size."""
    block = 512
    while block > 64 and 4 * layout.slots * (block + LANES) > WORKSPACE_BYTES:
        block //= 2
    return block


# ---- schedule


@dataclass(frozen=True)
class _Event:
    """One instruction before its operands have addresses. ``result`` is the value that it
    computes, or -1; ``index`` the first folded value or the stored row of the output; ``tile`` the
    source and index of what is gathered."""

    opcode: Opcode
    result: Value
    sources: tuple[Value, ...]
    index: int = 0
    tile: tuple[int, int] | None = None


_OPCODES = {
    Kind.ADD: Opcode.ADD,
    Kind.SUBTRACT: Opcode.SUBTRACT,
    Kind.MULTIPLY: Opcode.MULTIPLY,
    Kind.DOT: Opcode.DOT,
}


def _schedule(lowered: Lowered, roots: Sequence[tuple[Value, ...]], mode: Mode) -> list[_Event]:
    """Depth first, root after root, so that most values are used soon after they are computed."""
    events: list[_Event] = []
    done: set[Value] = set()
    outputs = [
        (DEGREE * number + k, _as_register(lowered, value))
        for number, root in enumerate(roots)
        for k, value in enumerate(root)
    ]
    if mode is Mode.STORE:
        for row, value in outputs:
            events += _visit(lowered, value, done)
            events.append(_Event(Opcode.STORE, -1, (value,), row))
        return events
    for start in range(0, len(outputs), ACCUMULATED):
        values = [value for _, value in outputs[start : start + ACCUMULATED]]
        for value in values:
            events += _visit(lowered, value, done)
        values += [values[0]] * (ACCUMULATED - len(values))  # padding: its weight is zero
        events.append(_Event(Opcode.ACCUMULATE, -1, tuple(values), start))
    return events


def _as_register(lowered: Lowered, value: Value) -> Value:
    """Outputs are read row by row, so a constant is copied to a register."""
    return lowered.copy(value) if lowered.constant[value] else value


def _visit(lowered: Lowered, root: Value, done: set[Value]) -> Iterable[_Event]:
    stack = [(root, False)]
    while stack:
        value, operands_done = stack.pop()
        kind, *_ = lowered.values[value]
        if value in done or kind < Kind.ADD or lowered.constant[value]:
            continue
        operands = lowered.operands(value)
        if operands_done:
            done.add(value)
            yield _instruction(lowered, value)
        else:
            stack.append((value, True))
            stack.extend((operand, False) for operand in reversed(operands))


def _instruction(lowered: Lowered, value: Value) -> _Event:
    """The instruction for one value. A dot product with constants has the constants second, and
    an even number of terms."""
    kind = Kind(lowered.values[value][0])
    operands = lowered.operands(value)
    if kind is not Kind.DOT:
        return _Event(_OPCODES[kind], value, operands)
    constant = lowered.constant
    pairs = [
        sorted(pair, key=lambda operand: constant[operand])
        for pair in zip(operands[::2], operands[1::2], strict=True)
    ]
    if any(constant[first] or not constant[second] for first, second in pairs):
        return _Event(Opcode.DOT, value, operands)
    if len(pairs) % 2:
        pairs.append([pairs[0][0], lowered.leaf(Kind.ZERO)])
    return _Event(Opcode.COMBINE, value, tuple(operand for pair in pairs for operand in pair))


def _with_gathers(lowered: Lowered, events: Sequence[_Event]) -> list[_Event]:
    """The events, with a gathering of each tile before its first use if there are many tiles."""
    tiles_of = [_tiles(lowered, event) for event in events]
    if len({tile for tiles in tiles_of for tile in tiles}) <= MAX_RESIDENT_TILES:
        return list(events)
    result: list[_Event] = []
    seen: set[tuple[int, int]] = set()
    for event, tiles in zip(events, tiles_of, strict=True):
        for tile in tiles:
            if tile not in seen:
                seen.add(tile)
                result.append(_Event(Opcode.GATHER, -1, (), tile=tile))
        result.append(event)
    return result


def _tiles(lowered: Lowered, event: _Event) -> list[tuple[int, int]]:
    """Tiles that an event reads, in order."""
    cells = [lowered.values[source] for source in event.sources]
    found = [_gather(kind, arguments)[:2] for kind, *arguments in cells if kind == Kind.CELL]
    return sorted(set(found))


# ---- addresses


class _Layout:
    """Slots for the gathered columns and, by linear scan, for the registers; a constant pool."""

    def __init__(self, lowered: Lowered, events: Sequence[_Event]) -> None:
        self.lowered = lowered
        self.gathers: list[tuple[int, int, int]] = []
        self.pool: list[tuple[int, ...]] = []
        self.slots = 0
        self.gathered: dict[tuple[int, int], int] = {}
        self._registers: dict[Value, int] = {}
        self._pooled: dict[Value, int] = {}
        self._assign_tiles(events)
        used = sorted({source for event in events for source in event.sources})
        for value in used:
            if lowered.constant[value]:
                self._add_constant(value)
            elif lowered.values[value][0] < Kind.ADD:
                self._add_input(value)
        self._assign_registers(events)

    def encode(self, events: Sequence[_Event], stride: int) -> NDArray[np.int64]:
        """The code, with addresses for slots of ``stride`` words.

        A value may have one register only: the scan assigns each value once.
        """
        words: list[int] = []
        for event in events:
            words.append(event.opcode)
            if event.tile is not None:
                words += [*event.tile, self.gathered[event.tile] * stride]
                continue
            if event.opcode in (Opcode.ACCUMULATE, Opcode.STORE):
                words.append(event.index)
                words += [self._source(source, stride)[0] for source in event.sources]
                continue
            words.append(self._registers[event.result] * stride)
            if event.opcode in (Opcode.DOT, Opcode.COMBINE):
                words.append(len(event.sources) // 2)
            for source in event.sources:
                words += self._source(source, stride)[: 1 if event.opcode is Opcode.COMBINE else 2]
        return np.array(words, np.int64)

    def _source(self, value: Value, stride: int) -> tuple[int, int]:
        """Address and mask of a source."""
        if self.lowered.constant[value]:
            return self.slots * stride + self._pooled[value] * LANES, 0
        if value in self._registers:
            return self._registers[value] * stride, -1
        slot, offset = self._input(value)
        return slot * stride + offset, -1

    def _add_constant(self, value: Value) -> None:
        if value not in self._pooled:
            entry = self.lowered.values[value]
            operands = self.lowered.operands(value)
            for operand in operands:
                self._add_constant(operand)
            if operands:
                entry = (entry[0], *(self._pooled[operand] for operand in operands))
            self._pooled[value] = len(self.pool)
            self.pool.append(entry)

    def _add_input(self, value: Value) -> None:
        kind, *arguments = self.lowered.values[value]
        source, index, count = _gather(kind, arguments)
        if (source, index) not in self.gathered:
            self.gathered[source, index] = self.slots
            self.gathers.append((source, index, self.slots))
            self.slots += count

    def _input(self, value: Value) -> tuple[int, int]:
        """Slot of a gathered value, and its row offset."""
        kind, *arguments = self.lowered.values[value]
        source, index, _ = _gather(kind, arguments)
        slot = self.gathered[source, index]
        if kind == Kind.CELL:
            return slot + arguments[1] % LANES, arguments[2]
        return slot, 0

    def _assign_tiles(self, events: Sequence[_Event]) -> None:
        """Slots of tiles that the code gathers; free again after the tile's last use.

        Never at that use itself: the next row of a tile is read on later rows of the operation.
        """
        last_use = {
            tile: k for k, event in enumerate(events) for tile in _tiles(self.lowered, event)
        }
        free: list[int] = []
        ending: dict[int, list[int]] = {}
        for position, event in enumerate(events):
            free += ending.pop(position - 1, [])
            if event.tile is None:
                continue
            if not free:
                free.append(self.slots)
                self.slots += LANES
            base = self.gathered[event.tile] = free.pop()
            ending.setdefault(last_use[event.tile], []).append(base)

    def _assign_registers(self, events: Sequence[_Event]) -> None:
        """A register is free again after the last use of its value.

        It may be taken by the very operation that uses it last: an operation reads 16 rows of all
        its sources before it writes the same 16 rows, and registers are never read on a next row.
        """
        last_use = {source: k for k, event in enumerate(events) for source in event.sources}
        free: list[int] = []
        for position, event in enumerate(events):
            for source in sorted(set(event.sources)):
                if source in self._registers and last_use[source] == position:
                    free.append(self._registers[source])
            if event.result >= 0:
                if not free:
                    free.append(self.slots)
                    self.slots += 1
                self._registers[event.result] = free.pop()


def _gather(kind: int, arguments: Sequence[int]) -> tuple[Source, int, int]:
    """Source, tile or index, and number of slots of an input."""
    if kind == Kind.CELL:
        return Source(Part(arguments[0])), arguments[1] // LANES, LANES
    return (Source.SELECTOR if kind == Kind.SELECTOR else Source.PERIODIC), arguments[0], 1


def instructions(code: NDArray[np.int64]) -> Iterable[tuple[Opcode, list[int]]]:
    """The operations of a program's code, with their words."""
    words = code.tolist()
    position = 0
    while position < len(words):
        opcode = Opcode(words[position])
        if opcode in (Opcode.DOT, Opcode.COMBINE):
            length = 3 + (4 if opcode is Opcode.DOT else 2) * words[position + 2]
        else:
            length = LENGTHS[opcode]
        yield opcode, words[position + 1 : position + length]
        position += length
