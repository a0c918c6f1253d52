"""What is different between two catalogues, and what of it could widen somebody's access."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue import Catalogue, load
from gateway.catalogue.change import Change, changes

SHIPPED = (Path(__file__).parents[2] / "policies" / "catalogue" / "crm.yaml").read_text()
_PHONE = "/phone: {class: contact, sealed: profile, mask: phone, holds: text}"
_STATUS = "/status: {class: internal, fact: status, values: [open, pending, closed], required: true}"


def loaded(folder: Path, text: str) -> Catalogue:
    folder.mkdir()
    (folder / "crm.yaml").write_text(text)
    return load(folder, allowed_hosts=frozenset(), max_opaque_bytes=1)


def compared(tmp_path: Path, was: str, now: str) -> tuple[Change, ...]:
    assert SHIPPED.count(was) == 1, was
    old, new = loaded(tmp_path / "old", SHIPPED), loaded(tmp_path / "new", SHIPPED.replace(was, now))
    back = changes(new, old)
    found = changes(old, new)
    assert len(back) == len(found)
    return found


_SENT = "response_headers: [etag, last-modified, location]"
_OWNER = "      /owner: {class: internal, fact: owner, holds: text}\n"
_PARTICIPANTS = "/participants: {class: internal, fact: participants, holds: texts}"
_DELETE = '  delete-customer: {request: "DELETE /customers/{id}", resource: customer, does: delete}\n'
_PREFIX = "      unit[prefix]: {use: filter, field: /unit, op: prefix}\n"
_LIST = "crm route list-customers"


@pytest.mark.parametrize(
    ("was", "now", "place", "what", "widens"),
    [
        (_PHONE, "/phone: {class: internal, holds: text}", "crm/customer /phone", "sealed", True),
        (_PHONE, _PHONE.replace("contact", "free_text"), "crm/customer /phone", "cls", True),
        (_PHONE, _PHONE.replace("mask: phone", "mask: address"), "crm/customer /phone", "mask", True),
        (_PHONE, _PHONE.replace("mask: phone, ", ""), "crm/customer /phone", "mask", False),
        (_PHONE, "", "crm/customer /phone", "field", False),
        (
            _OWNER,
            _OWNER.replace("text}", "text, server_set: true}"),
            "crm/customer /owner",
            "server_set",
            False,
        ),
        (_PARTICIPANTS, "", "crm/thread /participants", "field", True),
        (_STATUS, _STATUS.replace("pending, ", ""), "crm/thread /status", "values", False),
        (_STATUS, _STATUS.replace("pending", "pending, gone"), "crm/thread /status", "values", True),
        (_STATUS, _STATUS.replace(", required: true", ""), "crm/thread /status", "required", True),
        (_SENT, "response_headers: [etag]", "crm route read-customer", "response_headers", False),
        ("request_headers: []", "request_headers: [x-a]", "crm route read-customer", "request_headers", True),
        (_DELETE, "", "crm route delete-customer", "route", False),
        (_OWNER, _OWNER + "      /rank: {class: internal}\n", "crm/customer /rank", "field", True),
        (_PREFIX, "", f"{_LIST} ?unit[prefix]", "parameter", False),
        (_PREFIX, _PREFIX.replace("op: prefix", "op: in"), f"{_LIST} ?unit[prefix]", "parameter", True),
        ("answer_seconds: 10\n", "answer_seconds: 11\n", "crm", "answer_seconds", True),
        ("answer_seconds: 10\n", "answer_seconds: 9\n", "crm", "answer_seconds", False),
    ],
)
def test_a_difference_is_placed_and_called_wider_unless_it_takes_away(
    tmp_path: Path, was: str, now: str, place: str, what: str, widens: bool
) -> None:
    found = compared(tmp_path, was, now)
    named = {(change.place, change.what): change.widens for change in found}
    assert named[place, what] is widens, found
    if not widens:
        assert not any(change.widens for change in found), found


def test_what_only_reads_differently_changes_nothing(tmp_path: Path) -> None:
    assert compared(tmp_path, "# A list's parameters:", "# The parameters of a list:") == ()


def test_an_upstream_that_comes_widens_and_one_that_goes_does_not(tmp_path: Path) -> None:
    both, one = (
        loaded(tmp_path / "old", SHIPPED),
        loaded(tmp_path / "new", SHIPPED.replace("upstream: crm\n", "upstream: crm2\n")),
    )
    assert {(change.place, change.what, change.widens) for change in changes(both, one)} == {
        ("crm", "upstream", False),
        ("crm2", "upstream", True),
    }


def test_a_credential_is_told_as_changed_and_never_shown(tmp_path: Path) -> None:
    text = SHIPPED.replace(
        'base: "embedded:"',
        'base: "https://crm.example/api"\ncredential: {from: env:CRM_TOKEN}\nheaders: {x-tenant: geheim}\n#',
    )
    hosts = frozenset({"crm.example:443", "crm.example"})
    sides = []
    for name, written in (
        ("old", text),
        ("new", text.replace("CRM_TOKEN", "OTHER_TOKEN").replace("geheim", "anders")),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "crm.yaml").write_text(written)
        sides.append(load(tmp_path / name, allowed_hosts=hosts, max_opaque_bytes=1))
    found = changes(*sides)
    assert {(change.what, change.was, change.now, change.widens) for change in found} == {
        ("credential", "", "", True),
        ("headers", "", "", True),
    }
