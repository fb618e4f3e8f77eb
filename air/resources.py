"""What proving a snapshot will take: memory, time, disk, and the size of what comes out.

Memory is counted: the large buffers of the prover by phase, as :mod:`stark.prover` has them. Time
is measured on the machine it is asked for: a transform and a hash of some rows, times how often a
proof needs them. The size of a proof is that of one with queries drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256

from air.aggregate.keys import aggregate_keys, layer_system
from air.keys import shipped_shapes, verification_key
from air.planning import Fits, Plan
from air.proof_size import message_bytes, proof_trees
from air.shape import LOG_RANGE, Shape
from air.snapshot.table import Snapshot
from air.speeds import TYPICAL_SPEEDS, Speeds, physical_memory
from air.tables.batch import batch_system
from stark.constraints.expression import Part
from stark.field.extension import DEGREE
from stark.field.memory import LANES, padded_width
from stark.hash.poseidon import RATE
from stark.hash.sha256 import DIGEST_BYTES, ELEMENT_BYTES, SALT_BYTES
from stark.hash.suite import SUITES
from stark.merkle.multiproof import TreeShape, group_indices, missing_siblings
from stark.parallel import worker_count
from stark.recursion.system import CircuitShape
from stark.soundness.search import PROFILES, Role
from stark.system import Table
from stark.verifier.key import VerificationKey
from stark.verifier.layout import Tree, cells

BASE_BYTES = 250 << 20
"""The interpreter with numpy, numba, pyarrow and the compiled kernels."""

ALLOCATED = {"published": 1.13, "batch": 1.32, "join": 1.18, "wrap": 1.18}
"""What is allocated for the prover's buffers by what is counted, by the role of a proof: masks,
temporaries, and buffers that the pool keeps though none fits. Measured for batches of 2^15 to 2^20
rows."""

MARGIN = 0.9
"""Part of a limit on memory that predictions may fill."""

CIRCUIT_ROW_BYTES = 2_000
"""What a row of a circuit takes while it is written and run: its fixed columns as integers, its
steps, and the values of wires. About."""

_DRAWS = 8
"""Sets of queries over which the size of a proof is averaged."""

_WORD = 4
_NODE_BYTES = 2 * DIGEST_BYTES
"""A tree keeps all its levels: twice its leaves."""


REST = {"published": 2.15, "batch": 1.95, "join": 1.45, "wrap": 1.6}
"""All of a proof's time by that of its transforms and its hashing, measured, by its role."""

ALONE = 0.16
"""Part of a proof's work that one thread does while others wait: a batch took 22.8 s with one
thread and 13.3 s with two."""

THREADS_PER_WORKER = 2
"""With one thread each twice as many processes make a seventh more batches in the same time; what
their keys and fresh memory take eats that up, and they need twice the memory."""

FIXED_SECONDS = 0.3
"""Proofs of work, small tables, the transcript: what does not grow with a batch."""

KEY_SECONDS = 2.0
"""Writing a circuit and committing to its fixed columns."""

WITNESS_SECONDS = 2e-6
"""Per permutation of a circuit; they are computed one after the other."""

SECONDS_PER_ACCOUNT = 3e-6
SECONDS_PER_HOLDING = 1e-6
"""Placement, account hashes, and the inclusion store."""

STATEMENT_BYTES = 1 << 14
"""About; it follows the registry."""


@dataclass(frozen=True)
class Resources:
    """A prediction.

    Attributes
    ----------
    memory_bytes
        Peak resident memory of the process.
    seconds
        From the snapshot in memory to the files.
    memory_seconds
        The part of them that the system takes to hand out memory. It is the part that varies: a
        second proof soon after the first, in one process or on one machine, hardly pays it.
    proof_bytes
        Size of the proof file.
    disk_bytes
        All that is written: proof file, statement, inclusion store.
    """

    memory_bytes: int
    seconds: float
    memory_seconds: float
    proof_bytes: int
    disk_bytes: int


def store_bytes(accounts: int, holdings: int, slots: int, id_bytes: int) -> int:
    """Size of the inclusion store: its blobs, a tenth for pages that are not full, some pages."""
    blobs = accounts * (SALT_BYTES + 12) + id_bytes + 12 * holdings + 2 * DIGEST_BYTES * slots
    return blobs + blobs // 10 + (1 << 18)


