"""The README's Python is run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from air.master_key import generate_master_key
from air.snapshot.generate import generate

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_two_programs() -> None:
    assert len(BLOCKS) == 2


def test_proving_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate(tmp_path / "S.csv", accounts=12, assets=3, holdings=2, seed=1)
    generate_master_key(tmp_path / "master.key")
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    assert (tmp_path / "publication" / "liabilities.proof").stat().st_size > 100_000


def test_a_first_proof() -> None:
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(BLOCKS[1], "README.md", "exec"), names)
    assert len(names["proof"]) > 10_000  # type: ignore[arg-type]
