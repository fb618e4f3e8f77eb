"""The circuits above the batches: a join of two proofs, and the wrap of the last join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from air.aggregate.publics import COUNT_LANE, FIRST_LANE, JOIN_TAG, WRAP_TAG
from air.encoding import DIGEST_LANES, Digest, node_digest
from air.shape import MIN_LOG_HEIGHT
from air.tree import EMPTY_BATCH
from stark.recursion.builder import CircuitBuilder, DigestWire, Wire
from stark.recursion.circuit import Circuit
from stark.recursion.single import verifier_circuit
from stark.recursion.verifier import (
    PublicBlock,
    log_domain,
    public_blocks,
    taken_widths,
    verify_in_circuit,
)
from stark.verifier.key import VerificationKey

WRAP_LOG_LEAST = MIN_LOG_HEIGHT
"""log2 of the least height of a wrap's tables: shorter ones have no room for masks."""


@dataclass(frozen=True)
class Child:
    """What a circuit knows of a proof that it verifies: wires of its public values."""

    count: Wire
    first: Wire
    digest_in: DigestWire
    digest_out: DigestWire
    root: DigestWire


def empty_root(level: int) -> Digest:
    """The root of an absent subtree of 2^level batches."""
    root = EMPTY_BATCH
    for _ in range(level):
        root = node_digest(root, root)
    return root


def join_circuit(inner: VerificationKey, level: int) -> Circuit:
    """The circuit of a join of the given level (1 is above the batches), over proofs for ``inner``.

    It takes, of the honest prover: the context's two blocks, whether the right child is present,
    then for the left and the right child its public values, then both proofs. An absent right
    child is a copy of the left one: its proof is verified, and nothing of it is used.
    """
    builder = CircuitBuilder(log_domain(inner), sorted(taken_widths(inner)))
    builder.label("public values")
    context = [builder.digest_hint(), builder.digest_hint()]
    present = builder.boolean_hint()
    if level == 1:
        left, left_publics = _batch(builder)
        right, right_publics = _batch(builder)
    else:
        left, left_publics = _join(builder, context)
        right, right_publics = _join(builder, context)
    builder.label("chain")
    zero = builder.constant(0)
    # A right child: it goes on where the left one, which is full, ends.
    _require_if(builder, present, left.count, builder.constant(1 << (level - 1)))
    _require_if(builder, present, right.first, zero)
    ends, starts = builder.halves(left.digest_out), builder.halves(right.digest_in)
    for one, other in zip(ends, starts, strict=True):
        _require_if(builder, present, one, other)
    count = builder.multiply_add(present, right.count, left.count)
    digest_out = _select(builder, present, builder.halves(right.digest_out), ends)
    absent = builder.halves(builder.digest_constant(empty_root(level - 1)))
    right_root = _select(builder, present, builder.halves(right.root), absent)
    root = builder.compress(left.root, right_root)
    header = _header(builder, count, left.first)
    for name, publics in (("left", left_publics), ("right", right_publics)):
        builder.label(f"{name} proof")
        verify_in_circuit(builder, inner, context, publics)
    return builder.finish([*context, header, left.digest_in, digest_out, root], JOIN_TAG)


def wrap_circuit(inner: VerificationKey) -> Circuit:
    """The circuit that verifies one proof for ``inner``, a join, and passes on its digest."""
    return verifier_circuit(inner, WRAP_TAG, WRAP_LOG_LEAST)


def _batch(builder: CircuitBuilder) -> tuple[Child, dict[str, list[PublicBlock]]]:
    """The public values of a batch: they count as one batch, whatever they are."""
    first = builder.boolean_hint()
    digest_in, digest_out, root = (builder.digest_hint() for _ in range(3))
    (flag,) = public_blocks(builder, [first])
    chain = [flag, _block(builder, digest_in), _block(builder, digest_out)]
    child = Child(builder.constant(1), first, digest_in, digest_out, root)
    return child, {"chain": chain, "tree": [_block(builder, root)]}


def _join(
    builder: CircuitBuilder, context: Sequence[DigestWire]
) -> tuple[Child, dict[str, list[PublicBlock]]]:
    """The public values of a join: hashed here to the digest that its proof is about."""
    header = builder.digest_hint()
    lanes = builder.lanes_of(header)
    for number, lane in enumerate(lanes):
        if number not in (COUNT_LANE, FIRST_LANE):
            builder.assert_zero(lane)
    digest_in, digest_out, root = (builder.digest_hint() for _ in range(3))
    digest = builder.sponge([*context, header, digest_in, digest_out, root], JOIN_TAG)
    child = Child(lanes[COUNT_LANE], lanes[FIRST_LANE], digest_in, digest_out, root)
    return child, {"permutation": [_block(builder, digest)]}


def _block(builder: CircuitBuilder, digest: DigestWire) -> PublicBlock:
    return PublicBlock(digest, tuple(builder.lanes_of(digest)))


def _header(builder: CircuitBuilder, count: Wire, first: Wire) -> DigestWire:
    """The header block of a join's public values."""
    zero = builder.constant(0)
    lanes = [zero] * DIGEST_LANES
    lanes[COUNT_LANE], lanes[FIRST_LANE] = count, first
    return builder.digest_of_lanes(lanes)


def _require_if(builder: CircuitBuilder, flag: Wire, a: Wire, b: Wire) -> None:
    """a = b if the flag is 1."""
    builder.evaluate(a, b, flag, cab=1, equals=builder.constant(0))


def _select(
    builder: CircuitBuilder, flag: Wire, one: tuple[Wire, Wire], zero: tuple[Wire, Wire]
) -> DigestWire:
    """The first digest if the flag is 1, else the second; both by their halves."""
    low, high = (builder.select(flag, a, b) for a, b in zip(one, zero, strict=True))
    return builder.digest_of(low, high)
