"""Proofs under the algebraic hash suites: accepted, and refused for everything that is changed."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from support.cheating import (
    Case,
    DeafProver,
    LyingInOpenings,
    LyingInWork,
    case,
    configured,
    deaf_verifier,
    products_case,
    refused,
    suite_case,
)
from support.mutations import (
    PARAMETER_FIELDS,
    ProofMap,
    byte_places,
    flipped,
    next_element,
    overwritten,
)
from support.systems import fibonacci, parameters, products

from air.keys import shipped_shapes, verification_key
from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.hash.suite import POSEIDON1_SUITE, POSEIDON2_SUITE, SHA256, SUITES
from stark.merkle.multiproof import verify_opening
from stark.prover.prove import Prover
from stark.soundness import PROFILES
from stark.soundness.estimate import estimate
from stark.soundness.parameters import ProtocolParameters
from stark.transcript.encoding import Kind
from stark.verifier import verify as verifier_module
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey
from stark.verifier.verify import verify

NAMES = [POSEIDON1_SUITE.name, POSEIDON2_SUITE.name]
TREES = ["preprocessed", "main", "auxiliary", "quotient", "fri 0", "fri 1", "fri 2"]
SITES = ["lookup", "constraints", "zeta", "batching", "fold 0", "fold 1", "fold 2", "queries"]
WHOLE_VALUES = [P, P + 1, 2**32 - 1]

over_names = pytest.mark.parametrize("name", NAMES)
over_masks = pytest.mark.parametrize("zk", [False, True], ids=["plain", "zk"])


@cache
def mapped(name: str, zk: bool = False, silent: bool = False) -> tuple[Case, ProofMap]:
    one = suite_case(name, zk, silent)
    return one, ProofMap(one.key.verification, one.honest(), one.publics, one.context)


# ---- honest proofs


@pytest.mark.parametrize("name", list(SUITES))
@pytest.mark.parametrize("log_height", [2, 3, 5])
def test_fibonacci_is_proven_under_every_suite(name: str, log_height: int) -> None:
    one = case(fibonacci(log_height), parameters(hash_suite=name, queries=3))
    one.verify(one.honest())
    assert one.prove() == one.honest()


@pytest.mark.parametrize("name", list(SUITES))
@over_masks
def test_three_tables_are_proven_under_every_suite(name: str, zk: bool) -> None:
    one = suite_case(name, zk)
    one.verify(one.honest())
    with pytest.raises(Rejected):
        one.verify(one.honest(), context=b"another")
    publics = {"work": [one.publics["work"][0] + 1, one.publics["work"][1]]}
    with pytest.raises(Rejected):
        one.verify(one.honest(), publics=publics)


@over_names
@pytest.mark.parametrize(
    "changes",
    [
        {"log_max_arity": 1, "log_final_length": 0, "cap_height": 0},
        {"batching": "powers", "log_max_arity": 2},
        {"log_blowup": 4, "queries": 40},
    ],
)
def test_other_parameters(name: str, changes: dict[str, object]) -> None:
    one = case(products(3, 6, 5), parameters(**{"queries": 2, "hash_suite": name} | changes))
    one.verify(one.honest())


@over_names
def test_masks_come_from_the_operating_system_by_default(name: str) -> None:
    one = suite_case(name, True)
    first, second = (
        Prover(one.key, one.publics, one.context).run(one.example.traces) for _ in range(2)
    )
    one.verify(first)
    one.verify(second)
    assert first != second


@over_names
def test_salts_are_canonical_and_all_different(name: str) -> None:
    _, parts = mapped(name, True)
    salts = [
        salt for tree in parts.trees.values() for group in tree.opening.salts for salt in group
    ]
    assert len(salts) > 20
    assert len(set(salts)) == len(salts)
    assert all(SUITES[name].is_digest(salt) for salt in salts)


# ---- the suite is the key's


@pytest.mark.parametrize(
    ("own", "other"), list(itertools.permutations(["sha256", *NAMES], 2)), ids=str
)
def test_a_file_cannot_choose_the_suite(own: str, other: str) -> None:
    """Neither by its header alone, nor by a whole proof under the other suite."""
    mine, theirs = suite_case(own), suite_case(other)
    section = ProofMap(mine.key.verification, mine.honest(), mine.publics, mine.context).sections[
        "parameters"
    ]
    offset, size = PARAMETER_FIELDS["hash_suite"]
    field = other.encode().ljust(size, b"\0")
    at = section.start + offset - PARAMETER_FIELDS["log_blowup"][0]
    relabelled = overwritten(mine.honest(), at, field)
    refused(mine, relabelled, Code.POLICY)
    refused(mine, theirs.honest(), Code.POLICY)
    # The same body under the header of the other key.
    keys = theirs.key.verification
    header = ProofMap(keys, theirs.honest(), theirs.publics, theirs.context).header_end
    with pytest.raises(Rejected):
        verify(
            keys,
            theirs.honest()[:header] + mine.honest()[header:],
            theirs.publics,
            theirs.context,
        )


def test_keys_of_different_suites_differ() -> None:
    keys = [suite_case(name).key.verification for name in SUITES]
    assert len({key.digest for key in keys}) == 3
    assert len({key.preprocessed_cap for key in keys}) == 3
    assert [key.suite.name for key in keys] == list(SUITES)


def test_what_is_published_is_of_sha256() -> None:
    """Whatever a file says: parameters follow from the profile that a verifier names."""
    for profile in PROFILES.values():
        published = {name for name, role in profile.roles.items() if role.hash_suite == "sha256"}
        assert published == {"published", "wrap"}
        assert {role.zk for name, role in profile.roles.items() if name in published} == {True}
    for shape in shipped_shapes()[::16]:
        assert verification_key("proven128", shape).suite is SHA256


@over_names
def test_a_proof_that_claims_an_algebraic_suite_to_a_published_key(name: str) -> None:
    one = products_case()
    section = ProofMap(one.key.verification, one.honest(), one.publics, one.context).sections[
        "parameters"
    ]
    data = replace(one.key.verification.parameters, hash_suite=name).encode()
    refused(one, overwritten(one.honest(), section.start, data), Code.POLICY)


@over_names
def test_soundness_counts_124_bits(name: str) -> None:
    key = suite_case(name).key.verification
    report = estimate(system_figures(key.system), key.parameters)
    assert report.floors == ((f"{name} collisions", 124),)


@over_names
@pytest.mark.parametrize("site", ["lookup", "ali", "deep", "batching", "fold", "query"])
def test_grinding_has_at_most_24_bits(name: str, site: str) -> None:
    accepted = parameters(hash_suite=name, **{f"grinding_{site}": 24})
    assert ProtocolParameters.decode(accepted.encode()) == accepted
    assert parameters(**{f"grinding_{site}": 25})
    with pytest.raises(Rejected) as caught:
        parameters(hash_suite=name, **{f"grinding_{site}": 25})
    assert caught.value.code is Code.PARAMS


@over_names
@pytest.mark.parametrize("value", WHOLE_VALUES)
def test_a_key_with_a_cap_that_is_no_digest(name: str, value: int) -> None:
    key = suite_case(name).key.verification
    cap = key.preprocessed_cap[0][:28] + value.to_bytes(4, "little")
    with pytest.raises(UsageError, match="digests"):
        VerificationKey(key.system, key.parameters, (cap,))


# ---- everything in the file is bound


@over_names
@over_masks
def test_every_field_of_a_proof(name: str, zk: bool) -> None:
    one, parts = mapped(name, zk)
    fields = set()
    for number, (field, at) in enumerate(byte_places(parts)):
        if field not in fields or number % 3 == 0:
            one.rejection(flipped(one.honest(), at, 1 << at % 8))
        fields.add(field)
    assert {"magic", "parameters", "key digest", "main commitment", "sibling of main"} <= fields
    for at in list(parts.elements())[::17]:
        one.rejection(next_element(one.honest(), at))


@over_names
@pytest.mark.parametrize("value", WHOLE_VALUES)
def test_every_kind_of_element_is_canonical(name: str, value: int) -> None:
    one, parts = mapped(name, True)
    places = {
        section.name: section.start + 4
        for kind in (Kind.FIELD, Kind.EXTENSION, Kind.DIGEST)
        for section in parts.messages(kind)
    }
    assert {"salt", "main commitment", "terminals", "fri 1", "final polynomial"} <= set(places)
    for tree_name, tree in parts.trees.items():
        places[f"row of {tree_name}"] = tree.row(0, 0)[0]
        places[f"sibling of {tree_name}"] = tree.siblings[-1] + 28
        if tree.shape.salted:
            places[f"salt of {tree_name}"] = tree.salt(0, 1)
    for place in places.values():
        refused(one, overwritten(one.honest(), place, value.to_bytes(4, "little")), Code.CANONICAL)


@over_names
def test_an_alias_of_a_digest_element(name: str) -> None:
    """The same residue: a verifier that reduced it would accept two files for one proof."""
    one, parts = mapped(name, silent=True)
    places = [section.start for section in parts.messages(Kind.DIGEST)]
    places += [tree.siblings[0] for tree in parts.trees.values()]
    for place in places:
        value = int.from_bytes(one.honest()[place : place + 4], "little")
        alias = overwritten(one.honest(), place, (value + P).to_bytes(4, "little"))
        refused(one, alias, Code.CANONICAL)


@over_names
@pytest.mark.parametrize("tree", TREES)
def test_a_row_or_a_sibling_altered(name: str, tree: str) -> None:
    one, parts = mapped(name)
    opened = parts.trees[tree]
    check = tree.replace("fri", "fri layer")
    for group in range(len(opened.opening.rows)):
        start, size = opened.row(group, 0)
        for at in (start, start + size - 4):
            refused(one, next_element(one.honest(), at), Code.MERKLE, check=check)
    refused(one, next_element(one.honest(), opened.siblings[0]), Code.MERKLE, check=check)


@over_names
@pytest.mark.parametrize("tree", ["main", "auxiliary", "quotient"])
def test_a_salt_altered(name: str, tree: str) -> None:
    one, parts = mapped(name, True)
    opened = parts.trees[tree]
    refused(one, next_element(one.honest(), opened.salt(0, 0)), Code.MERKLE, check=tree)
    first = one.honest()[opened.salt(0, 0) :][:32]
    refused(one, overwritten(one.honest(), opened.salt(0, 1), first), Code.ZK, check=tree)


@over_names
@pytest.mark.parametrize("tree", TREES)
def test_other_leaves_than_those_asked_for(name: str, tree: str) -> None:
    one = suite_case(name)
    moved = one.prove(configured(LyingInOpenings, trees=frozenset({tree})))
    refused(one, moved, Code.MERKLE)


@over_names
def test_a_tree_is_checked_with_its_own_suite(name: str) -> None:
    _, parts = mapped(name)
    tree = parts.trees["main"]
    opening = (tree.opening.rows, tree.opening.salts, tree.opening.siblings)
    verify_opening(tree.cap, tree.shape, tree.indices, *opening, "main")
    for suite in SUITES.values():
        if suite.name != name:
            shape = replace(tree.shape, suite=suite)
            with pytest.raises(Rejected) as caught:
                verify_opening(tree.cap, shape, tree.indices, *opening, "main")
            assert caught.value.code is Code.MERKLE


# ---- transcript


@over_names
@pytest.mark.parametrize("site", SITES)
def test_a_wrong_nonce(name: str, site: str) -> None:
    one = suite_case(name)

    def nonce(self: Any, bits: int) -> int:
        return next(n for n in range(1 << 12) if not self.transcript.works(n, bits))

    forged = one.prove(configured(LyingInWork, site=f"work {site}", nonce=nonce))
    refused(one, forged, Code.POW, check=f"work {site}")


@over_names
@pytest.mark.parametrize("site", SITES)
def test_a_nonce_of_p_or_more(name: str, site: str) -> None:
    one, parts = mapped(name)
    section = parts.sections[f"work {site}"]
    nonce = int.from_bytes(parts.data(f"work {site}"), "little")
    for value in (nonce + P, P, 2**32, 2**64 - 1):
        forged = overwritten(one.honest(), section.start, value.to_bytes(8, "little"))
        refused(one, forged, Code.CANONICAL)


@over_names
@pytest.mark.parametrize(
    "label",
    [
        *("protocol", "parameters", "key", "context", "public work", "heights"),
        *("main commitment", "auxiliary commitment", "terminals", "quotient commitment"),
    ],
)
def test_a_message_is_not_absorbed(name: str, label: str) -> None:
    one = suite_case(name, silent=True)
    forged = one.prove(configured(DeafProver, omitted=frozenset({label})))
    refused(one, forged, Code.OOD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifier_module, "VerifierTranscript", deaf_verifier(label))
        one.verify(forged)


@over_names
@pytest.mark.parametrize("label", ["fri 0", "fri 1", "final polynomial"])
def test_a_later_message_is_not_absorbed(name: str, label: str) -> None:
    one = case(
        products_case().example,
        replace(suite_case(name, silent=True).key.verification.parameters, queries=12),
    )
    forged = one.prove(configured(DeafProver, omitted=frozenset({label})))
    refused(one, forged, Code.MERKLE, Code.FRI_FOLD, Code.FRI_FINAL, Code.FORMAT, Code.CANONICAL)


@over_names
def test_a_proof_cut_or_extended(name: str) -> None:
    one = case(fibonacci(2), parameters(hash_suite=name, queries=2))
    honest = one.honest()
    for end in range(0, len(honest), 7):
        refused(one, honest[:end], Code.FORMAT)
    refused(one, honest + b"\0", Code.FORMAT)
