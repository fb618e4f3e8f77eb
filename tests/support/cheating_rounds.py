"""Provers that cheat in one round and are honest in all others.

Each replaces a round of :class:`stark.prover.prove.Prover`. All challenges after the lie are drawn
from the transcript as it then is, and proofs of work are done, so that the forged proof is
consistent with its transcript and only the check that the lie is aimed at can refuse it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stark.field import extension as ext
from stark.field.extension import Element
from stark.hash.suite import SHA256, Suite
from stark.merkle.tree import CodewordTree
from stark.prover.commitment import Commitment
from stark.prover.openings import TableColumns
from stark.prover.polynomials import Polynomials
from stark.prover.prove import Prover
from stark.transcript.transcript import ProverTranscript, VerifierTranscript
from stark.verifier.layout import Tree
from stark.verifier.out_of_domain import OpenedTable
from stark.verifier.protocol import schema
from support.cheating_arithmetic import solve_quotient
from support.cheating_cases import Matrix
from support.tabulated import Tabulated, deep_codewords_by_values


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

    def __init__(
        self, schema: Sequence[Any], omitted: frozenset[str], suite: Suite = SHA256
    ) -> None:
        super().__init__(schema, suite)
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
        self.transcript = DeafTranscript(items, self.omitted, self.verification.suite)


class DeafVerifierTranscript(VerifierTranscript):
    """A verifier's transcript with the same hole as a deaf prover's."""

    omitted: frozenset[str] = frozenset()

    def _absorb(self, label: str, data: bytes) -> None:
        if label not in self.omitted:
            super()._absorb(label, data)


def deaf_verifier(*labels: str) -> type[VerifierTranscript]:
    """What to put in the place of the verifier's transcript, to see that an attack works on it."""
    omitted = frozenset(labels)
    return type("Deaf", (DeafVerifierTranscript,), {"omitted": omitted})


def foreseen(transcript: ProverTranscript, skipped: int) -> ProverTranscript:
    """A copy to draw challenges from as if the next ``skipped`` messages were not absorbed."""
    ghost = copy.copy(transcript)
    ghost._cursor += skipped
    return ghost


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
