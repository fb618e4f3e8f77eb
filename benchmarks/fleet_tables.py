"""The blocks of docs/scaling.md: every figure there comes from the costs, through the model."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from air.aggregate.keys import aggregable, aggregate_keys
from air.aggregate.security import aggregate_security
from air.publication import MAXIMUM_BATCHES
from air.resources import BASE_BYTES
from air.runs.cluster import PER_WORKER
from air.runs.tree import NodeId, ProofTree
from air.snapshot.table import MAX_HOLDINGS
from benchmarks.fleet_model import (
    BEFORE,
    MILLION,
    Costs,
    Estimate,
    Fleet,
    batches_for,
    before_seconds,
    busy_bandwidth,
    estimate,
    pace,
    parent_bytes,
    proof_bytes,
    sent_bytes,
    waves,
)

SIZES = (10 * MILLION, 100 * MILLION, 300 * MILLION)
CORES = (1, 16, 256)
WORKED = ((10 * MILLION, 1), (100 * MILLION, 16), (300 * MILLION, 256))
BATCHES = (48, 480, 1440)
"""Numbers of batches of which bits are named, with those of the sizes and the most there may be."""

RUN = 1 << 20
"""Accounts that docs/benchmarks.md has a run of."""

PIECES = ("batch", "join 1", "join 2", "join 3", "wrap")


def with_blocks(text: str, costs: Costs) -> str:
    """A document with its blocks made again."""

    def fresh(found: re.Match[str]) -> str:
        return found[1] + "".join(line + "\n" for line in BLOCKS[found[2]](costs)) + "```"

    return re.sub(r"(```fleet (\w+)\n).*?```", fresh, text, flags=re.DOTALL)


def everything(costs: Costs) -> str:
    """All blocks, and the arithmetic of every size and fleet."""
    lines: list[str] = []
    for name, block in BLOCKS.items():
        lines += [name, "", *block(costs), ""]
    for accounts in SIZES:
        for cores in CORES:
            lines += [*worked(costs, accounts, Fleet(cores)), ""]
    return "\n".join(lines)


def table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    """The first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        yield "  ".join(cells).rstrip()


def seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{value:.1f} s"


def span(value: float) -> str:
    """Seconds, with hours if there are any."""
    return f"{value:,.0f} s" if value < 3600 else f"{value:,.0f} s ({value / 3600:.1f} h)"


def size(value: float) -> str:
    for unit, least in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= least:
            return f"{value / least:,.{0 if value >= 100 * least else 1}f} {unit}"
    return f"{value:.0f} B"


def millions(accounts: int) -> str:
    return f"{accounts // MILLION} M"


def conditions(costs: Costs) -> Iterator[str]:
    """Where and when it was measured."""
    found, load = costs.data["machine"], costs.data["machine"]["load_average_at_start"]
    reference = costs.data["reference"]["seconds"]
    yield (
        f"{found['cpu']} ({found['llvm_cpu']}), {found['cores']} cores, "
        f"{size(found['memory_bytes'])} of memory"
    )
    yield (
        f"Python {found['python']}, NumPy {found['numpy']}, Numba {found['numba']}, "
        f"{found['date'][:10]}"
    )
    end = found["load_average_at_end"]
    yield (
        f"load average {load[0]:.1f} at the start, {end[0]:.1f} at the end; "
        f"reference kernel {reference:.2f} s"
    )
    yield (
        f"{costs.data['shape']} under {costs.data['profile']}, {costs.data['assets']} assets, "
        f"everything {costs.data['runs']} times, the fastest counts"
    )
    if "note" in costs.data:
        yield f"NOTE: {costs.data['note']}"


def proofs(costs: Costs) -> Iterator[str]:
    """Seconds, memory and bytes of each kind of proof."""
    rows = []
    for name in PIECES:
        one, two = costs.piece(name, 1), costs.piece(name, 2)
        peak = costs.data["workers"]["1"][name]["peak_memory_bytes"]
        rows.append(
            [
                *(name, f"{one.seconds:.2f} s", f"{one.start_seconds:.2f} s"),
                *(f"{two.seconds:.2f} s", f"{two.start_seconds:.2f} s"),
                *(size(peak), size(one.bytes)),
            ]
        )
    header = ["", "1 thread", "start", "2 threads", "start", "peak memory", "kept"]
    yield from table(header, rows)


def parent(costs: Costs) -> Iterator[str]:
    """What the parent does per million accounts."""
    names = {
        "reading": "reading Parquet",
        "digest": "digest of the snapshot",
        "placement": "placement, salts, commitments",
        "hashing": "hashing of all batches",
        "export": "inclusion store",
    }
    rows = [
        [
            *(name, seconds(costs.stage_seconds(stage, 1)), seconds(costs.stage_seconds(stage, 2))),
            size(costs.parent_bytes((stage,))),
        ]
        for stage, name in names.items()
    ]
    yield from table(["per million accounts", "1 thread", "2 threads", "peak memory"], rows)
    before, after = before_seconds(costs, MILLION, 2), costs.stage_seconds("export", 2)
    yield f"with two threads before the proofs {seconds(before)}, after them {seconds(after)}"
    yield f"memory while proofs are made {size(costs.held_bytes)}"
    snapshot, store = costs.file_bytes("snapshot_bytes"), costs.file_bytes("store_bytes")
    yield f"files: snapshot {size(snapshot)}, inclusion store {size(store)}"


