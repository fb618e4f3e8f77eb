"""A small program for the permutation table in which every flag is used, in sixteen rows.

It draws a challenge, hashes a leaf of eleven base elements, one element of F and a mask while it
sums them, climbs two levels from index 5 of a tree of eight leaves to a cap of two digests, with
another leaf injected below the cap, and ends with a digest in public.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from stark.field import extension as ext
from stark.field.extension import Element
from stark.field.koalabear import P
from stark.hash.poseidon import POSEIDON1, compress, permute, sponge_hash
from support.recursion_rows import Step

TAG = 77
INDEX = 5
WEIGHTS = (4, 2)
CAP_NUMBER = 1
BITS = (1, 0)

_random = Random(7)


def _draw(count: int) -> list[int]:
    return [_random.randrange(P) for _ in range(count)]


STATEMENT = _draw(8)
LEAF = _draw(11)
VALUE: Element = ext.from_coefficients(_draw(5))
MASK: Element = ext.from_coefficients(_draw(5))
SIBLINGS = (_draw(8), _draw(8))
INJECTED = _draw(8)
NONCE = 123456
OTHER_CAP_DIGEST = _draw(8)


def challenge() -> Element:
    """Absorb the statement, then squeeze: a permutation with all lanes as they are."""
    state = permute(POSEIDON1, [*STATEMENT, TAG, 8, 0, 0, 0, 0, 0, 0])
    return ext.from_coefficients(permute(POSEIDON1, state)[:5])


def leaf_digest() -> list[int]:
    """Runs are filled with zeros in front; the length in the capacity does not count them."""
    blocks = [[0] * 5 + LEAF[:3], LEAF[3:], [0] * 3 + list(VALUE), [0] * 3 + list(MASK)]
    state: list[int] = [0] * 8 + [TAG, 21, 0, 0, 0, 0, 0, 0]
    for block in blocks:
        state = permute(POSEIDON1, block + state[8:])
    return state[:8]


def leaf_sum() -> Element:
    """The leaf's cells without the mask: Horner's rule, first cell first."""
    result = ext.ZERO
    for cell in [*map(ext.from_base, LEAF), VALUE]:
        result = ext.add(ext.multiply(result, challenge()), cell)
    return result


def injected_digest() -> list[int]:
    return sponge_hash(POSEIDON1, TAG, INJECTED)


def cap_digest() -> list[int]:
    node = compress(POSEIDON1, SIBLINGS[0] + leaf_digest())
    node = compress(POSEIDON1, node + SIBLINGS[1])
    return compress(POSEIDON1, node + injected_digest())


def _zeros(count: int) -> dict[str, int]:
    return {f"zero {lane}": 1 for lane in range(count)}


def _fresh(length: int) -> dict[str, int]:
    return {"fresh": 1, "tag": TAG, "length": length}


def _block(*values: int) -> tuple[int, ...]:
    """Lanes 0 to 7 with zeros in front, and a capacity that flags will replace."""
    return (*[0] * (8 - len(values)), *values, *[0] * 8)


def program() -> list[Step]:
    """The steps, without messages but with the count of the index."""
    goes_on = {"capacity next": 1, "gamma next": 1}
    steps = [
        Step(_fresh(8) | {"capacity next": 1, "rate next": 1}, _block(*STATEMENT)),
        Step({"gamma here": 1, "gamma next": 1}),
        Step(_fresh(21) | _zeros(5) | goes_on | {"base next": 1}, _block(*LEAF[:3])),
        Step(goes_on | {"base next": 1}, _block(*LEAF[3:])),
        Step(goes_on | _zeros(3) | {"extension next": 1}, _block(*VALUE)),
        Step(
            _zeros(3)
            | {"keep next": 1, "gamma next": 1, "leaf next": 1}
            | {"index count": P - 1, "index next": 1, "weight next": WEIGHTS[0]},
            _block(*MASK),
            index=INDEX,
        ),
        Step(
            {"node next": 1, "index next": 1, "weight next": WEIGHTS[1]},
            (*SIBLINGS[0], *[0] * 8),
            bit=BITS[0],
        ),
        Step({"node next": 1, "index next": 1}, (*[0] * 8, *SIBLINGS[1]), bit=BITS[1]),
        Step({"same next": 1, "index next": 1}, (*[0] * 8, *injected_digest())),
        Step({"cap": 1, "digest node": 1}),
        Step(_zeros(7), _block(NONCE)),
        Step(_fresh(8), _block(*INJECTED)),
        Step({"free": 1, "digest x": 1}, _block(*OTHER_CAP_DIGEST)),
        Step({"free": 1, "digest x": 1, "digest number": 1}, _block(*cap_digest())),
        Step(_fresh(16) | {"capacity next": 1}, _block(*STATEMENT)),
        Step({}, _block(*LEAF[:8])),
    ]
    return [
        step if row in (6, 7) else replace(step, fixed=step.fixed | {"straight": 1})
        for row, step in enumerate(steps)
    ]
