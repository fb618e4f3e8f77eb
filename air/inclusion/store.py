"""The inclusion store: salts, slots, holdings and tree nodes of one snapshot, in one SQLite file.

It holds every salt and balance: a file of mode 0600 that never leaves the exchange. Customers'
files come out of it on demand or all at once.

Schema; integers in blobs are little-endian:

``meta(key TEXT PRIMARY KEY, value)``
    ``format``: ``"1"``. ``statement``: canonical JSON of the statement, a blob.
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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from air.context import Statement
from air.encoding import (
    AMOUNT_LIMBS,
    DIGEST_LANES,
    LIMB_BITS,
    LIMB_MASK,
    SALT_SIZE,
    Digest,
)
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.inclusion.private_files import private_output, write_private
from stark.errors import InputError, Rejected, UsageError

FORMAT_VERSION = "1"
INDEX_FILE = "index.csv"
UPPER_LEVELS = -1
"""Key of the tree above the batches' roots in the table of nodes."""

NODE_SIZE = 4 * DIGEST_LANES
AMOUNT_SIZE = 10
HOLDING_SIZE = 2 + AMOUNT_SIZE

_HOLDING = np.dtype([("asset", "<u2"), ("low", "<u8"), ("high", "<u2")])
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
_CHUNK = 1 << 16
_PROGRESS_STEP = 1000

_Account = tuple[bytes, bytes, int, bytes]


