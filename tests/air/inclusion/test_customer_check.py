"""The customer's check: what is accepted, and every way to be refused."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from inclusion_example import ACCOUNTS, BATCHES, EXAMPLE, MASTER_KEY, NONCE, SLOTS

import air
from air.context import Context, Statement
from air.encoding import account_commitment, account_salt, leaf_digest
from air.inclusion.check import COMPARE_NOTE, check_customer, check_inclusion
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.registry import Asset, Registry
from air.tree import EMPTY_BATCH, path_root
from stark.errors import Code, Rejected
from stark.field.koalabear import P

STATEMENT = EXAMPLE.statement
FILE = EXAMPLE.file("u-1")
BTC, USDT = FILE.holdings


def refusal(
    customer: CustomerFile, statement: Statement = STATEMENT, account_id: str | None = None
) -> Rejected:
    with pytest.raises(Rejected) as caught:
        check_customer(customer, statement, account_id)
    return caught.value


def require_mismatch(customer: CustomerFile, statement: Statement = STATEMENT) -> None:
    """Refused because the path leads elsewhere: every earlier check has passed."""
    error = refusal(customer, statement)
    assert error.code is Code.INCLUSION
    assert "lead to the root" in error.check


@pytest.mark.parametrize("account_id", sorted(ACCOUNTS))
def test_every_account_is_accepted(account_id: str) -> None:
    file = CustomerFile.decode(EXAMPLE.file(account_id).encode())
    slot, rows = ACCOUNTS[account_id]
    for given_id in (None, account_id):
        report = check_customer(file, STATEMENT, given_id)
        assert report.slot == slot
        registry = STATEMENT.context.registry
        assert [(b.symbol, b.equity) for b in report.balances] == [
            (registry[asset].symbol, amount) for asset, amount in rows
        ]
        assert report.note == (COMPARE_NOTE if given_id is None else None)


def test_report_for_the_eye() -> None:
    report = check_customer(EXAMPLE.file("zoe\u0308"), STATEMENT)
    assert report.account_id == r"'zoe\u0308'"
    assert [balance.amount for balance in report.balances] == [
        *("0.00000001", "0.000000000000000002", "0.000003", "4")
    ]
    assert (report.exchange, report.time) == ("Example Exchange", "2026-11-01T00:00:00Z")
    assert report.statement_digest == STATEMENT.digest().hex()
    assert report.statement_digest.startswith(report.short_digest.replace("-", ""))
    assert "compare these yourself" in str(report.note)


def test_another_account_than_the_one_given() -> None:
    error = refusal(FILE, account_id="u-2")
    assert (error.code, error.check) == (Code.STATEMENT, "account id")
    assert (error.expected, error.got) == ("'u-2'", "'u-1'")
    assert refusal(FILE, account_id="").code is Code.STATEMENT
    assert refusal(FILE, account_id="\udcff").code is Code.STATEMENT


@pytest.mark.parametrize("account_id", ["u-1", "U-1", "zoe\u0308"])
def test_ids_are_compared_without_normalisation(account_id: str) -> None:
    """Catalogue M16: another case or normal form is another id, given or in the file."""
    file = EXAMPLE.file(account_id)
    other = unicodedata.normalize("NFC", account_id).swapcase()
    assert refusal(file, account_id=other).code is Code.STATEMENT
    composed = unicodedata.normalize("NFC", account_id)
    if composed != account_id:
        assert refusal(file, account_id=composed).code is Code.STATEMENT
        require_mismatch(replace(file, account_id=composed))
    require_mismatch(replace(file, account_id=other))


def test_one_leaf_for_two_accounts() -> None:
    """Catalogue M4: same balances, same slot, even the same salt; the leaf binds the id."""
    require_mismatch(replace(FILE, account_id="u-3"))
    require_mismatch(replace(EXAMPLE.file("U-1"), account_id="u-1"))
    require_mismatch(replace(EXAMPLE.file("U-1"), account_id="u-1", salt=FILE.salt))


def test_bytes_cannot_move_between_id_and_salt() -> None:
    require_mismatch(replace(FILE, account_id="u-", salt=b"1" + FILE.salt[:31]))


@pytest.mark.parametrize("size", [0, 8, 16, 31, 33, 64])
def test_salt_of_another_length(size: int) -> None:
    """Catalogue M8: a short salt would let others guess id and balances."""
    with pytest.raises(Rejected) as caught:
        check_customer(replace(FILE, salt=bytes(size)), STATEMENT)
    assert caught.value.code is Code.INCLUSION


def test_salts_of_another_snapshot() -> None:
    for epoch, nonce in ((8, NONCE), (7, bytes(32))):
        salt = account_salt(MASTER_KEY, epoch, nonce, b"u-1")
        require_mismatch(replace(FILE, salt=salt))


def test_slot_and_path_of_another_place() -> None:
    """Catalogue M10."""
    for slot in range(BATCHES * SLOTS):
        if slot != FILE.slot:
            require_mismatch(replace(FILE, slot=slot))
            require_mismatch(replace(FILE, path=EXAMPLE.path(slot)))
            require_mismatch(replace(FILE, slot=slot, path=EXAMPLE.path(slot)))


def test_slot_aliases() -> None:
    """Only as many bits as the path is long decide left and right: the others must be zero."""
    depth = STATEMENT.context.depth
    file = EXAMPLE.file("u-2")
    commitment = account_commitment(b"u-2", file.salt)
    leaf = leaf_digest(commitment, ACCOUNTS["u-2"][1])
    for slot in (file.slot + (1 << depth), file.slot + (5 << depth)):
        assert path_root(leaf, slot, file.path) == STATEMENT.root
        error = refusal(replace(file, slot=slot))
        assert (error.code, error.check) == (Code.INCLUSION, "slot")


def test_absent_batches_hold_nobody() -> None:
    path = ((0,) * 8,) * 3 + (EXAMPLE.nodes[2][1], EXAMPLE.upper[1][0])
    for slot in range(BATCHES * SLOTS, (BATCHES + 1) * SLOTS):
        error = refusal(replace(FILE, slot=slot, path=path))
        assert (error.code, error.check) == (Code.INCLUSION, "slot")
    # The root of an absent batch is a fixed value that no leaf is known to lead to.
    assert EXAMPLE.upper[0][3] == EMPTY_BATCH
    last = replace(EXAMPLE.file("u-2"), slot=BATCHES * SLOTS - 1)
    assert check_customer(last, STATEMENT).slot == BATCHES * SLOTS - 1


@pytest.mark.parametrize("path", [(), FILE.path[:-1], FILE.path[1:], (*FILE.path, (0,) * 8)])
def test_path_of_another_length(path: tuple[tuple[int, ...], ...]) -> None:
    error = refusal(replace(FILE, path=path))
    assert (error.code, error.check) == (Code.INCLUSION, "length of the path")


def test_a_node_does_not_pass_as_a_leaf() -> None:
    """A path one shorter, from a node above the leaf, ends in the same root: length decides."""
    node = EXAMPLE.nodes[0][SLOTS // 2]
    assert path_root(node, 0, FILE.path[1:]) == STATEMENT.root
    assert refusal(replace(FILE, path=FILE.path[1:])).code is Code.INCLUSION


@pytest.mark.parametrize(
    ("holdings", "check"),
    [
        ((CustomerHolding("DOGE", 1),), "asset of a holding"),
        ((CustomerHolding("btc", 1),), "asset of a holding"),
        ((CustomerHolding("", 1),), "asset of a holding"),
        ((BTC, USDT, CustomerHolding("DOGE", 0)), "asset of a holding"),
        ((USDT, BTC), "in the order of the statement"),
        ((BTC, BTC), "in the order of the statement"),
        ((BTC, CustomerHolding("BTC", 0), USDT), "in the order of the statement"),
    ],
)
def test_assets_unknown_repeated_or_reordered(
    holdings: tuple[CustomerHolding, ...], check: str
) -> None:
    error = refusal(replace(FILE, holdings=holdings))
    assert error.code is Code.INCLUSION
    assert check in error.check


@pytest.mark.parametrize(
    "holdings",
    [
        (BTC,),
        (USDT,),
        (BTC, CustomerHolding("ETH", 0), USDT),
        (BTC, USDT, CustomerHolding("JPY", 0)),
        (BTC, CustomerHolding("USDT", 12_500_001)),
        (CustomerHolding("BTC", 0), USDT),
        (CustomerHolding("BTC", 50_000_000 + P), USDT),
        (CustomerHolding("BTC", 50_000_000 + (1 << 60)), USDT),
        (CustomerHolding("BTC", 12_500_000), CustomerHolding("USDT", 50_000_000)),
        (BTC, CustomerHolding("JPY", 12_500_000)),
    ],
)
def test_holdings_are_exactly_the_hashed_rows(holdings: tuple[CustomerHolding, ...]) -> None:
    require_mismatch(replace(FILE, holdings=holdings))


def test_an_account_that_holds_nothing_is_one_row_of_zero() -> None:
    file = EXAMPLE.file("nothing")
    assert [balance.amount for balance in check_customer(file, STATEMENT).balances] == [
        "0.00000000"
    ]
    require_mismatch(replace(file, holdings=(CustomerHolding("ETH", 0),)))
    with pytest.raises(Rejected) as caught:
        check_customer(replace(file, holdings=()), STATEMENT)
    assert caught.value.code is Code.INCLUSION


def changed(context: Context) -> Statement:
    return replace(STATEMENT, context=context)


def test_other_units() -> None:
    """Catalogue M17: with other decimals the same number is another balance."""
    assets = (Asset("BTC", 7), *STATEMENT.context.registry.assets[1:])
    statement = changed(replace(STATEMENT.context, registry=Registry(assets)))
    assert refusal(FILE, statement).code is Code.STATEMENT


def test_file_of_another_statement() -> None:
    lane = STATEMENT.root[7]
    others = [
        changed(replace(STATEMENT.context, epoch=8)),
        changed(replace(STATEMENT.context, time="2026-11-01T00:00:01Z")),
        replace(STATEMENT, totals=(*STATEMENT.totals[:3], STATEMENT.totals[3] + 1)),
        replace(STATEMENT, root=(*STATEMENT.root[:7], (lane + 1) % P)),
    ]
    for statement in others:
        assert refusal(FILE, statement).code is Code.STATEMENT
    assert refusal(replace(FILE, statement_digest=bytes(32))).code is Code.STATEMENT


def test_root_comes_from_the_statement_alone() -> None:
    """A file of a tree of its own is refused, whatever statement it names."""
    root = (*STATEMENT.root[:7], (STATEMENT.root[7] + 1) % P)
    other = replace(STATEMENT, root=root)
    require_mismatch(replace(FILE, statement_digest=other.digest()), other)


def test_account_left_out() -> None:
    """Catalogue M18: without a leaf there is no slot and path that would do."""
    salt = account_salt(MASTER_KEY, 7, NONCE, b"left out")
    for slot in range(BATCHES * SLOTS):
        path = EXAMPLE.path(slot)
        require_mismatch(replace(FILE, account_id="left out", salt=salt, slot=slot, path=path))


def test_refused_before_anything_is_hashed() -> None:
    """Cheap checks are named even when the leaf would not match either."""
    wrong = replace(FILE, salt=bytes(32))
    require_mismatch(wrong)
    assert refusal(replace(wrong, slot=24)).check == "slot"
    assert refusal(replace(wrong, path=wrong.path[1:])).check == "length of the path"
    assert refusal(replace(wrong, holdings=(USDT, BTC))).check != refusal(wrong).check
    assert refusal(wrong, account_id="u-2").check == "account id"


OTHERS = {
    "account_id": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    "salt": st.binary(min_size=32, max_size=32),
    "slot": st.integers(0, 64),
    "holdings": st.lists(
        st.builds(
            CustomerHolding,
            st.sampled_from(["BTC", "ETH", "USDT", "JPY"]),
            st.sampled_from([0, 50_000_000, 12_500_000]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    "path": st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(0, P - 1)).map(
        lambda at: (
            *FILE.path[: at[0]],
            (*FILE.path[at[0]][: at[1]], at[2], *FILE.path[at[0]][at[1] + 1 :]),
            *FILE.path[at[0] + 1 :],
        )
    ),
    "statement_digest": st.binary(min_size=32, max_size=32),
}


@settings(max_examples=150)
@given(st.data())
def test_any_field_tampered_with_is_refused(data: st.DataObject) -> None:
    assert sorted(OTHERS) == sorted(field.name for field in fields(CustomerFile))
    name = data.draw(st.sampled_from(sorted(OTHERS)))
    file = replace(FILE, **{name: data.draw(OTHERS[name])})
    assume(file != FILE)
    code = Code.STATEMENT if name == "statement_digest" else Code.INCLUSION
    assert refusal(file).code is code


def test_files_of_two_customers_do_not_mix() -> None:
    other = EXAMPLE.file("U-1")
    for field in ("account_id", "salt", "slot", "path"):
        require_mismatch(replace(FILE, **{field: getattr(other, field)}))


def test_inclusion_needs_both_files() -> None:
    with pytest.raises(Rejected) as caught:
        check_inclusion(b"{}", b"")
    assert caught.value.check.startswith("customer's file")
    with pytest.raises(Rejected) as caught:
        check_inclusion(FILE.encode(), b"")
    assert (caught.value.code, caught.value.check) == (
        Code.FORMAT,
        "the file is a proof of liabilities",
    )


def test_checking_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, air.inclusion.check\n"
        "third = {'numpy', 'numba', 'llvmlite', 'pyarrow', 'msgspec', 'click', 'rich'}\n"
        "sys.exit(' '.join(third & set(sys.modules)) or 0)"
    )
    root = Path(air.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, stderr=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (0, b"")
