"""docs/running.md names what there is."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import click

from air.cli.prove import prove
from air.proving import prove_snapshot
from air.runs.folder import LOCK_FILE, MANIFEST_FILE, PROOFS_FOLDER
from air.runs.progress import Progress

TEXT = Path(__file__).parents[2].joinpath("docs", "running.md").read_text("utf-8")


def test_its_program_imports_and_passes_what_there_is() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    tree = ast.parse(program)
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    for node in imported:
        module = importlib.import_module(node.module or "")
        for alias in node.names:
            assert hasattr(module, alias.name), (node.module, alias.name)
    parameters = inspect.signature(prove_snapshot).parameters
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "prove_snapshot"
    ]
    assert len(calls) == 2
    for call in calls:
        assert {keyword.arg for keyword in call.keywords} <= set(parameters)


def test_its_options_are_those_of_the_command() -> None:
    options = {
        name for one in prove.params if isinstance(one, click.Option) for name in one.opts
    } | {"--no-aggregate"}
    named = set(re.findall(r"`?(--[a-z][a-z-]+)", TEXT))
    assert named <= options
    assert {"--resume", "--work", "--workers", "--dask"} <= named


def test_its_files_and_fields_are_those_of_a_run() -> None:
    for name in (MANIFEST_FILE, LOCK_FILE, f"{PROOFS_FOLDER}/<SHA-256>.inner"):
        assert f"`{name}`" in TEXT
    row = next(line for line in TEXT.splitlines() if line.startswith("| `progress`"))
    assert set(re.findall(r"`([a-z]+)`", row)) - {"null", "progress"} == set(
        Progress.__dataclass_fields__
    )