def write_store(
    path: str | os.PathLike[str],
    statement: Statement,
    account_ids: list[bytes],
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
        Ids, n of them, each UTF-8, no two equal.
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
    _require_arrays(statement, account_ids, salts, slots, offsets, assets, limbs)
    _require_upper(statement, upper)
    target = Path(path)
    rows = _account_rows(account_ids, salts, slots, offsets, _pack_holdings(assets, limbs))
    try:
        with private_output(target) as partial, _connection(partial) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [("format", FORMAT_VERSION), ("statement", statement.encode())],
            )
            connection.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", rows)
            connection.executemany(
                "INSERT INTO nodes VALUES (?, ?)", _node_rows(statement, batch_nodes, upper)
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
        self._blobs.clear()
        self._connection.close()

    def customer(self, account_id: bytes | str) -> CustomerFile:
        """The customer's file of an account. Raises ``UsageError`` if the store has no such id."""
        key = _id_bytes(account_id)
        with self._damage_reported():
            row = self._connection.execute(
                "SELECT account_id, salt, slot, holdings FROM accounts WHERE account_id = ?", (key,)
            ).fetchone()
            if row is None:
                raise UsageError(f"no account {_shown(key)} in {self._file}; ids are taken exactly")
            return self._customer_file(row)

    def export(self, account_id: bytes | str, out_path: str | os.PathLike[str]) -> None:
        """Write the customer's file of an account: whole or not at all, mode 0600.

        Raises ``UsageError`` if the store has no such id or the file cannot be written.
        """
        data = self.customer(account_id).encode()
        with _writing_to(out_path):
            write_private(Path(out_path), data)

    def export_all(
        self,
        out_dir: str | os.PathLike[str],
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write the files of all customers, and ``index.csv`` when all of them are written.

        Each is named by the SHA-256 of the account id in hexadecimal, ``.json``; the index has the
        columns ``account_id,file``. All have mode 0600, a folder that is made has 0700. Files with
        these names are replaced, others are left.

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
            ):
                index = csv.writer(file, lineterminator="\n")
                index.writerow(["account_id", "file"])
                for customer in self._customers():
                    name = customer_file_name(customer.account_id)
                    # To wait for the disk after each file would take most of the time. The index
                    # is waited for and comes last.
                    write_private(folder / name, customer.encode(), durable=False)
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
                for asset, equity in _unpack_holdings(holdings)
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
            return Statement.decode(statement)

    @contextmanager
    def _damage_reported(self) -> Iterator[None]:
        """Errors that only another content than :func:`write_store` writes can raise."""
        try:
            yield
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
        raise UsageError(f"cannot write to {os.fspath(path)}: {error}") from error


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection without implicit transactions that is closed at the end."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(f"inclusion store: {message}")


def _require_arrays(
    statement: Statement,
    account_ids: list[bytes],
    salts: NDArray[np.uint8],
    slots: NDArray[np.int64],
    offsets: NDArray[np.int64],
    assets: NDArray[np.integer],
    limbs: NDArray[np.integer],
) -> None:
    """UsageError unless shapes and ranges are as :func:`write_store` says."""
    accounts, rows = len(account_ids), len(assets)
    _require(
        salts.dtype == np.uint8 and salts.shape == (accounts, SALT_SIZE),
        f"salts must be {SALT_SIZE} bytes for each of {accounts} accounts",
    )
    _require(slots.shape == (accounts,), "one slot for each account")
    capacity = statement.batches * statement.context.shape.slots
    inside = (slots >= 0) & (slots < capacity)
    _require(bool(inside.all()), f"slots must be below {capacity}")
    taken = np.zeros(capacity, np.bool_)
    taken[slots] = True
    _require(int(taken.sum()) == accounts, "no slot may have two accounts")
    _require(
        offsets.shape == (accounts + 1,) and offsets[0] == 0 and offsets[-1] == rows,
        "offsets must go from 0 to the number of rows",
    )
    _require(bool((np.diff(offsets) > 0).all()), "every account needs a row")
    _require(
        assets.shape == (rows,) and limbs.shape == (rows, AMOUNT_LIMBS),
        "one asset and five limbs for each row",
    )
    if rows:
        _require(
            assets.min() >= 0 and assets.max() < len(statement.context.registry),
            "assets must be listed in the statement",
        )
        _require(limbs.min() >= 0 and limbs.max() <= LIMB_MASK, "limbs must have 15 bits")
    rising = assets[1:] > assets[:-1]
    rising[offsets[1:-1] - 1] = True
    _require(bool(rising.all()), "assets must strictly increase within an account")


def _require_upper(statement: Statement, upper: list[list[Digest]]) -> None:
    """UsageError unless the levels fit the statement."""
    levels = statement.context.levels
    _require(
        [len(row) for row in upper] == [1 << (levels - level) for level in range(levels + 1)],
        f"the tree above the batches must have {levels} levels",
    )
    _require(upper[-1][0] == statement.root, "the tree must lead to the statement's root")


def _pack_holdings(assets: NDArray[np.integer], limbs: NDArray[np.integer]) -> memoryview:
    """12 bytes per row: index of the asset, amount; slices of rows, for temporaries to be small."""
    packed = np.empty(len(assets), _HOLDING)
    for start in range(0, len(assets), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = limbs[rows].astype(np.uint64)
        low = part[:, 0].copy()
        for limb in range(1, AMOUNT_LIMBS):
            # The fifth limb's bits from 4 on fall out at the top: bits 64 to 74 of the amount.
            low |= part[:, limb] << np.uint64(LIMB_BITS * limb)
        packed["asset"][rows] = assets[rows]
        packed["low"][rows] = low
        packed["high"][rows] = part[:, -1] >> np.uint64(64 - LIMB_BITS * (AMOUNT_LIMBS - 1))
    return memoryview(packed.view(np.uint8))


def _unpack_holdings(data: bytes) -> list[tuple[int, int]]:
    """(asset index, minor units) of each row."""
    return [
        (
            int.from_bytes(data[at : at + 2], "little"),
            int.from_bytes(data[at + 2 : at + HOLDING_SIZE], "little"),
        )
        for at in range(0, len(data), HOLDING_SIZE)
    ]


def _account_rows(
    account_ids: list[bytes],
    salts: NDArray[np.uint8],
    slots: NDArray[np.int64],
    offsets: NDArray[np.int64],
    holdings: memoryview,
) -> Iterator[tuple[bytes, memoryview, int, memoryview]]:
    """Rows of the table of accounts by id: in this order SQLite only ever appends."""
    order = sorted(range(len(account_ids)), key=account_ids.__getitem__)
    salt_bytes = memoryview(np.ascontiguousarray(salts).reshape(-1))
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        places = zip(
            chunk,
            slots[chunk].tolist(),
            (HOLDING_SIZE * offsets[chunk]).tolist(),
            (HOLDING_SIZE * offsets[1:][chunk]).tolist(),
            strict=True,
        )
        for account, slot, first, last in places:
            account_id = account_ids[account]
            _require_utf8(account_id)
            salt = salt_bytes[SALT_SIZE * account : SALT_SIZE * (account + 1)]
            yield account_id, salt, slot, holdings[first:last]


def _require_utf8(account_id: bytes) -> None:
    try:
        account_id.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"inclusion store: account id {account_id[:80]!r} is not UTF-8") from None


def _node_rows(
    statement: Statement, batch_nodes: Iterable[NDArray[np.uint32]], upper: Sequence[list[Digest]]
) -> Iterator[tuple[int, memoryview]]:
    """Rows of the table of nodes, one batch at a time."""
    shape = (2 * statement.context.shape.slots, DIGEST_LANES)
    count = 0
    for batch, nodes in enumerate(batch_nodes):
        _require(batch < statement.batches, f"the statement has {statement.batches} batches")
        _require(
            nodes.dtype == np.uint32 and nodes.shape == shape, f"nodes must be uint32 {shape}"
        )
        _require(
            tuple(nodes[1].tolist()) == upper[0][batch],
            f"the tree of batch {batch} must lead to its root in the tree above",
        )
        yield batch, _bytes_of(nodes)
        count += 1
    _require(count == statement.batches, f"the statement has {statement.batches} batches")
    above = [(0,) * DIGEST_LANES, *(node for level in reversed(upper) for node in level)]
    yield UPPER_LEVELS, _bytes_of(np.array(above, np.uint32))


def _bytes_of(nodes: NDArray[np.uint32]) -> memoryview:
    return memoryview(np.ascontiguousarray(nodes, "<u4").reshape(-1).view(np.uint8))
