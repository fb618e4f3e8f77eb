"""Keys of aggregates: as a table in a file, from anyone, and as keys."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.checks import check, check_equal

from air.aggregate import key_table, keys
from air.aggregate.keys import (
    MAXIMUM_FILE,
    MAXIMUM_LEVELS,
    SHIPPED,
    AggregateKeys,
    PinnedCircuit,
    ShippedAggregate,
    aggregate_keys,
    batch_key,
    decode_aggregates,
    encode_aggregates,
    inner_batch_system,
    join_key,
    layer_parameters,
    layer_system,
    pinned_aggregates,
    wrap_key,
)
from air.aggregate.proving import inner_batch_key
from air.cli.main import main
from air.shape import Shape
from stark.errors import Code, Rejected, UsageError
from stark.field.koalabear import P
from stark.prover.keygen import generate_key
from stark.recursion.builder import CircuitBuilder
from stark.recursion.circuit import Circuit
from stark.recursion.system import CircuitShape
from stark.soundness import estimate
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey

SHAPE = Shape(12, 5, 9)
CIRCUIT = CircuitShape(14, 14, 12, 13, (5, 20), 17)


def pinned(number: int, shape: CircuitShape = CIRCUIT) -> PinnedCircuit:
    return PinnedCircuit(shape, bytes([number]) * 32)


def some_keys(profile: str = "proven128", levels: int = 2) -> AggregateKeys:
    joins = tuple(pinned(1 + level) for level in range(levels))
    wraps = tuple(pinned(40 + level) for level in range(levels))
    return AggregateKeys(profile, SHAPE, bytes([7]) * 32, joins, wraps)


def rejection(call: Callable[[], object]) -> Rejected:
    with pytest.raises(Rejected) as caught:
        call()
    return caught.value


# ---- the package's own


def test_what_is_pinned_is_shipped() -> None:
    shipped = {(one.profile, one.shape): one.levels for one in SHIPPED}
    check_equal(len(shipped), len(SHIPPED))
    for place, pins in pinned_aggregates().items():
        check_equal(len(pins.wraps), shipped[place], str(place))
    for one in SHIPPED:
        check(1 <= one.levels <= MAXIMUM_LEVELS, str(one))


def test_pinned_keys_reach_their_profile() -> None:
    for pins in pinned_aggregates().values():
        for layer in pins.layers(1 << len(pins.wraps)):
            report = estimate(system_figures(layer.key.system), layer.key.parameters)
            check(report.minimum >= int(pins.profile.removeprefix("proven")), layer.name)


# ---- keys


def test_every_layer_has_its_role() -> None:
    pins = some_keys()
    batch, join, wrap = pins.batch_key(), pins.join_key(2), pins.wrap_key(2)
    check_equal(batch.system.digest(), inner_batch_system(SHAPE).digest())
    for key in (batch, join):
        check(key.system.whole_rows and not key.system.zk, "a circuit verifies it")
        check(key.parameters.hash_suite.startswith("poseidon1"), key.parameters.hash_suite)
        check_equal(key.parameters.batching, "powers")
    check(wrap.system.zk and not wrap.system.whole_rows, "it is published")
    check_equal(wrap.parameters.hash_suite, "sha256")
    check_equal(wrap.parameters.zk, True)
    heights = {"permutation": 14, "arithmetic": 14, "fold": 12, "decomposition": 13}
    for key in (join, wrap):
        check_equal({table.name: table.log_height for table in key.system.tables}, heights)
    check_equal(join.preprocessed_cap, (bytes([2]) * 32,))
    check_equal(wrap.preprocessed_cap, (bytes([41]) * 32,))
    for key in (batch, join, wrap):
        report = estimate(system_figures(key.system), key.parameters)
        check(report.minimum >= 128, str(report.minimum))


def test_layers_of_a_tree() -> None:
    layers = some_keys(levels=3).layers(5)
    names = ["batches", "joins of level 1", "joins of level 2", "joins of level 3", "wrap"]
    check_equal([layer.name for layer in layers], names)
    check_equal([layer.count for layer in layers], [5, 3, 2, 1, 1])


def test_the_digest_names_every_key() -> None:
    pins = some_keys()
    others = [
        replace(pins, batch_root=bytes([9]) * 32),
        replace(pins, joins=(pinned(9), pins.joins[1])),
        replace(pins, joins=(pins.joins[0], pinned(9))),
        replace(pins, wraps=(pins.wraps[0], pinned(9))),
        replace(pins, profile="proven100"),
        replace(pins, wraps=(pins.wraps[0], pinned(41, replace(CIRCUIT, log_folds=13)))),
    ]
    digests = {one.digest(2) for one in (pins, *others)}
    check_equal(len(digests), 1 + len(others))
    # Not so what an aggregate of fewer levels does not use.
    check_equal(replace(pins, joins=(pins.joins[0], pinned(9))).digest(1), pins.digest(1))


@pytest.mark.parametrize("level", [-1, 0, 3])
def test_levels_without_a_key(level: int) -> None:
    for one in (some_keys().join_key, some_keys().wrap_key, some_keys().digest):
        check_equal(rejection(lambda one=one: one(level)).code, Code.VK)  # type: ignore[misc]


def test_unknown_profiles_and_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        keys, "pinned_aggregates", lambda: {("proven128", SHAPE): some_keys("proven128")}
    )
    check_equal(aggregate_keys("proven128", SHAPE), some_keys())
    check_equal(batch_key("proven128", SHAPE), some_keys().batch_key())
    check_equal(join_key("proven128", SHAPE, 2), some_keys().join_key(2))
    check_equal(wrap_key("proven128", SHAPE, 2), some_keys().wrap_key(2))
    check_equal(rejection(lambda: aggregate_keys("proven1", SHAPE)).code, Code.POLICY)
    check_equal(rejection(lambda: some_keys("proven1").batch_key()).code, Code.POLICY)
    for profile, shape in (("proven100", SHAPE), ("proven128", Shape(13, 5, 9))):
        check_equal(
            rejection(lambda p=profile, s=shape: wrap_key(p, s, 1)).code,  # type: ignore[misc]
            Code.VK,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"log_permutations": 3},
        {"log_permutations": 24},
        {"log_folds": 0},
        {"log_decompositions": 10},
        {"widths": ()},
        {"widths": (0,)},
        {"widths": (5, 5)},
        {"widths": (32,)},
        {"log_order": 0},
    ],
)
def test_circuits_that_no_wrap_has(changes: dict[str, Any]) -> None:
    """A file of anyone's makes no other exception than ``Rejected``."""
    odd = pinned(3, replace(CIRCUIT, **changes))
    try:
        key = replace(some_keys(), wraps=(odd, odd)).wrap_key(1)
    except Rejected as rejected:
        check(rejected.code in (Code.VK, Code.PARAMS, Code.ZK), str(rejected))
    else:
        # No columns for widths: such a circuit takes no bits, and is another one.
        check_equal(changes, {"widths": ()})
        check(key.digest != some_keys().wrap_key(1).digest, "another key")


