"""The pinned verification keys: which shapes exist, and the roots of their fixed columns.

A verifier derives the tables from source and the parameters from the profile; what it cannot derive
quickly, the root of the preprocessed columns, stands in ``keys.json`` beside this file. The command
``liabilities keys`` makes that table again from source; a test compares.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

from air.shape import LOG_CAPACITIES, MAX_LOG_ROWS, MIN_LOG_ROWS, MIN_LOG_SLOTS, Shape
from air.tables.batch import batch_system
from stark.errors import Code, Rejected, UsageError
from stark.soundness import PROFILES
from stark.soundness.parameters import ProtocolParameters
from stark.verifier.figures import system_figures
from stark.verifier.key import VerificationKey

DEFAULT_PROFILE = "proven128"
KEYS_FILE = "keys.json"
SLOT_CHOICES = 7
"""A shape with 2^r rows comes with 2^(r-1) ... 2^(r-7) slots: up to 128 rows per account."""


@cache
def shipped_shapes() -> tuple[Shape, ...]:
    """All shapes for which keys are pinned, in ascending order."""
    shapes = []
    for log_rows in range(MIN_LOG_ROWS, MAX_LOG_ROWS + 1):
        for log_slots in range(max(MIN_LOG_SLOTS, log_rows - SLOT_CHOICES), log_rows):
            for log_capacity in LOG_CAPACITIES:
                # Digest rows may take half of the table, and every slot needs a row.
                if log_capacity + 2 <= log_rows:
                    try:
                        shapes.append(Shape(log_rows, log_slots, log_capacity))
                    except UsageError:
                        continue
    return tuple(sorted(shapes))


@cache
def profile_parameters(profile: str, shape: Shape) -> ProtocolParameters:
    """The parameters of a batch proof of ``shape`` under a named profile.

    Raises
    ------
    Rejected
        ``Policy`` for a profile that does not exist.
    """
    if profile not in PROFILES:
        raise Rejected(Code.POLICY, "profile", " or ".join(sorted(PROFILES)), profile)
    return PROFILES[profile].find(system_figures(batch_system(shape, zk=True)))


@cache
def pinned_roots() -> dict[str, bytes]:
    """Roots of the preprocessed columns by shape name."""
    text = files("air").joinpath(KEYS_FILE).read_text(encoding="ascii")
    return {name: bytes.fromhex(root) for name, root in json.loads(text)["roots"].items()}


@cache
def verification_key(profile: str, shape: Shape) -> VerificationKey:
    """The key that proofs of ``shape`` under ``profile`` are verified with.

    Raises
    ------
    Rejected
        ``Policy`` for an unknown profile, ``VK`` for a shape that is not pinned.
    """
    root = pinned_roots().get(shape.name)
    if root is None:
        raise Rejected(Code.VK, "shape of the batches", "one of the pinned shapes", shape.name)
    parameters = profile_parameters(profile, shape)
    return VerificationKey(batch_system(shape, zk=True), parameters, (root,))
