"""The exchange's secrets: a damaged inclusion store, a damaged master key."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from fuzz.document_targets import example
from fuzz.snapshot_targets import folder
from fuzz.target import Target, require

from stark.errors import InputError, UsageError

PAGE = 512
"""Bytes of a page of the seed. The store has pages of 65,536: nearly all of them would be zeros."""

TOKENS = (
    *(b"SQLite format 3\0", b"\x00\x00", b"\xff" * 9, b"CREATE VIEW", b"CREATE TABLE"),
    *(b"accounts", b"nodes", b"meta", b"statement", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x0d"),
)


def store_target() -> Target:
    """Inclusion stores: the exchange's files, or an error that names the damage."""
    import numpy as np

    # Imported here: it needs numpy.
    from air.encoding import limbs
    from air.inclusion.store import InclusionStore, write_store
    from air.registry import AMOUNT_LIMBS

    module = example()
    honest, names = module.EXAMPLE, list(module.ACCOUNTS)
    rows = [module.ACCOUNTS[name][1] for name in names]
    written = Path(folder().name) / "honest.sqlite"
    write_store(
        written,
        honest.statement,
        [name.encode() for name in names],
        np.array([list(honest.salts[name]) for name in names], np.uint8),
        np.array([module.ACCOUNTS[name][0] for name in names]),
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]),
        np.array([asset for row in rows for asset, _ in row], np.uint16),
        np.array([limbs(amount, AMOUNT_LIMBS) for row in rows for _, amount in row], np.uint32),
        [np.array(tree, np.uint32) for tree in honest.nodes],
        honest.upper,
    )
    connection = sqlite3.connect(written)
    connection.executescript(f"PRAGMA page_size = {PAGE}; VACUUM;")
    connection.close()
    seed = written.read_bytes()
    files = {name: honest.file(name) for name in names}
    path = Path(folder().name) / "mutant.sqlite"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        try:
            with InclusionStore(path) as store:
                for name in names:
                    try:
                        found = store.customer(name)
                    except UsageError as error:
                        str(error)
                    else:
                        same = store.statement != honest.statement or found == files[name]
                        require(same, "a customer's file is not the one that was stored")
                len(store)
                with tempfile.TemporaryDirectory(dir=folder().name) as out:
                    store.export_all(Path(out))
        except (InputError, UsageError) as error:
            str(error)

    pages = tuple((at, at + PAGE) for at in range(0, len(seed), PAGE))
    # The head of the file, and of each page: its kind, counts and the first cells' places.
    elements = [*range(16, 97, 4), *(at + k for at, _ in pages[1:] for k in (0, 4, 8, 12))]
    return Target("store", run, (seed,), pages, tuple(elements), tokens=TOKENS)


def master_key_target() -> Target:
    """Master keys: 32 bytes as they are, or UsageError."""
    from air.master_key import read_master_key

    path = Path(folder().name) / "master.key"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        path.chmod(0o600)
        try:
            key = read_master_key(path)
        except UsageError as error:
            str(error)
            return
        require(key == data and len(key) == 32, "a key is not the file's content")

    return Target("master-key", run, (bytes(range(32)), b"\n" * 32))
