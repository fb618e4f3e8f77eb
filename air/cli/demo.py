"""``demo``: the whole story in one command, with three frauds that must not pass."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from air.cli.frauds import prove_negative_balance, with_other_balance, with_smaller_total
from air.cli.outcome import PATH, command_errors, json_option, profile_option, size_text
from air.cli.progress import run_progress
from air.cli.prove import require_free
from air.context import short_digest
from air.inclusion.check import check_inclusion
from air.registry import format_amount
from air.report import cut_bits, error_text
from air.report_json import error_json
from air.verification import verify_publication
from air.verify import EXIT_OK, EXIT_REJECTED, dump
from stark.errors import Code, Rejected

if TYPE_CHECKING:
    from air.proving import ProofRun
    from air.snapshot.table import Snapshot

_HOLDINGS = 5.0
_SEED = 1
_SHOWN_REASON = 240


@dataclass
class _Story:
    """What happens, told as it happens, and kept for ``--json``."""

    folder: Path
    profile: str
    quiet: bool
    steps: list[dict[str, Any]] = field(default_factory=list)
    _started: float = 0.0

    @property
    def ok(self) -> bool:
        return all(step["ok"] for step in self.steps)

    def tell(self, text: str) -> None:
        if not self.quiet:
            click.echo(text)

    def begin(self, name: str, text: str) -> None:
        self.steps.append({"step": name, "ok": False})
        self.tell(f"\n{len(self.steps)}. {text}")
        self._started = time.perf_counter()

    def end(self, text: str, ok: bool = True, **fields: Any) -> None:
        seconds = time.perf_counter() - self._started
        self.steps[-1].update({"ok": ok, "seconds": round(seconds, 3), **fields})
        self.tell(f"   {text}  [{seconds:.2f} s]")

    def refusal(self, code: Code, attempt: Callable[[], object]) -> None:
        """End a step that is right only if ``attempt`` is rejected, and for this reason."""
        try:
            attempt()
        except Rejected as error:
            words = "Refused." if error.code is code else f"Refused, but not as {code}."
            reason = error_text(error)
            if len(reason) > _SHOWN_REASON:
                reason = reason[:_SHOWN_REASON] + " ..."
            self.end(f"{words} {reason}", error.code is code, rejection=error_json(error))
            return
        self.end("ACCEPTED, which must not happen.", False)


@click.command(short_help="Prove, verify and check a small exchange; then try to cheat.")
@click.option("--dir", "folder", type=PATH, help="Keep all files here; a new or empty folder.")
@click.option("--accounts", type=click.IntRange(min=8), default=4096, show_default=True)
@click.option("--assets", type=click.IntRange(1, 1 << 14), default=200, show_default=True)
@profile_option
@json_option
@command_errors
def demo(folder: Path | None, accounts: int, assets: int, profile: str, as_json: bool) -> int:
    """Generate, prove, verify and check a small exchange; then try to cheat, three times.

    Exit code 0 only if every step did what it should.
    """
    place: AbstractContextManager[str]
    if folder is None:
        place = tempfile.TemporaryDirectory(prefix="liabilities-demo-")
    else:
        require_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        place = nullcontext(os.fspath(folder))
    started = time.perf_counter()
    with place as name:
        story = _Story(Path(name), profile, as_json)
        _tell(story, accounts, assets)
    if as_json:
        click.echo(dump({"command": "demo", "ok": story.ok, "steps": story.steps}))
    else:
        _summarise(story, folder, time.perf_counter() - started)
    return EXIT_OK if story.ok else EXIT_REJECTED


def _tell(story: _Story, accounts: int, assets: int) -> None:
    snapshot = _generate(story, accounts, assets)
    master_key = _make_key(story)
    run = _prove(story, snapshot, master_key)
    proof = run.proof_path.read_bytes()
    _verify(story, snapshot, proof)
    customer = _check_customer(story, snapshot, run, proof)
    _try_smaller_total(story, proof)
    _try_other_balance(story, customer, proof)
    _try_negative_balance(story, snapshot, master_key)


def _generate(story: _Story, accounts: int, assets: int) -> Snapshot:
    story.begin(
        "generate", f"An exchange with {accounts:,} accounts and {assets:,} assets is made up."
    )
    from air.snapshot.check import load
    from air.snapshot.generate import generate

    path = story.folder / "snapshot.csv"
    generate(path, accounts, assets, min(_HOLDINGS, assets), _SEED)
    snapshot = load(path)
    story.end(
        f"snapshot.csv: {snapshot.holdings:,} holdings, {size_text(path.stat().st_size)}, "
        "no faults.",
        accounts=snapshot.accounts,
        assets=len(snapshot.registry),
        holdings=snapshot.holdings,
    )
    return snapshot


def _make_key(story: _Story) -> bytes:
    story.begin("keygen", "The exchange draws a master key, from which every account's salt comes.")
    from air.master_key import generate_master_key, read_master_key

    path = story.folder / "master.key"
    generate_master_key(path)
    story.end("master.key: 32 bytes that only their owner may read.")
    return read_master_key(path)


def _prove(story: _Story, snapshot: Snapshot, master_key: bytes) -> ProofRun:
    story.begin(
        "prove",
        f"It proves what it owes, at the profile {story.profile}. The first proof on a machine "
        "compiles the kernels.",
    )
    from air.proving import prove_snapshot

    with run_progress(story.quiet) as progress:
        run = prove_snapshot(
            snapshot,
            master_key,
            story.folder / "publication",
            profile=story.profile,
            progress=progress,
        )
    size = run.proof_path.stat().st_size
    phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.seconds.items())
    story.end(
        f"{run.proof_path.name}: {size_text(size)} in {run.statement.batches} batch"
        f"{'es' if run.statement.batches > 1 else ''} ({phases}).",
        proof_bytes=size,
        batches=run.statement.batches,
        phases=run.seconds,
        statement_digest=run.statement.digest().hex(),
    )
    return run


def _verify(story: _Story, snapshot: Snapshot, proof: bytes) -> None:
    story.begin("verify", "Anyone checks the proof file, with nothing but Python.")
    acceptance = verify_publication(proof, profiles=(story.profile,))
    statement = acceptance.statement
    right = list(statement.totals) == snapshot.totals()
    parameters, security = acceptance.key.parameters, acceptance.security
    words = "are" if right else "ARE NOT"
    story.end(
        f"Accepted: {parameters.queries} queries, {cut_bits(security.minimum)} bits or more in "
        f"every round; the totals {words} those of the snapshot.",
        right,
        queries=parameters.queries,
        minimum_bits=str(security.minimum),
    )
    shown = list(zip(statement.context.registry, statement.totals, strict=True))[:3]
    for asset, total in shown:
        story.tell(f"   {asset.symbol:<8} {format_amount(total, asset.decimals)}")
    if len(statement.totals) > len(shown):
        story.tell(f"   ... and {len(statement.totals) - len(shown)} more")
    story.tell(f"   statement {short_digest(statement.digest())}")


def _check_customer(story: _Story, snapshot: Snapshot, run: ProofRun, proof: bytes) -> bytes:
    account_id = snapshot.account_id(snapshot.accounts // 2).decode()
    story.begin("inclusion", f"The customer {account_id} gets a file and checks it.")
    from air.inclusion.store import InclusionStore

    path = story.folder / "customer.json"
    with InclusionStore(run.store_path) as store:
        store.export(account_id, path)
    data = path.read_bytes()
    customer = check_inclusion(data, proof, account_id, (story.profile,)).customer
    held = {balance.symbol: balance.equity for balance in customer.balances}
    expected = {
        snapshot.registry[asset].symbol: amount
        for asset, amount in snapshot.account_holdings(snapshot.accounts // 2)
    }
    right = held == expected
    words = "are part of the totals" if right else "ARE NOT those of the snapshot"
    story.end(
        f"customer.json: {size_text(len(data))}; its {len(held)} balances {words}.",
        right,
        customer_bytes=len(data),
    )
    return data


def _try_smaller_total(story: _Story, proof: bytes) -> None:
    story.begin("fraud: total", "Fraud: the exchange halves a total in the proof file.")
    tampered = with_smaller_total(proof)
    (story.folder / "fraud-total.proof").write_bytes(tampered)
    story.refusal(Code.STATEMENT, lambda: verify_publication(tampered, profiles=(story.profile,)))


def _try_other_balance(story: _Story, customer: bytes, proof: bytes) -> None:
    story.begin(
        "fraud: balance",
        "Fraud: a customer's file shows one minor unit more than the tree holds.",
    )
    tampered = with_other_balance(customer)
    (story.folder / "fraud-balance.json").write_bytes(tampered)
    story.refusal(
        Code.INCLUSION, lambda: check_inclusion(tampered, proof, profiles=(story.profile,))
    )


def _try_negative_balance(story: _Story, snapshot: Snapshot, master_key: bytes) -> None:
    story.begin(
        "fraud: negative balance",
        "Fraud: the exchange switches its own checks off, gives one account a negative balance "
        "and proves everything anew.",
    )
    with run_progress(story.quiet) as progress:
        fraud = prove_negative_balance(snapshot, master_key, story.profile, progress)
    (story.folder / "fraud-negative.proof").write_bytes(fraud.proof)
    asset = snapshot.registry[fraud.asset]
    story.tell(
        f"   The total of {asset.symbol} falls from "
        f"{format_amount(fraud.honest_total, asset.decimals)} to "
        f"{format_amount(fraud.claimed_total, asset.decimals)}; every hash and sum is right."
    )
    # The look-ups of the negative limbs have no counterpart in the range table.
    story.refusal(Code.BUS, lambda: verify_publication(fraud.proof, profiles=(story.profile,)))


def _summarise(story: _Story, folder: Path | None, seconds: float) -> None:
    click.echo("")
    for step in story.steps:
        click.echo(f"  {'as it should be' if step['ok'] else 'WRONG          '}  {step['step']}")
    click.echo("")
    click.echo(
        f"Every step did what it should, in {seconds:.1f} s."
        if story.ok
        else "SOMETHING DID NOT DO WHAT IT SHOULD: see above."
    )
    if folder is not None:
        click.echo(f"Try it yourself: liabilities verify {folder / 'publication'}/*.proof")
