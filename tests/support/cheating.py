"""Provers that cheat in one round and are honest in all others.

Each replaces a round of :class:`stark.prover.prove.Prover`. All challenges after the lie are drawn
from the transcript as it then is, and proofs of work are done, so that the forged proof is
consistent with its transcript and only the check that the lie is aimed at can refuse it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stark.constraints.air import Air, AirBuilder
from stark.constraints.expression import Expression
from stark.constraints.reading import read
from stark.errors import Rejected
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.field.montgomery import scalar_to_montgomery
from stark.hash.sha256 import grind_succeeds
from stark.merkle.tree import CodewordTree
from stark.prover.commitment import Commitment
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.openings import TableColumns
from stark.prover.polynomials import Polynomials
from stark.prover.prove import Prover
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.transcript.transcript import ProverTranscript
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree
from stark.verifier.out_of_domain import LookupChallenges, OpenedTable, PointArithmetic
from stark.verifier.protocol import schema
from stark.verifier.verify import PublicValues, verify
from support.systems import Columns, Example, fibonacci, parameters, products
from support.tabulated import Tabulated, deep_codewords_by_values

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
def everywhere_case() -> Case:
    """16 rows, all 64 points of the evaluation domain queried."""
    return case(fibonacci(4), parameters(**EVERYWHERE))


def configured(prover: type[Prover], **attributes: Any) -> type[Prover]:
    """A subclass with these class attributes; functions become methods."""
    return type(prover.__name__, (prover,), attributes)


# ---- other systems of the same shape


class _Deaf:
    """An AirBuilder to which one constraint says nothing: it hears e - e for e."""

    def __init__(self, builder: AirBuilder, dropped: str) -> None:
        self._builder = builder
        self._dropped = dropped

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._builder, name)
        if name in ("every_row", "first_row", "last_row", "transition"):
            return lambda label, *expressions: self._add(attribute, label, expressions)
        return attribute

    def _add(self, add: Callable[..., None], label: str, expressions: Sequence[Expression]) -> None:
        several = len(expressions) > 1
        heard = []
        for index, expression in enumerate(expressions):
            own = f"{label} [{index}]" if several else label
            heard.append(expression - expression if own == self._dropped else expression)
        add(label, *heard)


class Dropping(Air):
    """An AIR with one of its constraints emptied; columns, degrees and shape stay."""

    def __init__(self, air: Air, dropped: str) -> None:
        super().__init__(air.log_height)
        self.name = air.name
        self._air = air
        self._dropped = dropped

    def eval(self, t: AirBuilder) -> None:
        self._air.eval(_Deaf(t, self._dropped))  # type: ignore[arg-type]

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return self._air.preprocessed()


def without_constraint(system: System, table: str, label: str) -> System:
    """The system with one constraint of one table emptied."""
    airs = [one.air for one in system.tables]
    return System([Dropping(air, label) if air.name == table else air for air in airs], system.zk)


class ForeignProver(Prover):
    """Proves its own system under the name of another, whose key it binds and prints."""

    claimed: VerificationKey

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.verification = self.claimed


# ---- lies, by round


class ByValues(Prover):
    """Keeps words by their values, so that they may be anything."""

    def codewords(
        self,
        parts: Sequence[TableColumns],
        values: Sequence[Sequence[Element]],
        coefficients: Sequence[Sequence[Element]],
        zeta: Element,
    ) -> dict[int, Matrix]:
        return deep_codewords_by_values(
            parts, values, coefficients, zeta, self.codeword_masks, self.parameters.log_blowup
        )


class LyingInMain(ByValues):
    """Changes the extensions of the main columns before they are committed."""

    def change(self, extensions: list[Matrix]) -> None:
        raise NotImplementedError

    def commit_main(self, main: Sequence[Matrix]) -> Commitment:
        honest = _silently(self, lambda: super(LyingInMain, self).commit_main(main))
        columns = [Tabulated.of(one) for one in honest.columns if one is not None]
        self.change([one.values for one in columns])
        commitment = Commitment(self.tables, Tree.MAIN, columns, self.parameters, self.masks)
        self.transcript.send_digests("main commitment", commitment.cap)
        return commitment


class LyingInAuxiliary(Prover):
    """Changes auxiliary columns on the trace domain, or terminals."""

    def change(self, matrices: dict[str, Matrix], terminals: dict[str, Element]) -> None:
        raise NotImplementedError

    def auxiliary_matrices(self, main: Sequence[Matrix]) -> list[Matrix | None]:
        honest = super().auxiliary_matrices(main)
        found = {
            table.name: matrix
            for table, matrix in zip(self.tables, honest, strict=True)
            if matrix is not None
        }
        self.change(found, self.terminals)
        return honest


class LyingInQuotient(ByValues):
    """Changes the extended chunks of the quotients before they are committed."""

    def change(self, table: str, extension: Matrix) -> None:
        raise NotImplementedError

    def quotient(
        self, index: int, commitments: Mapping[Tree, Commitment], challenge: Element
    ) -> Polynomials:
        columns = Tabulated.of(super().quotient(index, commitments, challenge))
        self.change(self.tables[index].name, columns.values)
        return columns


class LyingInValues(Prover):
    """Claims other out-of-domain values.

    With ``solved`` a quotient value of each table is chosen so that the identity at zeta holds for
    what is claimed. With ``honest_codewords`` FRI gets the codewords of the true values, which are
    of low degree; else those of the claimed ones, which are not.
    """

    solved = False
    honest_codewords = False
    constraint_challenge: Element = ext.ZERO
    true_values: Sequence[Sequence[Element]] = ()

    def change(self, parts: Sequence[TableColumns], values: list[list[Element]]) -> None:
        raise NotImplementedError

    def quotient(
        self, index: int, commitments: Mapping[Tree, Commitment], challenge: Element
    ) -> Polynomials:
        self.constraint_challenge = challenge
        return super().quotient(index, commitments, challenge)

    def send_values(
        self, parts: Sequence[TableColumns], zeta: Element
    ) -> list[tuple[Element, ...]]:
        honest = _silently(self, lambda: super(LyingInValues, self).send_values(parts, zeta))
        self.true_values = honest
        claimed = [list(own) for own in honest]
        self.zeta = zeta
        self.change(parts, claimed)
        result = []
        for part, own in zip(parts, claimed, strict=True):
            table = part.layout.table
            if self.solved:
                opened = OpenedTable(
                    part.layout,
                    tuple(own),
                    self.publics[table.name],
                    self.terminals.get(table.name, ext.ZERO),
                )
                own = solve_quotient(opened, self.challenges, zeta, self.constraint_challenge)
            self.transcript.send_extension(f"values {table.name}", own)
            result.append(tuple(own))
        return result

    def batched_codewords(
        self,
        parts: Sequence[TableColumns],
        values: Sequence[Sequence[Element]],
        zeta: Element,
    ) -> dict[int, Matrix]:
        used = self.true_values if self.honest_codewords else values
        return super().batched_codewords(parts, used, zeta)


class LyingInCodewords(Prover):
    """Changes the codewords that enter FRI."""

    def change(self, codewords: dict[int, Matrix]) -> None:
        raise NotImplementedError

    def batched_codewords(
        self,
        parts: Sequence[TableColumns],
        values: Sequence[Sequence[Element]],
        zeta: Element,
    ) -> dict[int, Matrix]:
        codewords = super().batched_codewords(parts, values, zeta)
        self.change(codewords)
        return codewords


class LyingInWork(Prover):
    """Presents another nonce at one site."""

    site: str

    def nonce(self, bits: int) -> int:
        raise NotImplementedError

    def work(self, label: str) -> None:
        bits = self.transcript.pending_work()
        if bits and label == self.site:
            self.transcript.send_nonce(label, self.nonce(bits))
        else:
            super().work(label)


class LyingInOpenings(Prover):
    """Opens some trees elsewhere; the verifier's queries are ``index ^ flip``."""

    flip = 1
    trees: frozenset[str] = frozenset()

    def open(
        self,
        commitments: Mapping[Tree, Commitment],
        layers: Sequence[CodewordTree],
        indices: Sequence[int],
    ) -> bytes:
        moved = [index ^ self.flip for index in indices]
        lying = {tree: _Elsewhere(c, moved) for tree, c in commitments.items()}
        parts = {
            tree: lying[tree] if tree.label in self.trees else commitment
            for tree, commitment in commitments.items()
        }
        chosen = [
            _MovedTree(layer, self.flip) if f"fri {number}" in self.trees else layer
            for number, layer in enumerate(layers)
        ]
        return super().open(parts, chosen, indices)  # type: ignore[arg-type]


