"""What a batch's proof has to do, counted from its tables and parameters, round by round.

Counts times the speeds of single operations (:mod:`air.bench.speeds`) bound what a round should
take; what it takes beyond that is memory, Python, or work that nobody knows of. The counts follow
from the protocol and from what :mod:`stark.prover` keeps in memory, not from watching it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from air.bench.sections import Walked, named_trees
from air.bench.speeds import Speeds, block_count, nonces_tried
from stark.constraints.expression import Part
from stark.field.extension import DEGREE
from stark.field.memory import LANES, padded_width
from stark.hash.sha256 import ELEMENT_BYTES
from stark.merkle.multiproof import TreeShape, group_indices
from stark.prover.masks import mask_length
from stark.system import Table
from stark.verifier.deep import TREE_OF
from stark.verifier.key import VerificationKey
from stark.verifier.layout import TableLayout, Tree, cells, mask_cells, tables_in
from stark.verifier.protocol import fri_schedule


@dataclass(frozen=True)
class Term:
    """``count`` times an operation, in ``unit``; ``seconds`` is the computed bound."""

    operation: str
    unit: str
    count: int
    seconds: float


class RoundWork:
    """The terms of one round, those of one operation and unit added up."""

    def __init__(self) -> None:
        self._terms: dict[tuple[str, str], tuple[int, float]] = {}

    def add(self, operation: str, unit: str, count: int, seconds_per_unit: float) -> None:
        counted, seconds = self._terms.get((operation, unit), (0, 0.0))
        own = counted + count, seconds + count * seconds_per_unit
        self._terms[operation, unit] = own

    def terms(self) -> list[Term]:
        """Largest bound first."""
        terms = [Term(*key, *value) for key, value in self._terms.items()]
        return sorted(terms, key=lambda term: -term.seconds)


class BatchWork:
    """The rounds of one proof.

    Parameters
    ----------
    walked
        The proof: its queries, and the nonces of its proofs of work.
    lean
        As it was proven: whether evaluations are made again.
    """

    def __init__(self, key: VerificationKey, walked: Walked, lean: bool, speeds: Speeds) -> None:
        self.key = key
        self.tables = key.system.tables
        self.parameters = key.parameters
        self.blowup = 1 << key.parameters.log_blowup
        self.walked = walked
        self.lean = lean
        self.speeds = speeds
        self.trees = dict(named_trees(key))

    def rounds(self) -> dict[str, list[Term]]:
        """Terms by the names that the prover reports."""
        return {
            "trace": self._trace().terms(),
            "main columns": self._main().terms(),
            "bus columns": self._bus().terms(),
            "constraints": self._constraints().terms(),
            "openings": self._openings().terms(),
            "low-degree test": self._low_degree_test().terms(),
            "queries": self._queries().terms(),
        }

    # ---- rounds

    def _trace(self) -> RoundWork:
        """The permutations; what else a trace takes is copying."""
        work = RoundWork()
        for table in self.tables:
            if table.name in ("chain", "tree"):
                width = padded_width(table.witness_width)
                each = self.speeds.permutation_rows(table.height, width)
                work.add("permutations traced", "row", table.height, each)
            if table.name == "chain":
                each = self.speeds.chained_rows(table.height)
                work.add("permutations chained", "row", table.height, each)
        return work

    def _main(self) -> RoundWork:
        work = RoundWork()
        for table in self.tables:
            self._interpolate(work, table, Tree.MAIN)
        self._commit(work, Tree.MAIN)
        return work

    def _bus(self) -> RoundWork:
        work, speeds = RoundWork(), self.speeds
        self._grind(work, "work lookup")
        for table in self.tables:
            groups = len(table.bus_argument.groups)
            if not groups:
                continue
            rows = table.height
            work.add("fractions interpreted", "row", rows, speeds.fractions(table))
            for operation in ("inverse", "product"):
                self._vector(work, operation, rows, groups)
            self._vector(work, "running sum", rows, 1)
            width = padded_width(cells(table, Tree.AUXILIARY))
            each = speeds.transposition(width, min(rows, 1 << 16))
            work.add("transposition", "word", rows * width, each)
            self._interpolate(work, table, Tree.AUXILIARY)
        self._commit(work, Tree.AUXILIARY)
        return work

    def _constraints(self) -> RoundWork:
        work, speeds = RoundWork(), self.speeds
        self._grind(work, "work constraints")
        for table in self.tables:
            rows, chunks = table.height, table.whole_chunks
            each = speeds.constraints(table)
            work.add("constraints interpreted", "row", chunks * rows, each)
            # Fixed columns are never kept; the others only if memory allows.
            again = [Tree.PREPROCESSED]
            again += [Tree.MAIN, Tree.AUXILIARY] if self.lean else []
            for tree in again:
                self._transform(work, rows, cells(table, tree), chunks)
            for operation in ("points", "differences"):
                self._vector(work, operation, rows, chunks)
            self._vector(work, "base scaling", rows, chunks * chunks)
            width = padded_width(cells(table, Tree.QUOTIENT))
            count = chunks * rows * width
            work.add("transposition", "word", count, speeds.transposition(width, rows))
            work.add("interpolation", "cell", count, speeds.interpolation(rows, width))
            work.add("addition", "cell", (chunks - 1) * rows * width, self._addition(rows))
        self._commit(work, Tree.QUOTIENT)
        return work

    def _openings(self) -> RoundWork:
        work, speeds = RoundWork(), self.speeds
        self._grind(work, "work zeta")
        self._grind(work, "work batching")
        for table in self.tables:
            for tree, columns in self._opened(table):
                width, blocks = padded_width(cells(table, tree)), block_count(columns)
                for rows in self._coefficients(table.height, tree):
                    each = speeds.columns_at_point(rows, width)
                    work.add("columns at a point", "cell", rows * width, each)
                    each = speeds.combination(rows, width, blocks)
                    work.add("combination of columns", "cell", rows * LANES * blocks, each)
        for log_height in self.key.system.log_heights:
            rows = 1 << log_height
            self._vector(work, "point weights", rows, 2)
            self._transform(work, rows, LANES, self.blowup)
            for operation in ("points", "differences", "quotients", "shift by a row"):
                self._vector(work, operation, rows, self.blowup)
        return work

    def _low_degree_test(self) -> RoundWork:
        work, speeds = RoundWork(), self.speeds
        log_height = self.key.system.log_heights[0]
        for layer, log_arity in enumerate(fri_schedule(self.key)):
            rows, arity = 1 << log_height, 1 << log_arity
            leaves = self.blowup * rows >> log_arity
            size = arity * DEGREE * ELEMENT_BYTES
            each = speeds.layer_leaves(self.blowup, rows, arity)
            work.add("leaves hashed", "byte", leaves * size, each / size)
            work.add("nodes hashed", "node", leaves, speeds.nodes(leaves))
            self._grind(work, f"work fold {layer}")
            each = speeds.folding(self.blowup, rows, log_arity)
            work.add("folding", "value", self.blowup * rows, each)
            log_height -= log_arity
            if log_height in self.key.system.log_heights:
                count = self.blowup << log_height
                for operation in ("scaling", "sum"):
                    self._vector(work, operation, count, 1)
        self._grind(work, "work queries")
        return work

    def _queries(self) -> RoundWork:
        work, speeds = RoundWork(), self.speeds
        for tree in Tree:
            shape = self.trees.get(tree.label)
            if shape is None:
                continue
            inside = [index % (1 << shape.log_size) for index in self.walked.indices]
            groups = group_indices(shape, inside)
            for (log_size, _), positions in zip(shape.groups, groups, strict=True):
                log_height = log_size - self.parameters.log_blowup
                for table, width in self._members(tree, log_height):
                    kept = self._kept(table, tree)
                    left = sum(position % self.blowup >= kept for position in positions)
                    # Five points of the base field share a pass, as coefficients of one.
                    passes = -(-left // DEGREE)
                    for rows in self._coefficients(1 << log_height, tree):
                        each = speeds.columns_at_point(rows, width)
                        work.add("columns at queries", "cell", passes * rows * width, each)
                        self._vector(work, "query weights", rows, passes)
        return work

    # ---- parts of rounds

    def _interpolate(self, work: RoundWork, table: Table, tree: Tree) -> None:
        width = padded_width(cells(table, tree))
        each = self.speeds.interpolation(table.height, width)
        work.add("interpolation", "cell", table.height * width, each)

    def _transform(self, work: RoundWork, rows: int, columns: int, times: int) -> None:
        if columns:
            width = padded_width(columns)
            each = self.speeds.transform(rows, width)
            work.add("transform", "cell", times * rows * width, each)

    def _commit(self, work: RoundWork, tree: Tree) -> None:
        """Evaluate on all cosets, hash rows and nodes, and draw the masks."""
        shape = self.trees[tree.label]
        for log_size, width in shape.groups:
            log_height = log_size - self.parameters.log_blowup
            rows = 1 << log_height
            widths = [
                cells(self.tables[number], tree)
                for number in tables_in(self.tables, tree, log_height)
            ]
            mask = mask_cells(tree, self.parameters.zk)
            widths += [mask] if mask else []
            for own in widths:
                self._transform(work, rows, own, self.blowup)
            each = self.speeds.leaves(rows, tuple(widths), shape.salted)
            count = self.blowup * rows * 4 * width
            work.add("leaves hashed", "byte", count, each / (4 * width))
        leaves = 1 << shape.log_size
        work.add("nodes hashed", "node", leaves, self.speeds.nodes(leaves))
        if self.parameters.zk:
            work.add("random masks", "element", self._masks(tree, shape), self.speeds.masks())

    def _masks(self, tree: Tree, shape: TreeShape) -> int:
        """Random field elements in a commitment."""
        slack = self.parameters.log_slack
        if tree is Tree.QUOTIENT:
            return sum(
                (table.quotient_chunks - 1) * DEGREE * mask_length(table.height, self.parameters)
                for table in self.tables
            )
        count = sum(
            mask_length(table.height, self.parameters) * cells(table, tree) for table in self.tables
        )
        if mask_cells(tree, True):
            heights = [log_size - self.parameters.log_blowup for log_size, _ in shape.groups]
            count += sum(DEGREE * ((1 << log) + (1 << log >> slack)) for log in heights)
        return count

    def _members(self, tree: Tree, log_height: int) -> list[tuple[Table | None, int]]:
        """Matrices of one height in a tree: table (``None`` for the mask) and padded width."""
        numbers = tables_in(self.tables, tree, log_height)
        members: list[tuple[Table | None, int]] = [
            (self.tables[number], padded_width(cells(self.tables[number], tree)))
            for number in numbers
        ]
        if mask_cells(tree, self.parameters.zk):
            members.append((None, LANES))
        return members

    def _kept(self, table: Table | None, tree: Tree) -> int:
        """How many cosets of a table's columns are still in memory when queries come."""
        if self.lean or table is None or tree not in (Tree.MAIN, Tree.AUXILIARY):
            return 0
        return table.quotient_chunks

    def _coefficients(self, rows: int, tree: Tree) -> tuple[int, ...]:
        """Of a column on ``rows`` rows, and of its mask, which is evaluated by itself."""
        hidden = self.parameters.zk and tree is not Tree.PREPROCESSED
        return (rows, rows >> self.parameters.log_slack) if hidden else (rows,)

    def _opened(self, table: Table) -> list[tuple[Tree, Sequence[int]]]:
        """Trees with the cells that are opened at zeta, then at w zeta."""
        found: list[tuple[Tree, Sequence[int]]] = [
            (tree, range(cells(table, tree))) for tree in Tree if cells(table, tree)
        ]
        following: dict[Tree, list[int]] = {}
        for part, column in TableLayout.of(table).following:
            own = range(DEGREE * column, DEGREE * (column + 1))
            spread = own if part is Part.AUXILIARY else [column]
            following.setdefault(TREE_OF[part], []).extend(spread)
        return found + list(following.items())

    def _vector(self, work: RoundWork, operation: str, length: int, times: int) -> None:
        each = self.speeds.vector(operation, length)
        work.add(operation, "element", length * times, each)

    def _addition(self, rows: int) -> float:
        """Per cell: element-wise sums, five cells to an element of a vector."""
        return self.speeds.vector("sum", rows) / DEGREE

    def _grind(self, work: RoundWork, label: str) -> None:
        if label in self.walked.nonces:
            count = nonces_tried(self.walked.nonces[label], self.walked.work_bits[label])
            work.add("proof of work", "nonce", count, self.speeds.work())
