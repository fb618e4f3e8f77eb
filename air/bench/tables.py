"""A sweep's document for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from air.bench.sections import summary
from air.report import cut_bits

_MEBI = 1 << 20

UNEXPLAINED = 0.1
"""Part of a round that may be memory, Python and noise before somebody should look into it."""


def document_lines(document: Mapping[str, Any]) -> list[str]:
    """Machine, a table of all points, and the proofs by section or the rounds by kernel."""
    lines = machine_lines(document)
    measured = [result for result in document["results"] if "prover" in result]
    if measured:
        lines += ["", *prover_lines(measured), "", *proof_lines(measured)]
        lines += ["", *section_lines(measured)]
        lines += ["", *round_lines(measured)]
    for result in document["results"]:
        if "phases" in result:
            lines += ["", *phase_lines(result)]
    notes = {result["note"] for result in document["results"] if "note" in result}
    return lines + [f"Note: {note}." for note in sorted(notes)]


def machine_lines(document: Mapping[str, Any]) -> list[str]:
    machine = document["machine"]
    memory = machine["memory_bytes"]
    size = "unknown" if memory is None else f"{memory / 2**30:.1f} GiB"
    start, end = (_loads(machine[f"load_average_at_{when}"]) for when in ("start", "end"))
    versions = ", ".join(f"{name} {machine[name.lower()]}" for name in ("Python", "NumPy", "Numba"))
    lines = [
        f"machine    {machine['cpu']} ({machine['llvm_cpu']}), {machine['cores']} cores, {size}",
        f"software   {machine['system']}, {versions}",
        f"date       {machine['date']}, load average {start} before and {end} after",
    ]
    kernel = document.get("reference")
    if kernel:
        lines.append(
            f"reference  {kernel['seconds']:.2f} s, {kernel['seconds_at_end']:.2f} s at the end: "
            f"low-degree extension of 2^{kernel['log_rows']} x {kernel['width']} "
            f"at blowup {1 << kernel['log_blowup']}, one thread"
        )
    return lines


def prover_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line per point: how it was proven, and how fast."""
    how = ("batches of", "profile", "threads", "hiding", "blowup", "suite")
    speed = ("first s", "fastest s", "plan s", "CPU s", "/reference", "holdings/s")
    rows = [["holdings", "accounts", *how, *speed]]
    for result in results:
        point, prover, parameters = result["point"], result["prover"], result["parameters"]
        fastest, ratio = prover["fastest"], prover.get("in_reference_kernels")
        rows.append(
            [
                _title(result),
                f"{result['snapshot']['accounts']:,}",
                f"{result['batches']} x {result['shape']}{' lean' if result['lean'] else ''}",
                point["profile"],
                str(point["threads"]),
                "yes" if point["zk"] else "no",
                str(1 << parameters["log_blowup"]),
                parameters["hash_suite"],
                f"{prover['first']['seconds']:.2f}",
                f"{fastest['seconds']:.2f}",
                _predicted(result, "seconds", 1, 2),
                f"{sum(fastest['cpu_seconds'].values()):.2f}",
                "-" if ratio is None else f"{ratio:.2f}",
                f"{prover['holdings_per_second']:,.0f}",
            ]
        )
    return grid(rows)


