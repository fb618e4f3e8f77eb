"""The prover: the protocol's rounds in order, one method each.

The rounds are methods so that a test can replace one and see the verifier refuse the result, with
all later challenges derived as an honest prover would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stark.constraints.interpreter import Constants
from stark.errors import UsageError
from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.extension_kernels import scale
from stark.field.koalabear import GENERATOR
from stark.fri.fold import fold, interpolate_final
from stark.hash.hashing import hashing
from stark.merkle.multiproof import encode_opening
from stark.merkle.tree import CodewordTree
from stark.prover.auxiliary import auxiliary_columns
from stark.prover.commitment import Commitment, commit
from stark.prover.keygen import ProvingKey
from stark.prover.masks import Masks
from stark.prover.openings import (
    PointWeights,
    TableColumns,
    deep_codewords,
    out_of_domain_values,
)
from stark.prover.polynomials import Polynomials, add_mod
from stark.prover.quotient import quotient_columns
from stark.prover.randomness import Randomness, SystemRandomness
from stark.prover.trace import Trace, main_matrix, write_terminal_mask
from stark.soundness.estimate import check_randomness
from stark.system import Table
from stark.transcript.transcript import ProverTranscript
from stark.verifier.figures import system_figures
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
from stark.verifier.verify import PublicValues, batching_coefficients, bind, checked_publics

Matrix = NDArray[np.uint32]
Progress = Callable[[str], None]


def prove(
    key: ProvingKey,
    traces: Mapping[str, Trace],
    publics: PublicValues,
    context: bytes = b"",
    progress: Progress | None = None,
    randomness: Randomness | None = None,
    *,
    lean: bool = False,
) -> bytes:
    """Prove that the traces satisfy the key's system with these public values.

    The prover does not check the traces: a proof of a wrong one comes out, and is refused by the
    verifier. :func:`stark.debug.faults.faults` says what is wrong with a trace.

    Parameters
    ----------
    key
        From :func:`stark.prover.keygen.generate_key`.
    traces
        Main columns by table name. A :class:`MontgomeryTrace` is the prover's from then on.
    publics
        Public values by table name; tables without any may be left out.
    context
        Bytes that the proof is bound to; the verifier must present the same.
    progress
        Called with the name of each round as it begins.
    randomness
        Where masks and salts come from; by default the operating system, and it is checked that
        they are long enough to hide. Anything else is for tests.
    lean
        Take less memory, about half, for about an eighth more time: no evaluation is kept.

    Returns
    -------
    The proof file.

    Raises
    ------
    UsageError
        If a trace is missing, unknown or of another shape.
    Rejected
        ``Public`` or ``Canonical``, for public values that no verifier accepts; ``ZK``, if the
        masks of a table are too short to hide what a proof shows.
    """
    parameters = key.verification.parameters
    if parameters.zk and randomness is None:
        check_randomness(system_figures(key.verification.system), parameters)
    return Prover(key, publics, context, progress, randomness, lean).run(traces)


class Prover:
    """One run of the prover."""

    def __init__(
        self,
        key: ProvingKey,
        publics: PublicValues,
        context: bytes = b"",
        progress: Progress | None = None,
        randomness: Randomness | None = None,
        lean: bool = False,
    ) -> None:
        self.key = key
        self.lean = lean
        self.verification = key.verification
        self.parameters = key.verification.parameters
        self.tables: tuple[Table, ...] = key.verification.system.tables
        self.context = context
        self.publics = checked_publics(self.tables, publics)
        self.transcript = ProverTranscript(
            schema(key.verification, len(context)), key.verification.suite
        )
        self.progress = progress or (lambda _: None)
        self.masks = (
            Masks(self.parameters, randomness or SystemRandomness()) if self.parameters.zk else None
        )
        self.challenges = LookupChallenges(ext.ZERO, ext.ZERO, ext.ZERO)
        self.codeword_masks: Mapping[int, Polynomials] = {}
        self.terminals: dict[str, Element] = {}

    def run(self, traces: Mapping[str, Trace]) -> bytes:
        """All rounds; returns the proof."""
        self._check_names(traces)
        bind(self.transcript, self.verification, self.publics, self.context)
        if self.masks is not None:
            self.transcript.send_digests("salt", [self.masks.transcript_salt()])
        main = [main_matrix(table, traces[table.name]) for table in self.tables]
        self.mask_terminals(main)
        commitments = {Tree.PREPROCESSED: self.key.commitment}
        self.progress("main columns")
        commitments[Tree.MAIN] = self.commit_main(main)
        self.codeword_masks = commitments[Tree.MAIN].codeword_masks
        if bus_tables(self.tables):
            self.progress("bus columns")
            commitments[Tree.AUXILIARY] = self.commit_auxiliary(main)
        del main
        self.progress("constraints")
        commitments[Tree.QUOTIENT] = self.commit_quotient(commitments)
        self.progress("openings")
        zeta = self.draw_zeta()
        parts = [self._columns(index, commitments) for index in range(len(self.tables))]
        values = self.send_values(parts, zeta)
        codewords = self.batched_codewords(parts, values, zeta)
        del parts
        self.progress("low-degree test")
        layers = self.fri(codewords)
        self.work("work queries")
        indices = self.transcript.draw_indices("queries")
        self.transcript.finish()
        self.progress("queries")
        openings = self.open(commitments, layers, indices)
        return encode_header(self.verification) + bytes(self.transcript.proof) + openings

    # ---- rounds

    def mask_terminals(self, main: Sequence[Matrix]) -> None:
        """Draw what hides each table's terminal, if the proof hides the witness."""
        if self.masks is None:
            return
        members = bus_tables(self.tables)
        names = (table.name for table in members)
        drawn = dict(zip(names, self.masks.terminals(members), strict=True))
        for table, matrix in zip(self.tables, main, strict=True):
            if table.name in drawn:
                write_terminal_mask(table, matrix, drawn[table.name])

    def commit_main(self, main: Sequence[Matrix]) -> Commitment:
        commitment = commit(
            self.tables,
            Tree.MAIN,
            main,
            self.parameters,
            self.masks,
            keep_cosets=not self.lean,
        )
        self.transcript.send_digests("main commitment", commitment.cap)
        return commitment

    def commit_auxiliary(self, main: Sequence[Matrix]) -> Commitment:
        self.work("work lookup")
        self.challenges = LookupChallenges(*self.transcript.draw("lookup"))
        matrices = self.auxiliary_matrices(main)
        commitment = commit(
            self.tables,
            Tree.AUXILIARY,
            matrices,
            self.parameters,
            self.masks,
            keep_values=False,
            keep_cosets=not self.lean,
        )
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
        columns = [
            self.quotient(index, commitments, challenge) for index in range(len(self.tables))
        ]
        commitment = Commitment(self.tables, Tree.QUOTIENT, columns, self.parameters, self.masks)
        self.transcript.send_digests("quotient commitment", commitment.cap)
        return commitment

    def quotient(
        self, index: int, commitments: Mapping[Tree, Commitment], challenge: Element
    ) -> Polynomials:
        table = self.tables[index]
        found = self._columns(index, commitments).columns
        trees = (Tree.PREPROCESSED, Tree.MAIN, Tree.AUXILIARY)
        parts = [found.get(tree) for tree in trees]
        constants = Constants(
            publics=self.publics[table.name],
            alpha=self.challenges.alpha,
            beta=self.challenges.beta,
            gamma=self.challenges.gamma,
            terminal=self.terminals.get(table.name, ext.ZERO),
        )
        masks = None if self.masks is None else self.masks.chunks(table)
        return quotient_columns(
            table, parts, constants, challenge, self.parameters.log_blowup, masks
        )

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
        self, parts: Sequence[TableColumns], zeta: Element
    ) -> list[tuple[Element, ...]]:
        values = []
        weights = PointWeights(zeta)
        for part in parts:
            own = out_of_domain_values(part, weights)
            self.transcript.send_extension(f"values {part.layout.table.name}", own)
            values.append(own)
        return values

    def batched_codewords(
        self,
        parts: Sequence[TableColumns],
        values: Sequence[Sequence[Element]],
        zeta: Element,
    ) -> dict[int, Matrix]:
        """DEEP codewords by log2 height, those of tables of one height and their mask added up."""
        self.work("work batching")
        drawn = self.transcript.draw("batching")
        coefficients = batching_coefficients(self.verification, drawn)
        by_table = []
        start = 0
        for own in values:
            by_table.append(coefficients[start : start + len(own)])
            start += len(own)
        return self.codewords(parts, values, by_table, zeta)

    def codewords(
        self,
        parts: Sequence[TableColumns],
        values: Sequence[Sequence[Element]],
        coefficients: Sequence[Sequence[Element]],
        zeta: Element,
    ) -> dict[int, Matrix]:
        """The same, from the coefficients of each table's opened values."""
        return deep_codewords(
            parts, values, coefficients, zeta, self.codeword_masks, self.parameters.log_blowup
        )

    def fri(self, codewords: Mapping[int, Matrix]) -> list[CodewordTree]:
        """Commit to each layer, fold it, and send the final polynomial."""
        log_height = self.verification.system.log_heights[0]
        word = codewords[log_height]
        layers = []
        for layer, log_arity in enumerate(fri_schedule(self.verification)):
            cap_height = fri_cap_height(self.verification, layer)
            tree = CodewordTree(word, 1 << log_arity, cap_height, self.verification.suite)
            self.transcript.send_digests(f"fri {layer}", tree.cap)
            layers.append(tree)
            self.work(f"work fold {layer}")
            (beta,) = self.transcript.draw(f"fold {layer}")
            word = fold(word, log_arity, beta, self.parameters.log_blowup)
            log_height -= log_arity
            if log_height in codewords:
                joining = ext.power(beta, 1 << log_arity)
                word = add_mod(word, _scaled(codewords[log_height], joining))
        self.transcript.send_extension("final polynomial", self.final_polynomial(word))
        return layers

    def final_polynomial(self, word: Matrix) -> list[Element]:
        """Coefficients of what is left after the last fold."""
        return interpolate_final(word, self.parameters.final_length)

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
            nonce = hashing(self.verification.suite).grind(self.transcript.puzzle, bits)
            self.transcript.send_nonce(label, nonce)

    # ---- helpers

    def _check_names(self, traces: Mapping[str, Trace]) -> None:
        names = {table.name for table in self.tables}
        if set(traces) != names:
            raise UsageError(
                f"traces missing for {sorted(names - set(traces))}, "
                f"unknown {sorted(set(traces) - names)}"
            )

    def _columns(self, index: int, commitments: Mapping[Tree, Commitment]) -> TableColumns:
        found = {}
        for tree, commitment in commitments.items():
            columns = commitment.columns[index]
            if columns is not None:
                found[tree] = columns
        return TableColumns(TableLayout.of(self.tables[index]), found)


def _scaled(codeword: Matrix, factor: Element) -> Matrix:
    """A codeword (5, ...) times one extension element."""
    flat = np.ascontiguousarray(codeword.reshape(ext.DEGREE, -1))
    return scale(flat, factor).reshape(codeword.shape)
