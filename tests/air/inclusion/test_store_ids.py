"""The order and encoding of account ids against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from air.inclusion.store_ids import id_order, require_utf8
from air.snapshot.columns import TextColumn
from stark.errors import UsageError

# Few different bytes: equal beginnings, prefixes, trailing zeros and equal ids are common.
SIMILAR = st.lists(st.binary(max_size=3), max_size=12).map(b"".join) | st.lists(
    st.sampled_from([0, 1, 127, 128, 255]), max_size=30
).map(bytes)


def check(ids: list[bytes]) -> None:
    expected = sorted(range(len(ids)), key=ids.__getitem__)
    assert id_order(TextColumn.of(ids)).tolist() == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(SIMILAR, max_size=60))
def test_the_order_is_that_of_bytes(ids: list[bytes]) -> None:
    check(ids)


def test_all_prefixes_of_one_id() -> None:
    text = b"\0" * 10 + b"customer" + b"\0\0" + b"\xff" * 20
    prefixes = [text[:length] for length in range(len(text) + 1)]
    check(prefixes[::-1])
    check(prefixes[::2] + prefixes[::-1])


def test_numbered_ids_with_a_long_common_beginning() -> None:
    numbers = np.random.default_rng(1).permutation(2000).tolist()
    check([b"a-common-beginning-%d" % number for number in numbers])


def test_ids_that_do_not_follow_each_other_in_the_buffer() -> None:
    data = np.frombuffer(b"zzzbxaay", np.uint8)
    column = TextColumn(data, np.array([5, 3, 0, 7]), np.array([7, 4, 2, 8]))
    assert id_order(column).tolist() == [0, 1, 3, 2]


def is_accepted(ids: list[bytes]) -> bool:
    bounds = np.cumsum([0, *map(len, ids)])
    try:
        require_utf8(b"".join(ids), bounds)
    except UsageError:
        return False
    return True


def is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


PARTS = st.binary(max_size=3) | st.text(max_size=3).map(str.encode)


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=6))
def test_every_id_by_itself_is_utf8(ids: list[bytes]) -> None:
    assert is_accepted(ids) == all(map(is_utf8, ids))


@given(st.lists(st.text(max_size=5).map(str.encode), max_size=20))
def test_text_is_accepted(ids: list[bytes]) -> None:
    assert is_accepted(ids)


def test_a_character_may_not_reach_over_two_ids() -> None:
    with pytest.raises(UsageError, match="c3' is not UTF-8"):
        require_utf8("aé".encode(), np.array([0, 2, 3]))
