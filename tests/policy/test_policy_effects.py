"""Who gains and who loses what by a change: each effect once, none that another rule makes no difference."""

from __future__ import annotations

import pytest

from gateway.policy.bundle import Bundle
from gateway.policy.compare.effects import MOST, effects
from gateway.policy.load import build
from tests.policy import worlds

BASE = """\
p, role:a, *, crm/customer, customer:read, -, service, True, allow
p, role:a, *, crm/customer, show:clear, contact, service, True, allow
p, role:b, branch:north, crm/customer, customer:read, -, service, True, allow
g, role:c, role:a, *
g, person:https://id.example#kim, role:c, branch:north
"""


def made(policy: str) -> Bundle:
    bundle, findings = build(worlds.files(policy), worlds.ground())
    assert bundle is not None, [str(finding) for finding in findings]
    return bundle


def told(new: str, old: str = BASE) -> set[tuple[bool, str, str, str, str, int]]:
    found = effects(made(old), made(new), worlds.world())
    return {(one.gains, one.holder, one.unit, one.act, one.field, one.people) for one in found.effects}


READ = "p, role:b, *, crm/customer, customer:read, -, service, True, allow\n"
UPDATE = "p, role:a, *, crm/customer, customer:update, -, service, True, allow\n"
DENY = 'p, role:a, *, crm/customer, customer:read, -, *, r.rec.level == "vip", deny\n'


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (BASE, set()),
        # Whoever inherits the role gains as well; the person that a link names is counted.
        (
            BASE + UPDATE,
            {(True, r, "*", "customer:update", "-", n) for r, n in (("role:a", 1), ("role:c", 1))},
        ),
        (BASE + DENY, {(False, r, "*", "customer:read", "-", n) for r, n in (("role:a", 1), ("role:c", 1))}),
        (
            BASE + DENY.replace("customer:read", "customer:*"),
            {(False, r, "*", "customer:*", "-", 1) for r in ("role:a", "role:c")},
        ),
        # Of what nobody is allowed a deny takes nothing.
        (BASE + DENY.replace("customer:read", "customer:update"), set()),
        # Another rule says it already.
        (
            BASE + 'p, role:a, *, crm/customer, show:clear, /phone, service, r.rec.region == "east", allow\n',
            set(),
        ),
        (BASE + READ, {(True, "role:b", "*", "customer:read", "-", 0)}),
        (
            BASE.replace("role:b, branch:north", "role:b, branch:south"),
            {
                (True, "role:b", "branch:south", "customer:read", "-", 0),
                (False, "role:b", "branch:north", "customer:read", "-", 0),
            },
        ),
        (BASE + "g, role:d, role:b, *\n", {(True, "role:d", "branch:north", "customer:read", "-", 0)}),
        (
            BASE.replace("g, role:c, role:a, *\n", ""),
            {
                (False, "role:c", "*", "customer:read", "-", 1),
                (False, "role:c", "*", "show:clear", "contact", 1),
            },
        ),
    ],
)
def test_each_effect_is_told_once(new: str, expected: set[tuple[bool, str, str, str, str, int]]) -> None:
    assert told(new) == expected
    # Backwards the same things are lost that were gained.
    assert {(not gains, *rest) for gains, *rest in told(BASE, old=new)} == expected


def test_links_that_come_and_go_are_told() -> None:
    new = BASE.replace("#kim, role:c, branch:north", "#kim, role:b, *")
    found = effects(made(BASE), made(new), worlds.world()).links
    assert [(one.gains, one.member, one.role, one.unit) for one in found] == [
        (True, worlds.PERSON, "role:b", "*"),
        (False, worlds.PERSON, "role:c", "branch:north"),
    ]


def test_of_a_large_change_the_rest_is_counted() -> None:
    many = "".join(
        f'p, role:d, *, crm/customer, customer:read, -, service, r.rec.region == "r{n}", allow\n'
        for n in range(MOST + 5)
    )
    found = effects(made(BASE), made(BASE + many), worlds.world())
    assert (len(found.effects), found.more) == (MOST, 5)
