"""Reads the inclusion store: customers' files, one on demand or all at once.

The schema is described in docs/inclusion.md. Reading needs the standard library alone, so that a
web server that answers customers loads nothing else.
"""

from __future__ import annotations

import csv
import hashlib
import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType

from air.context import Statement
from air.encoding import DIGEST_LANES, Digest
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.inclusion.private_files import private_output, private_writer
from stark.errors import InputError, Rejected, UsageError

FORMAT_VERSION = "2"
INDEX_FILE = "index.csv"

AMOUNT_SIZE = 10
HOLDING_SIZE = 2 + AMOUNT_SIZE
NODE_SIZE = 4 * DIGEST_LANES

LOG_PART = 7
"""log2 of the nodes in one row of the table of nodes. To take 32 bytes out of a blob, SQL loads it
whole: 2^7 nodes are 4 KiB, and 15 rows fill 94 % of a page of 64 KiB."""

UPPER_LEVELS = -1
"""Key of the tree above the batches' roots in the table of nodes."""

_NODE = struct.Struct(f"<{DIGEST_LANES}I")
_PROGRESS_STEP = 1000

_ACCOUNT = "SELECT account_id, salt, slot, holdings FROM accounts"
_SIBLING = "SELECT substr(nodes, ?, ?) FROM nodes WHERE batch = ? AND part = ?"

_Account = tuple[bytes, bytes, int, bytes]


class UnknownAccountError(UsageError):
    """The store has no account with this id."""


class InclusionStore:
    """Reads a store; a context manager.

    All threads of a process may use one instance at the same time. A process that was forked must
    open its own: two processes that share an open file move each other's place in it.

    Parameters
    ----------
    path
        File from :func:`air.inclusion.store.write_store`.

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
        self._process = os.getpid()
        # SQLite's connection: one thread at a time. Reading takes a tenth of the time of a request,
        # the check, outside of the lock, the rest.
        self._lock = Lock()
        location = Path(path)
        if not location.is_file():
            raise UsageError(f"there is no inclusion store {self._file}")
        # A store never changes once it has its name: no locks, and no files beside it.
        uri = location.absolute().as_uri() + "?mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except sqlite3.Error as error:
            raise UsageError(f"cannot open the inclusion store {self._file}: {error}") from error
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
        with self._reading() as connection:
            (count,) = connection.execute("SELECT count(*) FROM accounts").fetchone()
            return int(count)

    def close(self) -> None:
        """Close the file; may be called more than once."""
        with self._lock:
            self._connection.close()

    def customer(self, account_id: bytes | str) -> CustomerFile:
        """The customer's file of an account, checked as the customer will check it.

        Raises :class:`UnknownAccountError` if the store has no such id.
        """
        key = _id_bytes(account_id)
        with self._reading() as connection:
            row = connection.execute(f"{_ACCOUNT} WHERE account_id = ?", (key,)).fetchone()
            if row is None:
                raise UnknownAccountError(
                    f"no account {_shown(key)} in {self._file}; ids are taken exactly"
                )
            customer = self._customer_file(row)
        with self._damage_reported():
            # The index over ids may be damaged: nobody gets the file of another.
            check_customer(customer, self.statement, key.decode("utf-8"))
        return customer

    def export(self, account_id: bytes | str, out_path: str | os.PathLike[str]) -> None:
        """Write the customer's file of an account: whole or not at all, mode 0600.

        Raises :class:`UnknownAccountError` if the store has no such id, ``UsageError`` if the file
        cannot be written.
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
        :meth:`customer` does: it takes ten times as long.

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
        with self._reading() as connection:
            rows = connection.execute(f"{_ACCOUNT} ORDER BY account_id")
        last: bytes | None = None
        while True:
            with self._reading():
                row = rows.fetchone()
                if row is None:
                    return
                customer = self._customer_file(row)
                # In a damaged index a page may occur twice, again and again.
                if last is not None and row[0] <= last:
                    raise self._damaged("accounts are out of order")
                last = row[0]
            yield customer

    def _customer_file(self, row: _Account) -> CustomerFile:
        account_id, salt, slot, holdings = row
        # SQLite keeps the type with each value, not with the column: damage may change it.
        if [type(value) for value in row] != [bytes, bytes, int, bytes]:
            raise self._damaged("an account has values of other types")
        if len(holdings) % HOLDING_SIZE:
            raise self._damaged("an account has a part of a holding")
        context = self.statement.context
        if not 0 <= slot < self.statement.batches * context.shape.slots:
            raise self._damaged(f"there is no slot {slot}")
        log_slots = context.shape.log_slots
        batch, leaf = slot >> log_slots, slot & ((1 << log_slots) - 1)
        siblings = self._siblings(batch, log_slots, leaf)
        siblings += self._siblings(UPPER_LEVELS, context.levels, batch)
        return CustomerFile(
            account_id=account_id.decode("utf-8"),
            salt=salt,
            slot=slot,
            holdings=tuple(
                CustomerHolding(context.registry[asset].symbol, equity)
                for asset, equity in unpack_holdings(holdings)
            ),
            path=tuple(siblings),
            statement_digest=self._digest,
        )

    def _siblings(self, batch: int, levels: int, leaf: int) -> list[Digest]:
        """Siblings from a leaf of one of the trees upwards to below its root."""
        node = (1 << levels) + leaf
        result: list[Digest] = []
        while node > 1:
            part, place = divmod(node ^ 1, 1 << LOG_PART)
            # SQL counts bytes from 1.
            where = (NODE_SIZE * place + 1, NODE_SIZE, batch, part)
            row = self._connection.execute(_SIBLING, where).fetchone()
            if row is None or not isinstance(row[0], bytes) or len(row[0]) != NODE_SIZE:
                raise self._damaged(f"the tree of batch {batch} has no node {node ^ 1}")
            result.append(_NODE.unpack(row[0]))
            node >>= 1
        return result

    def _read_statement(self) -> Statement:
        with self._reading() as connection:
            meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
            version, statement = meta.get("format"), meta.get("statement")
            if version != FORMAT_VERSION or not isinstance(statement, bytes):
                raise self._damaged(f"format {FORMAT_VERSION} is expected, this is {version!r}")
            result = Statement.decode(statement)
            if result.digest() != meta.get("statement_digest"):
                raise self._damaged("the statement has another digest")
            return result

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        if os.getpid() != self._process:
            raise UsageError(
                f"the inclusion store {self._file} was opened before this process was forked; "
                "open it in each process"
            )
        with self._damage_reported(), self._lock:
            yield self._connection

    @contextmanager
    def _damage_reported(self) -> Iterator[None]:
        """Errors that only another content than ``write_store`` writes can raise."""
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


def unpack_holdings(data: bytes) -> list[tuple[int, int]]:
    """(asset index, minor units) of each row."""
    return [
        (
            int.from_bytes(data[at : at + 2], "little"),
            int.from_bytes(data[at + 2 : at + HOLDING_SIZE], "little"),
        )
        for at in range(0, len(data), HOLDING_SIZE)
    ]


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
