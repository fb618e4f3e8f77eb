"""Ranges, encoding and derived lengths of protocol parameters."""

from __future__ import annotations

import struct
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stark.errors import Code, Rejected
from stark.soundness.parameters import ENCODED_LENGTH, ProtocolParameters

BASE = ProtocolParameters(
    log_blowup=3,
    queries=75,
    regime="jbr",
    multiplicity=12,
    batching="independent",
    log_max_arity=3,
    log_final_length=6,
    cap_height=5,
    grinding_lookup=8,
    grinding_ali=1,
    grinding_deep=3,
    grinding_batching=20,
    grinding_fold=19,
    grinding_query=20,
    zk=True,
    log_slack=6,
    hash_suite="sha256",
)
GRINDING = [field.name for field in fields(BASE) if field.name.startswith("grinding_")]

small = st.integers(0, 10)
bits = st.integers(0, 40)


@st.composite
def parameter_sets(draw: st.DrawFn) -> ProtocolParameters:
    regime = draw(st.sampled_from(["udr", "jbr"]))
    zk = draw(st.booleans())
    log_final_length = draw(small)
    # Blowup 2 with a slack that doubles a final polynomial of one coefficient has rate 1.
    least = 2 if zk and log_final_length == 0 else 1
    return ProtocolParameters(
        log_blowup=draw(st.integers(least, 5)),
        queries=draw(st.integers(1, 1024)),
        regime=regime,  # type: ignore[arg-type]
        multiplicity=draw(st.integers(3, 1024)) if regime == "jbr" else 0,
        batching=draw(st.sampled_from(["independent", "powers"])),  # type: ignore[arg-type]
        log_max_arity=draw(st.integers(1, 3)),
        log_final_length=log_final_length,
        cap_height=draw(small),
        grinding_lookup=draw(bits),
        grinding_ali=draw(bits),
        grinding_deep=draw(bits),
        grinding_batching=draw(bits),
        grinding_fold=draw(bits),
        grinding_query=draw(bits),
        zk=zk,
        log_slack=draw(st.integers(1, 10)) if zk else 0,
        hash_suite="sha256",
    )


@given(parameter_sets())
def test_round_trip(parameters: ProtocolParameters) -> None:
    data = parameters.encode()
    assert len(data) == ENCODED_LENGTH
    assert ProtocolParameters.decode(data) == parameters


@given(parameter_sets(), parameter_sets())
def test_encodings_differ_where_parameters_do(
    one: ProtocolParameters, other: ProtocolParameters
) -> None:
    assert (one.encode() == other.encode()) == (one == other)


@given(st.binary(min_size=ENCODED_LENGTH - 32, max_size=ENCODED_LENGTH - 32))
def test_decoding_is_total_and_canonical(data: bytes) -> None:
    data += BASE.encode()[-32:]
    codes = set()
    try:
        assert ProtocolParameters.decode(data).encode() == data
    except Rejected as rejection:
        codes.add(rejection.code)
    assert codes <= {Code.PARAMS, Code.CANONICAL}


@given(st.integers(0, ENCODED_LENGTH - 1), st.integers(1, 255))
def test_every_changed_byte_changes_or_breaks(position: int, difference: int) -> None:
    data = bytearray(BASE.encode())
    data[position] ^= difference
    try:
        decoded = ProtocolParameters.decode(bytes(data))
    except Rejected:
        return
    assert decoded != BASE
    assert decoded.encode() == bytes(data)


def test_encoding_is_fixed() -> None:
    expected = struct.pack("<BHBHBBBB", 3, 75, 1, 12, 0, 3, 6, 5)
    expected += bytes([8, 1, 3, 20, 19, 20, 1, 6]) + b"sha256" + bytes(26)
    assert BASE.encode() == expected


@pytest.mark.parametrize("length", [0, 1, ENCODED_LENGTH - 1, ENCODED_LENGTH + 1])
def test_wrong_lengths_are_rejected(length: int) -> None:
    with pytest.raises(Rejected) as caught:
        ProtocolParameters.decode((BASE.encode() + b"\0")[:length])
    assert caught.value.code is Code.FORMAT


