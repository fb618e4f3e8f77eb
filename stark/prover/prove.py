"""The prover: the protocol's rounds in order, one method each.

The rounds are methods so that a test can replace one and see the verifier refuse the result, with
all later challenges derived as an honest prover would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stark.constraints.interpreter import Constants
from stark.constraints.system import Table
from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.extension_kernels import scale
from stark.field.koalabear import GENERATOR, P
from stark.fri.fold import fold, interpolate_final
from stark.hash.sha256_kernels import grind
from stark.lookup.columns import auxiliary_columns
from stark.merkle.multiproof import encode_opening
from stark.merkle.tree import CodewordTree
from stark.prover.commitment import Commitment, commit
from stark.prover.keygen import ProvingKey
from stark.prover.openings import TableExtensions, deep_codeword, out_of_domain_values
from stark.prover.quotient import quotient_extension
from stark.prover.trace import Trace, main_matrix
from stark.transcript.transcript import ProverTranscript
from stark.verifier.header import encode_header
from stark.verifier.layout import TableLayout, Tree
from stark.verifier.out_of_domain import LookupChallenges, check_zeta
from stark.verifier.protocol import (
    bus_tables,
    fri_cap_height,
    fri_leaf_log_size,
    fri_schedule,
    schema,
)
from stark.verifier.verify import PublicValues, bind, checked_publics

Matrix = NDArray[np.uint32]
Progress = Callable[[str], None]


def prove(
    key: ProvingKey,
    traces: Mapping[str, Trace],
    publics: PublicValues,
    context: bytes = b"",
    progress: Progress | None = None,
) -> bytes:
    """Prove that the traces satisfy the key's system with these public values.

    The prover does not check the traces: a proof of a wrong one comes out, and is refused by the
    verifier. :func:`stark.constraints.debug.faults` says what is wrong with a trace.

    Parameters
    ----------
    key
        From :func:`stark.prover.keygen.generate_key`.
    traces
        Main columns by table name.
    publics
        Public values by table name; tables without any may be left out.
    context
        Bytes that the proof is bound to; the verifier must present the same.
    progress
        Called with the name of each round as it begins.

    Returns
    -------
    The proof file.

    Raises
    ------
    UsageError
        If a trace is missing, unknown or of another shape.
    Rejected
        ``Public`` or ``Canonical``, for public values that no verifier accepts.
    """
    return Prover(key, publics, context, progress).run(traces)


class Prover:
    """One run of the prover."""

    def __init__(
        self,
        key: ProvingKey,
        publics: PublicValues,
        context: bytes = b"",
        progress: Progress | None = None,
    ) -> None:
        self.key = key
        self.verification = key.verification
        self.parameters = key.verification.parameters
        self.tables: tuple[Table, ...] = key.verification.system.tables
        self.context = context
        self.publics = checked_publics(self.tables, publics)
        self.transcript = ProverTranscript(schema(key.verification, len(context)))
        self.progress = progress or (lambda _: None)
        self.challenges = LookupChallenges(ext.ZERO, ext.ZERO, ext.ZERO)
        self.terminals: dict[str, Element] = {}

    def run(self, traces: Mapping[str, Trace]) -> bytes:
        """All rounds; returns the proof."""
        self._check_names(traces)
        if self.parameters.zk:
            raise UsageError("zero-knowledge proofs are not available in this version")
        bind(self.transcript, self.verification, self.publics, self.context)
        main = [main_matrix(table, traces[table.name]) for table in self.tables]
        commitments = {Tree.PREPROCESSED: self.key.commitment}
        self.progress("main columns")
        commitments[Tree.MAIN] = self.commit_main(main)
        if bus_tables(self.tables):
            self.progress("bus columns")
            commitments[Tree.AUXILIARY] = self.commit_auxiliary(main)
        del main
        self.progress("constraints")
        commitments[Tree.QUOTIENT] = self.commit_quotient(commitments)
        self.progress("openings")
        zeta = self.draw_zeta()
        parts = [self._extensions(index, commitments) for index in range(len(self.tables))]
        values = self.send_values(parts, zeta)
        codewords = self.batched_codewords(parts, values, zeta)
        self.progress("low-degree test")
        layers = self.fri(codewords)
        self.work("work queries")
        indices = self.transcript.draw_indices("queries")
        self.transcript.finish()
        self.progress("queries")
        openings = self.open(commitments, layers, indices)
        return encode_header(self.verification) + bytes(self.transcript.proof) + openings

    # ---- rounds

    def commit_main(self, main: Sequence[Matrix]) -> Commitment:
        commitment = commit(self.tables, Tree.MAIN, main, self.parameters)
        self.transcript.send_digests("main commitment", commitment.cap)
        return commitment

    def commit_auxiliary(self, main: Sequence[Matrix]) -> Commitment:
        self.work("work lookup")
        self.challenges = LookupChallenges(*self.transcript.draw("lookup"))
        matrices = self.auxiliary_matrices(main)
        commitment = commit(self.tables, Tree.AUXILIARY, matrices, self.parameters)
        self.transcript.send_digests("auxiliary commitment", commitment.cap)
        self.transcript.send_extension(
            "terminals", [self.terminals[table.name] for table in bus_tables(self.tables)]
        )
        return commitment

    def auxiliary_matrices(self, main: Sequence[Matrix]) -> list[Matrix | None]:
        """Auxiliary columns on the trace domains; sets the terminals."""
        matrices: list[Matrix | None] = []
        for table, matrix, fixed in zip(self.tables, main, self.key.matrices, strict=True):
            if not table.bus_argument.width:
                matrices.append(None)
                continue
            columns, self.terminals[table.name] = auxiliary_columns(
                table,
                fixed,
                matrix,
                self.publics[table.name],
                self.challenges.alpha,
                self.challenges.beta,
                self.challenges.gamma,
            )
            matrices.append(columns)
        return matrices

    def commit_quotient(self, commitments: Mapping[Tree, Commitment]) -> Commitment:
        self.work("work constraints")
        (challenge,) = self.transcript.draw("constraints")
        extensions = [
            self.quotient(index, commitments, challenge) for index in range(len(self.tables))
        ]
        commitment = Commitment(self.tables, Tree.QUOTIENT, extensions, self.parameters)
        self.transcript.send_digests("quotient commitment", commitment.cap)
        return commitment

    def quotient(
        self, index: int, commitments: Mapping[Tree, Commitment], challenge: Element
    ) -> Matrix:
        table = self.tables[index]
        trees = (Tree.PREPROCESSED, Tree.MAIN, Tree.AUXILIARY)
        parts = [
            commitments[tree].extensions[index] if tree in commitments else None for tree in trees
        ]
        constants = Constants(
            publics=self.publics[table.name],
            alpha=self.challenges.alpha,
            beta=self.challenges.beta,
            gamma=self.challenges.gamma,
            terminal=self.terminals.get(table.name, ext.ZERO),
        )
        return quotient_extension(table, parts, constants, challenge, self.parameters.log_blowup)

    def draw_zeta(self) -> Element:
        self.work("work zeta")
        (zeta,) = self.transcript.draw("zeta")
        check_zeta(
            zeta,
            self.verification.system.log_heights[0],
            self.parameters.log_blowup,
            GENERATOR,
        )
        return zeta

    def send_values(
        self, parts: Sequence[TableExtensions], zeta: Element
    ) -> list[tuple[Element, ...]]:
        values = []
        for part in parts:
            own = out_of_domain_values(part, zeta, self.parameters.log_blowup)
            self.transcript.send_extension(f"values {part.layout.table.name}", own)
            values.append(own)
        return values

    def batched_codewords(
        self,
        parts: Sequence[TableExtensions],
        values: Sequence[Sequence[Element]],
        zeta: Element,
    ) -> dict[int, Matrix]:
        """DEEP codewords by log2 height, those of tables of one height added up."""
        self.work("work batching")
        drawn = self.transcript.draw("batching")
        count = sum(len(own) for own in values)
        coefficients = (
            drawn if self.parameters.batching == "independent" else ext.powers(drawn[0], count)
        )
        codewords: dict[int, Matrix] = {}
        start = 0
        for part, own in zip(parts, values, strict=True):
            end = start + len(own)
            word = deep_codeword(
                part, own, coefficients[start:end], zeta, self.parameters.log_blowup
            )
            height = part.layout.table.log_height
            codewords[height] = _sum(codewords[height], word) if height in codewords else word
            start = end
        return codewords

    def fri(self, codewords: Mapping[int, Matrix]) -> list[CodewordTree]:
        """Commit to each layer, fold it, and send the final polynomial."""
        log_height = self.verification.system.log_heights[0]
        word = codewords[log_height]
        layers = []
        for layer, log_arity in enumerate(fri_schedule(self.verification)):
            tree = CodewordTree(word, 1 << log_arity, fri_cap_height(self.verification, layer))
            self.transcript.send_digests(f"fri {layer}", tree.cap)
            layers.append(tree)
            self.work(f"work fold {layer}")
            (beta,) = self.transcript.draw(f"fold {layer}")
            word = fold(word, log_arity, beta, self.parameters.log_blowup)
            log_height -= log_arity
            if log_height in codewords:
                joining = ext.power(beta, 1 << log_arity)
                word = _sum(word, _scaled(codewords[log_height], joining))
        self.transcript.send_extension("final polynomial", interpolate_final(word))
        return layers

    def open(
        self,
        commitments: Mapping[Tree, Commitment],
        layers: Sequence[CodewordTree],
        indices: Sequence[int],
    ) -> bytes:
        """Openings of all trees at the queried positions, in the verifier's order."""
        parts = []
        for tree in Tree:
            merkle = commitments[tree].tree if tree in commitments else None
            if merkle is not None:
                size = 1 << merkle.shape.log_size
                parts.append(encode_opening(merkle.open([index % size for index in indices])))
        for layer, merkle_layer in enumerate(layers):
            size = 1 << fri_leaf_log_size(self.verification, layer)
            parts.append(encode_opening(merkle_layer.open([index % size for index in indices])))
        return b"".join(parts)

    def work(self, label: str) -> None:
        """Grind the nonce of a proof of work, if the protocol has one here."""
        bits = self.transcript.pending_work()
        if bits:
            self.transcript.send_nonce(label, grind(self.transcript.state, bits))

    # ---- helpers

    def _check_names(self, traces: Mapping[str, Trace]) -> None:
        names = {table.name for table in self.tables}
        if set(traces) != names:
            raise UsageError(
                f"traces missing for {sorted(names - set(traces))}, "
                f"unknown {sorted(set(traces) - names)}"
            )

    def _extensions(self, index: int, commitments: Mapping[Tree, Commitment]) -> TableExtensions:
        found = {}
        for tree, commitment in commitments.items():
            extension = commitment.extensions[index]
            if extension is not None:
                found[tree] = extension
        return TableExtensions(TableLayout.of(self.tables[index]), found)


def _sum(a: Matrix, b: Matrix) -> Matrix:
    """Element-wise sum mod p; the sum of two canonical values fits 32 bits."""
    total = a + b
    return np.where(total >= P, total - np.uint32(P), total).astype(np.uint32)


def _scaled(codeword: Matrix, factor: Element) -> Matrix:
    """A codeword (5, ...) times one extension element."""
    flat = np.ascontiguousarray(codeword.reshape(ext.DEGREE, -1))
    return scale(flat, factor).reshape(codeword.shape)
