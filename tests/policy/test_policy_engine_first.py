"""The first who asks after a load waits no longer than the others: his way was gone before, and nothing of that is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gateway.policy.engine import Policy
from gateway.policy.engine.compiled import TRODDEN, CompiledEngine
from gateway.policy.engine.guards import fitting
from gateway.policy.engine.verdict import Verdict
from tests.policy.test_policy_engine_refused import model

RBAC = model("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", roles="g = _, _")
ATTRIBUTES = model("eval(p.sub) && r.obj == p.obj && r.act == p.act")
ROWS = "p, r.sub.Age > 18 && r.sub.Of.Name == 'al', data1, read\n"
LINKS = "p, admin, data1, read\ng, alice, admin\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every request that an engine is asked."""
    found: list[Any] = []
    decide = CompiledEngine.decide

    def noted(self: CompiledEngine, request: Sequence[Any]) -> Verdict:
        found.append(list(request))
        return decide(self, request)

    monkeypatch.setattr(CompiledEngine, "decide", noted)
    return found


@pytest.mark.parametrize(
    ("model_text", "rows", "request_"),
    [
        (RBAC, LINKS, ["alice", "data1", "read"]),
        (ATTRIBUTES, ROWS, [{"Age": 0, "Of": {"Name": ""}}, "data1", "read"]),
    ],
)
def test_a_load_decides_what_a_rule_is_found_for(
    asked: list[Any], model_text: str, rows: str, request_: list[Any]
) -> None:
    Policy(model_text, rows)
    assert asked == [request_] * TRODDEN


def test_nothing_is_remembered_of_it() -> None:
    policy = Policy(RBAC, LINKS)
    assert dict(policy._roles["g"].known) == {}
    assert policy.engine.decide(["alice", "data1", "read"]).rule == ("admin", "data1", "read")
    assert policy.engine.decide(["bob", "data1", "read"]).allowed is False


@pytest.mark.parametrize(
    ("matcher", "rows"),
    [
        ("r.sub >= p.sub", "p, a, data1, read\n"),  # nothing is looked up: every rule would be asked
        (
            "eval(p.sub) && r.obj == p.obj",
            "p, r.sub.Age > 1, d, x\np, r.sub.Age == 'a' && keyMatch(r.sub.Age, 'a'), d, x\n",
        ),
        ("g(r.sub, p.sub) || r.obj == p.obj", LINKS),  # several branches have no shortest way
    ],
)
def test_what_would_ask_rule_by_rule_is_left(asked: list[Any], matcher: str, rows: str) -> None:
    Policy(model(matcher, roles="g = _, _"), rows)
    assert asked == []


def test_a_request_is_made_of_what_is_needed() -> None:
    needs = [((0, "Age"), "number"), ((0, "Of", "Name"), "text"), ((1,), "name"), ((0,), "any")]
    assert fitting(2, needs) == [{"Age": 0, "Of": {"Name": ""}}, ""]
    assert fitting(1, [((0,), "any")]) == [""]