class _MovedTree:
    """A tree that is opened at other indices than asked."""

    def __init__(self, tree: Any, flip: int) -> None:
        self._tree = tree
        self._flip = flip
        self.shape = tree.shape

    def open(self, indices: Sequence[int]) -> Any:
        return self._tree.open([index ^ self._flip for index in indices])


class _Elsewhere:
    """A commitment whose tree is opened elsewhere."""

    def __init__(self, commitment: Commitment, moved: Sequence[int]) -> None:
        self.tree = None if commitment.tree is None else _MovedTree(commitment.tree, 1)
        self.columns = commitment.columns


class DeafTranscript(ProverTranscript):
    """Does not absorb some items."""

    def __init__(self, schema: Sequence[Any], omitted: frozenset[str]) -> None:
        super().__init__(schema)
        self._omitted = omitted

    def _absorb(self, label: str, data: bytes) -> None:
        if label not in self._omitted:
            super()._absorb(label, data)


class DeafProver(Prover):
    """Leaves items out of its transcript: what they say can be chosen after the challenges."""

    omitted: frozenset[str]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        items = schema(self.verification, len(self.context))
        self.transcript = DeafTranscript(items, self.omitted)


# ---- arithmetic for liars


def solve_quotient(
    opened: OpenedTable, challenges: LookupChallenges, zeta: Element, challenge: Element
) -> list[Element]:
    """The opened values with the first chunk's replaced so that the identity at zeta holds."""
    table = opened.layout.table
    arithmetic = PointArithmetic(opened, challenges, zeta)
    roots = [constraint.expression.index for constraint in table.constraints]
    combined = ext.ZERO
    for value in reversed(list(read(table.symbolic.graph, roots, arithmetic))):
        value = ext.from_base(value) if isinstance(value, int) else value
        combined = ext.add(ext.multiply(combined, challenge), value)
    step = ext.power(zeta, table.height)
    wanted = ext.multiply(combined, ext.invert(ext.subtract(step, ext.ONE)))
    chunks = opened.quotient_values()
    others = ext.evaluate((ext.ZERO, *chunks[1:]), step)
    values = list(opened.values)
    values[len(values) - len(chunks)] = ext.subtract(wanted, others)
    return values


