"""How sure a proof makes: parameters, the bits that are proven for them, and their search.

Proven bounds only, for unique decoding and below the Johnson bound. ``parameters`` is what a
verification key pins, ``figures`` what a system of tables looks like from here, ``estimate``
the bits of every round, ``search`` the parameters that reach a target, ``export`` the input of
the public calculator soundcalc, so that others can check.
"""

from stark.soundness.estimate import Report, Round, estimate
from stark.soundness.export import soundcalc_toml
from stark.soundness.figures import BusFigures, SystemFigures, TableFigures
from stark.soundness.parameters import ProtocolParameters
from stark.soundness.schedule import fold_schedule
from stark.soundness.search import PROFILES, Profile, Role, find_parameters

__all__ = [
    "PROFILES",
    "BusFigures",
    "Profile",
    "ProtocolParameters",
    "Report",
    "Role",
    "Round",
    "SystemFigures",
    "TableFigures",
    "estimate",
    "find_parameters",
    "fold_schedule",
    "soundcalc_toml",
]
