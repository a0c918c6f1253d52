"""What an attacker tries on an upstream that he knows: Roundup's override, its other addresses, its questions, its spellings."""

from __future__ import annotations

import base64

import pytest

from tests.roundup.world import SEALED, Customer, World

METHODS_THAT_CHANGE = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def customer(world: World) -> Customer:
    """One of this test's own, to be changed."""
    return world.customer()


@pytest.fixture(scope="module")
def bystander(world: World) -> Customer:
    """One whom no test changes: each asks for what is refused."""
    return world.customer()


@pytest.fixture(scope="module")
def issue(world: World, bystander: Customer) -> str:
    """An issue of his that no test changes."""
    return world.issue(bystander)


def leaks(world: World, text: str) -> list[str]:
    """What of all that was ever planted stands in a text."""
    return [planted for planted in world.planted if planted in text]


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Method"]
)
def test_no_header_makes_another_method_of_a_post(world: World, issue: str, header: str) -> None:
    with world.wire.listening() as heard:
        for method in ("DELETE", "PATCH", "PUT"):
            said = world.ask(
                "supervisor", "POST", f"/tracker/issue/{issue}", {"title": "x"}, **{header: method}
            )
            assert (said.status, said.code) == (405, "method-not-listed")
            assert world.ask("supervisor", "GET", f"/tracker/issue/{issue}", **{header: method}).status == 200
    assert not {passed.method for passed in heard} & METHODS_THAT_CHANGE
    # A POST where one is listed stays one, and the header stays here.
    sent = world.person()
    with world.wire.listening() as heard:
        said = world.ask("supervisor", "POST", "/tracker/user", sent, **{header: "DELETE"})
    assert said.status == 201
    assert not any(header.lower() in passed.headers for passed in heard)
    assert world.ask("supervisor", "GET", said.headers["location"]).fields == sent
    assert world.stored("issue", issue)["title"].startswith("gh1:")


def test_roundup_itself_would_have_done_it(world: World, customer: Customer) -> None:
    """The attack is real: past the gateway the same POST retires the record."""
    path = f"/rest/data/user/{customer.id}"
    etag = world.directly("GET", path).headers["etag"]
    said = world.directly("POST", path, {}, if_match=etag, **{"X-HTTP-Method-Override": "DELETE"})
    assert said.status == 200
    assert world.ask("supervisor", "GET", customer.path).status == 404


@pytest.mark.parametrize(
    "query",
    [
        "_method=DELETE",
        "@op=action&@action_name=retire",
        "@fields=realname,phone",
        "@attrs=realname",
        "@verbose=3",
        "@protected=true",
        "@pretty=false",
        "@apiver=1",
        "@etag=x",
        "@data=1",
    ],
)
def test_roundups_own_parameters_are_not_a_callers(world: World, bystander: Customer, query: str) -> None:
    with world.wire.listening() as heard:
        for method, body in (("GET", None), ("PATCH", {"phone": "1"}), ("DELETE", None)):
            said = world.ask("supervisor", method, f"{bystander.path}?{query}", body)
            assert (said.status, said.code) == (400, "parameter-unknown")
        assert world.ask("supervisor", "GET", f"/tracker/user?{query}").status == 400
    assert heard == []


@pytest.mark.parametrize(
    "query",
    [
        "phone=138",  # part of a value: an oracle, one digit at a time
        "phone:=13800000000",
        "phone~=138",
        "realname=q",
        "realname:=gh1",
        "email=post",
        "id=6",
        "creator=1",
        "@sort=realname",
        "@sort=-phone",
        "@group=realname",
        "@search_text=q",
        "@filter=phone",
        "organisation=branch",  # without its colon Roundup finds parts
        "organisation:=branch:shanghai&organisation:=branch:beijing",
        "organisation.username=x",
        "@page_index=2",
        "@page_size=0",
        "@page_size=100000",
    ],
)
def test_a_list_answers_no_question_that_nobody_listed(world: World, query: str) -> None:
    with world.wire.listening() as heard:
        said = world.ask("supervisor", "GET", f"/tracker/user?{query}")
    assert said.status == 400
    assert said.code in ("parameter-unknown", "parameter-malformed", "target-ambiguous")
    assert heard == []


@pytest.mark.parametrize("value", ["resolved", "-1", "1,2", "+1", "%201", "1,-8", ""])
def test_a_filter_takes_no_second_spelling(world: World, value: str) -> None:
    assert world.ask("agent", "GET", f"/tracker/issue?status={value}").code == "parameter-malformed"


def test_an_auditor_finds_nobody_by_what_he_may_not_see(world: World, bystander: Customer) -> None:
    found = world.ask("auditor", "GET", f"/tracker/user?username:={bystander.sent['username']}")
    assert [item["id"] for item in found.items] == [bystander.id]
    assert leaks(world, found.text) == []


