"""What a customer may be told: leaves that are none, at depths and in slots that nothing proves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from support.attacks.publications import honest, honest_part, one_row_accounts, publish, refused
from support.checks import check, check_equal
from support.publications import PROFILE, REGISTRY, SHAPE, statement_of

from air.context import Statement
from air.encoding import Digest, account_commitment, header_lane, leaf_digest
from air.inclusion.check import check_customer
from air.inclusion.customer import CustomerFile, CustomerHolding
from air.tree import upper_levels
from air.verification import verify_publication
from air.witness import Batch, prepare_batch
from stark.errors import Code, Rejected
from stark.field.koalabear import P


@dataclass(frozen=True)
class Customer:
    """An account whose commitment is that of an id."""

    account_id: str
    salt: bytes
    holdings: tuple[tuple[int, int], ...]

    @property
    def commitment(self) -> Digest:
        return account_commitment(self.account_id.encode(), self.salt)

    @property
    def leaf(self) -> Digest:
        return leaf_digest(self.commitment, self.holdings)

    def file(self, statement: Statement, slot: int, path: list[Digest]) -> CustomerFile:
        holdings = tuple(CustomerHolding(REGISTRY[a].symbol, v) for a, v in self.holdings)
        digest = statement.digest()
        return CustomerFile(self.account_id, self.salt, slot, holdings, tuple(path), digest)


VICTIM = Customer("victim", bytes(range(32)), ((0, 10**15),))


def path_in(batch: Batch, slot: int) -> list[Digest]:
    node = SHAPE.slots + slot
    path = []
    while node > 1:
        path.append(tuple(int(v) for v in batch.nodes[node ^ 1]))
        node //= 2
    return path


def test_an_honest_customer_finds_their_leaf() -> None:
    slot = 5
    holders = one_row_accounts({slot: VICTIM.commitment}, {slot: 10**15})
    batch = prepare_batch(SHAPE, holders, [0] * 512, *honest().blinds[:2], True)
    statement = statement_of([batch])
    report = check_customer(VICTIM.file(statement, slot, path_in(batch, slot)), statement)
    check_equal([b.equity for b in report.balances], [10**15], "balance")


def test_a_depth_one_too_large() -> None:
    """The victim's leaf is the commitment of an account of zero: a level deeper, beside that
    account's block, the victim finds it. Proofs do not see it; the depth must be the key's."""
    slot = 5
    holders = one_row_accounts({slot: VICTIM.leaf}, {})
    batch = prepare_batch(SHAPE, holders, [0] * 512, *honest().blinds[:2], True)
    statement = statement_of([batch])
    block = (header_lane(8, True, True, 0), *[0] * 7)
    path = [block, *path_in(batch, slot)]
    deeper = replace(
        statement, context=replace(statement.context, depth=statement.context.depth + 1)
    )
    check_customer(VICTIM.file(deeper, 2 * slot, path), deeper)
    check_equal(statement.totals[0], 0, "the victim is not in the totals")
    publication = publish(deeper, [honest_part(batch)], honest().blinds[1], batch.digest_in)
    rejected = refused(publication, Code.STATEMENT)
    check("depth" in rejected.check, rejected.check)
    verify_publication(
        publish(statement, [honest_part(batch)], honest().blinds[1], batch.digest_in).encode(),
        profiles=(PROFILE,),
    )
    with pytest.raises(Rejected) as caught:
        check_customer(VICTIM.file(statement, slot, path), statement)
    check_equal(caught.value.code, Code.INCLUSION, "path too long")


def test_a_customer_below_an_absent_batch() -> None:
    """Slots right of the last batch exist in the tree, but nothing is proven of them."""
    statement = honest().publication.statement
    roots = [batch.root for batch in honest().batches]
    levels = upper_levels(roots)
    path = [*path_in(honest().batches[2], 0), roots[2], levels[1][0]]
    for slot in (3 * SHAPE.slots, 4 * SHAPE.slots - 1):
        with pytest.raises(Rejected) as caught:
            check_customer(VICTIM.file(statement, slot, path), statement)
        check_equal((caught.value.code, caught.value.check), (Code.INCLUSION, "slot"))


@pytest.mark.parametrize("amount", [-1, 1 << 75, 5 + (P << 60), 5 + (1 << 105)])
def test_an_amount_that_is_an_alias_of_another(amount: int) -> None:
    """Its limbs, or their residues mod p, may be those of a smaller amount."""
    statement = honest().publication.statement
    path = path_in(honest().batches[0], 0)
    with pytest.raises(Rejected) as caught:
        replace(VICTIM, holdings=((0, amount),)).file(statement, 0, path)
    check_equal(caught.value.code, Code.INCLUSION, str(amount))


def test_no_holdings() -> None:
    """The leaf of no holdings would be the commitment itself."""
    with pytest.raises(Rejected) as caught:
        replace(VICTIM, holdings=()).file(honest().publication.statement, 0, [])
    check_equal(caught.value.code, Code.INCLUSION)
