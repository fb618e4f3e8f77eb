"""Openings of many leaves of one Merkle tree, and their check.

A tree commits to rows of different sizes of domain at once (Plonky3's mixed matrix commitment). Its
level of size m has nodes j in [0, m); node j of level m/2 has the children j and j + m/2 of level
m, so that a query index q at the largest size is the index q mod m everywhere. The rows of the
largest size are its leaves; rows of a smaller size m are injected into the nodes of level m. The
commitment is the *cap*: the level of size 2^cap_height.

An opening of a set of indices holds, for each size in descending order, the rows at the distinct
values of index mod size in ascending order, and then the *siblings*: level by level from the
leaves, in ascending order, the digests that cannot be computed from what is known. Everything else
follows from the shape and the indices; no count or length is read from the data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat

from stark.errors import Code, Rejected
from stark.field.extension import DEGREE
from stark.field.koalabear import TWO_ADICITY, P
from stark.hash.sha256 import DIGEST_BYTES, ELEMENT_BYTES, SALT_BYTES
from stark.hash.suite import SHA256, Suite, check_digests


@dataclass(frozen=True)
class TreeShape:
    """What both sides know of a tree before they see it.

    Parameters
    ----------
    groups
        (log_size, width) in descending order of distinct sizes: the domain size is 2^log_size and
        ``width`` counts the field elements of the concatenated row at that size.
    salted
        Whether each row carries a salt of 32 bytes.
    cap_height
        The commitment is 2^cap_height digests; at most the smallest log_size.
    suite
        What leaves and nodes are hashed with.
    extensions
        For each group, how many extension elements (of five field elements) its rows end with, or
        nothing if none has any. Algebraic suites hash these in blocks of their own.

    Raises
    ------
    Rejected
        ``Shape``, if the above does not hold.
    """

    groups: tuple[tuple[int, int], ...]
    salted: bool
    cap_height: int
    suite: Suite = SHA256
    extensions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        sizes = [log_size for log_size, _ in self.groups]
        if not sizes or any(a <= b for a, b in pairwise(sizes)):
            raise Rejected(
                Code.SHAPE, "sizes in a Merkle tree", "distinct, in descending order", sizes
            )
        if sizes[0] > TWO_ADICITY:
            raise Rejected(Code.SHAPE, "largest log size", f"at most {TWO_ADICITY}", sizes[0])
        if not 0 <= self.cap_height <= sizes[-1]:
            raise Rejected(Code.SHAPE, "cap height", f"0 ... {sizes[-1]}", self.cap_height)
        for _, width in self.groups:
            if width < 1:
                raise Rejected(Code.SHAPE, "width of a Merkle row", "at least 1", width)
        if self.extensions and len(self.extensions) != len(self.groups):
            raise Rejected(
                *(Code.SHAPE, "groups with a number of extension elements"),
                *(len(self.groups), len(self.extensions)),
            )
        for (_, width), count in zip(self.groups, self.extensions, strict=False):
            if not 0 <= DEGREE * count <= width:
                raise Rejected(
                    Code.SHAPE, "extension elements of a Merkle row", f"0 ... {width // 5}", count
                )

    @property
    def log_size(self) -> int:
        """Logarithm of the largest size, that of the query indices."""
        return self.groups[0][0]

    def extensions_of(self, group: int) -> int:
        """How many extension elements the rows of a group end with."""
        return self.extensions[group] if self.extensions else 0


@dataclass(frozen=True)
class MultiOpening:
    """The data of an opening: see the module for the order.

    ``rows[g][k]`` is the k-th row of group g, ``salts[g][k]`` its salt (``salts[g]`` is empty in a
    tree without salts).
    """

    rows: tuple[tuple[bytes, ...], ...]
    salts: tuple[tuple[bytes, ...], ...]
    siblings: tuple[bytes, ...]


def group_indices(shape: TreeShape, indices: Iterable[int]) -> list[list[int]]:
    """For each group, the distinct values of index mod size, ascending: which rows are opened.

    Raises ``ValueError`` for no index or one outside the largest size (indices are the verifier's
    own, never read from a proof).
    """
    distinct = set(indices)
    if not distinct or min(distinct) < 0 or max(distinct) >> shape.log_size:
        raise ValueError(f"indices must be in 0 ... 2^{shape.log_size} - 1, at least one")
    return [sorted({q & ((1 << log) - 1) for q in distinct}) for log, _ in shape.groups]


def missing_siblings(shape: TreeShape, indices: Iterable[int]) -> list[list[int]]:
    """Indices of the siblings of an opening, one list per level, from the leaves to the cap."""
    known = set(group_indices(shape, indices)[0])
    levels = []
    for log_parent in range(shape.log_size - 1, shape.cap_height - 1, -1):
        half = 1 << log_parent
        levels.append(sorted(j ^ half for j in known if j ^ half not in known))
        known = {j & (half - 1) for j in known}
    return levels


def sibling_count(shape: TreeShape, indices: Iterable[int]) -> int:
    """How many siblings an opening of these indices has."""
    return sum(map(len, missing_siblings(shape, indices)))


def verify_opening(
    cap: Sequence[bytes],
    shape: TreeShape,
    indices: Iterable[int],
    rows: Sequence[Sequence[bytes]],
    salts: Sequence[Sequence[bytes]],
    siblings: Sequence[bytes],
    name: str,
) -> None:
    """Check that the rows are those committed by ``cap`` at the indices.

    Rows are compared as bytes; that their elements, and those of digests and salts, are canonical
    is checked where they are read (:func:`read_opening`).

    Raises
    ------
    Rejected
        ``Merkle`` if a digest, a length or a count differs; ``Shape`` for a cap of another length;
        ``ZK`` for a salt that is missing, superfluous, short or used twice.
    """
    if len(cap) != 1 << shape.cap_height:
        raise Rejected(Code.SHAPE, f"cap of {name}", 1 << shape.cap_height, len(cap))
    expected = group_indices(shape, indices)
    _check_rows(shape, expected, rows, name)
    _check_salts(shape, expected, salts, name)
    suite = shape.suite
    leaves: dict[int, dict[int, bytes]] = {}
    for group, (log_size, _) in enumerate(shape.groups):
        salted = salts[group] if shape.salted else [b""] * len(rows[group])
        extensions = repeat(shape.extensions_of(group))
        digests = map(suite.leaf_digest, rows[group], salted, extensions)
        leaves[log_size] = dict(zip(expected[group], digests, strict=True))

    levels = missing_siblings(shape, expected[0])
    count = sum(map(len, levels))
    if len(siblings) != count or any(len(sibling) != DIGEST_BYTES for sibling in siblings):
        got = f"{len(siblings)} siblings"
        raise Rejected(Code.MERKLE, f"siblings of {name}", f"{count} of 32 bytes", got)
    supply = iter(siblings)
    nodes = leaves[shape.log_size]
    for log_parent, missing in zip(range(shape.log_size - 1, -1, -1), levels, strict=False):
        half = 1 << log_parent
        parents = sorted({j & (half - 1) for j in nodes})
        for j in missing:
            nodes[j] = next(supply)
        injected = leaves.get(log_parent)
        if injected is None:
            nodes = {j: suite.node_digest(nodes[j], nodes[j + half]) for j in parents}
        else:
            nodes = {
                j: suite.injected_node_digest(nodes[j], nodes[j + half], injected[j])
                for j in parents
            }
    for j, digest in nodes.items():
        if digest != cap[j]:
            raise Rejected(Code.MERKLE, f"opening of {name}", cap[j].hex(), digest.hex())


def _check_rows(
    shape: TreeShape,
    expected: Sequence[Sequence[int]],
    rows: Sequence[Sequence[bytes]],
    name: str,
) -> None:
    if len(rows) != len(shape.groups):
        raise Rejected(Code.MERKLE, f"groups of rows of {name}", len(shape.groups), len(rows))
    for (_, width), opened, given in zip(shape.groups, expected, rows, strict=True):
        if len(given) != len(opened):
            raise Rejected(Code.MERKLE, f"opened rows of {name}", len(opened), len(given))
        for row in given:
            if len(row) != ELEMENT_BYTES * width:
                raise Rejected(
                    Code.MERKLE, f"bytes in a row of {name}", ELEMENT_BYTES * width, len(row)
                )


def _check_salts(
    shape: TreeShape,
    expected: Sequence[Sequence[int]],
    salts: Sequence[Sequence[bytes]],
    name: str,
) -> None:
    wanted = [len(opened) if shape.salted else 0 for opened in expected]
    if shape.salted and [len(given) for given in salts] != wanted:
        raise Rejected(Code.ZK, f"salts of {name}", wanted, [len(given) for given in salts])
    if not shape.salted and any(salts):
        raise Rejected(Code.ZK, f"salts of {name}", "none", sum(map(len, salts)))
    flat = [salt for given in salts for salt in given]
    if any(len(salt) != SALT_BYTES for salt in flat):
        raise Rejected(Code.ZK, f"bytes in a salt of {name}", SALT_BYTES, "another length")
    if len(set(flat)) != len(flat):
        raise Rejected(Code.ZK, f"salts of {name}", "all different", "one used twice")


def encode_opening(opening: MultiOpening) -> bytes:
    """For each group its rows, then its salts; then the siblings; nothing in between."""
    parts: list[bytes] = []
    for rows, salts in zip(opening.rows, opening.salts, strict=True):
        parts += [*rows, *salts]
    return b"".join([*parts, *opening.siblings])


def opening_bytes(shape: TreeShape, indices: Iterable[int]) -> int:
    """Length of the encoding of an opening of these indices."""
    opened = group_indices(shape, indices)
    salt = SALT_BYTES if shape.salted else 0
    total = DIGEST_BYTES * sibling_count(shape, opened[0])
    for (_, width), values in zip(shape.groups, opened, strict=True):
        total += len(values) * (ELEMENT_BYTES * width + salt)
    return total


def read_opening(
    data: bytes | memoryview, offset: int, shape: TreeShape, indices: Iterable[int]
) -> tuple[MultiOpening, int]:
    """The opening encoded at ``offset``, and the offset behind it.

    Raises
    ------
    Rejected
        ``Format`` if the data ends before the opening does; ``Canonical`` if an element of a row
        is not below p, or a salt or sibling no digest of the suite.
    """
    opened = group_indices(shape, indices)
    count = sibling_count(shape, opened[0])
    end = offset + opening_bytes(shape, opened[0])
    if offset < 0 or end > len(data):
        raise Rejected(Code.FORMAT, "length of a Merkle opening", end - offset, len(data) - offset)
    blob = bytes(data[offset:end])
    position = 0

    def take(pieces: int, size: int) -> tuple[bytes, ...]:
        nonlocal position
        start, position = position, position + pieces * size
        return tuple(blob[k : k + size] for k in range(start, position, size))

    rows, salts = [], []
    for (_, width), values in zip(shape.groups, opened, strict=True):
        largest = max(struct.unpack_from(f"<{len(values) * width}I", blob, position))
        if largest >= P:
            raise Rejected(Code.CANONICAL, "field element in a Merkle row", f"below {P}", largest)
        rows.append(take(len(values), ELEMENT_BYTES * width))
        salts.append(take(len(values), SALT_BYTES) if shape.salted else ())
        check_digests(shape.suite, salts[-1], "the salts of a Merkle opening")
    siblings = take(count, DIGEST_BYTES)
    check_digests(shape.suite, siblings, "the siblings of a Merkle opening")
    return MultiOpening(tuple(rows), tuple(salts), siblings), end
