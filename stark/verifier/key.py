"""Verification keys: everything that a verifier fixes before it looks at a proof.

A key is derived from the source of the AIRs, from protocol parameters and from the commitment to
the preprocessed columns. The first two the verifier has; the last it must have pinned, or have
computed itself: it never comes from the file that is being verified.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property

from stark.constraints.expression import Part
from stark.errors import UsageError
from stark.field.koalabear import TWO_ADICITY
from stark.hash.suite import SUITES, Suite
from stark.soundness.parameters import ProtocolParameters
from stark.system import System, Table


@dataclass(frozen=True)
class VerificationKey:
    """A system of tables, the parameters to prove it with, and its preprocessed commitment.

    Parameters
    ----------
    system
        The tables; rebuilt from source, never parsed.
    parameters
        Queries, blowup, grinding and so on.
    preprocessed_cap
        Merkle cap of the preprocessed columns; empty if no table has any.

    Raises
    ------
    UsageError
        If the parameters do not fit the system: a blowup too small for the degree of a constraint,
        a domain beyond the two-adicity, a final polynomial longer than the smallest table.
    """

    system: System
    parameters: ProtocolParameters
    preprocessed_cap: tuple[bytes, ...]

    def __post_init__(self) -> None:
        parameters = self.parameters
        if parameters.zk != self.system.zk:
            raise UsageError("system and parameters must agree on whether proofs hide the witness")
        if any(digest == bytes(32) for digest in self.preprocessed_cap):
            raise UsageError("the preprocessed commitment is a placeholder of zeros")
        if not all(map(self.suite.is_digest, self.preprocessed_cap)):
            raise UsageError(f"the preprocessed commitment has no digests of {self.suite.name}")
        for table in self.system.tables:
            if table.quotient_chunks > 1 << parameters.log_blowup:
                raise UsageError(
                    f"{table.name}: constraints of degree {table.degree} need a blowup of at "
                    f"least {table.quotient_chunks}, the parameters have "
                    f"{1 << parameters.log_blowup}"
                )
            if parameters.zk and table.degree > 1 << parameters.log_slack:
                # (d - 1 + d s) N coefficients of the quotient must fit d chunks of N.
                raise UsageError(
                    f"{table.name}: constraints of degree {table.degree} need a slack of at most "
                    f"1/{table.degree}, the parameters have 1/{1 << parameters.log_slack}"
                )
            if table.log_height + parameters.log_blowup > TWO_ADICITY:
                raise UsageError(
                    f"{table.name}: a domain of 2^{table.log_height + parameters.log_blowup} "
                    f"is longer than 2^{TWO_ADICITY}"
                )
            if table.log_height < parameters.log_final_length:
                raise UsageError(
                    f"{table.name}: height 2^{table.log_height} is below the length of the final "
                    f"polynomial, 2^{parameters.log_final_length}"
                )
        if bool(self.preprocessed_cap) != any(
            table.width(Part.PREPROCESSED) for table in self.system.tables
        ):
            raise UsageError("a preprocessed commitment is needed exactly if columns are fixed")

    @property
    def suite(self) -> Suite:
        """What proofs for this key are hashed with; never a proof's choice."""
        return SUITES[self.parameters.hash_suite]

    @cached_property
    def shape(self) -> bytes:
        """Heights, widths and chunks of all tables, as a proof's header states them."""
        return struct.pack("<H", len(self.system.tables)) + b"".join(
            table_shape(table) for table in self.system.tables
        )

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of everything in the key: it names what a proof proves."""
        state = hashlib.sha256(b"stark/key/v1")
        state.update(self.system.digest())
        state.update(self.parameters.encode())
        state.update(self.shape)
        state.update(struct.pack("<I", len(self.preprocessed_cap)))
        state.update(b"".join(self.preprocessed_cap))
        return state.digest()


def table_shape(table: Table) -> bytes:
    """log2 height, quotient chunks, widths per part and next-row widths, 14 bytes."""
    return struct.pack(
        "<BB6H",
        table.log_height,
        table.quotient_chunks,
        *(table.width(part) for part in Part),
        *(len(table.next_columns[part]) for part in Part),
    )