def test_a_messages_text_has_one_address(world: World, bystander: Customer) -> None:
    """Past the gateway it has four, and each gives the envelope; through it the others lead nowhere."""
    text = world.plant("请寄到愚园路, keep quiet")
    message = world.message(bystander, text)
    issue = world.issue(bystander, messages=[message])
    for path in (
        f"/rest/data/msg/{message}/content",
        f"/rest/data/msg/{message}?@verbose=3",
        f"/rest/data/msg?@verbose=3&@fields=content&id={message}",
        f"/msg{message}/",
        f"/msg{message}",
        f"/issue{issue}",
        f"/issue{issue}?@template=item&@history=yes",
    ):
        said = world.directly("GET", path)
        assert (said.status, "gh1:" in said.text) == (200, True), path
        assert leaks(world, said.text) == [], path
    with world.wire.listening() as heard:
        for path in (
            f"/tracker/msg/{message}/content",
            f"/tracker/msg/{message}/",
            f"/tracker/msg{message}",
            f"/tracker/msg{message}/",
            f"/tracker/issue{issue}",
            f"/tracker/issue/{issue}/messages",
            f"/tracker/issue/{issue}/title",
            f"/tracker/file/{message}",
            f"/tracker/rest/data/msg/{message}",
            f"/tracker/data/msg/{message}",
            f"/rest/data/msg/{message}",
            f"/msg{message}",
        ):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
                said = world.ask("supervisor", method, path)
                assert said.status in (400, 404), (method, path)
                assert leaks(world, said.text) == []
    assert heard == []


@pytest.mark.parametrize(
    "tail",
    ["{0}/..", "..%2fissue1", "%2e%2e/%2e%2e/issue1", ".%2e/user/{0}", "%2e/{0}", "/{0}", "0{0}", "{0}.json", "{0};x", "{0}%00",
     "{0}%20", "%3{0}", "username={1}", "{1}", "%75ser", "{0}%2fphone", "{0}%3f@verbose=3", "{0}%23", "%EF%BC%91", "{0}\\", "-{0}"],
)  # fmt: skip
def test_a_record_has_one_address(world: World, bystander: Customer, tail: str) -> None:
    path = f"/tracker/user/{tail.format(bystander.id, bystander.sent['username'])}"
    with world.wire.listening() as heard:
        said = world.ask("supervisor", "GET", path)
    assert said.status in (400, 404), path
    assert (leaks(world, said.text), heard) == ([], [])


@pytest.mark.parametrize(
    "path",
    ["//tracker/user", "/TRACKER/user/{0}", "/tracker/User/{0}", "/tracker/%75ser/{0}", "/trackerx/user/{0}"],
)
def test_a_mount_has_one_spelling(world: World, bystander: Customer, path: str) -> None:
    with world.wire.listening() as heard:
        assert world.ask("supervisor", "GET", path.format(bystander.id)).status in (400, 404)
    assert heard == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("@op", "action"),
        ("@action_name", "retire"),
        ("@etag", '"x"'),
        ("password", "hunter2hunter2"),
        ("roles", "Admin"),
        ("address", "li.wei@tracker.example"),
        ("alternate_addresses", "li.wei@tracker.example"),
        ("id", "1"),
        ("link", "http://elsewhere.example/"),
        ("creator", "1"),
    ],
)
def test_a_body_sets_nothing_that_nobody_listed(
    world: World, bystander: Customer, member: str, value: str
) -> None:
    with world.wire.listening() as heard:
        changed = world.ask("supervisor", "PATCH", bystander.path, {"phone": "13800138000", member: value})
        made = world.ask("supervisor", "POST", "/tracker/user", {**world.person(), member: value})
    assert {changed.status, made.status} <= {403, 422}
    assert {passed.method for passed in heard} <= {"GET"}


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/json; x=y",
    ],
)
def test_a_body_is_json_and_nothing_else(world: World, bystander: Customer, kind: str) -> None:
    """Roundup also reads forms: @op=action&@action_name=retire retires."""
    for method, path in (("POST", "/tracker/user"), ("PATCH", bystander.path)):
        with world.wire.listening() as heard:
            said = world.ask("supervisor", method, path, b"@op=action&@action_name=retire", content_type=kind)
        assert (said.status, heard) == (415, [])


@pytest.mark.parametrize(
    ("member", "value"),
    [("status", "resolved"), ("status", "8 "), ("status", " 8"), ("status", 8), ("status", "08"), ("assignedto", "li.wei"),
     ("assignedto", "4 "), ("unit", "branch:shanghai "), ("unit", "branch:shanghai\n"), ("unit", ["branch:shanghai"])],
)  # fmt: skip
def test_a_fact_is_set_by_its_one_name(world: World, issue: str, member: str, value: object) -> None:
    """Roundup would store another text than was decided on: an agent could close an issue under a name that no rule knows."""
    with world.wire.listening() as heard:
        changed = world.ask("agent", "PATCH", f"/tracker/issue/{issue}", {member: value})
    assert (changed.status, changed.code) == (422, "value-refused")
    assert {passed.method for passed in heard} <= {"GET"}