def snapshot_bytes(accounts: int, holdings: int, slots: int, id_bytes: int) -> int:
    """Arrays of a snapshot and its placement, with all trees of accounts."""
    per_account = 8 + 8 + 8 + SALT_BYTES + DIGEST_BYTES
    per_slot = 8 + DIGEST_BYTES + 8 + 2 * DIGEST_BYTES
    per_holding = 2 * (2 + 10)
    return accounts * per_account + id_bytes + slots * per_slot + holdings * per_holding


@dataclass(frozen=True)
class _Table:
    """What of a table its cost depends on: rows, and bytes per row."""

    height: int
    fixed: int
    main: int
    auxiliary: int
    hashed: int
    permuted: int
    chunks: int


@cache
def _template(zk: bool) -> tuple[Table, ...]:
    """The tables of one shape: their widths are those of every shape."""
    return batch_system(min(shipped_shapes()), zk=zk, whole_rows=not zk).tables


def _tables(shape: Shape, zk: bool) -> list[_Table]:
    # Not the systems of all shapes that a plan compares: each has thousands of nodes.
    heights = {
        "chain": shape.rows,
        "tree": 1 << shape.log_tree_rows,
        "totals": 1 << (shape.log_capacity + shape.log_segments),
        "range": 1 << LOG_RANGE,
    }
    return _costs(_template(zk), heights)


def _costs(tables: Sequence[Table], heights: Mapping[str, int]) -> list[_Table]:
    return [
        _Table(
            height=heights[table.name],
            fixed=_row_bytes(table, Part.PREPROCESSED),
            main=_row_bytes(table, Part.MAIN),
            auxiliary=_row_bytes(table, Part.AUXILIARY),
            hashed=_WORD * sum(cells(table, tree) for tree in Tree),
            permuted=_row_permutations(table),
            chunks=table.whole_chunks,
        )
        for table in tables
    ]


def batch_bytes(profile: str, shape: Shape, lean: bool, role: str = "published") -> int:
    """Peak of the prover's buffers for one batch, the proving key included.

    ``role`` is ``published``, or ``batch`` for one that is joined.
    """
    chosen = PROFILES[profile].roles[role]
    counted = prover_bytes(_tables(shape, chosen.zk), 1 << chosen.log_blowup, lean)
    return int(ALLOCATED[role] * counted)


def circuit_bytes(profile: str, role: str, shape: CircuitShape) -> int:
    """Peak of the prover's buffers for a join or a wrap, its key and its circuit included."""
    tables = layer_system(role, shape).tables
    heights = {name: 1 << log_height for name, log_height in shape.log_heights.items()}
    blowup = 1 << PROFILES[profile].roles[role].log_blowup
    rows = sum(heights.values())
    counted = prover_bytes(_costs(tables, heights), blowup, lean=False)
    return int(ALLOCATED[role] * counted) + CIRCUIT_ROW_BYTES * rows


def prover_bytes(tables: Sequence[_Table], blowup: int, lean: bool) -> int:
    """Bytes of the prover's buffers at their peak, counted, for a proof of some tables, its key
    included."""
    main = sum(table.height * table.main for table in tables)
    auxiliary = sum(table.height * table.auxiliary for table in tables)
    fixed = sum(table.height * table.fixed for table in tables)
    largest = max(tables, key=lambda table: table.height * table.main)
    height = max(table.height for table in tables)
    tree = _NODE_BYTES * blowup * height
    narrow = LANES * _WORD * height
    # A codeword of each height, the largest twice while another joins it; FRI's trees.
    codewords = 2 * DEGREE * _WORD * blowup * height * 2
    masks = 2 * narrow
    kept = 0 if lean else largest.chunks
    key = fixed * 2 + tree
    scratch = largest.height * (largest.main + largest.auxiliary)
    during_main = 2 * main + max(kept * main, scratch) + tree + masks
    during_auxiliary = (
        2 * main + kept * main + max(kept, 1) * auxiliary + auxiliary + 2 * tree + masks
    )
    columns = main + auxiliary + kept * (main + auxiliary)
    during_quotient = columns + (scratch if lean else 0) + 2 * tree + masks + 8 * narrow
    afterwards = columns + narrow + 3 * tree + masks + codewords
    return key + max(during_main, during_auxiliary, during_quotient, afterwards)


