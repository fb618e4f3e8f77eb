"""How kernels are compiled: lazily, without the GIL, cached under a hash of all kernel sources.

Numba keys its on-disk cache by the source of the function alone: editing an inlined helper would
leave its callers stale. The cache directory is therefore named by a digest over every source file
of this package and of the package that a kernel stands in, so that any edit starts a fresh one.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numba
from numba.core import config

_OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
_compile_lock = Lock()
_registry: list[Kernel] = []


@cache
def cache_directory(module: str = __name__) -> Path:
    """Directory of a module's compiled kernels, one per state of the sources it may depend on."""
    digest = hashlib.sha256(numba.__version__.encode())
    for name in sorted({__name__.partition(".")[0], module.partition(".")[0]}):
        for folder in getattr(sys.modules.get(name), "__path__", ()):
            for source in sorted(Path(folder).rglob("*.py")):
                digest.update(source.relative_to(folder).as_posix().encode())
                digest.update(source.read_bytes())
    base = os.environ.get("STARK_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(base) if base else Path.home() / ".cache"
    return root / "stark-liabilities" / digest.hexdigest()[:16]


class Kernel:
    """A function that is compiled when it is first called, or by :meth:`compile` ahead of it."""

    def __init__(self, function: Callable[..., Any], signature: str) -> None:
        self._function = function
        self._signature = signature
        self._compiled: Callable[..., Any] | None = None
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        _registry.append(self)

    def compile(self) -> Callable[..., Any]:
        """The compiled function, from the cache if an equal one was compiled before."""
        with _compile_lock:
            if self._compiled is None:
                before = config.CACHE_DIR
                config.CACHE_DIR = str(cache_directory(self._function.__module__))
                try:
                    self._compiled = numba.njit(self._signature, cache=True, **_OPTIONS)(
                        self._function
                    )
                finally:
                    config.CACHE_DIR = before
        return self._compiled

    def __call__(self, *arguments: Any) -> Any:
        compiled = self._compiled or self.compile()
        return compiled(*arguments)


def kernel(signature: str) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel with its Numba signature, for example ``"void(u4[::1], i8, i8)"``."""

    def declare(function: Callable[..., Any]) -> Kernel:
        return Kernel(function, signature)

    return declare


def device(function: Callable[..., Any]) -> Any:
    """A function that kernels call; compiled into them."""
    return numba.njit(**_OPTIONS)(function)


def registered_kernels() -> tuple[Kernel, ...]:
    """All kernels declared so far by imported modules (for compiling them ahead)."""
    return tuple(_registry)
