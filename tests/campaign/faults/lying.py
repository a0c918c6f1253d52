"""Builds whose reconciler says one thing of every update and delete, and does not look. The verdict must go red on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit import OpenIntent
from gateway.cli import main as serve
from gateway.corridor.settle import Result, Settler
from gateway.words.resource import ResourceSpec, Verb


def main(lie: str) -> None:
    """Runs the gateway's command; `lie` is what its reconciler says."""

    async def say(
        settler: Settler,
        intent: OpenIntent,
        resource: ResourceSpec,
        part: Mapping[str, Any],
        verb: Verb,
        *,
        sure: bool,
    ) -> bool:
        return await settler._close(intent, Result(lie), resource, None)

    Settler._settle_change = say  # type: ignore[method-assign]  # the mutation
    serve()
