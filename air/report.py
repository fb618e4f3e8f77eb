"""What is said of a proof file, in words for people; for programs: :mod:`air.report_json`.

Standard library alone: the verifier prints with it. Whatever comes from a foreign file goes through
:func:`printable` before it is shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

from air.context import Statement, digest_to_hex, short_digest
from air.registry import format_amount
from stark.errors import StarkError

if TYPE_CHECKING:
    from air.aggregate.security import AggregateSecurity
    from air.inclusion.check import CustomerReport
    from air.verification import Acceptance, Check
    from stark.soundness.estimate import Report

NOT_ZERO_KNOWLEDGE = (
    "NOT ZERO-KNOWLEDGE: this proof may reveal information about accounts; do not publish it"
)

POSEIDON_COLLISION_BITS = 124
"""Half of the 8 * log2(p) = 247.9 bits of a digest of eight field elements, to the nearest bit:
the birthday bound. No better attack on all rounds of the permutation, with a fixed matrix, is known
(docs/soundness.md, section 4)."""

ASSUMPTIONS = (
    "soundness is proven below the Johnson bound, in the random-oracle model with SHA-256",
    f"collision resistance of Poseidon in the account tree: about {POSEIDON_COLLISION_BITS} bits",
)

AGGREGATE_ASSUMPTIONS = (
    (
        "soundness is proven below the Johnson bound for the proof in the file, within unique"
        " decoding for the proofs that it stands for, in the random-oracle model: SHA-256 in the"
        " one, Poseidon in the others"
    ),
    (
        "that the others stay sound where circuits compute Poseidon: a random oracle has no"
        " circuit, so that no proof covers this step of any recursion over hashes"
    ),
    (
        "collision resistance of Poseidon in the account tree and in the proofs that are verified"
        f" by proofs: about {POSEIDON_COLLISION_BITS} bits"
    ),
)

NOT_PROVEN = (
    "that the exchange has reserves: compare these totals with assets it proves to control",
    "that there are no other debts: loans, fiat, anything that was never an account here",
    (
        "that every account is in: one left out is found only if its owner checks. If a fraction f"
        " of the accounts is left out, n random checks find one with chance 1 - (1 - f)^n"
        " (f = 1 %: n = 100 find one with 63 %, n = 500 with 99 %)"
    ),
)


def printable(text: str) -> str:
    """The text on one line: control, invisible and reordering characters escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")
"""Letters and symbols by category that show nothing."""


def quoted(text: str) -> str:
    """Foreign text inside a sentence of ours: quoted, with what could mislead the eye escaped.

    Letters, digits, punctuation and symbols are shown, but for quotes and backslashes; marks that
    combine, fillers and formats are not, and of several spaces only the first is.
    """
    shown = []
    for previous, c in zip(" " + text, text, strict=False):
        plain = unicodedata.category(c)[0] in "LNPS" and c not in _BLANK and c not in '"\\'
        single = c == " " and previous != " "
        shown.append(c if plain or single else f"\\u{{{ord(c):x}}}")
    return '"' + "".join(shown) + '"'


def symbol_text(symbol: str) -> str:
    """A symbol, followed by its code points if it is not plain ASCII: others may look like it."""
    return symbol if symbol.isascii() else f"{symbol} ({ascii(symbol)[1:-1]})"


_ALIKE = str.maketrans("0i1|", "olll")


def alike_lines(registry: Iterable[Any]) -> list[str]:
    """A warning for listed symbols that differ in case alone, or in 0 for O, or in 1, l, I, |."""
    groups: dict[str, list[str]] = {}
    for asset in registry:
        groups.setdefault(asset.symbol.lower().translate(_ALIKE), []).append(asset.symbol)
    return [
        f"Note: different assets with symbols that look alike: {', '.join(group)}"
        for group in groups.values()
        if len(group) > 1
    ]


