"""A record that is hidden from somebody, and one that is not there: nobody who asks for both tells which is which.

An adversary asks for either in random order, learns on the first half of the answers how they differ, and guesses the second half.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.words.ids import new_id
from tests.campaign.counts import count, dice, proving
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.house import serving, settings
from tests.campaign.secrecy.people import invent

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]

ELSEWHERE = "branch:beijing"
OF_THE_REQUEST = ("gatehouse-request", "audit-ref", "date")
"""Headers that are another in every answer."""


@dataclass(frozen=True)
class Seen:
    """One answer as the adversary sees it: everything that could differ, and how long it took."""

    hidden: bool
    said: tuple[int, bytes, tuple[tuple[str, str], ...]]
    seconds: float


async def asked(client: Client, key: str, target: str, *, hidden: bool) -> Seen:
    """Asks once; what is another in every answer is taken out."""
    start = time.perf_counter()
    answer = await client.ask("GET", target, key)
    took = time.perf_counter() - start
    request = answer.headers["gatehouse-request"]
    headers = tuple(sorted((n, v) for n, v in answer.headers.items() if n not in OF_THE_REQUEST))
    return Seen(hidden, (answer.status, answer.body.replace(request.encode(), b"-"), headers), took)


def guessed(seen: list[Seen]) -> float:
    """Gives the share of right guesses on the second half, by the best of some thresholds of time learnt on the first."""
    half = len(seen) // 2
    learnt, tried = seen[:half], seen[half:]
    cuts = statistics.quantiles([one.seconds for one in learnt], n=40)
    rules = [(cut, slower) for cut in cuts for slower in (True, False)]

    def right(rule: tuple[float, bool], of: list[Seen]) -> float:
        cut, slower = rule
        return sum(((one.seconds > cut) == slower) == one.hidden for one in of) / len(of)

    return right(max(rules, key=lambda rule: right(rule, learnt)), tried)


async def test_nobody_tells_a_hidden_record_from_one_that_is_not_there(fresh_dir: Path) -> None:
    number = count(60, 10_000)
    order = [n % 2 == 0 for n in range(number)]
    dice("not there").shuffle(order)
    async with serving(settings(fresh_dir / "home")) as opened, opened.client() as client:
        made = []
        for person in invent(20, dice("hidden people")):
            body = {**person.customer(), "unit": ELSEWHERE}
            answer = await client.ask("POST", "/crm/customers", opened.keys["all"], body)
            made.append(str(answer.json["id"]))
        seen = []
        for hidden in order:
            record = dice(f"{len(seen)}").choice(made) if hidden else f"cus_{new_id('x').removeprefix('x_')}"
            seen.append(await asked(client, opened.keys["agent"], f"/crm/customers/{record}", hidden=hidden))
    assert {one.said[0] for one in seen} == {404}
    assert len({one.said for one in seen}) == 1  # status, body, headers
    share = guessed(seen)
    print(
        f"not there and not yours: {number} answers, one of them like the other; by time alone {share:.1%} guessed right"
    )
    if proving():
        assert share <= 0.52
