"""Sweeps end to end on tiny snapshots: what is in the document, and that its figures add up."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from air.bench import machine as machines
from air.bench import proving, sections
from air.bench.batch_verifier import PROOF_FILE, read_batch
from air.bench.kernels import PYTHON, Calls, KernelWatch
from air.bench.machine import ReferenceKernel, Stopwatch, in_fresh_process, peak_memory
from air.bench.phases import measure_phases
from air.bench.points import Point, parameters, sweep
from air.bench.proving import Limits
from air.bench.speeds import Speeds, block_count, nonces_tried
from air.bench.sweep import SCHEMA, Options, ratios, run_sweep
from air.bench.tables import UNEXPLAINED, document_lines, grid
from air.keys import shipped_shapes, verification_key
from air.publication import Publication
from air.resources import Resources
from stark import parallel
from stark.errors import Rejected, UsageError
from stark.field.extension_kernels import multiply
from stark.jit import Kernel
from stark.verifier.verify import verify

TINY = Point(accounts=12, assets=3, holdings=2.0, profile="proven100", threads=1)
LIMITS = Limits(runs=1, max_log_rows=12)
SMALL_KERNEL = ReferenceKernel(log_rows=6, width=16, log_blowup=1)
STATISTICS = Path("/proc/self/statm")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def lists(**changes: Any) -> dict[str, Any]:
    """Arguments of ``sweep`` for one point."""
    given: dict[str, Any] = {
        "accounts": (12,),
        "assets": (3,),
        "holdings": (2.0,),
        "profiles": ("proven100",),
        "threads": (1,),
    }
    return given | changes


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A publication, and a point that cannot be proven: 2^12 rows do not hold 5,000 accounts."""
    out = tmp_path_factory.mktemp("sweep") / "figures.json"
    points = [TINY, replace(TINY, accounts=5000, alone=True)]
    made = run_sweep(points, Options(LIMITS, reference=SMALL_KERNEL, out=out))
    assert json.loads(out.read_text()) == made
    return made


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]


def test_document(document: dict[str, Any]) -> None:
    assert list(document) == ["schema", "machine", "results", "reference", "ratios"]
    assert document["schema"] == SCHEMA
    named = ("cpu", "llvm_cpu", "cores", "memory_bytes", "system", "python", "numpy", "numba")
    assert all(document["machine"][name] for name in (*named, "date"))
    assert len(document["machine"]["load_average_at_end"]) == 3
    kernel = document["reference"]
    assert (kernel["log_rows"], kernel["width"], kernel["log_blowup"]) == (6, 16, 1)
    assert kernel["threads"] == 1
    assert min(kernel["seconds_of_all_runs"]) == kernel["seconds"] > 0 < kernel["seconds_at_end"]
    assert all(type(leaf) in (int, float, str, bool, type(None)) for leaf in leaves(document))


def test_publication_point(document: dict[str, Any]) -> None:
    result = document["results"][0]
    assert result["point"]["accounts"] == 12
    assert result["mode"] == "publication"
    assert result["snapshot"] == {"accounts": 12, "assets": 3, "holdings": 24}
    assert (result["batches"], result["rows"]) == (1, 1 << 12)
    assert set(result["tables_of_a_batch"]) == {"chain", "tree", "totals", "range"}
    prover = result["prover"]
    assert prover["first"] == prover["fastest"]
    fastest = prover["fastest"]
    assert set(fastest["phases"]) == {
        *("reading", "placement", "hashing accounts", "proving key", "proving"),
        *("checking the proof", "files"),
    }
    # Whatever else the machine does meanwhile, most of the time is in some phase.
    assert 0.5 < sum(fastest["phases"].values()) / fastest["seconds"] <= 1
    rounds = sum(lap["seconds"] for lap in fastest["rounds"].values())
    assert 0.5 < rounds / fastest["phases"]["proving"] < 1.5
    assert list(fastest["rounds"]) == [
        *("trace", "main columns", "bus columns", "constraints"),
        *("openings", "low-degree test", "queries"),
    ]
    ratio = fastest["seconds"] / document["reference"]["seconds"]
    assert prover["in_reference_kernels"] == ratio
    assert prover["peak_memory_bytes"] > 50 << 20
    assert len(result["verifier"]["cold_seconds_of_all_runs"]) == 5
    assert result["verifier"]["cold_seconds"] > 0 < result["verifier"]["warm_seconds"]
    assert float(result["security"]["minimum_bits"]) >= 100
    assert set(result["predicted"]) == {field.name for field in fields(Resources)}
    parts = sections.total(result["proof"]["sections"])
    assert parts == result["proof"]["bytes"]
    assert result["predicted"]["proof_bytes"] == pytest.approx(parts, rel=0.2)


