"""The verifier of ``stark.verifier``, written as a circuit.

It walks the same schema, reads the same constraints and asks for the same equations; the inner key,
whole, is a constant of the circuit. Nothing of an inner proof decides what is done: a proof that
does not verify makes the rows unsatisfiable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.errors import UsageError
from stark.field import extension as ext
from stark.hash.suite import POSEIDON1_SUITE
from stark.merkle.multiproof import TreeShape
from stark.recursion.builder import RATE, CircuitBuilder, DigestWire, Wire
from stark.recursion.deep import HeightDeep
from stark.recursion.folds import begin_fold, low_bits
from stark.recursion.openings import LeafForm, open_leaf, open_rows
from stark.recursion.out_of_domain import OpenedTableWires, PointCache, check_table
from stark.recursion.transcript import Cap, CircuitTranscript
from stark.transcript.transcript import Transcript
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, cells, mask_cells, tables_in, tree_shape
from stark.verifier.protocol import (
    PROTOCOL,
    bus_tables,
    fri_cap_height,
    fri_leaf_log_size,
    fri_schedule,
    schema,
)

CONTEXT_BYTES = 32
"""Inner proofs are bound to a context of this size: a digest, 16 limbs of 16 bits, two blocks."""


@dataclass(frozen=True)
class PublicBlock:
    """Eight public values of an inner table, or fewer after zeros, both ways.

    Attributes
    ----------
    digest
        The block as it is absorbed: zeros in front.
    lanes
        The values themselves, proven to be base elements.
    """

    digest: DigestWire
    lanes: tuple[Wire, ...]


PublicWires = Mapping[str, Sequence[PublicBlock]]
"""Blocks of the public values by table; the first block of a table may be shorter than 8."""


def log_domain(key: VerificationKey) -> int:
    """log2 of the largest evaluation domain of a key's proofs."""
    return key.system.log_heights[0] + key.parameters.log_blowup


def taken_widths(key: VerificationKey) -> set[int]:
    """The numbers of low bits that verifying a proof takes of base elements."""
    parameters = key.parameters
    widths = {log_domain(key)}
    for bits in (
        parameters.grinding_lookup if bus_tables(key.system.tables) else 0,
        parameters.grinding_ali,
        parameters.grinding_deep,
        parameters.grinding_batching,
        parameters.grinding_fold if fri_schedule(key) else 0,
        parameters.grinding_query,
    ):
        if bits:
            widths.add(bits)
    return widths


def public_blocks(builder: CircuitBuilder, lanes: Sequence[Wire]) -> list[PublicBlock]:
    """Base elements as blocks, zeros in front of the first."""
    if not lanes:
        return []
    first = len(lanes) % RATE or RATE
    starts = [0, *range(first, len(lanes), RATE)]
    blocks = []
    for start, end in zip(starts, [*starts[1:], len(lanes)], strict=True):
        part = tuple(lanes[start:end])
        zeros = [builder.constant(0)] * (RATE - len(part))
        blocks.append(PublicBlock(builder.digest_of_lanes([*zeros, *part]), part))
    return blocks


