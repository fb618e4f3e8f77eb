"""The inclusion store where things go wrong: damage, full disks, kills, threads and forks."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inclusion_example import ACCOUNTS, EXAMPLE
from store_arguments import IDS, arguments
from support.fake_jobs import heed_interrupts

from air.inclusion import private_files
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile
from air.inclusion.reader import INDEX_FILE, InclusionStore, UnknownAccountError
from air.inclusion.store import write_store
from stark.errors import InputError, Rejected, UsageError

ROOT = Path(__file__).parents[3]
FILES = {name: EXAMPLE.file(name) for name in IDS}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faults") / "inclusion.sqlite"
    write_store(path, **arguments())
    # Small pages: of 65,536 bytes, nearly all would be zeros.
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA page_size = 512; VACUUM")
    return path


def read_everything(path: Path) -> None:
    """Typed errors alone; under the true statement, no file but the right one."""
    try:
        with InclusionStore(path) as store:
            for name in IDS:
                try:
                    file = store.customer(name)
                except (InputError, UsageError) as error:
                    require_named(error, path)
                else:
                    assert file == FILES[name] or store.statement != EXAMPLE.statement
            with tempfile.TemporaryDirectory() as folder:
                try:
                    store.export_all(folder)
                finally:
                    require_right_files(Path(folder))
    except (InputError, UsageError) as error:
        require_named(error, path)


def require_named(error: Exception, path: Path) -> None:
    assert str(path) in str(error)


def require_right_files(folder: Path) -> None:
    """Exported files may be wrong, but no wrong one is accepted."""
    for path in folder.glob("*.json"):
        file = CustomerFile.decode(path.read_bytes())
        try:
            check_customer(file, EXAMPLE.statement)
        except Rejected:
            continue
        assert file == FILES[file.account_id]


def test_a_whole_store_passes(honest: Path, tmp_path: Path) -> None:
    read_everything(honest)
    with InclusionStore(honest) as store:
        assert [store.customer(name) for name in IDS] == list(FILES.values())
        store.export_all(tmp_path)
    require_right_files(tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == len(IDS)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_truncated_stores(honest: Path, data: st.DataObject) -> None:
    content = honest.read_bytes()
    size = data.draw(st.integers(0, len(content) - 1))
    damaged = honest.with_name("truncated.sqlite")
    damaged.write_bytes(content[:size])
    read_everything(damaged)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_flipped_bits(honest: Path, data: st.DataObject) -> None:
    content = bytearray(honest.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 8 * len(content) - 1))
        content[at >> 3] ^= 1 << (at & 7)
    damaged = honest.with_name("flipped.sqlite")
    damaged.write_bytes(content)
    read_everything(damaged)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pages_in_other_places(honest: Path, data: st.DataObject) -> None:
    content = honest.read_bytes()
    pages = [content[at : at + 512] for at in range(0, len(content), 512)]
    where = st.integers(0, len(pages) - 1)
    pages[data.draw(where)] = pages[data.draw(where)]
    damaged = honest.with_name("exchanged.sqlite")
    damaged.write_bytes(b"".join(pages))
    read_everything(damaged)


@pytest.mark.parametrize(
    "change",
    [
        # A slot of a batch that the statement does not have, with a tree of its own.
        "UPDATE nodes SET batch = 9 WHERE batch = 0; UPDATE accounts SET slot = 72",
        "UPDATE accounts SET slot = 24",
        # Somebody else's data under an id.
        """UPDATE accounts SET (salt, slot, holdings) =
           (SELECT salt, slot, holdings FROM accounts WHERE account_id = CAST('u-2' AS BLOB))
           WHERE account_id = CAST('u-1' AS BLOB)""",
        """UPDATE accounts SET account_id = x'00' WHERE account_id = CAST('u-1' AS BLOB);
           UPDATE accounts SET account_id = CAST('u-1' AS BLOB)
           WHERE account_id = CAST('u-2' AS BLOB)""",
        "UPDATE nodes SET nodes = CAST('text' AS TEXT)",
        "UPDATE nodes SET part = part + 1",
    ],
)
def test_well_formed_but_false(honest: Path, tmp_path: Path, change: str) -> None:
    path = tmp_path / "inclusion.sqlite"
    path.write_bytes(honest.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(change)
    with InclusionStore(path) as store, pytest.raises(InputError):
        store.customer("u-1")
    read_everything(path)


def test_accounts_that_come_again(honest: Path, tmp_path: Path) -> None:
    path = tmp_path / "inclusion.sqlite"
    path.write_bytes(honest.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE others AS SELECT * FROM accounts; DROP TABLE accounts;"
            "ALTER TABLE others RENAME TO accounts; INSERT INTO accounts SELECT * FROM accounts"
        )
    with InclusionStore(path) as store, pytest.raises(InputError, match="out of order"):
        store.export_all(tmp_path / "out")
    assert not (tmp_path / "out" / INDEX_FILE).exists()


def test_threads_share_a_store(honest: Path) -> None:
    with InclusionStore(honest) as store, ThreadPoolExecutor(8) as pool:
        names = IDS * 20
        assert list(pool.map(store.customer, names)) == [FILES[name] for name in names]


def test_close_while_threads_read(honest: Path) -> None:
    store = InclusionStore(honest)

    def read(number: int) -> bool:
        if number == 50:
            store.close()
        try:
            return store.customer("u-1") == FILES["u-1"]
        except UsageError as error:
            return "closed" in str(error)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(100)))


def test_unknown_accounts_have_an_error_of_their_own(honest: Path) -> None:
    with InclusionStore(honest) as store:
        with pytest.raises(UnknownAccountError):
            store.customer("u-3")
        store.close()
        with pytest.raises(UsageError) as caught:
            store.customer("u-1")
        assert not isinstance(caught.value, UnknownAccountError)


def run(program: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options
    )


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_process_opens_its_own(honest: Path) -> None:
    # In a process of its own: this one may have threads and kernels.
    program = """
