"""A customer's check: their holdings are a leaf under the root of a proven statement.

The root, the depth, the number of batches and the assets are those of the statement in the proof
file, never anything that the customer's file says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from air.canonical_json import abbreviate
from air.context import Statement, digest_to_hex, short_digest
from air.encoding import account_commitment, leaf_digest
from air.inclusion.customer import CustomerFile
from air.keys import DEFAULT_PROFILE
from air.registry import Registry, format_amount
from air.tree import path_root
from air.verification import Acceptance, Check, verify_publication
from stark.errors import Code, Rejected

COMPARE_NOTE = "compare these yourself: id and balances are those of a file from the exchange"


@dataclass(frozen=True)
class CustomerBalance:
    """One balance: in minor units, and as text in asset units, exact, with all decimals."""

    symbol: str
    equity: int
    amount: str


@dataclass(frozen=True)
class CustomerReport:
    """What a customer's check established.

    Attributes
    ----------
    account_id
        The account's id, quoted and escaped to ASCII: look-alikes and invisible characters show.
    balances
        What the statement's totals contain for this account, in registry order.
    slot
        Leaf slot over all batches.
    exchange, time
        From the statement.
    statement_digest, short_digest
        32 bytes in hexadecimal, and its first 8 for the eye.
    note
        What is left to the customer; ``None`` if the caller said which account it must be.
    """

    account_id: str
    balances: tuple[CustomerBalance, ...]
    slot: int
    exchange: str
    time: str
    statement_digest: str
    short_digest: str
    note: str | None


@dataclass(frozen=True)
class InclusionResult:
    """An accepted proof file and an accepted customer's file."""

    acceptance: Acceptance
    customer: CustomerReport


def check_inclusion(
    customer_bytes: bytes,
    proof_bytes: bytes,
    account_id: str | None = None,
    profiles: Collection[str] = (DEFAULT_PROFILE,),
    expected_digest: bytes | None = None,
    progress: Callable[[Check], None] | None = None,
) -> InclusionResult:
    """Verify a proof file, then a customer's file against its statement.

    Parameters
    ----------
    customer_bytes, proof_bytes
        The two files.
    account_id
        The account that it must be; ``None`` if whoever reads the report compares it.
    profiles, expected_digest, progress
        See :func:`air.verification.verify_publication`.

    Raises
    ------
    Rejected
        With the class, the check, what was expected and what was found; nothing else.
    """
    customer = CustomerFile.decode(customer_bytes)
    acceptance = verify_publication(proof_bytes, expected_digest, profiles, progress)
    return InclusionResult(acceptance, check_customer(customer, acceptance.statement, account_id))


def check_customer(
    customer: CustomerFile, statement: Statement, account_id: str | None = None
) -> CustomerReport:
    """Check a customer's file against the statement of a verified proof file.

    It says something only if the proof of ``statement`` was verified: see :func:`check_inclusion`.

    Raises
    ------
    Rejected
        ``Statement`` if the file names another statement or is about another account than
        ``account_id``; ``Inclusion`` if path length, slot or assets do not fit the statement, or
        if the path does not lead from these holdings to its root. The last is found out only
        after all others have passed.
    """
    digest = statement.digest()
    if customer.statement_digest != digest:
        raise Rejected(
            Code.STATEMENT,
            "the customer's file belongs to this statement",
            digest.hex(),
            customer.statement_digest.hex(),
        )
    if account_id is not None and customer.account_id != account_id:
        raise Rejected(
            Code.STATEMENT,
            "account id",
            escape_account_id(account_id),
            escape_account_id(customer.account_id),
        )
    _check_place(customer, statement)
    registry = statement.context.registry
    rows = _indexed_holdings(customer, registry)
    commitment = account_commitment(customer.account_id.encode("utf-8"), customer.salt)
    root = path_root(leaf_digest(commitment, rows), customer.slot, customer.path)
    if root != statement.root:
        raise Rejected(
            Code.INCLUSION,
            "id, holdings, salt, slot and path lead to the root of the statement",
            digest_to_hex(statement.root),
            digest_to_hex(root),
        )
    return CustomerReport(
        account_id=escape_account_id(customer.account_id),
        balances=tuple(
            CustomerBalance(
                registry[asset].symbol, equity, format_amount(equity, registry[asset].decimals)
            )
            for asset, equity in rows
        ),
        slot=customer.slot,
        exchange=statement.context.exchange,
        time=statement.context.time,
        statement_digest=digest.hex(),
        short_digest=short_digest(digest),
        note=COMPARE_NOTE if account_id is None else None,
    )


def escape_account_id(account_id: str) -> str:
    """The id quoted and in ASCII; two ids that differ never look the same."""
    return ascii(account_id)


def _check_place(customer: CustomerFile, statement: Statement) -> None:
    """Rejected(Inclusion) unless path and slot have a place in the tree of the statement."""
    depth = statement.context.depth
    if len(customer.path) != depth:
        raise Rejected(Code.INCLUSION, "length of the path", depth, len(customer.path))
    # Slots to the right of the last batch are below absent batches: no account is proven there.
    slots = statement.batches * statement.context.shape.slots
    if customer.slot >= slots:
        raise Rejected(Code.INCLUSION, "slot", f"0 to {slots - 1}", customer.slot)


def _indexed_holdings(customer: CustomerFile, registry: Registry) -> list[tuple[int, int]]:
    """(asset index, minor units); Rejected(Inclusion) unless listed and strictly increasing."""
    rows: list[tuple[int, int]] = []
    for symbol, equity in customer.holdings:
        asset = registry.index(symbol)
        if asset is None:
            raise Rejected(
                Code.INCLUSION, "asset of a holding", "a listed asset", abbreviate(symbol)
            )
        if rows and asset <= rows[-1][0]:
            raise Rejected(
                Code.INCLUSION,
                "assets of the holdings are in the order of the statement, each once",
                f"an asset after {registry[rows[-1][0]].symbol}",
                symbol,
            )
        rows.append((asset, equity))
    return rows
