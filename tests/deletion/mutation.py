"""Modules compiled from their source less one check, or with a note at each that is reached.

Nothing on disk changes: a finder in front of all others compiles the files of the wing itself, and
reads and writes no byte code.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from deletion.sites import ROOT, found_in, listed_files

REACHED = "__deletion_reached__"
"""Name of the function that instrumented modules call with the name of a site."""

Compile = Callable[[ast.Module, str], ast.Module]


def without(tree: ast.Module, file: str, name: str, root: Path = ROOT) -> ast.Module:
    """The module less the site ``name``; ``KeyError`` if it has no such site."""
    by_name = {found.site.name: found for found in found_in(tree, file, root)}
    found = by_name[name]
    replacement = found.replacement()

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if node is found.target:
                return ast.copy_location(replacement, node)
            return super().generic_visit(node)

    return ast.fix_missing_locations(Replace().visit(tree))


def with_notes(tree: ast.Module, file: str) -> ast.Module:
    """The module with a call of ``REACHED`` before each statement that makes a site matter."""
    names: dict[int, list[str]] = {}
    for found in found_in(tree, file):
        names.setdefault(id(found.marker), []).append(found.site.name)

    class Insert(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST | list[ast.AST]:
            marked = names.get(id(node), [])
            result = super().generic_visit(node)
            notes: list[ast.AST] = [
                ast.copy_location(
                    ast.Expr(ast.Call(ast.Name(REACHED, ast.Load()), [ast.Constant(name)], [])),
                    node,
                )
                for name in marked
            ]
            return [*notes, result] if notes else result

    changed = Insert().visit(tree)
    return ast.fix_missing_locations(changed)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, change: Compile, reached: Callable[[str], None]):
        super().__init__(name, path)
        self._change = change
        self._reached = reached

    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        changed = self._change(tree, path.relative_to(ROOT).as_posix())
        return compile(changed, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        setattr(module, REACHED, self._reached)
        super().exec_module(module)


class Finder(MetaPathFinder):
    """Loads some files of the repository changed."""

    def __init__(
        self, files: Sequence[str], change: Compile, reached: Callable[[str], None]
    ) -> None:
        self._files = {file.removesuffix(".py").replace("/", "."): file for file in files}
        self._change = change
        self._reached = reached

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        file = self._files.get(fullname)
        if file is None:
            return None
        location = str(ROOT / file)
        loader = _Loader(fullname, location, self._change, self._reached)
        return spec_from_file_location(fullname, location, loader=loader)


def _plain_files(files: Sequence[str]) -> list[str]:
    """Packages are left alone: their ``__init__`` holds no check, and finding them needs a path."""
    return [file for file in files if not file.endswith("__init__.py")]


def _install(finder: Finder, files: Sequence[str]) -> None:
    loaded = [file for file in files if file.removesuffix(".py").replace("/", ".") in sys.modules]
    if loaded:
        raise RuntimeError(f"imported before a check could be deleted: {loaded}")
    sys.meta_path.insert(0, finder)


def delete(name: str) -> None:
    """From now on, the module of the site ``name`` is imported without it."""
    file = name.partition(":")[0]
    if file not in _plain_files(listed_files()):
        raise KeyError(name)
    # Now, not when a test imports the module: an unknown name is no detected deletion.
    without(ast.parse((ROOT / file).read_text(encoding="utf-8")), file, name)
    finder = Finder([file], lambda tree, path: without(tree, path, name), lambda _: None)
    _install(finder, [file])


def note(reached: Callable[[str], None]) -> None:
    """From now on, all modules of the wing are imported with notes at their sites."""
    files = _plain_files(listed_files())
    _install(Finder(files, with_notes, reached), files)
