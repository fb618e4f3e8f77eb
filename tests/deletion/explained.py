"""Checks that no test notices the loss of, each with the reason why that is right."""

from __future__ import annotations

EXPLAINED: dict[str, str] = {
    "air/inclusion/customer.py:CustomerFile.__post_init__ part not min(sibling) <= max(sibling)": (
        "always true: it joins the two bounds into one chain"
    ),
    "air/registry.py:Registry.from_json part not 1 <= len(value)": (
        "an empty registry is refused by the instance too, with the same code and words; the upper "
        "limit beside it is needed here, before as many assets are made"
    ),
    "stark/constraints/expression.py:Expression.__sub__ guard a is not None and b is not None": (
        "a - b is then written a + (p - b), which folds to the same constant"
    ),
    "stark/constraints/expression.py:Expression.__sub__ guard b == 0": (
        "a - 0 is then written a + p, and p is the constant 0, which addition leaves away"
    ),
    "stark/field/extension.py:invert raise ZeroDivisionError": (
        "the norm of zero is zero, whose inversion in the base field raises the same error"
    ),
}