def test_a_point_that_fails_says_why(document: dict[str, Any]) -> None:
    failed = document["results"][1]
    assert "prover" not in failed
    assert "batches of" in failed["error"] or "no shape" in failed["error"]
    assert document["ratios"] == []


def test_lines_for_people(document: dict[str, Any]) -> None:
    text = "\n".join(document_lines(document))
    assert "reference " in text
    assert "rows12-slots5-assets9" in text
    assert f"{document['results'][0]['proof']['bytes']:,}" in text
    assert "  low-degree test" in text
    assert grid([["a", "b"], ["long", "1"]]) == ["a     b", "long  1"]


# ---- sections


def test_sections_of_a_publication_are_its_bytes(small_publication: Any) -> None:
    data: bytes = small_publication.proof
    found = sections.publication_sections(data)
    assert sections.total(found) == len(data)
    assert sum(sections.summary(found).values()) == len(data)
    publication = Publication.decode(data)
    inside = {name: value for name, value in found.items() if name != "publication"}
    assert sections.total(inside) == sum(len(batch.proof) for batch in publication.batches)
    assert [name for name in found["openings"] if not name.startswith("fri")] == [
        *("preprocessed", "main", "auxiliary", "quotient"),
    ]
    assert found["openings"]["preprocessed"]["salts"] == 0 < found["openings"]["main"]["salts"]


def test_sections_add_up_over_batches() -> None:
    one = {"header": 3, "openings": {"main": {"rows": 5}}}
    other = {"header": 4, "openings": {"main": {"rows": 6}, "fri 0": {"rows": 1}}}
    both = sections.add(sections.add({}, one), other)
    assert both == {"header": 7, "openings": {"main": {"rows": 11}, "fri 0": {"rows": 1}}}
    assert one["openings"] == {"main": {"rows": 5}}
    assert sections.total(both) == 19


def test_walking_a_damaged_proof_is_refused(small_publication: Any) -> None:
    publication = Publication.decode(small_publication.proof)
    proof = publication.batches[0].proof
    key = verification_key("proven128", shipped_shapes()[0])
    with pytest.raises(Rejected):
        sections.walk(key, b"x" + proof[1:], {}, b"")


# ---- one batch by itself


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Point]:
    """Nothing hidden, blowup 2: what no publication has."""
    folder = tmp_path_factory.mktemp("alone")
    point = replace(TINY, zk=False, log_blowup=1, alone=True)
    proving.write_snapshots(point, folder)
    proving.prove_alone(point, LIMITS, folder / proving.SNAPSHOT, folder / "proven")
    return folder, point


def test_a_batch_alone_verifies_and_adds_up(alone: tuple[Path, Point]) -> None:
    folder, _ = alone
    key, proof, publics = read_batch(folder / "proven")
    verify(key, proof, publics)
    assert (key.parameters.zk, key.parameters.log_blowup) == (False, 1)
    found = sections.batch_sections(key, proof, publics, b"")
    assert sections.total(found) == len(proof) == sum(sections.summary(found).values())
    assert all(one["salts"] == 0 for one in found["openings"].values())


