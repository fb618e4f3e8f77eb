"""The inclusion store: salts, slots, holdings and tree nodes of one snapshot, in one SQLite file.

It holds every salt and balance: a file of mode 0600 that never leaves the exchange. Customers'
files come out of it on demand or all at once, see :mod:`air.inclusion.reader`.

Schema; integers in blobs are little-endian:

``meta(key TEXT PRIMARY KEY, value)``
    ``format``: ``"2"``. ``statement``: canonical JSON of the statement, a blob.
    ``statement_digest``: its digest, 32 bytes.
``accounts(account_id BLOB PRIMARY KEY, salt BLOB, slot INTEGER, holdings BLOB) WITHOUT ROWID``
    ``salt``: 32 bytes. ``slot``: over all batches. ``holdings``: 12 bytes per row of the leaf,
    2 for the asset's index and 10 for the amount in minor units.
``nodes(batch INTEGER, part INTEGER, nodes BLOB, PRIMARY KEY (batch, part)) WITHOUT ROWID``
    The account tree of a batch: its root is node 1, the children of node i are 2 i and 2 i + 1, the
    leaf of slot s is node slots + s. Part k has the nodes from 128 k to 128 k + 127, as far as
    there are, each as eight field elements of 4 bytes; the bytes of node 0 mean nothing. Batch -1
    is the tree above the batches' roots, absent batches included.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from air.context import Statement
from air.encoding import Digest
from air.inclusion.private_files import private_output
from air.inclusion.reader import (
    FORMAT_VERSION,
    INDEX_FILE,
    InclusionStore,
    UnknownAccountError,
    customer_file_name,
)
from air.inclusion.store_rows import (
    account_rows,
    node_rows,
    pack_holdings,
    require_arrays,
    require_upper,
)
from air.snapshot.columns import TextColumn
from stark.errors import UsageError

__all__ = [
    "INDEX_FILE",
    "InclusionStore",
    "UnknownAccountError",
    "customer_file_name",
    "write_store",
]

# The largest pages there are: fewest of them for the holdings of many accounts, and the least room
# lost behind the last row of each.
_SCHEMA = """
PRAGMA page_size = 65536;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE accounts (
    account_id BLOB PRIMARY KEY, salt BLOB NOT NULL, slot INTEGER NOT NULL, holdings BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE nodes (
    batch INTEGER, part INTEGER, nodes BLOB NOT NULL, PRIMARY KEY (batch, part)
) WITHOUT ROWID;
"""


def write_store(
    path: str | os.PathLike[str],
    statement: Statement,
    account_ids: TextColumn | list[bytes],
    salts: NDArray[np.uint8],
    slots: NDArray[np.int64],
    offsets: NDArray[np.int64],
    assets: NDArray[np.integer],
    limbs: NDArray[np.integer],
    batch_nodes: Iterable[NDArray[np.uint32]],
    upper: list[list[Digest]],
) -> None:
    """Write the store of a snapshot; the file appears whole, with mode 0600, or not at all.

    Parameters
    ----------
    account_ids
        Ids, n of them, each UTF-8, no two equal; a column spares one Python object for each.
    salts
        uint8 (n, 32).
    slots
        Integers (n,): slots over all batches, no two equal.
    offsets
        Integers (n + 1,): rows of account i are ``offsets[i]`` to ``offsets[i + 1]``, at least one.
    assets
        Integers (rows,): indices in the statement's registry, strictly increasing in an account.
    limbs
        Integers (rows, 5): 15-bit limbs of the amounts, lowest first.
    batch_nodes
        For each batch in order uint32 (2 * slots, 8), canonical: its account tree, node i at row i.
    upper
        Levels above, from :func:`air.tree.upper_levels`; they end in the statement's root.

    Raises
    ------
    UsageError
        If the arguments do not fit each other or the file cannot be written.
    """
    if isinstance(account_ids, list):
        account_ids = TextColumn.of(account_ids)
    require_arrays(statement, account_ids, salts, slots, offsets, assets, limbs)
    require_upper(statement, upper)
    target = Path(path)
    rows = account_rows(account_ids, salts, slots, offsets, pack_holdings(assets, limbs))
    try:
        with private_output(target) as partial, closing(_connection(partial)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [
                    ("format", FORMAT_VERSION),
                    ("statement", statement.encode()),
                    ("statement_digest", statement.digest()),
                ],
            )
            connection.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", rows)
            connection.executemany(
                "INSERT INTO nodes VALUES (?, ?, ?)", node_rows(statement, batch_nodes, upper)
            )
            connection.execute("COMMIT")
    except sqlite3.IntegrityError:
        raise UsageError("the inclusion store cannot hold two accounts with the same id") from None
    except (sqlite3.Error, OSError) as error:
        raise UsageError(f"cannot write the inclusion store {target}: {error}") from error


def _connection(path: Path) -> sqlite3.Connection:
    """Without implicit transactions."""
    return sqlite3.connect(path, isolation_level=None)
