"""What holds on every path through the corridor and not on the shown one alone: the fence, the turn, the alarms, a log that is busy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from audit import AuditEvent, Kind, LogBusy, LogUnavailable
from gateway.observe.tracing import Attribute, Span, Traced, here
from gateway.observe.tracing import Kind as SpanKind
from gateway.rooms import Answer
from gateway.words.decision import NOTHING_SHOWN, Decision
from gateway.words.errors import (
    BadAnswer,
    Code,
    GatehouseError,
    NoAnswer,
    NotSent,
    Refused,
    Unavailable,
    Unidentified,
)
from gateway.words.record import Alarm, AlarmKind, View
from gateway.words.resource import FieldClass, FieldSpec, Verb, Versioning
from tests.gate.house import FIELDS, RESOURCE, ByHand, House, call

RINGS = Alarm(AlarmKind.FIELD_UNKNOWN, "shelf", "thing")


def unversioned(house: House) -> None:
    """From here on the upstream keeps no versions."""
    rule = house.keys.rule
    house.keys.rule = lambda fence: replace(
        rule(fence), addresser=ByHand(replace(RESOURCE, versioning=Versioning.NONE))
    )


# ── the fence ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("asked", "at", "unseen"),
    [
        (call(Verb.READ, "a"), "fetch", ""),
        (call(Verb.LIST), "page", ""),
        (call(Verb.UPDATE, "a", body={"name": "one"}), "before", ""),
        (call(Verb.UPDATE, "a", body={"name": "one"}), "before", "thing:read"),
        (call(Verb.UPDATE, "a", body={"name": "two"}), "before", ""),
        (call(Verb.DELETE, "a"), "before", ""),
    ],
    ids=["read", "list", "unchanged", "unchanged-unread", "update", "delete"],
)
async def test_whoever_is_revoked_while_the_upstream_answers_is_told_nothing_by_any_path(
    house: House, monkeypatch: pytest.MonkeyPatch, asked: Any, at: str, unseen: str
) -> None:
    house.shelf.put("a", name="one", owner="me")
    house.policy.unseen.update({unseen} - {""})
    answers = getattr(house.shelf, at)

    async def meanwhile(*given: Any) -> Any:
        if "good" in house.keys.good:
            house.keys.good.clear()
            await house.log.append(AuditEvent(Kind.NOTE, "req_x", {}, "key:revoke"), raises_fence=True)
        return await answers(*given)

    monkeypatch.setattr(house.shelf, at, meanwhile)
    with pytest.raises(Unidentified):
        await house.gate.answer(asked)
    assert await house.kinds() == ["note"]
    assert house.shelf.forwarded == []


# ── the status ──


@pytest.mark.parametrize("odd", [205, 226, 299])
async def test_a_success_that_nobody_knows_is_told_as_one_that_everybody_knows(
    house: House, monkeypatch: pytest.MonkeyPatch, odd: int
) -> None:
    """205 would have to be without content, and 226 and 299 say what only its upstream knows."""
    house.shelf.put("a", name="one", owner="me")
    for name in ("fetch", "page", "change"):
        usual = getattr(house.shelf, name)

        async def oddly(*given: Any, usual: Any = usual) -> Any:
            return replace(await usual(*given), status=odd)

        monkeypatch.setattr(house.shelf, name, oddly)
    for asked in (
        call(Verb.READ, "a"),
        call(Verb.LIST),
        call(Verb.CREATE, body={"name": "two"}),
        call(Verb.UPDATE, "a", body={"name": "three"}),
    ):
        said = await house.gate.answer(asked)
        assert said.status == 200
        assert orjson.loads(said.body)


# ── the turn ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def counted(house: House, monkeypatch: pytest.MonkeyPatch, *calls: Any) -> tuple[int, list[Any]]:
    """How many changes were with the upstream at once, and what came of each."""
    inside: list[int] = []
    change = house.shelf.change

    async def slow(*given: Any) -> Answer:
        inside.append(inside[-1] + 1 if inside else 1)
        await asyncio.sleep(0.03)
        inside.append(inside[-1] - 1)
        return await change(*given)

    monkeypatch.setattr(house.shelf, "change", slow)
    came = await asyncio.gather(*(house.gate.answer(one) for one in calls), return_exceptions=True)
    return max(inside), came


async def test_changes_of_a_record_without_versions_follow_each_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    unversioned(house)
    updates = [call(Verb.UPDATE, "a", body={"name": name}) for name in ("two", "three", "four")]
    most, came = await counted(house, monkeypatch, *updates)
    assert (most, [reply.status for reply in came]) == (1, [200, 200, 200])


async def test_deletions_of_a_record_without_versions_follow_each_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    unversioned(house)
    most, came = await counted(house, monkeypatch, call(Verb.DELETE, "a"), call(Verb.DELETE, "a"))
    gone = [one.code for one in came if isinstance(one, GatehouseError)]
    assert (most, gone) == (1, [Code.NOT_FOUND])


async def test_where_the_upstream_keeps_versions_it_decides_and_nobody_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    updates = [call(Verb.UPDATE, "a", body={"name": name}) for name in ("two", "three")]
    most, came = await counted(house, monkeypatch, *updates)
    late = [one.code for one in came if isinstance(one, GatehouseError)]
    assert (most, late) == (2, [Code.CHANGED_MEANWHILE])


async def test_a_turn_is_taken_by_a_name_that_says_nothing_of_the_record(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    unversioned(house)
    named: list[bool] = []

    def reference(_: Any, ref: Any, public: bool) -> str:
        named.append(public)
        return ref.record or "-"

    monkeypatch.setattr(type(house.gate.evidence), "reference", reference)
    await house.gate.answer(call(Verb.DELETE, "a"))
    assert (
        named[0] is False
    )  # though the catalogue says that this one's ids are public: a lock outlives no request, its name does


# ── the alarms ───────────────────────────────────────────────────────────────────────────────────────────────────────

EVERY = {
    "read": call(Verb.READ, "a"),
    "list": call(Verb.LIST),
    "unchanged": call(Verb.UPDATE, "a", body={"name": "one"}),
    "update": call(Verb.UPDATE, "a", body={"name": "two"}),
    "create": call(Verb.CREATE, body={"name": "new"}),
    "delete": call(Verb.DELETE, "a"),
}


@pytest.mark.parametrize(
    ("what", "times"),
    [("read", 1), ("list", 1), ("unchanged", 1), ("update", 2), ("create", 1), ("delete", 2)],
)
async def test_what_an_upstreams_answer_gives_alarm_of_is_rung(house: House, what: str, times: int) -> None:
    house.shelf.put("a", name="one")
    house.shelf.alarms = (RINGS,)
    await house.gate.answer(EVERY[what])
    assert house.bell.rung == [RINGS] * times


@pytest.mark.parametrize("what", ["read", "list", "unchanged", "update", "create"])
async def test_what_a_view_gives_alarm_of_is_rung(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    house.shelf.put("a", name="one")
    views = house.lens.views

    async def alarmed(*given: Any) -> list[View]:
        made = await views(*given)
        for view in made:
            view.alarms = (RINGS,)
        return list(made)

    monkeypatch.setattr(house.lens, "views", alarmed)
    await house.gate.answer(EVERY[what])
    assert house.bell.rung == [RINGS]


# ── a log that is busy, or gone ──────────────────────────────────────────────────────────────────────────────────────


def failing_at(house: House, monkeypatch: pytest.MonkeyPatch, kind: Kind, error: Exception) -> None:
    append = house.log.append

    async def refuse(event: AuditEvent, **given: Any) -> Any:
        if event.kind is kind:
            raise error
        return await append(event, **given)

    monkeypatch.setattr(house.log, "append", refuse)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        (Kind.SERVED, EVERY["read"]),
        (Kind.SERVED, EVERY["list"]),
        (Kind.SERVED, EVERY["unchanged"]),
        (Kind.INTENT, EVERY["update"]),
        (Kind.INTENT, EVERY["create"]),
        (Kind.DENIED, call(Verb.READ, "absent")),
    ],
    ids=["read", "list", "unchanged", "update", "create", "refusal"],
)
async def test_a_busy_log_says_when_to_come_again_and_nothing_else(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: Kind, asked: Any
) -> None:
    house.shelf.put("a", name="one")
    failing_at(house, monkeypatch, kind, LogBusy(7))
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(asked)
    assert (refusal.value.code, dict(refusal.value.params)) == (
        Code.LOG_BUSY,
        {"retry_after_seconds": 7},
    )
    assert refusal.value.entry is None
    assert house.shelf.forwarded == []
    assert house.lens.pending == set()


@pytest.mark.parametrize("error", [LogBusy(7), LogUnavailable("gone")], ids=["busy", "gone"])
@pytest.mark.parametrize("sent", [True, False], ids=["done", "not-sent"])
@pytest.mark.parametrize("what", ["create", "update", "delete"])
async def test_a_change_whose_outcome_finds_no_log_names_its_intent_whatever_became_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str, sent: bool, error: Exception
) -> None:
    house.shelf.put("a", name="one")
    if not sent:
        house.shelf.answers = 409
    failing_at(house, monkeypatch, Kind.OUTCOME, error)
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(EVERY[what])
    (intent,) = await house.log.open_intents()
    assert refusal.value.code is Code.OUTCOME_UNRECORDED
    assert dict(refusal.value.params) == {"intent": f"{intent.seq}:{intent.entry.hash}"}
    assert refusal.value.entry == f"{intent.seq}:{intent.entry.hash}"


async def test_a_refusal_that_finds_no_log_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_at(house, monkeypatch, Kind.DENIED, LogUnavailable("gone"))
    with pytest.raises(Unavailable) as refusal:
        await house.gate.answer(call(Verb.READ, "absent"))
    assert refusal.value.code is Code.LOG_UNAVAILABLE


# ── what a change is sealed by ───────────────────────────────────────────────────────────────────────────────────────


def sealed_by(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Decision]:
    """Every decision that a change was sealed by."""
    seen: list[Decision] = []
    seal: Callable[..., Any] = house.lens.seal_update

    async def noting(what: Any, draft: Any, before: Any, decision: Decision, principal: Any) -> Any:
        seen.append(decision)
        return await seal(what, draft, before, decision, principal)

    monkeypatch.setattr(house.lens, "seal_update", noting)
    return seen


async def test_who_may_not_read_the_record_changes_it_as_somebody_who_sees_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one", owner="me")
    house.policy.unseen.add("thing:read")
    seen = sealed_by(house, monkeypatch)
    await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert [(one.read, one.write) for one in seen] == [(NOTHING_SHOWN, frozenset(FIELDS))]


async def test_who_reads_the_record_sets_no_plain_field_that_he_does_not_see_clear(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one", owner="me")
    fields = (FieldSpec("/name", FieldClass.INTERNAL), FieldSpec("/owner", FieldClass.IDENTITY, True, "profile"),
              FieldSpec("/secret", FieldClass.INTERNAL))  # fmt: skip
    rule = house.keys.rule
    house.keys.rule = lambda fence: replace(rule(fence), addresser=ByHand(replace(RESOURCE, fields=fields)))
    house.policy.open_fields = frozenset({"/name"})
    seen = sealed_by(house, monkeypatch)
    await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "two"}))
    assert [one.write for one in seen] == [frozenset({"/name", "/owner"})]


async def test_a_change_that_its_lens_refuses_leaves_its_refusal_and_nothing_else(house: House) -> None:
    house.shelf.put("a", name="one")
    with pytest.raises(Refused) as refusal:
        await house.gate.answer(call(Verb.UPDATE, "a", body={"name": "*"}))
    assert refusal.value.code is Code.MASK_SUBMITTED
    assert await house.kinds() == ["denied"]
    assert house.shelf.forwarded == []


async def test_the_entry_of_a_read_below_a_hidden_record_says_that_the_policy_hid_it(house: House) -> None:
    house.shelf.put("a", name="below")
    house.shelf.put("hidden", name="one", secret=True)
    for above, by in (("hidden", "bundle"), ("absent", "gate")):
        with pytest.raises(Refused):
            await house.gate.answer(call(Verb.READ, "a", below=above))
        assert (await house.last())["decision"]["by"] == by


# ── what is told of it meanwhile ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_trace_is_told_what_its_request_is_about_in_the_catalogues_words(house: House) -> None:
    house.shelf.put("a", name="one")
    root = Span("unnamed", SpanKind.SERVER, "0" * 32, "1" * 16, None, 0)
    token = here.set(Traced("0" * 32, "1" * 16, "req_test", root, bytes))
    try:
        await house.gate.answer(EVERY["read"])
    finally:
        here.reset(token)
    assert root.name == "thing:read"
    assert root.attributes == {Attribute.UPSTREAM: "shelf", Attribute.RESOURCE: "thing"}


# ── what an upstream's answer means ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "done"), [(199, False), (200, True), (299, True), (300, False)])
async def test_a_change_is_done_where_the_upstream_says_so_and_nowhere_beside(
    house: House, monkeypatch: pytest.MonkeyPatch, status: int, done: bool
) -> None:
    house.shelf.put("a", name="one")
    change = house.shelf.change

    async def answering(*given: Any) -> Answer:
        return replace(await change(*given), status=status)

    monkeypatch.setattr(house.shelf, "change", answering)
    came = (await asyncio.gather(house.gate.answer(EVERY["update"]), return_exceptions=True))[0]
    assert isinstance(came, GatehouseError) is not done
    assert await house.kinds() == ["intent", "outcome"] if done else ["intent"]
    assert len(await house.log.open_intents()) == (not done)


@pytest.mark.parametrize("subject", [True, False])
async def test_a_create_that_minted_no_seal_binds_none(
    house: House, monkeypatch: pytest.MonkeyPatch, subject: bool
) -> None:
    if not subject:
        rule = house.keys.rule
        house.keys.rule = lambda fence: replace(
            rule(fence), addresser=ByHand(replace(RESOURCE, subject=None))
        )
    seal = house.lens.seal_create

    async def unminted(*given: Any) -> Any:
        made = await seal(*given)
        house.lens.pending.clear()
        return replace(made, pending=None) if subject else made

    monkeypatch.setattr(house.lens, "seal_create", unminted)
    assert (await house.gate.answer(EVERY["create"])).status == 201
    assert house.lens.bound == {}


@pytest.mark.parametrize("verb", [Verb.UPDATE, Verb.DELETE])
async def test_a_record_that_lacks_its_promised_version_is_not_changed(
    house: House, monkeypatch: pytest.MonkeyPatch, verb: Verb
) -> None:
    house.shelf.put("a", name="one")
    record = house.shelf.record
    monkeypatch.setattr(house.shelf, "record", lambda name: (r := record(name)) and replace(r, version=None))
    with pytest.raises(BadAnswer) as refusal:
        await house.gate.answer(call(verb, "a", body={"name": "two"}))
    assert refusal.value.status == 200
    assert house.shelf.forwarded == []
    assert await house.kinds() == ["denied"]


async def test_a_change_that_cannot_be_compared_again_was_not_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.shelf.put("a", name="one")
    unversioned(house)
    before = house.shelf.before
    asked = 0

    async def once(*given: Any) -> Answer:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise NoAnswer
        return await before(*given)

    monkeypatch.setattr(house.shelf, "before", once)
    with pytest.raises(NotSent) as refusal:
        await house.gate.answer(EVERY["update"])
    assert isinstance(refusal.value.__cause__, NoAnswer)
    assert (await house.last())["upstream"] == {"result": "not-sent"}
    assert await house.log.open_intents() == []
    assert house.shelf.forwarded == []
