"""The verifier: a total function from bytes to accepted, or a typed rejection.

Its steps are those of the protocol; each has a name, and a proof that fails one is rejected with
that name, what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import GENERATOR, P
from stark.fri.verifier import fold_leaf
from stark.hash.sha256 import decode_elements
from stark.merkle.multiproof import MultiOpening, TreeShape, read_opening, verify_opening
from stark.system import Table
from stark.transcript.encoding import Reader, encode_field
from stark.transcript.transcript import Transcript, VerifierTranscript
from stark.verifier.deep import TableDeep, domain_point
from stark.verifier.header import check_header
from stark.verifier.key import VerificationKey
from stark.verifier.layout import (
    TableLayout,
    Tree,
    batching_order,
    cells,
    mask_cells,
    tables_in,
    tree_shape,
)
from stark.verifier.out_of_domain import LookupChallenges, OpenedTable, check_table, check_zeta
from stark.verifier.protocol import (
    PROTOCOL,
    bus_tables,
    fri_cap_height,
    fri_leaf_log_size,
    fri_schedule,
    opened_value_count,
    schema,
)

PublicValues = Mapping[str, Sequence[int]]
"""Public values by the name of their table; tables without any may be left out."""

MAXIMUM_PROOF_SIZE = 1 << 28
"""Bytes. Far above any real proof; a longer file is refused before it is looked at."""


@dataclass(frozen=True)
class Commitments:
    """Merkle caps by tree, and those of the FRI layers."""

    columns: dict[Tree, tuple[bytes, ...]]
    layers: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True)
class FriMessages:
    """What FRI says before the queries."""

    folds: tuple[Element, ...]
    final_polynomial: tuple[Element, ...]


def verify(key: VerificationKey, proof: bytes, publics: PublicValues, context: bytes = b"") -> None:
    """Accept (return) or reject (raise) a proof.

    Parameters
    ----------
    key
        What the verifier expects to be proven; see :class:`VerificationKey`.
    proof
        The proof file.
    publics
        Public values, canonical integers, by table name.
    context
        Bytes that the proof is bound to, the same that the prover used.

    Raises
    ------
    Rejected
        Whatever the reason. No other exception leaves this function, for any ``proof``.
    """
    if len(proof) > MAXIMUM_PROOF_SIZE:
        raise Rejected(Code.LIMIT, "size of the proof", MAXIMUM_PROOF_SIZE, len(proof))
    tables = key.system.tables
    values = checked_publics(tables, publics)
    reader = Reader(proof)
    check_header(reader, key)

    transcript = VerifierTranscript(schema(key, len(context)), reader, key.suite)
    bind(transcript, key, values, context)
    if key.parameters.zk:
        transcript.receive_digests("salt")
    columns = {Tree.PREPROCESSED: key.preprocessed_cap}
    columns[Tree.MAIN] = transcript.receive_digests("main commitment")

    challenges, terminals = LookupChallenges(ext.ZERO, ext.ZERO, ext.ZERO), {}
    if bus_tables(tables):
        transcript.check_work("work lookup")
        challenges = LookupChallenges(*transcript.draw("lookup"))
        columns[Tree.AUXILIARY] = transcript.receive_digests("auxiliary commitment")
        terminals = dict(
            zip(
                (table.name for table in bus_tables(tables)),
                transcript.receive_extension("terminals"),
                strict=True,
            )
        )
        check_buses(terminals)

    transcript.check_work("work constraints")
    (constraint_challenge,) = transcript.draw("constraints")
    columns[Tree.QUOTIENT] = transcript.receive_digests("quotient commitment")
    transcript.check_work("work zeta")
    (zeta,) = transcript.draw("zeta")
    check_zeta(zeta, key.system.log_heights[0], key.parameters.log_blowup, GENERATOR)
    opened = [
        OpenedTable(
            TableLayout.of(table),
            transcript.receive_extension(f"values {table.name}"),
            values[table.name],
            terminals.get(table.name, ext.ZERO),
        )
        for table in tables
    ]
    for one in opened:
        check_table(one, challenges, zeta, constraint_challenge)

    transcript.check_work("work batching")
    deeps = batched(key, opened, zeta, transcript.draw("batching"))
    layers, messages = receive_fri(key, transcript)
    transcript.check_work("work queries")
    indices = transcript.draw_indices("queries")
    transcript.finish()
    check_queries(key, reader, Commitments(columns, layers), deeps, messages, indices)
    reader.finish()


def checked_publics(tables: Sequence[Table], publics: PublicValues) -> dict[str, tuple[int, ...]]:
    """The public values of all tables; Rejected(Public) or Rejected(Canonical) if malformed."""
    unknown = set(publics) - {table.name for table in tables}
    if unknown:
        raise Rejected(Code.PUBLIC, "tables with public values", "known tables", sorted(unknown))
    result = {}
    for table in tables:
        values = tuple(publics.get(table.name, ()))
        if len(values) != table.public_count:
            raise Rejected(
                Code.PUBLIC,
                f"number of public values of {table.name}",
                table.public_count,
                len(values),
            )
        for name, value in zip(table.symbolic.publics, values, strict=True):
            if type(value) is not int or not 0 <= value < P:
                raise Rejected(
                    Code.CANONICAL, f"public value {name} of {table.name}", f"0 ... {P - 1}", value
                )
        result[table.name] = values
    return result


def bind(
    transcript: Transcript,
    key: VerificationKey,
    values: Mapping[str, Sequence[int]],
    context: bytes,
) -> None:
    """Absorb what both sides know."""
    transcript.known("protocol", PROTOCOL)
    transcript.known("parameters", key.parameters.encode())
    transcript.known("key", key.digest)
    transcript.known("context", context)
    for table in key.system.tables:
        transcript.known(f"public {table.name}", encode_field(values[table.name]))
    heights = [table.log_height for table in key.system.tables]
    transcript.known("heights", encode_field(heights))


def check_buses(terminals: Mapping[str, Element]) -> None:
    """Rejected(Bus) unless the fractions of all tables add up to zero."""
    total = ext.total(terminals.values())
    if total != ext.ZERO:
        raise Rejected(Code.BUS, "the terminals of all tables add up to zero", ext.ZERO, total)


def batching_coefficients(key: VerificationKey, drawn: Sequence[Element]) -> Sequence[Element]:
    """A coefficient per opened value, table by table in layout order.

    Powers are counted anew at each height, down to c: the mask of a height's codeword has c^0, and
    a height's error grows with the functions of that height alone. Their order is that of
    :func:`stark.verifier.layout.batching_order`, highest first, for Horner's rule.
    """
    if key.parameters.batching == "independent":
        return drawn
    tables = key.system.tables
    powers = ext.powers(drawn[0], opened_value_count(key) + 1)
    chosen: dict[tuple[int, int], Element] = {}
    for log_height in key.system.log_heights:
        order = batching_order(tables, log_height)
        chosen.update(zip(order, powers[len(order) : 0 : -1], strict=True))
    return [
        chosen[index, place]
        for index, table in enumerate(tables)
        for place in range(TableLayout.of(table).value_count)
    ]


def batched(
    key: VerificationKey,
    opened: Sequence[OpenedTable],
    zeta: Element,
    drawn: Sequence[Element],
) -> list[TableDeep]:
    """The DEEP sums of all tables with their batching coefficients."""
    coefficients = batching_coefficients(key, drawn)
    deeps = []
    start = 0
    for one in opened:
        end = start + one.layout.value_count
        deeps.append(TableDeep.of(one.layout, one.values, coefficients[start:end], zeta))
        start = end
    return deeps


def receive_fri(
    key: VerificationKey, transcript: VerifierTranscript
) -> tuple[tuple[tuple[bytes, ...], ...], FriMessages]:
    """Roots and challenges of all layers, and the final polynomial."""
    layers = []
    folds = []
    for layer in range(len(fri_schedule(key))):
        layers.append(transcript.receive_digests(f"fri {layer}"))
        transcript.check_work(f"work fold {layer}")
        folds.append(transcript.draw(f"fold {layer}")[0])
    final = transcript.receive_extension("final polynomial")
    return tuple(layers), FriMessages(tuple(folds), final)


def check_queries(
    key: VerificationKey,
    reader: Reader,
    commitments: Commitments,
    deeps: Sequence[TableDeep],
    messages: FriMessages,
    indices: Sequence[int],
) -> None:
    """Open every tree at the queried positions and follow each query through all folds."""
    codewords = open_columns(key, reader, commitments, deeps, indices)
    leaves = open_layers(key, reader, commitments, indices)
    for index in sorted(set(indices)):
        check_query(key, codewords, leaves, messages, index)


def open_columns(
    key: VerificationKey,
    reader: Reader,
    commitments: Commitments,
    deeps: Sequence[TableDeep],
    indices: Sequence[int],
) -> dict[int, dict[int, Element]]:
    """DEEP codewords by height: their values at the queried positions of their domain."""
    tables = key.system.tables
    parameters = key.parameters
    rows: dict[tuple[int, Tree], dict[int, tuple[int, ...]]] = {}
    codewords: dict[int, dict[int, Element]] = {}
    for tree in Tree:
        shape = tree_shape(
            *(tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk, key.suite)
        )
        if shape is None:
            continue
        inside = [index % (1 << shape.groups[0][0]) for index in indices]
        opening = read_tree(reader, commitments.columns[tree], shape, inside, f"{tree.label} tree")
        for (log_size, _), group in zip(shape.groups, opening.rows, strict=True):
            positions = sorted({index % (1 << log_size) for index in indices})
            members = tables_in(tables, tree, log_size - parameters.log_blowup)
            masks = split_rows(tables, tree, members, positions, group, rows)
            if mask_cells(tree, parameters.zk):
                codewords[log_size - parameters.log_blowup] = masks
    for number, deep in enumerate(deeps):
        log_height = deep.table.log_height
        log_size = log_height + parameters.log_blowup
        words = codewords.setdefault(log_height, {})
        own = {tree: rows[number, tree] for tree in Tree if (number, tree) in rows}
        for position in {index % (1 << log_size) for index in indices}:
            row = {tree: found[position] for tree, found in own.items()}
            value = deep.at(row, domain_point(log_size, position))
            words[position] = ext.add(words.get(position, ext.ZERO), value)
    return codewords


def split_rows(
    tables: Sequence[Table],
    tree: Tree,
    members: Sequence[int],
    positions: Sequence[int],
    group: Sequence[bytes],
    rows: dict[tuple[int, Tree], dict[int, tuple[int, ...]]],
) -> dict[int, Element]:
    """Cut the joint rows of one height into the rows of its tables; the masks that follow them."""
    masks = {}
    for position, data in zip(positions, group, strict=True):
        joint = decode_elements(data)
        start = 0
        for number in members:
            end = start + cells(tables[number], tree)
            rows.setdefault((number, tree), {})[position] = joint[start:end]
            start = end
        masks[position] = ext.from_coefficients(joint[start:])
    return masks


def open_layers(
    key: VerificationKey, reader: Reader, commitments: Commitments, indices: Sequence[int]
) -> list[dict[int, tuple[Element, ...]]]:
    """Leaves of the FRI layers at the queried positions, by leaf index."""
    result = []
    for layer, log_arity in enumerate(fri_schedule(key)):
        log_leaves = fri_leaf_log_size(key, layer)
        shape = TreeShape(
            groups=((log_leaves, ext.DEGREE << log_arity),),
            salted=False,
            cap_height=fri_cap_height(key, layer),
            suite=key.suite,
            extensions=(1 << log_arity,),
        )
        inside = [index % (1 << log_leaves) for index in indices]
        opening = read_tree(reader, commitments.layers[layer], shape, inside, f"fri layer {layer}")
        leaves = {}
        for position, data in zip(sorted(set(inside)), opening.rows[0], strict=True):
            flat = decode_elements(data)
            leaves[position] = tuple(
                ext.from_coefficients(flat[i : i + ext.DEGREE])
                for i in range(0, len(flat), ext.DEGREE)
            )
        result.append(leaves)
    return result


def read_tree(
    reader: Reader,
    cap: Sequence[bytes],
    shape: TreeShape,
    indices: Sequence[int],
    name: str,
) -> MultiOpening:
    """Read a tree's opening, whose size follows from the indices, and check it against the cap."""
    opening, reader.position = read_opening(reader.data, reader.position, shape, indices)
    verify_opening(cap, shape, indices, opening.rows, opening.salts, opening.siblings, name)
    return opening


