"""Values of the building blocks, for a second implementation to compare before anything else.

Standard library alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import islice
from typing import Any

from golden.publication import (
    ACCOUNTS,
    CUSTOMER_SLOT,
    REGISTRY,
    SHAPE,
    context,
    drawn,
    drawn_digest,
    load,
    slot_commitment,
    slot_holdings,
)

from air.aggregate.publics import context_blocks
from air.context import Statement
from air.encoding import header_lane, leaf_digest, limbs, totals_digest
from air.publication import AggregatedPublication, BatchProof, Publication, chained_digests
from air.tree import upper_levels
from air.verification import aggregate_publics, batch_contexts, batch_publics
from stark.field import extension as ext
from stark.field.koalabear import P, root_of_unity
from stark.fri.verifier import fold_leaf
from stark.hash import sha256
from stark.hash.grain import field_elements
from stark.hash.poseidon import POSEIDON1, compress, permute, round_constants
from stark.transcript.encoding import Kind
from stark.transcript.schema import Drawn, DrawnIndices, Known
from stark.transcript.transcript import Transcript
from stark.verifier.deep import domain_point

A = (1, 2, 3, 4, 5)
B = (P - 1, 7, 0, P - 2, 11)


def primitives() -> dict[str, Any]:
    """All values, as JSON takes them."""
    return {
        "field": _field(),
        "transcript": _transcript(),
        "merkle": _merkle(),
        "fold": _fold(),
        "poseidon": _poseidon(),
        "statement": _statement(),
        "three_batches": _three_batches(),
        "aggregate": _aggregate(),
    }


def _field() -> dict[str, Any]:
    return {
        "roots_of_unity": [root_of_unity(k) for k in range(25)],
        "a": list(A),
        "b": list(B),
        "a_plus_b": list(ext.add(A, B)),
        "a_minus_b": list(ext.subtract(A, B)),
        "a_times_b": list(ext.multiply(A, B)),
        "one_over_a": list(ext.invert(A)),
        "a_to_the_13": list(ext.power(A, 13)),
        "domain_of_8": [domain_point(3, j) for j in range(8)],
    }


def _transcript() -> dict[str, Any]:
    """Three items from the state of zeros, then two challenges."""
    items = [
        Known("greeting", Kind.BYTE, 5),
        Known("empty", Kind.BYTE, 0),
        Drawn("challenge", 2),
        DrawnIndices("queries", 4, 10),
    ]
    transcript = Transcript(items)
    states = []
    transcript.known("greeting", b"hello")
    states.append(transcript.state.hex())
    transcript.known("empty", b"")
    states.append(transcript.state.hex())
    challenge = transcript.draw("challenge")
    states.append(transcript.state.hex())
    block = hashlib.sha256(b"SLs1" + transcript.state + bytes(8)).digest()
    queries = transcript.draw_indices("queries")
    states.append(transcript.state.hex())
    nonce = next(n for n in range(1 << 20) if sha256.grind_succeeds(transcript.state, n, 10))
    return {
        "items": ["greeting", "empty", "challenge", "queries"],
        "states": states,
        "challenge_block": block.hex(),
        "challenge": [list(value) for value in challenge],
        "queries_below_1024": list(queries),
        "smallest_nonce_of_10_bits": nonce,
    }


def _merkle() -> dict[str, Any]:
    left, right = bytes(range(32)), bytes(range(32, 64))
    row = sha256.encode_elements([1, 2, P - 1])
    leaf = sha256.leaf_digest(row)
    return {
        "row": row.hex(),
        "leaf": leaf.hex(),
        "salt": left.hex(),
        "salted_leaf": sha256.leaf_digest(row, left).hex(),
        "left": left.hex(),
        "right": right.hex(),
        "node": sha256.node_digest(left, right).hex(),
        "injected_node": sha256.injected_node_digest(left, right, leaf).hex(),
    }


def _fold() -> dict[str, Any]:
    """A leaf of four values, leaf 3 of a layer of 2^5 points."""
    leaf = [(k, k + 1, 0, 0, 1) for k in range(4)]
    return {
        "values": [list(value) for value in leaf],
        "leaf": 3,
        "log_size": 5,
        "beta": list(A),
        "folded": list(fold_leaf(leaf, 3, 5, A)),
    }


def _poseidon() -> dict[str, Any]:
    state = list(range(16))
    return {
        "grain_first": list(islice(field_elements(P, 16, 8, 20), 8)),
        "round_constants": [list(row) for row in round_constants(POSEIDON1)],
        "input": state,
        "permutation": permute(POSEIDON1, state),
        "compression": compress(POSEIDON1, state),
        "permutation_of_zeros": permute(POSEIDON1, [0] * 16),
    }


def _statement() -> dict[str, Any]:
    """The pieces of the kept publication's statement and of its customers' leaves."""
    publication = Publication.decode(load().publication)
    statement: Statement = publication.statement
    account_id, holdings = ACCOUNTS[CUSTOMER_SLOT]
    commitment = slot_commitment(CUSTOMER_SLOT)
    leaves = [leaf_digest(slot_commitment(s), slot_holdings(s)) for s in range(SHAPE.slots)]
    return {
        "context_json": statement.context.encode().decode("utf-8"),
        "context_digest": statement.context.digest().hex(),
        "statement_json": statement.encode().decode("utf-8"),
        "statement_digest": statement.digest().hex(),
        "batch_contexts": [data.hex() for data in batch_contexts(statement)],
        "account_id": account_id,
        "salt": drawn(f"salt {CUSTOMER_SLOT}", 32).hex(),
        "commitment": list(commitment),
        "blocks": [
            [
                header_lane(8, k == 0, k == len(holdings) - 1, asset),
                *limbs(amount, 5),
                0,
                0,
            ]
            for k, (asset, amount) in enumerate(holdings)
        ],
        "leaf": list(leaves[CUSTOMER_SLOT]),
        "empty_slot": 0,
        "empty_commitment": list(slot_commitment(0)),
        "empty_leaf": list(leaves[0]),
        "leaves": [list(leaf) for leaf in leaves],
        "root": list(upper_levels(leaves)[-1][0]),
        "blind": list(publication.blind),
        "capacity": SHAPE.capacity,
        "assets": len(REGISTRY),
        "totals": list(statement.totals),
        "totals_digest": list(totals_digest(publication.blind, statement.totals, SHAPE.capacity)),
    }


def _publication_of_three() -> Publication:
    batches = tuple(
        BatchProof(drawn_digest(f"totals {n}"), drawn_digest(f"root {n}"), b"") for n in range(3)
    )
    root = upper_levels([batch.root for batch in batches])[-1][0]
    statement = Statement(replace(context(), depth=SHAPE.log_slots + 2), (1, 2, 3), root, 3)
    start = drawn_digest("totals start")
    return Publication(statement, drawn_digest("blind"), start, batches)


def _aggregate() -> dict[str, Any]:
    """The same three batches with one proof, which has no bytes here."""
    three = _publication_of_three()
    statement = three.statement
    one = AggregatedPublication(statement, three.blind, three.digest_start, b"")
    publics = aggregate_publics(one, SHAPE)
    return {
        "context": publics.context.hex(),
        "context_blocks": [list(block) for block in context_blocks(publics.context)],
        "digest_out": list(publics.digest_out),
        "join_digest": list(publics.digest()),
        "publics": list(publics.wrap_digest()),
        "file_bytes": len(one.encode()),
        "file_sha256": hashlib.sha256(one.encode()).hexdigest(),
    }


def _three_batches() -> dict[str, Any]:
    """What proofs are verified with in a publication of three batches: form alone, no proofs."""
    publication = _publication_of_three()
    statement, batches = publication.statement, publication.batches
    digests = chained_digests(publication)
    return {
        "digest_start": list(publication.digest_start),
        "digests_after": [list(batch.digest_out) for batch in batches],
        "roots": [list(batch.root) for batch in batches],
        "root": list(statement.root),
        "statement_digest": statement.digest().hex(),
        "contexts": [data.hex() for data in batch_contexts(statement)],
        "publics": [batch_publics(n == 0, digests[n], batch) for n, batch in enumerate(batches)],
        "file": publication.encode().hex(),
    }