RANGES = {
    "log_blowup": (1, 5),
    "queries": (1, 1024),
    "log_max_arity": (1, 3),
    "log_final_length": (0, 10),
    "cap_height": (0, 10),
    "multiplicity": (3, 1024),
    "log_slack": (1, 10),
    **dict.fromkeys(GRINDING, (0, 40)),
}
OUT_OF_RANGE: list[tuple[str, Any]] = [
    *((label, low - 1) for label, (low, _) in RANGES.items()),
    *((label, high + 1) for label, (_, high) in RANGES.items()),
    *((label, value) for label in GRINDING for value in (63, 64, 255)),
    ("log_max_arity", 20),  # arity 2^20
    ("queries", True),
    ("queries", 75.0),
    ("zk", 1),
    ("regime", "capacity"),
    ("batching", ""),
]


@pytest.mark.parametrize(("label", "value"), OUT_OF_RANGE)
def test_values_out_of_range_are_rejected(label: str, value: Any) -> None:
    with pytest.raises(Rejected) as caught:
        replace(BASE, **{label: value})
    assert caught.value.code is Code.PARAMS


@pytest.mark.parametrize(("label", "limits"), RANGES.items())
def test_limits_are_accepted(label: str, limits: tuple[int, int]) -> None:
    for value in limits:
        assert getattr(replace(BASE, **{label: value}), label) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offset", "value"), [(0, 0), (0, 6), (3, 2), (6, 2), (7, 0), (7, 20), (10, 64)]
)
def test_encoded_values_out_of_range_are_rejected(offset: int, value: int) -> None:
    data = bytearray(BASE.encode())
    data[offset] = value
    with pytest.raises(Rejected) as caught:
        ProtocolParameters.decode(bytes(data))
    assert caught.value.code is Code.PARAMS


def test_a_flag_has_two_encodings_only() -> None:
    data = bytearray(BASE.encode())
    data[16] = 2
    with pytest.raises(Rejected) as caught:
        ProtocolParameters.decode(bytes(data))
    assert caught.value.code is Code.CANONICAL


def test_regime_and_multiplicity_belong_together() -> None:
    for changes in ({"regime": "udr"}, {"multiplicity": 0}, {"zk": False}, {"log_slack": 0}):
        with pytest.raises(Rejected) as caught:
            replace(BASE, **changes)  # type: ignore[arg-type]
        assert caught.value.code is Code.PARAMS


def test_rate_one_is_rejected() -> None:
    assert replace(BASE, log_final_length=0).rate == Fraction(1, 4)
    with pytest.raises(Rejected) as caught:
        replace(BASE, log_final_length=0, log_blowup=1)
    assert caught.value.code is Code.PARAMS


def test_unknown_suites_are_rejected() -> None:
    with pytest.raises(Rejected) as caught:
        replace(BASE, hash_suite="md5")
    assert caught.value.code is Code.SUITE
    data = BASE.encode()
    for forged in (data[:-1] + b"1", data[:-32] + bytes(32), data[:-32] + b"\xff" * 32):
        with pytest.raises(Rejected) as caught:
            ProtocolParameters.decode(forged)
        assert caught.value.code is Code.SUITE


def test_evaluation_domain_of_2_to_the_25_is_rejected() -> None:
    assert BASE.schedule([21]) == (3, 3, 3, 3, 3)
    for heights in ([22], [22, 10], [10, 22]):
        with pytest.raises(Rejected) as caught:
            BASE.schedule(heights)
        assert caught.value.code is Code.PARAMS


@given(parameter_sets(), st.integers(0, 14))
def test_dimensions_hold_the_slack_and_fold_onto_each_other(
    parameters: ProtocolParameters, above: int
) -> None:
    log_height = parameters.log_final_length + above
    height = 1 << log_height
    dimension = parameters.dimension(log_height)
    slack = Fraction(1, 1 << parameters.log_slack) if parameters.zk else Fraction(0)
    assert dimension >= (1 + slack) * height
    assert dimension == parameters.final_length << above
    assert Fraction(dimension, height << parameters.log_blowup) == parameters.rate < 1
    # The final polynomial is rounded up to the next integer, no further.
    assert parameters.final_length - 1 < (1 + slack) * (1 << parameters.log_final_length)


def test_final_length_with_slack() -> None:
    assert BASE.final_length == 65
    assert replace(BASE, log_final_length=5).final_length == 33
    assert replace(BASE, log_final_length=0).final_length == 2
    assert replace(BASE, log_final_length=10).final_length == 1040
    assert replace(BASE, zk=False, log_slack=0).final_length == 64