def transfers(costs: Costs) -> Iterator[str]:
    """What goes over the network, and what handling it costs."""
    handling = costs.handling
    join, upper, top = (costs.piece(name, 1).bytes for name in ("join 1", "join 3", "wrap"))
    batch = costs.piece("batch", 1).bytes
    rows = [
        ["batch", size(costs.task_bytes), size(batch)],
        ["join of level 1", size(2 * batch), size(join)],
        ["join of level 2", size(2 * join), size(costs.piece("join 2", 1).bytes)],
        ["join above", size(2 * upper), size(upper)],
        ["wrap", size(upper), size(top)],
    ]
    yield from table(["a task", "is sent", "sends back"], rows)
    yield (
        f"pickling a batch {1e3 * handling['pickle_seconds']:.0f} ms, "
        f"keeping a proof {1e3 * handling['keep_seconds']:.1f} ms, "
        f"reading it again {1e3 * handling['find_seconds']:.1f} ms"
    )


def worked(costs: Costs, accounts: int, fleet: Fleet) -> Iterator[str]:
    """The sum of one estimate, line by line."""
    found = estimate(costs, accounts, fleet)
    cores = fleet.cores
    of = accounts // MILLION
    counted = "one core, one worker" if cores == 1 else f"{cores} cores, a worker on each"
    yield (f"{millions(accounts)} accounts, {counted}: {found.batches:,} batches")
    lines: list[tuple[str, str, float]] = [
        (
            "before: " + " + ".join(BEFORE),
            f"{of} x ({' + '.join(f'{costs.stage_seconds(s, cores):.2f}' for s in BEFORE)})",
            found.before,
        )
    ]
    for wave in waves(costs, found.batches, fleet):
        sum_of = f"ceil({wave.proofs:,} / {fleet.workers}) x {wave.piece.seconds:.2f}"
        lines.append((wave.name, f"{sum_of} + {wave.piece.start_seconds:.2f}", wave.seconds))
    export = costs.stage_seconds("export", cores)
    checking = costs.handling["checking_seconds"]
    lines.append(("after: checking + export", f"{checking:.2f} + {of} x {export:.2f}", found.after))
    sums = f"{found.before:,.1f} + {found.schedule.seconds:,.1f} + {found.after:,.1f}"
    lines.append(("level after level: the sum of these", "", found.by_waves))
    lines.append(("scheduled: before + tree + after", sums, found.seconds))
    first, second = (max(map(len, column)) for column in list(zip(*lines, strict=True))[:2])
    for name, what, value in lines:
        yield f"  {name:<{first}}  {what:<{second}}  = {value:>11,.1f} s"


def arithmetic(costs: Costs) -> Iterator[str]:
    for number, (accounts, cores) in enumerate(WORKED):
        if number:
            yield ""
        yield from worked(costs, accounts, Fleet(cores))


