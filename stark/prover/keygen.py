"""Key generation: the preprocessed columns, extended and committed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stark.constraints.expression import Part
from stark.prover.commitment import Commitment, commit
from stark.prover.trace import columns_matrix
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree


@dataclass(frozen=True)
class ProvingKey:
    """A verification key with the preprocessed columns themselves.

    Attributes
    ----------
    matrices
        Preprocessed values on the trace domain per table, in kernel form; ``None`` without any.
    commitment
        Their extensions and tree.
    """

    verification: VerificationKey
    matrices: tuple[NDArray[np.uint32] | None, ...]
    commitment: Commitment


def generate_key(system: System, parameters: ProtocolParameters) -> ProvingKey:
    """Commit to the preprocessed columns of ``system``.

    Raises
    ------
    UsageError
        If the values of a preprocessed column are missing, too many, or not field elements, or
        if the parameters do not fit (see :class:`VerificationKey`).
    """
    matrices = tuple(
        columns_matrix(table, Part.PREPROCESSED, table.air.preprocessed())
        if table.width(Part.PREPROCESSED)
        else None
        for table in system.tables
    )
    commitment = commit(system.tables, Tree.PREPROCESSED, matrices, parameters)
    key = VerificationKey(system, parameters, tuple(commitment.cap))
    return ProvingKey(key, matrices, commitment)