import os, sys
from air.inclusion.reader import InclusionStore
from stark.errors import UsageError
store = InclusionStore(sys.argv[1])
child = os.fork()
if child == 0:
    try:
        store.customer("u-1")
    except UsageError as error:
        code = 7 if "forked" in str(error) else 8
    os._exit(code)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), store.customer("u-1").slot)
"""
    assert run(program, str(honest)).stdout.split() == ["7", str(ACCOUNTS["u-1"][0])]


def test_reading_needs_the_standard_library_alone(honest: Path) -> None:
    program = """
import json, sys
from air.inclusion.reader import InclusionStore
with InclusionStore(sys.argv[1]) as store:
    store.customer("u-1")
foreign = {"numpy", "numba", "pyarrow", "click", "rich", "msgspec"}
print(json.dumps(sorted(foreign & sys.modules.keys())))
"""
    assert json.loads(run(program, str(honest)).stdout) == []


WRITE = """
import resource, signal, sys
sys.path[:0] = [sys.argv[2]]
from store_arguments import arguments
from air.inclusion.store import write_store
from stark.errors import UsageError

def batches(nodes):
    yield nodes[0]
    print("half", flush=True)
    sys.stdin.readline()
    yield from nodes[1:]

changes = {"batch_nodes": batches(arguments()["batch_nodes"])}
if sys.argv[3] == "full":
    changes = {}
    # As on a full disk, writes come to an end.
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))
try:
    write_store(sys.argv[1], **arguments(**changes))
except UsageError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    sys.exit("interrupted")
"""


def stopped(path: Path, number: int) -> tuple[int, str]:
    """Exit code and last words of a process that gets a signal amid writing."""
    command = [sys.executable, "-c", WRITE, str(path), str(Path(__file__).parent), "wait"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors.strip()


@pytest.mark.skipif(os.name != "posix", reason="signals and limits")
def test_interrupted_killed_and_out_of_space(tmp_path: Path) -> None:
    path = tmp_path / "inclusion.sqlite"
    assert stopped(path, signal.SIGINT) == (1, "interrupted")
    assert os.listdir(tmp_path) == []

    result = run(WRITE, str(path), str(Path(__file__).parent), "full")
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot write the inclusion store {path}: ")
    assert os.listdir(tmp_path) == []

    # Nothing can tidy up after this: what is left says what it is, and nobody else can read it.
    assert stopped(path, signal.SIGKILL) == (-signal.SIGKILL, "")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("inclusion.sqlite.")
    assert left.suffix == ".partial"
    assert left.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="no inclusion store"):
        InclusionStore(path)
    write_store(path, **arguments())
    with InclusionStore(path) as store:
        assert store.customer("u-1") == FILES["u-1"]


class FullDisk:
    """Fails the n-th call."""

    def __init__(self, function: Callable[..., Any], number: int) -> None:
        self.function, self.left = function, number

    def __call__(self, *values: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*values)


@pytest.fixture
def opened(honest: Path) -> Iterator[InclusionStore]:
    with InclusionStore(honest) as store:
        yield store


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_full_disks_at_the_end(
    opened: InclusionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(private_files.os, name, FullDisk(getattr(os, name), 0))
    with pytest.raises(UsageError, match="No space left on device"):
        write_store(tmp_path / "inclusion.sqlite", **arguments())
    with pytest.raises(UsageError, match="No space left on device"):
        opened.export("u-1", tmp_path / "u-1.json")
    assert os.listdir(tmp_path) == []


def test_a_disk_that_fills_during_an_export(
    opened: InclusionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(private_files.os, "replace", FullDisk(os.replace, 2))
        with pytest.raises(UsageError, match="No space left on device"):
            opened.export_all(tmp_path)
    assert len(os.listdir(tmp_path)) == 2
    require_right_files(tmp_path)
    assert opened.export_all(tmp_path) == len(IDS)
