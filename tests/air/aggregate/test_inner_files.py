"""Files of inner proofs: their form, and that they are no publications."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.checks import check, check_equal

from air.aggregate.inner import HEADER_SIZE, InnerKind, InnerProof, published_context
from air.aggregate.keys import MAXIMUM_LEVELS
from air.aggregate.publics import AggregatePublics
from air.publication import AggregatedPublication, Publication
from air.verification import verify_publication
from air.verify import EXIT_UNREADABLE, main
from stark.errors import Code, Rejected
from stark.field.koalabear import P

DIGESTS = tuple(tuple(range(first, first + 8)) for first in (100, 200, 300))
CONTEXT = bytes(range(32))

BATCH = InnerProof(InnerKind.BATCH, 0, 3, AggregatePublics(CONTEXT, 1, False, *DIGESTS), b"a batch")
JOIN = InnerProof(InnerKind.JOIN, 2, 1, AggregatePublics(CONTEXT, 3, True, *DIGESTS), b"a join")
WRAP = InnerProof(InnerKind.WRAP, 3, 0, AggregatePublics(CONTEXT, 4, True, *DIGESTS), b"a wrap")
PUBLISHED = replace(BATCH, kind=InnerKind.PUBLISHED, proof=b"a published batch")
ALL = [BATCH, JOIN, WRAP, PUBLISHED]


@st.composite
def inner_proofs(draw: st.DrawFn) -> InnerProof:
    kind = draw(st.sampled_from(InnerKind))
    wrap = kind is InnerKind.WRAP
    joins = 0 if kind in (InnerKind.BATCH, InnerKind.PUBLISHED) else 1
    joins = draw(st.integers(joins, MAXIMUM_LEVELS)) if joins else 0
    lanes = st.lists(st.integers(0, P - 1), min_size=8, max_size=8).map(tuple)
    return InnerProof(
        kind,
        joins + int(wrap),
        0 if wrap else draw(st.integers(0, (4096 >> joins) - 1)),
        AggregatePublics(
            draw(st.binary(min_size=32, max_size=32)),
            draw(st.integers(1, 1 << joins)),
            draw(st.booleans()),
            *(draw(lanes) for _ in range(3)),
        ),
        draw(st.binary(max_size=100)),
    )


@given(inner_proofs())
def test_files_are_read_as_they_are_written(one: InnerProof) -> None:
    data = one.encode()
    check_equal(InnerProof.decode(data), one)
    check_equal(len(data), HEADER_SIZE + len(one.proof))


def test_the_bytes_of_a_file() -> None:
    lanes = b"".join(lane.to_bytes(4, "little") for digest in DIGESTS for lane in digest)
    header = bytes.fromhex("4c494142696e6e000200010201000000")
    said = CONTEXT + b"\3\0\0\0\1" + lanes
    check_equal(JOIN.encode(), header + said + b"\6\0\0\0a join")
    check_equal(HEADER_SIZE, 153)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_every_truncation_and_every_further_byte_is_refused(one: InnerProof) -> None:
    data = one.encode()
    for length in range(len(data)):
        with pytest.raises(Rejected) as caught:
            InnerProof.decode(data[:length])
        check_equal(caught.value.code, Code.FORMAT, length)
    for more in (b"\0", data):
        with pytest.raises(Rejected) as caught:
            InnerProof.decode(data + more)
        check_equal(caught.value.code, Code.FORMAT)


@pytest.mark.parametrize(
    ("at", "data", "code"),
    [
        (0, b"l", Code.FORMAT),
        (8, b"\1", Code.VERSION),
        (8, b"\3", Code.VERSION),
        (9, b"\1", Code.VERSION),
        (10, b"\0", Code.FORMAT),
        (10, b"\2", Code.FORMAT),
        (10, b"\3", Code.FORMAT),
        (10, b"\4", Code.FORMAT),
        (11, b"\0", Code.FORMAT),
        (11, b"\1", Code.FORMAT),
        (11, b"\x0d", Code.FORMAT),
        (12, b"\0\4\0\0", Code.FORMAT),
        (48, b"\0", Code.FORMAT),
        (48, b"\5", Code.FORMAT),
        (52, b"\2", Code.FORMAT),
        (53, P.to_bytes(4, "little"), Code.CANONICAL),
        (85, P.to_bytes(4, "little"), Code.CANONICAL),
        (145, b"\xff" * 4, Code.CANONICAL),
        (149, b"\7", Code.FORMAT),
    ],
)
def test_fields_out_of_range(at: int, data: bytes, code: Code) -> None:
    # Over three batches: with two, level 1 would do.
    honest = JOIN.encode()
    with pytest.raises(Rejected) as caught:
        InnerProof.decode(honest[:at] + data + honest[at + len(data) :])
    check_equal(caught.value.code, code)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_every_bit_of_a_header_counts(one: InnerProof) -> None:
    """A changed bit is refused, or read as something else that encodes to the same bytes."""
    honest = one.encode()
    for bit in range(8 * HEADER_SIZE):
        changed = bytearray(honest)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            other = InnerProof.decode(bytes(changed))
        except Rejected:
            continue
        check(other != one, f"bit {bit}")
        check_equal(other.encode(), bytes(changed), f"bit {bit}")


@pytest.mark.parametrize(
    "changes",
    [
        {"level": 1},
        {"number": 4096},
        {"number": -1},
        {"kind": InnerKind.JOIN},
        {"kind": InnerKind.WRAP},
        {"publics": replace(BATCH.publics, context=bytes(31))},
        {"publics": replace(BATCH.publics, count=0)},
        {"publics": replace(BATCH.publics, count=2)},
        {"publics": replace(BATCH.publics, root=(0,) * 7)},
        {"publics": replace(BATCH.publics, root=(*[0] * 7, P))},
        {"publics": replace(BATCH.publics, digest_in=(*[0] * 7, -1))},
        {"publics": replace(BATCH.publics, digest_out=(*[0] * 7, 1 << 32))},
    ],
)
def test_what_could_not_be_read_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        replace(BATCH, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"level": 1},
        {"level": MAXIMUM_LEVELS + 2},
        {"number": 1},
        {"publics": replace(WRAP.publics, count=5)},
    ],
)
def test_wraps_that_do_not_exist(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        replace(WRAP, **changes)
    replace(WRAP, level=MAXIMUM_LEVELS + 1)


def test_names() -> None:
    names = ["batch 3", "join 1 of level 2", "wrap", "published batch 3"]
    check_equal([one.name for one in ALL], names)


def test_contexts_of_published_batches() -> None:
    known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    check_equal(published_context(b"").hex(), known)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_they_are_no_publications(
    one: InnerProof, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for read in (verify_publication, Publication.decode, AggregatedPublication.decode):
        with pytest.raises(Rejected) as caught:
            read(one.encode())
        check_equal(caught.value.code, Code.FORMAT)
        check("private intermediate" in str(caught.value), str(caught.value))
    path = tmp_path / "some.inner"
    path.write_bytes(one.encode())
    check_equal(main([str(path)]), EXIT_UNREADABLE)
    check("private intermediate" in capsys.readouterr().err, "in words")
    check_equal(main([str(path), "--json"]), EXIT_UNREADABLE)
    check_equal(json.loads(capsys.readouterr().out)["error"]["code"], "Format")


def test_publications_are_no_inner_proofs() -> None:
    with pytest.raises(Rejected) as caught:
        InnerProof.decode(b"LIABprf\0" + JOIN.encode()[8:])
    check_equal(caught.value.code, Code.FORMAT)
