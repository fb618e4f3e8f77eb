"""The Grain stream against published constants."""

from __future__ import annotations

import json
from itertools import islice

from poseidon_reference import VECTORS

from stark.field.koalabear import P
from stark.hash.grain import field_elements


def test_stream_yields_the_published_poseidon2_constants() -> None:
    published = json.loads((VECTORS / "poseidon2_constants.json").read_text())
    tables = published["poseidon2_koalabear_16"]
    rows = [*tables["external_initial"], tables["internal"], *tables["external_final"]]
    expected = [constant for row in rows for constant in row]
    assert list(islice(field_elements(P, 16, 8, 20), len(expected))) == expected


def test_round_counts_and_width_are_part_of_the_seed() -> None:
    seeds = [(16, 8, 20), (24, 8, 20), (16, 8, 21), (16, 10, 20)]
    streams = {tuple(islice(field_elements(P, *seed), 4)) for seed in seeds}
    assert len(streams) == len(seeds)


def test_elements_are_below_a_small_modulus() -> None:
    # 17 has five bits, so that about half of the candidates must be rejected.
    values = list(islice(field_elements(17, 3, 8, 22), 500))
    assert set(values) == set(range(17))
