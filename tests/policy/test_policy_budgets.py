"""budgets.yaml: read strictly, binding whoever has the role by whatever way, part of the bundle; what loosens one is a widening."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from gateway import planning
from gateway.catalogue import load as load_catalogue
from gateway.commands.plan_page import page
from gateway.policy import check, effects, load, widened
from gateway.policy.bundle import Bundle
from gateway.policy.decider import Engine, Refusal, prepare
from gateway.policy.finding import Finding, Severity
from gateway.policy.known import known
from gateway.policy.load import build, examine
from gateway.text import Language
from gateway.words.budget import Budget, Counted
from gateway.words.errors import Misconfigured
from gateway.words.principal import Party, RoleHeld
from gateway.words.resource import SubjectRule
from gateway.words.widening import Why
from tests.policy import worlds

READ = "p, role:a, *, crm/customer, customer:read, -, *, True, allow\n"
ONE = "  one: {role: role:a, counts: searches, most: 10, window: 1h}\n"


def built(*lines: str, policy: str = READ, subject: bool = True) -> tuple[Bundle | None, list[Finding]]:
    spec = worlds.spec("customer", "unit", "level")
    spec = replace(spec, subject=SubjectRule("customer") if subject else None)
    files = worlds.files(policy)
    if lines:
        files["budgets.yaml"] = ("budgets:\n" + "".join(lines)).encode()
    return build(files, known(worlds.world(spec)))


def made(*lines: str, policy: str = READ) -> Bundle:
    bundle, findings = built(*lines, policy=policy)
    assert bundle is not None, [str(finding) for finding in findings]
    return bundle


def test_a_budget_is_read_with_everything_it_says() -> None:
    (one, other) = made(
        "  a-day: {role: role:a, counts: subjects, most: 2000, window: 1d}\n",
        "  b-hours:\n",
        "    {role: role:b, counts: clear-fields, most: 5, window: 90m, unit: branch:north,\n",
        "     resource: crm/customer, purpose: audit}\n",
    ).budgets
    assert one == Budget("a-day", "role:a", Counted.SUBJECTS, 2000, 86400, line=2)
    assert other == Budget(
        "b-hours", "role:b", Counted.CLEAR_FIELDS, 5, 5400, "branch:north", "crm/customer", "audit", line=3
    )


@pytest.mark.parametrize(
    ("line", "rule", "at"),
    [
        ("  - x\n", "budgets-unreadable", 1),
        ("  One: {role: role:a, counts: searches, most: 1, window: 1h}\n", "budget-name", 2),
        ("  one: 3\n", "budget-incomplete", 2),
        ("  one: {role: role:a, counts: searches, most: 1}\n", "budget-incomplete", 2),
        (
            "  one:\n    {role: role:a, counts: searches, most: 1, window: 1h,\n     per: x}\n",
            "budget-incomplete",
            4,
        ),
        ("  one: {role: role:aa, counts: searches, most: 1, window: 1h}\n", "budget-unknown", 2),
        ('  one: {role: "*", counts: searches, most: 1, window: 1h}\n', "budget-unknown", 2),
        ("  one: {role: person:x, counts: searches, most: 1, window: 1h}\n", "budget-unknown", 2),
        ("  one: {role: [role:a], counts: searches, most: 1, window: 1h}\n", "budget-unknown", 2),
        ("  one: {role: role:a, counts: exports, most: 1, window: 1h}\n", "budget-unknown", 2),
        ("  one: {role: role:a, counts: [searches], most: 1, window: 1h}\n", "budget-unknown", 2),
        ("  one: {role: role:a, counts: searches, most: 1, window: 1h, purpose: fun}\n", "budget-unknown", 2),
        (
            "  one: {role: role:a, counts: searches, most: 1, window: 1h, resource: crm/x}\n",
            "budget-unknown",
            2,
        ),
        (
            "  one: {role: role:a, counts: subjects, most: 1, window: 1h, unit: branch:x}\n",
            "budget-unknown",
            2,
        ),
        ("  one: {role: role:a, counts: searches, most: 0, window: 1h}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: -1, window: 1h}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: true, window: 1h}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: 1.5, window: 1h}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: 1000000001, window: 1h}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: 1, window: 0h}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: 1, window: 367d}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: 1, window: 60}\n", "budget-number", 2),
        ("  one: {role: role:a, counts: searches, most: 1, window: 10s}\n", "budget-number", 2),
        (
            "  one: {role: role:a, counts: searches, most: 1, window: 1h, unit: branch:north}\n",
            "budget-idle",
            2,
        ),
        (
            "  one: {role: role:a, counts: clear-fields, most: 1, window: 1h, unit: branch:north, resource: gatehouse/key}\n",
            "budget-idle",
            2,
        ),
        (
            "  one: {role: role:a, counts: subjects, most: 1, window: 1h, resource: gatehouse/key}\n",
            "budget-idle",
            2,
        ),
        (ONE + ONE, "budgets-unreadable", 3),
        ("  x: &x {role: role:a, counts: searches, most: 1, window: 1h}\n", "budgets-unreadable", 2),
    ],
)
def test_what_is_wrong_is_refused_by_line(line: str, rule: str, at: int) -> None:
    bundle, findings = built(line)
    assert bundle is None
    assert [(f.file, f.line, f.severity, f.rule) for f in findings] == [
        ("budgets.yaml", at, Severity.ERROR, rule)
    ]


@pytest.mark.parametrize("text", ["budgets: 3\n", "other: {}\n", "budgets: {}\nmore: 1\n", "- x\n", "text\n"])
def test_what_is_no_file_of_budgets_is_refused(text: str) -> None:
    bundle, findings = build({**worlds.files(READ), "budgets.yaml": text.encode()}, worlds.ground())
    assert bundle is None
    assert {f.rule for f in findings} == {"budgets-unreadable"}


def test_a_file_with_too_many_is_refused() -> None:
    bundle, findings = built(*(ONE.replace("one", f"n{n}") for n in range(201)))
    assert bundle is None
    assert [f.rule for f in findings] == ["budgets-unreadable"]


@pytest.mark.parametrize(
    ("other", "implied"),
    [
        ("  two: {role: role:a, counts: searches, most: 10, window: 1h}\n", [3]),
        ("  two: {role: role:a, counts: searches, most: 11, window: 1h, purpose: audit}\n", [3]),
        ("  two: {role: role:a, counts: searches, most: 9, window: 1h}\n", [2]),
        ("  two: {role: role:a, counts: searches, most: 9, window: 1h, purpose: audit}\n", []),
        ("  two: {role: role:a, counts: searches, most: 11, window: 1d}\n", []),
        ("  two: {role: role:b, counts: searches, most: 11, window: 1h}\n", []),
    ],
)
def test_a_budget_that_another_makes_needless_is_named(other: str, implied: list[int]) -> None:
    bundle, findings = built(ONE, other)
    assert bundle is not None
    assert [(f.rule, f.line) for f in findings] == [("budget-implied", line) for line in implied]


# ── whom it binds ────────────────────────────────────────────────────────────────────────────────────────────────────

LINKS = """\
g, role:b, role:a, *
g, person:https://id.example#kim, role:c, branch:north
g, role:c, role:a, branch:north
"""


def met(*parties: Party, purpose: str = "service", lines: tuple[str, ...] = (ONE,)) -> list[str]:
    engine = Engine(made(*lines, policy=READ + LINKS))
    spec = worlds.spec("customer", "unit", "level")
    who = worlds.principal(*parties, purposes=frozenset({"service", "audit"}))
    asked = prepare(engine, worlds.access(who, purpose=purpose), spec, 0)
    again = prepare(engine, worlds.access(who, purpose=purpose), spec, 0)
    assert asked.budgets == again.budgets
    return [budget.name for budget in asked.budgets]


def holding(role: str, unit: str = "*", who: str = "app:x") -> Party:
    return Party(who, frozenset({RoleHeld(role, unit)}))


def test_it_binds_whoever_has_the_role_by_whatever_way() -> None:
    nobody = Party("app:y")
    assert met(holding("role:a")) == ["one"]
    assert met(holding("role:a", "branch:south")) == ["one"]
    assert met(holding("role:b")) == ["one"]  # by a link
    assert met(nobody, Party(worlds.PERSON)) == ["one"]  # by two, within a unit
    assert met(nobody, holding("role:a", who="person:https://id.example#lee")) == ["one"]
    assert met(holding("role:a"), Party("person:https://id.example#lee")) == ["one"]  # his application
    assert met(holding("role:d")) == met(nobody) == []


def test_one_for_a_unit_binds_whoever_has_the_role_there() -> None:
    lines = ("  one: {role: role:a, counts: subjects, most: 10, window: 1h, unit: branch:north}\n",)
    assert met(holding("role:a", "branch:north"), lines=lines) == ["one"]
    assert met(holding("role:a"), lines=lines) == ["one"]
    assert met(holding("role:a", "branch:south"), lines=lines) == []
    assert met(Party("app:y"), Party(worlds.PERSON), lines=lines) == ["one"]


def test_one_for_a_purpose_or_a_resource_binds_for_that() -> None:
    lines = (
        ONE.replace("1h", "1h, purpose: audit"),
        ONE.replace("one", "two").replace("1h", "1h, resource: gatehouse/key"),
    )
    assert met(holding("role:a"), lines=lines) == []
    assert met(holding("role:a"), purpose="audit", lines=lines) == ["one"]


def test_what_is_denied_before_it_is_a_question_meets_none() -> None:
    assert Refusal.budgets == ()
    assert met(holding("role:a"), lines=()) == []


# ── part of the bundle ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "policies"
    shutil.copytree(worlds.ROOT / "policies", copy)
    return copy


def test_the_digest_covers_it_and_without_it_there_is_none(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    with_it = load(folder, catalogue)
    assert with_it.budgets
    file = folder / "budgets.yaml"
    file.write_text(file.read_text() + "# a word\n")
    again = load(folder, catalogue)
    assert (again.budgets, again.digest == with_it.digest) == (with_it.budgets, False)
    file.unlink()
    assert load(folder, catalogue).budgets == ()


def test_a_file_that_is_there_and_cannot_be_read_is_refused(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    file = folder / "budgets.yaml"
    file.unlink()
    file.symlink_to(folder / "gone.yaml")
    bundle, findings = examine(folder, catalogue)
    assert (bundle, [(f.file, f.rule) for f in findings]) == (None, [("budgets.yaml", "file-unreadable")])
    file.unlink()
    file.mkdir()
    with pytest.raises(Misconfigured, match=r"budgets\.yaml:1"):
        load(folder, catalogue)


def test_a_mistake_in_it_is_found_by_the_command(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    file = folder / "budgets.yaml"
    file.write_text(file.read_text().replace("role:collector", "role:collectr"))
    said = [f for f in check(folder, catalogue) if f.file == "budgets.yaml"]
    assert [(f.rule, f.suggestion) for f in said] == [("budget-unknown", "Perhaps `role:collector` is meant")]


# ── what loosens one ─────────────────────────────────────────────────────────────────────────────────────────────────


def why(old: Bundle, new: Bundle) -> set[Why]:
    return {one.why for one in widened(old, new, worlds.world())}


@pytest.mark.parametrize(
    ("now", "widens"),
    [
        ((ONE,), False),
        ((ONE.replace("10", "9"),), False),
        ((ONE, ONE.replace("one", "two")), False),
        ((), True),
        ((ONE.replace("10", "11"),), True),
        ((ONE.replace("one", "two"),), True),  # another name counts anew
        ((ONE.replace("1h", "2h"),), True),
        ((ONE.replace("1h", "1h, purpose: audit"),), True),
        ((ONE.replace("1h", "1h, resource: crm/customer"),), True),
        ((ONE.replace("role:a", "role:b"),), True),
        ((ONE.replace("searches", "clear-fields"),), True),
    ],
)
def test_a_budget_that_binds_less_widens(now: tuple[str, ...], widens: bool) -> None:
    old, new = made(ONE), made(*now)
    found = widened(old, new, worlds.world())
    assert {one.why for one in found} == ({Why.BUDGET} if widens else set())
    if widens:
        (one,) = found
        assert (one.rule.file, one.rule.line, one.was, one.about) == ("budgets.yaml", 2, True, "one")  # type: ignore[union-attr]


def test_a_budget_that_binds_more_people_or_more_things_does_not_widen() -> None:
    narrow = ONE.replace("1h", "1h, purpose: audit")
    assert why(made(narrow), made(ONE)) == set()
    assert why(made(), made(ONE)) == set()
    links = "g, role:b, role:a, *\n"
    over_b = ONE.replace("role:a", "role:b")
    # Moved down to a role that its holders have by a link.
    assert why(made(over_b, policy=READ + links), made(ONE, policy=READ + links)) == set()


def test_who_no_longer_has_the_role_by_a_link_is_bound_no_longer() -> None:
    with_link, without = READ + "g, role:b, role:a, *\n", READ
    assert why(made(ONE, policy=with_link), made(ONE, policy=without)) == {Why.BUDGET}
    here = READ + "g, role:b, role:a, branch:north\n"
    assert why(made(ONE, policy=here), made(ONE, policy=without)) == {Why.BUDGET}


def test_what_is_proven_not_to_widen_binds_nobody_less() -> None:
    """Random budgets and links, changed at random: where nothing is found, whoever was bound still is, as tightly."""
    dice = Random("budgets")
    roles = ["role:a", "role:b", "role:c", "role:d"]
    proven = 0
    for _ in range(150):
        links = [
            (a, b, u)
            for a in roles
            for b in roles
            if a < b
            for u in ("*", "branch:north")
            if dice.random() < 0.2
        ]
        lines = [
            f"  n{n}: {{role: {dice.choice(roles)}, counts: clear-fields, most: {dice.randrange(1, 4)}, window: 1h"
            + dice.choice(["", ", unit: branch:north", ", purpose: audit"])
            + "}\n"
            for n in range(dice.randrange(1, 4))
        ]
        sides = []
        for _side in range(2):
            policy = READ + "".join(f"g, {a}, {b}, {u}\n" for a, b, u in links)
            bundle, _ = built(*lines, policy=policy)
            if bundle is None:  # a chain that leaves a unit and comes back: no policy
                break
            sides.append(bundle)
            if links and dice.random() < 0.5:
                links.pop(dice.randrange(len(links)))
            if dice.random() < 0.5:
                at = dice.randrange(len(lines))
                lines[at] = lines[at].replace("most: 2", "most: 3").replace(", purpose: audit", "")
        if len(sides) < 2 or widened(sides[0], sides[1], worlds.world()):
            continue
        proven += 1
        engines = [Engine(side) for side in sides]
        spec = worlds.spec("customer", "unit", "level")
        for role in roles:
            for unit in ("*", "branch:north", "branch:south"):
                for purpose in ("service", "audit"):
                    who = worlds.principal(holding(role, unit), purposes=frozenset({purpose}))
                    before, after = (e.budgets(who, purpose, spec) for e in engines)
                    for one in before:
                        assert any(
                            o.name == one.name and o.most <= one.most and o.unit in (one.unit, "*")
                            for o in after
                        ), (role, unit, purpose, one, after)
    assert proven > 20


def test_the_plan_says_which_budgets_change(folder: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    shutil.copytree(folder, draft)
    file = draft / "budgets.yaml"
    text = file.read_text().replace("most: 3000, window: 1h", "most: 4000, window: 1h")
    file.write_text("\n".join(line for line in text.splitlines() if "marketer" not in line) + "\n")
    plan = planning.plan(folder, draft, frozenset(), 1_000_000)
    assert {(one.why, one.about) for one in plan.widenings} == {
        (Why.BUDGET, "agent-customers-an-hour"),
        (Why.BUDGET, "marketer-customers"),
    }
    assert [(one.name, one.now is None, one.looser) for one in plan.effects.budgets] == [
        ("agent-customers-an-hour", False, True),
        ("marketer-customers", True, True),
    ]
    for language, title, reason in (
        (Language.ENGLISH, "Budgets", "a budget binds no more, or less tightly"),
        (Language.CHINESE, "预算", "某项预算不再适用"),
    ):
        said = page(plan, language, markdown=False)
        assert title in said
        assert reason in said
        assert "role:agent, subjects 4000, window 1h" in said
        assert "budgets.yaml:" in said
    back = planning.plan(draft, folder, frozenset(), 1_000_000)
    assert back.widenings == ()
    assert [one.looser for one in back.effects.budgets] == [False, False]


def test_the_same_budgets_are_no_effect() -> None:
    assert effects(made(ONE), made(ONE), worlds.world()).budgets == ()
