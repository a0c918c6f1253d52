"""The command that says it: what is printed, exit codes, JSON, SARIF."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.policy import Review
from gateway.policy.finding import error, note, warning
from gateway.policy.kinds import KINDS
from gateway.policy.sarif import sarif
from tests.app.shell import gatehouse
from tests.docs.json_schema import Schema, problems
from tests.policy import worlds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "policies"
    shutil.copytree(worlds.ROOT / "policies", copy)
    return copy


def added(folder: Path, name: str, *rows: str) -> None:
    with (folder / name).open("a") as file:
        file.write("\n".join(rows) + "\n")


def required(node: Any, shape: Any, at: str = "") -> None:
    """Holds a value to a shape: a type, a list of one shape, a mapping of shapes (`?` before what may be absent, nothing else)."""
    if isinstance(shape, dict):
        assert isinstance(node, dict), at
        names = {name.lstrip("?"): inner for name, inner in shape.items()}
        assert set(node) <= set(names), (at, set(node) - set(names))
        assert {name for name in shape if not name.startswith("?")} <= set(node), at
        for name, value in node.items():
            required(value, names[name], f"{at}/{name}")
    elif isinstance(shape, list):
        assert isinstance(node, list), at
        for number, value in enumerate(node):
            required(value, shape[0], f"{at}/{number}")
    elif isinstance(shape, re.Pattern):
        assert isinstance(node, str), at
        assert shape.fullmatch(node), (at, node)
    else:
        assert type(node) is shape, (at, node)


TEXT = {"text": str}
LEVEL = re.compile("none|note|warning|error")
RELATIVE = re.compile(r"(?!/)[A-Za-z0-9._~%/-]+")
SHAPE = {
    # SARIF 2.1.0 (OASIS, 2020) 3.13 … 3.30: what is required, and of the rest what is written here.
    "$schema": str,
    "version": re.compile(r"2\.1\.0"),
    "runs": [
        {
            "tool": {
                "driver": {
                    "name": str,
                    "semanticVersion": re.compile(r"\d+\.\d+\.\d+"),
                    "rules": [
                        {
                            "id": str,
                            "shortDescription": TEXT,
                            "fullDescription": TEXT,
                            "help": TEXT,
                            "defaultConfiguration": {"level": LEVEL},
                        }
                    ],
                }
            },
            "originalUriBaseIds": {"POLICIES": {"uri": re.compile("file:///.*/")}},
            "columnKind": re.compile("utf16CodeUnits|unicodeCodePoints"),
            "results": [
                {
                    "ruleId": str,
                    "?ruleIndex": int,
                    "level": LEVEL,
                    "message": TEXT,
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": RELATIVE, "uriBaseId": re.compile("POLICIES")},
                                "region": {"startLine": int},
                            }
                        }
                    ],
                }
            ],
            "properties": {"engine": str, "rules": int, "decided": int, "covered": float},
        }
    ],
}


def test_sarif_names_each_finding_by_rule_file_and_line(tmp_path: Path) -> None:
    findings = (
        error("policy.csv", 3, "unknown role `x`", "Nothing would match", "Declare it", rule="unknown-role"),
        warning("notes/ä b.txt", 1, "this looks like a key", "", "Is it one?", rule="secret"),
        note("model.conf", 0, "what", "would", "do"),
    )
    document: Any = sarif(Review(findings, "gatehouse-policy/1", 4, 3), tmp_path, "0.1.0")
    required(json.loads(json.dumps(document)), SHAPE)
    run = document["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == list(KINDS)
    first, second, third = run["results"]
    assert rules[first["ruleIndex"]] == first["ruleId"] == "unknown-role"
    assert first["message"]["text"] == "unknown role `x`. Nothing would match. Declare it."
    places = [result["locations"][0]["physicalLocation"] for result in (first, second, third)]
    assert [place["artifactLocation"]["uri"] for place in places] == [
        "policy.csv",
        "notes/%C3%A4%20b.txt",
        "model.conf",
    ]
    assert [place["region"]["startLine"] for place in places] == [3, 1, 1]
    assert [result["level"] for result in (first, second, third)] == ["error", "warning", "note"]
    assert (third["ruleId"], "ruleIndex" in third) == ("other", False)
    assert run["properties"]["covered"] == 75.0


OASIS: Schema = json.loads((Path(__file__).parent / "sarif-schema" / "sarif-2.1.0.json").read_bytes())
"""The schema of the standard itself; where it came from says ORIGIN beside it."""


def test_sarif_is_what_the_standards_own_schema_says(folder: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.sarif", tmp_path / "bad.sarif"
    code, told = checked(folder, "--portable", "--sarif", str(good))
    assert (code, "not portable: True" in told) == (0, True)
    added(folder, "policy.csv", "p, role:nobody, *, crm/customer, customer:read, -, service, True, allow")
    (folder / "ä b.txt").write_text("password = hunter2hunter2\n")
    code, told = checked(folder, "--sarif", str(bad))
    assert (code, "unknown role `role:nobody`" in told) == (1, True)
    for report in (good, bad):
        document = json.loads(report.read_text())
        assert document["runs"][0]["results"]
        assert list(problems(document, OASIS, OASIS)) == []


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("version",), "2.1"),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "message"), {"words": "x"}),
        (("runs", 0, "results", 0, "surprise"), 1),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), 0),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "artifactLocation", "uri"), "a b"),
        (("runs", 0, "tool"), {}),
        (("runs", 0, "columnKind"), "bytes"),
        (("$schema",), "sarif"),
    ],
)
def test_the_schema_refuses_what_is_no_sarif(tmp_path: Path, at: tuple[Any, ...], value: Any) -> None:
    finding = error("policy.csv", 3, "what", "would", "do", rule="unknown-role")
    document = json.loads(
        json.dumps(sarif(Review((finding,), "gatehouse-policy/1", 4, 3), tmp_path, "0.1.0"))
    )
    assert list(problems(document, OASIS, OASIS)) == []
    node = document
    for step in at[:-1]:
        node = node[step]
    node[at[-1]] = value
    assert list(problems(document, OASIS, OASIS)) != []


def checked(folder: Path, *words: str, **more: str) -> tuple[int, str]:
    return gatehouse(folder.parent / "home", "policy", "check", str(folder), *words, **more)


def test_the_command_says_coverage_engine_and_warnings(folder: Path) -> None:
    code, told = checked(folder)
    rules = sum(line.startswith("p,") for line in (folder / "policy.csv").read_text().splitlines())
    assert code == 0
    assert told.split("\n")[:3] == [
        f"Cases decide by {rules} of {rules} rules (100.0 %).",
        "It runs on gatehouse-policy/1.",
        "The policy is good; warnings: 0.",
    ]
    _code, told = checked(folder, GATEHOUSE_LANGUAGE="zh")
    assert "运行引擎：gatehouse-policy/1。" in told


def test_warnings_count_where_strict_is_said_and_notes_never(folder: Path) -> None:
    row = "p, role:agent, *, crm/customer, customer:delete, -, collection, True, allow"
    added(folder, "policy.csv", row)
    assert checked(folder, "--strict")[0] == 0
    code, told = checked(folder)
    assert (code, "note: no case is decided by this rule" in told) == (0, True)
    assert "The policy is good; warnings: 0." in told
    added(
        folder,
        "policy.csv",
        row.replace("True", "r.env.hour < 3 and r.env.hour > 4").replace("agent", "clerk"),
    )
    assert checked(folder)[0] == 0
    assert checked(folder, "--strict")[0] == 1
    assert checked(folder, "--strict", "--json")[0] == 1


def test_json_gives_each_finding_with_its_id(folder: Path) -> None:
    assert checked(folder, "--json") == (0, "[]\n")
    added(folder, "policy.csv", "p, nobody")
    code, told = checked(folder, "--json")
    (one,) = json.loads(told)
    assert (code, one["rule"], one["severity"]) == (1, "column-count", "error")


def test_sarif_is_written_beside_what_is_said(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.sarif"
    assert checked(folder, "--sarif", str(report))[0] == 0
    document = json.loads(report.read_text())
    assert document["runs"][0]["results"] == []
    added(folder, "policy.csv", "p, nobody")
    code, told = checked(folder, "--sarif", str(report))
    assert (code, told.startswith("policy.csv:")) == (1, True)
    (result,) = json.loads(report.read_text())["runs"][0]["results"]
    assert result["ruleId"] == "column-count"
    (folder / "catalogue" / "more.yaml").write_text("upsteam: known\n")
    assert checked(folder, "--sarif", str(report))[0] == 1
    document = json.loads(report.read_text())
    assert {result["ruleId"] for result in document["runs"][0]["results"]} == {"catalogue"}
    assert document["runs"][0]["properties"]["engine"] is None
    code, told = checked(folder, "--sarif", str(tmp_path / "no" / "such" / "folder"))
    assert (code, "cannot be written" in told) == (2, True)
