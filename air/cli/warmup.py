"""``warmup``: compile all kernels ahead of the first proof."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import click

from air.cli.outcome import command_errors, finish, json_option
from air.cli.progress import progress_bar


@click.command(short_help="Compile the kernels ahead of the first proof.")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=None,
    help="Compilers at a time.  [default: one per core]",
)
@json_option
@command_errors
def warmup(processes: int | None, as_json: bool) -> int:
    """Compile the prover's kernels into the cache, so that the first proof does not wait.

    Compiling holds a lock: it runs in processes of their own, which share the cache on disk.
    """
    started = time.perf_counter()
    with progress_bar(not as_json) as report:
        report("loading the prover", 0, 1)
        count = kernel_count()
        workers = min(processes or os.cpu_count() or 1, count)
        # spawn: a process that has run kernels must not fork.
        with multiprocessing.get_context("spawn").Pool(workers, _ignore_interrupt) as pool:
            for done, _ in enumerate(pool.imap_unordered(compile_kernel, range(count)), 1):
                report("compiling kernels", done, count)
    seconds = time.perf_counter() - started
    from stark.jit import cache_directory

    return finish(
        as_json,
        {"kernels": count, "seconds": seconds, "cache": str(cache_directory())},
        [f"{count} kernels ready in {seconds:.1f} s, cached in {cache_directory()}"],
    )


def kernel_count() -> int:
    """Number of kernels of all modules that proving and checking import."""
    import air.proving
    import air.snapshot.check  # noqa: F401
    from stark.jit import registered_kernels

    return len(registered_kernels())


def compile_kernel(number: int) -> None:
    """Compile one kernel; modules are imported in the same order in every process."""
    kernel_count()
    from stark.jit import registered_kernels

    registered_kernels()[number].compile()


def _ignore_interrupt() -> None:
    """Ctrl-C reaches all processes; the parent ends the pool."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
