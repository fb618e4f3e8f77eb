"""Workers of a Dask cluster, an optional extra: whatever can run it can make proofs.

They see the accounts and amounts of the batches that they prove, in the clear: it is a cluster of
whoever proves, and connections that leave its network use TLS, as Dask is configured. Dask sends
objects pickled, both ways: whoever is in the cluster can run anything in this process. And a worker
that is short of memory writes what it holds to its local directory, with the modes that its umask
says: proofs of batches hide nothing, so that it has to be 0077, or spilling off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, Final

from air.runs.workers import Borrowed, Call
from stark.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client

DISTRIBUTION: Final = "stark-liabilities"
PACKAGES: Final = ("stark", "air")

PER_WORKER: Final = 2
"""Calls in flight for each worker: one that it works on, and one that is sent meanwhile."""

CONNECT_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 2.0

LARGE_GRAPH: Final = "distributed.admin.large-graph-warning-threshold"
"""Dask warns of large arguments; a batch is one."""


@dataclass(frozen=True)
class _Dask(Borrowed):
    """An executor of a cluster."""

    def submit(self, call: Call) -> Future[bytes]:
        # One opaque object: Dask looks for its own futures in what it is given as arguments.
        return self.executor.submit(partial(call.function, *call.args))


@contextmanager
def dask_workers(address: str, timeout: float = CONNECT_SECONDS) -> Iterator[Borrowed]:
    """The workers of the cluster whose scheduler has this address, ``tcp://host:8786`` say.

    Those that are there at the beginning must have this very version. A worker makes one proof at
    a time, with as many threads as ``STARK_THREADS`` says there: one Dask thread for each worker is
    enough. When one is lost, Dask gives its work to others, as often as
    ``distributed.scheduler.allowed-failures`` says; after that it counts as lost once.

    Parameters
    ----------
    timeout
        Seconds that the scheduler, and the first worker, may take to answer.

    Raises
    ------
    UsageError
        If Dask is not installed, nobody answers, there are no workers, or one has another version.
    """
    try:
        import dask
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError:
        raise UsageError(
            f"workers of a cluster need Dask: pip install '{DISTRIBUTION}[cluster]'"
        ) from None
    with dask.config.set({LARGE_GRAPH: "1 TiB"}), _client(Client, address, timeout) as client:
        _require_same_version(client, address)
        count = len(client.nthreads())
        # An error of the work itself is the same the next time: no retries.
        executor = client.get_executor(pure=False, retries=0)
        yield _Dask(executor, (KilledWorker, CommClosedError), PER_WORKER * count, count)


@contextmanager
def _client(make: Callable[..., Client], address: str, timeout: float) -> Iterator[Client]:
    """A connection that has workers at its other end."""
    if not address.strip():
        # Dask would begin a cluster of its own on this machine.
        raise UsageError("the address of a Dask scheduler is like tcp://host:8786")
    try:
        client = make(address, timeout=timeout, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address} within {timeout:g} seconds: {error}"
        ) from None
    try:
        try:
            client.wait_for_workers(1, timeout=timeout)
        except TimeoutError:
            raise UsageError(f"the Dask scheduler at {address} has no workers") from None
        yield client
    finally:
        client.close(timeout=CLOSE_SECONDS)


def _require_same_version(client: Client, address: str) -> None:
    """Other sources may make other proofs, which would be found out at the very end."""
    own = source_version()
    answers: dict[str, Any] = client.run(source_version, on_error="return")
    for worker, answer in sorted(answers.items()):
        if answer != own:
            found = f"{answer!r}" if isinstance(answer, Exception) else answer
            raise UsageError(
                f"worker {worker} of the cluster at {address} has another {DISTRIBUTION}: "
                f"expected {own}, got {found}"
            )


def source_version() -> str:
    """The version of this package as it is installed, and a digest of what it consists of."""
    try:
        number = version(DISTRIBUTION)
    except PackageNotFoundError:
        number = "not installed"
    digest = hashlib.sha256()
    for package in PACKAGES:
        for name, data in sorted(_sources(files(package), package)):
            digest.update(f"{name} {len(data)} ".encode())
            digest.update(data)
    return f"{number} ({digest.hexdigest()[:16]})"


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    """All sources and tables of a package, by their names."""
    for entry in folder.iterdir():
        inside = f"{name}/{entry.name}"
        if entry.is_dir():
            yield from _sources(entry, inside)
        elif entry.name.endswith((".py", ".json")):
            yield inside, entry.read_bytes()
