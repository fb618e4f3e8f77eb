"""Systems with their keys and honest witnesses: what there is to cheat about."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.errors import Code, Rejected
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import Prover
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.verify import PublicValues, verify
from support.systems import Columns, Example, fibonacci, parameters, products

Matrix = NDArray[np.uint32]

SILENT = {
    "grinding_lookup": 0,
    "grinding_ali": 0,
    "grinding_deep": 0,
    "grinding_batching": 0,
    "grinding_fold": 0,
    "grinding_query": 0,
}
"""No proofs of work: a changed message is then refused by the check that it offends, not by the
next nonce."""

EVERYWHERE = SILENT | {"queries": 1000}
"""So many queries that small domains are opened everywhere: the sizes of openings do not depend on
the transcript any more, and a wrong word is always met."""


class Seeded:
    """Masks and salts that are the same in every run."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def draw(self, label: str, size: int) -> bytes:
        return hashlib.shake_256(self._seed + label.encode()).digest(size)


@dataclass(frozen=True)
class Case:
    """A system with its keys and an honest witness."""

    example: Example
    key: ProvingKey
    context: bytes = b"context"
    memory: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def publics(self) -> dict[str, list[int]]:
        return self.example.publics

    def honest(self) -> bytes:
        """The honest proof (made once)."""
        if "honest" not in self.memory:
            self.memory["honest"] = self.prove()
        proof: bytes = self.memory["honest"]
        return proof

    def prove(
        self,
        prover: Callable[..., Prover] = Prover,
        traces: Columns | None = None,
        publics: PublicValues | None = None,
        context: bytes | None = None,
    ) -> bytes:
        """A proof by some prover, of the honest witness unless another is given."""
        own = prover(
            self.key,
            self.publics if publics is None else publics,
            self.context if context is None else context,
            None,
            Seeded(b"masks"),
        )
        return own.run(self.example.traces if traces is None else traces)

    def verify(
        self, proof: bytes, publics: PublicValues | None = None, context: bytes | None = None
    ) -> None:
        verify(
            self.key.verification,
            proof,
            self.publics if publics is None else publics,
            self.context if context is None else context,
        )

    def rejection(
        self, proof: bytes, publics: PublicValues | None = None, context: bytes | None = None
    ) -> Rejected:
        """The rejection of a proof; AssertionError if it is accepted."""
        try:
            self.verify(proof, publics, context)
        except Rejected as rejected:
            return rejected
        raise AssertionError("a forged proof was accepted")


def refused(
    one: Case,
    proof: bytes,
    *codes: Code,
    publics: PublicValues | None = None,
    check: str = "",
) -> Rejected:
    """The rejection, which must be of one of the classes, by a check whose name has ``check``."""
    rejection = one.rejection(proof, publics)
    if rejection.code not in codes or check not in rejection.check:
        raise AssertionError(f"expected {codes} by {check!r}, got {rejection}")
    return rejection


def case(example: Example, chosen: ProtocolParameters) -> Case:
    return Case(example, generate_key(example.system, chosen))


@cache
def fibonacci_case(log_height: int = 6, silent: bool = False) -> Case:
    return case(fibonacci(log_height), parameters(**(SILENT if silent else {})))


@cache
def products_case(silent: bool = False) -> Case:
    """Three tables of 32, 16 and 256 rows."""
    return case(products(), parameters(**(SILENT if silent else {})))


@cache
def hidden_case(silent: bool = False) -> Case:
    """The three tables, with masks: the proof hides their contents."""
    example = products()
    system = System([table.air for table in example.system.tables], zk=True)
    hiding = parameters(zk=True, log_slack=3, log_blowup=3, **(SILENT if silent else {}))
    return case(Example(system, example.traces, example.publics), hiding)


@cache
def suite_case(hash_suite: str, zk: bool = False, silent: bool = False) -> Case:
    """The three tables under another hash suite, with masks or without, three queries."""
    example = products()
    system = System([table.air for table in example.system.tables], zk=zk)
    chosen: dict[str, Any] = {"queries": 3, "hash_suite": hash_suite}
    if zk:
        chosen |= {"zk": True, "log_slack": 3, "log_blowup": 3}
    if silent:
        chosen |= SILENT
    return case(Example(system, example.traces, example.publics), parameters(**chosen))


@cache
def everywhere_case() -> Case:
    """16 rows, all 64 points of the evaluation domain queried."""
    return case(fibonacci(4), parameters(**EVERYWHERE))


def configured(prover: type[Prover], **attributes: Any) -> type[Prover]:
    """A subclass with these class attributes; functions become methods."""
    return type(prover.__name__, (prover,), attributes)
