"""Where masks come from: the operating system, one label each, nothing twice (K4, K5, K6)."""

from __future__ import annotations

import ast
import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cheating import Seeded, configured, hidden_case
from support.mutations import ProofMap
from support.systems import fibonacci, products
from support.zk import (
    BARE_MAIN,
    Interactive,
    alone,
    witness,
)
from support.zk_pieces import pieces, shared_pieces, stream

import air
import stark
from stark.constraints.air import Air, AirBuilder
from stark.errors import UsageError
from stark.field.koalabear import P
from stark.prover.commitment import Commitment
from stark.prover.masks import Masks, mask_length
from stark.prover.prove import Prover, prove
from stark.prover.randomness import SystemRandomness
from stark.system import System
from stark.verifier.layout import Tree, tree_shape
from stark.verifier.protocol import bus_tables

# ---- the source


def test_all_randomness_comes_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its generator replaced a proof is a function of the replacement, and of all of it."""
    one = hidden_case()
    proofs = []
    for seed in (b"a", b"a", b"b"):
        monkeypatch.setattr(secrets, "token_bytes", stream(seed))
        proofs.append(Prover(one.key, one.publics).run(one.example.traces))
    assert proofs[0] == proofs[1] != proofs[2]


GENERATES = {"air/snapshot/generate.py"}
"""Makes up snapshots from a seed; proves nothing."""


def test_no_other_generator_is_in_reach() -> None:
    """No module but the one that makes up examples imports or names a seeded generator."""
    for package in (stark, air):
        folder = Path(package.__path__[0])
        for path in folder.rglob("*.py"):
            name = path.relative_to(folder.parent).as_posix()
            used = set(generators(path.read_text(encoding="utf-8")))
            assert bool(used) is (name in GENERATES), (name, used)


def generators(source: str) -> Iterator[str]:
    """Uses of ``random`` (the module, or NumPy's), and of clocks or ids as randomness."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else names
            yield from (name for name in [*module, *names] if name.split(".")[-1] == "random")
            yield from (name for name in module if name == "uuid")
        elif isinstance(node, ast.Attribute) and node.attr == "random":
            yield node.attr


def test_generators_are_recognised() -> None:
    for source in ("import random", "from random import choice", "from numpy import random"):
        assert list(generators(source))
    assert list(generators("import numpy as np\nnp.random.default_rng(1)"))
    assert not list(generators("import secrets\nfrom stark.prover.randomness import x"))


class Recording:
    """Refuses a label twice; keeps what was drawn."""

    def __init__(self) -> None:
        self.drawn: dict[str, bytes] = {}

    def draw(self, label: str, size: int) -> bytes:
        assert label not in self.drawn, f"{label} is drawn twice"
        self.drawn[label] = secrets.token_bytes(size)
        return self.drawn[label]


def test_every_mask_has_a_label_of_its_own() -> None:
    """Each column matrix, chunk boundary, height, tree level and terminal, none twice."""
    one = hidden_case()
    recording = Recording()
    prove(one.key, one.example.traces, one.publics, one.context, randomness=recording)
    tables = one.key.verification.system.tables
    chosen = one.key.verification.parameters
    expected = {"transcript salt"}
    for table in tables:
        expected.add(f"main of {table.name}/0")
        boundaries = range(table.quotient_chunks - 1)
        expected |= {f"chunk {chunk} of {table.name}/0" for chunk in boundaries}
    members = bus_tables(tables)
    expected |= {f"auxiliary of {table.name}/0" for table in members}
    expected |= {f"terminal of {table.name}/0" for table in members[:-1]}
    for height in {table.log_height for table in tables}:
        expected |= {f"codeword of height {height}, {half}/0" for half in ("low", "high")}
    for tree in (Tree.MAIN, Tree.AUXILIARY, Tree.QUOTIENT):
        shape = tree_shape(tables, tree, chosen.log_blowup, chosen.cap_height, True)
        assert shape is not None
        expected |= {f"salt {tree.label} {log_size}" for log_size, _ in shape.groups}
    # Words that are not below p are drawn again, under labels .../1, .../2.
    again = {label for label in recording.drawn if label.rpartition("/")[2] not in ("0", label)}
    assert set(recording.drawn) - again == expected
    assert all(label.rpartition("/")[0] + "/0" in expected for label in again)
    drawn = [data for data in recording.drawn.values() if len(data) >= 16]
    assert len(set(drawn)) == len(drawn)


def test_a_prover_that_draws_twice_is_noticed() -> None:
    class Repeating(Masks):
        def columns(self, table: Any, tree: Tree, padded: int) -> Any:
            return super().columns(table, Tree.MAIN, padded)

    one = hidden_case()
    prover = Prover(one.key, one.publics)
    prover.masks = Repeating(one.key.verification.parameters, Recording())
    with pytest.raises(AssertionError, match="drawn twice"):
        prover.run(one.example.traces)


# ---- K5: a seed for two proofs


def test_k5_no_seed_is_kept_that_a_second_proof_could_use() -> None:
    """The source has no state, every prover makes its own, and a prover runs once."""
    one = hidden_case()
    assert not vars(SystemRandomness())
    first, second = Prover(one.key, one.publics), Prover(one.key, one.publics)
    assert first.masks is not second.masks
    first.run(one.example.traces)
    with pytest.raises(UsageError, match="transcript"):
        first.run(one.example.traces)


def test_k5_what_one_seed_for_two_proofs_would_show() -> None:
    """The difference of openings is that of the witnesses: why the seed is for tests alone."""
    columns = [witness(number) for number in (1, 2)]
    runs = []
    for own in columns:
        run = alone(Interactive)(b"one seed")
        run.run({"line": own["line"]})
        runs.append(run.view["main rows of line"])
    slopes = [own["line"]["b"][0] for own in columns]
    assert (runs[0][1] - runs[1][1]) % P == (slopes[0] - slopes[1]) % P
    # Column b is constant, and so is the polynomial through it. Fresh seeds leave no such trace.
    other = alone(Interactive)(b"another seed")
    other.run({"line": columns[1]["line"]})
    fresh = other.view["main rows of line"]
    assert (runs[0][1] - fresh[1]) % P != (slopes[0] - slopes[1]) % P


# ---- K6: a quotient in one piece


class Constant(Air):
    """A column that is zero: no constraint has a degree above 1."""

    name = "constant"

    def eval(self, t: AirBuilder) -> None:
        t.every_row("zero", t.main("zero"))


@pytest.mark.parametrize("chosen", [Constant(6), fibonacci(6).system.tables[0].air])
def test_k6_a_masked_quotient_has_two_chunks_or_more(chosen: Air) -> None:
    (plain,) = System([chosen]).tables
    (table,) = System([chosen], zk=True).tables
    assert plain.quotient_chunks == 1
    assert table.quotient_chunks == 2
    parameters = hidden_case().key.verification.parameters
    (mask,) = Masks(parameters, SystemRandomness()).chunks(table)
    assert mask.shape == (mask_length(table.height, parameters), 5)


# ---- K4: two proofs share nothing


def hidden_proof(prover: type[Prover] = Prover, seed: bytes | None = None) -> ProofMap:
    one = hidden_case()
    source = None if seed is None else Seeded(seed)
    proof = prover(one.key, one.publics, one.context, None, source).run(one.example.traces)
    return ProofMap(one.key.verification, proof, one.publics, one.context)


def test_k4_two_proofs_of_one_witness_share_no_piece() -> None:
    assert shared_pieces(hidden_proof(), hidden_proof()) == set()


def test_k4_what_is_shared_is_noticed() -> None:
    one = hidden_proof(seed=b"a")
    assert shared_pieces(one, hidden_proof(seed=b"a")) == set(pieces(one))


class KnownSaltKeys(Masks):
    """Salts that differ within a proof, so that the verifier cannot object, and not between two."""

    def salt_key(self, label: str) -> bytes:
        return hashlib.sha256(label.encode()).digest()


def opened_salts(prover: type[Interactive]) -> set[bytes]:
    """At the one position where coins are fixed: three trees, two heights."""
    run = prover(secrets.token_bytes(8))
    run.run(witness(1))
    assert len(run.salts) == 6
    return run.salts


def test_k4_salts_are_shared_by_no_two_proofs() -> None:
    assert not opened_salts(Interactive) & opened_salts(Interactive)
    known: type[Interactive] = configured(Interactive, masks_type=KnownSaltKeys)  # type: ignore[assignment]
    assert opened_salts(known) == opened_salts(known)


def committed_rows(prover: type[Interactive]) -> set[bytes]:
    """All rows of main columns on the whole domain, opened or not."""
    seen: list[Commitment] = []

    def commit_main(self: Any, main: Any) -> Commitment:
        seen.append(prover.commit_main(self, main))
        return seen[0]

    run = configured(prover, commit_main=commit_main)(secrets.token_bytes(8))  # type: ignore[call-arg]
    run.run(witness(1))
    rows = set()
    for columns, table in zip(seen[0].columns, run.tables, strict=True):
        assert columns is not None
        for coset in range(1 << columns.log_blowup):
            values = columns.coset(coset)
            rows |= {row.tobytes() for row in values[:, : table.witness_width]}
    return rows


def test_k4_no_leaf_of_a_tree_is_committed_twice() -> None:
    assert not committed_rows(Interactive) & committed_rows(Interactive)
    bare = committed_rows(BARE_MAIN)
    assert bare == committed_rows(BARE_MAIN)


def test_a_proving_key_holds_nothing_of_a_witness() -> None:
    """Equal seeds give equal proofs, whatever was proven with the key in between."""
    one = hidden_case()
    before = prove(one.key, one.example.traces, one.publics, randomness=Seeded(b"k"))
    other = products(real=3)
    Prover(one.key, other.publics).run(other.traces)
    after = prove(one.key, one.example.traces, one.publics, randomness=Seeded(b"k"))
    assert before == after
