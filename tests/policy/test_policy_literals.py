"""What a condition compares with could be: a name that nobody declared, or of another type, is refused with its line."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue import load as load_catalogue
from gateway.policy import check
from gateway.policy.condition import tree_of
from gateway.policy.literals import Literals
from gateway.policy.load import build
from gateway.policy.vocabulary import parse_vocabulary
from gateway.words.resource import FieldClass, FieldSpec, Holds
from tests.policy import worlds

FACTS = (
    FieldSpec("/unit", FieldClass.INTERNAL, fact="unit", holds=Holds.TEXT),
    FieldSpec("/owner", FieldClass.INTERNAL, fact="owner", holds=Holds.TEXT),
    FieldSpec("/tags", FieldClass.INTERNAL, fact="tags", holds=Holds.TEXTS),
    FieldSpec("/status", FieldClass.INTERNAL, fact="status", values=("open", "closed")),
    FieldSpec("/level", FieldClass.INTERNAL, fact="level"),
)
SPEC = replace(worlds.CUSTOMER, fields=FACTS)


def faults(condition: str) -> list[tuple[str, str]]:
    vocabulary, findings = parse_vocabulary(worlds.VOCABULARY)
    assert vocabulary is not None, findings
    return [(f.what, f.suggestion) for f in Literals(vocabulary, [SPEC]).faults(tree_of(condition))]


@pytest.mark.parametrize(
    "condition",
    [
        'r.pur == "service" or r.pur in ["audit", "-"] or "audit" != r.pur',
        'r.dom == "branch:north" or r.dom == "-" or r.dom not in ("branch:south", "branch:north")',
        'r.rec.unit == "branch:north" or r.rec.unit == None or r.rec.unit == r.dom',
        "r.env.hour >= 0 and r.env.hour < 23 and 1 < r.env.weekday <= 7",
        'r.env.date >= "2026-02-28" and r.env.date != "2028-02-29"',
        'r.rec.owner == "anybody" or r.rec.owner == r.sub.id or r.rec.owner == None',
        '"vip" in r.rec.tags or "张" not in r.rec.tags or r.rec.owner in r.rec.tags',
        'r.rec.status == "open" or r.rec.status not in ["closed", None]',
        'r.rec.level == 3 or r.rec.level == "3" or r.rec.level == True or 0 < r.rec.level < 3',
        'r.sub.alone == False and r.sub.id != "app:shop"',
        'r.rec.owner == "Müller" or r.rec.owner == "张 Wei" or r.rec.owner == "мария" or r.sub.grade == 2',
    ],
)
def test_what_could_be_is_let_pass(condition: str) -> None:
    assert faults(condition) == []


@pytest.mark.parametrize(
    ("condition", "what", "suggestion"),
    [
        ('r.pur == "servise"', '`r.pur` is never "servise"', 'Perhaps "service" is meant'),
        ('"servise" == r.pur', '`r.pur` is never "servise"', 'Perhaps "service" is meant'),
        ('r.pur in ["audit", "servise"]', '`r.pur` is never "servise"', "service"),
        ("r.pur == None", "`r.pur` is never None", "Write `-`"),
        ("r.pur != 1", "`r.pur` is never 1", "See vocabulary.yaml: audit, service"),
        ('r.dom == "branch:nroth"', '`r.dom` is never "branch:nroth"', "branch:north"),
        ('r.dom == "*"', "`r.dom` is never `*`", "name each one"),
        ('r.rec.unit == "branch:nroth"', '`r.rec.unit` is never "branch:nroth"', "branch:north"),
        ('r.rec.unit != "*"', "`r.rec.unit` is never `*`", "name each one"),
        ('r.rec.unit == "-"', '`r.rec.unit` is never "-"', "See vocabulary.yaml"),
        ('r.env.hour == "9"', '`r.env.hour` is never "9"', "from 0 to 23"),
        ("r.env.hour < 24", "`r.env.hour` is never 24", "from 0 to 23"),
        ("r.env.hour == True", "`r.env.hour` is never True", "from 0 to 23"),
        ("0 < r.env.weekday", "`r.env.weekday` is never 0", "from 1 to 7"),
        ("r.env.weekday in [6, 8]", "`r.env.weekday` is never 8", "from 1 to 7"),
        ('r.env.date == "2026-02-30"', '`r.env.date` is never "2026-02-30"', "2026-11-02"),
        ('r.env.date < "2026-W10-1"', '`r.env.date` is never "2026-W10-1"', "2026-11-02"),
        ("r.env.date > 20261102", "`r.env.date` is never 20261102", "2026-11-02"),
        ("r.rec.owner == 7", "`r.rec.owner` is never 7", "it holds text"),
        ("r.rec.owner == True", "`r.rec.owner` is never True", "it holds text"),
        ("7 in r.rec.tags", "`r.rec.tags` is never 7", "it holds text"),
        ('r.rec.tags == "vip"', "`r.rec.tags` is a list of texts", 'Write `"…" in r.rec.tags`'),
        ("r.sub.id == r.rec.tags", "`r.rec.tags` is a list of texts", "in r.rec.tags"),
        ('r.rec.status == "Closed"', '`r.rec.status` is never "Closed"', 'Perhaps "closed" is meant'),
        ('not (r.rec.status in ["open", "shut"])', '`r.rec.status` is never "shut"', "open"),
        ("r.rec.status == 1", "`r.rec.status` is never 1", "the catalogue's `values`: closed, open"),
        ('r.sub.alone == "yes"', '`r.sub.alone` is never "yes"', "Write True or False"),
        ('r.sub.id == "kim"', '`r.sub.id` is never "kim"', "Write `app:…`"),
        ('r.rec.owner == "p\N{CYRILLIC SMALL LETTER IE}n"', "mixes scripts", "in one script"),
        ('r.rec.owner == "\N{GREEK SMALL LETTER OMICRON}wner"', "mixes scripts", "in one script"),
        ('"vi\N{FULLWIDTH LATIN SMALL LETTER P}" in r.rec.tags', "mixes scripts", "in one script"),
    ],
)
def test_what_could_never_be_is_refused(condition: str, what: str, suggestion: str) -> None:
    found = faults(condition)
    assert len(found) == 1, found
    assert what in found[0][0]
    assert suggestion in found[0][1]


def test_a_fault_has_its_line_in_policy_and_model() -> None:
    rule = "p, role:a, *, crm/customer, customer:read, -, service, True, allow\n"
    deny = 'p, role:a, *, crm/customer, customer:*, -, *, r.pur == "servise", deny\n'
    made, findings = build(worlds.files(rule + deny), worlds.ground())
    assert made is None
    assert [(f.file, f.line, f.what) for f in findings] == [("policy.csv", 2, '`r.pur` is never "servise"')]
    model = worlds.MODEL.replace(" && eval(p.cond)", " && r.env.hour < 24 && eval(p.cond)")
    made, findings = build(worlds.files(rule, model=model), worlds.ground())
    assert made is None
    assert [(f.file, f.line, f.what) for f in findings] == [("model.conf", 17, "`r.env.hour` is never 24")]


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ('r.dom == "branch:shanghia"', '`r.dom` is never "branch:shanghia"'),
        ('r.pur == "servise"', '`r.pur` is never "servise"'),
        ('r.rec.status == "p\N{CYRILLIC SMALL LETTER IE}nding"', '`r.rec.status` is never "p'),
        ('r.env.hour == "9"', '`r.env.hour` is never "9"'),
        ('r.rec.status == "Closed"', '`r.rec.status` is never "Closed"'),
        ("r.rec.unit == 1", "`r.rec.unit` is never 1"),
        ('r.rec.participants == "app:desk"', "`r.rec.participants` is a list of texts"),
    ],
)
def test_a_mistyped_deny_of_the_shipped_policy_is_refused(tmp_path: Path, condition: str, what: str) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(worlds.ROOT / "policies", folder)
    path = folder / "policy.csv"
    lines = path.read_text().count("\n")
    with path.open("a") as file:
        file.write(f"p, role:clerk, *, crm/thread, thread:update, -, *, {condition}, deny\n")
    found = [str(f) for f in check(folder, load_catalogue(folder / "catalogue", allowed_hosts=frozenset()))]
    assert any(text.startswith(f"policy.csv:{lines + 1}: error: {what}") for text in found), found
