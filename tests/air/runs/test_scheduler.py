"""The order of work, what is kept when, and what becomes of lost workers and wrong proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.checks import check, check_equal
from support.fake_jobs import calls, expected, hashed

from air.runs import scheduler
from air.runs.scheduler import ATTEMPTS, Call, MemoryStore, run_tree
from air.runs.tree import NodeId, ProofTree
from air.runs.workers import Borrowed, InProcess
from stark.errors import Code, InputError, Rejected, UsageError


class Gone(Exception):
    """A worker was lost; there are others."""


@dataclass
class Chosen:
    """Workers that finish what a test chooses of what they have, when the scheduler waits.

    Calls with an exception in the place of what is below them end with it.
    """

    in_flight: int = 2
    count: int = 2
    lost: tuple[type[BaseException], ...] = (Gone,)
    renewable: bool = True
    choose: Callable[[list[NodeId]], NodeId] = min
    pending: dict[NodeId, tuple[Call, Future[bytes]]] = field(default_factory=dict)
    most: int = 0
    order: list[NodeId] = field(default_factory=list)
    renewed: int = 0
    stopped: int = 0

    def submit(self, call: Call) -> Future[bytes]:
        future: Future[bytes] = Future()
        node = call.args[0]
        self.pending[node] = (call, future)
        self.order.append(node)
        self.most = max(self.most, len(self.pending))
        return future

    def wait(
        self, futures: Iterable[Future[bytes]], return_when: str
    ) -> tuple[set[Future[bytes]], set[Future[bytes]]]:
        """In the place of ``concurrent.futures.wait``."""
        call, future = self.pending.pop(self.choose(list(self.pending)))
        _, outcome = call.args
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(call.function(*call.args))
        return wait(futures, return_when=return_when)

    def renew(self) -> bool:
        self.renewed += 1
        return self.renewable

    def stop(self) -> None:
        self.stopped += 1
        for _, future in self.pending.values():
            check(future.cancelled(), "what is pending is cancelled")


class Log:
    def __init__(self) -> None:
        self.events: list[tuple[str, NodeId]] = []

    def __call__(self, event: str, node: NodeId, seconds: float) -> None:
        check(seconds >= 0, "seconds")
        self.events.append((event, node))

    def of(self, event: str) -> list[NodeId]:
        return [node for name, node in self.events if name == event]


@given(
    st.integers(1, 40),
    st.booleans(),
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 40))),
    st.integers(1, 5),
)
def test_what_is_missing_is_made_and_nothing_else(
    leaves: int, joined: bool, there: set[tuple[int, int]], threads: int
) -> None:
    tree = ProofTree(leaves, joined and leaves > 1)
    all_of_them = expected(tree)
    places = [NodeId(*place) for place in there if NodeId(*place) in tree]
    kept = MemoryStore({node: all_of_them[node] for node in places})
    before = set(kept.proofs)
    needed: set[NodeId] = set()
    frontier = list(tree.roots)
    while frontier:
        node = frontier.pop()
        if node not in before:
            needed.add(node)
            frontier.extend(tree.children(node))
    log = Log()
    if threads == 1:
        run_tree(tree, kept, calls, InProcess(), watch=log)
        check_equal(log.of("started"), sorted(needed), "in order")
    else:
        with ThreadPoolExecutor(threads) as executor:
            run_tree(tree, kept, calls, Borrowed(executor, in_flight=threads), watch=log)
    check_equal(sorted(log.of("started")), sorted(needed))
    check_equal(sorted(log.of("finished")), sorted(needed))
    check(set(log.of("found")) <= before, "found")
    check_equal(set(kept.proofs), before | needed)
    for node, data in kept.proofs.items():
        check_equal(data, all_of_them[node])


@dataclass
class Trial:
    """A run whose work ends as a test says."""

    tree: ProofTree
    kept: MemoryStore = field(default_factory=MemoryStore)
    workers: Chosen = field(default_factory=Chosen)
    log: Log = field(default_factory=Log)
    ends: dict[NodeId, list[Exception]] = field(default_factory=dict)
    """Errors with which work on a node ends, one after the other, before it goes well."""
    wrong: set[NodeId] = field(default_factory=set)
    """Those whose proof, as it is kept, is wrong."""
    blamed: list[NodeId] = field(default_factory=list)

    def call(self, node: NodeId, children: list[bytes]) -> Call:
        check_equal(children, [self.kept.proofs[one] for one in self.tree.children(node)])
        self.wrong.discard(node)
        ends = self.ends.get(node)
        if ends:
            return Call(hashed, (node, ends.pop(0)))
        if self.wrong & set(self.tree.children(node)):
            return Call(hashed, (node, Rejected(Code.OOD, "below")))
        return calls(node, children)

    def blame(self, node: NodeId, children: list[bytes]) -> list[NodeId]:
        check_equal(children, [self.kept.proofs[one] for one in self.tree.children(node)])
        self.blamed.append(node)
        return [child for child in self.tree.children(node) if child in self.wrong]

    def run(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduler, "wait", self.workers.wait)
            scheduler.run_tree(
                self.tree, self.kept, self.call, self.workers, watch=self.log, blame=self.blame
            )

    def run_well(self) -> None:
        self.run()
        made = expected(self.tree)
        check_equal({node: made[node] for node in self.kept.proofs}, self.kept.proofs)
        check(set(self.tree.roots) <= self.kept.proofs.keys(), "roots are kept")
        check_equal(self.workers.stopped, 0)

    def refused(self, kind: type[Exception]) -> Exception:
        """It ends with such an error: workers are stopped, and what is finished is kept."""
        with pytest.raises(kind) as caught:
            self.run()
        check_equal(self.workers.stopped, 1)
        made = expected(self.tree)
        for node in self.log.of("finished"):
            check_equal(self.kept.proofs.get(node), made[node])
        return caught.value


@pytest.mark.parametrize("window", [1, 2, 3, 20])
def test_by_level_then_from_the_left(window: int) -> None:
    """When work ends in the order in which it began, the tree grows level by level."""
    trial = Trial(ProofTree(9), workers=Chosen(in_flight=window))
    trial.run_well()
    check_equal(trial.workers.order, sorted(trial.tree.nodes()))
    check_equal(trial.workers.most, min(window, 9))


@given(st.integers(2, 20), st.integers(1, 6), st.randoms(use_true_random=False))
def test_whatever_order_work_ends_in(leaves: int, window: int, random: Random) -> None:
    trial = Trial(ProofTree(leaves), workers=Chosen(in_flight=window, choose=random.choice))
    trial.run_well()
    check_equal(sorted(trial.workers.order), list(trial.tree.nodes()))
    check(trial.workers.most <= window, str(trial.workers.most))
    # Each began as soon as it came next: of what was ready then, nothing comes before it.
    finished: set[NodeId] = set()
    waiting = set(trial.tree.nodes())
    for event, node in trial.log.events:
        if event == "finished":
            finished.add(node)
        elif event == "started":
            ready = [one for one in waiting if finished.issuperset(trial.tree.children(one))]
            check_equal(node, min(ready))
            waiting.discard(node)


def test_children_are_made_again_only_as_far_as_needed() -> None:
    """A join that is kept stands for all below it."""
    tree = ProofTree(4)
    kept = MemoryStore({NodeId(1, 0): expected(tree)[NodeId(1, 0)]})
    trial = Trial(tree, kept)
    trial.run_well()
    check_equal(trial.log.of("found"), [NodeId(1, 0)])
    check_equal(
        trial.workers.order,
        [NodeId(0, 2), NodeId(0, 3), NodeId(1, 1), NodeId(2, 0), NodeId(3, 0)],
    )


def test_nothing_to_do() -> None:
    tree = ProofTree(3)
    trial = Trial(tree, MemoryStore({tree.roots[0]: expected(tree)[tree.roots[0]]}))
    trial.run_well()
    check_equal(trial.log.events, [("found", tree.roots[0])])


@pytest.mark.parametrize("victim", [NodeId(0, 1), NodeId(1, 0), NodeId(2, 0), NodeId(3, 0)])
@pytest.mark.parametrize("losses", range(1, ATTEMPTS))
@pytest.mark.parametrize("error", [BrokenExecutor("killed"), Gone("killed"), MemoryError()])
def test_a_lost_worker_loses_nothing_else(victim: NodeId, losses: int, error: Exception) -> None:
    trial = Trial(ProofTree(4), ends={victim: [error] * losses})
    trial.run_well()
    check_equal(trial.log.of("lost"), [victim] * losses)
    check_equal(trial.workers.renewed, losses if isinstance(error, BrokenExecutor) else 0)
    for node in trial.tree.nodes():
        check_equal(trial.log.of("finished").count(node), 1)
        check_equal(trial.log.of("started").count(node), losses + 1 if node == victim else 1)


@pytest.mark.parametrize("error", [BrokenExecutor("killed"), Gone("killed"), MemoryError()])
def test_work_that_kills_its_workers_is_given_up(error: Exception) -> None:
    trial = Trial(ProofTree(4), ends={NodeId(0, 1): [error] * ATTEMPTS})
    raised = trial.refused(UsageError)
    check("batch 1" in str(raised) and "resume" in str(raised), str(raised))
    check(raised.__cause__ is error, "why")
    check_equal(trial.log.of("lost"), [NodeId(0, 1)] * ATTEMPTS)


def test_losses_are_counted_by_proof() -> None:
    """A machine that is restarted now and then does not end a long run."""
    ends: dict[NodeId, list[Exception]] = {
        node: [Gone()] * (ATTEMPTS - 1) for node in ProofTree(6).nodes()
    }
    trial = Trial(ProofTree(6), ends=ends)
    trial.run_well()
    check_equal(len(trial.log.of("lost")), 2 * len(ProofTree(6)))


def test_workers_that_cannot_be_renewed() -> None:
    trial = Trial(
        ProofTree(4),
        workers=Chosen(renewable=False),
        ends={NodeId(0, 1): [BrokenExecutor()], NodeId(0, 2): [Gone()]},
    )
    raised = trial.refused(UsageError)
    check("resume" in str(raised), str(raised))


def test_a_pool_that_breaks_when_work_is_handed_out() -> None:
    class Breaking(Chosen):
        def submit(self, call: Call) -> Future[bytes]:
            if not self.renewed:
                raise BrokenExecutor("before")
            return super().submit(call)

    trial = Trial(ProofTree(4), workers=Breaking())
    trial.run_well()
    check_equal(trial.log.of("lost"), [NodeId(0, 0)])


@pytest.mark.parametrize(
    "error",
    [Rejected(Code.VK, "a key"), InputError("file", 1, None, "x", "bad"), ValueError("a bug")],
)
def test_an_error_of_the_work_itself_is_raised(error: Exception) -> None:
    trial = Trial(ProofTree(4), ends={NodeId(0, 2): [error]})
    check(trial.refused(type(error)) is error, "the error itself")
    check_equal(trial.log.of("lost") + trial.log.of("redone"), [])


def test_what_is_finished_beside_an_error_is_kept() -> None:
    class Both(Chosen):
        def wait(
            self, futures: Iterable[Future[bytes]], return_when: str
        ) -> tuple[set[Future[bytes]], set[Future[bytes]]]:
            for call, future in self.pending.values():
                if call.args[0] == NodeId(0, 0):
                    future.set_exception(ValueError())
                else:
                    future.set_result(call.function(*call.args))
            self.pending.clear()
            return wait(futures, return_when=return_when)

    trial = Trial(ProofTree(4), workers=Both(in_flight=4))
    trial.ends = {NodeId(0, 0): [ValueError()]}
    trial.refused(ValueError)
    check_equal(trial.log.of("finished"), [NodeId(0, number) for number in (1, 2, 3)])


def test_wrong_proofs_are_found_out_and_made_again() -> None:
    """Kept ones that the work above them does not accept: both batches of a join, and a join."""
    tree = ProofTree(4)
    made = expected(tree)
    wrong = {NodeId(0, 0): b"wrong", NodeId(0, 1): b"also", NodeId(1, 1): b"a join"}
    trial = Trial(tree, MemoryStore(dict(wrong)), wrong=set(wrong))
    trial.run_well()
    check_equal(sorted(trial.log.of("redone")), sorted(wrong))
    check_equal(sorted(trial.log.of("found")), sorted(wrong))
    check_equal(trial.blamed, [NodeId(1, 0), NodeId(2, 0)])
    # The join that is wrong is kept without what is below it: that is made too.
    check_equal(trial.kept.proofs, made)


def test_a_proof_is_made_again_once() -> None:
    trial = Trial(ProofTree(2))
    trial.ends = {NodeId(1, 0): [Rejected(Code.OOD, "first"), Rejected(Code.OOD, "second")]}
    trial.blame = lambda node, children: [NodeId(0, 1)]  # type: ignore[method-assign]
    raised = trial.refused(Rejected)
    check_equal(str(raised), "OOD: second")
    check_equal(trial.log.of("redone"), [NodeId(0, 1)])


def test_a_proof_that_disappears_is_made_again() -> None:
    class Forgetful(MemoryStore):
        def find(self, node: NodeId) -> bytes | None:
            forgotten = node == NodeId(0, 0) and len(self.proofs) == 2
            return None if forgotten and not seen else super().find(node)

    seen: list[NodeId] = []
    trial = Trial(ProofTree(2), Forgetful())

    def watch(event: str, node: NodeId, seconds: float) -> None:
        trial.log(event, node, seconds)
        if event == "redone":
            seen.append(node)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "wait", trial.workers.wait)
        scheduler.run_tree(trial.tree, trial.kept, trial.call, trial.workers, watch=watch)
    check_equal(trial.kept.proofs, expected(trial.tree))
    check_equal(seen, [NodeId(0, 0)])


def test_a_store_that_keeps_nothing() -> None:
    class Broken(MemoryStore):
        def keep(self, node: NodeId, data: bytes) -> None:
            pass

    trial = Trial(ProofTree(2), Broken())
    with pytest.raises(UsageError):
        trial.run()


@pytest.mark.parametrize("event", ["started", "finished", "found"])
def test_interrupts_stop_the_work(event: str) -> None:
    tree = ProofTree(4)
    kept = MemoryStore({NodeId(0, 3): expected(tree)[NodeId(0, 3)]})
    trial = Trial(tree, kept, Chosen(in_flight=3))

    def watch(name: str, node: NodeId, seconds: float) -> None:
        trial.log(name, node, seconds)
        if name == event:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "wait", trial.workers.wait)
        with pytest.raises(KeyboardInterrupt):
            scheduler.run_tree(tree, kept, trial.call, trial.workers, watch=watch)
    check_equal(trial.workers.stopped, 1)
    check_equal(trial.log.of(event)[1:], [], "nothing after it")


def test_the_store_in_memory() -> None:
    store = MemoryStore()
    store.keep(NodeId(0, 1), b"a")
    check_equal((store.find(NodeId(0, 1)), store.find(NodeId(1, 1))), (b"a", None))
    store.drop(NodeId(0, 1))
    store.drop(NodeId(0, 1))
    check_equal(store.find(NodeId(0, 1)), None)


class Mistaken:
    """Gives back something else than proofs of some nodes, so often."""

    def __init__(self, answers: dict[NodeId, list[object]]) -> None:
        self.answers = answers

    def __call__(self, node: NodeId, children: list[bytes]) -> Call:
        left = self.answers.get(node)
        return Call(given, (left.pop(0),)) if left else calls(node, children)


def given(answer: object, *, step: object = None) -> object:
    return answer


def accept(node: NodeId, data: bytes) -> None:
    if len(data) != 32:
        raise Rejected(Code.FORMAT, "bytes of a proof", 32, len(data))


@pytest.mark.parametrize("answer", [None, "text", 7, bytearray(32), b"", bytes(1 << 24)])
@pytest.mark.parametrize("node", [NodeId(0, 1), NodeId(1, 0), NodeId(2, 0)])
def test_what_is_no_proof_is_not_kept(answer: object, node: NodeId) -> None:
    """It is made again, once; nothing below it is."""
    tree, kept, log = ProofTree(2), MemoryStore(), Log()
    run_tree(tree, kept, Mistaken({node: [answer]}), InProcess(), watch=log, accept=accept)
    check_equal(kept.proofs, expected(tree))
    check_equal(log.of("redone"), [node])
    check_equal(log.of("finished"), list(tree.nodes()))
    kept = MemoryStore()
    with pytest.raises(UsageError, match=f"gave back as {tree.name(node)} was of no use twice"):
        run_tree(tree, kept, Mistaken({node: [answer] * 2}), InProcess(), accept=accept)
    check(node not in kept.proofs, "it is not kept")
