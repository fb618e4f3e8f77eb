"""The keys of circuits that are pinned, from circuits that are kept on disk (prover wing).

To write a circuit takes half the time of making its key. It is the same for all who have the same
source and key, and is kept under them, beside the compiled kernels. What is kept is not believed:
its fixed columns are committed to again, and unless they are the pinned ones it is written anew.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from air.aggregate.circuits import join_circuit, wrap_circuit
from air.aggregate.proving import circuit_key
from stark.errors import Code, Rejected, StarkError
from stark.jit import cache_directory
from stark.recursion.circuit import Circuit
from stark.recursion.circuit_cache import keep_circuit, read_circuit
from stark.recursion.prover import CircuitKey
from stark.verifier.key import VerificationKey

FOLDER: Final = "circuits"


def pinned_join_key(
    inner: VerificationKey, level: int, profile: str, pinned: VerificationKey
) -> CircuitKey:
    """The key of joins of a level over proofs for ``inner``, which is the pinned one.

    Raises
    ------
    Rejected
        ``VK`` if the key made from source is not the pinned one.
    """
    return _pinned_key("join", profile, pinned, lambda: join_circuit(inner, level))


def pinned_wrap_key(inner: VerificationKey, profile: str, pinned: VerificationKey) -> CircuitKey:
    """The key of the wrap over the last join; as :func:`pinned_join_key`."""
    return _pinned_key("wrap", profile, pinned, lambda: wrap_circuit(inner))


def require_pinned(made: VerificationKey, pinned: VerificationKey) -> None:
    """A proof for another key than the pinned one would be refused at the very end.

    Raises
    ------
    Rejected
        ``VK``.
    """
    if made.digest != pinned.digest:
        raise Rejected(
            Code.VK,
            "a key made from source is the pinned one",
            pinned.digest.hex(),
            made.digest.hex(),
        )


def circuit_path(pinned: VerificationKey) -> Path:
    """The file of the circuit that a key is of.

    The folder stands for the sources of both packages, the name for the rows of the circuit. What
    the key says nothing of, its steps, is a function of the two.
    """
    return cache_directory(__name__) / FOLDER / f"{pinned.digest.hex()}.circuit"


def _pinned_key(
    role: str, profile: str, pinned: VerificationKey, write: Callable[[], Circuit]
) -> CircuitKey:
    path = circuit_path(pinned)
    kept = _kept_key(path, role, profile, pinned)
    if kept is not None:
        return kept
    key = circuit_key(write(), role, profile)
    require_pinned(key.verification, pinned)
    keep_circuit(path, key.circuit)
    return key


def _kept_key(path: Path, role: str, profile: str, pinned: VerificationKey) -> CircuitKey | None:
    """The key of the circuit in a file, if that is the pinned one."""
    circuit = read_circuit(path)
    if circuit is None:
        return None
    # Columns that no table takes, of heights that no parameters are for: as good as none.
    with suppress(StarkError):
        key = circuit_key(circuit, role, profile)
        if key.verification.digest == pinned.digest:
            return key
    return None
