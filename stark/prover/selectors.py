"""Selector and periodic columns on an evaluation coset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stark.field import extension as ext
from stark.field.extension_kernels import domain_points
from stark.field.koalabear import P, inverse, root_of_unity
from stark.field.montgomery import multiply_by_scalar, scalar_to_montgomery, to_montgomery
from stark.fri.deep import inverse_differences
from stark.verifier.out_of_domain import periodic_at

Column = NDArray[np.uint32]


@dataclass(frozen=True)
class CosetSelectors:
    """L_first, L_last and X - w^-1 on a coset, each (rows,) in Montgomery form."""

    first: Column
    last: Column
    transition: Column


def coset_selectors(log_height: int, shift: int) -> CosetSelectors:
    """Selectors at shift * w^i; see :func:`stark.verifier.out_of_domain.selectors_at`."""
    return selectors_at(domain_points(log_height, shift), log_height, shift)


def selectors_at(points: Column, log_height: int, shift: int) -> CosetSelectors:
    """Selectors at points of one coset, shift <w>, in Montgomery form.

    L_last is right at each point x that w x follows, cyclically.
    """
    height = 1 << log_height
    vanishing = (pow(shift, height, P) - 1) * inverse(height) % P
    to_first = np.ascontiguousarray(inverse_differences(points, ext.ONE)[0])
    first = multiply_by_scalar(to_first, scalar_to_montgomery(vanishing))
    last_point = to_montgomery(np.array([inverse(root_of_unity(log_height))], np.uint32))
    difference = points.astype(np.int64) - int(last_point[0])
    transition = np.where(difference < 0, difference + P, difference).astype(np.uint32)
    # L_last(x) = L_first(w x): the same column, one row on.
    return CosetSelectors(first, np.ascontiguousarray(np.roll(first, -1)), transition)


def coset_periodic(values: Sequence[int], log_height: int, shift: int) -> Column:
    """One period of a periodic column on a coset: rows i and i + period agree there."""
    root = root_of_unity(log_height)
    result = []
    point = shift
    for _ in values:
        result.append(periodic_at(values, log_height, ext.from_base(point))[0])
        point = point * root % P
    return to_montgomery(np.array(result, np.uint32))