def _estimates(costs: Costs) -> Iterator[Estimate]:
    for accounts in SIZES:
        for cores in CORES:
            yield estimate(costs, accounts, Fleet(cores))
            if cores > 1:
                yield estimate(costs, accounts, Fleet(cores // 2, 2))


def times(costs: Costs) -> Iterator[str]:
    """All sizes and fleets, both ways, with what the workers and the parent were doing."""
    rows = []
    for one in _estimates(costs):
        fleet = one.fleet
        rows.append(
            [
                f"{millions(one.accounts)}, {one.batches:,} batches",
                *(str(fleet.cores), f"{fleet.workers} x {fleet.threads}"),
                *(f"{one.by_waves:,.0f} s", span(one.seconds)),
                *(f"{one.schedule.seconds:,.0f} s", f"{one.serial:,.0f} s"),
                f"{100 * one.serial / one.seconds:.0f} %",
                f"{100 * one.schedule.utilization(fleet.workers):.0f} %",
            ]
        )
    header = [
        *("accounts", "cores", "workers", "by levels", "scheduled", "of it tree", "serial"),
        *("serial part", "workers busy"),
    ]
    yield from table(header, rows)


def amdahl(costs: Costs) -> Iterator[str]:
    """What a fleet without end would take, and the number of workers that is worth having."""
    rows = []
    for accounts in SIZES:
        batches = batches_for(costs, accounts)
        one = Fleet(1)
        levels = waves(costs, batches, one)
        work = sum(level.proofs * level.piece.seconds for level in levels)
        path = sum(level.piece.start_seconds + level.piece.seconds for level in levels)
        before = before_seconds(costs, accounts, 2)
        serial = before + accounts / MILLION * costs.stage_seconds("export", 2)
        whole = pace(costs, ProofTree(batches), one)
        handing = batches * whole.handing(NodeId(0, 0))
        rows.append(
            [
                *(millions(accounts), f"{work:,.0f} s", f"{path:,.0f} s", f"{handing:,.0f} s"),
                *(f"{serial:,.0f} s", f"{work / serial:,.0f}"),
                span(serial + max(path, handing)),
            ]
        )
    header = [
        *("accounts", "all proofs, one core", "longest path", "batches sent", "serial"),
        *("work / serial", "no faster than"),
    ]
    yield from table(header, rows)


def bandwidth(costs: Costs) -> Iterator[str]:
    """What the parent's network must carry for all workers to be busy."""
    rows = []
    for workers, threads in ((1, 1), (16, 1), (256, 1), (128, 2)):
        needed = busy_bandwidth(costs, Fleet(workers, threads))
        flying = PER_WORKER * workers * costs.task_bytes
        memory = workers * costs.worker_bytes(threads)
        rows.append([f"{workers} x {threads}", f"{needed / 1e9:.2f}", size(flying), size(memory)])
    header = ["workers", "Gbit/s of batches", "in flight", "memory of all workers"]
    yield from table(header, rows)


def over(value: int, limit: int, text: str) -> str:
    """A figure, marked if it is more than there may be."""
    return text if value <= limit else f"! {text}"


def limits(costs: Costs) -> Iterator[str]:
    """What a publication takes of everything but time, beside what there is."""
    fleet = Fleet(256)
    pinned = aggregable(costs.data["profile"])[costs.shape]
    columns = []
    for accounts in SIZES:
        batches = batches_for(costs, accounts)
        alone, held = parent_bytes(costs, accounts, fleet)
        part = accounts / MILLION
        holdings = round(accounts * costs.spread["holdings"] / costs.spread["accounts"])
        store, snapshot = costs.file_bytes("store_bytes"), costs.file_bytes("snapshot_bytes")
        columns.append(
            [
                over(batches, min(pinned, MAXIMUM_BATCHES), f"{batches:,}"),
                str(ProofTree(batches).levels),
                over(holdings, MAX_HOLDINGS, f"{holdings / MILLION:,.0f} M"),
                *(size(alone), size(held), size(part * snapshot), size(part * store)),
                *(size(proof_bytes(costs, batches)), size(sent_bytes(costs, batches))),
            ]
        )
    names = [
        f"batches; keys are pinned for {pinned:,}, the format has {MAXIMUM_BATCHES:,}",
        "levels of joins",
        f"holdings; a snapshot has at most {MAX_HOLDINGS / 1e6:,.0f} M",
        "memory of the parent by itself",
        "memory of the parent, 256 workers at work",
        "snapshot, Parquet",
        "inclusion store",
        "work folder",
        "sent by the parent",
    ]
    rows = [list(row) for row in zip(names, *columns, strict=True)]
    yield from table(["accounts", *map(millions, SIZES)], rows)
    yield "! is more than there may be"
    yield f"memory: {size(BASE_BYTES)} of the process, and what grows with accounts and batches"


def bits(costs: Costs) -> Iterator[str]:
    """Bits of the weakest round, and of the sum of all errors."""
    keys = aggregate_keys(costs.data["profile"], costs.shape)
    planned = {batches_for(costs, accounts) for accounts in SIZES}
    rows = []
    for batches in sorted({*BATCHES, *planned, MAXIMUM_BATCHES}):
        found = aggregate_security(keys.layers(batches), b"", True)
        rows.append(
            [
                *(f"{batches:,}", f"{len(ProofTree(batches)):,}"),
                *(f"{found.minimum:.2f}", f"{found.union:.2f}"),
            ]
        )
    yield from table(["batches", "proofs", "weakest round", "sum of all errors"], rows)


def simulated(costs: Costs) -> Iterator[str]:
    """What ``simulate --record`` wrote down."""
    rows = [
        [
            *(f"{one['workers']} x {one['threads']}", f"{one['batches']:,}", f"{one['scale']:g}"),
            *(f"{one['model_seconds']:.2f} s", f"{one['seconds']:.2f} s"),
            f"{one['seconds'] / one['model_seconds']:.3f}",
            f"{1e3 * (one['seconds'] - one['model_seconds']) / one['proofs']:.1f} ms",
        ]
        for one in costs.data.get("simulated", [])
    ]
    header = ["workers", "batches", "scale", "model", "simulated", "ratio", "more per proof"]
    yield from table(header, rows)


def million(costs: Costs) -> Iterator[str]:
    """What the model says of a size that has been run."""
    found = estimate(costs, RUN, Fleet(1, 2))
    yield (
        f"{RUN:,} accounts, {found.batches} batches, one worker of two threads: "
        f"{found.before:,.1f} + {found.schedule.seconds:,.1f} + {found.after:,.1f} = "
        f"{found.seconds:,.1f} s"
    )


BLOCKS: dict[str, Callable[[Costs], Iterator[str]]] = {
    "conditions": conditions,
    "proofs": proofs,
    "parent": parent,
    "transfers": transfers,
    "arithmetic": arithmetic,
    "times": times,
    "amdahl": amdahl,
    "bandwidth": bandwidth,
    "limits": limits,
    "bits": bits,
    "simulated": simulated,
    "million": million,
}