def check_query(
    key: VerificationKey,
    codewords: Mapping[int, Mapping[int, Element]],
    leaves: Sequence[Mapping[int, tuple[Element, ...]]],
    messages: FriMessages,
    index: int,
) -> None:
    """One query: every layer continues the one before, the last is the final polynomial."""
    log_blowup = key.parameters.log_blowup
    log_height = key.system.log_heights[0]
    value = codewords[log_height][index]
    for layer, log_arity in enumerate(fri_schedule(key)):
        log_size = log_height + log_blowup
        log_leaves = log_size - log_arity
        position, slot = index % (1 << log_leaves), (index % (1 << log_size)) >> log_leaves
        leaf = leaves[layer][position]
        if leaf[slot] != value:
            raise Rejected(
                Code.FRI_FOLD, f"fri layer {layer} continues at query {index}", value, leaf[slot]
            )
        beta = messages.folds[layer]
        value = fold_leaf(leaf, position, log_size, beta)
        log_height -= log_arity
        if log_height in codewords:
            joining = codewords[log_height][index % (1 << log_leaves)]
            value = ext.add(value, ext.multiply(ext.power(beta, 1 << log_arity), joining))
    log_size = log_height + log_blowup
    point = domain_point(log_size, index % (1 << log_size))
    unshifted = ext.from_base(point * pow(GENERATOR, -1, P))
    expected = ext.evaluate(messages.final_polynomial, unshifted)
    if value != expected:
        raise Rejected(Code.FRI_FINAL, f"the final polynomial at query {index}", expected, value)
