"""The service's story: who may, what the log says of it, and what holds where it breaks off."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.credentials import Page
from gateway.words.errors import Code, Denied, Refused, Unidentified
from gateway.words.principal import RoleHeld
from tests.credentials.desk_house import ADMIN, AGENT, NOW, Desks, call, open_desks


async def test_an_issued_key_holds_and_the_log_says_what_it_is_bound_to(desks: Desks) -> None:
    admin = await desks.admin()
    issued = await desks.issue(admin)
    who = await desks.identity.identify(call(issued.text))
    assert (who.application.id, who.application.roles, who.purposes) == ("app:desk", AGENT, {"service"})
    intent, outcome = await desks.entries()
    assert (intent["kind"], intent["action"], intent["resource"]) == (
        "intent",
        "key:create",
        {"upstream": "gatehouse", "type": "key"},
    )
    assert intent["decision"]["rule"] == "policies/policy.csv:7"
    assert intent["principal"]["application"] == "app:admin"
    (part,) = intent["parts"]
    assert part == {
        "verb": "create",
        "reference": issued.key.id,
        "subject": None,
        "bound": {
            "application": "app:desk",
            "roles": [{"role": "role:agent", "unit": "branch:shanghai"}],
            "purposes": ["service"],
            "created": "2026-11-21T09:00:00.000000Z",
            "expires": "2026-11-22T09:00:00.000000Z",
        },
    }
    assert (outcome["kind"], outcome["of"], outcome["upstream"]) == (
        "outcome",
        intent["seq"],
        {"result": "done"},
    )
    assert issued.receipt.seq == outcome["seq"]
    assert outcome["fence"] == intent["fence"] + 1
    assert await desks.log.open_intents() == []


async def test_the_secret_is_in_no_store_no_entry_and_no_repr(desks: Desks, tmp_path: Path) -> None:
    issued = await desks.issue(await desks.admin())
    secret = issued.text[30:73].encode()
    assert secret.decode() not in repr(issued)
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {"state.db", "audit.db"} <= {path.name for path in files}
    assert [path.name for path in files if secret in path.read_bytes()] == []


async def test_a_revoked_key_is_refused_when_the_answer_is_given_and_ever_after(desks: Desks) -> None:
    admin = await desks.admin()
    issued = await desks.issue(admin)
    fence = desks.inforce.now.fence
    receipt = await desks.keys.revoke(desks.asker(admin), issued.key.id)
    assert not await desks.holds(issued.text)
    assert desks.inforce.now.fence == receipt.fence == fence + 1
    again = await desks.keys.revoke(desks.asker(admin), issued.key.id)
    assert again.seq == receipt.seq + 2
    assert await desks.log.open_intents() == []


async def test_who_may_not_is_denied_with_an_entry_and_changes_nothing(desks: Desks) -> None:
    agent = await desks.admin(AGENT)
    admin = await desks.admin()
    issued = await desks.issue(admin)
    before = await desks.kinds()
    for act in (
        lambda: desks.issue(agent),
        lambda: desks.keys.revoke(desks.asker(agent), issued.key.id),
        lambda: desks.keys.revoke(desks.asker(agent), "key_" + "0" * 26),
        lambda: desks.keys.list(desks.asker(agent)),
    ):
        with pytest.raises(Denied) as caught:
            await act()
        assert caught.value.entry is not None
    assert await desks.kinds() == [*before, "denied", "denied", "denied", "denied"]
    assert await desks.holds(issued.text)
    last = (await desks.entries())[-1]
    assert (last["action"], last["decision"]["allowed"], last["decision"]["reason"]) == (
        "key:list",
        False,
        "no-rule",
    )


async def test_a_stranger_leaves_no_entry(desks: Desks) -> None:
    with pytest.raises(Unidentified) as caught:
        await desks.issue("gh_nothing")
    assert caught.value.entry is None
    assert await desks.entries() == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"application": "system:reconciler"}, "/application"),
        ({"application": "app:"}, "/application"),
        ({"application": "app:desk\n"}, "/application"),
        ({"roles": frozenset({RoleHeld("agent")})}, "/roles"),
        ({"roles": frozenset({RoleHeld("role:agent", "")})}, "/roles"),
        ({"roles": frozenset({RoleHeld("role:agent", "branch:shanghai, branch:beijing")})}, "/roles"),
        ({"roles": frozenset(RoleHeld(f"role:r{n}") for n in range(51))}, "/roles"),
        ({"purposes": frozenset({"Service"})}, "/purposes"),
        ({"purposes": frozenset({"*"})}, "/purposes"),
        ({"not_after": NOW}, "/expires"),
        ({"not_after": NOW + timedelta(days=366, microseconds=1)}, "/expires"),
    ],
)
async def test_a_key_that_cannot_be_is_refused_and_the_refusal_recorded(
    desks: Desks, change: dict[str, Any], field: str
) -> None:
    admin = await desks.admin()
    with pytest.raises(Refused) as caught:
        await desks.issue(admin, **change)
    said = {"expected": "in the future, at most 366 days from now"} if field == "/expires" else {}
    assert (caught.value.code, dict(caught.value.params)) == (Code.VALUE_REFUSED, {"field": field, **said})
    (entry,) = await desks.entries()
    assert (entry["kind"], entry["decision"]["reason"]) == ("denied", "value-refused")
    assert "branch:beijing" not in str(entry)


async def test_revoking_what_is_no_key_is_not_found_and_what_was_sent_is_not_repeated(desks: Desks) -> None:
    admin = await desks.admin()
    with pytest.raises(Refused) as caught:
        await desks.keys.revoke(desks.asker(admin), "li.wei@example.com")
    assert caught.value.code is Code.NOT_FOUND
    (entry,) = await desks.entries()
    assert (entry["kind"], entry["parts"]) == ("denied", [])
    assert "li.wei" not in str(entry)


async def test_a_list_shows_what_the_decision_shows_and_its_entry_says_which(desks: Desks) -> None:
    admin = await desks.admin()
    issued = [await desks.issue(admin) for _ in range(3)]
    desks.rules.hidden |= {"/roles", "/purposes"}
    one = await desks.keys.list(desks.asker(admin), lambda: Page(limit=2))
    two = await desks.keys.list(desks.asker(admin), lambda: Page(one.next, 2))
    shown = [*one.keys, *two.keys]
    assert two.next is None
    assert {key["id"] for key in shown} >= {i.key.id for i in issued}
    assert [key["id"] for key in shown] == sorted(str(key["id"]) for key in shown)
    assert set(shown[0]) == {"id", "application", "confirmed", "created", "expires", "proof", "revoked"}
    assert shown[0]["proof"] == "key"
    entry = (await desks.entries())[-1]
    assert entry["kind"] == "served"
    assert entry["parts"][0]["fields"] == {
        "clear": ["/application", "/confirmed", "/created", "/expires", "/id", "/proof", "/revoked"]
    }
    for limit in (0, 501, -1):
        with pytest.raises(Refused, match="parameter-malformed"):
            await desks.keys.list(desks.asker(admin), lambda limit=limit: Page(limit=limit))


async def test_a_purpose_is_the_one_named_or_the_only_one_and_must_be_held(desks: Desks) -> None:
    one = await desks.admin(purposes=frozenset({"service"}))
    await desks.keys.list(desks.asker(one))
    assert desks.rules.asked[-1].purpose == "service"
    with pytest.raises(Refused) as caught:
        await desks.keys.list(desks.asker(one, "audit"))
    assert caught.value.code is Code.PURPOSE_NOT_HELD
    assert (await desks.kinds())[-1] == "denied"
    assert (await desks.entries())[-1]["purpose"] is None


async def test_an_admin_whose_key_was_revoked_elsewhere_is_refused_by_a_process_that_has_not_heard(
    tmp_path: Path,
) -> None:
    async with open_desks(tmp_path / "home") as desks:
        admin = await desks.admin()
        other = await desks.admin(ADMIN | AGENT)
        issued = await desks.issue(admin)
        stale = desks.inforce.now
        # Another process revokes: the rows and the fence move, this process's caches do not hear of it.
        cached = desks.identity._keys._row
        key_id = next(key.id for key in cached.keys() if other[3:29] in key.id)  # noqa: SIM118 - no mapping
        await desks.keys.revoke(desks.asker(admin), key_id)
        desks.inforce._now = stale
        desks.identity._keys._row = cached
        assert await desks.holds(other)
        with pytest.raises(Unidentified):
            await desks.keys.revoke(desks.asker(other), issued.key.id)
        assert await desks.holds(issued.text)


async def test_who_may_not_see_ids_gets_no_page_of_them(desks: Desks) -> None:
    admin = await desks.admin()
    ids = [(await desks.issue(admin)).key.id for _ in range(2)]
    desks.rules.hidden |= {"/id"}
    whole = await desks.keys.list(desks.asker(admin), lambda: Page(limit=3))
    assert (len(whole.keys), whole.next) == (3, None)
    assert "id" not in whole.keys[0]
    for page in (Page(limit=2), Page(ids[0], 3)):
        with pytest.raises(Refused) as caught:
            await desks.keys.list(desks.asker(admin), lambda page=page: page)
        assert (caught.value.code, dict(caught.value.params)) == (
            Code.FIELD_NOT_SEARCHABLE,
            {"field": "/id"},
        )
        assert (await desks.entries())[-1]["decision"]["reason"] == "field-not-searchable"
