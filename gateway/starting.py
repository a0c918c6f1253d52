"""Before the path: by which bundle a start serves. The log says it; files that are not it are no substitute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.activating import How, Last
from gateway.loading import Loaded
from gateway.offering import Offer
from gateway.words.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Found:
    """What a start found. folder: what the policy folder holds, or its mistakes. fence: the log's, when it was looked at.

    how, before: of the entry that is still to be made, None where the log says already what is in force.
    """

    folder: Loaded | Misconfigured
    offer: Offer
    fence: int
    how: How | None
    before: str | None


async def chosen_of(
    last: Last | None,
    folder: Loaded | Misconfigured,
    kept: Callable[[str], Awaitable[Loaded | None]],
    name: str,
) -> Loaded:
    """Gives the bundle of the last activation: from the folder where it is just that one, else as it was kept.

    The folder as it is where nothing was ever put in force, and where an older program did it, which kept nothing. name: the folder's.
    Raises Misconfigured with what to do.
    """
    if last is not None:
        if isinstance(folder, Loaded) and folder.digest == last.digest:
            return folder
        found = await kept(last.digest)
        if found is not None:
            return found
        if last.bound:
            raise Misconfigured(
                f"the bundle in force is {last.digest} (entry {last.seq} of the log), and the state store does not have it as it was: "
                f"put the policy folder of exactly that digest in the place of {name}, or restore the state store. "
                "A start serves by nothing else: whoever wants a wider policy would only have to take that bundle away"
            )
    if isinstance(folder, Misconfigured):
        raise folder
    return folder
