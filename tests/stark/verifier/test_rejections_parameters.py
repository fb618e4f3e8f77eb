"""Group B of ``tests/vectors/negative_tests.json``: parameters and policy.

A proof states its parameters and chooses none: what is not legal is refused as Params or Suite,
what is legal but not the key's as Policy.
"""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from support.cheating import Case, ForeignProver, case, configured, fibonacci_case, products_case
from support.checks import check, check_equal
from support.mutations import PARAMETER_FIELDS, ProofMap
from support.systems import Example, Fibonacci, fibonacci, parameters

from stark.errors import Code, Rejected, UsageError
from stark.field import extension as ext
from stark.soundness import PROFILES, estimate
from stark.soundness.parameters import ENCODED_LENGTH, ProtocolParameters
from stark.system import System
from stark.transcript.encoding import Kind
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey
from stark.verifier.protocol import fri_schedule


def mapped(one: Case) -> ProofMap:
    return ProofMap(one.key.verification, one.honest(), one.publics, one.context)


def with_field(one: Case, field: str, value: int | bytes) -> bytes:
    """The honest proof with one field of its parameters overwritten."""
    offset, size = PARAMETER_FIELDS[field]
    data = value if isinstance(value, bytes) else value.to_bytes(size, "little")
    return mapped(one).changed("parameters", offset, data)


def expect(one: Case, proof: bytes, *codes: Code) -> None:
    rejection = one.rejection(proof)
    check(rejection.code in codes, f"expected {codes}, got {rejection}")


def test_the_fields_are_all_that_the_header_has() -> None:
    check_equal(list(PARAMETER_FIELDS), [field.name for field in fields(ProtocolParameters)])
    check_equal(sum(size for _, size in PARAMETER_FIELDS.values()), ENCODED_LENGTH)
    own = parameters()
    for field, value in (("queries", 300), ("cap_height", 7), ("log_max_arity", 1)):
        offset, size = PARAMETER_FIELDS[field]
        expected = own.encode()[:offset] + value.to_bytes(size, "little")
        expected += own.encode()[offset + size :]
        check_equal(replace(own, **{field: value}).encode(), expected)


LEGAL = {
    "log_blowup": [1, 3, 4, 5],
    "queries": [1, 2, 11, 13, 255, 1024],
    "batching": [1],
    "log_max_arity": [1, 2],
    "log_final_length": [0, 1, 3, 6, 10],
    "cap_height": [0, 1, 3, 10],
    "grinding_lookup": [0, 2, 40],
    "grinding_ali": [0, 2, 40],
    "grinding_deep": [0, 2, 40],
    "grinding_batching": [0, 1, 40],
    "grinding_fold": [0, 1, 40],
    "grinding_query": [0, 3, 40],
}
"""Values that some key could have."""

ILLEGAL = {
    "log_blowup": [0, 6, 25, 64, 255],
    "queries": [0, 1025, 65535],
    "regime": [1, 2, 255],
    "multiplicity": [1, 3, 39, 65535],
    "batching": [2, 255],
    "log_max_arity": [0, 4, 20, 255],
    "log_final_length": [11, 255],
    "cap_height": [11, 64, 255],
    "grinding_lookup": [41, 63, 64, 255],
    "grinding_ali": [41, 63, 64, 255],
    "grinding_deep": [41, 63, 64, 255],
    "grinding_batching": [41, 63, 64, 255],
    "grinding_fold": [41, 63, 64, 255],
    "grinding_query": [41, 63, 64, 255],
    "zk": [1],
    "log_slack": [1, 6, 10, 11, 255],
}
"""Values that no key can have, alone or with the other fields as they are."""


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, vs in LEGAL.items() for v in vs])
def test_b_another_legal_value(field: str, value: int) -> None:
    # B2, B3, B8, B9, H1: legal is not enough.
    one = fibonacci_case()
    changed: dict[str, object] = {field: value}
    if field == "batching":
        changed = {"batching": "powers"}
    check(replace(one.key.verification.parameters, **changed).encode() != b"", "legal")  # type: ignore[arg-type]
    expect(one, with_field(one, field, value), Code.POLICY)


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, vs in ILLEGAL.items() for v in vs])
def test_b_a_value_that_is_not_legal(field: str, value: int) -> None:
    # B2, B3, B8, H1
    one = fibonacci_case()
    expect(one, with_field(one, field, value), Code.PARAMS)


def test_b3_every_lowered_grinding() -> None:
    one = fibonacci_case()
    for field in PARAMETER_FIELDS:
        if field.startswith("grinding"):
            own = getattr(one.key.verification.parameters, field)
            for value in range(own):
                expect(one, with_field(one, field, value), Code.POLICY)


