"""That a circuit's messages are what the argument of its buses needs.

Every wire and every digest has one writer, whose count is the number of its reads, and nobody reads
an address without a writer. Circuits are public: this is checked once, when one is finished, and
not by any proof (see :mod:`stark.recursion.tables.buses`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stark.errors import UsageError
from stark.field.koalabear import P
from stark.recursion.circuit import Circuit

READ = P - 1
"""The count of a message that reads."""

Message = tuple[int, int]
"""Address and count."""


def check_messages(circuit: Circuit) -> None:
    """Raises ``UsageError`` for an address that is read but not written, written twice, or written
    with another count than that of its reads."""
    _check("wire", circuit.wire_count, _wire_messages(circuit), {})
    caps = dict(circuit.cap_heights)
    _check("digest", circuit.digest_count, _digest_messages(circuit), caps)
    _check_caps(circuit)


def _check(kind: str, addresses: int, messages: Iterator[Message], caps: dict[int, int]) -> None:
    reads, writes = [0] * (addresses + 1), [-1] * (addresses + 1)
    for address, count in messages:
        if not 0 < address <= addresses:
            raise UsageError(f"circuit: {kind} {address} of {addresses} has a message")
        if count == READ:
            reads[address] += 1
        elif writes[address] >= 0:
            raise UsageError(f"circuit: {kind} {address} is written twice")
        else:
            writes[address] = count
    for address in range(1, addresses + 1):
        if address not in caps and writes[address] != reads[address]:
            raise UsageError(
                f"circuit: {kind} {address} is read {reads[address]} times, its writer says "
                f"{writes[address]}"
            )


def _check_caps(circuit: Circuit) -> None:
    """The digests of a cap: each number once, at an address that nothing else writes.

    And look-ups: what a path ends with (a hash that is read) is compared by number, wherever it is
    compared. Without the number the rest of the index would be free, so that any leaf would do.
    """
    columns = circuit.permutation
    numbers: dict[int, list[int]] = {address: [] for address in circuit.cap_heights}
    looked_up: dict[int, bool] = {}
    names = ("digest address", "digest number", "digest count", "free", "cap")
    hashed = zip(columns["digest node"], columns["digest leaf"], strict=True)
    cells = zip(*(columns[name] for name in names), strict=True)
    for (address, number, count, free, cap), ends in zip(cells, hashed, strict=True):
        if free:
            numbers.setdefault(address, []).append(number)
        elif address in numbers and count != READ:
            raise UsageError(f"circuit: digest {address} is written beside the cap that it holds")
        if count != READ:
            continue
        if bool(cap) != any(ends) or looked_up.setdefault(address, bool(cap)) != bool(cap):
            raise UsageError(f"circuit: digest {address} is read by number, and without one")
    for address, found in numbers.items():
        if sorted(found) != list(range(1 << circuit.cap_heights.get(address, 0))):
            raise UsageError(f"circuit: the cap at digest {address} has the numbers {found}")


def _wire_messages(circuit: Circuit) -> Iterator[Message]:
    arithmetic = circuit.arithmetic
    for slot in "abcd":
        yield from _used(arithmetic[f"address {slot}"], arithmetic[f"count {slot}"])
    permutation = circuit.permutation
    yield from _used(permutation["wire address"], permutation["wire count"])
    yield from _used(permutation["index address"], permutation["index count"])
    fold = circuit.fold
    for number in range(8):
        yield from ((address + number, READ) for address in fold["address v"])
    for name in ("beta", "value", "index", "y"):
        yield from ((address, READ) for address in fold[f"address {name}"])
    for offset, name in enumerate(("result", "index out", "y out")):
        counts = fold[f"count {name}"]
        yield from zip((a + offset for a in fold["address out"]), counts, strict=True)
    decomposition = circuit.decomposition
    for offset, name in enumerate(("v", "low", "y")):
        counts = decomposition[f"count {name}"]
        yield from zip((a + offset for a in decomposition["address"]), counts, strict=True)


def _digest_messages(circuit: Circuit) -> Iterator[Message]:
    columns = circuit.permutation
    for address, count, free in zip(
        columns["digest address"], columns["digest count"], columns["free"], strict=True
    ):
        if address and not free:
            yield address, count


def _used(addresses: Sequence[int], counts: Sequence[int]) -> Iterator[Message]:
    for address, count in zip(addresses, counts, strict=True):
        if address or count:
            yield address, count