def test_a_root_that_is_no_digest_of_the_suite() -> None:
    alias = P.to_bytes(4, "little") * 8
    found = rejection(replace(some_keys(), batch_root=alias).batch_key)
    check_equal(found.code, Code.VK)
    zeros = PinnedCircuit(CIRCUIT, bytes(32))
    found = rejection(lambda: replace(some_keys(), wraps=(zeros,)).wrap_key(1))
    check_equal(found.code, Code.VK)


# ---- the file

DIGESTS = st.binary(min_size=32, max_size=32).filter(any)
CIRCUITS = st.builds(
    PinnedCircuit,
    st.builds(
        CircuitShape,
        *[st.integers(0, 24)] * 4,
        st.lists(st.integers(0, 31), max_size=4).map(tuple),
        st.integers(0, 24),
    ),
    DIGESTS,
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[AggregateKeys, ...]:
    places = st.tuples(
        st.sampled_from(["proven100", "proven128"]),
        st.sampled_from([SHAPE, Shape(14, 12, 9), Shape(20, 17, 12)]),
    )
    result = []
    for profile, shape in sorted(draw(st.sets(places, max_size=3))):
        levels = draw(st.integers(1, MAXIMUM_LEVELS))
        joins, wraps = (
            tuple(draw(st.lists(CIRCUITS, min_size=levels, max_size=levels))) for _ in range(2)
        )
        result.append(AggregateKeys(profile, shape, draw(DIGESTS), joins, wraps))
    return tuple(result)


@given(tables())
def test_tables_are_read_as_they_are_written(table: tuple[AggregateKeys, ...]) -> None:
    data = encode_aggregates(table)
    check(data.isascii(), "ASCII")
    check_equal(decode_aggregates(data), table)
    check_equal(encode_aggregates(tuple(reversed(table))), data)


def edited(edit: Callable[[Any], object]) -> bytes:
    value = json.loads(encode_aggregates((some_keys(),)))
    edit(value)
    return json.dumps(value).encode()


BAD: dict[str, tuple[Callable[[Any], object], Code]] = {
    "format": (lambda v: v.update(format="2"), Code.VERSION),
    "format of another type": (lambda v: v.update(format=1), Code.VERSION),
    "no format": (lambda v: v.pop("format"), Code.FORMAT),
    "another key": (lambda v: v.update(more="1"), Code.FORMAT),
    "no list": (lambda v: v.update(aggregates={}), Code.FORMAT),
    "twice": (lambda v: v["aggregates"].append(v["aggregates"][0]), Code.VK),
    "no object": (lambda v: v["aggregates"].append("x"), Code.FORMAT),
    "shape": (lambda v: v["aggregates"][0].update(shape="rows99-slots5-assets9"), Code.FORMAT),
    "shape of another type": (lambda v: v["aggregates"][0].update(shape=None), Code.FORMAT),
    "profile": (lambda v: v["aggregates"][0].update(profile=["proven128"]), Code.FORMAT),
    "batch root of zeros": (lambda v: v["aggregates"][0].update(batch="00" * 32), Code.VK),
    "short batch root": (lambda v: v["aggregates"][0].update(batch="01" * 31), Code.FORMAT),
    "root of zeros": (lambda v: v["aggregates"][0]["wraps"][1].update(root="00" * 32), Code.VK),
    "one wrap too few": (lambda v: v["aggregates"][0]["wraps"].pop(), Code.FORMAT),
    "no levels": (lambda v: v["aggregates"][0].update(joins=[], wraps=[]), Code.FORMAT),
    "too many levels": (
        lambda v: v["aggregates"][0].update(
            {name: v["aggregates"][0][name][:1] * 13 for name in ("joins", "wraps")}
        ),
        Code.FORMAT,
    ),
    "joins are null": (lambda v: v["aggregates"][0].update(joins=None), Code.FORMAT),
    "a circuit is text": (lambda v: v["aggregates"][0].update(joins=["x", "y"]), Code.FORMAT),
    "a circuit has more": (lambda v: v["aggregates"][0]["joins"][0].update(more="1"), Code.FORMAT),
    "a circuit has less": (lambda v: v["aggregates"][0]["joins"][0].pop("root"), Code.FORMAT),
    "keys have more": (lambda v: v["aggregates"][0].update(more="1"), Code.FORMAT),
    "height": (
        lambda v: v["aggregates"][0]["joins"][0].update(log_permutations="25"),
        Code.CANONICAL,
    ),
    "order": (lambda v: v["aggregates"][0]["wraps"][0].update(log_order="25"), Code.CANONICAL),
    "number": (lambda v: v["aggregates"][0]["joins"][0].update(log_folds=12), Code.FORMAT),
    "leading zero": (lambda v: v["aggregates"][0]["joins"][0].update(log_folds="012"), Code.FORMAT),
    "width": (lambda v: v["aggregates"][0]["joins"][0].update(widths=["32"]), Code.CANONICAL),
    "widths": (lambda v: v["aggregates"][0]["joins"][0].update(widths="5"), Code.FORMAT),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_of_another_form(name: str) -> None:
    edit, code = BAD[name]
    check_equal(rejection(lambda: decode_aggregates(edited(edit))).code, code)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.FORMAT),
        (b"{", Code.FORMAT),
        (b"[]", Code.FORMAT),
        (b"null", Code.FORMAT),
        (b"1e999", Code.FORMAT),
        (b"9" * 5000, Code.FORMAT),
        (b"[" * 100_000, Code.FORMAT),
        (b"\xff", Code.FORMAT),
        ('{"format": "1", "aggregates": ["é"]}'.encode(), Code.FORMAT),
        (b" " * (MAXIMUM_FILE + 1), Code.LIMIT),
    ],
)
def test_files_that_are_no_tables(data: bytes, code: Code) -> None:
    check_equal(rejection(lambda: decode_aggregates(data)).code, code)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_rejected(data: bytes) -> None:
    try:
        decode_aggregates(data)
    except Rejected:
        return
    raise AssertionError("bytes at random were a table of keys")


