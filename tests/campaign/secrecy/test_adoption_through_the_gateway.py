"""A record that was there before the gateway, over HTTP: read by the rules and counted, then adopted by its first change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.app import settle
from gateway.words.access import ResourceRef
from gateway.words.errors import Unavailable
from gateway.words.record import Alarm
from tests.campaign.secrecy.client import Client, Said
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import Opened, entries, part_of, serving, settings, sql
from tests.campaign.secrecy.keys import SHANGHAI, Holder
from tests.campaign.secrecy.oldsystem import OldSystem, old_system

C7, T1 = "customers/c7", "threads/t1"
NAME, PHONE, NOTE = "欧阳测试", "13800009876", "rings at the back door"
STORED: dict[str, Any] = {
    "name": NAME,
    "phone": PHONE,
    "phones": ["13800001111", "13800002222"],
    "contacts": [{"id": "k1", "kind": "aunt", "text": NOTE}, {"id": "k2", "kind": "work", "text": "二楼"}],
    "unit": SHANGHAI,
}
BLIND = Holder("app:blind", ("service",), (("role:blind", SHANGHAI),))


@dataclass
class World:
    """An old system with one customer and a thread of his, and a gateway before it."""

    old: OldSystem
    opened: Opened
    client: Client
    home: Path

    async def ask(self, method: str, path: str, body: Any = None, key: str = "all") -> Said:
        return await self.client.ask(method, f"/old/{path}", self.opened.keys[key], body)

    def adopted(self) -> float:
        return self.opened.house.metrics.totals().get(("gatehouse.adopted", ()), 0)

    def bindings(self) -> list[tuple[str, str, str]]:
        return sql(self.home / "state.sqlite", "SELECT resource, state, subject FROM binding")  # type: ignore[return-value]  # three columns

    def subjects(self) -> int:
        return len(sql(self.home / "state.sqlite", "SELECT id FROM subject"))

    def kinds(self, action: str) -> list[tuple[str, str | None]]:
        """Gives the entries of an action: kind, and what became of it."""
        found = [e for e in entries(self.home) if e["action"] == action]
        return [(e["kind"], (e["upstream"] or {}).get("result")) for e in found]


@asynccontextmanager
async def world(tmp_path: Path, days: int = 9, *, versioned: bool = True) -> AsyncIterator[World]:
    async with old_system() as old:
        old.versioned = versioned
        old.put(C7, **STORED)
        old.put(T1, customer="c7", title="lost card", unit=SHANGHAI)
        rules = [
            *everything(
                "role:manager", "old/customer", "service", "public", "internal", "identity", "contact"
            ),
            *everything("role:manager", "old/thread", "service", "public", "internal", "free_text"),
            *everything("role:blind", "old/customer", "service", "public", "internal"),
        ]
        policies = folder(
            tmp_path / "policies",
            catalogues={"old": old.catalogue(datetime.now(UTC).date() + timedelta(days=days))},
            rules=rules,
            roles=("role:blind",),
        )
        chosen = settings(
            tmp_path / "home",
            policies=policies,
            upstream_hosts=old.host,
            settle_seconds="600",
        )
        async with serving(chosen, holders={"blind": BLIND}) as opened, opened.client() as client:
            yield World(old, opened, client, tmp_path / "home")


def in_clear(document: Any) -> bool:
    """True when something of the customer's lies there as it was."""
    text = json.dumps(document, ensure_ascii=False)
    return any(value in text for value in (NAME, PHONE, "13800001111", "13800002222", NOTE, "二楼"))


def is_sealed(document: dict[str, Any]) -> bool:
    texts = [
        document["name"],
        document["phone"],
        document["phones"],
        *(c["text"] for c in document["contacts"]),
    ]
    return all(isinstance(text, str) and text.startswith("gh1:") for text in texts)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_the_first_change_takes_the_whole_record_under_seal(tmp_path: Path, method: str) -> None:
    async with world(tmp_path) as w:
        seen = await w.ask("GET", C7)
        assert (seen.status, seen.json) == (200, {"id": "c7", **STORED})
        counted = w.adopted()
        assert counted == 5
        wanted = {**STORED, "phone": "13900000000"}
        answer = await w.ask(method, C7, wanted if method == "PUT" else {"phone": "13900000000"})
        assert (answer.status, answer.json) == (200, {"id": "c7", **wanted})
        there = w.old.documents[C7]
        assert is_sealed(there)
        assert not in_clear(there)
        assert [c["kind"] for c in there["contacts"]] == ["aunt", "work"]
        assert w.old.changes == [(method, C7)]
        assert (await w.ask("GET", C7)).json == {"id": "c7", **wanted}
        assert w.adopted() == counted  # nothing is left in clear
        assert [(r, s) for r, s, _ in w.bindings()] == [("customer", "bound")]
        assert w.kinds("customer:update") == [("intent", None), ("outcome", "done")]
        (intent,) = [e for e in entries(w.home) if e["kind"] == "intent" and e["action"] == "customer:update"]
        (part,) = intent["parts"]
        assert part["seal"].startswith("seal_")
        assert part["subject"].startswith("psd_")
        assert len(part["sealed"]) == 5
        assert not in_clear(entries(w.home))
        again = await w.ask("PATCH", C7, {"name": "张三"})
        assert again.status == 200
        assert len(w.bindings()) == w.subjects() == 1


