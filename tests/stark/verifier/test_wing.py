"""The verifier's wing: the standard library alone, and no worse without assertions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from golden.make import NAMES
from support.checks import check

ROOT = Path(__file__).parents[3]

BARRIER = """
import sys
from importlib.abc import MetaPathFinder

ALLOWED = set(sys.stdlib_module_names) | {"stark", "air", "support", "golden"}


class Barrier(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not in the standard library")
        return None


sys.meta_path.insert(0, Barrier())
sys.path[:0] = [ROOT, ROOT + "/tests"]
try:
    import numpy
except ImportError:
    pass
else:
    raise SystemExit("the barrier does not hold")
"""

VERIFY = """
from golden.make import CONTEXT, NAMES, load
from stark.errors import Rejected
from stark.verifier.verify import verify

for name in NAMES:
    golden = load(name)
    if golden.key.digest != golden.key_digest:
        raise SystemExit(f"{name}: another key")
    verify(golden.key, golden.proof, golden.publics, CONTEXT)
    accepted = 0
    for position in range(0, len(golden.proof), 97):
        forged = bytearray(golden.proof)
        forged[position] ^= 1
        try:
            verify(golden.key, bytes(forged), golden.publics, CONTEXT)
        except Rejected:
            continue
        accepted += 1
    if accepted:
        raise SystemExit(f"{name}: {accepted} forgeries accepted")
    print(name, "verified", len(golden.proof))
"""

FOREIGN = """
foreign = {name.partition(".")[0] for name in sys.modules} - ALLOWED - {"__main__"}
if foreign:
    raise SystemExit(f"imported {sorted(foreign)}")
for name in sys.modules:
    if name.startswith(("stark.prover", "stark.jit", "stark.parallel")) or "kernels" in name:
        raise SystemExit(f"{name} belongs to the prover")
print("alone")
"""


def run(*lines: str, options: tuple[str, ...] = ()) -> str:
    """Output of a program behind the barrier, in an interpreter that sees no site-packages."""
    script = BARRIER.replace("ROOT", repr(str(ROOT))) + "\n".join(lines) + FOREIGN
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", *options, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    check(result.returncode == 0, result.stderr + result.stdout)
    check("alone" in result.stdout, result.stdout)
    return result.stdout


@pytest.mark.parametrize("options", [(), ("-O",), ("-OO",)], ids=["plain", "-O", "-OO"])
def test_a_proof_is_verified_with_nothing_but_python(options: tuple[str, ...]) -> None:
    output = run(VERIFY, options=options)
    for name in NAMES:
        check(f"{name} verified" in output, output)


@pytest.mark.parametrize(
    "module",
    [
        "stark.verifier.verify",
        "stark.verifier.figures",
        "stark.merkle.multiproof",
        "stark.fri.verifier",
        "stark.transcript.transcript",
        "stark.hash.poseidon",
        "stark.hash.sha256",
        "stark.hash.suite",
        "stark.transcript.cores",
        "stark.soundness",
        "stark.gadgets.poseidon",
        "stark.system",
        "air",
        "air.context",
        "air.registry",
        "air.keys",
        "air.publication",
        "air.verification",
        "air.aggregate",
        "air.aggregate.inner",
        "air.aggregate.keys",
        "air.aggregate.publics",
        "air.aggregate.security",
    ],
)
def test_module_of_the_wing(module: str) -> None:
    run(f"import {module}")


@pytest.mark.parametrize(
    "module", ["air.verify", "air.report", "air.report_json", "air.inclusion.check"]
)
def test_entry_points(module: str) -> None:
    if not (ROOT / module.replace(".", "/")).with_suffix(".py").exists():
        pytest.skip(f"there is no {module}")
    run(f"import {module}")


def test_every_pinned_key_is_derived_without_packages() -> None:
    output = run(
        "from air.keys import shipped_shapes, verification_key",
        "for shape in shipped_shapes()[::9]:",
        "    print(shape.name, verification_key('proven128', shape).digest.hex())",
    )
    check(output.count("\n") > 10, output)


def test_the_wing_has_no_assertions_to_lose() -> None:
    # Under -O they vanish; a check of the verifier is never one.
    for folder in ("stark", "air"):
        for path in (ROOT / folder).rglob("*.py"):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                check(not line.strip().startswith("assert "), f"{path.name}, line {number}")