# ---- made again


def tiny(tag: int) -> Circuit:
    builder = CircuitBuilder(12, (5, 12))
    return builder.finish([builder.digest_constant(tuple(range(8)))], tag, 12)


def test_keys_are_made_from_the_batches_upwards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With tiny circuits in the place of joins and wraps."""
    from air.aggregate import proving

    joined: list[tuple[VerificationKey, int]] = []
    wrapped: list[VerificationKey] = []

    def join(inner: VerificationKey, level: int) -> Circuit:
        joined.append((inner, level))
        return tiny(level)

    def wrap(inner: VerificationKey) -> Circuit:
        wrapped.append(inner)
        return tiny(100 + len(wrapped))

    monkeypatch.setattr(proving, "join_circuit", join)
    monkeypatch.setattr(proving, "wrap_circuit", wrap)
    steps: list[tuple[int, int]] = []
    wanted = [ShippedAggregate("proven128", SHAPE, 2)]
    (made,) = key_table.rebuild_aggregates(lambda *step: steps.append(step), wanted)
    check_equal(steps, [(number, 5) for number in range(5)])
    check_equal([level for _, level in joined], [1, 2])
    check_equal(
        [key.digest for key, _ in joined], [made.batch_key().digest, made.join_key(1).digest]
    )
    check_equal([key.digest for key in wrapped], [made.join_key(level).digest for level in (1, 2)])
    system = inner_batch_system(SHAPE)
    batch = generate_key(system, layer_parameters("proven128", "batch", system)).verification
    check_equal(made.batch_key().digest, batch.digest)
    check_equal(len({circuit.root for circuit in made.joins + made.wraps}), 4)
    path = tmp_path / "keys.json"
    key_table.write_aggregates([made], path)
    check_equal(decode_aggregates(path.read_bytes()), (made,))


def test_the_prover_has_the_same_keys() -> None:
    key = inner_batch_key("proven128", SHAPE).verification
    (root,) = key.preprocessed_cap
    check_equal(replace(some_keys(), batch_root=root).batch_key().digest, key.digest)


def test_parameters_of_roles() -> None:
    check_equal(
        rejection(lambda: layer_parameters("x", "wrap", layer_system("wrap", CIRCUIT))).code,
        Code.POLICY,
    )
    with pytest.raises(UsageError):
        layer_parameters("proven128", "nothing", layer_system("wrap", CIRCUIT))


# ---- the command


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["keys", *arguments])
    return result.exit_code, result.stdout + result.stderr


def test_show_lists_aggregates(monkeypatch: pytest.MonkeyPatch) -> None:
    from air.cli import keys as command

    pins = {("proven128", SHAPE): some_keys()}
    monkeypatch.setattr(command, "pinned_aggregates", lambda: pins)
    shipped = (
        ShippedAggregate("proven128", SHAPE, 2),
        ShippedAggregate("proven128", Shape(14, 12, 9), 1),
    )
    monkeypatch.setattr(command, "SHIPPED", shipped)
    monkeypatch.setattr(command, "shipped_shapes", lambda: (SHAPE,))
    code, out = run("show", "--digests")
    check_equal(code, 0, out)
    for levels in (1, 2):
        root, digest = some_keys().wraps[levels - 1].root, some_keys().digest(levels)
        check(f"  {levels}  {root.hex()}  {digest.hex()}" in out, out)
    check("not pinned" in out, out)
    code, out = run("show", "--json")
    rows = json.loads(out)["aggregates"]
    check_equal([row["levels"] for row in rows], ["1", "2", "1"])
    check_equal([row["root"] for row in rows][2], "not pinned")
    code, out = run("show", "--json", "--profile", "proven100")
    check_equal(json.loads(out)["aggregates"], [])


def test_rebuild_compares_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    from air.cli import keys as command

    written: list[object] = []
    monkeypatch.setattr(key_table, "rebuild_aggregates", lambda step: (some_keys(),))
    monkeypatch.setattr(key_table, "write_aggregates", written.append)
    monkeypatch.setattr(command, "pinned_aggregates", lambda: {("proven128", SHAPE): some_keys()})
    code, out = run("rebuild", "--aggregates")
    check_equal((code, "0 differ" in out), (0, True), out)
    other = replace(some_keys(), wraps=(some_keys().wraps[0], pinned(9)))
    monkeypatch.setattr(command, "pinned_aggregates", lambda: {("proven128", SHAPE): other})
    code, out = run("rebuild", "--aggregates")
    check_equal((code, "wrap 2" in out, "wrap 1" in out), (1, True, False), out)
    check_equal(written, [])
    code, out = run("rebuild", "--aggregates", "--write")
    check_equal((code, written), (0, [(some_keys(),)]), out)
