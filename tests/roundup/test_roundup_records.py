"""Roundup's customers, issues and messages through the gateway: read, listed, made, changed, retired."""

from __future__ import annotations

import pytest

from tests.roundup.world import BEIJING, SEALED, World

ENVELOPE = "gh1:"


def test_one_customer_is_shown_in_three_views(world: World) -> None:
    customer = world.customer()
    sent = customer.sent
    agent, supervisor, auditor = (
        world.ask(r, "GET", customer.path) for r in ("agent", "supervisor", "auditor")
    )
    assert (agent.status, supervisor.status, auditor.status) == (200, 200, 200)
    assert supervisor.fields == sent
    assert agent.fields == {
        **sent,
        "phone": sent["phone"][:3] + "****" + sent["phone"][-4:],
        "email": "u***@post.example",
    }
    assert auditor.fields["realname"].startswith("王*")
    assert sent["realname"] not in auditor.text
    for name in ("phone", "email"):
        assert auditor.fields[name].startswith("tok_")
    assert all(world.stored("user", customer.id)[name].startswith(ENVELOPE) for name in SEALED)


def test_a_customer_of_another_branch_is_not_there(world: World) -> None:
    customer = world.customer(BEIJING)
    assert world.ask("agent-beijing", "GET", customer.path).status == 200
    for method in ("GET", "DELETE"):
        said = world.ask("supervisor", method, customer.path)
        assert (said.status, said.code) == (404, "not-found")
    assert world.ask("supervisor", "PATCH", customer.path, {"phone": "13800138000"}).status == 404


def test_a_change_needs_the_record_as_it_is(world: World) -> None:
    customer = world.customer()
    first = world.ask("supervisor", "GET", customer.path)
    phone = world.plant("13900139000")
    changed = world.ask(
        "supervisor", "PATCH", customer.path, {"phone": phone}, if_match=first.headers["etag"]
    )
    assert changed.status == 204
    now = world.ask("supervisor", "GET", customer.path)
    assert now.fields == {**customer.sent, "phone": phone}
    assert now.headers["etag"] != first.headers["etag"]
    with world.wire.listening() as heard:
        stale = world.ask(
            "supervisor", "PATCH", customer.path, {"phone": "1"}, if_match=first.headers["etag"]
        )
    assert (stale.status, stale.code) == (412, "changed-meanwhile")
    assert not any(value in stale.text for value in (phone, customer.sent["realname"]))
    assert [passed.method for passed in heard if passed.method != "GET"] == []
    assert world.ask("supervisor", "GET", customer.path).fields["phone"] == phone


def test_a_change_between_our_read_and_our_write_is_refused_by_roundup(world: World) -> None:
    """The gateway's own condition, not the caller's: it sends what it read, and Roundup compares."""
    customer = world.customer()
    with world.wire.listening() as heard:
        assert world.ask("supervisor", "PATCH", customer.path, {"phone": world.plant("1")}).status == 204
    etags = [passed.headers.get("if-match") for passed in heard if passed.method == "PATCH"]
    assert len(etags) == 1
    stale = world.directly("PATCH", f"/rest/data/user/{customer.id}", {"phone": "x"}, if_match=etags[0])
    assert stale.status == 412


def test_a_member_that_goes_is_gone_in_the_tracker_too(world: World) -> None:
    """Roundup passes over null and answers 200; what was to be removed would have stayed, with an entry that says otherwise."""
    customer = world.customer()
    assert world.ask("supervisor", "PATCH", customer.path, {"phone": None}).status == 204
    assert world.stored("user", customer.id)["phone"] is None
    assert world.ask("supervisor", "GET", customer.path).fields["phone"] is None
    assert world.ask("supervisor", "GET", customer.path).fields["email"] == customer.sent["email"]


def test_a_retired_customer_is_no_longer_there(world: World) -> None:
    """Roundup goes on answering with what was retired, under the same version."""
    customer = world.customer()
    etag = world.ask("supervisor", "GET", customer.path).headers["etag"]
    assert world.ask("agent", "DELETE", customer.path).status == 403
    assert world.ask("supervisor", "DELETE", customer.path, if_match='"stale"').status == 412
    assert world.ask("supervisor", "DELETE", customer.path, if_match=etag).status == 204
    directly = world.directly("GET", f"/rest/data/user/{customer.id}")
    assert (directly.status, directly.headers["etag"]) == (200, etag)
    for method, body in (("GET", None), ("PATCH", {"phone": "1"}), ("DELETE", None)):
        assert world.ask("supervisor", method, customer.path, body).status == 404
    name = customer.sent["username"]
    assert world.ask("supervisor", "GET", f"/tracker/user?username:={name}").items == []


