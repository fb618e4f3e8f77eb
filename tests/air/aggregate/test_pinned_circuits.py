"""Circuits of pinned keys, from the cache: whatever is in it, the key is the pinned one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.checks import check, check_equal

from air.aggregate import key_table, pinned_circuits, proving
from air.aggregate.circuits import join_circuit
from air.aggregate.keys import ShippedAggregate, batch_key, join_key
from air.aggregate.pinned_circuits import circuit_path, pinned_join_key, pinned_wrap_key
from air.aggregate.proving import circuit_key
from air.shape import Shape
from stark.errors import Code, Rejected, StarkError
from stark.hash.poseidon import POSEIDON1, sponge_hash
from stark.jit import cache_directory
from stark.recursion.builder import CircuitBuilder
from stark.recursion.circuit import STEP_WIDTH, Circuit, Operation
from stark.recursion.circuit_cache import keep_circuit, read_circuit
from stark.recursion.prover import CircuitKey
from stark.verifier.key import VerificationKey
from stark.verifier.verify import verify

PROFILE = "proven128"
SHAPE = Shape(14, 12, 9)
CONTEXT = bytes(range(32))
LANES = tuple(range(8))


def tiny(tag: int) -> Circuit:
    """It takes a digest, and says it in public."""
    builder = CircuitBuilder(12, (5, 12))
    digest = builder.digest_hint()
    builder.lanes_of(digest)
    return builder.finish([digest], tag, 12)


@cache
def pinned(role: str = "join") -> VerificationKey:
    """The key of the tiny circuit."""
    return circuit_key(tiny(1), role, PROFILE).verification


class Written:
    """The tiny circuit in the place of a join or a wrap; how often it was written."""

    def __init__(self) -> None:
        self.count = 0
        self.tag = 1

    def __call__(self, *_: object) -> Circuit:
        self.count += 1
        return tiny(self.tag)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setattr(pinned_circuits, "cache_directory", lambda _: tmp_path)
    return tmp_path / pinned_circuits.FOLDER


@pytest.fixture
def written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    result = Written()
    monkeypatch.setattr(pinned_circuits, "join_circuit", result)
    monkeypatch.setattr(pinned_circuits, "wrap_circuit", result)
    yield result
    check(not folder.exists() or len(list(folder.iterdir())) <= 1, "no temporary files")


def made(role: str = "join") -> CircuitKey:
    inner = pinned()
    if role == "join":
        return pinned_join_key(inner, 1, PROFILE, pinned(role))
    return pinned_wrap_key(inner, PROFILE, pinned(role))


# ---- what is kept


@pytest.mark.parametrize("role", ["join", "wrap"])
def test_a_circuit_is_written_once(written: Written, role: str) -> None:
    for _ in range(3):
        key = made(role)
        check_equal(key.verification.digest, pinned(role).digest)
        check_equal(key.circuit, tiny(1))
        check_equal(written.count, 1)
    check_equal(read_circuit(circuit_path(pinned(role))), tiny(1))


def test_circuits_of_other_keys_have_other_files(folder: Path) -> None:
    paths = [circuit_path(key) for key in (pinned(), pinned("wrap"), batch_key(PROFILE, SHAPE))]
    check_equal(len(set(paths)), 3)
    check_equal({path.parent for path in paths}, {folder})


def test_the_folder_is_that_of_the_sources_of_both_packages() -> None:
    """That of kernels of this package: any edit of a source starts an empty cache."""
    path = circuit_path(pinned())
    check_equal(path.parent.parent, cache_directory("air.any"))
    check(path.parent.parent != cache_directory("stark.any"), "air is in it")


def test_a_real_join_is_the_pinned_one(folder: Path) -> None:
    """Written, and read again."""
    wanted = join_key(PROFILE, SHAPE, 2)
    inner = join_key(PROFILE, SHAPE, 1)
    check(not folder.exists(), "an empty cache")
    circuits = [pinned_join_key(inner, 2, PROFILE, wanted).circuit for _ in range(2)]
    check_equal(circuits[1], circuits[0])
    check_equal(circuits[1].labels, circuits[0].labels)
    check_equal(circuits[1].digest, join_circuit(inner, 2).digest)


def test_a_cache_that_cannot_be_written(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(pinned_circuits, "cache_directory", lambda _: tmp_path / "file")
    for count in (1, 2):
        check_equal(made().verification.digest, pinned().digest)
        check_equal(written.count, count)


# ---- what is not the pinned one


def test_a_circuit_from_source_that_is_not_the_pinned_one(written: Written, folder: Path) -> None:
    """It is refused, and not kept."""
    written.tag = 2
    with pytest.raises(Rejected) as caught:
        made()
    check_equal(caught.value.code, Code.VK)
    check_equal(caught.value.expected, pinned().digest.hex())
    check(not folder.exists(), "nothing is kept")


def test_neither_kept_nor_from_source(written: Written) -> None:
    """What was kept is no way around the refusal, and stays."""
    keep_circuit(circuit_path(pinned()), tiny(3))
    written.tag = 2
    with pytest.raises(Rejected) as caught:
        made()
    check_equal(caught.value.code, Code.VK)
    check_equal(read_circuit(circuit_path(pinned())), tiny(3))


def changed_cell(table: str, column: str, value: int) -> Circuit:
    one = tiny(1)
    columns = {name: array("q", values) for name, values in one.tables[table].items()}
    check(columns[column][0] != value, "a change")
    columns[column][0] = value
    if table == "arithmetic":
        return replace(one, arithmetic=columns)
    return replace(one, permutation=columns)


TAMPERED: dict[str, Callable[[], Circuit]] = {
    "another circuit": lambda: tiny(2),
    "another coefficient": lambda: changed_cell("arithmetic", "q0", 5),
    "another count": lambda: changed_cell("permutation", "digest count", 5),
    "no field element": lambda: changed_cell("arithmetic", "q0", -1),
    "no flag": lambda: changed_cell("permutation", "straight", 2),
    "other widths": lambda: CircuitBuilder(12, (5, 13)).finish([], 1, 12),
    "another order": lambda: replace(tiny(1), log_order=13),
    "no order": lambda: replace(tiny(1), log_order=30),
    "another height": lambda: replace(
        tiny(1), permutation={name: array("q", [0]) for name in tiny(1).permutation}
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_kept_columns_that_are_not_the_pinned_ones(written: Written, name: str) -> None:
    """With a right digest: they are written anew, and replaced."""
    path = circuit_path(pinned())
    keep_circuit(path, TAMPERED[name]())
    check_equal(read_circuit(path), TAMPERED[name]())
    key = made()
    check_equal(key.verification.digest, pinned().digest)
    check_equal(key.circuit, tiny(1))
    check_equal(written.count, 1)
    check_equal(read_circuit(path), tiny(1))


@pytest.mark.parametrize("data", [b"", b"foreign", bytes(1000)])
def test_files_that_hold_no_circuit(written: Written, data: bytes) -> None:
    path = circuit_path(pinned())
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    check_equal(made().verification.digest, pinned().digest)
    check_equal(written.count, 1)
    check_equal(read_circuit(path), tiny(1))


# ---- steps, which no key names


def changed_step(number: int, place: int, value: int) -> Circuit:
    one = tiny(1)
    steps = array("q", one.steps)
    check(steps[number * STEP_WIDTH + place] != value, "a change")
    steps[number * STEP_WIDTH + place] = value
    return replace(one, steps=steps)


def first_step(operation: Operation) -> int:
    return list(tiny(1).steps[::STEP_WIDTH]).index(operation)


STEPS: dict[str, Callable[[], Circuit]] = {
    "an unknown operation": lambda: changed_step(0, 0, 99),
    "a row that is not there": lambda: changed_step(0, 1, 1 << 40),
    "a wire that is not there": lambda: changed_step(first_step(Operation.DECOMPOSE), 2, 1 << 40),
    "another wire": lambda: changed_step(first_step(Operation.DECOMPOSE), 2, 2),
    "another coordinate": lambda: changed_step(first_step(Operation.DECOMPOSE), 3, 4),
    "another capacity": lambda: changed_step(len(tiny(1).steps) // STEP_WIDTH - 1, 4, 3),
    "no steps": lambda: replace(tiny(1), steps=array("q")),
    "steps backwards": lambda: replace(tiny(1), steps=tiny(1).steps[::-1]),
    "fewer wires": lambda: replace(tiny(1), wire_count=1),
    "fewer digests": lambda: replace(tiny(1), digest_count=0),
    "more values": lambda: replace(tiny(1), hint_count=9),
}


def refusal(key: CircuitKey) -> str:
    """Who refuses an honest use of a circuit; empty for nobody."""
    honest = list(sponge_hash(POSEIDON1, 1, LANES))
    try:
        proof = key.prove(np.array(LANES, np.uint32), honest, CONTEXT)
    except StarkError:
        return "prover"
    try:
        verify(pinned(), proof, {"permutation": honest}, CONTEXT)
    except Rejected:
        return "verifier"
    return ""


def test_the_tiny_circuit_is_proven_from_the_cache(written: Written) -> None:
    check_equal(refusal(made()), "")
    check_equal(refusal(made()), "")
    check_equal(written.count, 1)


@pytest.mark.parametrize("name", STEPS)
def test_kept_steps_that_are_others(written: Written, name: str) -> None:
    """The key is the pinned one; what other steps compute is no witness of its rows."""
    keep_circuit(circuit_path(pinned()), STEPS[name]())
    key = made()
    check_equal(written.count, 0)
    check_equal(key.verification.digest, pinned().digest)
    check(refusal(key) in ("prover", "verifier"), "refused")


def test_kept_steps_that_are_as_good(written: Written) -> None:
    """Room for digests that nobody has changes nothing: what is proven is what the key says."""
    keep_circuit(circuit_path(pinned()), replace(tiny(1), cap_heights={1: 3}, labels=()))
    check_equal(refusal(made()), "")
    check_equal(written.count, 0)


# ---- the audit


def test_keys_are_rebuilt_from_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the cache holds is not looked at, and nothing is put there."""
    counts = {"join": 0, "wrap": 0}

    def join(_: VerificationKey, level: int) -> Circuit:
        counts["join"] += 1
        return tiny(level)

    def wrap(_: VerificationKey) -> Circuit:
        counts["wrap"] += 1
        return tiny(100)

    def untouched(path: Path, *_: object) -> None:
        raise AssertionError(f"{path} is in the cache")

    monkeypatch.setattr(proving, "join_circuit", join)
    monkeypatch.setattr(proving, "wrap_circuit", wrap)
    wanted = (ShippedAggregate(PROFILE, SHAPE, 2),)
    (first,) = key_table.rebuild_aggregates(wanted=wanted)
    for level in (1, 2):
        for key in (first.join_key(level), first.wrap_key(level)):
            keep_circuit(circuit_path(key), tiny(50))
    before = {path: path.read_bytes() for path in folder.iterdir()}
    check(len(before) >= 3, "a circuit for each key")
    monkeypatch.setattr(pinned_circuits, "read_circuit", untouched)
    monkeypatch.setattr(pinned_circuits, "keep_circuit", untouched)
    (again,) = key_table.rebuild_aggregates(wanted=wanted)
    check_equal(again, first)
    check_equal(counts, {"join": 4, "wrap": 4})
    check_equal({path: path.read_bytes() for path in folder.iterdir()}, before)