def verify_in_circuit(
    builder: CircuitBuilder,
    key: VerificationKey,
    context: Sequence[DigestWire],
    publics: PublicWires,
) -> None:
    """Rows that can be satisfied exactly by a proof for ``key`` that verifies.

    Parameters
    ----------
    builder
        With the largest ``log_domain`` and all ``taken_widths`` of the keys that it is used for.
        Its root must be that of this key: all inner keys of a circuit have one ``log_domain``.
    key
        What the inner proof must prove; all of it becomes constants.
    context
        The inner proof's context of 32 bytes as two blocks of 16-bit limbs.
    publics
        Its public values.

    Raises
    ------
    UsageError
        For keys that circuits cannot verify: SHA-256, independent coefficients, rows opened in
        part, another domain than the builder's.
    """
    _check_key(builder, key)
    tables = key.system.tables
    unknown = set(publics) - {table.name for table in tables}
    if unknown:
        raise UsageError(f"public values of tables that do not exist: {sorted(unknown)}")
    items = schema(key, CONTEXT_BYTES)
    said, capacity = constant_capacity(key)
    first = builder.digest_constant(capacity)
    heights = _constant_blocks(builder, [table.log_height for table in tables])
    caps: dict[Tree, Cap] = {}
    if key.preprocessed_cap:
        (root,) = key.preprocessed_cap
        caps[Tree.PREPROCESSED] = Cap(builder.digest_constant(ext_words(root)), 0)
    builder.label("transcript")
    transcript = CircuitTranscript(builder, items, said, first)
    transcript.known_blocks("context", context)
    for table in tables:
        blocks = publics.get(table.name, ())
        if sum(len(block.lanes) for block in blocks) != table.public_count:
            raise UsageError(f"{table.name} has {table.public_count} public values")
        transcript.known_blocks(f"public {table.name}", [block.digest for block in blocks])
    transcript.known_blocks("heights", heights)
    if key.parameters.zk:
        transcript.receive_unread("salt")
    caps[Tree.MAIN] = transcript.receive_cap("main commitment")
    lookup: tuple[Wire, ...] = ()
    terminals: dict[str, Wire] = {}
    if bus_tables(tables):
        transcript.check_work("work lookup")
        lookup = tuple(transcript.draw("lookup"))
        caps[Tree.AUXILIARY] = transcript.receive_cap("auxiliary commitment")
        names = [table.name for table in bus_tables(tables)]
        terminals = dict(zip(names, transcript.receive_extension("terminals"), strict=True))
    transcript.check_work("work constraints")
    (constraint_challenge,) = transcript.draw("constraints")
    caps[Tree.QUOTIENT] = transcript.receive_cap("quotient commitment")
    transcript.check_work("work zeta")
    (zeta,) = transcript.draw("zeta")
    opened = {table.name: transcript.receive_extension(f"values {table.name}") for table in tables}
    transcript.check_work("work batching")
    (coefficient,) = transcript.draw("batching", gamma=True)
    layers, folds = [], []
    for layer in range(len(fri_schedule(key))):
        layers.append(transcript.receive_cap(f"fri {layer}"))
        transcript.check_work(f"work fold {layer}")
        folds += transcript.draw(f"fold {layer}")
    final = transcript.receive_extension("final polynomial")
    transcript.check_work("work queries")
    indices = transcript.draw_indices("queries")
    transcript.finish()

    builder.label("out of domain")
    if terminals:
        wires = list(terminals.values())
        total = wires[0]
        for wire in wires[1:]:
            total = builder.add(total, wire)
        builder.assert_zero(total)
    cache = PointCache(builder, zeta)
    cache.check_outside(key.system.log_heights[0], key.parameters.log_blowup)
    for table in tables:
        lanes = [lane for block in publics.get(table.name, ()) for lane in block.lanes]
        check_table(
            builder,
            OpenedTableWires.of(table, opened[table.name], lanes, terminals.get(table.name)),
            lookup,
            cache,
            constraint_challenge,
        )
    deeps = {
        log_height: HeightDeep.of(
            builder,
            [table for table in tables if table.log_height == log_height],
            opened,
            coefficient,
            zeta,
        )
        for log_height in key.system.log_heights
    }
    queries = Queries(builder, key, caps, layers, deeps, folds, final)
    for number, (index, y) in enumerate(indices):
        builder.label(f"query {number}")
        queries.check(index, y)


def ext_words(digest: bytes) -> tuple[int, ...]:
    """The eight elements of an algebraic digest."""
    return tuple(int.from_bytes(digest[start : start + 4], "little") for start in range(0, 32, 4))


def constant_capacity(key: VerificationKey) -> tuple[int, tuple[int, ...]]:
    """How many items are constants, and lanes 8 to 15 of the transcript after them."""
    transcript = Transcript(schema(key, CONTEXT_BYTES), key.suite)
    transcript.known("protocol", PROTOCOL)
    transcript.known("parameters", key.parameters.encode())
    transcript.known("key", key.digest)
    return 3, transcript.capacity_lanes()


def _constant_blocks(builder: CircuitBuilder, values: Sequence[int]) -> list[DigestWire]:
    first = len(values) % RATE or RATE
    padded = [0] * (RATE - first) + list(values)
    return [
        builder.digest_constant(padded[start : start + RATE])
        for start in range(0, len(padded), RATE)
    ]


def _check_key(builder: CircuitBuilder, key: VerificationKey) -> None:
    if key.suite is not POSEIDON1_SUITE:
        raise UsageError(f"a circuit cannot verify proofs over {key.suite.name}")
    if key.parameters.batching != "powers":
        raise UsageError("a circuit verifies proofs whose batching is by powers")
    if log_domain(key) != builder.log_order:
        raise UsageError(f"a domain of 2^{log_domain(key)} in a circuit for 2^{builder.log_order}")
    missing = taken_widths(key) - set(builder.widths)
    if missing:
        raise UsageError(f"the circuit takes no {sorted(missing)} bits of an element")


