"""Who does the work of a run: this process, processes of this machine, or an executor of others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from stark.errors import StarkError, UsageError

Step = Callable[[str], None]
"""Called with the name of each phase of a piece of work as it begins."""

_STOPPED_SECONDS = 1.0
"""How long a killed process may take to be gone."""


class Call(NamedTuple):
    """A piece of work, which may be done in another process.

    Attributes
    ----------
    function
        At the top of its module, so that another process finds it. It takes ``args``, and ``step``
        by that name, which may be left out.
    args
        What can be pickled.
    """

    function: Callable[..., bytes]
    args: tuple[Any, ...]


class Workers(Protocol):
    """What a run needs of those who work for it."""

    @property
    def count(self) -> int:
        """How many calls are worked on at a time."""
        ...

    @property
    def in_flight(self) -> int:
        """How many calls are worth handing out at a time: more only take memory."""
        ...

    @property
    def lost(self) -> tuple[type[BaseException], ...]:
        """Errors, beside ``BrokenExecutor``, that say that a worker was lost, not that its call is
        wrong."""
        ...

    def submit(self, call: Call) -> Future[bytes]:
        """Hand out a call. Raises as its future does if there is nobody to take it."""
        ...

    def renew(self) -> bool:
        """After a ``BrokenExecutor``: replace what is broken; whether that could be done."""
        ...

    def stop(self) -> None:
        """End all work now, without waiting for it."""
        ...


class _Closing:
    """As a context, workers stop at its end."""

    def stop(self) -> None:
        """Nothing to stop."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _silent(phase: str) -> None:
    """A step that nobody watches."""


@dataclass(frozen=True)
class InProcess(_Closing):
    """This process does the work itself, at once: no second process, and no copies.

    Attributes
    ----------
    step
        Given to every call.
    """

    step: Step = _silent
    count: int = 1
    in_flight: int = 1
    lost: tuple[type[BaseException], ...] = ()

    def submit(self, call: Call) -> Future[bytes]:
        """Do it. Errors that are none of this project's are raised right here."""
        future: Future[bytes] = Future()
        try:
            future.set_result(call.function(*call.args, step=self.step))
        except StarkError as error:
            future.set_exception(error)
        return future

    def renew(self) -> bool:
        return False


@dataclass(frozen=True)
class Borrowed(_Closing):
    """An executor that belongs to the caller, who shuts it down.

    Attributes
    ----------
    executor
        Any; its workers must be able to import this package, and threads share one process, which
        holds one proving key at a time.
    lost
        What it raises for a call whose worker was lost, while there are others. After a
        ``BrokenExecutor`` it has none.
    in_flight
        Calls to hand out at a time.
    count
        Its workers.
    """

    executor: Executor
    lost: tuple[type[BaseException], ...] = ()
    in_flight: int = 2
    count: int = 1

    def __post_init__(self) -> None:
        if self.in_flight < 1 or self.count < 1:
            raise UsageError("an executor has one worker or more, and one call or more in flight")

    def submit(self, call: Call) -> Future[bytes]:
        return self.executor.submit(call.function, *call.args)

    def renew(self) -> bool:
        return False


class LocalPool(_Closing):
    """Processes of this machine, each a fresh interpreter that works on one call at a time.

    Every one is an executor by itself: when the system ends one, for want of memory say, the
    others work on, and only its own call is lost. None outlives this process, however that ends. A
    program that uses them must be importable: its work stands under
    ``if __name__ == "__main__":``, as for all fresh interpreters.

    Parameters
    ----------
    workers
        Processes; they are started when they are needed.
    threads
        Of each.

    Raises
    ------
    UsageError
        For less than one of either.
    """

    lost: tuple[type[BaseException], ...] = ()

    def __init__(self, workers: int, threads: int) -> None:
        if workers < 1 or threads < 1:
            raise UsageError("a pool has one worker or more, of one thread or more each")
        self.count = self.in_flight = workers
        self._threads = threads
        self._slots = [_Slot(threads) for _ in range(workers)]

    def submit(self, call: Call) -> Future[bytes]:
        free = next((slot for slot in self._slots if slot.free), self._slots[0])
        try:
            return free.submit(call)
        except BrokenExecutor:
            # It ended between two calls: nothing was lost with it.
            return self._renewed(free).submit(call)

    def renew(self) -> bool:
        for slot in self._slots:
            if slot.broken:
                self._renewed(slot)
        return True

    def stop(self) -> None:
        """The processes are gone when this returns; what is waited for is never finished."""
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.join()

    def _renewed(self, slot: _Slot) -> _Slot:
        slot.kill()
        slot.join()
        fresh = _Slot(self._threads)
        self._slots[self._slots.index(slot)] = fresh
        return fresh


class _Slot:
    """An executor of one process."""

    def __init__(self, threads: int) -> None:
        self._context = _Recording()
        self._executor = ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_begin_worker, initargs=(threads,)
        )
        self._last: Future[bytes] | None = None

    @property
    def free(self) -> bool:
        return self._last is None or self._last.done()

    @property
    def broken(self) -> bool:
        """Whether its process ended under its last call."""
        last = self._last
        if last is None or not last.done() or last.cancelled():
            return False
        return isinstance(last.exception(), BrokenExecutor)

    def submit(self, call: Call) -> Future[bytes]:
        # An interrupt from the keyboard goes to all processes of a terminal. A new one inherits
        # that it is blocked, so that it cannot end with a traceback before it ignores them.
        with _interrupts_blocked():
            self._last = self._executor.submit(call.function, *call.args)
        return self._last

    def kill(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in self._context.started:
            process.kill()

    def join(self) -> None:
        for process in self._context.started:
            process.join(_STOPPED_SECONDS)


class _Recording(SpawnContext):
    """Starts fresh interpreters, and remembers them: an executor does not tell its processes."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[BaseProcess] = []

    def Process(self, *args: Any, **options: Any) -> BaseProcess:  # type: ignore[override]
        process = SpawnContext.Process(*args, **options)
        self.started.append(process)
        return process


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """An interrupt that comes in the block comes after it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(threads: int) -> None:
    """Set up a worker's process, before anything else is loaded in it."""
    os.environ["STARK_THREADS"] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, killed even."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
