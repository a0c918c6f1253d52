"""`policy check --portable`, `policy decide --portable`: what Go's Casbin and node-casbin read otherwise, and how to write it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import cli
from gateway.policy.engine import Undecidable, open_engine
from gateway.policy.kinds import KINDS
from gateway.policy.portable import SPOKEN, Remark, remarks
from tests.app.shell import gatehouse
from tests.policy import worlds
from tests.policy.portable_examples import ALICE, EXAMPLES, PLAIN, Example, Request, shaped

by_name = pytest.mark.parametrize(
    "example", EXAMPLES, ids=[f"{n}-{one.kind}" for n, one in enumerate(EXAMPLES)]
)


@by_name
def test_each_kind_is_told_where_it_stands(example: Example) -> None:
    found = remarks(example.model, example.policy)
    assert (example.file, example.line) in {(one.file, one.line) for one in found if one.kind == example.kind}


@by_name
def test_the_portable_spelling_is_told_of_nothing(example: Example) -> None:
    assert remarks(example.portable_model, example.portable_policy) == ()


def outcome(model: str, policy: str, request: Request) -> bool | None:
    engine, _part = open_engine(model.encode(), policy.encode())
    try:
        return engine.decide(request).allowed
    except Undecidable:
        return None


@by_name
def test_both_spellings_decide_alike_here(example: Example) -> None:
    pairs = ((example.model, example.policy), (example.portable_model, example.portable_policy))
    one, other = ([outcome(*files, request) for request in example.requests] for files in pairs)
    assert one == other
    assert None not in one


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.apart is not None])
def test_what_comes_out_otherwise_elsewhere_comes_out_here_as_is_said(example: Example) -> None:
    assert example.apart is not None
    request, here = example.apart
    assert outcome(example.model, example.policy, request) is here


def test_every_kind_has_an_example_and_its_texts() -> None:
    kinds = {kind for kind in KINDS if kind.startswith("portable-")}
    assert {example.kind for example in EXAMPLES} == kinds == set(SPOKEN)
    assert all(SPOKEN[kind] == kind.replace("-", ".", 1) for kind in kinds)


STOCK = (
    ("r.sub == p.sub && r.act == p.act", ALICE),
    ("r.sub == p.sub || r.sub == 'root'", ALICE),
    ("(r.sub == p.sub) && !(r.act == p.act)", ALICE),
    ("r.sub.Age >= 18 && r.act == p.act", ALICE),
    ("keyMatch(r.sub, p.sub) && r.act == p.act", "p, /data/*, read\n"),
    ("keyMatch2(r.sub, p.sub)", "p, /data/:id/of/:name, read\np, /x/*, y\n"),
    ("keyMatch3(r.sub, p.sub)", "p, /{a}/x{b}, read\n"),
    ("keyMatch4(r.sub, p.sub)", "p, /{a}/{a}, read\n"),
    ("regexMatch(r.sub, p.sub)", "p, ^/(a|b)/[0-9]{1}/.*$, read\n"),
    ("regexMatch(r.sub, '^(?:a)$')", ALICE),
    ("ipMatch(r.sub, p.sub)", "p, 192.168.0.0/16, read\np, ::1, read\n"),
    ("eval(p.sub)", "p, r.sub.Age > 18 && r.sub.Name == 'a-b', read\n# \"quoted\" , x\n"),
)


@pytest.mark.parametrize(("matcher", "rows"), STOCK)
def test_stock_files_are_told_of_nothing(matcher: str, rows: str) -> None:
    assert remarks(shaped(matcher), rows) == ()


def test_what_stands_in_a_column_that_nothing_tries_is_a_name() -> None:
    model = PLAIN.replace("&& r.act", "&& regexMatch(r.act, p.act) && r.act")
    assert remarks(model, "p, True and x, ^read$\n") == ()
    assert [one.kind for one in remarks(model, "p, ^read$, GET\n")] == ["portable-unanchored"]


def test_each_section_is_looked_at_by_its_own_matcher() -> None:
    two = next(one for one in EXAMPLES if one.file == "model" and "r2" in one.model).portable_model
    model = two.replace("m2 = r2.sub == p2.sub", "m2 = eval(p2.sub)")
    rows = "p, True, read\np2, True, read\n"
    assert remarks(model, rows) == (Remark("policy", 2, "portable-constants", "True"),)


def test_a_model_that_is_refused_is_told_of_by_who_loads_it() -> None:
    assert remarks(PLAIN + "[nonsense]\nx = y\n", "p, True , read\n") == ()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "policies"
    shutil.copytree(worlds.ROOT / "policies", copy)
    return copy


def test_a_bundle_is_told_of_it_only_where_that_is_asked(folder: Path) -> None:
    home = folder.parent / "home"
    code, told = gatehouse(home, "policy", "check", str(folder), "--strict", "--json")
    assert (code, "portable" in told) == (0, False)
    code, told = gatehouse(home, "policy", "check", str(folder), "--portable", "--json")
    found = [one for one in json.loads(told.splitlines()[-1]) if one["rule"].startswith("portable-")]
    assert code == 0
    assert {one["severity"] for one in found} == {"warning"}
    first = next(one for one in found if one["rule"] == "portable-constants")
    lines = (folder / "policy.csv").read_text().splitlines()
    assert (first["file"], ", True, " in lines[first["line"] - 1]) == ("policy.csv", True)
    assert first["suggestion"].startswith("Write `1 == 1`")
    assert gatehouse(home, "policy", "check", str(folder), "--portable", "--strict")[0] == 1


def test_a_bundle_can_say_what_always_holds_so_that_go_and_node_read_it(folder: Path) -> None:
    rules = folder / "policy.csv"
    rules.write_text(rules.read_text().replace(", True, ", ", 1 == 1, "))
    code, told = gatehouse(folder.parent / "home", "policy", "check", str(folder), "--portable", "--json")
    lines = rules.read_text().splitlines()
    found = [one for one in json.loads(told.splitlines()[-1]) if one["rule"] == "portable-constants"]
    assert code == 0
    assert [one for one in found if "1 == 1" in lines[one["line"] - 1]] == []


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "not portable: Python's word `and`"), ("zh", "不可移植：Python 的单词 `and`")],
)
def test_decide_tells_it_on_stderr_and_decides_the_same(tmp_path: Path, language: str, said: str) -> None:
    model, rules = tmp_path / "m.conf", tmp_path / "p.csv"
    model.write_text(PLAIN.replace("&&", "and"))
    rules.write_text(ALICE)
    words = ["policy", "decide", "--model", str(model), "--policy", str(rules)]
    asked = b'["alice", "read"]\n["bob", "read"]\n'
    runs = [
        CliRunner().invoke(cli.group, [*words, *more], input=asked, env={"GATEHOUSE_LANGUAGE": language})
        for more in ([], ["--portable"])
    ]
    assert runs[0].stdout == runs[1].stdout != ""
    assert runs[0].stderr == ""
    assert f"{model}:8" in runs[1].stderr
    assert said in runs[1].stderr


def test_the_page_has_an_example_of_each_kind_and_its_portable_spelling() -> None:
    page = (
        (worlds.ROOT / "docs" / "policy-engine.md")
        .read_text()
        .split("## What Go and Node", 1)[1]
        .split("\n## ", 1)[0]
    )
    rows = re.findall(r"^\| `([a-z-]+)` \| `(.+?)` \| `(.+?)` \| .+ \| .+ \|$", page, re.M)
    assert [f"portable-{kind}" for kind, _one, _other in rows] == list(SPOKEN)
    for kind, one, other in rows:
        shown = [text.replace("\\|", "|") for text in (one, other)]
        assert any(
            shown[0] in example.model + example.policy
            and shown[1] in example.portable_model + example.portable_policy
            for example in EXAMPLES
            if example.kind == f"portable-{kind}"
        ), kind
