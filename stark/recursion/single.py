"""The simplest circuit: it verifies one proof, and its public digest is what that proof is about.

For a proof of any system over an algebraic suite; wrapping a proof so makes a short one of a long
one, with other parameters, and with zero knowledge if it is wanted.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from stark.errors import UsageError
from stark.hash.poseidon import POSEIDON1, run_blocks, sponge_hash
from stark.recursion.builder import CircuitBuilder
from stark.recursion.circuit import Circuit
from stark.recursion.verifier import (
    CONTEXT_BYTES,
    PublicBlock,
    log_domain,
    taken_widths,
    verify_in_circuit,
)
from stark.verifier.key import VerificationKey

VERIFIED_TAG: Final = int.from_bytes(b"SLv1", "little")


def verifier_circuit(
    inner: VerificationKey, tag: int = VERIFIED_TAG, log_least: int = 0
) -> Circuit:
    """The circuit that verifies a proof for ``inner``.

    It takes, of the honest prover, the values of :func:`said_values`, then the proof's
    (:func:`stark.recursion.inputs.circuit_inputs`). Its public values are :func:`said_digest`.

    Parameters
    ----------
    tag
        Of the sponge that makes the public digest; for a use of one's own, one's own.
    log_least
        log2 of the least number of permutations.

    Raises
    ------
    UsageError
        For keys that circuits cannot verify.
    """
    builder = CircuitBuilder(log_domain(inner), sorted(taken_widths(inner)))
    builder.label("public values")
    context = [builder.digest_hint(), builder.digest_hint()]
    publics: dict[str, list[PublicBlock]] = {}
    for table in inner.system.tables:
        publics[table.name] = []
        for block in run_blocks(range(1, table.public_count + 1)):
            # Numbers from 1 on: where the block has a zero, there is no value.
            digest = builder.digest_hint()
            lanes = builder.lanes_of(digest)
            for number, lane in zip(block, lanes, strict=True):
                if not number:
                    builder.assert_zero(lane)
            used = tuple(lane for number, lane in zip(block, lanes, strict=True) if number)
            publics[table.name].append(PublicBlock(digest, used))
    builder.label("proof")
    verify_in_circuit(builder, inner, context, publics)
    blocks = [block.digest for table in publics.values() for block in table]
    return builder.finish([*context, *blocks], tag, log_least)


def said_values(
    inner: VerificationKey, publics: Mapping[str, Sequence[int]], context: bytes
) -> list[int]:
    """What an inner proof is about, in whole blocks: its context, then its public values.

    ``context`` has 32 bytes, ``publics`` are canonical integers by table.
    """
    if len(context) != CONTEXT_BYTES:
        raise UsageError(f"a context of {CONTEXT_BYTES} bytes is needed, got {len(context)}")
    values = list(struct.unpack(f"<{CONTEXT_BYTES // 2}H", context))
    for table in inner.system.tables:
        for block in run_blocks(publics.get(table.name, ())):
            values += block
    return values


def said_digest(
    inner: VerificationKey,
    publics: Mapping[str, Sequence[int]],
    context: bytes,
    tag: int = VERIFIED_TAG,
) -> tuple[int, ...]:
    """The public values of the circuit's own proof: the sponge digest of :func:`said_values`."""
    values = said_values(inner, publics, context)
    return tuple(sponge_hash(POSEIDON1, tag, values))
