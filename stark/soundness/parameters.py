"""Protocol parameters: what a verification key pins and no proof may choose."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Literal, cast

from stark.errors import Code, Rejected
from stark.field.koalabear import TWO_ADICITY
from stark.hash.suite import SUITES
from stark.soundness.schedule import MAX_LOG_ARITY, fold_schedule

RegimeName = Literal["udr", "jbr"]
BatchingName = Literal["independent", "powers"]

REGIMES: Final[tuple[RegimeName, ...]] = ("udr", "jbr")
BATCHINGS: Final[tuple[BatchingName, ...]] = ("independent", "powers")

COLLISION_BITS: Final[Mapping[str, int]] = MappingProxyType(
    {name: suite.collision_bits for name, suite in SUITES.items()}
)
"""Hash suites by name, with the bits of security of their digests against collisions."""

MIN_MULTIPLICITY: Final = 3
"""Smallest Johnson multiplicity for which the bound holds (BCHKS25, theorem 4.2)."""

MAX_MULTIPLICITY: Final = 1024
"""At 1024, log2(1 + 1/2m) < 0.001 bits a query are left to gain, for errors that grow as m^5."""

MAX_QUERIES: Final = 1024
"""Most queries; 128 bits need 261 at blowup 2, the largest number of any set in use."""

MAX_GRINDING: Final = 40
"""Most bits of proof of work at one site: 2^40 hashes, hours on one machine."""

# Inclusive ranges of the integer fields. Upper limits keep a verifier's work and shifts small.
_RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "log_blowup": (1, 5),
        "queries": (1, MAX_QUERIES),
        "multiplicity": (0, MAX_MULTIPLICITY),
        "log_max_arity": (1, MAX_LOG_ARITY),
        "log_final_length": (0, 10),
        "cap_height": (0, 10),
        "grinding_lookup": (0, MAX_GRINDING),
        "grinding_ali": (0, MAX_GRINDING),
        "grinding_deep": (0, MAX_GRINDING),
        "grinding_batching": (0, MAX_GRINDING),
        "grinding_fold": (0, MAX_GRINDING),
        "grinding_query": (0, MAX_GRINDING),
        "log_slack": (0, 10),
    }
)

_SUITE_BYTES: Final = 32
_LAYOUT: Final = struct.Struct(f"<BHBHBBBB6BBB{_SUITE_BYTES}s")

ENCODED_LENGTH: Final = _LAYOUT.size
"""Bytes of an encoding."""


@dataclass(frozen=True, kw_only=True)
class ProtocolParameters:
    """Parameters of the polynomial commitment and of grinding. The extension degree is always 5.

    Parameters
    ----------
    log_blowup
        Log2 of the evaluation domain's size over the height, 1 to 5.
    queries
        Number of FRI queries, 1 to 1024.
    regime
        How far from the code a word may be for the soundness argument: ``"udr"`` half the
        distance (unique decoding), ``"jbr"`` below the Johnson bound (list decoding).
    multiplicity
        The integer m that says how close to the Johnson bound, from 3; 0 with ``"udr"``. It
        changes the estimate and nothing in the proof.
    batching
        Coefficients of the FRI batch: ``"independent"`` or ``"powers"`` of one challenge.
    log_max_arity
        Log2 of the largest fold arity, 1 to 3.
    log_final_length
        Log2 of the number of coefficients of the final polynomial, slack not counted, 0 to 10.
    cap_height
        Log2 of the number of nodes that a Merkle commitment shows, 0 to 10.
    grinding_lookup, grinding_ali, grinding_deep, grinding_batching, grinding_fold, grinding_query
        Bits of proof of work, 0 to 40, before: the bus challenges, the constraint challenge,
        the out-of-domain point, the batching coefficients, every fold challenge, the queries.
    zk
        Whether the proof hides its witness.
    log_slack
        With ``zk``, degree bounds are (1 + 2^-log_slack) times the height, 1 to 10; else 0.
    hash_suite
        Name of the hash suite, a key of :data:`COLLISION_BITS`.

    Raises
    ------
    Rejected
        ``Params`` for a value out of range, ``Suite`` for an unknown hash suite.
    """

    log_blowup: int
    queries: int
    regime: RegimeName
    multiplicity: int
    batching: BatchingName
    log_max_arity: int
    log_final_length: int
    cap_height: int
    grinding_lookup: int
    grinding_ali: int
    grinding_deep: int
    grinding_batching: int
    grinding_fold: int
    grinding_query: int
    zk: bool
    log_slack: int
    hash_suite: str

    def __post_init__(self) -> None:
        for label, (low, high) in _RANGES.items():
            value = getattr(self, label)
            # bool is an int to isinstance; True as a number of queries is a mistake.
            if type(value) is not int or not low <= value <= high:
                raise Rejected(Code.PARAMS, _words(label), f"{low}..{high}", value)
        if self.regime not in REGIMES:
            raise Rejected(Code.PARAMS, "regime", " or ".join(REGIMES), self.regime)
        if self.batching not in BATCHINGS:
            raise Rejected(Code.PARAMS, "batching", " or ".join(BATCHINGS), self.batching)
        if type(self.zk) is not bool:
            raise Rejected(Code.PARAMS, "zk", "True or False", self.zk)
        if self.regime == "udr" and self.multiplicity != 0:
            raise Rejected(Code.PARAMS, "multiplicity with udr", 0, self.multiplicity)
        if self.regime == "jbr" and self.multiplicity < MIN_MULTIPLICITY:
            raise Rejected(
                Code.PARAMS, "multiplicity with jbr", f">= {MIN_MULTIPLICITY}", self.multiplicity
            )
        if self.zk != (self.log_slack > 0):
            expected = ">= 1 with zk" if self.zk else "0 without zk"
            raise Rejected(Code.PARAMS, "log2 of the slack", expected, self.log_slack)
        if self.rate >= 1:
            raise Rejected(Code.PARAMS, "rate of the code, slack included", "< 1", self.rate)
        if self.hash_suite not in COLLISION_BITS:
            raise Rejected(Code.SUITE, "hash suite", " or ".join(COLLISION_BITS), self.hash_suite)
        most = SUITES[self.hash_suite].maximal_grind_bits
        for label in _RANGES:
            value = getattr(self, label)
            if label.startswith("grinding_") and value > most:
                raise Rejected(
                    Code.PARAMS, f"{_words(label)} with {self.hash_suite}", f"0..{most}", value
                )

    @property
    def final_length(self) -> int:
        """Coefficients of the final polynomial, slack included and rounded up."""
        length = 1 << self.log_final_length
        return length + -(-length >> self.log_slack) if self.zk else length

    @property
    def rate(self) -> Fraction:
        """Rate of the code that the final check enforces at every height.

        A final polynomial of ``final_length`` coefficients admits, unfolded,
        ``dimension(log_height)`` coefficients at every height. Where the slack of the final
        polynomial was rounded up, that is more than (1 + 2^-log_slack) times the height.
        """
        return Fraction(self.final_length, 1 << (self.log_final_length + self.log_blowup))

    def dimension(self, log_height: int) -> int:
        """Coefficients that FRI admits for a table of 2^log_height rows.

        ``ValueError``, if that is shorter than the final length; :meth:`schedule` checks.
        """
        return self.final_length << (log_height - self.log_final_length)

    def schedule(self, log_heights: Iterable[int]) -> tuple[int, ...]:
        """Log2 of the arity of every fold; see :func:`fold_schedule`.

        Raises
        ------
        Rejected
            ``Params``, if an evaluation domain exceeds the field's two-adic subgroup or the
            heights do not fit the final length.
        """
        heights = tuple(log_heights)
        for log_height in heights:
            if log_height + self.log_blowup > TWO_ADICITY:
                raise Rejected(
                    Code.PARAMS,
                    "log2 of the evaluation domain",
                    f"<= {TWO_ADICITY}",
                    log_height + self.log_blowup,
                )
        return fold_schedule(heights, self.log_final_length, self.log_max_arity)

    def encode(self) -> bytes:
        """Canonical encoding, :data:`ENCODED_LENGTH` bytes, little-endian.

        In the order of the fields; queries and multiplicity have two bytes, the hash suite 32
        (ASCII, padded with zeros), everything else one; regime and batching are positions in
        :data:`REGIMES` and :data:`BATCHINGS`.
        """
        return _LAYOUT.pack(
            self.log_blowup,
            self.queries,
            REGIMES.index(self.regime),
            self.multiplicity,
            BATCHINGS.index(self.batching),
            self.log_max_arity,
            self.log_final_length,
            self.cap_height,
            self.grinding_lookup,
            self.grinding_ali,
            self.grinding_deep,
            self.grinding_batching,
            self.grinding_fold,
            self.grinding_query,
            self.zk,
            self.log_slack,
            self.hash_suite.encode("ascii"),
        )

    @classmethod
    def decode(cls, data: bytes) -> ProtocolParameters:
        """Inverse of :meth:`encode`; accepts exactly the encodings.

        Raises
        ------
        Rejected
            ``Format`` for a wrong length, ``Suite`` for an unknown hash suite, ``Canonical`` for
            a flag that is neither 0 nor 1, ``Params`` for anything else out of range.
        """
        if len(data) != ENCODED_LENGTH:
            raise Rejected(Code.FORMAT, "length of the parameters", ENCODED_LENGTH, len(data))
        values = _LAYOUT.unpack(data)
        (log_blowup, queries, regime, multiplicity, batching, *small, zk, log_slack, name) = values
        arity, final, cap, lookup, ali, deep, batch, fold, query = small
        if zk > 1:
            raise Rejected(Code.CANONICAL, "zk", "0 or 1", zk)
        return cls(
            log_blowup=log_blowup,
            queries=queries,
            regime=cast(RegimeName, _choice("regime", REGIMES, regime)),
            multiplicity=multiplicity,
            batching=cast(BatchingName, _choice("batching", BATCHINGS, batching)),
            log_max_arity=arity,
            log_final_length=final,
            cap_height=cap,
            grinding_lookup=lookup,
            grinding_ali=ali,
            grinding_deep=deep,
            grinding_batching=batch,
            grinding_fold=fold,
            grinding_query=query,
            zk=zk == 1,
            log_slack=log_slack,
            hash_suite=_suite(name),
        )


def _words(label: str) -> str:
    return label.replace("log_", "log2 of the ").replace("_", " ")


def _choice(label: str, names: tuple[str, ...], position: int) -> str:
    if position >= len(names):
        raise Rejected(Code.PARAMS, label, f"0..{len(names) - 1}", position)
    return names[position]


def _suite(field: bytes) -> str:
    # Compared as padded bytes, so that neither other padding nor non-ASCII text gets through.
    for name in COLLISION_BITS:
        if name.encode("ascii").ljust(_SUITE_BYTES, b"\0") == field:
            return name
    raise Rejected(Code.SUITE, "hash suite", " or ".join(COLLISION_BITS), field.hex())
