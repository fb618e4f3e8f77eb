"""The checks of the verifier's wing, listed from its source.

The wing is what ``python -m air.verify`` and the customer's check import. A *site* is one thing in
it that can be taken away without the program becoming another one:

``raise``    a ``raise`` statement
``guard``    an ``if`` whose body is one ``return``, ``continue`` or ``break``
``part``     one operand of ``or``, or one link of a chain ``not a <= b < c``, in the condition of
             such an ``if`` or of one that raises, or in a condition that a function is given
``call``     a call that stands as a statement (but for containers and parsers being filled)
``value``    a call of a function that returns its first argument or raises
``bound``    an upper bound given to a function that raises
``verdict``  the value that a function of type ``bool`` returns, or a reason that is None if all is
             well

A site's name holds no line number: file, function, kind, its text, and a number if the function has
several that are alike. It is stable while the check itself is.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENTRIES = ("air/verify.py", "air/inclusion/check.py")

NOT_CHECKS = {
    "stark/errors.py": "the errors themselves, and how they are printed",
    "air/report.py": "text for people: nothing is decided there",
    "air/tables/": "AIRs; that every rule is needed is tested beside them",
    "stark/gadgets/": "parts of AIRs",
}
"""Modules of the wing whose statements are not listed, with the reason."""

FILLING = frozenset({"append", "add", "extend", "setdefault", "add_argument"})
BOUND_NAMES = frozenset({"bound", "maximum"})
NO_BOUND = 1 << 400
TEXT_WIDTH = 60

Mutation = Callable[[], ast.AST]


@dataclass(frozen=True)
class Site:
    """One check that can be deleted."""

    name: str
    file: str
    line: int
    function: str
    kind: str
    text: str
    callee: str
    """Bare name of the function whose call it is, empty for what is no call."""


@dataclass(frozen=True)
class Found:
    """A site in a parsed tree, and how to take it away.

    Attributes
    ----------
    target, replacement
        The node that is replaced, and what makes its replacement.
    marker
        The statement that runs exactly when deleting the site can make a difference.
    """

    site: Site
    target: ast.AST
    replacement: Mutation
    marker: ast.stmt


def module_file(name: str, root: Path = ROOT) -> str | None:
    """The file of a dotted module name, relative to the root, or ``None`` if it is foreign."""
    base = name.replace(".", "/")
    for candidate in (f"{base}.py", f"{base}/__init__.py"):
        if (root / candidate).is_file():
            return candidate
    return None


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@cache
def wing(root: Path = ROOT) -> tuple[str, ...]:
    """Files of all modules that the entries import, directly or not, in alphabetical order."""
    seen: set[str] = set()
    pending = list(ENTRIES)
    while pending:
        file = pending.pop()
        if file in seen:
            continue
        seen.add(file)
        for name in _imports(ast.parse((root / file).read_text(encoding="utf-8"))):
            parts = name.split(".")
            names = [".".join(parts[:count]) for count in range(1, len(parts) + 1)]
            pending += [found for one in names if (found := module_file(one, root)) is not None]
    return tuple(sorted(seen))


def listed_files(root: Path = ROOT) -> tuple[str, ...]:
    """Files of the wing whose checks are listed."""
    return tuple(file for file in wing(root) if not file.startswith(tuple(NOT_CHECKS)))


@dataclass(frozen=True)
class Signatures:
    """Functions of the wing that make a call a check, by their bare name."""

    identities: frozenset[str]
    """Return their first argument unchanged, or raise."""
    bounds: dict[str, int]
    """Position of a parameter that bounds a value."""
    conditions: frozenset[str]
    """Raise unless their first argument, a condition, holds."""


@cache
def signatures(root: Path = ROOT) -> Signatures:
    identities: set[str] = set()
    bounds: dict[str, int] = {}
    conditions: set[str] = set()
    for file in listed_files(root):
        for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or not node.args.args:
                continue
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            if not raises:
                continue
            names = [argument.arg for argument in node.args.args]
            returned = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
            if returned and all(isinstance(v, ast.Name) and v.id == names[0] for v in returned):
                identities.add(node.name)
            for name in BOUND_NAMES.intersection(names):
                bounds[node.name] = names.index(name)
            if names[0] == "condition":
                conditions.add(node.name)
    return Signatures(frozenset(identities), bounds, frozenset(conditions))


def found_in(tree: ast.Module, file: str, root: Path = ROOT) -> list[Found]:
    """All sites of a parsed file, in the order of its text."""
    walker = _Walker(file, signatures(root))
    walker.visit(tree)
    return walker.found


@cache
def sites(root: Path = ROOT) -> tuple[Site, ...]:
    """All sites of the wing."""
    result: list[Site] = []
    for file in listed_files(root):
        tree = ast.parse((root / file).read_text(encoding="utf-8"))
        result += [found.site for found in found_in(tree, file, root)]
    return tuple(result)


class _Walker(ast.NodeVisitor):
    def __init__(self, file: str, known: Signatures) -> None:
        self.file = file
        self.known = known
        self.found: list[Found] = []
        self.scope: list[str] = []
        self.functions = 0
        self.returns_bool = False
        self.statement: ast.stmt | None = None
        self.counts: dict[str, int] = {}

    # ---- walking

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self.statement = node
        super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        outer = self.returns_bool
        self.returns_bool = isinstance(node.returns, ast.Name) and node.returns.id == "bool"
        self.scope.append(node.name)
        self.functions += 1
        for statement in node.body:
            self.visit(statement)
        self.functions -= 1
        self.scope.pop()
        self.returns_bool = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self.scope.pop()

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add("raise", _exception(node), node, ast.Pass, node)
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        first = node.body[0]
        leaves = len(node.body) == 1 and isinstance(first, ast.Return | ast.Continue | ast.Break)
        if self.functions and leaves and not node.orelse:
            text = ast.unparse(node.test)
            self._add("guard", text, node.test, lambda: ast.Constant(False), first)
        if leaves or isinstance(node.body[-1], ast.Raise):
            self._parts(node.test, first)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value
        if self.functions and isinstance(call, ast.Call):
            filling = isinstance(call.func, ast.Attribute) and call.func.attr in FILLING
            if not filling:
                self._add("call", ast.unparse(call), node, ast.Pass, node, _name(call))
            if _name(call) in self.known.conditions:
                self._parts(call.args[0], node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node)
        marker = self.statement
        if self.functions and marker is not None:
            if name in self.known.identities and not _is_statement(marker, node):
                first = node.args[0]
                self._add("value", ast.unparse(node), node, lambda: first, marker, name)
            position = self.known.bounds.get(name, len(node.args))
            if position < len(node.args):
                bound = node.args[position]
                # A bound that is itself a parameter is deleted where it is chosen.
                if not (isinstance(bound, ast.Name) and bound.id in BOUND_NAMES):
                    text = ast.unparse(node)
                    self._add("bound", text, bound, lambda: ast.Constant(NO_BOUND), marker, name)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        value = node.value
        if isinstance(value, ast.IfExp) and _is_none(value.body):
            self._add("verdict", ast.unparse(value), value, lambda: ast.Constant(None), node)
        elif self.returns_bool and value is not None and not isinstance(value, ast.Constant):
            self._add("verdict", ast.unparse(value), value, lambda: ast.Constant(True), node)
        self.generic_visit(node)

    # ---- parts of conditions

    def _parts(self, test: ast.expr, marker: ast.stmt) -> None:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
            for operand in test.values:
                text = ast.unparse(operand)
                self._add("part", text, operand, lambda: ast.Constant(False), marker)
                self._links(operand, marker)
        else:
            self._links(test, marker)

    def _links(self, test: ast.expr, marker: ast.stmt) -> None:
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        chain = test.operand if isinstance(test, ast.UnaryOp) and negated else test
        if not isinstance(chain, ast.Compare) or len(chain.ops) < 2:
            return
        for number in range(len(chain.ops)):
            links = _links_of(chain)
            text = f"{'not ' if negated else ''}{ast.unparse(links[number])}"
            self._add("part", text, chain, _without(chain, number), marker)

    def _add(
        self,
        kind: str,
        text: str,
        target: ast.AST,
        replacement: Mutation,
        marker: ast.stmt,
        callee: str = "",
    ) -> None:
        function = ".".join(self.scope)
        line = getattr(target, "lineno", marker.lineno)
        text = " ".join(text.split())
        shown = text if len(text) <= TEXT_WIDTH else text[: TEXT_WIDTH - 3] + "..."
        name = f"{self.file}:{function} {kind} {shown}"
        number = self.counts[name] = self.counts.get(name, 0) + 1
        if number > 1:
            name += f" #{number}"
        site = Site(name, self.file, line, function, kind, shown, callee)
        self.found.append(Found(site, target, replacement, marker))


def _links_of(chain: ast.Compare) -> list[ast.expr]:
    """``a <= b < c`` as ``a <= b`` and ``b < c``."""
    terms = [chain.left, *chain.comparators]
    return [
        ast.Compare(copy.deepcopy(left), [op], [copy.deepcopy(right)])
        for left, op, right in zip(terms, chain.ops, terms[1:], strict=False)
    ]


def _without(chain: ast.Compare, number: int) -> Mutation:
    def build() -> ast.AST:
        kept = [link for place, link in enumerate(_links_of(chain)) if place != number]
        return kept[0] if len(kept) == 1 else ast.BoolOp(ast.And(), kept)

    return build


def _name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _is_statement(statement: ast.stmt, call: ast.Call) -> bool:
    return isinstance(statement, ast.Expr) and statement.value is call


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _exception(node: ast.Raise) -> str:
    """``Merkle opening of {name}``: the code and the check of a rejection, else the class."""
    error = node.exc
    if error is None:
        return "again"
    if not isinstance(error, ast.Call):
        return ast.unparse(error)
    if _name(error) != "Rejected":
        return _name(error)
    code = error.args[0]
    word = code.attr if isinstance(code, ast.Attribute) else ast.unparse(code)
    check = error.args[1]
    return f"{word} {check.value if isinstance(check, ast.Constant) else ast.unparse(check)}"
