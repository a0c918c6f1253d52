"""Each step of a change fails once: what holds then is the narrower state, and the reconciler says what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import AuditEvent, Kind, LogBusy, LogUnavailable
from gateway.credentials import Page
from gateway.identity import ApiKey, all_keys, end_unconfirmed
from gateway.words.errors import Code, GatehouseError, Unavailable
from tests.credentials.desk_house import NOW, Breaking, Desks, open_desks


class Wrapped:
    """Keeps hold of what `open_desks` wrapped."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self.error = name, error
        self.made: Breaking | None = None

    def __call__(self, real: Any) -> Breaking:
        self.made = Breaking(real, self.name, self.error)
        return self.made

    def arm(self, at: int, **how: Any) -> None:
        assert self.made is not None
        self.made.arm(at, **how)


async def failing(act: Callable[[], Awaitable[Any]]) -> GatehouseError:
    with pytest.raises(GatehouseError) as caught:
        await act()
    return caught.value


async def settle(desks: Desks) -> list[dict[str, Any]]:
    """Settles every open intent and gives the outcomes that were written for it."""
    before = len(await desks.entries())
    for intent in await desks.log.open_intents():
        assert await desks.settlement.settle(intent) is True
    assert await desks.log.open_intents() == []
    return (await desks.entries())[before:]


@pytest.mark.parametrize("error", [LogUnavailable("x"), LogBusy(3)])
async def test_no_intent_no_change(tmp_path: Path, error: Exception) -> None:
    log = Wrapped("append", error)
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        issued = await desks.issue(admin)
        for act in (lambda: desks.issue(admin), lambda: desks.keys.revoke(desks.asker(admin), issued.key.id)):
            log.arm(1)
            assert (await failing(act)).code in (Code.LOG_UNAVAILABLE, Code.LOG_BUSY)
        assert await desks.holds(issued.text)
        assert len(await desks.store.scan(all_keys)) == 2
        assert await desks.log.open_intents() == []


async def test_an_issue_whose_outcome_is_not_recorded_gives_no_key_and_is_settled(tmp_path: Path) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        log.arm(2)
        error = await failing(lambda: desks.issue(admin))
        (intent,) = await desks.log.open_intents()
        assert error.code is Code.OUTCOME_UNRECORDED
        assert error.params["intent"] == error.entry == f"{intent.seq}:{intent.entry.hash}"
        (row,) = [key for key in await desks.store.scan(all_keys) if key.intent == intent.seq]
        assert (row.confirmed_at, row.revoked_at) == (None, None)
        (outcome,) = await settle(desks)
        assert outcome["upstream"] == {"result": "not-done", "by": "reconciler"}
        (row,) = [key for key in await desks.store.scan(all_keys) if key.intent == intent.seq]
        assert row.revoked_at is not None


@pytest.mark.parametrize("after", [False, True])
async def test_an_issue_whose_rows_may_not_stand_gives_no_key_and_is_settled(
    tmp_path: Path, after: bool
) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(1, after=after)
        assert (await failing(lambda: desks.issue(admin))).code is Code.OUTCOME_UNRECORDED
        (outcome,) = await settle(desks)
        assert outcome["upstream"]["result"] == "not-done"
        live = [key for key in await desks.store.scan(all_keys) if key.revoked_at is None]
        assert [key.application for key in live] == ["app:admin"]