def test_the_cold_verifier_of_a_batch_verifies(alone: tuple[Path, Point], tmp_path: Path) -> None:
    folder, _ = alone
    for file in (folder / "proven").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    proof = bytearray((tmp_path / PROOF_FILE).read_bytes())
    proof[-1] ^= 1
    (tmp_path / PROOF_FILE).write_bytes(proof)
    done = subprocess.run(
        [sys.executable, "-m", "air.bench.batch_verifier", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Merkle" in done.stderr


def test_the_cold_verifier_of_a_batch_needs_no_prover() -> None:
    program = "import sys, air.bench.batch_verifier; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_phases(tmp_path: Path) -> None:
    point = replace(TINY, alone=True)
    proving.write_snapshots(point, tmp_path)
    result = measure_phases(point, LIMITS, tmp_path)
    assert result["proof_bytes"] > 100_000
    for name, phase in result["phases"].items():
        kernels = sum(phase["kernels"].values())
        assert phase["seconds"] == pytest.approx(kernels + phase["outside_kernels"])
        assert phase["outside_kernels"] >= 0
        bound = sum(term["seconds"] for term in phase["bound"])
        assert phase["bound_seconds"] == pytest.approx(bound)
        assert bound > 0, name
        rest = phase["seconds"] * phase["unexplained"]
        assert phase["seconds"] == pytest.approx(bound + phase["python_seconds"] + rest)
        assert 0 <= phase["python_seconds"] <= phase["outside_kernels"]
        (calls,) = [term for term in phase["bound"] if term["operation"] == "calls of kernels"]
        assert calls["count"] == sum(phase["calls"].values()) > 0, name
        assert 1e-7 < calls["seconds"] / calls["count"] < 1e-2, name
    assert "ntt.transform_pass" in result["phases"]["main columns"]["kernels"]
    assert "interpreter_kernels.interpret" in result["phases"]["constraints"]["kernels"]
    entry = {"point": point.describe(), "note": "n", **result}
    machine = machines.machine() | {"load_average_at_end": None}
    text = "\n".join(document_lines({"machine": machine, "results": [entry]}))
    assert "constraints interpreted" in text
    assert f"more than {UNEXPLAINED:.0%} unexplained" in text


# ---- parts


def test_combinations_in_order() -> None:
    points = sweep(**lists(accounts=(1, 2), threads=(1, 2)))
    assert [(point.accounts, point.threads) for point in points] == [(1, 1), (2, 1), (1, 2), (2, 2)]
    assert all(point.published for point in points)


def test_one_point_alone_makes_all_alone() -> None:
    points = sweep(**lists(zk=(True, False)))
    assert [(point.zk, point.published) for point in points] == [(True, False), (False, False)]
    assert not sweep(**lists(log_blowups=(3,)))[0].published
    assert not sweep(**lists(alone=True))[0].published


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accounts": (0,)}, "accounts must be 1 or more, got 0"),
        ({"threads": (1, 0)}, "threads must be 1 or more, got 0"),
        ({"assets": (16385,)}, "assets must be 1 to 16384"),
        ({"holdings": (0.5,)}, "holdings per account"),
        ({"holdings": (4.0,)}, "with 3 assets"),
        ({"profiles": ("proven1",)}, "unknown profile 'proven1'"),
        ({"hash_suites": ("md5",)}, "unknown hash suite 'md5'; there is sha256"),
        ({"log_blowups": (6,)}, "blowup must be 1 to 5, got 6"),
        ({"log_blowups": (0,)}, "blowup must be 1 to 5, got 0"),
        ({"accounts": ()}, "a list is empty"),
    ],
)
def test_impossible_sweeps_are_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        sweep(**lists(**changes))
    assert words in str(error.value)


def test_parameters_are_the_profiles_but_for_what_is_asked() -> None:
    shape = shipped_shapes()[0]
    assert parameters(TINY, shape) == verification_key("proven100", shape).parameters
    clear = parameters(replace(TINY, zk=False), shape)
    assert (clear.zk, clear.log_slack, clear.log_blowup) == (False, 0, 3)
    wide = parameters(replace(TINY, zk=False, log_blowup=2), shape)
    assert wide.log_blowup == 2
    assert wide.queries > clear.queries


def test_a_point_in_words() -> None:
    point = replace(TINY, zk=False, log_blowup=4, threads=2)
    assert point.name() == (
        "12 accounts, 3 assets, 2 each, proven100, 2 threads, nothing hidden, blowup 16"
    )


def test_ratios_compare_snapshots_alone() -> None:
    def result(point: Point, figure: int) -> dict[str, Any]:
        return {
            "point": point.describe(),
            "snapshot": {"accounts": point.accounts, "holdings": figure},
            "rows": figure,
            "prover": {"fastest": {"seconds": figure}, "peak_memory_bytes": figure},
            "proof": {"bytes": figure},
            "verifier": {"cold_seconds": figure},
        }

    small, large = result(TINY, 2), result(replace(TINY, accounts=40), 6)
    (only,) = ratios([small, large, result(replace(TINY, threads=2), 7)])
    assert only.pop("accounts") == [12, 40]
    assert set(only.values()) == {3.0}


def test_stopwatch_adds_up_and_stops() -> None:
    watch = Stopwatch()
    for name in ("a", "b", "a", ""):
        watch.start(name)
    assert list(watch.laps) == ["a", "b"]
    before = watch.laps["a"]["seconds"]
    watch.start("")
    assert watch.laps["a"]["seconds"] == before > 0


def _exit() -> None:
    os._exit(9)


def test_a_process_that_is_ended_from_outside_is_said_in_words() -> None:
    with pytest.raises(UsageError, match="out of memory"):
        in_fresh_process(_exit)


