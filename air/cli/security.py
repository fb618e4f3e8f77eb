"""``security``: the bits of every round, and the parameters they come from."""

from __future__ import annotations

from dataclasses import asdict

import click

from air.cli.outcome import command_errors, finish, json_option, profile_option
from air.keys import profile_parameters, shipped_shapes
from air.report import ASSUMPTIONS
from air.report_json import security_json
from air.shape import Shape
from air.tables.batch import batch_system
from stark.errors import UsageError
from stark.soundness.estimate import estimate
from stark.verifier.figures import system_figures


@click.command(short_help="Bits of security of every round.")
@profile_option
@click.option(
    "--shape", "shape_name", help="Shape of a batch, see `keys show`.  [default: the largest]"
)
@json_option
@command_errors
def security(profile: str, shape_name: str | None, as_json: bool) -> int:
    """Bits of security of every round of a batch proof, and its parameters."""
    shape = named_shape(shape_name)
    parameters = profile_parameters(profile, shape)
    report = estimate(system_figures(batch_system(shape, zk=True)), parameters)
    fields = {
        "profile": profile,
        "shape": shape.name,
        "parameters": asdict(parameters),
        **security_json(report),
    }
    lines = [
        f"profile     {profile}",
        f"shape       {shape.name}",
        *report.lines(),
        "",
        "parameters",
        *(f"  {name:<18} {value}" for name, value in asdict(parameters).items()),
        "",
        "assumed",
        *(f"  {line}" for line in ASSUMPTIONS),
    ]
    return finish(as_json, fields, lines)


def named_shape(name: str | None) -> Shape:
    """The shipped shape of this name, the largest for ``None``; else ``UsageError``."""
    shapes = {shape.name: shape for shape in shipped_shapes()}
    if name is None:
        return max(shapes.values())
    if name not in shapes:
        raise UsageError(f"no shape is called {name!r}; `liabilities keys show` lists them")
    return shapes[name]
