"""The inclusion store: what goes in comes out as customers' files that are accepted."""

from __future__ import annotations

import csv
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inclusion_example import ACCOUNTS, EXAMPLE
from store_arguments import IDS, arguments

from air.encoding import limbs
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile
from air.inclusion.reader import unpack_holdings
from air.inclusion.store import INDEX_FILE, InclusionStore, customer_file_name, write_store
from air.inclusion.store_rows import pack_holdings
from air.registry import AMOUNT_BOUND, AMOUNT_LIMBS
from stark.errors import InputError, UsageError


@pytest.fixture(scope="module")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Characters that mean something in the address by which SQLite opens a file.
    path = tmp_path_factory.mktemp("a store?#%41 ") / "inclusion?mode=rw#.sqlite"
    write_store(path, **arguments())
    return path


@pytest.fixture
def store(store_path: Path) -> Iterator[InclusionStore]:
    with InclusionStore(store_path) as opened:
        yield opened


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_customers_files_are_those_of_plain_python(store: InclusionStore) -> None:
    assert len(store) == len(IDS)
    assert store.statement == EXAMPLE.statement
    for name in IDS:
        file = store.customer(name)
        assert file == EXAMPLE.file(name)
        assert store.customer(name.encode()) == file
        assert check_customer(file, store.statement, name).note is None


def test_only_the_owner_reads_it_and_nothing_else_is_left(store_path: Path) -> None:
    assert mode(store_path) == 0o600
    assert os.listdir(store_path.parent) == [store_path.name]


def test_a_store_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "inclusion.sqlite"
    path.write_bytes(b"something else")
    path.chmod(0o644)
    with pytest.raises(UsageError):
        write_store(path, **arguments(batch_nodes=[]))
    assert path.read_bytes() == b"something else"
    write_store(path, **arguments())
    assert mode(path) == 0o600
    assert os.listdir(tmp_path) == [path.name]
    with InclusionStore(path) as store:
        assert store.customer("u-2") == EXAMPLE.file("u-2")


def test_no_accounts_and_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "inclusion.sqlite"
    empty = arguments(
        account_ids=[],
        salts=np.zeros((0, 32), np.uint8),
        slots=np.zeros(0, np.int64),
        offsets=np.zeros(1, np.int64),
        assets=np.zeros(0, np.uint16),
        limbs=np.zeros((0, 5), np.uint32),
    )
    write_store(path, **empty)
    with InclusionStore(path) as store:
        assert len(store) == 0
        assert store.export_all(tmp_path / "out") == 0


@pytest.mark.parametrize(
    "account_id", ["u-3", "", "u-1 ", "ZOE\u0308", "zo\u00eb", b"\xff", b"u-1\0", "\udcff"]
)
def test_unknown_accounts(store: InclusionStore, account_id: str | bytes) -> None:
    with pytest.raises(UsageError) as caught:
        store.customer(account_id)
    assert str(caught.value).isascii()
    assert "account" in str(caught.value)


