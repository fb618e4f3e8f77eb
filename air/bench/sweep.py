"""Sweeps: every point measured in a process of its own, gathered into one document."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from air.bench.machine import ReferenceKernel, in_fresh_process, load_average, machine, reference
from air.bench.phases import measure_phases
from air.bench.points import Point
from air.bench.proving import (
    Limits,
    cold_verifier,
    guarded,
    measure_point,
    prove_uncompiled,
    write_snapshots,
)
from air.snapshot.files import atomic_output
from stark.errors import UsageError

SCHEMA = "stark-liabilities/bench/v1"
"""Of the document: :func:`run_sweep`."""

ALONE_NOTE = (
    "one batch proven by itself: a publication hides what it proves and has its profile's "
    "parameters; nobody should trust such a proof"
)

Progress = Callable[[str, int, int], None]
"""Called with what is measured, the number of points done and their total."""


@dataclass(frozen=True)
class Options:
    """What a sweep does at every point.

    Parameters
    ----------
    phases
        Take the prover's time apart instead of measuring everything else.
    uncompiled
        Prove once more with an empty cache of kernels.
    reference
        The reference kernel; ``None`` leaves it out.
    out
        Where the document goes too, as far as it is, after every point.
    """

    limits: Limits
    phases: bool = False
    uncompiled: bool = False
    reference: ReferenceKernel | None = field(default_factory=ReferenceKernel)
    out: Path | None = None


def run_sweep(
    points: Sequence[Point], options: Options, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure all points.

    A point that cannot be proven, for whatever reason, has an ``error`` instead of figures.

    Returns
    -------
    The document: ``schema``, ``machine``, ``reference`` (at the start, and again at the end), a
    result per point in ``results``, and in ``ratios`` by how much one point costs more than the one
    before it, if only the snapshot is another. docs/benchmarks.md says what the figures are.

    Raises
    ------
    UsageError
        If the reference kernel's process is ended from outside.
    """
    report = progress or (lambda phase, done, total: None)
    document: dict[str, Any] = {"schema": SCHEMA, "machine": machine(), "results": []}
    kernel = options.reference
    if kernel is not None:
        report("reference kernel", 0, len(points))
        document["reference"] = reference(kernel)
    for number, point in enumerate(points):
        report(point.name(), number, len(points))
        result = _result(point, options)
        if kernel is not None and "prover" in result:
            fastest = result["prover"]["fastest"]["seconds"]
            result["prover"]["in_reference_kernels"] = fastest / document["reference"]["seconds"]
        document["results"].append(result)
        _write(document, options.out)
    if kernel is not None:
        report("reference kernel", len(points), len(points))
        document["reference"]["seconds_at_end"] = reference(kernel)["seconds"]
    document["ratios"] = ratios(document["results"])
    document["machine"]["load_average_at_end"] = load_average()
    _write(document, options.out)
    return document


def _result(point: Point, options: Options) -> dict[str, Any]:
    """Everything about one point; leaves no file behind."""
    result: dict[str, Any] = {"point": point.describe()}
    if point.published and not options.phases:
        result["mode"] = "publication"
    else:
        result |= {"mode": "batch alone", "note": ALONE_NOTE}
    result["load_average"] = load_average()
    with TemporaryDirectory(prefix="liabilities-bench-") as name:
        folder = Path(name)
        try:
            in_fresh_process(write_snapshots, point, folder)
            task = measure_phases if options.phases else measure_point
            result |= in_fresh_process(guarded, task, point, options.limits, folder)
            if "verifier" in result:
                result["verifier"] |= cold_verifier(point, folder)
                if options.uncompiled:
                    arguments = prove_uncompiled, point, options.limits, folder
                    result["prover"] |= in_fresh_process(guarded, *arguments)
        except UsageError as error:
            result["error"] = str(error)
    return result


def ratios(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By how much each point costs more than its neighbour with another snapshot."""
    found = []
    for one, other in pairwise(results):
        if "prover" not in one or "prover" not in other or _way(one) != _way(other):
            continue
        found.append(
            {
                "accounts": [one["snapshot"]["accounts"], other["snapshot"]["accounts"]],
                **{name: figure(other) / figure(one) for name, figure in COMPARED.items()},
            }
        )
    return found


COMPARED: dict[str, Callable[[dict[str, Any]], float]] = {
    "holdings": lambda result: result["snapshot"]["holdings"],
    "rows": lambda result: result["rows"],
    "seconds": lambda result: result["prover"]["fastest"]["seconds"],
    "peak_memory_bytes": lambda result: result["prover"]["peak_memory_bytes"],
    "proof_bytes": lambda result: result["proof"]["bytes"],
    "verifier_seconds": lambda result: result["verifier"]["cold_seconds"],
}
"""What two sizes are compared by."""


def _way(result: dict[str, Any]) -> dict[str, Any]:
    """How a point was proven, without what."""
    sizes = ("accounts", "assets", "holdings")
    return {name: value for name, value in result["point"].items() if name not in sizes}


def _write(document: dict[str, Any], path: Path | None) -> None:
    if path is None:
        return
    with atomic_output(os.fspath(path)) as file:
        file.write((json.dumps(document, indent=1) + "\n").encode("ascii"))
