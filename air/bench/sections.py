"""What the bytes of a proof are, section by section; nothing is left over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from air.aggregate.keys import wrap_key
from air.keys import verification_key
from air.publication import (
    MAGIC,
    AggregatedPublication,
    Publication,
    chained_digests,
    decode_publication,
)
from air.verification import aggregate_publics, batch_contexts, batch_publics, context_shape
from stark.field.extension import DEGREE
from stark.hash.sha256 import DIGEST_BYTES, ELEMENT_BYTES, SALT_BYTES
from stark.merkle.multiproof import TreeShape, group_indices, sibling_count
from stark.transcript.encoding import NONCE_SIZE, Kind, Reader
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Sent
from stark.transcript.transcript import VerifierTranscript
from stark.verifier.header import check_header
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, tree_shape
from stark.verifier.protocol import fri_cap_height, fri_leaf_log_size, fri_schedule, schema
from stark.verifier.verify import PublicValues, bind, checked_publics


@dataclass(frozen=True)
class Walked:
    """A proof up to its openings.

    Attributes
    ----------
    header
        Bytes before the first message.
    messages
        Bytes by label, nonces included, in order.
    indices
        The queries, repetitions included.
    nonces, work_bits
        Of the proofs of work, by label.
    """

    header: int
    messages: dict[str, int]
    indices: tuple[int, ...]
    nonces: dict[str, int]
    work_bits: dict[str, int]


def walk(key: VerificationKey, proof: bytes, publics: PublicValues, context: bytes) -> Walked:
    """Read a valid proof's messages in order, deriving its queries.

    Raises
    ------
    Rejected
        As the verifier, as far as it is read.
    """
    reader = Reader(proof)
    check_header(reader, key)
    header = reader.position
    items = schema(key, len(context))
    transcript = VerifierTranscript(items, reader)
    bind(transcript, key, checked_publics(key.system.tables, publics), context)
    messages: dict[str, int] = {}
    nonces: dict[str, int] = {}
    indices: tuple[int, ...] = ()
    for item in items:
        if isinstance(item, Sent):
            _receive(transcript, item)
            messages[item.label] = item.size
        elif isinstance(item, Grinding):
            start = reader.position
            transcript.check_work(item.label)
            messages[item.label] = NONCE_SIZE
            nonces[item.label] = int.from_bytes(proof[start : start + NONCE_SIZE], "little")
        elif isinstance(item, Drawn):
            transcript.draw(item.label)
        elif isinstance(item, DrawnIndices):
            indices = transcript.draw_indices(item.label)
    bits = {item.label: item.bits for item in items if isinstance(item, Grinding)}
    return Walked(header, messages, indices, nonces, bits)


def _receive(transcript: VerifierTranscript, item: Sent) -> None:
    if item.kind is Kind.DIGEST:
        transcript.receive_digests(item.label)
    elif item.kind is Kind.EXTENSION:
        transcript.receive_extension(item.label)
    else:
        transcript.receive_field(item.label)


def named_trees(key: VerificationKey) -> list[tuple[str, TreeShape]]:
    """The trees of a proof and their names, in the order of their openings."""
    parameters = key.parameters
    named = []
    for tree in Tree:
        shape = tree_shape(
            key.system.tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk
        )
        if shape is not None:
            named.append((tree.label, shape))
    for layer, log_arity in enumerate(fri_schedule(key)):
        leaf = (fri_leaf_log_size(key, layer), DEGREE << log_arity)
        named.append((f"fri {layer}", TreeShape((leaf,), False, fri_cap_height(key, layer))))
    return named


def opening_sections(shape: TreeShape, indices: Sequence[int]) -> dict[str, int]:
    """Bytes of the rows, salts and siblings of one tree's opening."""
    inside = [index % (1 << shape.log_size) for index in indices]
    opened = [len(group) for group in group_indices(shape, inside)]
    pairs = zip(shape.groups, opened, strict=True)
    return {
        "rows": sum(count * width * ELEMENT_BYTES for (_, width), count in pairs),
        "salts": sum(opened) * SALT_BYTES if shape.salted else 0,
        "siblings": sibling_count(shape, inside) * DIGEST_BYTES,
    }


def batch_sections(
    key: VerificationKey, proof: bytes, publics: PublicValues, context: bytes
) -> dict[str, Any]:
    """Bytes of one batch's proof: header, messages by label, openings by tree and FRI layer."""
    walked = walk(key, proof, publics, context)
    return {
        "header": walked.header,
        "messages": walked.messages,
        "openings": {
            name: opening_sections(shape, walked.indices) for name, shape in named_trees(key)
        },
    }


def publication_sections(data: bytes) -> dict[str, Any]:
    """Bytes of a valid proof file, those of all its batches added up."""
    publication = decode_publication(data)
    framing = {
        "file header": len(MAGIC) + 2 + 4,
        "statement": len(publication.statement.encode()),
        "opening of the totals": 2 * DIGEST_BYTES,
    }
    if isinstance(publication, AggregatedPublication):
        framing["length of the proof"] = 4
        return {"publication": framing, **_aggregate_sections(publication)}
    # Two digests and a length.
    framing["batches' digests"] = len(publication.batches) * (2 * DIGEST_BYTES + 4)
    return {"publication": framing, **_all_batches(publication)}


def _aggregate_sections(publication: AggregatedPublication) -> dict[str, Any]:
    context = publication.statement.context
    shape = context_shape(context)
    key = wrap_key(context.policy, shape, (publication.statement.batches - 1).bit_length())
    publics = aggregate_publics(publication, shape)
    values = {"permutation": publics.wrap_digest()}
    return batch_sections(key, publication.proof, values, publics.context)


def _all_batches(publication: Publication) -> dict[str, Any]:
    statement = publication.statement
    key = verification_key(statement.context.policy, context_shape(statement.context))
    digests = chained_digests(publication)
    contexts = batch_contexts(statement)
    sections: dict[str, Any] = {}
    for number, batch in enumerate(publication.batches):
        publics = batch_publics(number == 0, digests[number], batch)
        sections = add(sections, batch_sections(key, batch.proof, publics, contexts[number]))
    return sections


def add(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Sums of nested figures; what one side lacks counts as nothing."""
    result = dict(left)
    for name, value in right.items():
        if isinstance(value, Mapping):
            result[name] = add(result.get(name, {}), value)
        else:
            result[name] = result.get(name, 0) + value
    return result


def total(sections: Mapping[str, Any]) -> int:
    """Sum of nested figures."""
    return sum(total(value) if isinstance(value, Mapping) else value for value in sections.values())


def summary(sections: Mapping[str, Any]) -> dict[str, int]:
    """A dozen sections instead of all: what a plot shows, adding up to the same."""
    openings = sections["openings"]
    layers = {name: one for name, one in openings.items() if name.startswith("fri ")}
    result = {
        "statement and header": sections["header"] + total(sections.get("publication", {})),
        "messages": total(sections["messages"]),
    }
    for name, one in openings.items():
        if name not in layers:
            result[f"rows, {name}"] = one["rows"]
    result["leaves, fri"] = sum(one["rows"] for one in layers.values())
    result["salts"] = sum(one["salts"] for one in openings.values())
    in_layers = sum(one["siblings"] for one in layers.values())
    result["siblings, columns"] = sum(one["siblings"] for one in openings.values()) - in_layers
    result["siblings, fri"] = in_layers
    return result
