"""For each check of a wrap the cheat that it alone refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from air.aggregate.publics import WRAP_TAG, context_blocks, public_digest
from air.encoding import Digest
from stark.verifier.key import VerificationKey
from support.join_cheats import number_in, other_context
from support.join_mutants import FREED, Mutation
from support.joins import CONTEXT, Elements, Given, digest, prove_said, said, said_publics


@dataclass(frozen=True)
class WrapOffer:
    """What a prover gives a wrap: context, a digest, and a proof that should be about it."""

    told: Digest
    given: Given
    more: tuple[int, ...] = ()

    def hints(self, inner: VerificationKey) -> Elements:
        context = [lane for block in context_blocks(CONTEXT) for lane in block]
        said_so = np.array([*context, *self.told], np.uint32)
        return np.concatenate([said_so, self.given.values(inner), np.array(self.more, np.uint32)])

    def plain(self) -> WrapOffer:
        """For the circuit that takes nothing more."""
        return replace(self, given=self.given.plain(), more=())


@dataclass(frozen=True)
class WrapCheat:
    """What is offered, and the public values of the proof."""

    offer: WrapOffer
    public: Digest


def said_by(blocks: list[Digest]) -> Digest:
    return public_digest(WRAP_TAG, blocks)


def wrap_cheat_for(mutation: Mutation) -> WrapCheat:
    """What the wrap accepts only with this mutation."""
    honest = said_publics(1, 0)
    other = replace(honest, root=digest(66_000))
    blocks = [*context_blocks(CONTEXT), honest.digest()]
    change = mutation.change
    if mutation.site.call == "finish":
        number = number_in(change)
        blocks[number] = digest(66_000)
        offer = WrapOffer(honest.digest(), Given(said(1, 0)), blocks[number])
        return WrapCheat(offer, said_by(blocks))
    if change == "skipped":
        offer = WrapOffer(other.digest(), Given(said(1, 0), proven=False))
        return WrapCheat(offer, said_by([*blocks[:2], other.digest()]))
    if change.startswith("context"):
        half = number_in(change)
        context = other_context(half)
        node = prove_said(1, honest, context=context)
        given = Given(node, context=context, before=context_blocks(context)[half])
        return WrapCheat(WrapOffer(honest.digest(), given), said_by(blocks))
    what = change.removeprefix("permutation 0 ")
    if what == FREED[0]:
        node = prove_said(1, other)
    elif what == FREED[1]:
        node = prove_said(1, honest, shown=other)
    else:
        node = prove_said(1, other, shown=honest)
    given = Given(node, before=other.digest())
    return WrapCheat(WrapOffer(honest.digest(), given), said_by(blocks))
