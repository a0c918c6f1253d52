"""The gateway is killed while Roundup has done what it was asked and nobody was told: the next start finds out and says so."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any

from audit.verify import verify_sqlite
from tests.roundup.wire import Hold
from tests.roundup.world import World


def test_what_was_under_way_is_found_in_roundup_and_settled(world: World) -> None:
    settled_so_far = len(world.entries())
    lost, made, to_retire, to_change = world.person(), world.person(), world.customer(), world.customer()
    text, phone = world.plant("还没有人听说 nobody heard"), world.plant("13900139000")
    about = {"customer": to_change.id, "unit": "branch:shanghai"}
    title = world.plant("中断 interrupted")
    asked: list[Callable[[], object]] = [
        lambda: world.ask("supervisor", "POST", "/tracker/user", lost),
        lambda: world.ask("supervisor", "POST", "/tracker/user", made),
        lambda: world.ask("agent", "POST", "/tracker/issue", {"title": title, "status": "2", **about}),
        lambda: world.ask("agent", "POST", "/tracker/msg", {"content": text, **about}),
        lambda: world.ask("supervisor", "DELETE", to_retire.path),
        lambda: world.ask("supervisor", "PATCH", to_change.path, {"phone": phone, "email": None}),
    ]
    with world.wire.holding(unsent=lost["username"]) as hold:
        threads = [threading.Thread(target=unanswered, args=(work,)) for work in asked]
        for thread in threads:
            thread.start()
        wait_for(hold, len(asked))
        world.gateway.kill()
        for thread in threads:
            thread.join()
    world.gateway = world.launcher.start()

    at_start = by_the_reconciler(world.entries()[settled_so_far:])
    assert sorted(upstream["result"] for upstream in at_start.values()) == ["done"] * 5
    # What is not there is said to be undone once Roundup's own deadlines are over: until then it may come yet.
    deadline = time.monotonic() + 60
    while len(by_the_reconciler(world.entries()[settled_so_far:])) < 6 and time.monotonic() < deadline:
        time.sleep(0.5)

    entries = world.entries()[settled_so_far:]
    outcomes = by_the_reconciler(entries)

    results = sorted(
        (e["action"], outcomes[e["seq"]]["result"])
        for e in entries
        if e["kind"] == "intent" and e["seq"] in outcomes
    )
    assert results == [
        ("customer:create", "done"),  # found by its envelope's exact text
        ("customer:create", "not-done"),
        ("customer:delete", "done"),  # Roundup still answers with it; its list does not
        ("customer:update", "done"),
        ("message:send", "done"),  # found by the gateway's own key in it
        ("thread:create", "done"),
    ]
    assert not {e["seq"] for e in entries if e["kind"] == "intent"} - {
        e["of"] for e in entries if e["kind"] == "outcome"
    }
    assert verify_sqlite(world.launcher.home / "audit.sqlite").intact

    # What was settled as done opens, since it was bound; what was not can be made again.
    (found,) = world.ask("supervisor", "GET", f"/tracker/user?username:={made['username']}").items
    assert world.ask("supervisor", "GET", f"/tracker/user/{found['id']}").fields == made
    (message,) = world.ask("agent", "GET", f"/tracker/msg?customer:={to_change.id}").items
    assert message["content"] == text
    (issue,) = world.ask("agent", "GET", f"/tracker/issue?customer:={to_change.id}").items
    assert issue["title"] == title
    changed = world.ask("supervisor", "GET", to_change.path).fields
    assert (changed["phone"], changed["email"]) == (phone, None)
    assert world.ask("supervisor", "GET", to_retire.path).status == 404
    again = world.create("supervisor", "/tracker/user", lost)
    assert world.ask("supervisor", "GET", f"/tracker/user/{again}").fields == lost


def by_the_reconciler(entries: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Intent → what the reconciler said of it."""
    return {
        e["of"]: e["upstream"] for e in entries if e["kind"] == "outcome" and (e["upstream"] or {}).get("by")
    }


def unanswered(work: Callable[[], object]) -> None:
    """Asks, and is cut off."""
    try:
        said = work()
    except (OSError, http.client.HTTPException):
        return
    raise AssertionError(f"answered although the gateway was killed: {said}")


def wait_for(hold: Hold, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(hold.held) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(hold.held) == count
