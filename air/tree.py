"""The account tree above the batches, and paths through all of it."""

from __future__ import annotations

from collections.abc import Sequence

from air.encoding import Digest, node_digest

EMPTY_BATCH: Digest = (0,) * 8
"""Root that stands for an absent batch, to the right of the last one. It is no digest of anything
known: a preimage would have to be found."""


def upper_levels(roots: Sequence[Digest]) -> list[list[Digest]]:
    """Levels from the batches' roots, padded with absent batches, up to the one root."""
    levels = (len(roots) - 1).bit_length()
    row = list(roots) + [EMPTY_BATCH] * ((1 << levels) - len(roots))
    result = [row]
    while len(row) > 1:
        row = [node_digest(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        result.append(row)
    return result


def path_root(leaf: Digest, slot: int, path: Sequence[Digest]) -> Digest:
    """The root that a leaf and its siblings, from the leaf upwards, lead to."""
    value = leaf
    for sibling in path:
        value = node_digest(sibling, value) if slot & 1 else node_digest(value, sibling)
        slot >>= 1
    return value
