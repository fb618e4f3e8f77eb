"""A rejection of encoded parameters names the bytes that were found."""

from __future__ import annotations

import pytest
from support.systems import parameters

from stark.errors import Code, Rejected
from stark.soundness.parameters import ENCODED_LENGTH, ProtocolParameters


@pytest.mark.parametrize("name", [b"", b"sha512", b"sha256\0\0x", b"\xffsha256", b"SHA256"])
def test_an_unknown_hash_suite_is_shown_as_it_stands(name: bytes) -> None:
    field = name.ljust(32, b"\0")
    data = parameters().encode()[: ENCODED_LENGTH - 32] + field
    with pytest.raises(Rejected) as caught:
        ProtocolParameters.decode(data)
    assert (caught.value.code, caught.value.got) == (Code.SUITE, field.hex())
