"""Step 7: what is seen of an exchange besides its answer: how long it took, and what went wrong, by kind. Never what was said."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from gateway.observe import Count, Metrics, Trouble
from gateway.words.errors import BadAnswer

P = ParamSpec("P")
T = TypeVar("T")


class Measured(Protocol):
    """Has metrics."""

    metrics: Metrics


S = TypeVar("S", bound=Measured)


def trouble_of(status: int) -> Trouble | None:
    """Gives what an answer's status says is wrong between the upstream and us; what it says to the caller is no trouble."""
    if status >= 500:
        return Trouble.SERVER_ERROR
    return Trouble.CREDENTIAL_REFUSED if status in (401, 403) else None


def judged(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Counts answers that cannot be read in one way, wherever in the method that is found."""

    @wraps(method)
    async def counted(self: S, /, *args: P.args, **more: P.kwargs) -> T:
        try:
            return await method(self, *args, **more)
        except BadAnswer:
            self.metrics.count(Count.UPSTREAM_ERRORS, kind=Trouble.BAD_ANSWER)
            raise

    return counted
