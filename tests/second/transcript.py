"""Transcript, works and Merkle trees: all that hashes with SHA-256 (format.md, sections 5, 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .field import Ext, exts
from .reading import P, Reader, elements, require

Note = Callable[[str, dict[str, Any]], None]
"""Is told of intermediate values: what they are, and the values by name."""


def sha256(*parts: bytes) -> bytes:
    """SHA-256 of the concatenation."""
    return hashlib.sha256(b"".join(parts)).digest()


def u64(value: int) -> bytes:
    """8 bytes, little-endian."""
    return value.to_bytes(8, "little")


class Transcript:
    """The state that all items go through, and the challenges that come out of it."""

    def __init__(self, note: Note) -> None:
        self.state = bytes(32)
        self.note = note

    def item(self, label: str, data: bytes, kind: str = "known", **more: Any) -> None:
        """Absorb an item."""
        name = label.encode()
        self.state = sha256(b"SLt1", self.state, u64(len(name)), name, u64(len(data)), data)
        self.note("item", {"label": label, "kind": kind, "data": data, "state": self.state} | more)

    def _words(self) -> Iterator[int]:
        counter = 0
        while True:
            block = sha256(b"SLs1", self.state, u64(counter))
            yield from (int.from_bytes(block[i : i + 4], "little") for i in range(0, 32, 4))
            counter += 1

    def challenge(self, label: str, count: int) -> list[Ext]:
        """Elements of F."""
        self.item(label, b"", "challenge")
        below = (v for w in self._words() if (v := w & (2**31 - 1)) < P)
        values = exts([next(below) for _ in range(5 * count)])
        self.note("challenge", {"label": label, "values": values})
        return values

    def indices(self, label: str, count: int, log_size: int) -> list[int]:
        """Indices below 2^log_size."""
        self.item(label, b"", "challenge")
        words = self._words()
        values = [next(words) & ((1 << log_size) - 1) for _ in range(count)]
        self.note("challenge", {"label": label, "values": values})
        return values

    def work(self, label: str, bits: int, reader: Reader) -> None:
        """Check a proof of work of so many bits, and absorb its nonce."""
        if bits == 0:
            return
        at = reader.at
        nonce = reader.take(8)
        head = sha256(b"SLg1", self.state, nonce)[:8]
        require(int.from_bytes(head, "little") % (1 << bits) == 0, "PoW", label)
        self.item(label, nonce, "work", offset=at)


@dataclass(frozen=True)
class Tree:
    """What is known of a tree before it is opened.

    `widths` has, for each log of a size at which there are rows, the number of field elements of
    a row.
    """

    label: str
    widths: dict[int, int]
    salted: bool
    max_cap_height: int

    @property
    def log_size(self) -> int:
        """The log of the number of leaves."""
        return max(self.widths)

    @property
    def cap_height(self) -> int:
        """The log of the number of digests in the cap."""
        return min(self.max_cap_height, min(self.widths))

    @property
    def cap_bytes(self) -> int:
        """The size of the cap."""
        return 32 << self.cap_height

    def row_bytes(self, log_size: int) -> int:
        """The size of a row, with its salt."""
        return 4 * self.widths[log_size] + (32 if self.salted else 0)

    def least_bytes(self) -> int:
        """The size of an opening of one row per size, without siblings."""
        return sum(self.row_bytes(log_size) for log_size in self.widths)


Rows = dict[int, dict[int, list[int]]]
"""Opened rows, by the log of the size, and by position."""


def tree_root(rows: dict[int, list[bytes]]) -> bytes:
    """The root of an unsalted tree from all its rows, by the log of the size."""
    top = max(rows)
    level = [sha256(b"SLl1", row) for row in rows[top]]
    for s in range(top - 1, -1, -1):
        half = 1 << s
        pairs = [level[j] + level[j + half] for j in range(half)]
        if s in rows:
            leaves = [sha256(b"SLl1", row) for row in rows[s]]
            level = [sha256(b"SLi1", *both) for both in zip(pairs, leaves, strict=True)]
        else:
            level = [sha256(b"SLn1", pair) for pair in pairs]
    return level[0]


def _siblings(known: set[int], half: int) -> list[int]:
    """The nodes of a level of 2·half that are needed beside the known ones."""
    return sorted({(j + half) % (2 * half) for j in known} - known)


def open_tree(
    tree: Tree, cap: Sequence[bytes], indices: Sequence[int], reader: Reader, note: Note
) -> Rows:
    """Read and check an opening: the rows that belong to the query indices."""
    start = reader.at
    sizes = sorted(tree.widths, reverse=True)
    places = {s: sorted({q % (1 << s) for q in indices}) for s in sizes}
    levels = range(tree.log_size, tree.cap_height, -1)
    siblings = {s: _siblings({q % (1 << s) for q in indices}, 1 << (s - 1)) for s in levels}
    size = sum(tree.row_bytes(s) * len(places[s]) for s in sizes)
    size += 32 * sum(map(len, siblings.values()))
    require(size <= reader.left(), "Format", f"the opening of {tree.label} ends too early")

    data: dict[int, list[bytes]] = {}
    salts: dict[int, list[bytes]] = {}
    for s in sizes:
        data[s] = [reader.take(4 * tree.widths[s]) for _ in places[s]]
        salts[s] = [reader.take(32 if tree.salted else 0) for _ in places[s]]
    rows = {s: dict(zip(places[s], map(elements, data[s]), strict=True)) for s in sizes}
    if tree.salted:
        all_salts = [salt for s in sizes for salt in salts[s]]
        require(len(set(all_salts)) == len(all_salts), "ZK", f"a salt of {tree.label} twice")
    leaves = {
        s: {
            j: sha256(b"SLl1", salt, row)
            for j, row, salt in zip(places[s], data[s], salts[s], strict=True)
        }
        for s in sizes
    }
    digests = dict(leaves[tree.log_size])
    computed = [("leaf", tree.log_size, digests)]
    for s in levels:
        half = 1 << (s - 1)
        every = digests | {j: reader.take(32) for j in siblings[s]}
        parents = sorted({j % half for j in digests})
        digests = {}
        for j in parents:
            pair = every[j] + every[j + half]
            if s - 1 in leaves:
                digests[j] = sha256(b"SLi1", pair, leaves[s - 1][j])
            else:
                digests[j] = sha256(b"SLn1", pair)
        if s - 1 in leaves:
            computed.append(("rows to inject", s - 1, leaves[s - 1]))
        computed.append(("injected node" if s - 1 in leaves else "node", s - 1, digests))
    note(
        "opening",
        {
            "tree": tree.label,
            "offset": start,
            "bytes": size,
            "salted": tree.salted,
            "cap_height": tree.cap_height,
            "groups": [(s, tree.widths[s], len(places[s])) for s in sizes],
            "siblings": [len(siblings[s]) for s in levels],
            "cap": list(cap),
            "levels": computed,
        },
    )
    require(all(cap[j] == d for j, d in digests.items()), "Merkle", tree.label)
    return rows
