"""An inner proof as the values that a circuit takes from it, in the order of its steps.

A proof holds the openings of all queries of a tree together, so that no digest is there twice. A
circuit follows each query by itself: its path is filled up here, from the same digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.merkle.multiproof import TreeShape, read_opening
from stark.recursion.paths import Paths, expanded_paths
from stark.transcript.encoding import Kind, Reader
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Item, Sent
from stark.transcript.transcript import VerifierTranscript
from stark.verifier.header import check_header
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, tree_shape
from stark.verifier.protocol import fri_cap_height, fri_leaf_log_size, fri_schedule, schema
from stark.verifier.verify import bind, checked_publics

Elements = NDArray[np.uint32]


def circuit_inputs(
    key: VerificationKey,
    proof: bytes,
    publics: Mapping[str, Sequence[int]],
    context: bytes,
) -> Elements:
    """What a circuit that verifies proofs for ``key`` takes from one of them.

    Returns canonical elements, (count,) uint32. Nothing is verified but the proof's form: for a
    proof that does not verify the circuit has no witness.

    Raises
    ------
    Rejected
        If the file is no proof for this key: header, lengths, elements that are not canonical.
    """
    values = checked_publics(key.system.tables, publics)
    reader = Reader(proof)
    check_header(reader, key)
    items = schema(key, len(context))
    transcript = VerifierTranscript(items, reader, key.suite)
    bind(transcript, key, values, context)
    known = 5 + len(key.system.tables)
    said: list[Elements] = []
    indices: tuple[int, ...] = ()
    for item in items[known:]:
        start = reader.position
        indices = _walk(transcript, item) or indices
        part = proof[start : reader.position]
        if isinstance(item, Grinding):
            # A nonce has eight bytes, of which the transcript has refused all but an element.
            part = part[:4]
        said.append(np.frombuffer(part, "<u4").astype(np.uint32))
    transcript.finish()
    queries = [
        *(_tree(reader, key, tree, indices) for tree in Tree),
        *(_layer(reader, key, layer, indices) for layer in range(len(fri_schedule(key)))),
    ]
    reader.finish()
    opened = np.concatenate([part for part in queries if part is not None], axis=1)
    return np.concatenate([*said, opened.reshape(-1)])


def _walk(transcript: VerifierTranscript, item: Item) -> tuple[int, ...] | None:
    """Pass one item; the indices, if it draws them."""
    match item:
        case Sent():
            if item.kind is Kind.DIGEST:
                transcript.receive_digests(item.label)
            else:
                transcript.receive_extension(item.label)
        case Grinding():
            transcript.skip_work(item.label)
        case Drawn():
            transcript.draw(item.label)
        case DrawnIndices():
            return transcript.draw_indices(item.label)
    return None


def _tree(
    reader: Reader, key: VerificationKey, tree: Tree, indices: Sequence[int]
) -> Elements | None:
    """For each query, in a row: what it opens of a tree of columns, as the path meets it."""
    parameters = key.parameters
    shape = tree_shape(
        *(key.system.tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk),
        key.suite,
    )
    if shape is None:
        return None
    return _paths(reader, shape, indices)


def _layer(reader: Reader, key: VerificationKey, layer: int, indices: Sequence[int]) -> Elements:
    log_leaves, log_arity = fri_leaf_log_size(key, layer), fri_schedule(key)[layer]
    shape = TreeShape(
        groups=((log_leaves, ext.DEGREE << log_arity),),
        salted=False,
        cap_height=fri_cap_height(key, layer),
        suite=key.suite,
        extensions=(1 << log_arity,),
    )
    return _paths(reader, shape, indices)


def _paths(reader: Reader, shape: TreeShape, indices: Sequence[int]) -> Elements:
    inside = [index % (1 << shape.log_size) for index in indices]
    opening, reader.position = read_opening(reader.data, reader.position, shape, inside)
    paths = expanded_paths(opening, shape, inside)
    groups = {log_size: number for number, (log_size, _) in enumerate(shape.groups)}
    parts = _row(paths, 0)
    for step, level in enumerate(range(shape.log_size - 1, shape.cap_height - 1, -1)):
        parts.append(paths.siblings[:, step])
        if level in groups:
            parts += _row(paths, groups[level])
    return np.concatenate(parts, axis=1)


def _row(paths: Paths, group: int) -> list[Elements]:
    rows, salts = paths.rows[group], paths.salts[group]
    return [rows] if salts is None else [salts, rows]
