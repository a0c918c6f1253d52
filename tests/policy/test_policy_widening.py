"""What is proven to widen nobody's access widens nobody's: the old policy and the new one are asked the same questions."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from gateway.policy.bundle import Bundle
from gateway.policy.compare import widening
from gateway.policy.compare.widening import widened
from gateway.policy.condition import Asked
from gateway.policy.decider import Engine
from gateway.policy.facts import environment, plain, unit_of
from gateway.policy.load import build
from gateway.policy.plan import Question
from gateway.words.decision import narrower
from gateway.words.widening import Why
from tests.campaign.counts import count, dice
from tests.policy import worlds

POLICIES, QUESTIONS = count(60, 4_000), 40
BASE = """\
p, role:a, *, crm/customer, customer:read, -, service, True, allow
p, role:a, *, crm/customer, show:masked, contact, service, True, allow
p, role:b, *, crm/customer, customer:read, -, service, r.rec.level == "low", allow
p, role:a, *, crm/customer, customer:*, -, *, r.rec.level == "vip", deny
p, role:d, *, crm/customer, show:token, contact, service, True, allow
g, role:c, role:b, *
"""


VIP = 'r.rec.level == "vip"'


def made(policy: str, **files: str) -> Bundle:
    bundle, findings = build(worlds.files(policy, **files), worlds.ground())
    assert bundle is not None, [str(finding) for finding in findings]
    return bundle


def reasons(old: str, new: str) -> set[Why]:
    return {one.why for one in widened(made(old), made(new), worlds.world())}


def without(policy: str, part: str) -> str:
    (line,) = [line for line in policy.splitlines(keepends=True) if part in line]
    return policy.replace(line, "")


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (BASE, set()),
        ("".join(reversed(BASE.splitlines(keepends=True))), set()),
        (
            BASE + 'p, role:b, *, crm/customer, customer:read, -, service, r.rec.region == "east", allow\n',
            {Why.ALLOWED},
        ),
        (BASE + "p, role:b, *, crm/customer, customer:update, -, service, True, allow\n", {Why.ALLOWED}),
        (BASE + "p, role:a, *, crm/customer, customer:read, -, *, True, allow\n", {Why.ALLOWED}),
        (
            BASE
            + 'p, role:a, branch:north, crm/customer, customer:read, -, service, r.rec.region == "east", allow\n',
            set(),
        ),
        (BASE + "p, role:a, *, crm/customer, show:masked, /phone, service, True, allow\n", set()),
        (BASE + "p, role:a, *, crm/customer, show:masked, identity, service, True, allow\n", {Why.ALLOWED}),
        (BASE.replace('"low"', '"lower"'), {Why.ALLOWED, Why.NO_LONGER_FAILS}),
        (BASE.replace('r.rec.level == "low"', 'r.rec.level == "low" and r.rec.region == "east"'), set()),
        # What fails first decides: where the region is asked before, a level that cannot be compared no longer denies.
        (
            BASE.replace('r.rec.level == "low"', 'r.rec.region == "east" and r.rec.level == "low"'),
            {Why.NO_LONGER_FAILS},
        ),
        (without(BASE, "deny"), {Why.NO_LONGER_DENIED}),
        (BASE.replace("customer:*", "customer:read"), {Why.NO_LONGER_DENIED}),
        (BASE.replace('== "vip"', '== "vip" and r.rec.owner == r.sub.id'), {Why.NO_LONGER_DENIED}),
        (BASE.replace('-, *, r.rec.level == "vip"', "-, *, True"), set()),
        (
            BASE.replace('-, *, r.rec.level == "vip"', '-, service, r.rec.level == "vip"'),
            {Why.NO_LONGER_DENIED},
        ),
        (BASE.replace("*, crm/customer, customer:*", "*, *, customer:*"), set()),
        # Of a condition without facts the order says nothing; with them what is asked first decides what fails.
        (BASE.replace(VIP, f"{VIP} and r.sub.alone == True"), {Why.NO_LONGER_DENIED}),
        (BASE + "g, role:b, role:a, *\n", {Why.ROLE}),
        (BASE + "g, role:b, role:a, branch:north\n", {Why.ROLE}),
        (without(BASE, "g, role:c"), {Why.NO_LONGER_FAILS}),
        (without(BASE, "show:masked"), {Why.TOKEN_FOR_MASK}),
        (without(without(BASE, "show:token"), "show:masked"), set()),
        (without(BASE, "show:token"), set()),
        (
            BASE + "p, role:a, *, crm/customer, show:masked, /phone, service, r.rec.level < 3, allow\n",
            {Why.TOKEN_FOR_MASK},
        ),
        (BASE + "p, role:b, *, crm/customer, show:*, contact, service, True, deny\n", set()),
    ],
)
def test_what_a_change_could_give(new: str, why: set[Why]) -> None:
    assert reasons(BASE, new) == why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (BASE.replace("*, crm/customer, customer:*", "*, *, customer:*"), BASE, {Why.NO_LONGER_DENIED}),
        (
            BASE.replace(VIP, "r.sub.grade == 2 and r.sub.alone == True"),
            BASE.replace(VIP, "r.sub.alone == True and r.sub.grade == 2"),
            set(),
        ),
        (
            BASE.replace(VIP, f"{VIP} and r.rec.owner == r.sub.id"),
            BASE.replace(VIP, f"r.rec.owner == r.sub.id and {VIP}"),
            {Why.NO_LONGER_DENIED},
        ),
        (
            BASE.replace("role:a, *, crm/customer, customer:*", "role:a, *, crm/customer, customer:read"),
            BASE.replace(
                "p, role:a, *, crm/customer, customer:*",
                "p, role:a, branch:north, crm/customer, customer:read",
            ),
            {Why.NO_LONGER_DENIED},
        ),
    ],
)
def test_a_deny_is_replaced_by_one_that_denies_as_much(old: str, new: str, why: set[Why]) -> None:
    assert reasons(old, new) == why


def test_a_reason_names_its_rule_and_for_whom() -> None:
    new = BASE + "p, role:b, *, crm/customer, customer:update, -, service, True, allow\n"
    (allowed,) = widened(made(BASE), made(new), worlds.world())
    assert allowed.rule is not None
    assert (allowed.rule.file, allowed.rule.line, allowed.was, allowed.holder, allowed.unit) == (
        "policy.csv",
        7,
        False,
        "role:b",
        "*",
    )
    (gone,) = widened(made(BASE), made(without(BASE, "deny")), worlds.world())
    assert gone.rule is not None
    assert (gone.rule.line, gone.was, gone.holder) == (4, True, "role:a")
    (role,) = widened(made(BASE), made(BASE + "g, role:b, role:a, branch:north\n"), worlds.world())
    assert (role.about, role.holder, role.unit, role.rule) == ("role:a", "role:b", "branch:north", None)


def test_a_new_purpose_another_clock_and_stock_casbin_are_never_proven() -> None:
    purpose = worlds.VOCABULARY.replace("purposes:\n", "purposes:\n  other: {zh: 其他, en: other}\n")
    clock = worlds.VOCABULARY.replace("+08:00", "+07:00")
    hours = BASE.replace('r.rec.level == "low"', "r.env.hour < 9")
    for old, new, why in (
        (made(BASE), made(BASE, vocabulary=purpose), Why.PURPOSE),
        (made(hours), made(hours, vocabulary=clock), Why.CLOCK),
        (made(BASE), made(BASE, vocabulary=clock), None),
        (
            made(BASE),
            made(
                BASE,
                model=worlds.MODEL.replace(
                    " && eval(p.cond)", ' && regexMatch(r.who, "^role:[a-z]+$") && eval(p.cond)'
                ),
            ),
            Why.ENGINE,
        ),
    ):
        assert [one.why for one in widened(old, new, worlds.world())] == ([] if why is None else [why])


def test_what_is_too_much_to_look_through_is_not_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widening, "MOST_CHANGED", 1)
    assert reasons(BASE, without(BASE, "show:token")) == set()
    assert reasons(BASE, without(without(BASE, "show:token"), "show:masked")) == {Why.TOO_MUCH}


def edited(policy: str, roll: Random) -> str:
    """A change as an administrator makes one: mostly small."""
    lines = policy.splitlines()
    for _ in range(roll.choice((1, 1, 1, 2, 3))):
        at = roll.randrange(len(lines))
        columns = lines[at].split(", ")
        match roll.choice(("drop", "strict", "strict", "effect", "column", "add", "add", "link")):
            case "drop":
                del lines[at]
            case "strict" if columns[0] == "p" and len(columns) == 9:
                more = worlds.condition(roll, 0)
                columns[7] = (
                    more
                    if columns[7] == "True"
                    else roll.choice((f"({columns[7]}) and {more}", f"{more} and ({columns[7]})"))
                )
                lines[at] = ", ".join(columns)
            case "column" if columns[0] == "p":
                other = roll.choice(lines).split(", ")
                place = roll.randrange(1, 7)
                if len(other) == len(columns):
                    columns[place] = other[place]
                    lines[at] = ", ".join(columns)
            case "add":
                deny = 0.8 if roll.random() < 0.6 else 0.2
                lines += worlds.policy(roll, 3, deny=deny).splitlines()[3:4]
            case "link":
                lines.append(
                    f"g, {roll.choice(worlds.ROLES)}, {roll.choice(worlds.ROLES)}, {roll.choice(('*', *worlds.UNITS))}"
                )
            case _:
                pass
    return "\n".join(dict.fromkeys(lines)) + "\n"


def pairs(roll: Random) -> tuple[Bundle, Bundle]:
    while True:
        policy = worlds.policy(roll, roll.randrange(4, 14), deny=roll.choice((0.1, 0.3, 0.5)))
        old, _ = build(worlds.files(policy), worlds.ground())
        new, _ = build(worlds.files(edited(policy, roll)), worlds.ground())
        if old is not None and new is not None:
            return old, new


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_nobody_gains_by_a_change_that_is_proven_to_widen_nothing() -> None:
    roll, seen = dice("widening"), Counter[str]()
    for _ in range(POLICIES):
        old, new = pairs(roll)
        if old.digest == new.digest:
            continue
        proven = not widened(old, new, worlds.world())
        engines = Engine(old), Engine(new)
        gained = False
        for _ in range(QUESTIONS):
            parties = tuple(worlds.some_party(roll) for _ in range(roll.choice((1, 1, 2))))
            known, purpose = worlds.some_facts(roll), roll.choice(("service", "service", "audit", "-"))
            action = roll.choice(("customer:read", "customer:read", "customer:update", "customer:list"))
            time = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(hours=roll.randrange(24))
            before, after = (
                Question(bundle, parties, action, purpose, worlds.CUSTOMER).answer(
                    [
                        Asked(
                            plain(known, bundle.facts, bundle.sets),
                            engine.subject(party, alone=len(parties) == 1),
                            environment(time, bundle.vocabulary.zone),
                            purpose,
                            unit_of(known),
                        )
                        for party in parties
                    ]
                )[0]
                for engine, bundle in zip(engines, (old, new), strict=True)
            )
            gained |= after.allowed and not before.allowed
            gained |= not after.write <= before.write
            gained |= any(
                narrower(before.read.of(pattern), shown) != shown
                for pattern, shown in after.read.by_pattern.items()
            )
            if proven:
                assert not gained, (
                    before,
                    after,
                    parties,
                    known,
                    action,
                    purpose,
                    new.files["policy.csv"].decode(),
                )
        seen["proven" if proven else "gained" if gained else "perhaps"] += 1
    # Neither is empty: small changes are proven, and what gives somebody more is met and never among them.
    assert seen["proven"] > POLICIES // 10, seen
    assert seen["gained"] > POLICIES // 60, seen
