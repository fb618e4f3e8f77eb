"""The least length of a batch's proof: a hollow one is refused before anything costly is done."""

from __future__ import annotations

from functools import cache

from stark.errors import Code, Rejected
from stark.field.extension import DEGREE
from stark.hash.sha256 import ELEMENT_BYTES, SALT_BYTES
from stark.merkle.multiproof import TreeShape
from stark.transcript.encoding import NONCE_SIZE
from stark.transcript.schema import Grinding, Sent
from stark.verifier.header import encode_header
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, tree_shape
from stark.verifier.protocol import fri_cap_height, fri_leaf_log_size, fri_schedule, schema


@cache
def least_proof_size(key: VerificationKey) -> int:
    """Bytes that every proof under ``key`` has: header, messages, nonces, one query's rows.

    Queries may coincide and siblings may all be computable, so that neither counts more than once.
    """
    return message_bytes(key) + sum(map(_least_opening, proof_trees(key)))


def message_bytes(key: VerificationKey) -> int:
    """Bytes of a proof before its openings."""
    size = len(encode_header(key))
    for item in schema(key, 0):
        if isinstance(item, Sent):
            size += item.size
        elif isinstance(item, Grinding):
            size += NONCE_SIZE
    return size


def check_proof_size(key: VerificationKey, proof: bytes) -> None:
    """Rejected(Format) if the proof is shorter than any proof under ``key``."""
    least = least_proof_size(key)
    if len(proof) < least:
        raise Rejected(Code.FORMAT, "length of a proof", f"at least {least} bytes", len(proof))


def proof_trees(key: VerificationKey) -> list[TreeShape]:
    """The trees of a proof, in the order of their openings."""
    parameters = key.parameters
    shapes = [
        tree_shape(
            key.system.tables, tree, parameters.log_blowup, parameters.cap_height, parameters.zk
        )
        for tree in Tree
    ]
    layers = [
        TreeShape(
            groups=((fri_leaf_log_size(key, layer), DEGREE << log_arity),),
            salted=False,
            cap_height=fri_cap_height(key, layer),
        )
        for layer, log_arity in enumerate(fri_schedule(key))
    ]
    return [shape for shape in shapes if shape is not None] + layers


def _least_opening(shape: TreeShape) -> int:
    salt = SALT_BYTES if shape.salted else 0
    return sum(ELEMENT_BYTES * width + salt for _, width in shape.groups)
