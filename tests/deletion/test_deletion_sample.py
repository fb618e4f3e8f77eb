"""A sample of deletions is detected by quick tests, and one that they cannot see is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deletion.sites import ROOT, sites
from support.checks import check, check_equal

if not hasattr(os, "fork"):
    pytest.skip("workers are forked", allow_module_level=True)

QUICK = (
    "tests/stark/merkle/test_multiproof.py",
    "tests/stark/transcript/test_transcript.py",
    "tests/stark/verifier/test_rejections_statement.py",
    "tests/air/test_context.py",
    "tests/air/inclusion/test_customer_check.py",
)
SAMPLE = (
    "stark/merkle/multiproof.py:verify_opening raise MERKLE f'opening of {name}'",
    "stark/merkle/multiproof.py:_check_salts raise ZK f'bytes in a salt",
    "stark/merkle/multiproof.py:read_opening raise CANONICAL",
    "stark/transcript/encoding.py:decode_field raise CANONICAL",
    "stark/transcript/transcript.py:Transcript._next raise UsageError",
    "stark/transcript/transcript.py:VerifierTranscript.check_work raise POW",
    "stark/verifier/header.py:check_header raise SHAPE",
    "stark/verifier/header.py:check_header raise VK",
    "stark/verifier/verify.py:checked_publics raise CANONICAL",
    "stark/verifier/out_of_domain.py:check_table raise OOD",
    "air/context.py:Statement.__post_init__ raise CANONICAL root",
    "air/inclusion/check.py:check_customer raise STATEMENT account id",
    "air/inclusion/check.py:check_customer raise INCLUSION",
)
HONEST = "tests/golden/test_golden_proofs.py"
UNSEEN = "stark/verifier/verify.py:verify call check_buses(terminals)"
"""Reached by every proof with buses, and missed by none that is honest."""


def deleted(folder: Path, tests: tuple[str, ...], names: tuple[str, ...]) -> dict[str, str]:
    """Outcomes of deletions by name, judged by a run of the runner over some test files."""
    output = folder / "verdicts.json"
    command = [sys.executable, "tests/deletion/run.py", "--json", str(output), "--jobs", "2"]
    command += ["--once", "--tests", *tests, "--only", *names]
    result = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    check(output.exists(), result.stdout + result.stderr)
    verdicts = json.loads(output.read_text(encoding="utf-8"))
    survived = any(one["outcome"] == "survived" for one in verdicts)
    check_equal(result.returncode, int(survived), result.stdout + result.stderr)
    return {one["name"]: one["outcome"] for one in verdicts}


def test_important_checks_are_missed(tmp_path: Path) -> None:
    outcomes = deleted(tmp_path, QUICK, SAMPLE)
    check_equal(len(outcomes), len(SAMPLE), f"{outcomes}")
    check_equal(dict.fromkeys(outcomes, "detected"), outcomes)


def test_honest_proofs_do_not_miss_a_check(tmp_path: Path) -> None:
    check(UNSEEN in {site.name for site in sites()}, UNSEEN)
    check_equal(deleted(tmp_path, (HONEST,), (UNSEEN,)), {UNSEEN: "survived"})