def test_export(store: InclusionStore, tmp_path: Path) -> None:
    out = tmp_path / "mine.json"
    out.write_text("old")
    out.chmod(0o644)
    store.export("u-1", out)
    assert CustomerFile.decode(out.read_bytes()) == EXAMPLE.file("u-1")
    assert mode(out) == 0o600
    with pytest.raises(UsageError):
        store.export("u-3", tmp_path / "other.json")
    with pytest.raises(UsageError, match=r"no folder/x\.json: No such file or directory$"):
        store.export("u-1", tmp_path / "no folder" / "x.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError):
        store.export("u-1", tmp_path / "folder")
    assert sorted(os.listdir(tmp_path)) == ["folder", "mine.json"]


def test_export_all(store: InclusionStore, tmp_path: Path) -> None:
    out = tmp_path / "new" / "files"
    calls: list[tuple[int, int]] = []
    assert store.export_all(out, lambda done, total: calls.append((done, total))) == len(IDS)
    assert calls == [(len(IDS), len(IDS))]
    assert mode(out) == 0o700
    with open(out / INDEX_FILE, encoding="utf-8", newline="") as file:
        index = list(csv.reader(file))
    assert index[0] == ["account_id", "file"]
    names = dict(index[1:])
    assert sorted(names) == sorted(IDS)
    for account_id, name in names.items():
        assert name == hashlib.sha256(account_id.encode()).hexdigest() + ".json"
        assert name == customer_file_name(account_id)
        assert mode(out / name) == 0o600
        assert CustomerFile.decode((out / name).read_bytes()) == EXAMPLE.file(account_id)
    assert mode(out / INDEX_FILE) == 0o600
    assert sorted(os.listdir(out)) == sorted([INDEX_FILE, *names.values()])


class StoppedError(Exception):
    """Stands for an interrupt."""


def test_an_interrupted_export_leaves_no_index_and_no_parts(
    store: InclusionStore, tmp_path: Path
) -> None:
    def stop(done: int, total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        store.export_all(tmp_path, stop)
    assert all(name.endswith(".json") for name in os.listdir(tmp_path))
    assert store.export_all(tmp_path) == len(IDS)
    assert len(os.listdir(tmp_path)) == len(IDS) + 1


def test_export_into_a_file(store: InclusionStore, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        store.export_all(tmp_path / "file")


def test_missing_store_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.sqlite", tmp_path):
        with pytest.raises(UsageError, match="there is no inclusion store"):
            InclusionStore(path)
    with pytest.raises(UsageError, match="cannot write"):
        write_store(tmp_path / "none" / "inclusion.sqlite", **arguments())


def test_closed_store(store_path: Path) -> None:
    store = InclusionStore(store_path)
    store.customer("u-1")
    store.close()
    store.close()
    with pytest.raises(UsageError, match="closed"):
        store.customer("u-1")


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(84)])
def test_files_that_are_no_store(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "inclusion.sqlite"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        InclusionStore(path)
    assert caught.value.file == str(path)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE meta SET value = '1' WHERE key = 'format'",
        "DELETE FROM meta WHERE key = 'statement'",
        "UPDATE meta SET value = 'text' WHERE key = 'statement'",
        "UPDATE meta SET value = x'7b7d' WHERE key = 'statement'",
        "UPDATE meta SET value = zeroblob(32) WHERE key = 'statement_digest'",
        "DELETE FROM meta WHERE key = 'statement_digest'",
        "DROP TABLE accounts",
        "DROP TABLE nodes",
        "DELETE FROM nodes WHERE batch = 0",
        "DELETE FROM nodes WHERE batch = -1",
        "UPDATE nodes SET nodes = substr(nodes, 33)",
        "UPDATE nodes SET nodes = zeroblob(512)",
        "UPDATE nodes SET nodes = 7",
        "UPDATE accounts SET slot = 12",
        "UPDATE accounts SET slot = -1",
        "UPDATE accounts SET slot = 1 << 62",
        "UPDATE accounts SET slot = 'text'",
        "UPDATE accounts SET salt = zeroblob(31)",
        "UPDATE accounts SET salt = zeroblob(32)",
        "UPDATE accounts SET salt = 'text'",
        "UPDATE accounts SET holdings = zeroblob(0)",
        "UPDATE accounts SET holdings = zeroblob(13)",
        "UPDATE accounts SET holdings = x'ffff00000000000000000000'",
        "UPDATE accounts SET holdings = x'0000ffffffffffffffffffff'",
        "UPDATE accounts SET holdings = 'text'",
    ],
)
def test_damaged_stores(store_path: Path, tmp_path: Path, change: str) -> None:
    path = tmp_path / "inclusion.sqlite"
    path.write_bytes(store_path.read_bytes())
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(change)
    connection.close()
    with (
        pytest.raises(InputError, match="not an inclusion store, or damaged"),
        InclusionStore(path) as store,
    ):
        store.customer("u-1")


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever is damaged: the right file, or an error that names the store."""
    path = tmp_path_factory.getbasetemp() / "damaged.sqlite"
    if not path.exists():
        write_store(path, **arguments())
    content = bytearray(path.read_bytes())
    # Most of the pages of so small a store are zero: half of the places are where content is.
    filled = [at for at, byte in enumerate(content) if byte]
    at = data.draw(st.sampled_from(filled) | st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    damaged = path.with_name("damaged now.sqlite")
    damaged.write_bytes(content)
    try:
        with InclusionStore(damaged) as store:
            file = store.customer("u-1")
    except (InputError, UsageError) as error:
        message = str(error)
    else:
        assert file == EXAMPLE.file("u-1")
        return
    # If the id or the index over ids was damaged, the account is not found.
    assert str(damaged) in message
    assert "not an inclusion store, or damaged" in message or "no account 'u-1'" in message


def with_value(name: str, index: Any, value: int) -> dict[str, Any]:
    array = arguments()[name].copy()
    array[index] = value
    return {name: array}


def without_last(name: str) -> dict[str, Any]:
    return {name: arguments()[name][:-1]}


@pytest.mark.parametrize(
    "changes",
    [
        {"account_ids": [b"u-1"] * 6},
        {"account_ids": [b"u-1", b"u-2", b"\xff", b"c", b"d", b"e"]},
        without_last("account_ids"),
        without_last("salts"),
        without_last("slots"),
        without_last("offsets"),
        without_last("assets"),
        without_last("limbs"),
        without_last("batch_nodes"),
        without_last("upper"),
        {"salts": arguments()["salts"][:, :16]},
        {"salts": arguments()["salts"].astype(np.int64)},
        {"batch_nodes": [*arguments()["batch_nodes"], arguments()["batch_nodes"][0]]},
        {"batch_nodes": arguments()["batch_nodes"][::-1]},
        {"batch_nodes": [tree.astype(np.int64) for tree in arguments()["batch_nodes"]]},
        {"batch_nodes": [tree[1:] for tree in arguments()["batch_nodes"]]},
        {"upper": [*EXAMPLE.upper[:-1], [(0,) * 8]]},
        with_value("slots", 0, 24),
        with_value("slots", 0, -1),
        with_value("slots", 0, ACCOUNTS["u-2"][0]),
        with_value("offsets", 0, 1),
        with_value("offsets", 1, 0),
        with_value("offsets", -1, 9),
        with_value("assets", 0, 4),
        with_value("assets", 1, 0),
        with_value("limbs", (0, 4), 1 << 15),
    ],
)
def test_arguments_that_do_not_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        write_store(tmp_path / "inclusion.sqlite", **arguments(**changes))
    assert os.listdir(tmp_path) == []


AMOUNTS = st.sampled_from([0, 1, 1 << 60, (1 << 64) - 1, 1 << 64, AMOUNT_BOUND - 1]) | st.integers(
    0, AMOUNT_BOUND - 1
)


@given(st.lists(st.tuples(st.integers(0, (1 << 14) - 1), AMOUNTS), max_size=20))
def test_holdings_are_packed_exactly(rows: list[tuple[int, int]]) -> None:
    assets = np.array([asset for asset, _ in rows], np.uint16)
    limb_rows = [limbs(amount, AMOUNT_LIMBS) for _, amount in rows]
    packed = bytes(pack_holdings(assets, np.array(limb_rows, np.uint32).reshape(-1, 5)))
    assert packed == b"".join(
        asset.to_bytes(2, "little") + amount.to_bytes(10, "little") for asset, amount in rows
    )
    assert unpack_holdings(packed) == rows
