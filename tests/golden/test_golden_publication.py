"""The kept publication verifies, with nothing but the standard library."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from golden import publication
from support.checks import check, check_equal

from air.inclusion.check import check_inclusion
from air.verification import verify_publication
from stark.errors import Code, Rejected

ROOT = Path(__file__).parents[2]
VERIFY = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); from air.verify import main; sys.exit(main())"
)


def test_kept_publication_is_accepted_by_the_default_policy() -> None:
    kept = publication.load()
    check_equal(hashlib.sha256(kept.publication).hexdigest(), kept.pin["sha256"])
    acceptance = verify_publication(kept.publication, bytes.fromhex(kept.pin["statement_digest"]))
    check_equal(acceptance.profile, kept.pin["profile"])
    check_equal([str(total) for total in acceptance.statement.totals], kept.pin["totals"])
    totals = [0, 0, 0]
    for _, holdings in publication.ACCOUNTS.values():
        for asset, amount in holdings:
            totals[asset] += amount
    check_equal(acceptance.statement.totals, tuple(totals))


@pytest.mark.parametrize("options", [[], ["-O"]])
def test_kept_publication_is_accepted_without_site_packages(options: list[str]) -> None:
    """Isolated, without site packages: the standard library is all there is."""
    digest = publication.load().pin["statement_digest"]
    arguments = [str(publication.PUBLICATION_FILE), "--expect", digest]
    run = subprocess.run(
        [sys.executable, "-I", "-S", *options, "-c", VERIFY, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    check_equal(run.returncode, 0, run.stderr)
    check(digest in run.stdout, run.stdout)
    missing = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import numpy"], capture_output=True, check=False
    )
    check(missing.returncode != 0, "numpy is there: the test would not see that it is needed")


def test_kept_customer_is_included() -> None:
    kept = publication.load()
    account, holdings = publication.ACCOUNTS[publication.CUSTOMER_SLOT]
    result = check_inclusion(kept.customer, kept.publication, account)
    check_equal(
        [balance.equity for balance in result.customer.balances],
        [amount for _, amount in holdings],
    )
    forged = kept.customer.replace(b"50000000", b"50000001")
    check(forged != kept.customer)
    with pytest.raises(Rejected) as caught:
        check_inclusion(forged, kept.publication, account)
    check_equal(caught.value.code, Code.INCLUSION)


def test_the_prover_proves_the_kept_statement() -> None:
    """With other masks: a prover may draw its randomness in another way than the one of old."""
    kept = publication.load()
    made, customer = publication.make()
    digest = bytes.fromhex(kept.pin["statement_digest"])
    check_equal(verify_publication(made, digest).statement.digest(), digest)
    check_equal(customer, kept.customer)
