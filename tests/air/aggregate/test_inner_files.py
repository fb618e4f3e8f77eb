"""Files of inner proofs: their form, who may read them, and that they are no publications."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.checks import check, check_equal

from air.aggregate.inner import MAXIMUM_PUBLICS, InnerKind, InnerProof
from air.aggregate.keys import MAXIMUM_LEVELS
from air.publication import AggregatedPublication, Publication
from air.verification import verify_publication
from air.verify import EXIT_UNREADABLE, main
from stark.errors import Code, Rejected
from stark.field.koalabear import P

BATCH = InnerProof(InnerKind.BATCH, 0, 3, bytes(range(32)), (1, *range(100, 124)), b"a batch")
JOIN = InnerProof(InnerKind.JOIN, 2, 1, bytes(range(32)), tuple(range(8)), b"a join")


@st.composite
def inner_proofs(draw: st.DrawFn) -> InnerProof:
    kind = draw(st.sampled_from(InnerKind))
    level = 0 if kind is InnerKind.BATCH else draw(st.integers(1, MAXIMUM_LEVELS))
    return InnerProof(
        kind,
        level,
        draw(st.integers(0, (4096 >> level) - 1)),
        draw(st.binary(min_size=32, max_size=32)),
        tuple(draw(st.lists(st.integers(0, P - 1), max_size=MAXIMUM_PUBLICS))),
        draw(st.binary(max_size=100)),
    )


@given(inner_proofs())
def test_files_are_read_as_they_are_written(one: InnerProof) -> None:
    data = one.encode()
    check_equal(InnerProof.decode(data), one)
    check_equal(len(data), 8 + 2 + 2 + 4 + 32 + 4 + 4 * len(one.publics) + 4 + len(one.proof))


@pytest.mark.parametrize("one", [BATCH, JOIN], ids=["batch", "join"])
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
        (8, b"\0", Code.VERSION),
        (8, b"\2", Code.VERSION),
        (10, b"\2", Code.FORMAT),
        (10, b"\0", Code.FORMAT),
        (11, b"\0", Code.FORMAT),
        (11, b"\x0d", Code.FORMAT),
        (12, b"\0\4\0\0", Code.FORMAT),
        (48, b"\x41\0\0\0", Code.FORMAT),
        (52, P.to_bytes(4, "little"), Code.CANONICAL),
    ],
)
def test_fields_out_of_range(at: int, data: bytes, code: Code) -> None:
    honest = JOIN.encode()
    with pytest.raises(Rejected) as caught:
        InnerProof.decode(honest[:at] + data + honest[at + len(data) :])
    check_equal(caught.value.code, code)


@pytest.mark.parametrize(
    "changes",
    [
        {"level": 1},
        {"number": 4096},
        {"number": -1},
        {"context": bytes(31)},
        {"publics": (0,) * (MAXIMUM_PUBLICS + 1)},
    ],
)
def test_what_could_not_be_read_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        replace(BATCH, **changes)


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    for one, name in ((BATCH, "batch-3.inner"), (JOIN, "join-2-1.inner")):
        path = one.write(tmp_path)
        check_equal(path, tmp_path / name)
        check_equal(path.stat().st_mode & 0o777, 0o600)
        check_equal(InnerProof.decode(path.read_bytes()), one)
    check_equal(len(list(tmp_path.iterdir())), 2)


def test_they_are_no_publications(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for read in (verify_publication, Publication.decode, AggregatedPublication.decode):
        with pytest.raises(Rejected) as caught:
            read(JOIN.encode())
        check_equal(caught.value.code, Code.FORMAT)
        check("private intermediate" in str(caught.value), str(caught.value))
    path = JOIN.write(tmp_path)
    check_equal(main([str(path)]), EXIT_UNREADABLE)
    check("private intermediate" in capsys.readouterr().err, "in words")
    check_equal(main([str(path), "--json"]), EXIT_UNREADABLE)
    check_equal(json.loads(capsys.readouterr().out)["error"]["code"], "Format")


def test_publications_are_no_inner_proofs() -> None:
    with pytest.raises(Rejected) as caught:
        InnerProof.decode(b"LIABprf\0" + JOIN.encode()[8:])
    check_equal(caught.value.code, Code.FORMAT)
