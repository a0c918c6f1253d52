"""What the embedded upstream promises over HTTP, on both engines."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from sqlalchemy import text

from gateway.store import Store, open_store
from tests.records.client import Client

WHOLE = {
    "name": "张三",
    "phone": "v1.seal:AAECAwQ=",
    "email": "a@example.com",
    "id_number": "x",
    "bank_card": "y",
    "address": "上海",
    "birth_date": "1990-01-01",
    "note": "",
    "unit": "branch:shanghai",
    "region": "cn-east",
    "owner": "agent.lin",
    "level": "vip",
    "tags": ["a", "b,c", '"', "\n", "中"],
}


async def test_a_customer_comes_back_as_he_was_sent_with_id_version_and_times(client: Client) -> None:
    answer = await client.post("/customers", WHOLE)
    assert answer.status == 201
    made = answer.json
    assert made["id"].startswith("cus_")
    assert answer.headers["location"] == f"/customers/{made['id']}"
    assert answer.etag == '"1"'
    own = {
        "version": 1,
        "created_at": "2026-11-21T10:00:00.000000Z",
        "updated_at": "2026-11-21T10:00:00.000000Z",
    }
    assert made == {"id": made["id"], **WHOLE, **own}
    read = await client.get(f"/customers/{made['id']}")
    assert (read.status, read.etag, read.json) == (200, '"1"', made)
    head = await client.call("HEAD", f"/customers/{made['id']}")
    assert (head.status, head.body, head.headers) == (200, b"", read.headers)


STRINGS = [
    "",
    " lead and trail ",
    "null",
    "\x01\x1f\x7f\x85\u2028",
    "e\u0301 is not é",
    "'; DROP TABLE customers; --",
    "%_\\",
    "\ufeff\ufffe\U0010ffff",
    "张" * 21_845,  # 65,535 bytes
    "x" * 65_536,
]


@pytest.mark.parametrize("value", STRINGS, ids=range(len(STRINGS)))
async def test_any_string_of_64_kib_comes_back_byte_for_byte(client: Client, value: str) -> None:
    body = {"name": value, "phone": value, "note": value, "unit": value, "tags": value}
    made = await client.made("/customers", body)
    read = (await client.get(f"/customers/{made['id']}")).json
    assert {name: read[name] for name in body} == body


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"[]",
            b"null",
            b'"x"',
            b"{",
            b'{"name":"a"}x',
            b'{"name":"a","name":"b"}',
            b'{"name":NaN}',
            b'{"name":-Infinity}',
        ),
        *(
            b'{"name":"\xff"}',
            b"[" * 50_000,
            b'{"name":' + b"[" * 50_000,
            b'{"name":1' + b"0" * 5000 + b"}",
            b"\xef\xbb\xbf{}",
        ),
    ],
)
async def test_a_body_that_cannot_be_read_in_one_way_is_refused(client: Client, body: bytes) -> None:
    answer = await client.post("/customers", body)
    assert (answer.status, answer.problem) == (400, "body")


SECRET = "13812345678"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"name": "a", SECRET: 1}, "field-unknown"),
        ({"name": 5}, "field-value"),
        ({"name": True}, "field-value"),
        ({"name": {"a": SECRET}}, "field-value"),
        ({"name": [SECRET]}, "field-value"),
        ({"name": SECRET + "\0"}, "field-value"),
        ({"name": SECRET + "\ud800"}, "field-value"),
        ({"name": "x" * 65_537}, "field-value"),
        ({"name": "张" * 21_846}, "field-value"),
        ({"name": "a", "tags": [1]}, "field-value"),
        ({"name": "a", "tags": [["a"]]}, "field-value"),
        ({"name": "a", "tags": [None]}, "field-value"),
        ({"name": "a", "tags": [SECRET + "\0"]}, "field-value"),
        ({"name": "a", "tags": ["x" * 60_000, "y" * 6_000]}, "field-value"),
        ({}, "field-required"),
        ({"name": None}, "field-required"),
        ({"name": "a", "id": "cus_mine"}, "field-read-only"),
        ({"name": "a", "version": 1}, "field-read-only"),
        ({"name": "a", "created_at": "2026-01-01T00:00:00Z"}, "field-read-only"),
    ],
)
async def test_a_value_that_no_field_takes_is_refused_and_not_repeated(
    client: Client, body: object, problem: str
) -> None:
    answer = await client.post("/customers", body)
    assert (answer.status, answer.problem) == (400, problem)
    assert SECRET not in answer.body.decode()
    assert (await client.get("/customers?count=true")).json["total"] == 0


async def test_a_body_above_two_mebibytes_is_refused(client: Client) -> None:
    assert (await client.post("/customers", b" " * (2 * 1024 * 1024 + 1))).status == 413


@pytest.mark.parametrize(
    "media",
    ["", "text/plain", "application/jsonx", "application/json; charset=gbk", "application/merge-patch+json"],
)
async def test_another_media_type_is_refused(client: Client, media: str) -> None:
    assert (await client.post("/customers", {"name": "a"}, content_type=media)).status == 415


async def test_a_put_replaces_and_a_patch_merges(client: Client) -> None:
    made = await client.made("/customers", WHOLE)
    target = f"/customers/{made['id']}"
    patched = await client.patch(target, {"phone": "new", "note": None, "tags": ["z"]}, '"1"')
    assert (patched.status, patched.etag) == (200, '"2"')
    changes = {
        "phone": "new",
        "note": None,
        "tags": ["z"],
        "version": 2,
        "updated_at": "2026-11-21T10:00:01.000000Z",
    }
    assert patched.json == {**made, **changes} == (await client.get(target)).json
    put = await client.put(target, {"name": "李四"}, '"2"')
    assert put.status == 200
    assert {k: v for k, v in put.json.items() if v is not None} == {
        "id": made["id"],
        "name": "李四",
        "version": 3,
        "created_at": made["created_at"],
        "updated_at": "2026-11-21T10:00:02.000000Z",
    }
    assert put.json == (await client.get(target)).json


async def test_a_write_that_changes_nothing_keeps_the_version(client: Client) -> None:
    made = await client.made("/customers", WHOLE)
    target = f"/customers/{made['id']}"
    for answer in (
        await client.put(target, made, '"1"'),
        await client.put(target, WHOLE, '"1"'),
        await client.patch(target, made, '"1"'),
        await client.patch(target, {}, '"1"'),
        await client.patch(target, {"name": "张三"}, "*"),
    ):
        assert (answer.status, answer.etag, answer.json) == (200, '"1"', made)


@pytest.mark.parametrize(
    "body",
    [
        {"id": "cus_other"},
        {"version": 2},
        {"version": "1"},
        {"version": True},
        {"created_at": None},
        {"updated_at": "2020-01-01T00:00:00Z"},
    ],
)
async def test_what_the_store_owns_cannot_be_written(client: Client, body: dict[str, object]) -> None:
    made = await client.made("/customers", {"name": "a"})
    target = f"/customers/{made['id']}"
    assert (await client.patch(target, body, '"1"')).problem == "field-read-only"
    assert (await client.put(target, {"name": "b", **body}, '"1"')).problem == "field-read-only"
    assert (await client.get(target)).json == made


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("tag", "status"),
    [
        *(
            (None, 428),
            ('"2"', 412),
            ('"0"', 412),
            ('W/"1"', 412),
            ('"01"', 412),
            ('"2", "3"', 412),
            ('""', 412),
        ),
        *(("1", 400), ('"1', 400), ('"1" "2"', 400), ("", 400), ('*, "1"', 400), ('"1",', 400)),
    ],
)
async def test_a_change_needs_the_version_that_is_there(
    client: Client, method: str, tag: str | None, status: int
) -> None:
    made = await client.made("/customers", WHOLE)
    target = f"/customers/{made['id']}"
    headers = {} if tag is None else {"if_match": tag}
    body = None if method == "DELETE" else {"name": "changed"}
    answer = await client.call(method, target, body, **headers)
    assert answer.status == status
    assert set(answer.json) == {"type", "title", "status"}  # nothing of the record in a 412
    assert "etag" not in answer.headers
    assert (await client.get(target)).json == made


@pytest.mark.parametrize("tag", ['"1"', "*", '"9", "1"', 'W/"1", "1"', ' "7" ,\t"1" '])
async def test_a_change_that_names_the_version_goes_through(client: Client, tag: str) -> None:
    made = await client.made("/customers", WHOLE)
    assert (await client.call("DELETE", f"/customers/{made['id']}", if_match=tag)).status == 204
    assert (await client.get(f"/customers/{made['id']}")).status == 404


async def test_of_writes_that_race_on_one_version_exactly_one_wins(client: Client) -> None:
    made = await client.made("/customers", {"name": "a"})
    target = f"/customers/{made['id']}"
    for version in range(1, 6):
        racing = [client.patch(target, {"note": f"{version}-{i}"}, f'"{version}"') for i in range(8)]
        answers = await asyncio.gather(*racing)
        assert Counter(a.status for a in answers) == {200: 1, 412: 7}
        (winner,) = (a.json for a in answers if a.status == 200)
        assert (await client.get(target)).json == winner
        assert winner["version"] == version + 1


async def test_a_deletion_and_a_change_that_race_do_not_both_win(client: Client) -> None:
    for _ in range(5):
        made = await client.made("/customers", {"name": "a"})
        target = f"/customers/{made['id']}"
        changed, deleted = await asyncio.gather(
            client.patch(target, {"note": "x"}, '"1"'), client.call("DELETE", target, if_match='"1"')
        )
        assert sorted([changed.status == 200, deleted.status == 204]) == [False, True]
        assert (await client.get(target)).status == (200 if changed.status == 200 else 404)


async def test_threads_and_messages_stand_under_their_customer(client: Client) -> None:
    customer = await client.made("/customers", {"name": "a"})
    thread = await client.made("/threads", {"customer_id": customer["id"], "title": "卡"})
    assert (thread["id"][:4], thread["status"], thread["participants"]) == ("thr_", "open", None)
    place = f"/threads/{thread['id']}/messages"
    message = await client.made(
        place, {"author_kind": "staff", "body": "hello", "sent_at": "2026-02-03T06:05:06.7+02:00"}
    )
    assert message["id"][:4] == "msg_"
    assert (message["thread_id"], message["customer_id"]) == (thread["id"], customer["id"])
    assert message["sent_at"] == "2026-02-03T04:05:06.700000Z"
    target = f"{place}/{message['id']}"
    assert (await client.get(target)).json == message
    assert (await client.put(target, message, '"1"')).json == message
    changed = await client.patch(target, {"body": "bye"}, '"1"')
    assert changed.json["body"] == "bye"
    assert changed.json["sent_at"] == message["sent_at"]
    other = await client.made("/threads", {"customer_id": customer["id"]})
    for method, body in (("GET", None), ("PATCH", {"body": "x"}), ("DELETE", None)):
        misplaced = await client.call(
            method, f"/threads/{other['id']}/messages/{message['id']}", body, if_match="*"
        )
        assert misplaced.status == 404
    assert (await client.get(f"/threads/{other['id']}/messages")).json["items"] == []
    for where in (f"/customers/{customer['id']}", f"/threads/{thread['id']}"):
        refused = await client.call("DELETE", where, if_match="*")
        assert (refused.status, refused.problem) == (409, "dependents")
    assert (await client.call("DELETE", target, if_match="*")).status == 204
    for where in (f"/threads/{thread['id']}", f"/threads/{other['id']}", f"/customers/{customer['id']}"):
        assert (await client.call("DELETE", where, if_match="*")).status == 204


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"title": "x"}, "field-required"),
        ({"customer_id": "cus_nobody"}, "reference"),
        ({"customer_id": ["x"]}, "field-value"),
        ({"customer_id": "a\0"}, "field-value"),
        ({"customer_id": "a\ud800"}, "field-value"),
        ({"customer_id": "a\nb"}, "reference"),
        ({"customer_id": "{}", "status": "won"}, "field-value"),
        ({"customer_id": "{}", "status": None}, None),
        ({"customer_id": "{}", "participants": "sealed whole"}, None),
    ],
)
async def test_a_thread_needs_a_customer_that_is_there(
    client: Client, body: dict[str, object], problem: str | None
) -> None:
    customer = await client.made("/customers", {"name": "a"})
    if body.get("customer_id") == "{}":
        body = {**body, "customer_id": customer["id"]}
    answer = await client.post("/threads", body)
    assert (answer.problem if answer.status == 400 else None) == problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"author_kind": "staff"}, "field-required"),
        ({"author_kind": "robot", "body": "x"}, "field-value"),
        ({"author_kind": "staff", "body": "x", "thread_id": "thr_other"}, "field-read-only"),
        ({"author_kind": "staff", "body": "x", "customer_id": "cus_other"}, "field-read-only"),
        *(
            ({"author_kind": "staff", "body": "x", "sent_at": moment}, "field-value")
            for moment in (
                "yesterday",
                "2026-02-30T00:00:00Z",
                "2026-01-01",
                "2026-01-01T00:00:00+0000",
                "2026-01-01 00:00:00Z",
                "0001-01-01T00:00:00+01:00",
                "2026-01-01T00:00:00Z\n",
                5,
            )
        ),
    ],
)
async def test_a_message_takes_its_place_from_the_path(client: Client, body: object, problem: str) -> None:
    customer = await client.made("/customers", {"name": "a"})
    thread = await client.made("/threads", {"customer_id": customer["id"]})
    answer = await client.post(f"/threads/{thread['id']}/messages", body)
    assert (answer.status, answer.problem) == (400, problem)
    assert (await client.post("/threads/thr_none/messages", body)).status == 404


async def test_a_message_follows_its_thread_to_another_unit(client: Client) -> None:
    customer = await client.made("/customers", {"name": "a"})
    thread = await client.made("/threads", {"customer_id": customer["id"], "unit": "u1", "region": "r1"})
    place = f"/threads/{thread['id']}/messages"
    message = await client.made(place, {"author_kind": "staff", "body": "x", "unit": "u1"})
    assert (message["unit"], message["region"]) == ("u1", "r1")
    for refused in (
        await client.post(place, {"author_kind": "staff", "body": "x", "unit": "u2"}),
        await client.patch(f"{place}/{message['id']}", {"unit": "u2"}, '"1"'),
        await client.patch(f"{place}/{message['id']}", {"region": None}, '"1"'),
    ):
        assert refused.problem == "field-read-only"
    assert (await client.patch(f"/threads/{thread['id']}", {"title": "t"}, '"1"')).status == 200
    assert (await client.get(f"{place}/{message['id']}")).json == message
    assert (
        await client.patch(f"/threads/{thread['id']}", {"unit": "u2", "region": None}, '"2"')
    ).status == 200
    followed = (await client.get(f"{place}/{message['id']}")).json
    assert (followed["unit"], followed["region"], followed["version"]) == ("u2", None, 2)
    assert (await client.patch(f"{place}/{message['id']}", {"body": "y"}, '"1"')).status == 412


async def test_a_message_sent_while_its_thread_moves_ends_in_the_threads_unit(client: Client) -> None:
    customer = await client.made("/customers", {"name": "a"})
    thread = await client.made("/threads", {"customer_id": customer["id"], "unit": "u0"})
    place = f"/threads/{thread['id']}"
    body = {"author_kind": "staff", "body": "x"}
    for turn in range(1, 8):
        move = client.patch(place, {"unit": f"u{turn}"}, "*")
        await asyncio.gather(*(client.post(f"{place}/messages", body) for _ in range(3)), move)
        items = (await client.get(f"{place}/messages?limit=500")).json["items"]
        assert {item["unit"] for item in items} == {f"u{turn}"}


async def test_threads_and_messages_follow_their_customers_level_and_owner(client: Client) -> None:
    customer = await client.made("/customers", {"name": "a", "level": "vip", "owner": "o"})
    one, other = f"/customers/{customer['id']}", await client.made("/customers", {"name": "b"})
    thread = await client.made("/threads", {"customer_id": customer["id"], "owner": "o"})
    place = f"/threads/{thread['id']}"
    message = await client.made(f"{place}/messages", {"author_kind": "staff", "body": "x"})
    below = (place, f"{place}/messages/{message['id']}")
    assert {(made["level"], made["owner"]) for made in (thread, message)} == {("vip", "o")}
    for refused in (
        await client.post("/threads", {"customer_id": customer["id"], "level": "standard"}),
        await client.post(f"{place}/messages", {"author_kind": "staff", "body": "x", "owner": "p"}),
        *[await client.patch(target, {"level": None}, '"1"') for target in below],
    ):
        assert refused.problem == "field-read-only"
    assert (await client.patch(one, {"note": "n"}, '"1"')).status == 200
    assert [(await client.get(target)).json["version"] for target in below] == [1, 1]
    assert (await client.patch(one, {"level": "gold", "owner": None}, '"2"')).status == 200
    for target in below:
        followed = (await client.get(target)).json
        assert (followed["level"], followed["owner"], followed["version"]) == ("gold", None, 2)
        assert (await client.patch(target, {"region": None}, '"1"')).status == 412
    apart = await client.made("/threads", {"customer_id": other["id"]})
    assert (apart["level"], apart["owner"]) == (None, None)


async def test_a_thread_begun_while_its_customer_rises_carries_his_level(client: Client) -> None:
    customer = await client.made("/customers", {"name": "a", "level": "l0"})
    for turn in range(1, 8):
        rise = client.patch(f"/customers/{customer['id']}", {"level": f"l{turn}"}, "*")
        begun = (client.post("/threads", {"customer_id": customer["id"]}) for _ in range(3))
        await asyncio.gather(*begun, rise)
        items = (await client.get("/threads?limit=500")).json["items"]
        assert {item["level"] for item in items} == {f"l{turn}"}


async def test_a_record_does_not_change_hands(client: Client) -> None:
    one, two = [await client.made("/customers", {"name": n}) for n in "ab"]
    thread = await client.made("/threads", {"customer_id": one["id"]})
    refused = await client.patch(f"/threads/{thread['id']}", {"customer_id": two["id"]}, '"1"')
    assert refused.problem == "field-read-only"
    kept = await client.put(f"/threads/{thread['id']}", {"title": "x", "status": "pending"}, '"1"')
    assert kept.json["customer_id"] == one["id"]


async def test_no_default_takes_the_place_of_what_a_put_leaves_out(client: Client) -> None:
    made = await client.made("/customers", {"name": "a"})
    thread = await client.made("/threads", {"customer_id": made["id"], "status": "pending"})
    target = f"/threads/{thread['id']}"
    assert (await client.put(target, {"title": "x"}, '"1"')).problem == "field-required"
    assert (await client.get(target)).json["status"] == "pending"


async def test_a_key_creates_once_and_tells_later_what_it_created(client: Client) -> None:
    assert (await client.get("/by-key/int_1")).status == 404
    first = await client.post("/customers", {"name": "a"}, idempotency_key="int_1")
    again = await client.post("/customers", {"name": "sealed anew"}, idempotency_key="int_1")
    assert (first.status, again.status) == (201, 200)
    assert again.json == first.json
    assert again.headers["location"] == first.headers["location"]
    asked = await client.get("/by-key/int_1")
    assert asked.json == {"type": "customer", "record": first.json}
    assert asked.etag == '"1"'
    assert (await client.get("/customers?count=true")).json["total"] == 1
    elsewhere = await client.post("/threads", {"customer_id": first.json["id"]}, idempotency_key="int_1")
    assert (elsewhere.status, elsewhere.problem) == (409, "key-used")
    assert (await client.get("/threads?count=true")).json["total"] == 0


async def test_a_key_does_not_bring_a_deleted_record_back(client: Client) -> None:
    made = await client.post("/customers", {"name": "a"}, idempotency_key="k")
    await client.call("DELETE", f"/customers/{made.json['id']}", if_match="*")
    assert (await client.post("/customers", {"name": "a"}, idempotency_key="k")).problem == "gone"
    assert (await client.get("/by-key/k")).status == 410
    assert (await client.get("/customers?count=true")).json["total"] == 0


async def test_a_key_of_another_thread_is_refused(client: Client) -> None:
    customer = await client.made("/customers", {"name": "a"})
    one, two = [await client.made("/threads", {"customer_id": customer["id"]}) for _ in range(2)]
    body = {"author_kind": "staff", "body": "x"}
    await client.post(f"/threads/{one['id']}/messages", body, idempotency_key="k")
    assert (
        await client.post(f"/threads/{two['id']}/messages", body, idempotency_key="k")
    ).problem == "key-used"


async def test_creates_that_race_on_one_key_create_once(client: Client) -> None:
    answers = await asyncio.gather(
        *(client.post("/customers", {"name": str(i)}, idempotency_key="k") for i in range(8))
    )
    assert Counter(a.status for a in answers) == {201: 1, 200: 7}
    assert len({a.json["id"] for a in answers}) == 1
    assert (await client.get("/customers?count=true")).json["total"] == 1


@pytest.mark.parametrize("key", ["", "a b", "a/b", "ä", "x" * 129, "a%20"])
async def test_a_key_that_would_need_escaping_is_refused(client: Client, key: str) -> None:
    assert (await client.post("/customers", {"name": "a"}, idempotency_key=key)).problem == "key"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "",
            "//customers",
            "/customers/",
            "/customers//x",
            "/Customers",
            "/customers%2fx",
            "/customers/x/y",
            "/customers/%00",
        ),
        *(
            "/threads/x/message",
            "/threads//messages",
            "/threads/x/messages/y/z",
            "/by-key",
            "/customers/../customers",
            "/customers/cus_\xff",
        ),
    ],
)
async def test_any_other_path_names_nothing(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/customers", "GET, HEAD, POST"),
        ("POST", "/customers/x", "GET, HEAD, PUT, PATCH, DELETE"),
        ("TRACE", "/threads/x/messages", "GET, HEAD, POST"),
        ("POST", "/by-key/x", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_which_there_are(
    client: Client, method: str, path: str, allow: str
) -> None:
    answer = await client.call(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/customers/x"), ("POST", "/customers"), ("GET", "/by-key/x")]
)
async def test_a_query_is_refused_where_none_is_read(client: Client, method: str, path: str) -> None:
    assert (await client.call(method, f"{path}?a=1", {"name": "a"})).problem == "parameter-unknown"


async def test_an_override_header_overrides_nothing(client: Client) -> None:
    made = await client.made("/customers", {"name": "a"})
    await client.call("POST", "/customers", {"name": "b"}, x_http_method_override="DELETE")
    assert (await client.get(f"/customers/{made['id']}")).status == 200


async def test_a_store_that_is_away_answers_503_without_a_cause(store: Store, client: Client) -> None:
    if store.dialect == "sqlite":
        await store.write(lambda c: c.execute(text("ALTER TABLE customers RENAME TO lost")))
    else:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
        second = await open_store(store.location, pool_size=1)
        await second.write(lambda c: c.execute(text(others)).all())
        await second.close()
    answer = await client.get("/customers/cus_x")
    assert (answer.status, answer.problem) == (503, "unavailable")
    assert set(answer.json) == {"type", "title", "status"}
