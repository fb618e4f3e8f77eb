"""What is published, printed and handed to customers does not depend on who owns what.

Two snapshots have equal ids, assets and totals; only the split of the totals differs, u-1's share
excepted. Both are proven with the same master key and, for once, the same randomness. What then
differs can only come from the balances: digests, roots, paths and bytes of proofs, nothing else.
"""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.mutations import ProofMap
from support.publications import SHAPE, accounts, proving_key, statement_of
from support.zk_pieces import shared_pieces, stream

import air.proving
from air.canonical_json import decode
from air.cli.main import main
from air.context import digest_to_hex, short_digest
from air.encoding import account_commitment, limbs
from air.inclusion.customer import CustomerFile
from air.inclusion.store import InclusionStore
from air.keys import verification_key
from air.proving import ProofRun, prove_snapshot
from air.publication import Publication
from air.registry import AMOUNT_LIMBS, Asset, Registry
from air.snapshot.check import load
from air.snapshot.manifest import Manifest, default_manifest_path, write_manifest
from air.snapshot.table import Snapshot
from air.verification import batch_contexts, batch_publics, context_shape
from air.witness import prepare_batch
from stark.merkle.multiproof import opening_bytes
from stark.prover.prove import prove

PROFILE = "proven100"
KEY = bytes(range(32))
ACCOUNTS = 12
SYMBOLS = ("BTC", "ETH")
OWN = 777_000_111_222_333
"""What u-1 holds of each asset in both snapshots."""

EVEN = [1_000_000_007_000_003 + 1_000_003 * number for number in range(ACCOUNTS - 1)]
WHALE = [sum(EVEN) - sum(range(13, 13 + ACCOUNTS - 2)), *range(13, 13 + ACCOUNTS - 2)]
"""Shares of u-2, u-3, ... in the one snapshot and in the other."""


@dataclass(frozen=True)
class World:
    """A snapshot, its publication, and what the phases of proving reported."""

    snapshot: Snapshot
    path: Path
    run: ProofRun
    phases: list[tuple[str, int, int]]

    @property
    def proof(self) -> bytes:
        return self.run.proof_path.read_bytes()

    def customer(self, account_id: str) -> CustomerFile:
        with InclusionStore(self.run.store_path) as store:
            return store.customer(account_id)


def build(folder: Path, shares: list[int]) -> World:
    path = folder / "snapshot.csv"
    rows = ["account_id,asset,equity"]
    for number, share in enumerate([OWN, *shares], start=1):
        rows += [f"u-{number},{symbol},{share}" for symbol in SYMBOLS]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    registry = Registry(tuple(Asset(symbol, 0) for symbol in SYMBOLS))
    manifest = Manifest("Example Exchange", "2026-11-01T00:00:00Z", 1, "spot", None, registry)
    write_manifest(default_manifest_path(path), manifest)
    snapshot = load(path)
    phases: list[tuple[str, int, int]] = []
    draws = count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_bytes", stream(b"bytes"))
        patch.setattr(secrets, "randbelow", lambda bound: (7919 * next(draws) + 5) % bound)
        run = prove_snapshot(
            snapshot,
            KEY,
            folder / "out",
            profile=PROFILE,
            progress=lambda one: phases.append((one.phase, one.done, one.total)),
        )
    return World(snapshot, path, run, phases)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, World]:
    return (
        build(tmp_path_factory.mktemp("world"), EVEN),
        build(tmp_path_factory.mktemp("world"), WHALE),
    )


def proof_map(world: World) -> ProofMap:
    """Of the only batch."""
    publication = Publication.decode(world.proof)
    (batch,) = publication.batches
    return ProofMap(
        verification_key(PROFILE, context_shape(publication.statement.context)),
        batch.proof,
        batch_publics(True, publication.digest_start, batch),
        batch_contexts(publication.statement)[0],
    )


# ---- the files


def test_the_snapshots_differ_in_the_split_alone(worlds: tuple[World, World]) -> None:
    one, other = worlds
    assert one.snapshot.totals() == other.snapshot.totals()
    assert one.snapshot.account_holdings(0) == other.snapshot.account_holdings(0)
    for number in range(1, ACCOUNTS):
        assert one.snapshot.account_holdings(number) != other.snapshot.account_holdings(number)


