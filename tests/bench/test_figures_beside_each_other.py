"""What a run says of itself: ratios within it, goals reached or not, what is absent, and two runs compared. No measurement here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from ruamel.yaml import YAML

from bench.compare import compare, compared, figures, printed
from bench.corridor import handmade_rules
from bench.prepare import RULES, padded, policies, rules_of
from bench.proxies import PROXIES, present
from bench.ratios import HANDMADE, MANY, NGINX, ONE, OURS, PLAIN, Row, rows, waiting
from gateway.loading import catalogue_of
from gateway.policy import examine
from gateway.settings import ROOT


def round_of(per_second: float, *, cpu_us: float = 100, p50: float = 1, p99: float = 5) -> dict[str, float]:
    return {
        "per_second": per_second,
        "cpu_us": cpu_us,
        "per_core": 1e6 / cpu_us,
        "p50_ms": p50,
        "p99_ms": p99,
    }


def result(
    found: dict[str, dict[int, list[dict[str, float]]]], absent: dict[str, str] | None = None
) -> dict[str, Any]:
    """A run's JSON, as small as it can be."""
    return {
        "machine": {
            "time": "2026-11-21T00:00:00Z",
            "commit": "0123",
            "dirty": False,
            "cpu": "one",
            "cores": 2,
            "load_average": [0.1, 0.1, 0.1],
        },
        "rounds": 3,
        "scale": 1.0,
        "corridor": {
            "rules": 1000,
            "figures": found,
            "memory_mib": {OURS: 90},
            "absent": absent or {},
        },
        "load_average_after": [0.5, 0.2, 0.1],
    }


def both(ours: list[float], theirs: list[float], peer: str) -> dict[str, Any]:
    return result({name: {MANY: [round_of(n) for n in run]} for name, run in ((OURS, ours), (peer, theirs))})


def row(found: dict[str, Any], beside: str | None, title: str) -> Row:
    return next(r for r in rows(found) if r.goal.beside == beside and r.goal.title.startswith(title))


def test_a_ratio_is_taken_within_its_round() -> None:
    # The machine slowed down for both in the second round: the ratio did not move.
    found = row(both([130, 13, 260], [100, 10, 200], PLAIN), PLAIN, "requests/s at")
    assert found.values == pytest.approx((1.3, 1.3, 1.3))


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ([140, 150, 160], "yes"),
        ([100, 110, 120], "no"),
        ([140, 150, 120], "yes, but not in 1 of 3 rounds"),
        ([100, 110, 150], "no, but in 1 of 3 rounds"),
    ],
)
def test_a_goal_is_reached_by_the_median_and_rounds_that_disagree_are_counted(
    ours: list[float], said: str
) -> None:
    assert row(both(ours, [100, 100, 100], PLAIN), PLAIN, "requests/s at").verdict == said


def test_what_must_not_be_more_is_held_from_above() -> None:
    runs = {
        OURS: {MANY: [round_of(1, p99=20)], ONE: [round_of(1, p50=1.5)]},
        PLAIN: {MANY: [round_of(1, p99=10)]},
        NGINX: {ONE: [round_of(1, p50=0.4)]},
    }
    p99, added = row(result(runs), PLAIN, "p99"), row(result(runs), NGINX, "p50")
    assert (p99.values, p99.verdict) == ((2.0,), "no")
    assert added.values == pytest.approx((1.1,))
    assert added.verdict == "no"


def test_cpu_says_what_requests_a_second_hide() -> None:
    # nginx waited for its load: by requests/s we look like half of it, by the CPU used like a tenth.
    runs = {
        OURS: {MANY: [round_of(1000, cpu_us=1000)]},
        NGINX: {MANY: [round_of(2000, cpu_us=100)]},
    }
    assert row(result(runs), NGINX, "requests/s at").values == (0.5,)
    assert row(result(runs), NGINX, "requests/s a core").values == pytest.approx((0.1,))
    assert waiting(result(runs)["corridor"]) == pytest.approx({NGINX: 0.2})


def test_a_peer_that_is_absent_is_named_with_how_to_get_it_and_nothing_is_guessed() -> None:
    found = result({OURS: {MANY: [round_of(1)], ONE: [round_of(1)]}}, {NGINX: "apt-get install nginx-light"})
    missing = row(found, NGINX, "requests/s at")
    assert missing.values == ()
    assert missing.verdict == "not measured: nginx is absent (apt-get install nginx-light)"
    assert missing.cells()[2] == "–"


def test_every_goal_of_the_issue_has_its_row() -> None:
    found = result({OURS: {MANY: [round_of(1)]}})
    found["start"] = {"measured policy": {"rules": 1000, "seconds": [1.4, 1.6, 1.7], "memory_mib": 90}}
    promised = {(r.goal.beside, r.goal.promised) for r in rows(found)}
    assert {
        (NGINX, "≥ 0.10 ×"),
        (PLAIN, "≥ 1.30 ×"),
        (HANDMADE, "≥ 50.00 ×"),
        (PLAIN, "≤ 1.00 ×"),
        (NGINX, "≤ 0.80 ms"),
        (None, "≤ 1.50 s"),
    } <= promised
    assert row(found, None, "start").verdict == "no, but in 1 of 3 rounds"
    assert row(found, None, "resident").cells()[2:] == ["90 MiB", "–", "–"]


