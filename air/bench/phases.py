"""Where the time of one batch's proof goes: kernels, computed bounds, and what is left."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from air.bench.kernels import Calls, KernelWatch
from air.bench.machine import Stopwatch, peak_memory
from air.bench.points import Point
from air.bench.proving import (
    SNAPSHOT,
    Limits,
    Proven,
    key_of,
    only_batch,
    place_alone,
    prove_alone,
    snapshot_figures,
)
from air.bench.sections import walk
from air.bench.speeds import Speeds
from air.bench.work import BatchWork, Term
from air.snapshot.check import load
from air.witness import Batch
from stark.prover.keygen import ProvingKey
from stark.prover.prove import prove


def measure_phases(point: Point, limits: Limits, folder: Path) -> dict[str, Any]:
    """Prove one batch, watched, and compare each round with its bound.

    The point is proven once before: that compiles its constraints and touches its memory. Of the
    watched proofs, each round is the fastest.

    Returns
    -------
    Under ``phases``, per round: ``seconds``, ``cpu_seconds``, ``kernels`` (seconds by kernel),
    ``outside_kernels``, ``calls`` of kernels, ``bound`` (terms of :class:`air.bench.work.Term`, the
    calls among them), ``bound_seconds``, ``python_seconds``: those outside of kernels but for the
    calls, numpy's included, and ``unexplained``: the seconds beyond both, as a part of the
    round's. It is negative where wrappers count twice: in the bound of what they wrap, and as
    Python.
    """
    os.environ["STARK_THREADS"] = str(point.threads)
    prove_alone(point, limits, folder / SNAPSHOT, folder / "first")
    loaded = load(folder / SNAPSHOT)
    plan, placed = place_alone(loaded, limits, point)
    batch = only_batch(plan, placed)
    key = key_of(point, plan)
    watched = [_watched(key, batch, plan.lean) for _ in range(limits.runs)]
    peak = peak_memory()
    speeds = Speeds()
    best: dict[str, dict[str, Any]] = {}
    for proof, rounds in watched:
        walked = walk(key.verification, proof, batch.publics, b"")
        # Of each proof by itself: queries differ, and how long its nonces took to find.
        terms = BatchWork(key.verification, walked, plan.lean, speeds).rounds()
        for name, figures in rounds.items():
            if name not in best or figures["seconds"] < best[name]["seconds"]:
                calls = figures.pop("calls")
                own = [*terms[name], calls_term(calls, speeds)]
                best[name] = figures | {"calls": asdict(calls)} | _bounds(figures, own)
    return {
        **snapshot_figures(Proven(folder, plan, loaded, {})),
        "parameters": asdict(key.verification.parameters),
        "peak_memory_bytes": peak,
        "proof_bytes": len(watched[-1][0]),
        "phases": best,
    }


def _watched(key: ProvingKey, batch: Batch, lean: bool) -> tuple[bytes, dict[str, dict[str, Any]]]:
    """A proof, and its rounds by kernel."""
    watch, laps = KernelWatch(), Stopwatch()
    kernels: dict[str, dict[str, float]] = {}
    calls: dict[str, Calls] = {}
    current = ""

    def enter(name: str) -> None:
        nonlocal current
        laps.start(name)
        kernels[current], calls[current] = watch.take(), watch.take_calls()
        current = name

    with watch.watching():
        enter("trace")
        proof = prove(key, batch.traces(), batch.publics, b"", enter, lean=lean)
        enter("")
    return proof, {
        name: {
            **lap,
            "kernels": kernels[name],
            "calls": calls[name],
            "outside_kernels": lap["seconds"] - sum(kernels[name].values()),
        }
        for name, lap in laps.laps.items()
    }


def calls_term(calls: Calls, speeds: Speeds) -> Term:
    """What a round's calls of kernels cost whatever they do: it decides small tables."""
    return Term("calls of kernels", "call", calls.alone + calls.shared, speeds.fixed(calls))


def _bounds(figures: Mapping[str, Any], terms: list[Term]) -> dict[str, Any]:
    seconds, bound = figures["seconds"], sum(term.seconds for term in terms)
    # The last term: what calls of kernels take of the time outside of kernels.
    python = max(0.0, figures["outside_kernels"] - terms[-1].seconds)
    return {
        "bound": [asdict(term) for term in terms],
        "bound_seconds": bound,
        "python_seconds": python,
        "unexplained": (seconds - bound - python) / seconds,
    }
