"""The inclusion store at scale: ``pytest benchmarks/test_bench_inclusion.py``.

Made-up accounts with five holdings each, in trees that are hashed as those of a proof are:
customers' files out of the store pass their check. ``STORE_ACCOUNTS`` is the number of accounts, a
power of two from 2^12 to 2^24, by default 2^20; a store takes about 0.2 GB per million.
``extra_info`` has microseconds per account, and the percentiles of single requests.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from air.account_hashing import account_commitments, account_salts
from air.context import Context, Shape, Statement
from air.encoding import ASSET_WEIGHT, FIRST_WEIGHT, HOLDING_TAG, LAST_WEIGHT, Digest
from air.inclusion.check import check_customer
from air.inclusion.reader import InclusionStore
from air.inclusion.store import write_store
from air.registry import Asset, Registry
from air.snapshot.columns import TextColumn
from air.tree import upper_levels
from stark.field.montgomery import from_montgomery, to_montgomery
from stark.hash.poseidon_kernels import compress_many

ACCOUNTS = int(os.environ.get("STORE_ACCOUNTS", 1 << 20))
LOG_SLOTS = min(19, ACCOUNTS.bit_length() - 1)
HOLDINGS = 5
ASSETS = 100
LIMB_MASK = (1 << 15) - 1
ID_DIGITS = 12

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Accounts:
    """Arguments of ``write_store``: what a prover has in memory at the end."""

    statement: Statement
    ids: TextColumn
    salts: NDArray[np.uint8]
    slots: NDArray[np.int64]
    offsets: NDArray[np.int64]
    assets: NDArray[np.uint16]
    limbs: Words
    nodes: list[Words]
    upper: list[list[Digest]]

    def write(self, path: Path) -> None:
        write_store(
            path,
            *(self.statement, self.ids, self.salts, self.slots, self.offsets),
            *(self.assets, self.limbs, self.nodes, self.upper),
        )


def account_id(number: int) -> str:
    return f"u-{number:0{ID_DIGITS}d}"


def _ids(count: int) -> TextColumn:
    width = ID_DIGITS + 2
    text = np.empty((count, width), np.uint8)
    text[:, 0], text[:, 1] = b"u-"
    rest = np.arange(count)
    for column in range(width - 1, 1, -1):
        text[:, column] = ord("0") + rest % 10
        rest //= 10
    starts = width * np.arange(count)
    return TextColumn(text.reshape(-1), starts, starts + width)


def _leaves(commitments: Words, assets: NDArray[np.uint16], limbs: Words) -> Words:
    """All accounts' leaves in Montgomery form: chains of HOLDINGS blocks."""
    values = to_montgomery(commitments)
    for k in range(HOLDINGS):
        header = HOLDING_TAG + FIRST_WEIGHT * (k == 0) + LAST_WEIGHT * (k == HOLDINGS - 1)
        blocks = np.zeros((len(values), 8), np.uint32)
        blocks[:, 0] = header + ASSET_WEIGHT * assets[k::HOLDINGS].astype(np.uint32)
        blocks[:, 1:6] = limbs[k::HOLDINGS]
        values = compress_many(np.concatenate([values, to_montgomery(blocks)], axis=1))
    return values


