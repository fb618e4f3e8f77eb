"""The inclusion store: salts, slots, holdings and tree nodes of one snapshot, in one SQLite file.

It holds every salt and balance: a file of mode 0600 that never leaves the exchange. Customers'
files come out of it on demand or all at once.

Schema; integers in blobs are little-endian:

``meta(key TEXT PRIMARY KEY, value)``
    ``format``: ``"1"``. ``statement``: canonical JSON of the statement, a blob.
    ``statement_digest``: its digest, 32 bytes.
``accounts(account_id BLOB PRIMARY KEY, salt BLOB, slot INTEGER, holdings BLOB) WITHOUT ROWID``
    ``salt``: 32 bytes. ``slot``: over all batches. ``holdings``: 12 bytes per row of the leaf,
    2 for the asset's index and 10 for the amount in minor units.
``nodes(batch INTEGER PRIMARY KEY, nodes BLOB)``
    The account tree of a batch: node i at 32 i as eight field elements of 4 bytes; the root is
    node 1, the children of node i are 2 i and 2 i + 1, the leaf of slot s is node slots + s; the
    bytes of node 0 mean nothing. Batch -1 is the tree above the batches' roots, absent batches
    included.

A reader takes single nodes out of a blob without loading it.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from air.context import Statement
from air.encoding import DIGEST_LANES, Digest
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.inclusion.private_files import private_output, private_writer
from air.inclusion.store_rows import (
    HOLDING_SIZE,
    UPPER_LEVELS,
    account_rows,
    node_rows,
    pack_holdings,
    require_arrays,
    require_upper,
    unpack_holdings,
)
from air.snapshot.columns import TextColumn
from stark.errors import InputError, Rejected, UsageError

FORMAT_VERSION = "1"
INDEX_FILE = "index.csv"
NODE_SIZE = 4 * DIGEST_LANES

# To find a node in a blob, SQLite follows a list of the blob's pages: 2^25 bytes, the tree of 2^19
# slots, are 512 pages of this size, the largest there is.
_SCHEMA = """
PRAGMA page_size = 65536;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE accounts (
    account_id BLOB PRIMARY KEY, salt BLOB NOT NULL, slot INTEGER NOT NULL, holdings BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE nodes (batch INTEGER PRIMARY KEY, nodes BLOB NOT NULL);
"""
_PROGRESS_STEP = 1000

_Account = tuple[bytes, bytes, int, bytes]


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
                "INSERT INTO nodes VALUES (?, ?)", node_rows(statement, batch_nodes, upper)
            )
            connection.execute("COMMIT")
    except sqlite3.IntegrityError:
        raise UsageError("the inclusion store cannot hold two accounts with the same id") from None
    except (sqlite3.Error, OSError) as error:
        raise UsageError(f"cannot write the inclusion store {target}: {error}") from error


class InclusionStore:
    """Reads a store; a context manager, for use in the thread that made it.

    Parameters
    ----------
    path
        File from :func:`write_store`.

    Attributes
    ----------
    statement
        The statement of the snapshot.

    Raises
    ------
    UsageError
        If there is no such file or it cannot be opened.
    InputError
        If it is not a store, of another version, or damaged. So do all methods.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = os.fspath(path)
        location = Path(path)
        if not location.is_file():
            raise UsageError(f"there is no inclusion store {self._file}")
        # A store never changes once it has its name: no locks, and no files beside it.
        uri = location.absolute().as_uri() + "?mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(uri, uri=True)
        except sqlite3.Error as error:
            raise UsageError(f"cannot open the inclusion store {self._file}: {error}") from error
        self._blobs: dict[int, sqlite3.Blob] = {}
        try:
            self.statement = self._read_statement()
        except BaseException:
            self.close()
            raise
        self._digest = self.statement.digest()

    def __enter__(self) -> InclusionStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Number of accounts."""
        with self._damage_reported():
            (count,) = self._connection.execute("SELECT count(*) FROM accounts").fetchone()
            return int(count)

    def close(self) -> None:
        """Close the file; may be called more than once."""
        for blob in self._blobs.values():
            blob.close()
        self._blobs.clear()
        self._connection.close()

    def customer(self, account_id: bytes | str) -> CustomerFile:
        """The customer's file of an account, checked as the customer will check it.

        Raises ``UsageError`` if the store has no such id.
        """
        key = _id_bytes(account_id)
        with self._damage_reported():
            row = self._connection.execute(
                "SELECT account_id, salt, slot, holdings FROM accounts WHERE account_id = ?", (key,)
            ).fetchone()
            if row is None:
                raise UsageError(f"no account {_shown(key)} in {self._file}; ids are taken exactly")
            customer = self._customer_file(row)
            check_customer(customer, self.statement)
            return customer

    def export(self, account_id: bytes | str, out_path: str | os.PathLike[str]) -> None:
        """Write the customer's file of an account: whole or not at all, mode 0600.

        Raises ``UsageError`` if the store has no such id or the file cannot be written.
        """
        data = self.customer(account_id).encode()
        with _writing_to(out_path), private_output(Path(out_path)) as partial:
            partial.write_bytes(data)

    def export_all(
        self,
        out_dir: str | os.PathLike[str],
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write the files of all customers, and ``index.csv`` when all of them are written.

        Each is named by the SHA-256 of the account id in hexadecimal, ``.json``; the index has the
        columns ``account_id,file``. All have mode 0600, a folder that is made has 0700. Files with
        these names are replaced, others are left. Paths are not recomputed up to the root, as
        :meth:`customer` does: it takes a hundred times as long.

        Parameters
        ----------
        progress
            Called now and then with the number of accounts written and of all accounts.

        Returns
        -------
        Number of accounts.

        Raises
        ------
        UsageError
            If a file cannot be written.
        """
        folder = Path(out_dir)
        total, done = len(self), 0
        with _writing_to(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (
                private_output(folder / INDEX_FILE) as partial,
                open(partial, "w", encoding="utf-8", newline="") as file,
                private_writer(folder) as write,
            ):
                index = csv.writer(file)
                index.writerow(["account_id", "file"])
                for customer in self._customers():
                    name = customer_file_name(customer.account_id)
                    write(name, customer.encode())
                    index.writerow([customer.account_id, name])
                    done += 1
                    if progress is not None and (done % _PROGRESS_STEP == 0 or done == total):
                        progress(done, total)
        return done

    def _customers(self) -> Iterator[CustomerFile]:
        """All customers' files, by account id."""
        with self._damage_reported():
            rows = self._connection.execute(
                "SELECT account_id, salt, slot, holdings FROM accounts ORDER BY account_id"
            )
        while True:
            with self._damage_reported():
                row = rows.fetchone()
                if row is None:
                    return
                customer = self._customer_file(row)
            yield customer

    def _customer_file(self, row: _Account) -> CustomerFile:
        account_id, salt, slot, holdings = row
        # SQLite keeps the type with each value, not with the column: damage may change it.
        if [type(value) for value in row] != [bytes, bytes, int, bytes]:
            raise self._damaged("an account has values of other types")
        if len(holdings) % HOLDING_SIZE:
            raise self._damaged("an account has a part of a holding")
        registry = self.statement.context.registry
        log_slots = self.statement.context.shape.log_slots
        batch, leaf = slot >> log_slots, slot & ((1 << log_slots) - 1)
        siblings = self._siblings(batch, log_slots, leaf)
        siblings += self._siblings(UPPER_LEVELS, self.statement.context.levels, batch)
        return CustomerFile(
            account_id=account_id.decode("utf-8"),
            salt=salt,
            slot=slot,
            holdings=tuple(
                CustomerHolding(registry[asset].symbol, equity)
                for asset, equity in unpack_holdings(holdings)
            ),
            path=tuple(siblings),
            statement_digest=self._digest,
        )

    def _siblings(self, batch: int, levels: int, leaf: int) -> list[Digest]:
        """Siblings from a leaf of one of the trees upwards to below its root."""
        blob = self._blobs.get(batch)
        if blob is None:
            blob = self._connection.blobopen("nodes", "nodes", batch, readonly=True)
            self._blobs[batch] = blob
        if len(blob) != NODE_SIZE << (levels + 1):
            raise self._damaged(f"the tree of batch {batch} has another size")
        node = (1 << levels) + leaf
        result: list[Digest] = []
        while node > 1:
            blob.seek(NODE_SIZE * (node ^ 1))
            data = blob.read(NODE_SIZE)
            result.append(
                tuple(int.from_bytes(data[at : at + 4], "little") for at in range(0, NODE_SIZE, 4))
            )
            node >>= 1
        return result

    def _read_statement(self) -> Statement:
        with self._damage_reported():
            meta = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
            version, statement = meta.get("format"), meta.get("statement")
            if version != FORMAT_VERSION or not isinstance(statement, bytes):
                raise self._damaged(f"format {FORMAT_VERSION} is expected, this is {version!r}")
            result = Statement.decode(statement)
            if result.digest() != meta.get("statement_digest"):
                raise self._damaged("the statement has another digest")
            return result

    @contextmanager
    def _damage_reported(self) -> Iterator[None]:
        """Errors that only another content than :func:`write_store` writes can raise."""
        try:
            yield
        except sqlite3.ProgrammingError as error:
            raise UsageError(f"cannot read the inclusion store {self._file}: {error}") from error
        except (sqlite3.DatabaseError, Rejected, IndexError, UnicodeDecodeError) as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, reason: str) -> InputError:
        return InputError(
            self._file, None, None, None, f"not an inclusion store, or damaged: {reason}"
        )


def customer_file_name(account_id: str) -> str:
    """Name of an account's file among all exported: hexadecimal digits and ``.json``.

    An id may hold any character, those included that a file system cannot; and a name shows no id.
    """
    return hashlib.sha256(account_id.encode("utf-8")).hexdigest() + ".json"


def _id_bytes(account_id: bytes | str) -> bytes:
    if isinstance(account_id, bytes):
        return account_id
    try:
        return account_id.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"account id {ascii(account_id)[:80]} is not Unicode text") from None


def _shown(account_id: bytes) -> str:
    """An id for a message, escaped, at most 80 characters."""
    return ascii(account_id.decode("utf-8", "backslashreplace"))[:80]


@contextmanager
def _writing_to(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot write to {os.fspath(path)}: {reason}") from error


def _connection(path: Path) -> sqlite3.Connection:
    """Without implicit transactions."""
    return sqlite3.connect(path, isolation_level=None)
