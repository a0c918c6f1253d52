"""The case files: run here and by the loader; a line that does not hold is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.catalogue import load as load_catalogue
from gateway.policy import load, run_cases
from gateway.policy.cases import CaseFailure
from gateway.policy.load import build
from tests.campaign.counts import in_proof_alone
from tests.policy import worlds

POLICY = """\
p, role:a, *, crm/customer, customer:read, -, service, True, allow
p, role:a, *, crm/customer, show:clear, public, service, True, allow
p, role:a, *, crm/customer, show:masked, contact, service, True, allow
p, role:a, *, crm/customer, set, contact, service, True, allow
"""
CASES = """\
now: "2026-11-02T10:00:00+08:00"
principals:
  kim: {application: {id: "app:shop", roles: ["role:a@branch:north"]}, purposes: [service]}
records:
  northern: {resource: crm/customer, facts: {unit: branch:north}}
  southern: {resource: crm/customer, facts: {unit: branch:south}}
cases:
  - principal: kim
    record: northern
    allow:
      - {actions: [customer:read], purposes: [service], clear: [public], masked: [/phone], set: [contact]}
  - {principal: kim, record: southern, allow: []}
"""


def failures(cases: str, policy: str = POLICY) -> list[CaseFailure]:
    given = worlds.files(policy) | {"cases/shop.yaml": cases.encode()}
    made, findings = build(given, worlds.ground())
    assert made is not None, findings
    return run_cases(made, worlds.world())


def test_cases_that_hold_say_nothing() -> None:
    assert failures(CASES) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("clear: [public], ", "", 11, "/id is clear, not withheld"),
        ("masked: [/phone]", "clear: [/phone]", 11, None),
        ("masked: [/phone]", "token: [/phone]", 11, "/phone is masked, not token"),
        ("set: [contact]", "set: [identity]", 11, "settable besides: ['/phone']; not settable: ['/name']"),
        ("actions: [customer:read]", "actions: [customer:read, customer:list]", 11, "it is denied (no-rule"),
        (
            "purposes: [service], clear",
            "purposes: [service, audit], clear",
            11,
            "it is denied (purpose-not-held",
        ),
        ("actions: [customer:read]", "actions: [customer:raed]", 8, "it is allowed by policy.csv:1"),
        ("actions: [customer:read]", "actions: [customer:raed]", 11, "no such action and purpose"),
        ("record: southern", "record: northern", 12, "it is allowed by policy.csv:1"),
        ("set: [contact]", "set: [contact], search: [contact]", 11, "searchable is ['/id']"),
        ("[public]", "[pubic]", 11, "`pubic` is no class and no field"),
        ("10:00:00+08:00", "10:00:00", 1, "a time needs its offset"),
        ("principal: kim\n    record: n", "principal: tim\n    record: n", 8, "no principal `tim`"),
        ("crm/customer, facts: {unit: branch:n", "crm/client, facts: {unit: branch:n", 5, "unknown resource"),
        ("facts: {unit: branch:north}", "facts: {unit: 1.5}", 5, "a fact is a text"),
        ("    allow:\n", "    alow:\n", 8, "missing: ['allow']; not known: ['alow']"),
        ("cases:\n", "cases: {}\nx:\n", 1, "not known: ['x']"),
        ("now: ", "now: [", 2, "this is not YAML"),
        ("now: ", "x: 2026-99-99\nnow: ", 1, "not known: ['x']"),
        ("now: ", "x: " + "[" * 5000 + "\nnow: ", 1, "nested deeper"),
        ("set: [contact]", "set: 5", 11, "`set` is a list of names"),
        ("set: [contact]", "set: null", 11, "`set` is a list of names"),
        ("purposes: [service]}", "purposes: 5}", 3, "`purposes` is a list of names"),
    ],
)
def test_a_line_that_does_not_hold_is_named(old: str, new: str, line: int, what: str | None) -> None:
    assert old in CASES
    found = failures(CASES.replace(old, new, 1))
    wanted = what or ""
    assert any(f.line == line and wanted in f.what for f in found), found
    assert all(f.file == "cases/shop.yaml" for f in found)


def test_a_wider_policy_fails_the_cases_that_list_less() -> None:
    wider = POLICY + "p, role:a, *, crm/customer, customer:list, -, service, True, allow\n"
    found = failures(CASES, wider)
    assert [(f.line, "customer:list for service" in f.what) for f in found] == [(8, True)]


def test_cases_that_ask_nothing_are_no_cases() -> None:
    empty = CASES[: CASES.index("cases:")] + "cases: []\n"
    assert [f.what for f in failures(empty)] == ["`cases` lists nothing"]


@pytest.fixture(scope="module")
def shipped() -> tuple[object, object]:
    folder = worlds.ROOT / "policies"
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset({"127.0.0.1:8917"}))
    return load(Path(folder), catalogue), catalogue


def test_the_shipped_cases_hold(shipped: tuple) -> None:
    assert run_cases(*shipped) == []


@in_proof_alone("ten seconds of pycasbin; what differs is looked for by the differential test")
def test_the_shipped_cases_hold_in_pycasbin_too(shipped: tuple) -> None:
    bundle, catalogue = shipped
    assert run_cases(bundle, catalogue, reference=True) == []
