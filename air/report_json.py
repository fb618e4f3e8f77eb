"""What is said of a proof file as JSON values, for programs; in words: :mod:`air.report`.

Standard library alone: the verifier prints with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from air.context import Statement, digest_to_hex, short_digest
from air.registry import format_amount
from air.report import (
    AGGREGATE_ASSUMPTIONS,
    ASSUMPTIONS,
    NOT_PROVEN,
    error_text,
    named_key,
    warnings,
)
from stark.errors import InputError, Rejected, StarkError

if TYPE_CHECKING:
    from air.aggregate.security import AggregateSecurity
    from air.inclusion.check import CustomerReport
    from air.verification import Acceptance, Check
    from stark.soundness.estimate import Report


def statement_json(statement: Statement) -> dict[str, Any]:
    """The statement; amounts as decimal strings, in minor units and in asset units."""
    context = statement.context
    digest = statement.digest()
    return {
        "statement_digest": digest.hex(),
        "statement_digest_short": short_digest(digest),
        "exchange": context.exchange,
        "time": context.time,
        "epoch": str(context.epoch),
        "kind": context.kind,
        "previous": None if context.previous is None else context.previous.hex(),
        "root": digest_to_hex(statement.root),
        "depth": context.depth,
        "batches": statement.batches,
        "slots": statement.batches * context.shape.slots,
        "totals": totals_json(context.registry, statement.totals),
    }


def totals_json(registry: Iterable[Any], totals: Iterable[int]) -> list[dict[str, Any]]:
    """One object per asset of the registry."""
    return [
        {
            "asset": asset.symbol,
            "decimals": asset.decimals,
            "minor_units": str(total),
            "amount": format_amount(total, asset.decimals),
        }
        for asset, total in zip(registry, totals, strict=True)
    ]


def acceptance_json(acceptance: Acceptance) -> dict[str, Any]:
    """An accepted proof file."""
    return {
        **statement_json(acceptance.statement),
        "profile": acceptance.profile,
        "key_digest": named_key(acceptance).hex(),
        "checks": checks_json(acceptance.checks),
        "security": security_json(acceptance.security)
        if acceptance.aggregate is None
        else aggregate_json(acceptance.aggregate),
        "zero_knowledge": acceptance.key.parameters.zk,
        "warnings": warnings(acceptance),
        "not_proven": list(NOT_PROVEN),
    }


def checks_json(checks: Iterable[Check]) -> list[dict[str, str]]:
    """Checks in the order in which they passed."""
    return [{"name": check.name, "detail": check.detail} for check in checks]


def security_json(security: Report) -> dict[str, Any]:
    """Bits as decimal strings, rounded down; grinding as a number."""
    return {**_rounds_json(security), "assumptions": list(ASSUMPTIONS)}


def _rounds_json(security: Report) -> dict[str, Any]:
    return {
        "minimum_bits": str(security.minimum),
        "weakest_round": security.weakest.name,
        "union_bits": str(security.union),
        "queries": security.parameters.queries,
        "regime": security.regime.name,
        "rounds": [
            {"name": entry.name, "bits": str(entry.bits), "grinding": entry.grinding}
            for entry in security.rounds
        ],
    }


def aggregate_json(aggregate: AggregateSecurity) -> dict[str, Any]:
    """The security of all layers; bits as :func:`security_json`."""
    weakest = aggregate.weakest
    return {
        "minimum_bits": str(aggregate.minimum),
        "weakest_layer": weakest.layer.name,
        "weakest_round": weakest.report.weakest.name,
        "union_bits": str(aggregate.union),
        "keys_pinned": aggregate.pinned,
        "layers": [
            {
                "name": entry.layer.name,
                "proofs": entry.layer.count,
                "key_digest": entry.layer.key.digest.hex(),
                **_rounds_json(entry.report),
            }
            for entry in aggregate.layers
        ],
        "hashes": [{"name": name, "bits": bits} for name, bits in aggregate.floors.items()],
        "assumptions": list(AGGREGATE_ASSUMPTIONS),
    }


def customer_json(customer: CustomerReport) -> dict[str, Any]:
    """An accepted customer's file; the id is quoted and escaped to ASCII."""
    return {
        "account_id": customer.account_id,
        "slot": str(customer.slot),
        "balances": [
            {"asset": row.symbol, "minor_units": str(row.equity), "amount": row.amount}
            for row in customer.balances
        ],
        "exchange": customer.exchange,
        "time": customer.time,
        "statement_digest": customer.statement_digest,
        "note": customer.note,
    }


def error_json(error: StarkError | OSError) -> dict[str, Any]:
    """Why a command failed; ``kind`` is rejected, input, usage or file."""
    message = error_text(error)
    if isinstance(error, Rejected):
        return {
            "kind": "rejected",
            "code": str(error.code),
            "check": error.check,
            "expected": str(error.expected),
            "got": str(error.got),
            "message": message,
        }
    if isinstance(error, InputError):
        return {"kind": "input", **fault_json(error), "message": message}
    return {"kind": "file" if isinstance(error, OSError) else "usage", "message": message}


def fault_json(fault: InputError) -> dict[str, Any]:
    """A fault of an input; ``value`` is text, ``null`` if there is none."""
    value = fault.value
    return {
        "file": fault.file,
        "row": fault.row,
        "column": fault.column,
        "value": value if value is None or isinstance(value, str) else ascii(value),
        "reason": fault.reason,
    }


def success(command: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object of a command that did what it was asked."""
    return {"command": command, "ok": True, **fields}


def failure(command: str, error: StarkError | OSError, **fields: Any) -> dict[str, Any]:
    """The JSON object of a command that did not."""
    return {"command": command, "ok": False, "error": error_json(error), **fields}
