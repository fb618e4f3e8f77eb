"""Forgeries of proofs that hide the witness: masks, salts and what they could be abused for.

Group K of ``tests/vectors/negative_tests.json`` as far as a verifier can see it, and the lies of
the other files told by a prover that masks. Whether masks hide anything is for the prover's tests.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.cheating import (
    Case,
    DeafProver,
    LyingInAuxiliary,
    LyingInCodewords,
    LyingInOpenings,
    LyingInQuotient,
    LyingInValues,
    Matrix,
    Seeded,
    altered,
    bump,
    case,
    configured,
    fibonacci_case,
    hidden_case,
    plus,
    products_case,
    random_words,
)
from support.checks import check, check_equal
from support.mutations import ProofMap, flipped, next_element, overwritten
from support.systems import Example

from stark.errors import Code, Rejected
from stark.field import extension as ext
from stark.field.extension import DEGREE, Element
from stark.field.koalabear import P
from stark.hash.suite import Sha256Suite
from stark.prover.commitment import PolynomialRows
from stark.prover.masks import Masks
from stark.prover.prove import Prover
from stark.system import System
from stark.transcript.schema import Known, Sent
from stark.verifier.header import encode_header
from stark.verifier.layout import TableLayout
from stark.verifier.protocol import schema

SALTED = ["main", "auxiliary", "quotient"]
UNSALTED = ["preprocessed", "fri 0", "fri 1", "fri 2"]


def mapped(one: Case) -> ProofMap:
    return ProofMap(one.key.verification, one.honest(), one.publics, one.context)


def expect(one: Case, proof: bytes, *codes: Code) -> Rejected:
    rejection = one.rejection(proof)
    check(rejection.code in codes, f"expected {codes}, got {rejection}")
    return rejection


def masked_by(masks: type[Masks]) -> type[Prover]:
    """A prover whose masks are of another kind."""

    class Masking(Prover):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.masks = masks(self.parameters, Seeded(b"masks"))

    return Masking


def test_honest_hidden_proofs_are_accepted() -> None:
    one = hidden_case()
    one.verify(one.honest())
    check_equal(one.prove(masked_by(Masks)), one.honest())
    trees = mapped(one).trees
    check_equal([name for name, tree in trees.items() if tree.shape.salted], SALTED)
    check_equal([name for name, tree in trees.items() if not tree.shape.salted], UNSALTED)


def test_honest_runs_of_the_lying_provers() -> None:
    def nothing(self: Any, *arguments: Any) -> None:
        return None

    one = hidden_case()
    for kind in (LyingInAuxiliary, LyingInQuotient, LyingInValues, LyingInCodewords):
        check_equal(one.prove(configured(kind, change=nothing)), one.honest(), kind.__name__)


# ---- with and without masks


def test_k1_k9_a_proof_without_masks_for_a_key_with_them_and_the_reverse() -> None:
    hidden, plain = hidden_case(), products_case()
    expect(hidden, plain.honest(), Code.POLICY)
    expect(plain, hidden.honest(), Code.POLICY)
    # Under the other's header the nonces do not pass: they are for another transcript.
    working = [
        case(one.example, replace(one.key.verification.parameters, grinding_lookup=16))
        for one in (hidden, plain)
    ]
    for own, other in (working, working[::-1]):
        start = len(encode_header(other.key.verification))
        relabelled = encode_header(own.key.verification) + other.honest()[start:]
        expect(own, relabelled, Code.POW)


def test_what_a_hidden_proof_adds_is_bound() -> None:
    # One message more, the salt, before anything that depends on the witness.
    labels = [
        item.label
        for item in schema(hidden_case().key.verification, 0)
        if isinstance(item, Sent | Known)
    ]
    check_equal(labels[labels.index("salt") + 1], "main commitment")
    check_equal(labels[labels.index("salt") - 1], "heights")


def test_e8_the_salt_of_the_transcript() -> None:
    one = hidden_case(silent=True)
    section = mapped(one).sections["salt"]
    for position in range(section.start, section.end):
        expect(one, flipped(one.honest(), position), Code.OOD)
    expect(one, one.prove(configured(DeafProver, omitted=frozenset({"salt"}))), Code.OOD)


def test_k6_no_quotient_of_a_hidden_proof_has_a_single_chunk() -> None:
    # One chunk alone would be opened as it is: even a table of degree 2 has two, by its key.
    plain = fibonacci_case(6).example
    hidden = System([table.air for table in plain.system.tables], zk=True)
    check_equal([t.quotient_chunks for t in plain.system.tables], [1])
    check_equal([t.quotient_chunks for t in hidden.tables], [2])
    one = case(
        Example(hidden, plain.traces, plain.publics), hidden_case().key.verification.parameters
    )
    one.verify(one.honest())

    class OneChunk(LyingInQuotient):
        """The whole quotient in the first chunk, whose degree is then too high."""

        def change(self, table: str, extension: Matrix) -> None:
            extension[:, :, DEGREE:] = 0

    expect(one, one.prove(OneChunk), Code.OOD)


# ---- masks that are too long, or not what was committed


class LongColumns(Masks):
    """Columns of far more coefficients than the slack leaves."""

    def length(self, table_height: int) -> int:
        return table_height


class LongCodewords(Masks):
    """Masks of the codewords with more coefficients than FRI admits."""

    def codeword(self, log_height: int) -> tuple[Matrix, Matrix]:
        low, high = super().codeword(log_height)
        return low, np.concatenate([high] * 4)


class LongChunks(Masks):
    """Chunks that lend one another more than the slack leaves."""

    def chunks(self, table: Any) -> list[Matrix]:
        return [np.concatenate([lent] * 4) for lent in super().chunks(table)]


def test_columns_masked_beyond_the_slack() -> None:
    # The quotient of such columns does not fit its chunks.
    expect(hidden_case(), hidden_case().prove(masked_by(LongColumns)), Code.OOD)


@pytest.mark.parametrize("masks", [LongCodewords, LongChunks])
def test_masks_beyond_the_slack(masks: type[Masks]) -> None:
    # The identity at zeta holds, as it should for chunks that add up; FRI alone can see it.
    expect(hidden_case(), hidden_case().prove(masked_by(masks)), Code.FRI_FINAL)


class Unmasked(Masks):
    """No masks at all, but for salts."""

    def _matrix(self, label: str, rows: int, width: int, padded: int) -> Matrix:
        return np.zeros_like(super()._matrix(label, rows, width, padded))


def test_masks_of_nothing_are_the_prover_s_own_loss() -> None:
    # No verifier can tell zeros from other masks: they prove the same statement.
    one = hidden_case()
    one.verify(one.prove(masked_by(Unmasked)))


@pytest.mark.parametrize("height", [4, 5, 8])
@pytest.mark.parametrize("lie", ["another", "none", "random"])
def test_a_codeword_masked_by_another_word_than_the_committed_one(height: int, lie: str) -> None:
    def codewords(self: Any, *arguments: Any) -> dict[int, Matrix]:
        masks = self.codeword_masks
        if lie == "none":
            self.codeword_masks = {h: mask for h, mask in masks.items() if h != height}
        words: dict[int, Matrix] = Prover.codewords(self, *arguments)
        if lie == "another":
            words[height] = plus(words[height], 1)
        if lie == "random":
            words[height] = random_words(words[height].shape, height)
        return words

    one = hidden_case()
    expect(one, one.prove(configured(Prover, codewords=codewords)), Code.FRI_FOLD)


def test_a_lie_at_zeta_hidden_in_the_mask() -> None:
    # The mask is committed before zeta. Adding what would repair a wrong value is another word.
    def change(self: Any, parts: Any, values: list[list[Element]]) -> None:
        values[0][1] = bump(values[0][1])

    one = hidden_case()
    lying = configured(LyingInValues, change=change, solved=True)
    expect(one, one.prove(lying), Code.FRI_FINAL)
    repaired = configured(LyingInValues, change=change, solved=True, honest_codewords=True)
    expect(one, one.prove(repaired), Code.FRI_FOLD)


# ---- terminals


def unbalanced() -> Any:
    """A look-up of 256, which is no byte."""
    one = hidden_case()
    traces = altered(one.example.traces, "work", "x", 20, 256)
    y = traces["work"]["y"][20]
    return altered(altered(traces, "work", "z", 20, 256 * y), "work", "power", 20, 0)


def test_an_unbalanced_bus() -> None:
    one = hidden_case()
    expect(one, one.prove(traces=unbalanced()), Code.BUS)


def test_terminals_balanced_by_force() -> None:
    def change(self: Any, matrices: Any, terminals: dict[str, Element]) -> None:
        others = ext.add(terminals["work"], terminals["ledger"])
        terminals["byte table"] = ext.negate(others)

    one = hidden_case()
    lying = configured(LyingInAuxiliary, change=change)
    expect(one, one.prove(lying, traces=unbalanced()), Code.OOD)


def test_masks_of_terminals_that_would_balance_the_bus_of_another_challenge() -> None:
    # r_t is committed before alpha. With what an earlier run lacked, under its alpha, the sum of
    # this one is as far from zero.
    one = hidden_case()

    class Measuring(Prover):
        missing: Element = ext.ZERO

        def commit_auxiliary(self, main: Any) -> Any:
            commitment = super().commit_auxiliary(main)
            Measuring.missing = ext.total(self.terminals.values())
            return commitment

    one.prove(Measuring, traces=unbalanced())
    check(Measuring.missing != ext.ZERO, "the bus is unbalanced")

    class Compensating(Masks):
        def terminals(self, tables: Any) -> list[Matrix]:
            drawn = super().terminals(tables)
            lacking = [P - value if value else 0 for value in Measuring.missing]
            words = [value * (1 << 32) % P for value in lacking]
            total = drawn[0].astype(np.uint64) + np.array(words, np.uint64)
            return [(total % P).astype(np.uint32), *drawn[1:]]

    expect(one, one.prove(masked_by(Compensating), traces=unbalanced()), Code.BUS)


@pytest.mark.parametrize("table", ["work", "ledger", "byte table"])
@pytest.mark.parametrize("row", [0, 1, -1])
def test_terminal_mask_elsewhere_than_in_row_0(table: str, row: int) -> None:
    # On row 0 it is a mask like any other, but the masks do not cancel any more; elsewhere its
    # cells must be zero.
    class Writing(Prover):
        def commit_main(self, main: Any) -> Any:
            for own, matrix in zip(self.tables, main, strict=True):
                if own.name == table:
                    place = (row, own.witness_width + 2)
                    matrix[place] = plus(matrix[place], 1)
            return super().commit_main(main)

    one = hidden_case()
    expect(one, one.prove(Writing), Code.OOD if row else Code.BUS)


# ---- the rounds


@pytest.mark.parametrize("table", [0, 1, 2])
def test_out_of_domain_values(table: int) -> None:
    one = hidden_case()
    own = one.example.system.tables[table]
    for value in range(TableLayout.of(own).value_count):

        def change(self: Any, parts: Any, values: list[list[Element]], value: int = value) -> None:
            values[table][value] = ext.add(values[table][value], (0, 1, 0, 0, 0))

        rejection = expect(one, one.prove(configured(LyingInValues, change=change)), Code.OOD)
        check(own.name in rejection.check, rejection.check)


@pytest.mark.parametrize("table", ["work", "ledger", "byte table"])
def test_quotients_and_auxiliary_columns(table: str) -> None:
    one = hidden_case()

    def quotient(self: Any, name: str, extension: Matrix) -> None:
        if name == table:
            extension[:, :, 2] = plus(extension[:, :, 2], 1)

    def auxiliary(self: Any, matrices: dict[str, Matrix], terminals: Any) -> None:
        matrices[table][3, DEGREE - 1] = plus(matrices[table][3, DEGREE - 1], 1)

    for lying in (
        configured(LyingInQuotient, change=quotient),
        configured(LyingInAuxiliary, change=auxiliary),
    ):
        check(table in expect(one, one.prove(lying), Code.OOD).check, table)


def test_wrong_traces() -> None:
    one = hidden_case()
    work = one.example.traces["work"]
    wrong = altered(one.example.traces, "work", "z", 20, work["z"][20] + 1)
    expect(one, one.prove(traces=wrong), Code.OOD)
    values = [one.publics["work"][0] + 1, one.publics["work"][1]]
    proof = one.prove(publics={"work": values})
    check_equal(one.rejection(proof, {"work": values}).code, Code.OOD)


@pytest.mark.parametrize("height", [4, 5, 8])
def test_table_left_out_of_the_batch(height: int) -> None:
    def change(self: Any, codewords: dict[int, Matrix]) -> None:
        codewords[height] = np.zeros_like(codewords[height])

    one = hidden_case()
    expect(one, one.prove(configured(LyingInCodewords, change=change)), Code.FRI_FOLD)


# ---- openings


@pytest.mark.parametrize("name", SALTED)
def test_f14_salts_in_the_file(name: str) -> None:
    one = hidden_case()
    tree = mapped(one).trees[name]
    proof = one.honest()
    for group, salts in enumerate(tree.opening.salts):
        first, second = tree.salt(group, 0), tree.salt(group, 1)
        check_equal(proof[first : first + 32], salts[0])
        expect(one, flipped(proof, first), Code.MERKLE)
        expect(one, flipped(proof, second + 31), Code.MERKLE)
        swapped = overwritten(overwritten(proof, first, salts[1]), second, salts[0])
        expect(one, swapped, Code.MERKLE)
        expect(one, overwritten(proof, first, salts[1]), Code.ZK)
        # Missing, or one more: everything behind it is out of place.
        codes = (Code.MERKLE, Code.CANONICAL, Code.FORMAT, Code.ZK)
        expect(one, proof[:first] + proof[first + 32 :], *codes)
        expect(one, proof[:first] + bytes(32) + proof[first:], *codes)


def test_f14_one_salt_for_all_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    # Honestly committed: nothing is hidden, and that shows. Salts of zeros read as eight columns.
    def digests(self: Any, key: bytes | None, kernels: Any) -> Matrix:
        result = np.empty((8, self.cosets * self.height), np.uint32)
        for coset in range(self.cosets):
            values = [one.coset(coset) for one in self._polynomials]
            widths = list(self._widths)
            if key is not None:
                values = [np.zeros((self.height, 16), np.uint32), *values]
                widths = [8, *widths]
            kernels.leaf_digests(values, widths, None, result, coset * self.height)
        return result

    monkeypatch.setattr(PolynomialRows, "digests", digests)
    monkeypatch.setattr(Sha256Suite, "leaf_salt", lambda self, key, place: bytes(32))
    one = hidden_case()
    proof = one.prove(Prover)
    expect(one, proof, Code.ZK)
    monkeypatch.setattr("stark.merkle.multiproof._check_salts", lambda *_: None)
    one.verify(proof)


@pytest.mark.parametrize("name", [*SALTED, *UNSALTED])
def test_leaves_and_siblings(name: str) -> None:
    one = hidden_case()
    tree = mapped(one).trees[name]
    for group in range(len(tree.shape.groups)):
        start, size = tree.row(group, 0)
        # The last elements of a row of main columns are the mask.
        for position in (start, start + size - 4):
            expect(one, next_element(one.honest(), position), Code.MERKLE)
            forged = overwritten(one.honest(), position, P.to_bytes(4, "little"))
            expect(one, forged, Code.CANONICAL)
    for position in tree.siblings[::5]:
        expect(one, flipped(one.honest(), position), Code.MERKLE)
    lying = configured(LyingInOpenings, trees=frozenset({name}))
    expect(one, one.prove(lying), Code.MERKLE)


def test_a4_a15_truncations_and_random_flips() -> None:
    generator = random.Random(4)
    one = hidden_case()
    proof = one.honest()
    for end in range(0, len(proof), 401):
        expect(one, proof[:end], Code.FORMAT)
    expect(one, proof + b"\0", Code.FORMAT)
    for _ in range(400):
        position = generator.randrange(len(proof))
        one.rejection(flipped(proof, position, 1 << generator.randrange(8)))
