"""The pinned table agrees with the source, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import air.keys
from air.key_table import write_table
from air.keys import pinned_roots, profile_parameters, shipped_shapes, verification_key
from air.shape import Shape
from air.tables.batch import batch_system
from stark.errors import Code, Rejected, UsageError
from stark.prover.keygen import generate_key
from stark.soundness import estimate
from stark.verifier.figures import system_figures


def test_every_shipped_shape_is_pinned_and_nothing_else() -> None:
    assert sorted(pinned_roots()) == sorted(shape.name for shape in shipped_shapes())
    assert all(len(root) == 32 for root in pinned_roots().values())
    assert len(set(pinned_roots().values())) == len(pinned_roots())


@pytest.mark.parametrize(
    "shape",
    [Shape(12, 5, 9), Shape(13, 11, 9), Shape(15, 12, 9), Shape(14, 13, 12), Shape(16, 9, 14)],
)
def test_roots_are_those_of_the_source(shape: Shape) -> None:
    key = generate_key(batch_system(shape, zk=True), profile_parameters("proven128", shape))
    assert key.verification.preprocessed_cap == (pinned_roots()[shape.name],)


@pytest.mark.parametrize(("profile", "target"), [("proven128", 128), ("proven100", 100)])
def test_every_key_reaches_its_profile(profile: str, target: int) -> None:
    for shape in (Shape(12, 5, 9), Shape(16, 15, 12), Shape(20, 18, 9), Shape(20, 13, 14)):
        key = verification_key(profile, shape)
        report = estimate(system_figures(key.system), key.parameters)
        assert report.minimum >= target
        assert key.parameters.regime == "jbr"


def test_unknown_profiles_and_shapes_are_refused() -> None:
    with pytest.raises(Rejected) as caught:
        verification_key("proven1", Shape(12, 5, 9))
    assert caught.value.code is Code.POLICY
    with pytest.raises(Rejected) as caught:
        verification_key("proven128", Shape(20, 5, 9))
    assert caught.value.code is Code.VK


@pytest.mark.parametrize("values", [(11, 5, 9), (21, 5, 9), (12, 4, 9), (12, 12, 9), (12, 5, 8)])
def test_shapes_out_of_range_are_refused(values: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError):
        Shape(*values)


def test_widths_do_not_depend_on_the_number_of_assets() -> None:
    few = batch_system(Shape(16, 9, 9))
    many = batch_system(Shape(16, 9, 14))
    for a, b in zip(few.tables, many.tables, strict=True):
        assert a.symbolic.columns == b.symbolic.columns
        assert len(a.constraints) == len(b.constraints)


def test_the_table_is_written_as_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_table(pinned_roots(), path)
    shipped = Path(air.keys.__file__).with_name("keys.json")
    assert json.loads(path.read_text()) == json.loads(shipped.read_text())
