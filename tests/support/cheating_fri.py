"""A prover that lies inside FRI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stark.field import extension as ext
from stark.field.extension import Element
from stark.fri.fold import fold, interpolate_final
from stark.merkle.tree import CodewordTree
from stark.prover.polynomials import add_mod
from stark.prover.prove import Prover, _scaled
from stark.transcript.transcript import ProverTranscript
from stark.verifier.key import VerificationKey
from stark.verifier.protocol import fri_cap_height, fri_schedule, schema
from support.cheating import Matrix


class LyingInFri(Prover):
    """The honest FRI with places to lie: words, challenges, what joins, the end."""

    def committed(self, layer: int, word: Matrix) -> Matrix:
        """The word that a layer's tree is made of, and that is folded."""
        return word

    def folding(self, layer: int, beta: Element) -> Element:
        """The challenge that a layer is folded with."""
        return beta

    def joining(self, layer: int, beta: Element, arity: int) -> Element:
        """The coefficient of the codeword that joins after a fold."""
        return ext.power(beta, arity)

    def folded(self, layer: int, word: Matrix) -> Matrix:
        """What a fold gives, before another codeword joins."""
        return word

    def ended(self, final: list[Element]) -> list[Element]:
        return final

    def fri(self, codewords: Mapping[int, Matrix]) -> list[CodewordTree]:
        log_height = self.verification.system.log_heights[0]
        word = codewords[log_height]
        layers = []
        for layer, log_arity in enumerate(fri_schedule(self.verification)):
            word = self.committed(layer, word)
            cap_height = fri_cap_height(self.verification, layer)
            tree = CodewordTree(word, 1 << log_arity, cap_height, self.verification.suite)
            self.transcript.send_digests(f"fri {layer}", tree.cap)
            layers.append(tree)
            self.work(f"work fold {layer}")
            (beta,) = self.transcript.draw(f"fold {layer}")
            own = self.folding(layer, beta)
            word = self.folded(layer, fold(word, log_arity, own, self.parameters.log_blowup))
            log_height -= log_arity
            if log_height in codewords:
                factor = self.joining(layer, beta, 1 << log_arity)
                word = add_mod(word, _scaled(codewords[log_height], factor))
        final = interpolate_final(word, self.parameters.final_length)
        self.transcript.send_extension("final polynomial", self.ended(final))
        return layers


class OtherSchedule(Prover):
    """Folds as another key says, while it binds and prints the claimed one."""

    other: VerificationKey

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.claimed = self.verification
        self.transcript = ProverTranscript(schema(self.other, len(self.context)), self.other.suite)

    def fri(self, codewords: Mapping[int, Matrix]) -> list[CodewordTree]:
        self.verification, self.parameters = self.other, self.other.parameters
        return super().fri(codewords)

    def open(
        self, commitments: Any, layers: Sequence[CodewordTree], indices: Sequence[int]
    ) -> bytes:
        openings = super().open(commitments, layers, indices)
        self.verification = self.claimed
        return openings