async def test_who_sees_nothing_of_the_sealed_fields_cannot_tell_whether_there_are_any(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w:
        w.old.put("customers/c8", level="2", unit=SHANGHAI)  # nothing of it is to be sealed
        w.old.put(C7, **{**STORED, "level": "2", "contacts": []})
        w.old.versions |= {C7: 5, "customers/c8": 5}
        for sent in (
            {"level": "2"},
            {"name": NAME},
            {"name": None},
            {"phones": []},
            {"level": "3"},
            {"level": "3"},
        ):
            said = [await w.ask("PATCH", path, sent, key="blind") for path in (C7, "customers/c8")]
            one, other = (
                (s.status, s.code, s.headers.get("etag"), "" if s.code else s.body.replace(b"c7", b"c8"))
                for s in said
            )
            if not said[0].code:
                one, other = ((*x[:3], json.loads(x[3]) | {"contacts": []}) for x in (one, other))
            assert one == other, sent
        assert [w.old.changes.count(("PATCH", path)) for path in (C7, "customers/c8")] == [1, 1]
        assert not in_clear({**w.old.documents[C7], "contacts": []})


async def test_a_change_that_changes_nothing_or_is_refused_adopts_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        same = await w.ask("PATCH", C7, {"unit": SHANGHAI, "phone": PHONE})
        assert same.status == 200
        for body, status, key in (
            ({"name": "张三"}, 403, "blind"),
            ({"unit": "branch:guangzhou"}, 403, "all"),  # out of his own reach
            ({"phone": "138****9876"}, 422, "all"),
            ({"name": "gh1:AAAA"}, 422, "all"),
        ):
            assert (await w.ask("PATCH", C7, body, key=key)).status == status, body
        assert (w.old.changes, w.bindings(), w.subjects()) == ([], [], 0)


async def test_a_blind_change_seals_what_he_cannot_see(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        answer = await w.ask(
            "PATCH",
            C7,
            {"contacts": [{"id": "k1", "kind": "uncle"}, {"id": "k2", "kind": "work"}]},
            key="blind",
        )
        assert answer.status == 200
        assert not in_clear(answer.json)
        assert "gh1:" not in str(answer.json)
        assert is_sealed(w.old.documents[C7])
        assert w.old.documents[C7]["contacts"][0]["kind"] == "uncle"
        seen = (await w.ask("GET", C7)).json
        assert seen["contacts"][0] == {"id": "k1", "kind": "uncle", "text": NOTE}
        assert seen["phones"] == STORED["phones"]


async def test_after_the_day_nothing_is_adopted(tmp_path: Path) -> None:
    async with world(tmp_path, days=-1) as w:
        assert "name" not in (await w.ask("GET", C7)).json
        for method, body in (("PUT", {**STORED, "phone": "1"}), ("PATCH", {"phone": "1"})):
            refused = await w.ask(method, C7, body)
            assert (refused.status, refused.code) == (409, "record-withheld")
        assert (w.old.changes, w.bindings(), w.adopted()) == ([], [], 0)


async def test_a_thread_is_adopted_after_its_customer_and_under_him(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        refused = await w.ask("PATCH", T1, {"title": "found card"})
        assert (refused.status, refused.code) == (409, "subject-unbound")
        assert (w.old.changes, w.bindings()) == ([], [])
        assert (await w.ask("PATCH", C7, {"name": "张三"})).status == 200
        assert (await w.ask("PATCH", T1, {"level": "2"})).status == 200
        assert w.old.documents[T1]["title"].startswith("gh1:")
        assert (await w.ask("GET", T1)).json["title"] == "lost card"
        subjects = {subject for _, _, subject in w.bindings()}
        assert (len(w.bindings()), len(subjects)) == (2, 1)
        moved = await w.ask("PATCH", T1, {"customer": "c9"})
        assert moved.code == "subject-changed"


async def test_of_two_first_changes_one_is_refused_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w, w.opened.client() as other:
        bind, both = w.opened.house.fields.bind, asyncio.Barrier(2)

        async def together(*given: Any) -> Alarm | None:
            await both.wait()
            return await bind(*given)

        monkeypatch.setattr(w.opened.house.fields, "bind", together)
        said = await asyncio.gather(
            w.ask("PATCH", C7, {"name": "张三"}),
            other.ask("PATCH", f"/old/{C7}", w.opened.keys["all"], {"phone": "13711112222"}),
        )
        assert sorted(s.status for s in said) == [200, 412]
        assert w.old.changes == [("PATCH", C7)]
        (won,) = [s for s in said if s.status == 200]
        assert (await w.ask("GET", C7)).json == won.json
        assert [(r, s) for r, s, _ in w.bindings()] == [("customer", "bound")]
        assert w.subjects() == 1
        assert sorted(w.kinds("customer:update"), key=str) == [
            ("intent", None),
            ("intent", None),
            ("outcome", "done"),
            ("outcome", "not-sent"),
        ]
        assert w.opened.alarms() == []


async def test_without_versions_two_first_changes_take_turns_and_one_adopts(tmp_path: Path) -> None:
    async with world(tmp_path, versioned=False) as w, w.opened.client() as other:
        said = await asyncio.gather(
            w.ask("PATCH", C7, {"name": "张三"}),
            other.ask("PATCH", f"/old/{C7}", w.opened.keys["all"], {"phone": "13711112222"}),
        )
        assert [s.status for s in said] == [200, 200]
        assert is_sealed(w.old.documents[C7])
        expected = {"id": "c7", **STORED, "name": "张三", "phone": "13711112222"}
        assert (await w.ask("GET", C7)).json == expected
        mine = [e for e in entries(w.home) if (e["kind"], e["action"]) == ("intent", "customer:update")]
        assert sorted(e["parts"][0]["seal"] is None for e in mine) == [False, True]
        assert len(w.bindings()) == w.subjects() == 1


@pytest.mark.parametrize(("status", "code"), [(412, "changed-meanwhile"), (422, "value-refused")])
async def test_what_the_upstream_refuses_is_sealed_by_the_next_change(
    tmp_path: Path, status: int, code: str
) -> None:
    async with world(tmp_path) as w:
        w.old.says = lambda: status
        refused = await w.ask("PATCH", C7, {"name": "张三"})
        assert refused.code == code
        assert (await w.ask("GET", C7)).json == {"id": "c7", **STORED}
        w.old.says = lambda: 200
        assert (await w.ask("PATCH", C7, {"level": "3"})).status == 200
        assert is_sealed(w.old.documents[C7])
        assert (await w.ask("GET", C7)).json == {"id": "c7", **STORED, "level": "3"}
        assert len(w.bindings()) == w.subjects() == 1


async def test_what_nobody_answered_opens_all_the_same_and_is_settled(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.old.says = lambda: None
        silent = await w.ask("PATCH", C7, {"name": "张三"})
        assert silent.status == 504
        w.old.says = lambda: 200
        assert (await w.ask("GET", C7)).json == {"id": "c7", **STORED, "name": "张三"}
        await settle(w.opened.house, timedelta(0))
        assert w.kinds("customer:update") == [("intent", None), ("outcome", "done")]
        assert (await w.ask("PATCH", C7, {"name": "李四"})).status == 200


async def test_what_was_only_accepted_opens_whenever_it_is_done(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.old.says = lambda: 202
        assert (await w.ask("PATCH", C7, {"name": "张三"})).status == 202
        assert (await w.ask("GET", C7)).json == {"id": "c7", **STORED}
        w.old.put(C7, **{**STORED, **w.old.bodies[-1]})
        assert (await w.ask("GET", C7)).json == {"id": "c7", **STORED, "name": "张三"}


async def test_a_binding_that_cannot_be_stored_sends_nothing_and_is_settled_as_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:

        async def down(*_: Any) -> None:
            raise Unavailable

        with monkeypatch.context() as patched:
            patched.setattr(w.opened.house.fields, "bind_pending", down)
            answer = await w.ask("PATCH", C7, {"name": "张三"})
            assert (answer.status, answer.code) == (503, "outcome-unrecorded")
        assert [s for _, s, _ in w.bindings()] == ["pending"]
        await settle(w.opened.house, timedelta(0))
        assert w.kinds("customer:update") == [("intent", None), ("outcome", "not-done")]
        assert (w.old.changes, w.bindings(), w.subjects()) == ([], [], 0)
        assert (await w.ask("PATCH", C7, {"name": "张三"})).status == 200
        assert is_sealed(w.old.documents[C7])


async def test_one_that_the_reconciler_gave_up_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as w:
        fields = w.opened.house.fields
        bind = fields.bind_pending

        async def slow(seal: str, ref: ResourceRef) -> Alarm | None:
            await fields.drop_pending(seal)  # as another replica's reconciler would, after its patience
            return await bind(seal, ref)

        with monkeypatch.context() as patched:
            patched.setattr(fields, "bind_pending", slow)
            refused = await w.ask("PATCH", C7, {"name": "张三"})
            assert (refused.status, refused.code) == (412, "changed-meanwhile")
        assert (w.old.changes, w.bindings(), w.subjects(), w.opened.alarms()) == ([], [], 0, [])
        assert (await w.ask("PATCH", C7, {"name": "张三"})).status == 200


async def test_a_ciphertext_that_was_moved_here_is_not_adopted(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert (await w.ask("PATCH", C7, {"name": "张三"})).status == 200
        w.old.put("customers/c8", **{**STORED, "phone": w.old.documents[C7]["phone"]})
        w.old.put("customers/c9", **w.old.documents[C7])
        for path in ("customers/c8", "customers/c9"):
            refused = await w.ask("PATCH", path, {"level": "4"})
            assert (refused.status, refused.code) == (409, "record-withheld")
            assert PHONE not in str((await w.ask("GET", path)).json)
        assert len(w.bindings()) == 1
        assert part_of(w.home, (await w.ask("GET", C7)).headers["audit-ref"])["subject"].startswith("psd_")