def test_a_resolved_issue_is_no_agents_to_open_again(world: World, customer: Customer) -> None:
    issue = world.issue(customer)
    path = f"/tracker/issue/{issue}"
    assert world.ask("agent", "PATCH", path, {"status": "8"}).code == "denied"
    assert world.ask("supervisor", "PATCH", path, {"status": "8"}).status == 204
    assert world.ask("agent", "PATCH", path, {"status": "2"}).code == "denied"
    assert world.ask("supervisor", "PATCH", path, {"status": "2"}).status == 204


def test_an_issue_does_not_change_hands(world: World, customer: Customer) -> None:
    """Neither to another customer nor out of the writer's own reach."""
    other, issue = world.customer(), world.issue(customer)
    path = f"/tracker/issue/{issue}"
    assert world.ask("supervisor", "PATCH", path, {"customer": other.id}).code == "subject-changed"
    assert world.ask("supervisor", "PATCH", path, {"unit": "branch:beijing"}).code == "denied"
    assert (
        world.ask(
            "agent", "POST", "/tracker/msg", {"content": "x", "customer": "1", "unit": "branch:shanghai"}
        ).status
        == 422
    )


def test_a_refusal_of_roundups_says_nothing_of_its_own(world: World, bystander: Customer) -> None:
    """Its 409 quotes what was sent, its 412 and 404 speak of its own workings."""
    again = {**world.person(), "username": bystander.sent["username"]}
    odd = {**world.person(), "username": "no blanks here"}
    for sent in (again, odd):
        said = world.ask("supervisor", "POST", "/tracker/user", sent)
        assert (said.status, said.code) == (409, "conflict")
        assert "username" not in said.text.lower()
        assert leaks(world, said.text) == []
    assert world.ask("supervisor", "GET", "/tracker/user/999999").code == "not-found"


def test_no_answer_leads_past_the_gateway(world: World, bystander: Customer) -> None:
    issue = world.issue(bystander, messages=[world.message(bystander)])
    for path in (
        bystander.path,
        "/tracker/user",
        f"/tracker/issue/{issue}",
        "/tracker/issue",
        "/tracker/msg",
    ):
        said = world.ask("supervisor", "GET", path)
        assert said.status == 200
        whole = said.text + repr(said.headers)
        assert not any(f"127.0.0.1:{port}" in whole for port in (world.wire.port, world.tracker.port)), path
        assert "/rest/data" not in whole, path
        assert '"link":"/tracker/' in said.text, path


def test_what_was_moved_in_the_tracker_does_not_open(world: World, customer: Customer) -> None:
    other = world.customer()
    theirs = world.stored("user", other.id)
    world.overwrite("user", customer.id, realname=theirs["realname"], phone=theirs["email"])
    said = world.ask("supervisor", "GET", customer.path)
    assert set(said.fields) == {"username", "organisation", "email"}
    assert other.sent["realname"] not in said.text
    assert {("envelope-misplaced", "/realname"), ("envelope-misplaced", "/phone")} <= set(world.alarms())


def test_what_a_colleague_wrote_in_clear_is_withheld(world: World, customer: Customer) -> None:
    world.overwrite("user", customer.id, realname="Written Past The Gateway")
    for role in ("agent", "supervisor", "auditor"):
        said = world.ask(role, "GET", customer.path)
        assert said.status == 200
        assert "realname" not in said.fields
    assert ("clear-where-sealed", "/realname") in world.alarms()


def test_a_record_that_came_past_the_gateway_shows_nothing_of_anybody(
    world: World, customer: Customer
) -> None:
    """Made in the tracker with another customer's envelopes: nobody bound it, so nothing opens it."""
    theirs = world.stored("user", customer.id)
    copied = {name: theirs[name] for name in SEALED}
    body = {**copied, "username": world.person()["username"], "organisation": "branch:shanghai"}
    made = world.directly("POST", "/rest/data/user", body).json["data"]["id"]
    said = world.ask("supervisor", "GET", f"/tracker/user/{made}")
    assert set(said.fields) == set()
    assert world.ask("supervisor", "PATCH", f"/tracker/user/{made}", {"phone": "1"}).code == "record-withheld"
    assert ("record-unbound", None) in world.alarms()


def test_the_gateways_account_reads_no_password_and_gives_no_roles(world: World, bystander: Customer) -> None:
    """What the tracker itself holds it to, if ever the catalogue were wrong."""
    seen = world.directly("GET", f"/rest/data/user/{bystander.id}", authorization=basic(world.tracker.login))
    assert not {"password", "roles", "address"} & set(seen.fields)
    raised = world.directly(
        "PATCH", f"/rest/data/user/{bystander.id}", {"roles": "Admin"}, authorization=basic(world.tracker.login),
        if_match=seen.headers["etag"],
    )  # fmt: skip
    assert raised.status == 403


def basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()
