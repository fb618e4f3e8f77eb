"""Where everything is in a proof file, and ways of changing it.

The map is made by walking the verifier's schema over an honest proof, so that a test can name the
part that it changes. What a mutation leaves of the transcript is not repaired here: forgeries that
are consistent with it are made by the provers of :mod:`support.cheating`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stark.hash.sha256 import SALT_BYTES
from stark.merkle.multiproof import MultiOpening, TreeShape, read_opening
from stark.soundness.parameters import ENCODED_LENGTH
from stark.transcript.encoding import DIGEST_SIZE, NONCE_SIZE, Kind, Reader
from stark.transcript.schema import Drawn, DrawnIndices, Grinding, Known, Sent
from stark.transcript.transcript import VerifierTranscript
from stark.verifier.header import MAGIC
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, tree_shape
from stark.verifier.protocol import fri_cap_height, fri_leaf_log_size, fri_schedule, schema
from stark.verifier.verify import PublicValues, bind, checked_publics

PARAMETER_FIELDS = {
    "log_blowup": (0, 1),
    "queries": (1, 2),
    "regime": (3, 1),
    "multiplicity": (4, 2),
    "batching": (6, 1),
    "log_max_arity": (7, 1),
    "log_final_length": (8, 1),
    "cap_height": (9, 1),
    "grinding_lookup": (10, 1),
    "grinding_ali": (11, 1),
    "grinding_deep": (12, 1),
    "grinding_batching": (13, 1),
    "grinding_fold": (14, 1),
    "grinding_query": (15, 1),
    "zk": (16, 1),
    "log_slack": (17, 1),
    "hash_suite": (18, 32),
}
"""Offset and size of every field in the encoded parameters."""

SHAPE_FIELDS = (
    ("log_height", 0, 1),
    ("quotient_chunks", 1, 1),
    ("preprocessed width", 2, 2),
    ("main width", 4, 2),
    ("auxiliary width", 6, 2),
    ("preprocessed next", 8, 2),
    ("main next", 10, 2),
    ("auxiliary next", 12, 2),
)
"""Name, offset and size of the fields that the header has per table."""

SHAPE_SIZE = 14


@dataclass(frozen=True)
class Section:
    """A named part of a proof file; ``kind`` is ``None`` for what is not a message."""

    name: str
    start: int
    end: int
    kind: Kind | None = None

    @property
    def size(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class OpenedTree:
    """The opening of one tree, where it lies, and what it is checked against."""

    name: str
    start: int
    end: int
    shape: TreeShape
    indices: tuple[int, ...]
    cap: tuple[bytes, ...]
    opening: MultiOpening

    def row(self, group: int, place: int) -> tuple[int, int]:
        """First byte and length of a row in the file."""
        start, size = self._groups()[group][:2]
        return start + place * size, size

    def salt(self, group: int, place: int) -> int:
        """First byte of a row's salt in the file (trees with salts)."""
        start, size, count = self._groups()[group]
        return start + size * count + SALT_BYTES * place

    def _groups(self) -> list[tuple[int, int, int]]:
        """Start, size of a row and number of rows of each group; its salts follow its rows."""
        groups = []
        position = self.start
        for rows, salts in zip(self.opening.rows, self.opening.salts, strict=True):
            groups.append((position, len(rows[0]), len(rows)))
            position += len(rows[0]) * len(rows) + SALT_BYTES * len(salts)
        return groups

    @property
    def siblings(self) -> list[int]:
        """Where the siblings begin."""
        count = len(self.opening.siblings)
        return [self.end - DIGEST_SIZE * (count - number) for number in range(count)]


