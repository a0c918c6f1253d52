"""What `gatehouse policy check` says besides what a load asks for: broad rules, secrets, coverage, the engine, SARIF."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway.catalogue import load as load_catalogue
from gateway.policy import Review, Severity, load, review
from gateway.policy.links import hold_links
from gateway.policy.lint import near
from gateway.policy.lint.broad import broad, unheld
from gateway.policy.lint.covering import Covering
from gateway.policy.lint.dead import Dead
from gateway.policy.lint.near import Near
from gateway.policy.load import build
from gateway.policy.source import Row
from tests.policy import worlds

READ = "p, role:a, *, crm/customer, customer:read, -, service, True, allow\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "policies"
    shutil.copytree(worlds.ROOT / "policies", copy)
    return copy


def reviewed(folder: Path) -> Review:
    return review(folder, load_catalogue(folder / "catalogue", allowed_hosts=frozenset()))


def added(folder: Path, name: str, *rows: str) -> None:
    with (folder / name).open("a") as file:
        file.write("\n".join(rows) + "\n")


def said(found: Review) -> list[tuple[str, str]]:
    return [(finding.rule, finding.file) for finding in found.findings]


# --- the shipped folder ------------------------------------------------------------------------------------------------------------


def test_every_shipped_rule_decides_in_a_case(folder: Path) -> None:
    found = reviewed(folder)
    assert [str(finding) for finding in found.findings] == []
    assert (found.engine, found.covered) == ("gatehouse-policy/1", 100.0)
    assert found.rules == found.decided == (folder / "policy.csv").read_text().count("\np, ")


def test_a_folder_is_looked_at_by_every_part(folder: Path) -> None:
    names = folder / "vocabulary.yaml"
    names.write_text(
        names.read_text().replace("  role:seeder:", "  role:ghost: {zh: 无, en: no one}\n  role:seeder:")
    )
    added(
        folder,
        "policy.csv",
        "p, role:ghost, *, crm/customer, show:clear, contact, *, True, allow",
        "p, role:ghost, *, crm/customer, customer:read, -, *, r.env.hour < 3 and r.env.hour > 4, deny",
    )
    first = (folder / "policy.csv").read_text().count("\n") - 1
    found = [(finding.rule, finding.line - first) for finding in reviewed(folder).findings]
    assert sorted(found) == [
        ("broad-personal", 0),
        ("never-true", 1),
        ("role-unheld", 0),
        ("uncovered", 0),
        ("uncovered", 1),
    ]


# --- names -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "meant"),
    [
        ("role:a,", "role:A,", "role:a"),
        ("crm/customer", "crm/custmer", "crm/customer"),
        ("customer:read", "customer:raed", "customer:read"),
        ("service", "servcie", "service"),
        ("allow", "alow", "allow"),
        ("*, crm", "branch:nort, crm", "branch:north"),
        ("customer:read, -", "show:clear, contacts", "contact"),
        ("customer:read, -", "show:clear, /phones", "/phone"),
        ("customer:read, -", "show:cleer, contact", "show:clear"),
        ("True", "r.rec.lvel == 1", "level"),
        ("True", "r.sub.grad == 1", "grade"),
    ],
)
def test_a_mistyped_name_is_told_the_nearest(old: str, new: str, meant: str) -> None:
    assert old in READ
    _made, findings = build(worlds.files(READ.replace(old, new, 1)), worlds.ground())
    assert f"Perhaps `{meant}` is meant" in [finding.suggestion for finding in findings]


def test_a_name_like_no_other_is_told_where_names_are_declared() -> None:
    _made, findings = build(worlds.files(READ.replace("role:a", "role:zookeeper")), worlds.ground())
    assert "Declare it in vocabulary.yaml: role:a, role:b, role:c, role:d" in [f.suggestion for f in findings]
    _made, findings = build(worlds.files(READ.replace("crm/customer", "crm/.*")), worlds.ground())
    assert any("a column is compared, no pattern" in f.suggestion for f in findings)
    _made, findings = build(worlds.files("g, role:a, role:bb, *\n" + READ), worlds.ground())
    assert "Perhaps `role:b` is meant" in [finding.suggestion for finding in findings]


def test_names_are_looked_for_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(near, "_closest", lambda name, known: asked.append(name))
    suggesting = Near()
    for number in range(500):
        for _ in range(2):
            suggesting.suggest(f"role:x{number}", ["role:a"], "Declare it")
    assert len(asked) == near.MOST


# --- broad rules -------------------------------------------------------------------------------------------------------------------

CLEAR = "p, role:a, *, crm/customer, show:clear, contact, *, True, allow\n"
CEILING = "p, role:a, *, *, customer:*, -, *, r.sub.alone == True, deny\n"


def broad_lines(policy: str) -> list[int]:
    found = list(broad(worlds.bundle(READ + policy), worlds.ground()))
    assert {finding.rule for finding in found} <= {"broad-personal"}
    return [finding.line for finding in found]


def test_personal_data_in_clear_for_every_purpose_is_broad() -> None:
    assert broad_lines(CLEAR) == [2]
    assert broad_lines(CLEAR.replace("contact", "/phone")) == [2]
    assert broad_lines(CLEAR.replace("True", "r.env.hour < 99 or True".replace("99", "9"))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("*, True", "service, True"),
        ("True", 'r.rec.owner == "x"'),
        ("role:a, *", "role:a, branch:north"),
        ("show:clear", "show:masked"),
        ("contact", "internal"),
        ("contact", "/id"),
        ("show:clear, contact", "set, contact"),
    ],
)
def test_what_is_narrowed_is_not_broad(old: str, new: str) -> None:
    assert broad_lines(CLEAR.replace(old, new)) == []


def test_an_applications_ceiling_is_not_broad() -> None:
    assert broad_lines(CLEAR + CEILING) == []
    assert broad_lines(CLEAR + CEILING + "g, app:shop, role:a, *\n") == []
    assert broad_lines(CLEAR + CEILING.replace("role:a", "role:b") + "g, role:a, role:b, *\n") == []


@pytest.mark.parametrize(
    "ceiling",
    [
        CEILING.replace("True", "False"),
        CEILING.replace("r.sub.alone == True", 'r.sub.alone == True and r.rec.owner == "x"'),
        CEILING.replace("customer:*", "customer:read"),
        CEILING.replace("-, *", "-, service"),
        CEILING.replace("role:a, *", "role:a, branch:north"),
        CEILING.replace("role:a", "role:b"),
        CEILING + "g, person:https://id.example#kim, role:a, branch:north\n",
        CEILING + "g, role:c, role:a, *\ng, person:https://id.example#kim, role:c, *\n",
    ],
)
def test_a_ceiling_with_a_hole_or_given_to_a_person_is_none(ceiling: str) -> None:
    assert broad_lines(CLEAR + ceiling) == [2]


def test_a_role_that_nothing_leads_to_is_told() -> None:
    def lines(policy: str, *held: str) -> list[int]:
        return [finding.line for finding in unheld(worlds.bundle(policy), held)]

    assert lines(READ) == [1]
    assert lines(READ, "role:a") == []
    assert lines(READ + "g, app:shop, role:a, branch:north\n") == []
    assert lines(READ + "g, role:b, role:a, *\n") == [1]
    assert lines(READ + "g, role:b, role:a, *\ng, system:x, role:b, *\n") == []


# --- coverage ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        "p, role:agent, *, crm/customer, customer:delete, -, collection, True, allow",
        "p, role:agent, *, crm/customer, show:clear, financial, complaint, True, allow",
        'p, role:agent, *, crm/customer, customer:read, -, service, "nobody" in r.rec.tags, deny',
        'p, role:manager, *, crm/customer, set, contact, complaint, r.rec.level == "none", allow',
        # nobody shows it to an agent: there is nothing that it takes away
        "p, role:agent, *, crm/customer, show:*, financial, *, True, deny",
    ],
)
def test_a_rule_that_no_case_decides_by_is_told_with_its_line(folder: Path, row: str) -> None:
    added(folder, "policy.csv", row)
    found = reviewed(folder)
    last = (folder / "policy.csv").read_text().count("\n")
    assert [(finding.rule, finding.line) for finding in found.findings] == [("uncovered", last)]
    assert found.rules - found.decided == 1
    assert 99 < found.covered < 100


def test_the_percentage_is_never_rounded_up() -> None:
    assert Review((), "x", 1000, 999).covered == 99.9
    assert Review((), "x", 10_000, 9_999).covered == 99.9
    assert Review((), "x", 10_000, 10_000).covered == 100.0
    assert Review(()).covered == 100.0


def test_without_its_case_a_rule_is_uncovered(folder: Path) -> None:
    path = folder / "cases" / "branch.yaml"
    text = path.read_text()
    case = text[
        text.index("  - principal: operator\n    record: log") : text.index(
            "  - principal: operator\n    record: policy"
        )
    ]
    path.write_text(text.replace(case, ""))
    found = reviewed(folder)
    rows = (folder / "policy.csv").read_text().split("\n")
    assert [rows[finding.line - 1] for finding in found.findings] == [
        "p, role:operator, *, gatehouse/audit, audit:read, -, audit, True, allow"
    ]
    assert found.rules - found.decided == 1
    assert 99 < found.covered < 100


def test_both_engines_are_covered_alike(folder: Path) -> None:
    """Few cases: on pycasbin each question costs a hundred times as much."""
    path = folder / "cases" / "branch.yaml"
    text = path.read_text()
    start = text.index("  - principal: security administrator\n")
    end = text.index("  - principal: a privacy office's own tool\n    record: log")
    path.write_text(text[: text.index("cases:\n") + 7] + text[start:end])
    ours = reviewed(folder)
    model = folder / "model.conf"
    model.write_text(
        model.read_text().replace("&& eval(p.cond)", '&& regexMatch(r.who, "^[a-z]+:.*$") && eval(p.cond)')
    )
    theirs = reviewed(folder)
    assert ours.engine == "gatehouse-policy/1"
    assert ours.decided >= 10
    assert str(theirs.engine).startswith("pycasbin/2.")
    assert theirs.decided == ours.decided
    assert ("runs-on-pycasbin", "model.conf") in said(theirs)
    assert set(said(theirs)) - set(said(ours)) == {("runs-on-pycasbin", "model.conf")}


def test_a_secret_anywhere_in_the_folder_is_a_warning_and_the_folder_still_loads(folder: Path) -> None:
    for name in ("policy.csv", "vocabulary.yaml", "catalogue/crm.yaml", "cases/branch.yaml", "model.conf"):
        added(folder, name, "# password: " + "Tr0ub4dor&3")
    (folder / "README.md").write_text("\n-----BEGIN " + "PRIVATE KEY-----\n")
    found = reviewed(folder)
    assert {rule for rule, _file in said(found)} == {"secret"}
    assert len(found.findings) == 6
    assert found.count(Severity.WARNING) == 6
    load(folder, load_catalogue(folder / "catalogue", allowed_hosts=frozenset()))


# --- patterns ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "good"),
    [
        ("^role:[a-z]+$", True),
        ("^[a-z]?[a-z]?x$", True),
        ("^[a]?[a]?[a]?aaa$", False),  # with thirty of each it runs for minutes
        ("^[a-z]+[a-z]+[a-z]+$", False),
        ("^(a+)+$", False),
        ("role:[a-z]+$", False),
        ("^role:[a-z]+", False),
        ("^a$|b", False),
        ("^a{1,9}$", False),
    ],
)
def test_a_pattern_that_could_run_without_end_or_match_anywhere_is_refused(pattern: str, good: bool) -> None:
    model = worlds.MODEL.replace(" && eval(p.cond)", f' && regexMatch(r.who, "{pattern}") && eval(p.cond)')
    made, findings = build(worlds.files(READ, model=model), worlds.ground())
    assert (made is not None) is good
    assert {finding.rule for finding in findings} == (set() if good else {"matcher-part-refused"})


# --- size --------------------------------------------------------------------------------------------------------------------------


def test_dead_rules_are_found_by_their_columns_and_not_by_trying_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many cells for a rule among a thousand as among a hundred."""
    looked: list[int] = []
    cells = Covering.cells

    def counted(self: Covering, line: Any) -> Any:
        for cell in cells(self, line):
            looked.append(len(cell.lines))
            yield cell

    monkeypatch.setattr(Covering, "cells", counted)
    dice = Random("size")
    for count in (100, 1000):
        rows = {
            f"p, role:{dice.choice('abcd')}, {dice.choice(('*', 'branch:north'))}, crm/customer, show:clear, "
            f'{dice.choice(("contact", "/phone"))}, service, r.rec.owner == "x{number}", allow'
            for number in range(count)
        }
        made = worlds.bundle("\n".join(sorted(rows)) + "\n")
        looked.clear()
        assert list(Dead(made, worlds.ground()).findings()) == []
        assert len(looked) <= 5 * count


def test_ten_thousand_members_that_hold_the_same_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = build(worlds.files(READ), worlds.ground())
    assert made is not None
    links = [
        Row(1, "g", ("role:a", "role:b", "*"), ""),
        Row(2, "g", ("role:b", "role:c", "branch:north"), ""),
    ]
    people = [
        Row(number, "g", (f"person:https://id.example#p{number}", "role:a", "branch:north"), "")
        for number in range(3, 10_000)
    ]
    found = hold_links([*links, *people], made.vocabulary)
    assert [(finding.rule, finding.line) for finding in found] == [("role-chain-cut", 2)]
    assert "#p3`" in found[0].what