def test_statements_differ_in_the_root_alone(worlds: tuple[World, World]) -> None:
    first, second = (decode(world.run.statement_path.read_bytes()) for world in worlds)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == {"root"}


def test_all_of_a_proof_file_but_root_and_proof_is_equal(worlds: tuple[World, World]) -> None:
    first, second = (Publication.decode(world.proof) for world in worlds)
    assert first.blind == second.blind
    assert first.digest_start == second.digest_start
    assert [b.digest_out for b in first.batches] == [b.digest_out for b in second.batches]
    assert first.statement.context == second.statement.context


def test_sizes_of_files(worlds: tuple[World, World]) -> None:
    """Equal, but for the proof: its openings share digests where queries lie close together, and
    the positions of queries, a hash of all that was committed, differ between any two proofs. What
    is left when their share is taken off is equal."""
    one, other = worlds
    for name in ("statement_path", "store_path"):
        sizes = {getattr(world.run, name).stat().st_size for world in worlds}
        assert len(sizes) == 1, name
    rests = set()
    for world in worlds:
        trees = proof_map(world).trees.values()
        opened = sum(opening_bytes(tree.shape, tree.indices) for tree in trees)
        rests.add(len(world.proof) - opened)
    assert len(rests) == 1
    first, second = (proof_map(world) for world in (one, other))
    assert first.data("parameters") == second.data("parameters")
    assert first.data("shape") == second.data("shape")
    assert first.indices != second.indices


def secret_texts(world: World) -> dict[str, bytes]:
    """What must not be legible anywhere in public: ids, balances, keys, salts."""
    found = {"master key": KEY}
    for number in range(ACCOUNTS):
        account_id = world.snapshot.account_id(number)
        customer = world.customer(account_id.decode())
        found[f"salt {number}"] = customer.salt
        commitment = account_commitment(account_id, customer.salt)
        found[f"commitment {number}"] = b"".join(v.to_bytes(4, "little") for v in commitment)
        amount = world.snapshot.account_holdings(number)[0][1]
        if amount > 1 << 45:
            rows = limbs(amount, AMOUNT_LIMBS)
            found[f"limbs {number}"] = b"".join(v.to_bytes(4, "little") for v in rows)
            found[f"balance {number}"] = str(amount).encode()
    return found


def legible(data: bytes, secret: bytes) -> bool:
    return secret in data or secret.hex().encode() in data


def test_no_secret_is_legible_in_what_is_public(worlds: tuple[World, World]) -> None:
    for world in worlds:
        public = world.proof + world.run.statement_path.read_bytes()
        for name, secret in secret_texts(world).items():
            assert not legible(public, secret), name
        # The store, which stays with the exchange, is where they are.
        store = world.run.store_path.read_bytes()
        assert all(legible(store, s) for n, s in secret_texts(world).items() if "salt" in n)


# ---- what is printed


def printed(world: World, *arguments: str | Path) -> str:
    """Exit code and output, digests, root, length of the proof, folder and seconds blotted out."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    text = f"{result.exit_code}\n{result.stdout}\n{result.stderr}"
    digest = world.run.statement.digest()
    length = len(Publication.decode(world.proof).batches[0].proof)
    size = len(world.proof)
    blots = {
        digest.hex(): "DIGEST",
        short_digest(digest): "SHORT",
        digest_to_hex(world.run.statement.root): "ROOT",
        f"{length:,} bytes": "LENGTH",
        f'"bytes": {size}': "SIZE",
        f"({size / 1e3:.1f} kB)": "SIZE",
        str(world.path.parent): "FOLDER",
    }
    for own, blot in blots.items():
        text = text.replace(own, blot)
    return text


def without_times(text: str) -> list[str]:
    """Lines without those of the seconds that phases took, which are digits and names."""
    kept = []
    for line in text.splitlines():
        bare = line.translate(str.maketrans("", "", string.digits))
        timed = line.startswith(("time ", '{"event": "progress"')) or any(
            f'"{phase}":' in line for phase in PHASES
        )
        kept.append(bare if timed else line)
    return kept


PHASES = ("placement", "hashing accounts", "proving key", "proving", "checking the proof", "files")


def test_verifiers_print_the_same(worlds: tuple[World, World]) -> None:
    for extra in ((), ("--json",)):
        one, other = (
            printed(world, "verify", world.run.proof_path, "--profile", PROFILE, *extra)
            for world in worlds
        )
        assert one.startswith("0\n")
        assert one == other


def test_proving_prints_the_same(
    worlds: tuple[World, World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the run as it was; and its phases are the same."""
    keyfile = tmp_path / "key"
    assert CliRunner().invoke(main, ["keygen", str(keyfile)]).exit_code == 0
    assert worlds[0].phases == worlds[1].phases
    for extra in ((), ("--json",)):
        outputs = []
        for number, world in enumerate(worlds):
            monkeypatch.setattr(air.proving, "prove_snapshot", lambda *_, run=world.run, **__: run)
            out = tmp_path / f"{number}{len(extra)}"
            text = printed(world, "prove", world.path, "--key", keyfile, "--out", out, *extra)
            outputs.append(without_times(text))
        assert outputs[0][0] == "0"
        assert outputs[0] == outputs[1]


