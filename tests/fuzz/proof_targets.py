"""The verifier of proofs under fuzz: nothing but the honest proof is accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from fuzz.target import Target, require
from golden.make import CONTEXT, Golden, load
from support.mutations import ProofMap

from stark.errors import Rejected
from stark.verifier.verify import verify


def proof_target(name: str) -> Target:
    """The verifier on a kept proof: nothing else is accepted in its place."""
    golden = load(name)

    def run(data: bytes) -> None:
        try:
            verify(golden.key, data, golden.publics, CONTEXT)
        except Rejected:
            return
        require(data == golden.proof, "a proof that is not the honest one is accepted")

    return _proof_target(f"verify-{name}", golden, run)


def unguarded_target(name: str) -> Target:
    """The verifier without its comparisons of digests, work, constraints and buses.

    With them nearly every mutant is refused at the first comparison. What remains has to be total
    on its own: a forger gets past the first comparison that they can satisfy. Accepting is no
    finding here.
    """
    golden = load(name)

    def run(data: bytes) -> None:
        with comparisons_passed():
            try:
                verify(golden.key, data, golden.publics, CONTEXT)
            except Rejected:
                return

    return _proof_target(f"unguarded-{name}", golden, run)


@contextmanager
def comparisons_passed() -> Iterator[None]:
    """Digests, proofs of work, constraints and buses are taken to hold."""

    def holds(*_: object) -> bool:
        return True

    with ExitStack() as stack:
        for name in (
            "stark.transcript.cores.grind_succeeds",
            "stark.verifier.verify.check_table",
            "stark.verifier.verify.check_buses",
            "stark.verifier.verify.verify_opening",
        ):
            stack.enter_context(mock.patch(name, holds))
        yield


def _proof_target(name: str, golden: Golden, run: Callable[[bytes], None]) -> Target:
    parts = ProofMap(golden.key, golden.proof, golden.publics, CONTEXT)
    sections = [(section.start, section.end) for section in parts.sections.values()]
    sections += [(tree.start, tree.end) for tree in parts.trees.values()]
    return Target(
        name,
        run,
        (golden.proof, load("fibonacci").proof),
        tuple(section for section in sections if section[0] < section[1]),
        tuple(parts.elements()),
    )