def batch_seconds(
    profile: str, shape: Shape, lean: bool, speeds: Speeds, role: str = "published"
) -> float:
    """Proving one batch; ``role`` as for :func:`batch_bytes`."""
    chosen = PROFILES[profile].roles[role]
    return prover_seconds(_tables(shape, chosen.zk), chosen, lean, speeds, REST[role])


def circuit_seconds(profile: str, role: str, shape: CircuitShape, speeds: Speeds) -> float:
    """Proving one join or wrap, and its witness."""
    tables = layer_system(role, shape).tables
    heights = {name: 1 << log_height for name, log_height in shape.log_heights.items()}
    costs = _costs(tables, heights)
    witness = WITNESS_SECONDS * heights["permutation"]
    chosen = PROFILES[profile].roles[role]
    return witness + prover_seconds(costs, chosen, False, speeds, REST[role])


def prover_seconds(
    tables: Sequence[_Table], role: Role, lean: bool, speeds: Speeds, rest: float
) -> float:
    """A proof of some tables: its transforms and its hashing, times what else there is."""
    blowup = 1 << role.log_blowup
    transformed = hashed = permuted = 0
    for table in tables:
        committed = table.height * (table.main + table.auxiliary) // _WORD
        again = table.chunks if lean else 0
        narrow = LANES * table.height
        transformed += committed * (1 + blowup + again) + 3 * narrow * (blowup + 2)
        hashed += blowup * table.height * table.hashed
        permuted += blowup * table.height * table.permuted
    height = max(table.height for table in tables)
    hashed += 3 * blowup * height * 4 * DIGEST_BYTES
    permuted += 3 * blowup * height
    hashing = hashed * speeds.hashing
    if SUITES[role.hash_suite].permutation is not None:
        hashing = permuted * speeds.permutation
    return FIXED_SECONDS + rest * (transformed * speeds.transform + hashing)


