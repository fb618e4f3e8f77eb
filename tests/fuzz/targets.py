"""All targets, and what runs them."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.document_targets import (
    aggregate_keys_target,
    canonical_json_target,
    customer_target,
    inner_proof_target,
    parameters_target,
    publication_form_target,
    publication_target,
    statement_target,
)
from fuzz.mutators import mutate
from fuzz.parquet_targets import parquet_schema_target, parquet_target
from fuzz.proof_targets import comparisons_passed, proof_target, unguarded_target
from fuzz.snapshot_targets import csv_target, manifest_target
from fuzz.store_targets import master_key_target, store_target
from fuzz.target import AcceptedMutantError, SlowError, Target, execute

__all__ = [
    "TARGETS",
    "AcceptedMutantError",
    "SlowError",
    "Target",
    "comparisons_passed",
    "execute",
    "mutate",
]

TARGETS: dict[str, Callable[[], Target]] = {
    "verify-products": lambda: proof_target("products"),
    "verify-hidden": lambda: proof_target("hidden"),
    "unguarded-products": lambda: unguarded_target("products"),
    "unguarded-hidden": lambda: unguarded_target("hidden"),
    "publication": publication_target,
    "publication-form": publication_form_target,
    "inner-proof": inner_proof_target,
    "aggregate-keys": aggregate_keys_target,
    "statement": statement_target,
    "customer": customer_target,
    "canonical-json": canonical_json_target,
    "parameters": parameters_target,
    "manifest": manifest_target,
    "csv": csv_target,
    "parquet": parquet_target,
    "parquet-schema": parquet_schema_target,
    "store": store_target,
    "master-key": master_key_target,
}
"""How each target is made; making one may prove something."""
