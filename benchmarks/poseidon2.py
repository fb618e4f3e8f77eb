"""Prove 2^n random Poseidon2 permutations, eight a row: the usual benchmark of provers.

``python benchmarks/poseidon2.py --log-permutations 18 --threads 1 2 --json``; with ``--hash-suite``
commitments and transcript by another hash than SHA-256.

The parameters are those that published figures of other provers are for, not a profile of this
library: blowup 2, 100 queries, 16 bits of proof of work, powers of one challenge, unique decoding,
SHA-256 commitments, quintic extension, no zero knowledge. What they are worth is printed with the
figures, from the estimator and proven bounds alone.

Every number of threads has a process of its own, so that peak memory is that of the run. A small
table is proven first, so that compilation is not in the seconds; then the table itself, ``--runs``
times, of which the fastest is shown: the first also turns the constraints into a program, once per
key, and pays for memory that the system hands out for the first time. Random inputs are drawn
before the clock starts; filling the trace has a time of its own and is not part of proving.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import llvmlite.binding
import numpy as np
from poseidon2_air import Poseidon2Air

from stark.constraints.expression import Part
from stark.field.koalabear import P
from stark.field.memory import aligned_empty
from stark.hash.poseidon2_kernels import permutation_trace
from stark.hash.suite import SUITES
from stark.prover.keygen import ProvingKey, generate_key
from stark.prover.prove import prove
from stark.prover.trace import MontgomeryTrace
from stark.soundness.estimate import Report, estimate
from stark.soundness.parameters import ProtocolParameters
from stark.system import System
from stark.verifier.figures import system_figures
from stark.verifier.verify import verify

PER_ROW = 8
LOG_PER_ROW = 3
WARM_UP_LOG_ROWS = 8
VERIFIER_RUNS = 3

PARAMETERS = ProtocolParameters(
    log_blowup=1,
    queries=100,
    regime="udr",
    multiplicity=0,
    batching="powers",
    log_max_arity=3,
    log_final_length=6,
    cap_height=5,
    grinding_lookup=0,
    grinding_ali=0,
    grinding_deep=0,
    grinding_batching=0,
    grinding_fold=0,
    grinding_query=16,
    zk=False,
    log_slack=0,
    hash_suite="sha256",
)


class Rounds:
    """Seconds of the prover's rounds, from one report of progress to the next.

    Processor time of all threads is taken beside: far less of it than the seconds times the
    threads means that others were using the cores.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._name, self._started = "start", (time.perf_counter(), time.process_time())

    def __call__(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.seconds[self._name] = now[0] - self._started[0]
        self.cpu_seconds[self._name] = now[1] - self._started[1]
        self._name, self._started = name, now


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    parameters = replace(PARAMETERS, hash_suite=options.hash_suite)
    results = [
        in_fresh_process(measure, threads, options.log_permutations, options.runs, parameters)
        for threads in options.threads
    ]
    report = security(system(options.log_permutations - LOG_PER_ROW), parameters)
    if options.json:
        print(json.dumps(summary(results, report), indent=1))
        return
    for result in results:
        print("\n".join(lines(result)), end="\n\n")
    print("\n".join(report.lines()))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--log-permutations", type=int, default=18)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=2, help="proofs per number of threads")
    parser.add_argument("--hash-suite", choices=sorted(SUITES), default=PARAMETERS.hash_suite)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    least = LOG_PER_ROW + PARAMETERS.log_final_length
    if options.log_permutations < least:
        parser.error(f"--log-permutations must be {least} or more")
    if options.runs < 1 or min(options.threads) < 1:
        parser.error("--runs and --threads must be 1 or more")
    return options


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    # spawn, not fork: the child's memory then starts from nothing.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def system(log_rows: int) -> System:
    return System([Poseidon2Air(log_rows, PER_ROW)])


def security(statement: System, parameters: ProtocolParameters) -> Report:
    return estimate(system_figures(statement), parameters)


# ---- in a process of its own


def measure(
    threads: int, log_permutations: int, runs: int, parameters: ProtocolParameters
) -> dict[str, Any]:
    """Everything about one number of threads."""
    os.environ["STARK_THREADS"] = str(threads)
    timed_run(generate_key(system(WARM_UP_LOG_ROWS), parameters), 0)
    started = time.perf_counter()
    key = generate_key(system(log_permutations - LOG_PER_ROW), parameters)
    key_seconds = time.perf_counter() - started
    all_runs = [timed_run(key, seed) for seed in range(runs)]
    proof, figures = min(all_runs, key=lambda run: run[1]["proving_seconds"])
    proving = figures["proving_seconds"]
    (table,) = key.verification.system.tables
    cells = table.height * table.width(Part.MAIN)
    return {
        "threads": threads,
        "permutations": table.height * PER_ROW,
        "rows": table.height,
        "columns": table.width(Part.MAIN),
        "key_seconds": key_seconds,
        **figures,
        "proving_seconds_of_all_runs": [run["proving_seconds"] for _, run in all_runs],
        "permutations_per_second": table.height * PER_ROW / proving,
        "trace_cells_per_second": cells / proving,
        "proof_bytes": len(proof),
        "peak_rss_bytes": peak_rss(),
        "verifier_seconds": verifier_seconds(key, proof),
    }


def timed_run(key: ProvingKey, seed: int) -> tuple[bytes, dict[str, Any]]:
    """A proof of random permutations and what it took."""
    (table,) = key.verification.system.tables
    states = aligned_empty((table.height * PER_ROW, 16))
    states[...] = np.random.default_rng(seed).integers(0, P, states.shape, np.uint32)
    started = time.perf_counter()
    trace = permutation_trace(states, PER_ROW)
    filled = time.perf_counter()
    rounds = Rounds()
    proof = prove(key, {table.name: MontgomeryTrace(trace)}, {}, progress=rounds)
    rounds("")
    return proof, {
        "trace_seconds": filled - started,
        "proving_seconds": sum(rounds.seconds.values()),
        "proving_cpu_seconds": sum(rounds.cpu_seconds.values()),
        "seconds_by_round": rounds.seconds,
        "cpu_seconds_by_round": rounds.cpu_seconds,
    }


def verifier_seconds(key: ProvingKey, proof: bytes) -> float:
    """Median of the verifier alone, in this process; it has one thread."""
    seconds = []
    for _ in range(VERIFIER_RUNS):
        started = time.perf_counter()
        verify(key.verification, proof, {})
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def peak_rss() -> int:
    """Most memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts in KiB


# ---- reports


def lines(result: dict[str, Any]) -> list[str]:
    """One result for people."""
    cpu = result["cpu_seconds_by_round"]
    rounds = result["seconds_by_round"].items()
    shape = f"{result['rows']} rows of {result['columns']} columns"
    return [
        f"{result['permutations']} permutations, {shape}, threads: {result['threads']}",
        f"{'trace':<24}{result['trace_seconds']:>10.3f} s",
        *(f"  {name:<22}{seconds:>10.3f} s  CPU {cpu[name]:.3f} s" for name, seconds in rounds),
        (
            f"{'proving':<24}{result['proving_seconds']:>10.3f} s"
            f"  CPU {result['proving_cpu_seconds']:.3f} s"
        ),
        f"{'permutations':<24}{result['permutations_per_second']:>10,.0f} /s",
        f"{'trace cells':<24}{result['trace_cells_per_second'] / 1e6:>10.2f} M/s",
        f"{'proof':<24}{result['proof_bytes'] / 1000:>10.1f} kB",
        f"{'verifier':<24}{result['verifier_seconds']:>10.3f} s",
        f"{'peak memory':<24}{result['peak_rss_bytes'] / 2**20:>10.0f} MiB",
    ]


def summary(results: Sequence[dict[str, Any]], report: Report) -> dict[str, Any]:
    return {
        "machine": {
            "date": datetime.now(UTC).date().isoformat(),
            "llvm_cpu": llvmlite.binding.get_host_cpu_name(),
            "cores": os.cpu_count(),
            "load_average_at_end": os.getloadavg(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "numpy": importlib.metadata.version("numpy"),
            "numba": importlib.metadata.version("numba"),
        },
        "parameters": asdict(report.parameters),
        "security": {
            "minimum_bits": float(report.minimum),
            "weakest_round": report.weakest.name,
            "union_bits": float(report.union),
        },
        "results": list(results),
    }


if __name__ == "__main__":
    main()
