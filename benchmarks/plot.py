"""Plots and scaling laws of sweeps: ``python benchmarks/plot.py figures.json --out plots``.

Reads what ``liabilities bench --out figures.json`` writes, several files if there are. Points that
differ in their snapshot alone make a series, from which are fitted, with relative residuals,

    seconds = a n log2 n + b        bytes of memory = a n log2 n + b

n being holdings, or with ``--by rows`` the rows of the chain tables, which come in powers of two.
The law is printed with the residual of every point, and with the largest step: the ratio of the
figures of two neighbouring points over the ratio of their n log n. About 1 is no cliff; much more
is one.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot

from air.bench.sections import summary

SIZES = ("accounts", "assets", "holdings")
MEBI = 1 << 20


@dataclass(frozen=True)
class Law:
    """values = a n log2 n + b."""

    a: float
    b: float
    residuals: tuple[float, ...]
    largest_step: float

    def at(self, n: float) -> float:
        return self.a * n * math.log2(n) + self.b

    def text(self, unit: str) -> str:
        errors = " ".join(f"{residual:+.1%}" for residual in self.residuals)
        return (
            f"{self.a:.3e} n log2 n {self.b:+.3g} {unit}; residuals {errors}; "
            f"largest step {self.largest_step:.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    results = [one for path in options.files for one in measured(path)]
    groups = series(results, options.by)
    if not groups:
        raise SystemExit("no measured points in these files")
    options.out.mkdir(parents=True, exist_ok=True)
    plot_laws(groups, options.by, options.out)
    plot_proofs(groups, options.by, options.out)
    for number, (name, group) in enumerate(groups.items(), 1):
        plot_sections(name, group, options.by, options.out / f"sections-{number}.png")
    print(f"plots in {options.out}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", type=Path, nargs="+", help="documents of liabilities bench")
    parser.add_argument("--out", type=Path, default=Path("plots"), help="folder for the plots")
    parser.add_argument("--by", choices=("holdings", "rows"), default="holdings", help="what n is")
    return parser.parse_args(arguments)


def measured(path: Path) -> list[dict[str, Any]]:
    """The points of a document that have figures."""
    return [one for one in json.loads(path.read_text())["results"] if "prover" in one]


def series(results: Sequence[dict[str, Any]], by: str) -> dict[str, list[dict[str, Any]]]:
    """Points that differ in their snapshot alone, ascending in n, by a name for people."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault(series_name(result), []).append(result)
    return {name: sorted(group, key=lambda one: size(one, by)) for name, group in groups.items()}


def series_name(result: dict[str, Any]) -> str:
    point = {name: value for name, value in result["point"].items() if name not in SIZES}
    words = [point["profile"], f"{point['threads']} threads", result["mode"]]
    words += [] if point["zk"] else ["nothing hidden"]
    words.append(f"blowup {1 << result['parameters']['log_blowup']}")
    words.append(point["hash_suite"])
    return ", ".join(words)


def size(result: dict[str, Any], by: str) -> int:
    return int(result["rows"] if by == "rows" else result["snapshot"]["holdings"])


def seconds(result: dict[str, Any]) -> float:
    return float(result["prover"]["fastest"]["seconds"])


def memory(result: dict[str, Any]) -> float:
    return float(result["prover"]["peak_memory_bytes"])


def fit(sizes: Sequence[int], values: Sequence[float]) -> Law:
    """Least squares of relative errors. Of fewer than two sizes there is no law: b is the mean."""
    n, y = np.array(sizes, float), np.array(values, float)
    x = n * np.log2(n)
    if len(set(sizes)) < 2:
        a, b = 0.0, float(y.mean())
    else:
        design = np.stack([x, np.ones_like(x)], axis=1) / y[:, None]
        a, b = (float(value) for value in np.linalg.lstsq(design, np.ones_like(y))[0])
    residuals = tuple(float(value) for value in y / (a * x + b) - 1)
    steps = [
        (later / earlier) / (x_later / x_earlier)
        for (x_earlier, earlier), (x_later, later) in pairwise(zip(x, y, strict=True))
    ]
    return Law(a, b, residuals, max(steps, default=1.0))


def plot_laws(groups: dict[str, list[dict[str, Any]]], by: str, out: Path) -> None:
    """Time and memory, log-log, with their laws; prints the laws."""
    for title, value, unit, scale in (
        ("time", seconds, "s", 1.0),
        ("memory", memory, "bytes", MEBI),
    ):
        figure, axes = pyplot.subplots(figsize=(7, 5))
        for name, group in groups.items():
            sizes, values = [size(one, by) for one in group], [value(one) for one in group]
            law = fit(sizes, values)
            print(f"{title}, {name}: {law.text(unit)}")
            (line,) = axes.plot(sizes, [one / scale for one in values], "o", label=name)
            curve = np.geomspace(sizes[0], sizes[-1], 64)
            axes.plot(curve, [law.at(n) / scale for n in curve], "-", color=line.get_color())
        axes.set(xscale="log", yscale="log", xlabel=by)
        axes.set_ylabel("seconds" if unit == "s" else "peak memory, MiB")
        finish(figure, axes, out / f"{title}.png")


def plot_proofs(groups: dict[str, list[dict[str, Any]]], by: str, out: Path) -> None:
    """Proof size and cold verifier time."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5))
    for name, group in groups.items():
        sizes = [size(one, by) for one in group]
        left.plot(sizes, [one["proof"]["bytes"] / 1000 for one in group], "o-", label=name)
        right.plot(sizes, [one["verifier"]["cold_seconds"] for one in group], "o-", label=name)
    for axes, label in ((left, "proof, kB"), (right, "python -m air.verify, seconds")):
        axes.set(xscale="log", xlabel=by, ylabel=label)
        axes.set_ylim(bottom=0)
    finish(figure, left, out / "proof.png")


def plot_sections(name: str, group: list[dict[str, Any]], by: str, path: Path) -> None:
    """Proof size by section, stacked, a bar per point."""
    bars = [summary(one["proof"]["sections"]) for one in group]
    labels = [f"{size(one, by):,}" for one in group]
    figure, axes = pyplot.subplots(figsize=(8, 5))
    below = np.zeros(len(bars))
    for section in bars[0]:
        heights = np.array([bar.get(section, 0) / 1000 for bar in bars])
        axes.bar(range(len(bars)), heights, bottom=below, label=section)
        below += heights
    axes.set_xticks(range(len(bars)), labels, rotation=30)
    axes.set(xlabel=by, ylabel="kB", title=name)
    finish(figure, axes, path)


def finish(figure: Any, axes: Any, path: Path) -> None:
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
