"""docs/inclusion.md: its programs run, and its schema is the store's."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from inclusion_example import ACCOUNTS, EXAMPLE
from store_arguments import arguments

from air.inclusion.reader import FORMAT_VERSION, LOG_PART, InclusionStore
from air.inclusion.store import write_store

TEXT = (Path(__file__).parents[3] / "docs" / "inclusion.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^```python (\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
SCHEMA = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)

Answer = tuple[int, bytes]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("document") / "inclusion #1.sqlite"
    write_store(result, **arguments())
    return result


def definitions(*names: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name in names:
        exec(compile(PROGRAMS[name], f"docs/inclusion.md {name}", "exec"), result)
    return result


def test_schema_and_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL ORDER BY rowid")
        own = [row[0] for row in rows]
    (listed,) = SCHEMA
    assert [text.strip() for text in listed.split(";") if text.strip()] == own
    assert f"text `{FORMAT_VERSION}`; refuse any other" in TEXT
    assert f"nodes {1 << LOG_PART} · `part` to" in TEXT


def test_all_programs_are_tested() -> None:
    assert set(PROGRAMS) == {"wsgi", "tables", "asgi"}
    assert TEXT.count("```python") == len(PROGRAMS)


@pytest.mark.parametrize("name", list(ACCOUNTS))
def test_files_from_the_tables(path: Path, name: str) -> None:
    program = definitions("tables")
    with closing(program["open_store"](path)) as connection:
        assert program["customer_file"](connection, name) == EXAMPLE.file(name).encode()


def test_unknown_account_and_version_in_the_tables(path: Path, tmp_path: Path) -> None:
    program = definitions("tables")
    with closing(program["open_store"](path)) as connection:
        assert program["customer_file"](connection, "u-3") is None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM nodes")
    other = tmp_path / "other.sqlite"
    other.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'format'")
    with closing(program["open_store"](other)) as connection:
        assert program["customer_file"](connection, "u-1") is None


def wsgi(path: Path, account_id: str | None) -> Answer:
    statuses: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        assert ("Cache-Control", "no-store") in headers
        statuses.append(status)

    with InclusionStore(path) as store:
        application = definitions("wsgi")["wsgi_application"](store, lambda environ: environ["id"])
        if account_id == "after close":
            store.close()
        body = b"".join(application({"id": account_id}, start_response))
    (status,) = statuses
    return int(status[:3]), body


def asgi(path: Path, account_id: str | None) -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    application = definitions("tables", "asgi")["asgi_application"](path, lambda scope: scope["id"])
    asyncio.run(application({"id": account_id}, None, send))
    start, body = sent
    assert (b"cache-control", b"no-store") in start["headers"]
    return start["status"], body["body"]


@pytest.mark.parametrize("server", [wsgi, asgi])
def test_servers(path: Path, server: Callable[[Path, str | None], Answer]) -> None:
    for name in ACCOUNTS:
        assert server(path, name) == (200, EXAMPLE.file(name).encode())
    assert server(path, "u-3") == (404, b"")
    assert server(path, None) == (401, b"")


def test_the_server_does_not_tell_what_went_wrong(path: Path) -> None:
    assert wsgi(path, "after close") == (500, b"")