class ProofMap:
    """The parts of an honest proof.

    Attributes
    ----------
    sections
        Header fields, messages and nonces by name, in file order.
    trees
        Openings by name: ``preprocessed``, ``main``, ``auxiliary``, ``quotient``, ``fri 0``, ...
    indices
        The queries.
    """

    def __init__(
        self, key: VerificationKey, proof: bytes, publics: PublicValues, context: bytes = b""
    ) -> None:
        self.key = key
        self.proof = proof
        self.sections: dict[str, Section] = {}
        self.trees: dict[str, OpenedTree] = {}
        self.indices: tuple[int, ...] = ()
        reader = Reader(proof)
        for name, size in (
            ("magic", len(MAGIC)),
            ("version", 2),
            ("parameters", ENCODED_LENGTH),
            ("shape", len(key.shape)),
            ("key digest", DIGEST_SIZE),
        ):
            self._add(reader, name, size)
            reader.take(size, name)
        self._messages(reader, publics, context)
        self.header_end = self.sections["key digest"].end
        self.messages_end = reader.position
        self._openings(reader)
        reader.finish()

    def changed(self, name: str, offset: int, data: bytes) -> bytes:
        """The proof with ``data`` written into a section, ``offset`` bytes from its start."""
        start = self.sections[name].start + offset
        return overwritten(self.proof, start, data)

    def without(self, start: int, end: int) -> bytes:
        return self.proof[:start] + self.proof[end:]

    def data(self, name: str) -> bytes:
        section = self.sections[name]
        return self.proof[section.start : section.end]

    def messages(self, kind: Kind) -> list[Section]:
        """The prover's messages of one kind."""
        return [section for section in self.sections.values() if section.kind is kind]

    def nonces(self) -> list[Section]:
        return [section for section in self.sections.values() if section.name.startswith("work ")]

    def elements(self) -> Iterator[int]:
        """Where the base-field elements of all messages and opened rows begin."""
        for section in self.sections.values():
            if section.kind in (Kind.FIELD, Kind.EXTENSION):
                yield from range(section.start, section.end, 4)
        for tree in self.trees.values():
            for group, rows in enumerate(tree.opening.rows):
                start, size = tree.row(group, 0)
                yield from range(start, start + size * len(rows), 4)

    def _add(self, reader: Reader, name: str, size: int, kind: Kind | None = None) -> None:
        self.sections[name] = Section(name, reader.position, reader.position + size, kind)

    def _messages(self, reader: Reader, publics: PublicValues, context: bytes) -> None:
        items = schema(self.key, len(context))
        transcript = VerifierTranscript(items, reader, self.key.suite)
        bind(transcript, self.key, checked_publics(self.key.system.tables, publics), context)
        for item in items:
            if isinstance(item, Sent):
                self._add(reader, item.label, item.size, item.kind)
                receive = {
                    Kind.DIGEST: transcript.receive_digests,
                    Kind.EXTENSION: transcript.receive_extension,
                    Kind.FIELD: transcript.receive_field,
                }
                receive[item.kind](item.label)
            elif isinstance(item, Grinding):
                self._add(reader, item.label, NONCE_SIZE)
                transcript.check_work(item.label)
            elif isinstance(item, Drawn):
                transcript.draw(item.label)
            elif isinstance(item, DrawnIndices):
                self.indices = transcript.draw_indices(item.label)
            elif not isinstance(item, Known):
                raise TypeError(f"{item} is not known here")
        transcript.finish()

    def _openings(self, reader: Reader) -> None:
        parameters = self.key.parameters
        for tree in Tree:
            shape = tree_shape(
                self.key.system.tables,
                tree,
                parameters.log_blowup,
                parameters.cap_height,
                parameters.zk,
                self.key.suite,
            )
            if shape is not None:
                cap = (
                    b"".join(self.key.preprocessed_cap)
                    if tree is Tree.PREPROCESSED
                    else self.data(f"{tree.label} commitment")
                )
                self._open(reader, tree.label, shape, cap)
        for layer, log_arity in enumerate(fri_schedule(self.key)):
            shape = TreeShape(
                groups=((fri_leaf_log_size(self.key, layer), 5 << log_arity),),
                salted=False,
                cap_height=fri_cap_height(self.key, layer),
                suite=self.key.suite,
                extensions=(1 << log_arity,),
            )
            self._open(reader, f"fri {layer}", shape, self.data(f"fri {layer}"))

    def _open(self, reader: Reader, name: str, shape: TreeShape, cap: bytes) -> None:
        inside = tuple(index % (1 << shape.log_size) for index in self.indices)
        start = reader.position
        opening, reader.position = read_opening(reader.data, start, shape, inside)
        digests = tuple(cap[i : i + DIGEST_SIZE] for i in range(0, len(cap), DIGEST_SIZE))
        self.trees[name] = OpenedTree(name, start, reader.position, shape, inside, digests, opening)


def byte_places(parts: ProofMap) -> Iterator[tuple[str, int]]:
    """A byte of every field that is not an element: its name and where it is."""
    for name, section in parts.sections.items():
        yield name, section.start
        yield name, section.end - 1
    for name, (offset, size) in PARAMETER_FIELDS.items():
        yield from ((name, parts.sections["parameters"].start + offset + k) for k in range(size))
    shape = parts.sections["shape"]
    for table in range(shape.start + 2, shape.end, SHAPE_SIZE):
        for name, offset, size in SHAPE_FIELDS:
            yield from ((name, table + offset + k) for k in range(size))
    for name, tree in parts.trees.items():
        for group, rows in enumerate(tree.opening.rows):
            for place in range(len(rows)):
                if tree.shape.salted and place % 4 == 0:
                    yield f"salt of {name}", tree.salt(group, place)
        yield from ((f"sibling of {name}", at) for at in tree.siblings[::4])


def overwritten(proof: bytes, start: int, data: bytes) -> bytes:
    """The proof with ``data`` in place of as many bytes from ``start``."""
    return proof[:start] + data + proof[start + len(data) :]


def next_element(proof: bytes, start: int) -> bytes:
    """The proof with the base-field element at ``start`` replaced by another canonical one."""
    value = int.from_bytes(proof[start : start + 4], "little")
    return overwritten(proof, start, (value ^ 1).to_bytes(4, "little"))


def flipped(proof: bytes, position: int, mask: int = 1) -> bytes:
    """The proof with some bits of one byte flipped."""
    return overwritten(proof, position, bytes([proof[position] ^ mask]))