def told(entries: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    """What the entries say became of what, oldest first."""
    return [(e["kind"], e["action"], (e["upstream"] or {}).get("result")) for e in entries]


TAKEN_BACK = [
    ("intent", "key:revoke", None),
    ("outcome", "key:create", "not-done"),
    ("outcome", "key:revoke", "done"),
]


async def desk_key(desks: Desks) -> ApiKey:
    (key,) = [key for key in await desks.store.scan(all_keys) if key.application == "app:desk"]
    return key


async def test_a_key_that_is_not_confirmed_is_ended_and_the_outcome_that_said_done_is_corrected(
    tmp_path: Path,
) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(2)
        error = await failing(lambda: desks.issue(admin))
        intent, done, *corrected = await desks.entries()
        assert error.code is Code.OUTCOME_UNRECORDED
        assert str(error.params["intent"]).startswith(f"{intent['seq']}:")
        assert told([done]) == [("outcome", "key:create", "done")]
        assert told(corrected) == TAKEN_BACK
        assert [e["of"] for e in corrected] == [None, intent["seq"], corrected[0]["seq"]]
        key = await desk_key(desks)
        assert (key.confirmed_at, key.revoked_at is None) == (None, False)
        assert await desks.log.open_intents() == []


async def test_a_key_that_may_have_been_confirmed_is_ended_since_nobody_has_its_text(tmp_path: Path) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(2, after=True)
        assert (await failing(lambda: desks.issue(admin))).code is Code.OUTCOME_UNRECORDED
        key = await desk_key(desks)
        assert None not in (key.confirmed_at, key.revoked_at)
        # It was a key for a moment: that its issuing was done stays true, and its end stands behind it.
        assert told((await desks.entries())[2:]) == [TAKEN_BACK[0], TAKEN_BACK[2]]


@pytest.mark.parametrize("log_too", [False, True])
async def test_a_key_that_cannot_even_be_ended_is_shown_as_unconfirmed_and_ended_by_the_reconciler(
    tmp_path: Path, log_too: bool
) -> None:
    store, log = Wrapped("write", Unavailable()), Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", store=store, log=log) as desks:
        admin = await desks.admin()
        store.arm(2, stays=True)
        if log_too:
            log.arm(3)
        assert (await failing(lambda: desks.issue(admin))).code is Code.OUTCOME_UNRECORDED
        store.arm(0)
        key = await desk_key(desks)
        assert (key.confirmed_at, key.revoked_at) == (None, None)
        listed = await desks.keys.list(desks.asker(admin))
        shown = {str(item["id"]): (item["confirmed"], item["revoked"]) for item in listed.keys}
        assert shown[key.id] == (None, None)
        before = len(await desks.entries())
        await desks.settlement.end_unconfirmed(timedelta(seconds=1))  # may still be under way
        assert len(await desks.entries()) == before
        for intent in await desks.log.open_intents():
            await desks.settlement.settle(intent)
        for _ in range(2):
            await desks.settlement.end_unconfirmed(timedelta(0))
        assert told((await desks.entries())[before:]) == TAKEN_BACK[0 if log_too else 1 :]
        assert (await desk_key(desks)).revoked_at is not None
        assert await desks.log.open_intents() == []


async def test_a_key_that_is_confirmed_while_it_is_being_ended_is_not_ended(desks: Desks) -> None:
    issued = await desks.issue(await desks.admin())
    assert not await desks.store.write(lambda c: end_unconfirmed(c, issued.key.id, NOW, 7))
    await desks.settlement.end_unconfirmed(timedelta(0))
    assert await desks.holds(issued.text)


async def test_a_key_that_was_ended_while_it_was_made_is_a_conflict_and_the_last_outcome_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desks(tmp_path / "home") as desks:
        admin = await desks.admin()
        monkeypatch.setattr("gateway.credentials.keys.confirm_key", lambda *_: False)
        assert (await failing(lambda: desks.issue(admin))).code is Code.CONFLICT
        assert [result for _, _, result in told(await desks.entries())] == [None, "done", "not-done"]


async def test_what_is_done_and_recorded_is_answered_though_nothing_can_be_read_anew(tmp_path: Path) -> None:
    log = Wrapped("head", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        log.arm(1)
        issued = await desks.issue(admin)
        await desks.inforce.catch_up()  # what the watch does
        assert await desks.holds(issued.text)
        log.arm(1)
        receipt = await desks.keys.revoke(desks.asker(admin), issued.key.id)
        assert told((await desks.entries())[-1:]) == [("outcome", "key:revoke", "done")]
        assert receipt.seq == (await desks.entries())[-1]["seq"]
        assert not await desks.holds(issued.text)


async def test_a_revocation_whose_outcome_is_not_recorded_holds_here_at_once_and_everywhere_once_settled(
    tmp_path: Path,
) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        issued = await desks.issue(admin)
        log.arm(2)
        error = await failing(lambda: desks.keys.revoke(desks.asker(admin), issued.key.id))
        assert error.code is Code.OUTCOME_UNRECORDED
        assert not await desks.holds(issued.text)
        fence = (await desks.log.head()).fence
        (outcome,) = await settle(desks)
        assert outcome["upstream"] == {"result": "done", "by": "reconciler"}
        assert (await desks.log.head()).fence == desks.inforce.now.fence == fence + 1


@pytest.mark.parametrize(("after", "said"), [(False, "not-done"), (True, "done")])
async def test_a_revocation_whose_rows_may_not_stand_is_settled_by_the_rows(
    tmp_path: Path, after: bool, said: str
) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        issued = await desks.issue(admin)
        store.arm(1, after=after)
        error = await failing(lambda: desks.keys.revoke(desks.asker(admin), issued.key.id))
        assert error.code is Code.OUTCOME_UNRECORDED
        (outcome,) = await settle(desks)
        assert outcome["upstream"]["result"] == said
        assert await desks.holds(issued.text) is (said == "not-done")


async def test_a_killed_process_leaves_nothing_half_done_for_the_next(tmp_path: Path) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        log.arm(2)
        await failing(lambda: desks.issue(admin))
    async with open_desks(tmp_path / "home") as next_process:
        (outcome,) = await settle(next_process)
        assert outcome["upstream"]["by"] == "reconciler"


async def test_intents_of_others_are_left_to_others(desks: Desks) -> None:
    await desks.log.append(
        AuditEvent(
            kind=Kind.INTENT,
            request="req_1",
            principal={"application": "app:desk", "person": None, "roles": [], "proven": []},
            action="customer:update",
            resource={"upstream": "crm", "type": "customer"},
        )
    )
    (intent,) = await desks.log.open_intents()
    assert await desks.settlement.settle(intent) is False


async def test_a_defect_of_ours_is_an_answer_with_an_entry(tmp_path: Path) -> None:
    store = Wrapped("scan", RuntimeError("what nobody may read"))
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        store.arm(1)
        error = await failing(lambda: desks.keys.list(desks.asker(admin), lambda: Page(None, 10)))
        assert error.code is Code.INTERNAL
        last = (await desks.entries())[-1]
        assert (last["kind"], last["decision"]["reason"]) == ("denied", "internal")
        assert error.entry is not None
        assert error.entry.startswith(f"{last['seq']}:")


async def test_a_fence_that_keeps_moving_ends_in_a_refusal_with_an_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desks(tmp_path / "home") as desks:
        admin = await desks.admin()
        event = AuditEvent(Kind.CHANGE, "r", {"application": "app:admin"}, "x")
        await desks.log.append(event, raises_fence=True)

        async def never_new() -> None:
            return

        monkeypatch.setattr(desks.keys.desk.caches, "refresh", never_new)
        error = await failing(lambda: desks.keys.list(desks.asker(admin), lambda: Page(None, 10)))
        assert error.code is Code.FENCE_MOVING
        assert error.entry is not None
        assert (await desks.entries())[-1]["decision"]["reason"] == "fence-moving"


async def test_a_request_that_is_stale_and_cannot_be_decided_anew_is_refused_with_an_entry(
    tmp_path: Path,
) -> None:
    store = Wrapped("scan", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        event = AuditEvent(Kind.CHANGE, "r", {"application": "app:admin"}, "x")
        await desks.log.append(event, raises_fence=True)
        store.arm(1)
        error = await failing(lambda: desks.issue(admin))
        last = (await desks.entries())[-1]
        assert (error.code, last["kind"], last["action"]) == (Code.NOT_READY, "denied", "key:create")
        assert (last["principal"]["application"], last["decision"]["reason"]) == ("app:admin", "not-ready")
        assert error.entry is not None
        assert error.entry.startswith(f"{last['seq']}:")