def proof_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line per point: memory, proof, verifier."""
    sizes = ("peak MiB", "plan MiB", "proof kB", "plan kB", "queries", "bits")
    rows = [["holdings", *sizes, "cold verifier s", "warm s"]]
    for result in results:
        verifier = result["verifier"]
        rows.append(
            [
                _title(result),
                f"{result['prover']['peak_memory_bytes'] / _MEBI:,.0f}",
                _predicted(result, "memory_bytes", _MEBI, 0),
                f"{result['proof']['bytes'] / 1000:,.1f}",
                _predicted(result, "proof_bytes", 1000, 1),
                str(result["parameters"]["queries"]),
                cut_bits(Decimal(result["security"]["minimum_bits"])),
                f"{verifier['cold_seconds']:.3f}",
                f"{verifier['warm_seconds']:.3f}",
            ]
        )
    return grid(rows)


def _predicted(result: Mapping[str, Any], name: str, unit: int, decimals: int) -> str:
    predicted = result["predicted"]
    return "-" if predicted is None else f"{predicted[name] / unit:,.{decimals}f}"


def section_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Bytes of the proofs, a column per point."""
    columns = [summary(result["proof"]["sections"]) for result in results]
    names = list(dict.fromkeys(name for column in columns for name in column))
    heading = ["proof, bytes", *(_title(result) for result in results)]
    rows = [[name, *(f"{column.get(name, 0):,}" for column in columns)] for name in names]
    sums = ["sum", *(f"{sum(column.values()):,}" for column in columns)]
    return grid([heading, *rows, sums])


def round_lines(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Seconds of the fastest run, a column per point."""
    runs = [result["prover"]["fastest"] for result in results]
    rows = [["fastest run, seconds", *(_title(result) for result in results)]]
    for name in dict.fromkeys(name for run in runs for name in run["phases"]):
        rows.append([name, *(f"{run['phases'].get(name, 0):.3f}" for run in runs)])
        if name == "proving":
            rounds = dict.fromkeys(name for run in runs for name in run["rounds"])
            for inside in rounds:
                laps = [run["rounds"].get(inside, {"seconds": 0.0}) for run in runs]
                rows.append([f"  {inside}", *(f"{lap['seconds']:.3f}" for lap in laps)])
    return grid(rows)


def phase_lines(result: Mapping[str, Any]) -> list[str]:
    """The rounds and what bounds explain of them; then each with its kernels and its bound."""
    phases = result["phases"]
    rows = [["round", "seconds", "CPU s", "in kernels s", "bound s", "Python s", "unexplained"]]
    for name, phase in phases.items():
        kernels = sum(phase["kernels"].values())
        figures = (
            *(phase[key] for key in ("seconds", "cpu_seconds")),
            kernels,
            *(phase[key] for key in ("bound_seconds", "python_seconds")),
        )
        rows.append([name, *(f"{value:.4f}" for value in figures), f"{phase['unexplained']:.0%}"])
    lines = [f"{_title(result)} holdings, {result['shape']}, {result['proof_bytes']:,} bytes"]
    lines += ["", *grid(rows)]
    suspects = [name for name, phase in phases.items() if phase["unexplained"] > UNEXPLAINED]
    words = ", ".join(suspects) or "none"
    lines.append(f"more than {UNEXPLAINED:.0%} unexplained: {words}")
    for name, phase in phases.items():
        lines += ["", *_phase_details(name, phase)]
    return lines


def _phase_details(name: str, phase: Mapping[str, Any]) -> list[str]:
    spent = [*phase["kernels"].items(), ("outside of kernels", phase["outside_kernels"])]
    rows = [[f"{name}, where", "seconds"], *([kernel, f"{s:.4f}"] for kernel, s in spent)]
    bounds = [[f"{name}, bound by", "seconds", "count", "ns each"]]
    for term in phase["bound"]:
        each = term["seconds"] / term["count"] * 1e9 if term["count"] else 0.0
        count = f"{term['count']:,} {term['unit']}s"
        bounds.append([term["operation"], f"{term['seconds']:.4f}", count, f"{each:.3f}"])
    return grid(rows) + grid(bounds)


def grid(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell: the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        cells[0] = row[0].ljust(widths[0])
        lines.append("  ".join(cells).rstrip())
    return lines


def _title(result: Mapping[str, Any]) -> str:
    return f"{result['snapshot']['holdings']:,}"


def _loads(loads: Sequence[float] | None) -> str:
    return "unknown" if loads is None else f"{loads[0]:.2f}"