def table_lines(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Names and exact decimal amounts, indented, with the points of the amounts in one column."""
    names = max((len(name) for name, _ in rows), default=0)
    parts = [(name, *amount.partition(".")) for name, amount in rows]
    wholes = max((len(whole) for _, whole, _, _ in parts), default=0)
    return [f"  {name:<{names}}  {whole:>{wholes}}{dot}{end}" for name, whole, dot, end in parts]


def total_lines(statement: Statement) -> list[str]:
    """Every asset with its total in asset units, exact."""
    pairs = zip(statement.context.registry, statement.totals, strict=True)
    rows = [(symbol_text(a.symbol), format_amount(total, a.decimals)) for a, total in pairs]
    return [*table_lines(rows), *alike_lines(statement.context.registry)]


def check_line(check: Check) -> str:
    """One passed check."""
    return printable(f"passed  {check.name:<13} {check.detail}")


def acceptance_lines(acceptance: Acceptance) -> list[str]:
    """What an accepted proof file says, how sure it is, and what it does not say."""
    statement = acceptance.statement
    context = statement.context
    digest = statement.digest()
    previous = "none" if context.previous is None else context.previous.hex()
    slots = statement.batches * context.shape.slots
    return [
        "",
        (
            f"ACCEPTED: what {quoted(context.exchange)} owed at {context.time} "
            f"(epoch {context.epoch}, {context.kind})"
        ),
        "",
        *total_lines(statement),
        "",
        f"statement digest    {digest.hex()}",
        f"  short, for the eye {short_digest(digest)}",
        f"previous statement  {previous}",
        f"account tree root   {digest_to_hex(statement.root)}",
        (
            f"capacity            {slots} slots in {statement.batches} "
            f"batch{'es' if statement.batches > 1 else ''}; the number of accounts is not stated"
        ),
        f"verification key    {named_key(acceptance).hex()} ({acceptance.profile})",
        *([] if acceptance.aggregate is None else layer_lines(acceptance.aggregate)),
        "",
        *(
            security_lines(acceptance.security)
            if acceptance.aggregate is None
            else aggregate_lines(acceptance.aggregate)
        ),
        "",
        "Not proven:",
        *(f"  - {line}" for line in NOT_PROVEN),
        "",
        *zero_knowledge_lines(acceptance.key.parameters.zk),
    ]


def zero_knowledge_lines(zk: bool) -> list[str]:
    """Whether a proof hides its witness."""
    if not zk:
        return banner(NOT_ZERO_KNOWLEDGE)
    return ["Zero-knowledge: the proof shows nothing about accounts beyond what is printed here."]


def security_lines(security: Report) -> list[str]:
    """Bits of every round on one line, and what they assume."""
    rounds = ", ".join(f"{entry.name} {cut_bits(entry.bits)}" for entry in security.rounds)
    return [
        (
            f"Security: at least {cut_bits(security.minimum)} bits in every round (weakest: "
            f"{security.weakest.name}), {cut_bits(security.union)} in sum over a batch"
        ),
        f"  rounds: {rounds}",
        "  assumed:",
        *(f"  - {line}" for line in ASSUMPTIONS),
    ]


def named_key(acceptance: Acceptance) -> bytes:
    """The digest that names all keys which an acceptance rests on."""
    if acceptance.aggregate is None:
        return acceptance.key.digest
    return acceptance.aggregate.key_digest


NOT_PINNED = (
    "KEYS NOT PINNED: what was accepted means what the keys of the digest that you gave mean;"
    " rebuild them from source and compare"
)


def layer_lines(aggregate: AggregateSecurity) -> list[str]:
    """The keys of all layers under the one that names them."""
    layers = [entry.layer for entry in aggregate.layers]
    lines = [f"  {layer.name:<17} {layer.key.digest.hex()}" for layer in layers]
    return lines if aggregate.pinned else [*lines, *banner(NOT_PINNED)]


def aggregate_lines(aggregate: AggregateSecurity) -> list[str]:
    """Bits of every layer of a tree of proofs, and what they assume."""
    weakest = aggregate.weakest
    batches = aggregate.layers[0].layer.count
    rows = [
        (
            f"  {entry.layer.name:<17} {entry.layer.count:>5} x "
            f"{cut_bits(entry.report.minimum)} bits in every round (weakest: "
            f"{entry.report.weakest.name}), {cut_bits(entry.report.union)} in sum over one"
        )
        for entry in aggregate.layers
    ]
    floors = ", ".join(f"{name} {bits}" for name, bits in aggregate.floors.items())
    return [
        (
            f"One proof for {batches} batches: it says that a program checked proofs which check "
            "the batches' proofs."
        ),
        (
            f"Security: at least {cut_bits(aggregate.minimum)} bits in every round (weakest layer: "
            f"{weakest.layer.name}), {cut_bits(aggregate.union)} in sum over all proofs"
        ),
        *rows,
        f"  hashes: {floors}",
        "  assumed:",
        *(f"  - {line}" for line in AGGREGATE_ASSUMPTIONS),
    ]


def cut_bits(bits: Decimal) -> str:
    """Two digits after the point, cut: 127.999 is not 128."""
    return str(bits.quantize(Decimal("0.01"), rounding=ROUND_FLOOR))


def banner(text: str) -> list[str]:
    """The text between two rules, so that nobody overlooks it."""
    rule = "!" * len(text)
    return [rule, text, rule]


def customer_lines(customer: CustomerReport) -> list[str]:
    """What a customer's check established."""
    lines = [
        "",
        f"INCLUDED: account {printable(customer.account_id)} at {customer.time}",
        "",
        *table_lines([(symbol_text(row.symbol), row.amount) for row in customer.balances]),
        "",
        (
            f"These balances are part of the totals of {quoted(customer.exchange)}, "
            f"statement {customer.short_digest}."
        ),
    ]
    if customer.note is not None:
        lines.append(f"Note: {customer.note}.")
    return lines


def assumptions(acceptance: Acceptance) -> list[str]:
    """What the security of an acceptance rests on."""
    return list(ASSUMPTIONS if acceptance.aggregate is None else AGGREGATE_ASSUMPTIONS)


def warnings(acceptance: Acceptance) -> list[str]:
    """What nobody who accepts should overlook."""
    result = [] if acceptance.key.parameters.zk else [NOT_ZERO_KNOWLEDGE]
    if acceptance.aggregate is not None and not acceptance.aggregate.pinned:
        result.append(NOT_PINNED)
    return result


def error_text(error: StarkError | OSError) -> str:
    """The error on one line, without the name of a Python class."""
    if isinstance(error, OSError):
        name = "" if error.filename is None else f"{error.filename}: "
        return printable(f"{name}{error.strerror or error}")
    return printable(str(error))
