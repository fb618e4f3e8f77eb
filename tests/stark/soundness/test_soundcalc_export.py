"""The file for the public calculator, read back with the formulas that it documents."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from typing import Any

import pytest

from stark.soundness.export import soundcalc_toml
from stark.soundness.figures import BusFigures, SystemFigures, TableFigures
from stark.soundness.parameters import ProtocolParameters
from stark.soundness.search import PROFILES, Role, find_parameters

CHAIN = TableFigures("chain", 18, 236, 300, 3, 2)
TREE = TableFigures("tree", 15, 180, 170, 4, 1)
SYSTEM = SystemFigures((CHAIN, TREE), (BusFigures("range", 1, 14 << 18), BusFigures("sum", 2, 9)))
SETS = [
    PROFILES["proven128"].find(SYSTEM),
    PROFILES["proven100"].find(SYSTEM),
    find_parameters(SYSTEM, 128, Role(regime="udr", log_blowup=2, batching="powers")),
    find_parameters(SYSTEM, 128, Role(regime="jbr", log_blowup=5, batching="independent")),
]


@pytest.mark.parametrize("parameters", SETS)
def test_exported_values(parameters: ProtocolParameters) -> None:
    data = tomllib.loads(soundcalc_toml(SYSTEM, parameters, 'a "name"'))
    assert data["zkevm"] == {
        "name": 'a "name"',
        "protocol_family": "FRI_STARK",
        "field": "KoalaBear^5",
        "hash_size_bits": 256,
    }
    (circuit,) = data["circuits"]
    assert circuit["num_constraints"] == 470
    assert circuit["batch_size"] == 416
    assert circuit["air_max_degree"] == 4
    assert circuit["opening_points"] == 2
    assert circuit["num_queries"] == parameters.queries
    assert circuit["power_batching"] is (parameters.batching == "powers")
    assert circuit["grinding_query_phase"] == 20
    assert circuit["grinding_commit_phase"] == parameters.grinding_fold
    assert circuit["grinding_batching_phase"] == parameters.grinding_batching
    assert circuit["grinding_deep"] == parameters.grinding_deep
    # The domain that soundcalc derives is the one that is folded, and ends where it says.
    domain = circuit["trace_length"] / circuit["rho"]
    assert domain == 1 << (18 + parameters.log_blowup)
    assert math.prod(circuit["fri_folding_factors"]) * circuit["fri_early_stop_degree"] == domain
    if parameters.regime == "jbr":
        root = math.sqrt(circuit["rho"])
        assert math.ceil(root / (2 * circuit["gap_to_radius"])) == parameters.multiplicity
        assert circuit["explicit_regime"] == "list"
    else:
        assert "gap_to_radius" not in circuit
        assert circuit["explicit_regime"] == "unique"


def test_exported_lookups() -> None:
    parameters = replace(SETS[0], grinding_lookup=7)
    lookups: list[Any] = tomllib.loads(soundcalc_toml(SYSTEM, parameters))["circuits"][0]["lookups"]
    assert [lookup["name"] for lookup in lookups] == ["range", "sum"]
    for lookup, bus in zip(lookups, SYSTEM.buses, strict=True):
        rows = (lookup["rows_L"] + lookup["rows_T"]) * lookup["num_lookups_M"]
        assert rows * lookup["num_columns_S"] == bus.fractions * bus.degree
        assert lookup["grinding_bits_lookup"] == 7
        assert lookup["logup_type"] == "univariate"


@pytest.mark.parametrize("multiplicity", range(3, 1025, 7))
def test_multiplicity_survives_floating_point(multiplicity: int) -> None:
    for log_blowup in range(1, 6):
        parameters = replace(SETS[0], multiplicity=multiplicity, log_blowup=log_blowup)
        (circuit,) = tomllib.loads(soundcalc_toml(SYSTEM, parameters))["circuits"]
        root = math.sqrt(circuit["rho"])
        gap = 1 - root - (1 - root - circuit["gap_to_radius"])  # as soundcalc recovers it
        assert math.ceil(root / (2 * gap)) == multiplicity
