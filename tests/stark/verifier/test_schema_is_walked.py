"""The verifier walks its whole schema: an item that nobody asked for would bind nothing."""

from __future__ import annotations

import pytest
from golden.make import CONTEXT, NAMES, load

from stark.errors import UsageError
from stark.transcript.encoding import Kind
from stark.transcript.schema import Drawn, Item, Known
from stark.verifier import verify as verifier
from stark.verifier.key import VerificationKey
from stark.verifier.protocol import schema


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("item", [Known("forgotten", Kind.BYTE, 3), Drawn("forgotten", 1)])
def test_an_item_after_the_last(name: str, item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    def longer(key: VerificationKey, context_size: int) -> list[Item]:
        return [*schema(key, context_size), item]

    golden = load(name)
    verifier.verify(golden.key, golden.proof, golden.publics, CONTEXT)
    monkeypatch.setattr(verifier, "schema", longer)
    with pytest.raises(UsageError, match="forgotten is missing"):
        verifier.verify(golden.key, golden.proof, golden.publics, CONTEXT)