def proving_seconds(
    profile: str, plan: Plan, speeds: Speeds, workers: int = 1, cores: int | None = None
) -> float:
    """All proofs of a plan, level by level, so many at a time, and the keys of circuits.

    ``cores`` are those that the speeds are of; by default what this process uses.
    """
    slower = _sharing(workers, worker_count() if cores is None else cores)

    def level_seconds(proofs: int, each: float) -> float:
        return -(-proofs // workers) * each * slower

    if not plan.aggregated:
        each = batch_seconds(profile, plan.shape, plan.lean, speeds)
        return level_seconds(plan.batches, each)
    keys = aggregate_keys(profile, plan.shape)
    levels = (plan.batches - 1).bit_length()
    each = batch_seconds(profile, plan.shape, plan.lean, speeds, "batch")
    seconds = level_seconds(plan.batches, each)
    for level, join in enumerate(keys.joins[:levels], start=1):
        each = circuit_seconds(profile, "join", join.shape, speeds)
        seconds += level_seconds(-(-plan.batches >> level), each)
    wrap = keys.wraps[levels - 1].shape
    seconds += level_seconds(1, circuit_seconds(profile, "wrap", wrap, speeds))
    return seconds + (levels + 1) * KEY_SECONDS


def _sharing(workers: int, cores: int) -> float:
    """Time of a proof on a worker's part of the cores, by its time on all of them (Amdahl)."""
    own = max(1, cores // workers)
    return (ALONE + (1 - ALONE) / own) / (ALONE + (1 - ALONE) / cores)


def publication_bytes(profile: str, plan: Plan) -> int:
    """Size of a proof file but for its statement: of a proof per batch, or of one for all."""
    if plan.aggregated:
        levels = (plan.batches - 1).bit_length()
        return proof_bytes(aggregate_keys(profile, plan.shape).wrap_key(levels))
    return plan.batches * (proof_bytes(verification_key(profile, plan.shape)) + 68)


def proof_bytes(key: VerificationKey) -> int:
    """Size of a proof for a key, for queries as if drawn at random."""
    parameters = key.parameters
    log_size = key.system.log_heights[0] + parameters.log_blowup
    openings = 0
    for draw in range(_DRAWS):
        indices = [_spread(draw, query) % (1 << log_size) for query in range(parameters.queries)]
        openings += sum(_opening_bytes(tree, indices) for tree in proof_trees(key))
    return message_bytes(key) + openings // _DRAWS


def _spread(draw: int, query: int) -> int:
    """A number that looks random, always the same."""
    return int.from_bytes(sha256(f"{draw} {query}".encode()).digest()[:8], "little")


def _opening_bytes(shape: TreeShape, indices: list[int]) -> int:
    inside = [index % (1 << shape.log_size) for index in indices]
    size = 0
    for (_, width), opened in zip(shape.groups, group_indices(shape, inside), strict=True):
        size += len(opened) * (width * ELEMENT_BYTES + (SALT_BYTES if shape.salted else 0))
    return size + sum(len(level) for level in missing_siblings(shape, inside)) * DIGEST_BYTES


def _row_permutations(table: Table) -> int:
    """Permutations that hash a table's rows in all trees: eight base elements or one extension."""
    fixed, main = table.width(Part.PREPROCESSED), table.width(Part.MAIN)
    extension = table.width(Part.AUXILIARY) + table.quotient_chunks
    return -(-fixed // RATE) + -(-main // RATE) + extension


def _row_bytes(table: Table, part: Part) -> int:
    width = table.width(part) * (DEGREE if part is Part.AUXILIARY else 1)
    return padded_width(width) * _WORD


@dataclass(frozen=True)
class Workload:
    """What of a snapshot its cost depends on."""

    accounts: int
    holdings: int
    id_bytes: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Workload:
        return cls(snapshot.accounts, snapshot.holdings, len(snapshot.id_bytes))


def plan_bytes(workload: Workload, profile: str, plan: Plan, workers: int = 1) -> int:
    """Predicted peak memory of proving by a plan: of this process, or of all that work for it."""
    proving = proving_bytes(profile, plan)
    if workers > 1:
        proving = workers * (BASE_BYTES + proving)
    return (
        BASE_BYTES
        + snapshot_bytes(workload.accounts, workload.holdings, plan.slots, workload.id_bytes)
        + proving
    )


def proving_bytes(profile: str, plan: Plan) -> int:
    """Peak of the prover's buffers over all proofs of a plan, which are made one by one."""
    if not plan.aggregated:
        return batch_bytes(profile, plan.shape, plan.lean)
    keys = aggregate_keys(profile, plan.shape)
    levels = (plan.batches - 1).bit_length()
    joins = (circuit_bytes(profile, "join", one.shape) for one in keys.joins[:levels])
    return max(
        batch_bytes(profile, plan.shape, plan.lean, "batch"),
        circuit_bytes(profile, "wrap", keys.wraps[levels - 1].shape),
        *joins,
    )


def within(memory: int | None, workload: Workload, profile: str, workers: int = 1) -> Fits | None:
    """Whether plans stay within ``memory`` bytes; by default a part of the machine's memory.

    ``workers`` processes share them.
    """
    if memory is None:
        installed = physical_memory()
        if installed is None:
            return None
        memory = installed * 3 // 4
    limit = MARGIN * memory
    return lambda plan: plan_bytes(workload, profile, plan, workers) <= limit


def local_workers(
    memory: int | None, workload: Workload, profile: str, plan: Plan, cores: int
) -> int:
    """Processes that make the proofs of a plan soonest, of those numbers that memory is for.

    Each has :data:`THREADS_PER_WORKER` cores or more. More of them make the batches sooner; fewer,
    with more threads each, the few proofs above them.
    """
    most = max(1, min(cores // THREADS_PER_WORKER, plan.batches))
    possible = [1]
    for workers in range(2, most + 1):
        fits = within(memory, workload, profile, workers)
        if fits is None or not fits(plan):
            break
        possible.append(workers)
    return min(
        possible,
        key=lambda workers: proving_seconds(profile, plan, TYPICAL_SPEEDS, workers, cores),
    )


def predict(
    workload: Workload, profile: str, plan: Plan, speeds: Speeds, workers: int = 1
) -> Resources:
    """All figures of a plan that so many processes of this machine carry out."""
    proofs = publication_bytes(profile, plan) + STATEMENT_BYTES
    store = store_bytes(workload.accounts, workload.holdings, plan.slots, workload.id_bytes)
    seconds = proving_seconds(profile, plan, speeds, workers)
    handing_out = workers * speeds.touching * proving_bytes(profile, plan)
    seconds += handing_out
    seconds += SECONDS_PER_ACCOUNT * workload.accounts + SECONDS_PER_HOLDING * workload.holdings
    return Resources(
        memory_bytes=plan_bytes(workload, profile, plan, workers),
        seconds=seconds,
        memory_seconds=handing_out,
        proof_bytes=proofs,
        disk_bytes=proofs + STATEMENT_BYTES + store,
    )