def test_a_message_is_posted_and_joined_to_its_issue(world: World) -> None:
    customer = world.customer()
    text = world.plant("您好，新卡将寄到愚园路")
    issue = world.issue(customer, assignedto="4")
    mailed = len(world.tracker.mail.read_bytes()) if world.tracker.mail.exists() else 0
    body = {"content": text, "customer": customer.id, "unit": "branch:shanghai"}
    message = world.create("agent", "/tracker/msg", body)
    assert world.ask("agent", "GET", f"/tracker/msg/{message}").fields["content"] == text
    assert world.ask("auditor", "GET", f"/tracker/msg/{message}").fields["content"] == "***"
    assert world.ask("agent-beijing", "GET", f"/tracker/msg/{message}").status == 404
    joined = world.ask("agent", "PATCH", f"/tracker/issue/{issue}", {"messages": [message]})
    assert joined.status == 204
    assert world.ask("agent", "GET", f"/tracker/issue/{issue}").fields["messages"] == [message]
    mail = world.tracker.mail.read_bytes()[mailed:].decode()
    assert "li.wei@tracker.example" in mail  # a colleague hears of it …
    assert ENVELOPE in mail  # … and gets nothing that he could read


@pytest.mark.parametrize("role", ["agent", "supervisor"])
def test_reading_and_writing_back_changes_nothing(world: World, role: str) -> None:
    customer = world.customer()
    message = world.message(customer)
    issue = world.issue(customer, messages=[message])
    paths = [f"/tracker/issue/{issue}", *([customer.path] if role == "supervisor" else [])]
    for path in paths:
        read = world.ask(role, "GET", path)
        with world.wire.listening() as heard:
            back = world.ask(role, "PATCH", path, read.fields, if_match=read.headers["etag"])
        assert (back.status, back.fields) == (200, read.fields)
        assert {passed.method for passed in heard} == {"GET"}
        assert world.ask(role, "GET", path).headers["etag"] == read.headers["etag"]


def test_whoever_may_not_write_changes_nothing_by_writing_back(world: World) -> None:
    customer = world.customer()
    issue = world.issue(customer)
    for role, path in (
        ("agent", customer.path),
        ("auditor", customer.path),
        ("auditor", f"/tracker/issue/{issue}"),
    ):
        read = world.ask(role, "GET", path)
        with world.wire.listening() as heard:
            assert world.ask(role, "PATCH", path, read.fields).status == 403
        assert {passed.method for passed in heard} <= {"GET"}


def test_a_mask_is_not_written_over_what_it_hides(world: World) -> None:
    customer = world.customer()
    issue = world.issue(customer)
    shown = world.ask("agent", "GET", customer.path).fields["phone"]
    said = world.ask("supervisor", "PATCH", customer.path, {"phone": shown})
    assert (said.status, said.code) == (422, "mask-submitted")
    envelope = world.stored("user", customer.id)["phone"]
    for path, member in ((customer.path, "phone"), (f"/tracker/issue/{issue}", "title")):
        said = world.ask("supervisor", "PATCH", path, {member: envelope})
        assert (said.status, said.code) == (422, "value-refused")


def test_lists_hold_what_is_his_and_page_by_our_own_cursor(world: World) -> None:
    made = [world.customer() for _ in range(3)]
    other = world.customer(BEIJING)
    found: list[str] = []
    target = "/tracker/user?organisation:=branch:shanghai&@page_size=2"
    cursor = ""
    while True:
        page = world.ask("agent", "GET", target + cursor)
        assert page.status == 200, page
        assert len(page.items) <= 2
        found += [item["id"] for item in page.items]
        following = page.json["data"].get("@next")
        if following is None:
            break
        cursor = f"&@cursor={following}"
    assert {customer.id for customer in made} <= set(found)
    assert other.id not in found
    assert len(found) == len(set(found))
    counted = world.ask("agent", "GET", "/tracker/user?@count=true&@page_size=1")
    assert counted.json["data"]["@total_size"] == len(found)
    # A cursor is good for who got it, and for his question.
    first = world.ask("agent", "GET", target).json["data"]["@next"]
    assert world.ask("supervisor", "GET", f"{target}&@cursor={first}").code == "cursor-invalid"
    accounts = {
        item["username"] for item in world.ask("auditor", "GET", "/tracker/user?@page_size=500").items
    }
    assert accounts
    assert not accounts & {"admin", "anonymous", "gateway", "li.wei"}


def test_messages_of_one_customer_are_found_by_his_id(world: World) -> None:
    customer, other = world.customer(), world.customer()
    texts = [world.plant("第一") for _ in range(2)]
    mine = [world.message(customer, text) for text in texts]
    world.message(other)
    said = world.ask("agent", "GET", f"/tracker/msg?customer:={customer.id}")
    assert [(item["id"], item["content"]) for item in said.items] == list(zip(mine, texts, strict=True))
    issue = world.issue(customer)
    resolved = world.ask("agent", "GET", f"/tracker/issue?customer:={customer.id}&status=8")
    deferred = world.ask("agent", "GET", f"/tracker/issue?customer:={customer.id}&status=2")
    assert (resolved.items, [item["id"] for item in deferred.items]) == ([], [issue])