def test_customers_print_the_same_unless_it_is_their_own_balance(
    worlds: tuple[World, World], tmp_path: Path
) -> None:
    for account, equal in (("u-1", True), ("u-2", False)):
        for extra in ((), ("--json",)):
            outputs = []
            for number, world in enumerate(worlds):
                file = tmp_path / f"{account} {number}{len(extra)}.json"
                directory = world.run.directory
                exported = printed(
                    world,
                    *(
                        "inclusion",
                        "export",
                        directory,
                        "--account",
                        account,
                        "--out",
                        file,
                        *extra,
                    ),
                )
                checked = printed(
                    world,
                    *("inclusion", "verify", file, "--proof", world.run.proof_path),
                    *("--profile", PROFILE, "--account", account, *extra),
                )
                assert checked.startswith("0\n")
                outputs.append((exported.replace(str(file), "FILE"), checked))
            assert (outputs[0] == outputs[1]) is equal


# ---- a customer's file


def test_a_customers_file_shows_siblings_and_nothing_else_of_others(
    worlds: tuple[World, World],
) -> None:
    first, second = (world.customer("u-1") for world in worlds)
    fields = vars(first)
    differing = {name for name in fields if fields[name] != vars(second)[name]}
    assert differing == {"path", "statement_digest"}
    assert len(first.path) == len(second.path) == worlds[0].run.statement.context.depth
    for world in worlds:
        data = world.customer("u-1").encode()
        keys = ["account_id", "format", "holdings", "path", "salt", "slot", "statement_digest"]
        assert sorted(json.loads(data)) == keys
        for name, secret in secret_texts(world).items():
            if name not in ("salt 0", "balance 0"):
                assert not legible(data, secret), name


def test_a_second_proof_of_a_snapshot_has_other_salts_and_digests(
    worlds: tuple[World, World],
) -> None:
    """Equal balances, other nonce: what a customer saw of the others does not come again."""
    world = worlds[0]
    again = prove_free(world)
    assert again.customer("u-1").salt != world.customer("u-1").salt
    assert not set(again.customer("u-1").path) & set(world.customer("u-1").path)


def prove_free(world: World) -> World:
    """The snapshot proven once more, with randomness of its own."""
    run = prove_snapshot(world.snapshot, KEY, world.path.parent / "again", profile=PROFILE)
    return World(world.snapshot, world.path, run, [])


# ---- K4 for a real batch


def test_k4_two_proofs_of_one_batch_share_no_piece() -> None:
    """Equal statement, equal context, equal witness: fresh masks are all that differs."""
    key = proving_key()
    blinds = (tuple(range(1, 9)), tuple(range(11, 19)))
    batch = prepare_batch(SHAPE, accounts(1), [0] * SHAPE.capacity, *blinds, True)
    context = batch_contexts(statement_of([batch]))[0]
    maps = [
        ProofMap(
            key.verification,
            prove(key, batch.traces(), batch.publics, context),
            batch.publics,
            context,
        )
        for _ in range(2)
    ]
    assert shared_pieces(*maps) == set()
    assert shared_pieces(maps[0], maps[0]) >= {"digests", "salts", "rows", "terminals"}
