"""Other systems of the same shape: what a prover may prove instead of what it should."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stark.constraints.air import Air, AirBuilder
from stark.constraints.expression import Expression
from stark.prover.prove import Prover
from stark.system import System
from stark.verifier.key import VerificationKey


class _Deaf:
    """An AirBuilder to which one constraint says nothing: it hears e - e for e."""

    def __init__(self, builder: AirBuilder, dropped: str) -> None:
        self._builder = builder
        self._dropped = dropped

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._builder, name)
        if name in ("every_row", "first_row", "last_row", "transition"):
            return lambda label, *expressions: self._add(attribute, label, expressions)
        return attribute

    def _add(self, add: Callable[..., None], label: str, expressions: Sequence[Expression]) -> None:
        several = len(expressions) > 1
        heard = []
        for index, expression in enumerate(expressions):
            own = f"{label} [{index}]" if several else label
            heard.append(expression - expression if own == self._dropped else expression)
        add(label, *heard)


class Dropping(Air):
    """An AIR with one of its constraints emptied; columns, degrees and shape stay."""

    def __init__(self, air: Air, dropped: str) -> None:
        super().__init__(air.log_height)
        self.name = air.name
        self._air = air
        self._dropped = dropped

    def eval(self, t: AirBuilder) -> None:
        self._air.eval(_Deaf(t, self._dropped))  # type: ignore[arg-type]

    def preprocessed(self) -> Mapping[str, Sequence[int]]:
        return self._air.preprocessed()


def without_constraint(system: System, table: str, label: str) -> System:
    """The system with one constraint of one table emptied."""
    airs = [one.air for one in system.tables]
    return System([Dropping(air, label) if air.name == table else air for air in airs], system.zk)


class ForeignProver(Prover):
    """Proves its own system under the name of another, whose key it binds and prints."""

    claimed: VerificationKey

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.verification = self.claimed