def test_b_multiplicity_and_regime_together() -> None:
    # The regime and its multiplicity are legal together, and still the key's to choose.
    one = fibonacci_case()
    own = replace(one.key.verification.parameters, regime="jbr", multiplicity=3)
    forged = mapped(one).changed("parameters", 0, own.encode())
    expect(one, forged, Code.POLICY)


def test_b4_no_extension_degree_can_be_stated() -> None:
    # There is one extension, of degree five: no field of the parameters names a degree, and every
    # message of extension elements has five limbs an element.
    check(not any("degree" in field or "extension" in field for field in PARAMETER_FIELDS), "none")
    check_equal((ext.DEGREE, Kind.EXTENSION.value), (5, 20))
    # A file with the first one or two limbs of each element alone is too short.
    one = fibonacci_case(silent=True)
    parts = mapped(one)
    for limbs in (1, 2):
        cut = one.honest()[: parts.header_end]
        for section in parts.sections.values():
            data = parts.data(section.name)
            if section.kind is Kind.EXTENSION:
                data = b"".join(data[i : i + 4 * limbs] for i in range(0, len(data), 20))
            if section.start >= parts.header_end:
                cut += data
        expect(one, cut, Code.CANONICAL, Code.FORMAT, Code.OOD)


def test_b5_no_modulus_can_be_stated() -> None:
    # x^5 + x^2 - 1 is compiled in; its irreducibility is shown by the tests of the field.
    check(
        not any("modulus" in field or "polynomial" in field for field in PARAMETER_FIELDS), "none"
    )
    x = (0, 1, 0, 0, 0)
    check_equal(ext.add(ext.power(x, 5), ext.power(x, 2)), ext.ONE)


@pytest.mark.parametrize(
    "name",
    [b"", b"sha256 ", b"SHA256", b"sha512", b"sha256-128", b"poseidon", b"poseidon2", b"\xff" * 32],
)
def test_b6_another_hash_suite(name: bytes) -> None:
    one = fibonacci_case()
    expect(one, with_field(one, "hash_suite", name.ljust(32, b"\0")), Code.SUITE)


def test_b6_the_name_padded_otherwise() -> None:
    one = fibonacci_case()
    for name in (b"sha256".rjust(32, b"\0"), b"sha256".ljust(32), b"sha256\0".ljust(32, b"x")):
        expect(one, with_field(one, "hash_suite", name), Code.SUITE)


def test_b6_no_digest_can_be_truncated() -> None:
    # A digest is 32 bytes wherever one stands: no field says otherwise, and half of one is a file
    # whose every later byte is out of place.
    one = fibonacci_case(silent=True)
    parts = mapped(one)
    check_equal(Kind.DIGEST.value, 32)
    cut = one.honest()[: parts.header_end]
    for section in parts.sections.values():
        if section.start >= parts.header_end:
            data = parts.data(section.name)
            if section.kind is Kind.DIGEST:
                data = b"".join(data[i : i + 16] for i in range(0, len(data), 32))
            cut += data
    cut += one.honest()[parts.messages_end :]
    rejection = one.rejection(cut)
    check(rejection.code in (Code.OOD, Code.CANONICAL, Code.FORMAT), f"{rejection}")


def test_b8_no_schedule_can_be_stated() -> None:
    # Which folds there are follows from the heights, the final length and the largest arity.
    one = fibonacci_case()
    check_equal(fri_schedule(one.key.verification), (3, 1))
    for log_max_arity, schedule in ((1, (1, 1, 1, 1)), (2, (2, 2))):
        other = case(one.example, parameters(log_max_arity=log_max_arity))
        check_equal(fri_schedule(other.key.verification), schedule)
        expect(one, other.prove(), Code.POLICY)
        relabelled = (
            one.honest()[: mapped(one).header_end] + other.prove()[mapped(one).header_end :]
        )
        check(one.rejection(relabelled).code is not None, "other folds under the key's header")
    for arity in (0, -1, 4, 20):
        with pytest.raises(Rejected) as caught:
            parameters(log_max_arity=arity)
        check_equal(caught.value.code, Code.PARAMS)
    with pytest.raises(Rejected) as caught:
        parameters(log_final_length=7).schedule([6])
    check_equal(caught.value.code, Code.PARAMS)