class Queries:
    """The query phase of one inner proof."""

    def __init__(
        self,
        builder: CircuitBuilder,
        key: VerificationKey,
        caps: Mapping[Tree, Cap],
        layers: Sequence[Cap],
        deeps: Mapping[int, HeightDeep],
        folds: Sequence[Wire],
        final: Sequence[Wire],
    ) -> None:
        self._builder = builder
        self._key = key
        self._layers = layers
        self._deeps = deeps
        self._folds = folds
        self._final = final
        parameters, tables = key.parameters, key.system.tables
        self._trees: list[tuple[Tree, Cap, TreeShape, list[LeafForm]]] = []
        for tree in Tree:
            shape = tree_shape(
                *(tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk),
                key.suite,
            )
            if shape is not None:
                self._trees.append((tree, caps[tree], shape, _forms(key, tree, shape)))
        self._joining = [
            builder.power(beta, 1 << log_arity)
            for beta, log_arity in zip(folds, fri_schedule(key), strict=True)
        ]

    def check(self, index: Wire, y: Wire) -> None:
        """One query: its openings, and every layer of FRI down to the final polynomial.

        ``y`` is w^-index for the root w of the largest domain.
        """
        builder, key = self._builder, self._key
        log_blowup, log_height = key.parameters.log_blowup, key.system.log_heights[0]
        sums: dict[int, dict[Tree, Wire]] = {height: {} for height in key.system.log_heights}
        masks: dict[int, Wire] = {}
        for tree, cap, shape, forms in self._trees:
            inside = low_bits(builder, index, log_domain(key), shape.log_size)
            rows = open_rows(builder, cap, shape, forms, inside)
            for (log_size, _), row in zip(shape.groups, rows, strict=True):
                sums[log_size - log_blowup][tree] = row.total
                if row.mask is not None:
                    masks[log_size - log_blowup] = row.mask
        # Under a cap as high as the tree no row of a path has written the last sum.
        builder.settle()
        value = self._codeword(log_height, sums, masks, y)
        for layer, log_arity in enumerate(fri_schedule(key)):
            log_leaves = fri_leaf_log_size(key, layer)
            shape = TreeShape(
                groups=((log_leaves, ext.DEGREE << log_arity),),
                salted=False,
                cap_height=fri_cap_height(key, layer),
                suite=key.suite,
                extensions=(1 << log_arity,),
            )
            fold = begin_fold(builder, index, y, log_leaves, log_arity)
            leaf = open_leaf(builder, self._layers[layer], shape, fold.index_out)
            value = fold.finish(builder, leaf, self._folds[layer], value)
            index, y = fold.index_out, fold.y_out
            log_height -= log_arity
            if log_height in self._deeps:
                joining = self._codeword(log_height, sums, masks, y)
                value = builder.multiply_add(self._joining[layer], joining, value)
        point = builder.invert(y)
        expected = self._final[-1]
        for coefficient in reversed(self._final[:-1]):
            expected = builder.multiply_add(expected, point, coefficient)
        builder.assert_equal(expected, value)

    def _codeword(
        self,
        log_height: int,
        sums: Mapping[int, Mapping[Tree, Wire]],
        masks: Mapping[int, Wire],
        y: Wire,
    ) -> Wire:
        """The codeword of a height at this query; y is the inverse of its domain's point."""
        value = self._deeps[log_height].at(self._builder, sums[log_height], y)
        mask = masks.get(log_height)
        return value if mask is None else self._builder.add(value, mask)


def _forms(key: VerificationKey, tree: Tree, shape: TreeShape) -> list[LeafForm]:
    """What the joint rows of each group of a tree consist of."""
    forms = []
    for log_size, _ in shape.groups:
        log_height = log_size - key.parameters.log_blowup
        members = tables_in(key.system.tables, tree, log_height)
        count = sum(cells(key.system.tables[number], tree) for number in members)
        if tree in (Tree.AUXILIARY, Tree.QUOTIENT):
            forms.append(LeafForm(0, count // ext.DEGREE))
        else:
            forms.append(LeafForm(count, 0, bool(mask_cells(tree, key.parameters.zk))))
    return forms