def test_a_run_says_the_same_after_it_was_written_and_read() -> None:
    found = both([140, 150, 120], [100, 100, 100], PLAIN)
    read = orjson.loads(orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS))
    assert [r.kept() for r in rows(read)] == [r.kept() for r in rows(found)]
    assert figures(read) == figures(found)


def test_two_runs_are_compared_figure_by_figure() -> None:
    a, b = both([100, 110, 120], [50, 50, 50], PLAIN), both([200, 220, 240], [50, 49, 60], PLAIN)
    lines = {line.name: line for line in compared(a, b)[0]}
    ours, theirs = (lines["corridor", name, str(MANY), "per_second"] for name in (OURS, PLAIN))
    assert (ours.ratio, ours.overlap) == (2.0, False)
    assert (theirs.ratio, theirs.overlap) == (1.0, True)
    assert lines["ratios", f"requests/s at {MANY} connections", f"beside {PLAIN}"].ratio == pytest.approx(
        4 / 2.2
    )


def test_ranges_that_only_touch_overlap_and_a_single_round_has_no_range() -> None:
    a, b = both([100, 110], [50, 50], PLAIN), both([110, 130], [50, 50], PLAIN)
    name = ("corridor", OURS, str(MANY), "per_second")
    assert next(line for line in compared(a, b)[0] if line.name == name).overlap is True
    single = both([100], [50], PLAIN)
    assert next(line for line in compared(a, single)[0] if line.name == name).overlap is None


def test_what_only_one_run_has_is_named_and_what_differs_between_them_is_said() -> None:
    a, b = both([1, 1], [1, 1], PLAIN), both([1, 1], [1, 1], NGINX)
    b["corridor"]["rules"], b["load_average_after"] = 212, [3.5, 1.0, 0.5]
    text = "\n".join(printed(a, b))
    assert "rules: 1000 in A, 212 in B" in text
    assert "B was taken on a busy machine (load average up to 3.5)" in text
    assert f"Only in A: corridor · {PLAIN} · 48 · per_second" in text
    assert f"Only in B: corridor · {NGINX} · 48 · per_second" in text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"machine": {}}'])
def test_a_file_that_no_run_kept_is_refused(tmp_path: Path, text: str) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(orjson.dumps(both([1], [1], PLAIN), option=orjson.OPT_NON_STR_KEYS))
    bad.write_text(text)
    with pytest.raises(SystemExit, match=r"bad\.json"):
        compare(good, bad)


def test_proxies_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    programs, absent = present(tmp_path)
    assert programs == {}
    assert absent["nginx"] == "apt-get install nginx-light"
    assert "locks/bench.txt" in absent["Envoy"]


def test_a_proxy_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **__: f"/somewhere/{name}")
    programs, absent = present(tmp_path)
    assert (programs, absent) == ({"nginx": "/somewhere/nginx", "Envoy": "/somewhere/envoy"}, {})


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda p: p.name)
def test_a_proxy_gets_one_worker_and_settings_with_both_ports(tmp_path: Path, proxy: Any) -> None:
    file = proxy.written(tmp_path / "own", 4711, 4712)
    text = file.read_text()
    assert "4711" in text
    assert "4712" in text
    assert str(file) in proxy.command("/somewhere/it", file)
    one_worker = "worker_processes 1;" in text or " --concurrency 1 " in " ".join(proxy.options)
    assert one_worker


def test_the_settings_of_envoy_are_yaml(tmp_path: Path) -> None:
    envoy = next(proxy for proxy in PROXIES if proxy.name == "Envoy")
    read = YAML(typ="safe", pure=True).load(envoy.written(tmp_path / "own", 1, 2).read_text())
    listener = read["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 1}


def test_the_measured_policy_has_its_thousand_rules_and_would_be_loaded_without_a_word(
    tmp_path: Path,
) -> None:
    # The shipped cases hold in it: whoever they speak of may do what he could, no more and no less.
    assert policies(tmp_path, 4711, RULES) == RULES == 1000
    bundle, findings = examine(tmp_path, catalogue_of(tmp_path, frozenset({"127.0.0.1:4711"}), 0))
    assert bundle is not None
    assert findings == []


def test_a_policy_that_is_larger_than_asked_is_not_cut() -> None:
    shipped = (ROOT / "policies" / "policy.csv").read_text()
    vocabulary = (ROOT / "policies" / "vocabulary.yaml").read_text()
    with pytest.raises(SystemExit, match="more than 10 rules"):
        padded(shipped, vocabulary, 10)


def test_the_hand_made_stack_gets_as_many_rules() -> None:
    assert rules_of(handmade_rules(RULES)) == RULES


def test_workers_and_strangers_are_ratios_of_one_round_too() -> None:
    found = result({})
    found["workers"] = {"figures": {1: [round_of(100), round_of(50)], 2: [round_of(150), round_of(100)]}}
    floods = {
        "no flood": 1.0,
        "plain refusals": 2.0,
        "no credential": 3.0,
        "a wrong key": 4.0,
        "a badly signed person": 5.0,
    }
    found["strangers"] = {"figures": {name: [{"p99_ms": p99}] for name, p99 in floods.items()}}
    for read in (found, orjson.loads(orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS))):
        assert row(read, "one worker", "requests/s of two").values == pytest.approx((1.5, 2.0))
        said = [(r.values, r.verdict) for r in rows(read) if r.goal.beside == "plain refusals"]
        assert said == [((1.5,), "yes"), ((2.0,), "yes"), ((2.5,), "no")]
