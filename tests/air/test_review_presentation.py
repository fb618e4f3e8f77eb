"""What an exchange's name can make of the lines that say what was accepted."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from air.context import MAX_EXCHANGE_LENGTH, exchange_fault
from air.inclusion.check import CustomerReport
from air.report import acceptance_lines, customer_lines
from air.verification import Acceptance, verify_publication

GOLDEN = Path(__file__).parents[1] / "golden" / "publication.proof"

INVISIBLE = {
    "combining grapheme joiner": 0x034F,
    "hangul choseong filler": 0x115F,
    "hangul jungseong filler": 0x1160,
    "khmer vowel inherent aq": 0x17B4,
    "mongolian variation selector": 0x180B,
    "braille blank": 0x2800,
    "hangul filler": 0x3164,
    "variation selector 16": 0xFE0F,
    "halfwidth hangul filler": 0xFFA0,
    "shorthand format control": 0x1BCA0,
    "musical format control": 0x1D173,
    "musical null notehead": 0x1D159,
    "egyptian joiner": 0x13430,
    "arabic number mark above": 0x0605,
}

QUOTES = set("\"'\u2018\u2019\u201c\u201d\u00ab\u00bb")


@cache
def accepted() -> Acceptance:
    return verify_publication(GOLDEN.read_bytes())


def lines_about(exchange: str) -> list[str]:
    """The lines that name the exchange, of both reports; none if the name is refused."""
    if exchange_fault(exchange) is not None:
        return []
    acceptance = accepted()
    context = replace(acceptance.statement.context, exchange=exchange)
    statement = replace(acceptance.statement, context=context)
    customer = CustomerReport(
        account_id="'u-1'",
        balances=(),
        slot=0,
        exchange=exchange,
        time=context.time,
        statement_digest="",
        short_digest="",
        note=None,
    )
    lines = acceptance_lines(replace(acceptance, statement=statement)) + customer_lines(customer)
    return [line for line in lines if line.startswith(("ACCEPTED", "These balances"))]


def test_a_plain_name_is_shown_as_it_is() -> None:
    lines = lines_about("Example Exchange")
    assert len(lines) == 2
    assert all("Example Exchange" in line for line in lines)


@pytest.mark.parametrize("code", INVISIBLE.values(), ids=INVISIBLE.keys())
def test_invisible_characters_are_refused_or_escaped(code: int) -> None:
    assert not any(chr(code) in line for line in lines_about(f"Acme{chr(code)}X"))


def test_a_name_cannot_go_on_with_the_sentence() -> None:
    name = "Acme at 2026-11-01T00:00:00Z holds, in full, what it"
    for line in lines_about(name):
        before, found, after = line.partition(name)
        assert not found or (before[-1] in QUOTES and after[0] in QUOTES), line


def test_a_name_cannot_lay_out_a_table_of_its_own() -> None:
    """On a terminal of 80 columns, the amount begins a line, as those of the totals do."""
    filled = "Acme owed to its customers".ljust(80 - len("ACCEPTED: what "))
    name = f"{filled}  BTC   0.50000000"
    assert len(name) <= MAX_EXCHANGE_LENGTH
    assert not any("  BTC   0.50000000" in line for line in lines_about(name))
