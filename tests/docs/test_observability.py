"""The dashboard, the alarm rules and docs/observability.md speak of metrics, labels, words and sections that there are."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gateway.observe import TABLE, Count, Spread, prometheus_name
from gateway.words.errors import STATUS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "observability"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in YAML(typ="safe", pure=True).load((FOLDER / "rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
# Name as it is asked for → the instrument's label and its words.
SERIES: dict[str, tuple[str | None, frozenset[str]]] = {}
for _name, _instrument in TABLE.items():
    _words = frozenset(word for labels in _instrument.all_labels() for _, word in labels)
    for _suffix in ("_bucket", "_sum", "_count") if isinstance(_name, Spread) else ("",):
        SERIES[prometheus_name(_name) + _suffix] = (_instrument.label, _words)
_SELECTOR = re.compile(r"([a-z_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'([a-z]+)(=~|!~|!=|=)"([^"]*)"')
# Given by Prometheus itself, by the dashboard's own variable, or by a parent of several processes.
_NOT_OURS = frozenset({"le", "instance", "job", "worker"})


def expressions() -> Iterator[tuple[str, str]]:
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def mistakes(expression: str) -> list[str]:
    """Everything that an expression names and that there is not."""
    found = []
    for name, matchers in _SELECTOR.findall(expression):
        if not name.startswith("gatehouse"):
            continue
        if name not in SERIES:
            found.append(f"no series {name}")
            continue
        label, words = SERIES[name]
        for key, _, value in _MATCHER.findall(matchers):
            if key in _NOT_OURS:
                continue
            if key != label:
                found.append(f"{name} has no label {key}")
            found += [
                f"{key} is never {word}" for word in value.split("|") if key == label and word not in words
            ]
    labels = {SERIES[n][0] for n, _ in _SELECTOR.findall(expression) if n in SERIES} | _NOT_OURS
    for grouped in re.findall(r"\bby \(([a-z, ]+)\)", expression):
        found += [f"nothing has a label {key}" for key in grouped.split(", ") if key not in labels]
    return found


def anchors(page: Path) -> set[str]:
    """The places of a page that a link can name, as GitHub makes them."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    }


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_series_label_and_word_is_one_that_there_is(where: str, expression: str) -> None:
    assert mistakes(expression) == []
    assert any(name in SERIES or name == "up" for name, _ in _SELECTOR.findall(expression)), where
    for one, other in ("()", "{}", "[]"):
        assert expression.count(one) == expression.count(other)


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("rate(gatehouse_answer_total[5m])", "no series gatehouse_answer_total"),
        ("gatehouse_log_batch", "no series gatehouse_log_batch"),
        ('gatehouse_alarms_total{code="internal"}', "gatehouse_alarms_total has no label code"),
        ('gatehouse_refusals_total{code=~"internal|nope"}', "code is never nope"),
        ("sum by (customer) (gatehouse_defects_total)", "nothing has a label customer"),
    ],
)
def test_a_mistake_is_found(expression: str, mistake: str) -> None:
    assert mistakes(expression) == [mistake]


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(expression for panel in DASHBOARD["panels"] for expression in
                     (target["expr"] for target in panel.get("targets", ())))  # fmt: skip
    assert [
        n
        for n in (prometheus_name(name) for name in TABLE)
        if not re.search(rf"\b{n}(?:_bucket|_sum|_count)?\b", shown)
    ] == []


def test_the_dashboards_panels_stand_beside_each_other() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        here = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not here & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= here


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_rule_says_who_is_woken_and_which_section_he_reads(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Gatehouse[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "summary_zh", "runbook"}
    page, _, section = rule["annotations"]["runbook"].partition("#")
    there = anchors(ROOT / page)
    found = re.fullmatch(r"\{\{ \$labels\.([a-z]+) \}\}", section)
    if found is None:
        assert section in there
        return
    # The section is the label's own word: each that the rule can be raised for has one.
    (name, matchers) = next(s for s in _SELECTOR.findall(rule["expr"]) if s[0] in SERIES)
    label, words = SERIES[name]
    assert label == found[1]
    ((_, how, value),) = _MATCHER.findall(matchers)
    raised = set(value.split("|")) if how == "=~" else words - set(value.split("|"))
    assert raised
    assert raised <= there


def test_names_of_rules_are_their_own() -> None:
    names = [rule["alert"] for rule in RULES]
    assert sorted(set(names)) == sorted(names)


def test_a_rule_sees_several_workers_as_one_gateway() -> None:
    """Each of them counts for itself: a bound that all together have passed would else be passed by none."""
    for rule in RULES:
        for found in re.finditer(r"gatehouse_[a-z_]+", rule["expr"]):
            before = rule["expr"][: found.start()]
            assert re.search(r"(?:sum|max)(?: by \([a-z]+\) )?\((?:increase\(|rate\()?$", before), rule[
                "alert"
            ]


def test_every_alarm_and_every_answer_of_500_and_more_raises_a_rule() -> None:
    kinds = {word for labels in TABLE[Count.ALARMS].all_labels() for _, word in labels}
    by_kind: set[str] = set()
    codes: set[str] = set()
    for rule in RULES:
        for name, matchers in _SELECTOR.findall(rule["expr"]):
            for key, how, value in _MATCHER.findall(matchers):
                if name == "gatehouse_alarms_total" and key == "kind":
                    by_kind |= set(value.split("|")) if how == "=~" else kinds - set(value.split("|"))
                if name == "gatehouse_refusals_total":
                    codes |= set(value.split("|"))
    assert by_kind == kinds
    assert codes >= {code.value for code, status in STATUS.items() if status >= 500}


def test_the_page_names_every_metric_as_it_is() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    assert importlib.import_module("tools.metrics_page").render(page) == page, (
        "run `python -m tools.metrics_page`"
    )
    named = set(re.findall(r"`(gatehouse_[a-z_]+)`", page))
    assert named - set(SERIES) - {prometheus_name(name) for name in TABLE} == set()
