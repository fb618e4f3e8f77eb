"""Input of the public soundness calculator soundcalc, so that anyone can check our figures.

https://github.com/ethereum/soundcalc, format as of May 2026. Its table of fields ends at
``KoalaBear^4``; ``KoalaBear^5`` (p = 2130706433, degree 5, two-adicity 24) has to be added there.
It knows one height: tables below the largest are counted as if they had it, and its folds do not
take in shorter tables. Its list size for ALI and DEEP is m/rate, and look-ups ignore lists, so
its figures differ from ours there by the list size that :mod:`stark.soundness.regimes` states.
"""

from __future__ import annotations

import json
from fractions import Fraction

from stark.soundness.bits import square_root
from stark.soundness.figures import BusFigures, SystemFigures
from stark.soundness.parameters import COLLISION_BITS, ProtocolParameters


def soundcalc_toml(
    figures: SystemFigures, parameters: ProtocolParameters, name: str = "stark-liabilities"
) -> str:
    """The system as one circuit of a ``FRI_STARK`` file.

    Raises
    ------
    Rejected
        ``Params``, if the heights do not fit the parameters.
    """
    height = figures.log_heights[0]
    schedule = parameters.schedule(figures.log_heights)
    circuit: dict[str, object] = {
        "name": name,
        "rho": float(parameters.rate),
        "trace_length": parameters.dimension(height),
        "air_max_degree": max(table.degree for table in figures.tables),
        "num_constraints": figures.constraints,
        "opening_points": max(table.points for table in figures.tables),
        "batch_size": sum(table.functions for table in figures.tables),
        "power_batching": parameters.batching == "powers",
        "num_queries": parameters.queries,
        "fri_folding_factors": [1 << log_arity for log_arity in schedule],
        "fri_early_stop_degree": 1 << (parameters.log_final_length + parameters.log_blowup),
        "grinding_query_phase": parameters.grinding_query,
        "grinding_commit_phase": parameters.grinding_fold,
        "grinding_batching_phase": parameters.grinding_batching,
        "grinding_deep": parameters.grinding_deep,
        "explicit_regime": "unique" if parameters.regime == "udr" else "list",
    }
    if parameters.regime == "jbr":
        circuit["gap_to_radius"] = _gap(parameters)
    system = {
        "name": name,
        "protocol_family": "FRI_STARK",
        "field": "KoalaBear^5",
        # Birthday bound: a digest has twice as many bits as its collisions have security.
        "hash_size_bits": 2 * COLLISION_BITS[parameters.hash_suite],
    }
    blocks = [_block("[zkevm]", system), _block("[[circuits]]", circuit)]
    blocks += [_block("[[circuits.lookups]]", _lookup(bus, parameters)) for bus in figures.buses]
    return "\n".join(blocks)


def _lookup(bus: BusFigures, parameters: ProtocolParameters) -> dict[str, object]:
    # soundcalc: error = (rows_L + rows_T) * num_columns_S * num_lookups_M / |F|.
    return {
        "name": bus.name,
        "logup_type": "univariate",
        "rows_L": bus.fractions,
        "rows_T": 0,
        "num_columns_S": bus.degree,
        "num_lookups_M": 1,
        "grinding_bits_lookup": parameters.grinding_lookup,
    }


def _gap(parameters: ProtocolParameters) -> float:
    # soundcalc recovers m as ceil(sqrt(rate) / 2 gap) in floating point; a gap larger by 10^-12
    # keeps the ceiling at m, where rounding could lift it to m + 1.
    gap = square_root(parameters.rate) / (2 * parameters.multiplicity)
    return float(gap * (1 + Fraction(1, 10**12)))


def _block(header: str, values: dict[str, object]) -> str:
    # JSON's strings, numbers, booleans and lists of numbers are written alike in TOML.
    return "\n".join([header, *(f"{key} = {json.dumps(values[key])}" for key in values), ""])
