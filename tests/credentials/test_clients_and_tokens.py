"""The service's story of clients: issued, given another secret, revoked, and the tokens that they get; what the log says of each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from audit import LogUnavailable
from gateway.credentials import MAX_OVERLAP, Page, Renewed, whoami
from gateway.identity import Identity, all_keys, all_secrets
from gateway.identity.demo import DemoIssuer
from gateway.words.errors import Code, Denied, GatehouseError, GrantError, GrantRefused, Refused, Unavailable
from tests.credentials.desk_house import AGENT, NOW, Desks, call, open_desks
from tests.credentials.test_what_holds_where_it_breaks import Wrapped, failing, settle


async def refusal(work: Any) -> GrantRefused:
    with pytest.raises(GrantRefused) as caught:
        await work
    return caught.value


async def renew(desks: Desks, admin: str, client: str, **overlap: float) -> Renewed:
    return await desks.clients.renew(desks.asker(admin), client, lambda: timedelta(**overlap))


# ── issued, listed, revoked ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_gets_a_token_and_the_log_says_who_got_it(desks: Desks) -> None:
    admin = await desks.admin()
    issued = await desks.client(admin)
    granted = await desks.grant(issued.key.id, issued.text)
    assert granted.seconds == 900
    who = await desks.identity.identify(call(granted.text))
    assert (who.application.id, who.application.roles, who.purposes) == ("app:desk", AGENT, {"service"})
    intent, outcome, served = await desks.entries()
    (part,) = intent["parts"]
    assert (intent["action"], part["verb"], part["reference"]) == ("key:create", "create", issued.key.id)
    assert part["secret"].startswith("sec_")
    assert outcome["upstream"] == {"result": "done"}
    assert (served["kind"], served["action"]) == ("served", "token:issue")
    assert served["principal"]["application"] == "app:desk"
    assert served["principal"]["proven"] == [f"client-secret:{issued.key.id}"]
    (given,) = served["parts"]
    assert given["reference"].startswith("tok_")
    assert (given["client"], given["seconds"], given["scope"]) == (issued.key.id, 900, None)
    assert granted.receipt.seq == served["seq"]


async def test_neither_secret_nor_token_is_in_a_store_an_entry_or_a_repr(
    desks: Desks, tmp_path: Path
) -> None:
    issued = await desks.client(await desks.admin())
    granted = await desks.grant(issued.key.id, issued.text)
    signature = granted.text.rpartition(".")[2]
    needles = [issued.text[31:74], issued.text[-12:], signature]
    said = repr(issued) + repr(granted) + str(await desks.entries())
    assert [needle for needle in needles if needle in said] == []
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert {"state.db", "audit.db"} <= {path.name for path in files}
    held = [path.name for path in files for needle in needles if needle.encode() in path.read_bytes()]
    assert held == []


async def test_a_client_is_listed_among_keys_and_revoked_as_one(desks: Desks) -> None:
    admin = await desks.admin()
    client, key = await desks.client(admin), await desks.issue(admin)
    granted = await desks.grant(client.key.id, client.text)
    listed = await desks.keys.list(desks.asker(admin), lambda: Page(limit=10))
    proofs = {one["id"]: one["proof"] for one in listed.keys}
    assert (proofs[client.key.id], proofs[key.key.id]) == ("secret", "key")
    await desks.keys.revoke(desks.asker(admin), client.key.id)
    assert not await desks.holds(granted.text)
    error = await refusal(desks.grant(client.key.id, client.text))
    assert (error.error, error.code, error.entry) == (GrantError.INVALID_CLIENT, Code.UNIDENTIFIED, None)


async def test_who_may_not_issue_issues_no_client_and_no_secret(desks: Desks) -> None:
    admin, agent = await desks.admin(), await desks.admin(AGENT)
    issued = await desks.client(admin)
    for act in (
        lambda: desks.client(agent),
        lambda: renew(desks, agent, issued.key.id, seconds=0),
        lambda: renew(desks, agent, "key_" + "0" * 26, seconds=0),
    ):
        with pytest.raises(Denied):
            await act()
        assert (await desks.entries())[-1]["kind"] == "denied"
    assert len(await desks.store.scan(all_secrets)) == 1
    assert await desks.grant(issued.key.id, issued.text)


# ── another secret ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_another_secret_ends_the_old_one_and_its_tokens_in_log_order(desks: Desks) -> None:
    admin = await desks.admin()
    issued = await desks.client(admin)
    old = await desks.grant(issued.key.id, issued.text)
    fence = desks.inforce.now.fence
    renewed = await renew(desks, admin, issued.key.id, seconds=0)
    assert desks.inforce.now.fence == renewed.receipt.fence == fence + 1
    assert not await desks.holds(old.text)
    assert (await refusal(desks.grant(issued.key.id, issued.text))).error is GrantError.INVALID_CLIENT
    assert await desks.holds((await desks.grant(issued.key.id, renewed.text)).text)
    intent = next(
        e for e in await desks.entries() if e["kind"] == "intent" and e["parts"][0]["verb"] == "rotate"
    )
    assert intent["parts"] == [
        {
            "verb": "rotate",
            "reference": issued.key.id,
            "subject": None,
            "secret": renewed.secret.id,
            "overlap_seconds": 0,
        }
    ]


async def test_with_an_overlap_both_hold(desks: Desks) -> None:
    admin = await desks.admin()
    issued = await desks.client(admin)
    old = await desks.grant(issued.key.id, issued.text)
    renewed = await renew(desks, admin, issued.key.id, hours=1)
    assert renewed.ends == NOW + timedelta(hours=1)
    assert await desks.holds(old.text)
    for secret in (issued.text, renewed.text):
        assert await desks.grant(issued.key.id, secret)


@pytest.mark.parametrize(
    ("overlap", "code"),
    [
        (timedelta(seconds=-1), Code.VALUE_REFUSED),
        (MAX_OVERLAP + timedelta(seconds=1), Code.VALUE_REFUSED),
    ],
)
async def test_an_overlap_that_cannot_be_is_refused(desks: Desks, overlap: timedelta, code: Code) -> None:
    admin = await desks.admin()
    issued = await desks.client(admin)
    with pytest.raises(Refused) as caught:
        await desks.clients.renew(desks.asker(admin), issued.key.id, lambda: overlap)
    assert caught.value.code is code
    assert await desks.grant(issued.key.id, issued.text)


async def test_what_is_no_client_or_holds_no_more_gets_no_secret(desks: Desks) -> None:
    admin = await desks.admin()
    key, client = await desks.issue(admin), await desks.client(admin)
    await desks.keys.revoke(desks.asker(admin), client.key.id)
    for which, code in (
        (key.key.id, Code.NOT_FOUND),
        ("li.wei@example.com", Code.NOT_FOUND),
        (client.key.id, Code.CONFLICT),
    ):
        with pytest.raises(Refused) as caught:
            await renew(desks, admin, which, seconds=0)
        assert caught.value.code is code
    assert "li.wei" not in str(await desks.entries())
    assert len(await desks.store.scan(all_secrets)) == 1


# ── where it breaks off ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_whose_issuing_is_not_recorded_is_nobodys(tmp_path: Path) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        log.arm(2)
        assert (await failing(lambda: desks.client(admin))).code is Code.OUTCOME_UNRECORDED
        (outcome,) = await settle(desks)
        assert outcome["upstream"] == {"result": "not-done", "by": "reconciler"}
        (secret,) = await desks.store.scan(all_secrets)
        (row,) = [key for key in await desks.store.scan(all_keys) if key.id == secret.client]
        assert row.revoked_at is not None
        assert secret.ended_at is not None


@pytest.mark.parametrize("at", [1, 2], ids=["no intent", "no outcome"])
async def test_a_secret_that_is_not_recorded_leaves_the_one_before(tmp_path: Path, at: int) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        admin = await desks.admin()
        issued = await desks.client(admin)
        token = (await desks.grant(issued.key.id, issued.text)).text
        log.arm(at)
        error = await failing(lambda: renew(desks, admin, issued.key.id, seconds=0))
        if at == 1:
            assert error.code is Code.LOG_UNAVAILABLE
            assert await desks.holds(token)
            return
        assert error.code is Code.OUTCOME_UNRECORDED
        # Between intent and outcome the more restrictive state holds.
        assert not await desks.holds(token)
        (outcome,) = await settle(desks)
        assert outcome["upstream"] == {"result": "not-done", "by": "reconciler"}
        assert await desks.holds(token)
        assert await desks.grant(issued.key.id, issued.text)
        assert [s.ended_at is not None for s in await desks.store.scan(all_secrets)] == [False, True]


async def test_a_secret_whose_rows_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    store = Wrapped("write", Unavailable())
    async with open_desks(tmp_path / "home", store=store) as desks:
        admin = await desks.admin()
        issued = await desks.client(admin)
        store.arm(1)
        error = await failing(lambda: renew(desks, admin, issued.key.id, seconds=0))
        assert error.code is Code.OUTCOME_UNRECORDED
        await settle(desks)
        assert await desks.grant(issued.key.id, issued.text)
        assert len(await desks.store.scan(all_secrets)) == 1


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_may_be_limited_to_purposes_that_are_held(desks: Desks) -> None:
    issued = await desks.client(await desks.admin(), purposes=frozenset({"service", "audit"}))
    granted = await desks.grant(issued.key.id, issued.text, purposes=frozenset({"service"}))
    assert (await desks.identity.identify(call(granted.text))).purposes == {"service"}
    error = await refusal(desks.grant(issued.key.id, issued.text, purposes=frozenset({"service", "care"})))
    assert (error.error, dict(error.params)) == (GrantError.INVALID_SCOPE, {"parameter": "scope"})
    assert error.entry is not None
    last = (await desks.entries())[-1]
    assert (last["kind"], last["action"], last["decision"]["reason"]) == (
        "denied",
        "token:issue",
        "grant-refused",
    )


async def test_an_exchanged_token_says_both_in_its_entries(desks: Desks, tmp_path: Path) -> None:
    issued = await desks.client(await desks.admin())
    person = DemoIssuer.open(tmp_path / "home").mint("li.wei", "app:desk", 10, now=NOW)
    granted = await desks.grant(issued.key.id, issued.text, person)
    assert granted.seconds == 600
    (served,) = [e for e in await desks.entries() if e["action"] == "token:issue"]
    assert served["principal"]["application"] == "app:desk"
    assert served["principal"]["person"] == "person:https://id.demo.example#li.wei"
    assert served["principal"]["proven"] == [f"client-secret:{issued.key.id}", "token:EdDSA"]
    who = await desks.identity.identify(call(granted.text))
    assert who.person is not None
    assert who.person.id == "person:https://id.demo.example#li.wei"
    error = await refusal(desks.grant(issued.key.id, issued.text, "x"))
    assert (error.error, dict(error.params)) == (
        GrantError.INVALID_REQUEST,
        {"parameter": "subject_token"},
    )


async def test_no_token_leaves_without_its_entry(tmp_path: Path) -> None:
    log = Wrapped("append", LogUnavailable("x"))
    async with open_desks(tmp_path / "home", log=log) as desks:
        issued = await desks.client(await desks.admin())
        log.arm(1)
        error = await failing(lambda: desks.grant(issued.key.id, issued.text))
        assert error.code is Code.LOG_UNAVAILABLE
        assert "token:issue" not in [e["action"] for e in await desks.entries()]


# ── the fence ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Deaf:
    """This process does not hear of what another one changes: its caches are put back to what they were."""

    def __init__(self, desks: Desks) -> None:
        self.desks, self.ruled = desks, desks.inforce.now
        identity = desks.identity
        self.keys, self.secrets = identity._keys._row, _clients(identity)._standing

    def __enter__(self) -> Deaf:
        return self

    def __exit__(self, *_: object) -> None:
        identity = self.desks.identity
        self.desks.inforce._now = self.ruled
        identity._keys._row, identity._keys._proven = self.keys, {}
        _clients(identity)._standing = self.secrets


def _clients(identity: Identity) -> Any:
    assert identity._clients is not None
    return identity._clients


@pytest.mark.parametrize("how", ["revoked", "another secret"])
async def test_a_client_that_was_ended_elsewhere_gets_no_token_and_its_token_does_nothing(
    desks: Desks, how: str
) -> None:
    admin = await desks.admin()
    issued = await desks.client(admin)
    victim = await desks.issue(admin)
    token = (await desks.grant(issued.key.id, issued.text)).text
    with Deaf(desks):
        if how == "revoked":
            await desks.keys.revoke(desks.asker(admin), issued.key.id)
        else:
            await renew(desks, admin, issued.key.id, seconds=0)
    # This process believes both, and the log does not.
    assert await desks.holds(token)
    before = len(await desks.entries())
    with pytest.raises(GatehouseError) as caught:
        await desks.grant(issued.key.id, issued.text)
    assert caught.value.code is Code.UNIDENTIFIED
    assert not await desks.holds(token)
    assert len(await desks.entries()) == before
    assert await desks.holds(victim.text)


async def test_a_token_of_a_client_that_was_revoked_elsewhere_is_told_nothing(desks: Desks) -> None:
    admin = await desks.admin()
    issued = await desks.client(admin)
    token = (await desks.grant(issued.key.id, issued.text)).text
    with Deaf(desks):
        await desks.keys.revoke(desks.asker(admin), issued.key.id)
    assert await desks.holds(token)
    with pytest.raises(GatehouseError) as caught:
        await whoami(desks.keys.desk, desks.asker(token))
    assert caught.value.code is Code.UNIDENTIFIED
