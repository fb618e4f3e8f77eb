"""What is raised when values do not satisfy a circuit."""

from __future__ import annotations

from bisect import bisect_right

from stark.errors import UsageError
from stark.recursion.circuit import Circuit


class Unsatisfied(UsageError):
    """No witness exists for these values: a check of the circuit fails.

    Parameters
    ----------
    label
        Name of the part of the program that the step belongs to; empty in front of the first.
    step
        Number of the step that fails first, in order of execution.
    """

    def __init__(self, label: str, step: int) -> None:
        self.label = label
        self.step = step
        super().__init__(label, step)

    def __str__(self) -> str:
        place = f" in {self.label}" if self.label else ""
        return f"the values do not satisfy the circuit{place} (step {self.step})"


def unsatisfied(circuit: Circuit, step: int) -> Unsatisfied:
    """The error for a step of a circuit."""
    number = bisect_right([first for first, _ in circuit.labels], step)
    return Unsatisfied(circuit.labels[number - 1][1] if number else "", step)