def _tree(leaves: Words) -> Words:
    nodes = np.zeros((2 * len(leaves), 8), np.uint32)
    nodes[len(leaves) :] = leaves
    level = len(leaves)
    while level > 1:
        children = nodes[level : 2 * level].reshape(level // 2, 16)
        nodes[level // 2 : level] = compress_many(np.ascontiguousarray(children))
        level //= 2
    return from_montgomery(nodes)


def make_accounts(count: int) -> Accounts:
    draw = np.random.default_rng(0)
    nonce, ids = bytes(32), _ids(count)
    id_offsets = np.append(ids.starts, ids.ends[-1])
    salts = account_salts(bytes(32), 1, nonce, ids.data, id_offsets)
    # Each holding in its own range of assets: they strictly increase.
    part = ASSETS // HOLDINGS
    assets = draw.integers(0, part, (count, HOLDINGS)) + part * np.arange(HOLDINGS)
    assets = assets.reshape(-1).astype(np.uint16)
    amounts = draw.integers(1, 1 << 50, count * HOLDINGS)
    limbs = np.stack([amounts >> 15 * j & LIMB_MASK for j in range(5)], axis=1).astype(np.uint32)
    slots = draw.permutation(count)
    leaves = np.empty((count, 8), np.uint32)
    leaves[slots] = _leaves(account_commitments(ids.data, id_offsets, salts), assets, limbs)
    size = 1 << LOG_SLOTS
    nodes = [_tree(leaves[first : first + size]) for first in range(0, count, size)]
    upper = upper_levels([tuple(tree[1].tolist()) for tree in nodes])
    context = Context(
        kind="spot",
        exchange="Example Exchange",
        time="2026-11-01T00:00:00Z",
        epoch=1,
        nonce=nonce,
        previous=None,
        registry=Registry(tuple(Asset(f"A{k}", 8) for k in range(ASSETS))),
        shape=Shape(log_rows=LOG_SLOTS + 1, log_slots=LOG_SLOTS, asset_capacity=1 << 9),
        depth=LOG_SLOTS + len(upper) - 1,
        policy="example",
    )
    totals = np.zeros(ASSETS, object)
    np.add.at(totals, assets, amounts)
    statement = Statement(context, tuple(map(int, totals)), upper[-1][0], len(nodes))
    offsets = HOLDINGS * np.arange(count + 1)
    return Accounts(statement, ids, salts, slots, offsets, assets, limbs, nodes, upper)


@pytest.fixture(scope="module")
def accounts() -> Accounts:
    return make_accounts(ACCOUNTS)


@pytest.fixture(scope="module")
def path(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("inclusion")
    accounts.write(folder / "inclusion.sqlite")
    yield folder / "inclusion.sqlite"
    shutil.rmtree(folder)


def measure_requests(benchmark: Any, request: Callable[[str], object], count: int) -> None:
    """Accounts at random; percentiles of milliseconds to ``extra_info``."""
    draw = random.Random(0)
    seconds: list[float] = []

    def one() -> None:
        name = account_id(draw.randrange(ACCOUNTS))
        start = time.perf_counter()
        request(name)
        seconds.append(time.perf_counter() - start)

    benchmark.pedantic(one, rounds=count, warmup_rounds=1)
    for percent in (50, 99):
        value = 1000 * float(np.percentile(seconds, percent))
        benchmark.extra_info[f"p{percent}_ms"] = round(value, 3)


def test_write_store(benchmark: Any, accounts: Accounts, tmp_path: Path) -> None:
    path = tmp_path / "inclusion.sqlite"
    benchmark.pedantic(lambda: accounts.write(path), rounds=3)
    benchmark.extra_info["us_per_account"] = 1e6 * benchmark.stats["median"] / ACCOUNTS
    benchmark.extra_info["bytes_per_account"] = path.stat().st_size / ACCOUNTS


def test_customer(benchmark: Any, path: Path) -> None:
    with InclusionStore(path) as store:
        measure_requests(benchmark, lambda name: store.customer(name).encode(), 2000)


def test_check_alone(benchmark: Any, path: Path) -> None:
    with InclusionStore(path) as store:
        customer = store.customer(account_id(7))
        benchmark(check_customer, customer, store.statement)


def test_open_and_customer(benchmark: Any, path: Path) -> None:
    def request(name: str) -> bytes:
        with InclusionStore(path) as store:
            return store.customer(name).encode()

    measure_requests(benchmark, request, 300)


def test_command(benchmark: Any, path: Path, tmp_path: Path) -> None:
    """A process for one file, start of Python included."""
    words = ["-m", "air.cli.main", "inclusion", "export", str(path)]

    def request(name: str) -> None:
        out = str(tmp_path / "customer.json")
        command = [sys.executable, *words, "--account", name, "--out", out]
        subprocess.run(command, check=True, capture_output=True)

    measure_requests(benchmark, request, 5)


def test_export_all(benchmark: Any, path: Path, tmp_path: Path) -> None:
    """The first 2^16 accounts' files, then stopped: the rate of all."""
    limit = min(ACCOUNTS, 1 << 16)

    class EnoughError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done >= limit:
            raise EnoughError

    def export() -> None:
        with InclusionStore(path) as store, pytest.raises(EnoughError):
            store.export_all(tmp_path, stop)

    benchmark.pedantic(export, rounds=1)
    written = sum(1 for entry in os.scandir(tmp_path) if entry.name.endswith(".json"))
    benchmark.extra_info["files_per_second"] = round(written / benchmark.stats["median"])
