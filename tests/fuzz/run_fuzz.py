"""Coverage-guided fuzzing of the targets with atheris: ``python tests/fuzz/run_fuzz.py``.

Every target runs in processes of its own. A finding is written to the output folder and fuzzing
goes on; what kills the process (a hang, memory) is kept by libFuzzer there, and the process is
started again until the time is over. What was only too slow is run once more as it is.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MEMORY_LIMIT = 2048
"""MiB of resident memory; honest inputs take about 300, most of it compiled kernels."""

HARD_LIMIT = 20
"""Seconds after which libFuzzer ends an execution that does not return. Instrumented field
arithmetic takes about ten times as long; what exceeds the limit of the targets (2 s) is run again
without instrumentation, and is a finding if it exceeds it there."""


def kernel_modules() -> list[str]:
    """Modules that are compiled: Numba cannot compile instrumented bytecode."""
    found = []
    for package in ("stark", "air"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "numba" in text or "stark.jit" in text or "llvmlite" in text:
                parts = path.relative_to(ROOT).with_suffix("").parts
                found.append(".".join(part for part in parts if part != "__init__"))
    return [name for name in found if name not in ("stark", "air")]


class Findings:
    """Writes one input for each kind of finding: its exception and where that was raised."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: set[str] = set()

    def add(self, error: Exception, data: bytes) -> None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        name = f"{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}"
        if name in self.seen:
            return
        self.seen.add(name)
        (self.folder / f"{name}.input").write_bytes(data)
        (self.folder / f"{name}.txt").write_text(traceback.format_exc(), encoding="utf-8")
        print(f"finding: {name}: {error}", file=sys.stderr, flush=True)


def fuzz(name: str, folder: Path, flags: list[str]) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris

    sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
    with atheris.instrument_imports(include=["stark", "air"], exclude=kernel_modules()):
        from fuzz import targets

        target = targets.TARGETS[name]()
    findings = Findings(folder)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        targets.execute(target, seed, limit=60.0)
        (corpus / f"seed{number}").write_bytes(seed)

    slowest = 0.0

    def run(data: bytes) -> None:
        nonlocal slowest
        start = time.perf_counter()
        try:
            targets.execute(target, data)
        except Exception as error:  # noqa: BLE001 - any exception is what is looked for
            findings.add(error, data)
        seconds = time.perf_counter() - start
        if seconds > slowest:
            slowest = seconds
            # The process ends without returning here: what it found out is in its output.
            print(f"slowest so far: {1000 * seconds:.0f} ms", file=sys.stderr, flush=True)

    def custom_mutator(data: bytes, max_size: int, seed: int) -> bytes:
        source = random.Random(seed)
        if source.randrange(8) == 0:
            return atheris.Mutate(data, max_size)
        # The offsets are those of the honest input: it is where most mutants start.
        start = source.choice(target.seeds) if source.randrange(2) else data
        return targets.mutate(target, start, source)[:max_size]

    longest = 2 * max(map(len, target.seeds)) + 4096
    arguments = [
        sys.argv[0],
        *flags,
        f"-max_len={longest}",
        f"-timeout={HARD_LIMIT}",
        f"-rss_limit_mb={MEMORY_LIMIT}",
        f"-artifact_prefix={folder}/libfuzzer-",
        "-print_final_stats=1",
        "-len_control=0",
        "-close_fd_mask=0",
        str(corpus),
    ]
    atheris.Setup(arguments, run, custom_mutator=custom_mutator)
    atheris.Fuzz()


def supervise(name: str, seconds: float, output: Path) -> int:
    """Fuzz one target for so many seconds; print a line about it; the number of findings."""
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, "--child", name, "--output", str(output)]
    end = time.monotonic() + seconds
    executions, busy, deaths, coverage, slowest, memory = 0, 0.0, 0, 0, 0, 0
    while (left := round(end - time.monotonic())) > 0:
        started = time.monotonic()
        log = folder / f"log{deaths}.txt"
        with open(log, "wb") as file:
            child = subprocess.run(
                [*command, "--seconds", str(left)], stderr=file, stdout=file, check=False
            )
        text = log.read_text(encoding="utf-8", errors="replace")
        executions += last_number(text, r"stat::number_of_executed_units:\s*(\d+)", r"^#(\d+)")
        coverage = max(coverage, last_number(text, r"cov: (\d+)"))
        slowest = max(slowest, last_number(text, r"slowest so far: (\d+)"))
        memory = max(memory, last_number(text, r"stat::peak_rss_mb:\s*(\d+)", r"rss: (\d+)Mb"))
        busy += time.monotonic() - started
        if child.returncode == 0:
            break
        deaths += 1
        if "INITED" not in text:
            print(f"{name}: could not start, see {log}")
            return 1
    kept = sorted(
        path.name
        for path in folder.iterdir()
        if (path.suffix == ".input" or path.name.startswith("libfuzzer-"))
        and not path.name.startswith("libfuzzer-slow-unit")
        and confirmed(name, path)
    )
    rate = executions / busy if busy else 0.0
    print(
        f"{name:20} {executions:9,} executions {rate:9,.0f}/s, coverage {coverage},"
        f" slowest {slowest} ms (instrumented), {memory} MiB, {len(kept)} findings",
        *(f"\n    {folder / file}" for file in kept),
        flush=True,
    )
    return len(kept)


def confirmed(name: str, path: Path) -> bool:
    """False if the input was too slow, but is not without instrumentation."""
    if not path.name.startswith(("SlowError", "libfuzzer-timeout")):
        return True
    command = [sys.executable, __file__, "--target", name, "--reproduce", str(path)]
    try:
        child = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return True
    return child.returncode != 0


def last_number(text: str, *patterns: str) -> int:
    """The last number that the first pattern to occur matches, 0 if none does."""
    for pattern in patterns:
        found = re.findall(pattern, text, re.MULTILINE)
        if found:
            return int(found[-1])
    return 0


def reproduce(name: str, path: Path) -> None:
    """Run one kept input without instrumentation; raises what it raised."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
    from fuzz import targets

    target = targets.TARGETS[name]()
    targets.execute(target, target.seeds[0], limit=60.0)  # compiles, fills caches
    targets.execute(target, path.read_bytes())
    print("nothing found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", help="may be repeated; all if left out")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--output", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--reproduce", type=Path, help="run one input on the target and stop")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.reproduce is not None:
        reproduce(options.target[0], options.reproduce)
        return
    if importlib.util.find_spec("atheris") is None:
        sys.exit(
            "atheris is not installed: pip install '.[fuzz]' (Linux, CPython). The same targets"
            " run without it, on fewer inputs: pytest tests/fuzz"
        )
    if options.child is not None:
        flags = [f"-max_total_time={options.seconds}"]
        fuzz(options.child, options.output / options.child, flags)
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]
    from fuzz.targets import TARGETS

    names = options.target or list(TARGETS)
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        sys.exit(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    findings = sum(supervise(name, options.seconds, options.output.resolve()) for name in names)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
