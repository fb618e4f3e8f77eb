"""The values that documents print: ``path = value`` in blocks that name a golden file."""

from __future__ import annotations

import json
import re
from typing import Any

from golden.listing import DOCUMENTS

NAMES = ("label", "table", "tree", "name")
"""Keys by which an object in a list is called for in a path."""

_BLOCK = re.compile(r"^```golden ([^\n]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_STEP = re.compile(r'\.?(?:([A-Za-z_]\w*)|\[(\d+)\]|\["([^"]*)"\])')


def printed(document: str) -> list[tuple[str, str, Any]]:
    """(file, path, value) of every line of the golden blocks of a document."""
    text = (DOCUMENTS / document).read_text(encoding="utf-8")
    found = []
    for file, block in _BLOCK.findall(text):
        for line in block.splitlines():
            path, _, value = line.partition(" = ")
            found.append((file, path, json.loads(value)))
    return found


def resolve(value: Any, path: str) -> Any:
    """What stands at the path; ``KeyError`` or ``IndexError`` if nothing does."""
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise KeyError(path)
        position = step.end()
        name, index, key = step.groups()
        if index is not None:
            value = value[int(index)]
        elif key is not None and isinstance(value, list):
            (value,) = [one for one in value if key in [one.get(name) for name in NAMES]]
        else:
            value = value[name if key is None else key]
    return value
