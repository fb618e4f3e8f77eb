"""What a fleet of workers would take for many millions of accounts: docs/scaling.md.

From the folder above: ::

    python -m benchmarks.fleet measure --out benchmarks/fleet.json    # some minutes, idle machine
    python -m benchmarks.fleet tables                                 # blocks of docs/scaling.md
    python -m benchmarks.fleet model benchmarks/fleet.json            # the same, and more, printed
    python -m benchmarks.fleet simulate benchmarks/fleet.json --workers 256 --scale 0.1

``measure`` makes real proofs; ``model`` is arithmetic with what was measured; ``simulate`` lets the
scheduler of runs work with a real Dask cluster of this machine whose tasks sleep as long as a proof
takes, times the scale, and compares that with the model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COSTS = HERE / "fleet.json"
DOCUMENT = HERE.parent / "docs" / "scaling.md"

_SAME = ("workers", "threads", "batches")
"""Of two simulations that agree in these, the later one is recorded."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="measure the costs")
    measuring.add_argument("--out", type=Path, default=COSTS)
    measuring.add_argument(
        "--runs", type=int, default=3, help="proofs of a kind; the fastest counts"
    )
    modelling = commands.add_parser("model", help="print the arithmetic")
    modelling.add_argument("costs", type=Path, nargs="?", default=COSTS)
    tables = commands.add_parser("tables", help="rewrite the blocks of docs/scaling.md")
    tables.add_argument("--check", action="store_true", help="only say whether they are right")
    simulating = commands.add_parser("simulate", help="sleep through it with the real scheduler")
    simulating.add_argument("costs", type=Path, nargs="?", default=COSTS)
    simulating.add_argument("--workers", type=int, default=16)
    simulating.add_argument("--processes", type=int, default=4)
    simulating.add_argument("--threads", type=int, default=1, choices=(1, 2), help="of a worker")
    simulating.add_argument("--accounts", type=int, default=100_000_000)
    simulating.add_argument("--scale", type=float, default=0.02)
    simulating.add_argument("--record", action="store_true", help="write it into the costs")
    options = parser.parse_args()
    if options.command == "measure":
        return _measure(options.out, options.runs)
    if options.command == "simulate":
        return _simulate(options)
    return _tables(options.check) if options.command == "tables" else _model(options.costs)


def _measure(out: Path, runs: int) -> int:
    from benchmarks.fleet_measure import measure

    _write(out, measure(runs))
    return 0


def _write(path: Path, costs: dict[str, Any]) -> None:
    path.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")


def _model(costs: Path) -> int:
    from benchmarks.fleet_model import Costs
    from benchmarks.fleet_tables import everything

    print(everything(Costs.read(costs)))
    return 0


def _tables(check: bool) -> int:
    from benchmarks.fleet_model import Costs
    from benchmarks.fleet_tables import with_blocks

    text = DOCUMENT.read_text(encoding="utf-8")
    fresh = with_blocks(text, Costs.read(COSTS))
    if check:
        print("up to date" if fresh == text else "not what the model prints: rewrite the blocks")
        return int(fresh != text)
    DOCUMENT.write_text(fresh, encoding="utf-8")
    return 0


def _simulate(options: argparse.Namespace) -> int:
    from benchmarks.fleet_model import Costs, Fleet, batches_for
    from benchmarks.fleet_simulate import compare

    costs = Costs.read(options.costs)
    batches = batches_for(costs, options.accounts)
    fleet = Fleet(options.workers, options.threads)
    found = compare(costs, fleet, batches, options.scale, options.processes)
    model, seconds = found["model_seconds"], found["seconds"]
    print(f"{options.workers} workers, {batches:,} batches, {found['proofs']:,} proofs")
    print(f"model      {model:9.2f} s, unscaled {model / options.scale:,.0f} s")
    print(f"simulated  {seconds:9.2f} s")
    print(f"ratio      {seconds / model:9.3f}")
    busy = 1e3 * found["cpu_seconds_of_the_scheduler"] / found["proofs"]
    print(f"this process, Dask's scheduler in it, was busy for {busy:.2f} ms per proof")
    if options.record:
        recorded = costs.data.setdefault("simulated", [])
        same = [one for one in recorded if all(one[k] == found[k] for k in _SAME)]
        costs.data["simulated"] = [one for one in recorded if one not in same] + [found]
        _write(options.costs, costs.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
