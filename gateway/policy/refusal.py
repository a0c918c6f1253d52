"""Step 5: a question that is no question. No I/O."""

from __future__ import annotations

from gateway.policy.plan import denial
from gateway.words.budget import Budget
from gateway.words.decision import DecidedBy, Decision, Facts, Reason, Rule
from gateway.words.filter import NOTHING, Within
from gateway.words.json import Pattern

_NO_FACTS = Facts()


class Refusal:
    """A question that is denied before it is one: no bundle, a purpose that is not held, an engine error."""

    __slots__ = ("_bundle", "_by", "_engine", "_fence", "_reason")
    budgets: tuple[Budget, ...] = ()

    def __init__(self, reason: Reason, by: DecidedBy, bundle: str, engine: str, fence: int) -> None:
        self._reason = reason
        self._by = by
        self._bundle = bundle
        self._engine = engine
        self._fence = fence

    @property
    def roles(self) -> tuple[str, ...]:
        """None was looked at."""
        return ()

    def early(self) -> Decision:
        """Gives the denial."""
        return self.decide(_NO_FACTS)

    def ruled_out(self) -> bool:
        """Every record is denied."""
        return True

    def collection(self) -> Decision:
        """Gives the denial."""
        return self.decide(_NO_FACTS)

    def decide(self, facts: Facts) -> Decision:
        """Gives the denial; an erasure is said first, as always."""
        erased = facts.floors.erased
        outcome = denial(Reason.ERASED if erased else self._reason)
        rule: Rule | None = None
        return Decision(
            allowed=False,
            reason=outcome.reason,
            by=DecidedBy.FLOOR if erased else self._by,
            rule=rule,
            read=outcome.read,
            write=outcome.write,
            facts=facts,
            bundle=self._bundle,
            engine=self._engine,
            fence=self._fence,
        )

    def searchable(self) -> frozenset[Pattern]:
        """Nothing."""
        return frozenset()

    def sees_all(self) -> bool:
        """Nothing is seen."""
        return False

    def within(self, *, named: bool) -> Within:  # noqa: ARG002 # the protocol's
        """No record."""
        return Within(NOTHING, exact=True)
