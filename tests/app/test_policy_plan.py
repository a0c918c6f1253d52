"""`gatehouse policy plan`: what a person, a merge request and a script are told about a draft."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.commands import plan_page, replaying
from gateway.planning import Plan
from gateway.policy import Effects
from gateway.text import Language
from gateway.words.replay import Flip, LeftOut, Replayed
from gateway.words.widening import Why
from tests.app.shell import gatehouse

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "policies"
WIDER = 'p, role:auditor, *, crm/thread, show:masked, message_body, audit, r.rec.level == "vip" || r.rec.level == "new", allow\n'
NARROWER = 'p, role:agent, *, crm/customer, customer:*, -, *, r.rec.region == "none", deny\n'


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "draft"))


def planned(draft: Path, *words: str, **settings: str) -> tuple[int, str]:
    return gatehouse(
        draft.parent / "home", "policy", "plan", str(draft), "--against", str(SHIPPED), *words, **settings
    )


def add(draft: Path, row: str) -> None:
    with (draft / "policy.csv").open("a") as policy:
        policy.write(row)


def test_the_same_folder_changes_nothing(draft: Path) -> None:
    code, printed = planned(draft)
    assert code == 0
    assert printed.splitlines()[-1] == "Nobody's access widens: that is proven."
    assert "Gains" not in printed


def test_what_narrows_is_proven_and_what_widens_ends_with_1(draft: Path) -> None:
    add(draft, NARROWER)
    code, printed = planned(draft)
    assert (code, "Nobody's access widens" in printed, "Loses" in printed, "Gains" in printed) == (
        0,
        True,
        True,
        False,
    )
    add(draft, WIDER)
    code, printed = planned(draft)
    assert (code, "a second person" in printed, "Gains" in printed) == (1, True, True)
    last = len((draft / "policy.csv").read_text().splitlines())
    assert f"policy.csv:{last}" in printed


def test_a_script_reads_json(draft: Path) -> None:
    add(draft, WIDER)
    code, printed = planned(draft, "--format", "json")
    told = json.loads(printed)
    assert code == 1
    assert told["widens"] is True
    assert {one["why"] for one in told["widenings"]} == {"allowed"}
    assert {(one["holder"], one["gains"], one["field"]) for one in told["effects"]["effects"]} == {
        ("role:auditor", True, "message_body"),
        ("role:app-audit", True, "message_body"),
    }
    assert told["catalogue"] == []


def test_a_merge_request_gets_tables_that_a_condition_does_not_break(draft: Path) -> None:
    add(draft, WIDER)
    _, printed = planned(draft, "--format", "markdown")
    rows = [line for line in printed.splitlines() if line.startswith("| role:auditor")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 9
    assert 'r.rec.level == "vip" \\|\\| r.rec.level == "new"' in rows[0]


def test_a_change_of_the_catalogue_counts(draft: Path) -> None:
    file = draft / "catalogue" / "crm.yaml"
    file.write_text(
        file.read_text().replace("mask: phone, holds", "mask: address, holds").replace("last-modified, ", "")
    )
    code, printed = planned(draft, GATEHOUSE_LANGUAGE="zh")
    assert code == 1
    assert "crm/customer /phone" in printed
    assert "可能放宽" in printed
    # What the file says once for all of its routes is told once.
    assert sum("response_headers" in line for line in printed.splitlines()) == 1


def test_a_draft_that_does_not_load_is_named_with_its_folder(draft: Path) -> None:
    add(draft, "p, role:nobody, *, crm/customer, customer:read, -, service, True, allow\n")
    code, printed = planned(draft)
    assert code == 2
    assert f"{draft}/policy.csv:" in printed
    assert "unknown role" in printed


def test_every_reason_has_its_text() -> None:
    assert set(plan_page._WHY) == set(Why)
    assert set(plan_page._LEFT_OUT) == set(LeftOut)


@pytest.mark.parametrize("language", list(Language))
def test_what_recorded_decisions_would_become_is_told(language: Language) -> None:
    flips = (
        Flip(
            ("role:agent",), "crm/customer", "customer:read", "service", "/phone", "masked", "withheld", 7, 31
        ),
        Flip(("role:agent",), "crm/customer", "customer:read", None, "-", "allowed", "denied", 2, 40),
    )
    told = Replayed(20, 12, {"another-bundle": 5, "asker-unknown": 3}, flips)
    made = Plan("sha256:a", "sha256:b", (), Effects((), (), 0), (), told)
    printed = plan_page.page(made, language, markdown=False).splitlines()
    rows = [line.split() for line in printed if "role:agent" in line]
    assert [(row[3], row[-2:]) for row in rows] == [("/phone", ["7", "31"]), ("-", ["2", "40"])]
    assert [line for line in printed if "20" in line and "12" in line] != []
    assert [line[-1] for line in printed[-4:-2]] == ["5", "3"]


def test_the_last_entries_are_asked_for_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look leaves an entry, so that the log grows while it is read."""
    seqs = list(range(1, 2_501))

    def entries(*, limit: int, after: int | None) -> list[dict[str, int]]:
        start = max(0, len(seqs) - limit) if after is None else after
        found = [{"seq": seq} for seq in seqs[start : start + limit]]
        seqs.append(len(seqs) + 1)
        return found

    monkeypatch.setattr(replaying, "entries", entries)
    assert [line["seq"] for line in replaying.last_entries(2_200)] == list(range(301, 2_501))
    seqs[:] = range(1, 51)
    assert [line["seq"] for line in replaying.last_entries(1_500)] == list(range(1, 51))
    assert replaying.last_entries(0) == []