@pytest.mark.parametrize(
    "changes",
    [
        {"queries": 1},
        {"log_blowup": 1},
        {"batching": "powers"},
        {"grinding_query": 0},
        {"grinding_ali": 0, "grinding_deep": 0},
        {"cap_height": 0},
        {"log_max_arity": 1},
        {"log_final_length": 0},
        {"regime": "jbr", "multiplicity": 3},
    ],
)
def test_b9_b11_an_honest_proof_under_weaker_parameters(changes: dict[str, object]) -> None:
    one = fibonacci_case()
    weaker = case(one.example, parameters(**changes))
    weaker.verify(weaker.honest())
    expect(one, weaker.honest(), Code.POLICY)
    # With the header of the real key in front, it is bound to other parameters.
    header = one.honest()[: mapped(one).header_end]
    relabelled = header + weaker.honest()[len(header) :]
    codes = (Code.OOD, Code.POW, Code.CANONICAL, Code.FORMAT)
    expect(one, relabelled, *codes)


def test_b9_powers_bound_as_independent_coefficients() -> None:
    # The prover takes powers of the first coefficient where independent ones were drawn: its
    # transcript is the verifier's, its codeword is another.
    one = fibonacci_case()

    def batched(self, parts, values, zeta):  # type: ignore[no-untyped-def]
        drawn = self.transcript.draw

        def powers(label: str) -> object:
            elements = drawn(label)
            return ext.powers(elements[0], len(elements)) if label == "batching" else elements

        self.transcript.draw = powers
        try:
            return super(ForeignProver, self).batched_codewords(parts, values, zeta)
        finally:
            self.transcript.draw = drawn

    lying = configured(ForeignProver, claimed=one.key.verification, batched_codewords=batched)
    expect(one, one.prove(lying), Code.FRI_FOLD)


def test_b10_not_zero_knowledge_where_the_key_demands_it() -> None:
    one = fibonacci_case()
    hiding = parameters(zk=True, log_slack=2)
    masked = System([table.air for table in one.example.system.tables], zk=True)
    demanding = VerificationKey(masked, hiding, ())
    strict = replace(one, key=replace(one.key, verification=demanding))
    expect(strict, one.honest(), Code.POLICY)
    # K9: nor the other way round.
    forged = mapped(one).changed("parameters", 0, hiding.encode())
    expect(one, forged, Code.POLICY)
    # The flag without its slack, or the slack without its flag, is no set of parameters at all.
    expect(one, with_field(one, "zk", 1), Code.PARAMS)
    expect(one, with_field(one, "log_slack", 2), Code.PARAMS)


def test_b11_every_field_legal_and_far_too_little_security() -> None:
    one = fibonacci_case()
    weak = replace(one.key.verification.parameters, queries=1, grinding_query=0)
    report = estimate(system_figures(one.example.system), weak)
    check(report.minimum < 10, f"{report.minimum} bits")
    expect(one, mapped(one).changed("parameters", 0, weak.encode()), Code.POLICY)


@pytest.mark.parametrize("name", list(PROFILES))
def test_b11_parameters_of_a_profile_reach_its_target(name: str) -> None:
    figures = system_figures(fibonacci(13).system)
    found = PROFILES[name].find(figures, zk=False)
    report = estimate(figures, found)
    check(report.minimum >= PROFILES[name].target_bits, f"{report.minimum} bits")


def test_b12_evaluation_domain_beyond_the_two_adicity() -> None:
    for log_height, log_blowup in ((24, 1), (23, 2), (20, 5)):
        with pytest.raises(Rejected) as caught:
            parameters(log_blowup=log_blowup).schedule([log_height])
        check_equal(caught.value.code, Code.PARAMS)
        # A key for it cannot be made, so that no proof can be verified against one.
        with pytest.raises(UsageError, match="longer than"):
            VerificationKey(System([Fibonacci(log_height)]), parameters(log_blowup=log_blowup), ())
    parameters(log_blowup=1).schedule([23])


def test_keys_that_cannot_be_made() -> None:
    system = fibonacci().system
    cap = products_case().key.verification.preprocessed_cap
    with pytest.raises(UsageError, match="need a blowup"):
        VerificationKey(products_case().example.system, parameters(log_blowup=1), cap)
    with pytest.raises(UsageError, match="below the length of the final"):
        VerificationKey(system, parameters(log_final_length=7), ())
    with pytest.raises(UsageError, match="preprocessed commitment"):
        VerificationKey(system, parameters(), (bytes(range(32)),))
    with pytest.raises(UsageError, match="placeholder"):
        VerificationKey(system, parameters(), (bytes(32),))


def test_proofs_for_every_parameter_set_are_refused_under_every_other() -> None:
    sets = [
        parameters(queries=4),
        parameters(queries=5),
        parameters(queries=4, cap_height=1),
        parameters(queries=4, grinding_query=5),
        parameters(queries=4, batching="powers"),
    ]
    cases = [
        case(Example(fibonacci(3).system, fibonacci(3).traces, fibonacci(3).publics), one)
        for one in sets
    ]
    for one in cases:
        for other in cases:
            if one is other:
                one.verify(other.honest())
            else:
                expect(one, other.honest(), Code.POLICY)