@pytest.mark.skipif(not STATISTICS.exists(), reason="needs Linux")
def test_peak_memory_is_at_least_what_is_resident() -> None:
    block = np.ones(1 << 22, np.uint64)
    resident = int(STATISTICS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert block.nbytes < resident <= peak_memory() < 1000 * resident


def test_watch_names_kernels_and_leaves_everything_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STARK_THREADS", "1")
    run, call = parallel.run, Kernel.__call__
    watch = KernelWatch()
    a = np.ones((5, 64), np.uint32)
    with watch.watching():
        assert parallel.run is not run
        multiply(a, a)
        parallel.run(lambda lo, hi: None, 64)
    assert (parallel.run, Kernel.__call__) == (run, call)
    assert watch.take_calls() == Calls(alone=2)
    assert watch.take_calls() == Calls()
    taken = watch.take()
    assert set(taken) == {"extension_kernels.multiply_range", PYTHON}
    assert all(seconds > 0 for seconds in taken.values())
    assert watch.take() == {}
    multiply(a, a)
    assert watch.take() == {}


def test_calls_on_several_threads_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARK_THREADS", "2")
    watch, large = KernelWatch(), np.ones((5, 1 << 18), np.uint32)
    with watch.watching():
        multiply(large, large)
        multiply(large[:, :16].copy(), large[:, :16].copy())
    assert watch.take_calls() == Calls(alone=1, shared=1)


def test_fixed_costs_are_not_counted_twice() -> None:
    """A small operation is its calls: measured with them, its speed leaves them out."""
    speeds = Speeds()
    assert speeds.fixed(Calls()) == 0
    assert speeds.fixed(Calls(alone=3)) == pytest.approx(3 * speeds.call(False))
    assert 0 < speeds.call(False) < 3 * speeds.call(True)
    seconds = []
    a = np.ones((5, 16), np.uint32)
    for _ in range(200):
        started = time.perf_counter()
        multiply(a, a)
        seconds.append(time.perf_counter() - started)
    assert 16 * speeds.vector("product", 16) < 2 * min(seconds)


def test_speeds_are_kept() -> None:
    speeds = Speeds()
    first = speeds.transform(64, 16)
    assert first > 0
    assert speeds.transform(64, 16) == first
    assert speeds.vector("differences", 64) > 0 < speeds.vector("quotients", 64)
    with pytest.raises(KeyError):
        speeds.vector("magic", 64)


def test_bounds_are_of_products_and_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The larger of the two, of made-up speeds; measured ones are positive."""
    speeds = Speeds()
    assert 0 < speeds.product() < 1e-6
    assert 0 < speeds.copied_byte() < 1e-6
    bounds = module_of("bounds")

    class Fixed:
        product = staticmethod(lambda: 2.0)
        work = staticmethod(lambda: 10.0)
        copied_byte = staticmethod(lambda: 1.0)

    monkeypatch.setattr(bounds, "_speeds", Fixed)
    assert bounds.Work(3, bytes=5).bound() == (6.0, "instructions")
    assert bounds.Work(3, bytes=7).bound() == (7.0, "memory")
    assert bounds.Work(3, compressions=2).bound() == (26.0, "instructions")


def test_blocks_of_columns() -> None:
    assert block_count([]) == 0
    assert block_count([0, 15]) == 1
    assert block_count([15, 16, 40]) == 3


def test_nonces_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARK_THREADS", "1")
    assert [nonces_tried(nonce, 20) for nonce in (0, 5, 1 << 18)] == [1, 6, (1 << 18) + 1]
    monkeypatch.setenv("STARK_THREADS", "2")
    assert nonces_tried(5, 20) == 1 << 18
    assert nonces_tried((1 << 18) + 5, 3) == (1 << 18) + 16
    assert nonces_tried(100, 3) == 101


# ---- plots


def module_of(name: str) -> ModuleType:
    """A file of the folder of benchmarks, which is no package."""
    path = BENCHMARKS / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"bench_{name}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[f"bench_{name}"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plot() -> ModuleType:
    return module_of("plot")


def test_fit_finds_its_own_law(plot: ModuleType) -> None:
    sizes = [1 << k for k in range(10, 16)]
    law = plot.fit(sizes, [3e-7 * n * np.log2(n) + 0.25 for n in sizes])
    assert law.a == pytest.approx(3e-7)
    assert law.b == pytest.approx(0.25)
    assert max(map(abs, law.residuals)) < 1e-9
    assert law.largest_step < 1
    cliff = plot.fit(sizes, [1e-6 * n * np.log2(n) * (1 + 2 * (n > 5000)) for n in sizes])
    assert cliff.largest_step == pytest.approx(3)
    assert plot.fit([8], [2.0]).at(8) == 2.0


def test_plots_of_a_sweep(
    plot: ModuleType,
    document: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "figures.json"
    larger = json.loads(json.dumps(document["results"][0]))
    larger["snapshot"]["holdings"] *= 2
    both = {**document, "results": [*document["results"], larger]}
    file.write_text(json.dumps(both))
    plot.main([str(file), "--out", str(tmp_path / "plots")])
    names = sorted(path.name for path in (tmp_path / "plots").iterdir())
    assert names == ["memory.png", "proof.png", "sections-1.png", "time.png"]
    printed = capsys.readouterr().out
    assert "time, proven100, 1 threads, publication" in printed
    assert "largest step" in printed
    file.write_text('{"results": []}')
    with pytest.raises(SystemExit, match="no measured points"):
        plot.main([str(file)])