def plus(matrix: Matrix, value: int) -> Matrix:
    """Montgomery words plus a canonical scalar."""
    total = matrix.astype(np.uint64) + scalar_to_montgomery(value % P)
    return (total % P).astype(np.uint32)


def random_words(shape: tuple[int, ...], seed: int) -> Matrix:
    """Uniform field elements in Montgomery form."""
    return np.random.default_rng(seed).integers(0, P, shape, np.uint32)


def altered(columns: Columns, table: str, column: str, row: int, value: int) -> Columns:
    """A copy of the traces with one cell replaced."""
    result = {name: {c: list(v) for c, v in own.items()} for name, own in columns.items()}
    result[table][column][row] = value % P
    return result


def bump(value: Element, by: int = 1) -> Element:
    """value + by in the extension."""
    return ext.add(value, ext.from_base(by))


def failing_nonce(state: bytes, bits: int, passing: int = 0) -> int:
    """A nonce that has ``passing`` bits of work but not ``bits``."""
    return next(
        nonce
        for nonce in range(1 << 40)
        if grind_succeeds(state, nonce, passing) and not grind_succeeds(state, nonce, bits)
    )


def _silently(prover: Prover, action: Callable[[], Any]) -> Any:
    """Run an honest round without its messages reaching the transcript."""
    kept = prover.transcript
    prover.transcript = _Sink(kept)  # type: ignore[assignment]
    try:
        return action()
    finally:
        prover.transcript = kept


class _Sink:
    """Swallows messages; everything else is the transcript's."""

    def __init__(self, transcript: ProverTranscript) -> None:
        self._transcript = transcript

    def send_digests(self, label: str, digests: Sequence[bytes]) -> None:
        pass

    def send_extension(self, label: str, values: Sequence[Element]) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transcript, name)
