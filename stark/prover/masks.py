"""The random polynomials of a zero-knowledge proof; see docs/soundness.md for what they hide."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stark import parallel
from stark.field.extension import DEGREE
from stark.field.memory import aligned_empty, padded_width
from stark.hash.poseidon import DIGEST_LANES
from stark.hash.sha256 import SALT_BYTES, encode_elements
from stark.hash.suite import SALT_KEY_ELEMENTS, SUITES
from stark.prover.polynomials import add_mod, subtract_mod
from stark.prover.randomness import PIECE, Randomness, field_elements
from stark.soundness.estimate import hiding_coefficients
from stark.soundness.parameters import ProtocolParameters
from stark.system import Table
from stark.verifier.layout import Tree, cells

Matrix = NDArray[np.uint32]


def mask_length(table_height: int, parameters: ProtocolParameters) -> int:
    """Random coefficients per column of a table, and per pair of its chunks.

    A power of two that is enough for what a proof shows of a column, which does not depend on the
    height. More would hide nothing more, and would cost time: the quotient grows by them.
    """
    enough = hiding_coefficients(2, parameters.queries)
    return min(table_height >> parameters.log_slack, 1 << (enough - 1).bit_length())


class Masks:
    """Draws every mask of one zero-knowledge proof, each once."""

    def __init__(self, parameters: ProtocolParameters, source: Randomness) -> None:
        self._parameters = parameters
        self._source = source

    def slack(self, table_height: int) -> int:
        """Coefficients that the degree bound leaves beyond the height."""
        return table_height >> self._parameters.log_slack

    def length(self, table_height: int) -> int:
        """Random coefficients per column and per pair of chunks."""
        return mask_length(table_height, self._parameters)

    def columns(self, table: Table, tree: Tree, padded: int) -> Matrix:
        """Coefficients r of the masks (X^N - 1) r of a table's columns, (length, padded width)."""
        return self._matrix(
            f"{tree.label} of {table.name}", self.length(table.height), cells(table, tree), padded
        )

    def terminals(self, tables: Sequence[Table]) -> list[Matrix]:
        """Five elements per table with buses, adding up to zero over the tables."""
        result: list[Matrix] = []
        total = np.zeros(DEGREE, np.uint32)
        for table in tables[:-1]:
            result.append(field_elements(self._source, f"terminal of {table.name}", DEGREE))
            total = add_mod(total, result[-1])
        return [*result, subtract_mod(np.zeros(DEGREE, np.uint32), total)] if tables else []

    def chunks(self, table: Table) -> list[Matrix]:
        """For each pair of neighbouring quotient chunks, what one lends the other: (length, 5)."""
        length = self.length(table.height)
        return [
            field_elements(self._source, f"chunk {chunk} of {table.name}", length * DEGREE).reshape(
                length, DEGREE
            )
            for chunk in range(table.quotient_chunks - 1)
        ]

    def codeword(self, log_height: int) -> tuple[Matrix, Matrix]:
        """A uniform polynomial over the extension that hides the codeword of one height.

        Coefficients below N and the overflow, each (.., 16) with five columns used.
        """
        height = 1 << log_height
        padded = padded_width(DEGREE)
        label = f"codeword of height {log_height}"
        return (
            self._matrix(f"{label}, low", height, DEGREE, padded),
            self._matrix(f"{label}, high", self.slack(height), DEGREE, padded),
        )

    def salt_key(self, label: str) -> bytes:
        """The key of the salts of a group of Merkle leaves, in the form that the suite takes."""
        return self._secret(f"salt {label}", SALT_KEY_ELEMENTS)

    def transcript_salt(self) -> bytes:
        """A digest's worth of randomness, so that equal witnesses give different proofs."""
        return self._secret("transcript salt", DIGEST_LANES)

    def _secret(self, label: str, elements: int) -> bytes:
        """Bytes for SHA-256; so many canonical elements for a suite that hashes elements."""
        if SUITES[self._parameters.hash_suite].permutation is None:
            return self._source.draw(label, SALT_BYTES)
        return encode_elements(field_elements(self._source, label, elements).tolist())

    def _matrix(self, label: str, rows: int, width: int, padded: int) -> Matrix:
        matrix = aligned_empty((rows, padded))
        drawn = field_elements(self._source, label, rows * width).reshape(rows, width)

        def spread(lo: int, hi: int) -> None:
            matrix[lo:hi, :width] = drawn[lo:hi]
            matrix[lo:hi, width:] = 0

        parallel.run(spread, rows, -(-PIECE // padded))
        return matrix
