"""Nothing wrong gets in: each trap in Casbin's ground is refused with its file and line, and the good bundle stays."""

from __future__ import annotations

import itertools
import shutil
import sys
from pathlib import Path

import pytest

from gateway.catalogue import load as load_catalogue
from gateway.policy import PolicyDecider, check, load
from gateway.policy.finding import Severity
from gateway.policy.load import build, digest
from gateway.policy.reference import enforcer, same_model, same_rows
from gateway.policy.source import Row
from gateway.words.errors import Misconfigured
from tests.policy import worlds

GOOD = """\
# a comment
p, role:a, *, crm/customer, customer:read, -, service, True, allow
p, role:a, *, crm/customer, show:clear, contact, *, r.rec.level == 1, allow

g, person:https://id.example#kim, role:a, branch:north
"""
ROW = "p, role:a, *, crm/customer, customer:list, -, service, True, allow"


def refusals(policy: str = GOOD, **other: str) -> list[str]:
    made, findings = build(worlds.files(policy, **other), worlds.ground())
    errors = [f"{f.file}:{f.line} {f.what}" for f in findings if f.severity is Severity.ERROR]
    assert (made is None) == bool(errors)
    return errors


def test_a_good_policy_is_accepted() -> None:
    assert refusals() == []


@pytest.mark.parametrize(
    ("row", "what"),
    [
        (ROW.replace("allow", "Allow"), "unknown effect `Allow`"),
        (ROW.replace("allow", "denny"), "unknown effect `denny`"),
        (ROW.replace("p,", "policy,"), "`policy` is no kind of row"),
        (ROW.replace("p,", "p2,"), "`p2` is no kind of row"),
        (ROW.replace(", True", ""), "7 columns where 8 belong"),
        (ROW + ", extra", "9 columns where 8 belong"),
        ("g, person:https://id.example#kim, role:a", "2 columns where 3 belong"),
        (ROW.replace("service", ""), "a column is empty, quoted, or has a character that no name has"),
        (ROW.replace("role:a", '"role:a"'), "a column is empty, quoted, or has a character that no name has"),
        (ROW.replace("role:a", "role:а"), "a column is empty, quoted, or has a character that no name has"),
        (ROW.replace("True", "(True"), "brackets do not pair"),
        (ROW.replace("True", "True) or (True"), "brackets do not pair"),
        (ROW.replace("role:a", "role:nobody"), "unknown role `role:nobody`"),
        (ROW.replace("role:a", "person:https://id.example#kim"), "unknown role `person:"),
        (ROW.replace("*", "branch:mars"), "unknown unit `branch:mars`"),
        (ROW.replace("crm/customer", "crm/customers"), "unknown resource `crm/customers`"),
        (ROW.replace("crm/customer", "*"), "an allow on every resource"),
        (ROW.replace("customer:list", "customer:write"), "unknown action `customer:write`"),
        (ROW.replace("customer:list", "customer:*"), "an allow of `customer:*`"),
        (ROW.replace("customer:list, -", "show:*, contact"), "an allow of `show:*`"),
        (ROW.replace("customer:list, -", "show:clear, *"), "an allow on every field"),
        (ROW.replace("customer:list, -", "show:clear, -"), "unknown class `-`"),
        (ROW.replace("customer:list, -", "show:plain, contact"), "unknown action `show:plain`"),
        (ROW.replace("customer:list, -", "show:clear, secrets"), "unknown class `secrets`"),
        (ROW.replace("customer:list, -", "show:clear, /phones"), "unknown field `/phones`"),
        (ROW.replace("-", "contact"), "`contact` beside a record's action"),
        (
            ROW.replace("customer:list, -", "show:masked, contact").replace("allow", "deny"),
            "a deny of `show:masked`",
        ),
        (ROW.replace("service", "espionage"), "unknown purpose `espionage`"),
        (ROW.replace("True", "r.rec.salary == 1"), "no catalogue provides `r.rec.salary`"),
        (ROW.replace("True", "r.sub.shoes == 1"), "unknown attribute `r.sub.shoes`"),
        (ROW.replace("True", "1 in r.rec.level"), "`r.rec.level` is a set here and a single value elsewhere"),
        (ROW.replace("True", "r.dom in r.rec.unit"), "`r.rec.unit` is a set here"),
        ("g, kim, role:a, *", "`kim` is neither a role, a person, an application nor a system principal"),
        ("g, role:nobody, role:a, *", "unknown role `role:nobody`"),
        ("g, person:https://id.example#kim, person:https://id.example#lee, *", "unknown role `person:"),
        ("g, app:shop, role:a, branch:mars", "unknown unit `branch:mars`"),
        ("g, role:a, role:a, *", "`role:a` inherits from itself"),
        ("p, role:a, *, crm/customer, customer:read, -, service, True, allow", "the same as line 2"),
        ("p, role:a, *, crm/customer, customer:read, -, service, True, deny", "the opposite of line 2"),
    ],
)
def test_a_row_that_casbin_would_misread_is_refused_with_its_line(row: str, what: str) -> None:
    found = refusals(GOOD + row + "\n")
    assert any(error.startswith("policy.csv:6 ") and what in error for error in found), found


@pytest.mark.parametrize(
    "condition",
    [
        'r .pur == "service"',  # Casbin rewrites `r.` alone, and raises on each of these
        'r. pur == "service"',
        '(r).pur == "service"',
        "r.rec.level",  # no truth: pycasbin raises on it
        "r.rec.level ** 9 == 1",
        "'x' * 1000000000 == 'x'",
        "__import__('os') == 1",
        "r.rec.__class__ == 1",
        "r.rec.items == 1",
        "r.rec.owner.lower() == 1",
        "r.rec.tags[0] == 1",
        "p.role == r.sub.id",
        "r2.sub.id == 1",
        "eval(r.sub.id) == 1",
        "[x for x in r.rec.tags] == []",
        "lambda: True",
        "(x := True)",
        "True if True else False",
        "True # and False",
        "r.rec.owner == 'p.role'",
        "r.rec.owner == 'a r.b'",
        "r.rec.owner == 'a && b'",
        "r.rec.owner == 'wow!'",
        "r.rec.owner == ''",
        "r.rec.owner == f'x'",
        "r.rec.owner == b'x'",
        "r.rec.owner == r'x'",
        "r.rec.owner == u'x'",
        f"r.rec.owner == '{'x' * 500}'",
        "ｒ.rec.level == 1",
        "r.rec.level == 1.5",
        "r.rec.level == 99999999999999999999",
        "r.rec.level is None",
        "r.rec.owner in 'abc'",
        "r.env.secret == 1",
        "r.rec.level == 1; True",
        "not " * 200 + "True",
        "1 == 1 and " * 60 + "True",
    ],
)
def test_a_condition_outside_the_language_is_refused(condition: str) -> None:
    found = refusals(GOOD + ROW.replace("True", condition) + "\n")
    assert any(error.startswith("policy.csv:6 ") for error in found), found


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("m = ", "m = True || ", "the matcher is not a row of parts"),
        ('g(r.who, r.role, "*")', 'g(r.who, r.role, "*") || True', "is missing, changed or doubled"),
        ("p.res == r.res", "regexMatch(r.res, p.res)", "is missing, changed or doubled"),
        ("p.res == r.res", "keyMatch2(r.res, p.res)", "is missing, changed or doubled"),
        (" && eval(p.cond)", "", "is missing, changed or doubled"),
        (
            " && eval(p.cond)",
            " && eval(p.cond) && eval(r.who)",
            "is no condition over the request|is not on the list",
        ),
        (" && eval(p.cond)", ' && regexMatch(r.act, "customer") && eval(p.cond)', "not anchored"),
        (
            " && eval(p.cond)",
            ' && regexMatch(r.act, "^(a+)+$") && eval(p.cond)',
            "not anchored with ^ and $, or not simple",
        ),
        (" && eval(p.cond)", ' && keyMatch(r.act, "customer*") && eval(p.cond)', "is not on the list"),
        (
            "e = some(where (p.eft == allow)) && !some(where (p.eft == deny))",
            "e = !some(where (p.eft == deny))",
            "`e` is not",
        ),
        (
            "e = some(where (p.eft == allow)) && !some(where (p.eft == deny))",
            "e = some(where (p.eft == allow))",
            "`e` is not",
        ),
        ("g = _, _, _", "g = _, _", "`g` is not the gateway's"),
        ("g = _, _, _", "g = _, _, _\ng2 = _, _", "`[role_definition] g2` is nothing that is read"),
        ("p = role, unit,", "p = unit, role,", "`p` is not the gateway's"),
        ("cond, eft", "cond, e ft", "`p` is not the gateway's"),
        ("cond, eft", "cond, eft, x", "`p` is not the gateway's"),
        ("cond, eft", "cond,, eft", "`p` is not the gateway's"),
        ("r = sub, who", "r = s ub, who", "`r` is not the gateway's"),
        ("g = _, _, _", "g = _ _, _", "`g` is not the gateway's"),
        ("e = some(where", "e = so me(where", "`e` is not the gateway's"),
        ("e = some(where (p", "e = some(where(p", "`e` is not the gateway's"),
        (" && eval(p.cond)", ' && r .pur != "audit" && eval(p.cond)', "stock Casbin reads other columns"),
        ("p.res == r.res", "p.res == (r).res", "stock Casbin reads other columns"),
        ("[matchers]", "[matchers]\nm = True && True", "`m` stands here a second time"),
        ("[matchers]", "[enforce]\nenable_enforce = false\n[matchers]", "enable_enforce"),
        ("[policy_effect]", "[policy_effekt]", "is missing"),
        (" && eval(p.cond)", " && r.rec.salary != 1 && eval(p.cond)", "`r.rec.salary` is not known"),
        (" && eval(p.cond)", " && r.sub.shoes != 1 && eval(p.cond)", "`r.sub.shoes` is not known"),
        (
            " && eval(p.cond)",
            " && 1 not in r.rec.level && eval(p.cond)",
            "`r.rec.level` is not known, or used as a set",
        ),
        ('(p.unit == r.dom || p.unit == "*") && ', "", "is missing, changed or doubled"),
        (" && eval(p.cond)", ' && eval(p.cond) && r.pur != "x"', "stand in another order"),
    ],
)
def test_a_model_that_could_allow_more_is_refused(old: str, new: str, what: str) -> None:
    assert old in worlds.MODEL
    found = refusals(model=worlds.MODEL.replace(old, new))
    assert any(part in error for error in found for part in what.split("|")), found
    assert all(error.startswith("model.conf:") for error in found)


def test_blanks_around_a_models_names_are_nothing() -> None:
    assert refusals(model=worlds.MODEL.replace("cond, eft", "cond ,eft").replace("_, _, _", "_,_,_")) == []


def test_a_model_that_stock_casbin_reads_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = enforcer(worlds.MODEL, [ROW])
    assert same_model(stock)
    for old, new in (
        ("cond, eft", "cond, e ft"),
        ("r = sub,", "r = s ub,"),
        ("g = _, _, _", "g = _, _, _\ng2 = _, _"),
        (" && eval(p.cond)", " && eval(p .cond)"),
    ):
        assert not same_model(enforcer(worlds.MODEL.replace(old, new), [ROW])), new
    # by its module: in the package the name is the function
    monkeypatch.setattr(sys.modules["gateway.policy.load"], "same_model", lambda *_: False)
    assert [error.partition(" ")[0] for error in refusals()] == ["model.conf:1"]


def test_a_deny_that_stock_casbin_would_take_for_an_allow_never_loads(folder: Path) -> None:
    path = folder / "model.conf"
    path.write_text(path.read_text().replace("cond, eft", "cond, e ft"))
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    with pytest.raises(Misconfigured) as refused:
        load(folder, catalogue)
    assert refused.value.problems[0].startswith("model.conf:8: error: `p` is not the gateway's")


def test_parts_that_only_take_away_may_be_added() -> None:
    narrower = worlds.MODEL.replace(" && eval(p.cond)", " && r.env.hour < 20 && eval(p.cond)")
    made, _ = build(worlds.files(GOOD, model=narrower), worlds.ground())
    assert made is not None
    assert made.model.compiled
    anchored = worlds.MODEL.replace(
        " && eval(p.cond)", ' && regexMatch(r.who, "^role:[a-z]+$") && eval(p.cond)'
    )
    made, _ = build(worlds.files(GOOD, model=anchored), worlds.ground())
    assert made is not None
    assert not made.model.compiled


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", 1),
        (b"   \n", 1),
        (b"\xef\xbb\xbf" + GOOD.encode(), 1),
        (GOOD.replace("\n", "\r\n").encode(), 1),
        (GOOD.replace("p, role:a", "p,\trole:a").encode(), 2),
        (GOOD.replace("role:a", "role:a\u00a0", 1).encode(), 2),
        (GOOD.replace("role:a", "role:a\u200b", 1).encode(), 2),
        (GOOD.replace("service", "serv\u2028ice").encode(), 2),
        (GOOD.replace("service", "serv\x00ice").encode(), 2),
        (GOOD.encode().replace(b"service", b"\xff"), 2),
        (GOOD.encode()[:-12], 5),
        (GOOD.encode()[:-1], 5),
        (b"# nothing but a comment\n", 1),
        (b"p, role:a, *, crm/customer, customer:read, -, service, True, deny\n", 1),
    ],
)
def test_bytes_that_readers_disagree_on_are_refused(data: bytes, line: int) -> None:
    made, findings = build(worlds.files("") | {"policy.csv": data}, worlds.ground())
    assert made is None
    assert line in {finding.line for finding in findings if finding.file == "policy.csv"}


def test_a_chain_of_ten_links_is_refused_since_casbin_would_stop_silently() -> None:
    names = "abcdefghijkl"
    roles = "".join(f"  role:{n}: {{zh: 一, en: one}}\n" for n in names[4:])
    vocabulary = worlds.VOCABULARY.replace("units:\n", roles + "units:\n")
    links = [f"g, role:{a}, role:{b}, *" for a, b in itertools.pairwise(names)]
    nine, ten = "\n".join(links[:9]) + "\n", "\n".join(links[:10]) + "\n"
    assert (
        refusals(
            GOOD.replace("g, person:https://id.example#kim, role:a, branch:north\n", "") + nine,
            vocabulary=vocabulary,
        )
        == []
    )
    found = refusals(GOOD + ten, vocabulary=vocabulary)
    assert any("a chain of 11 links" in error for error in found), found


def test_a_chain_that_leaves_a_unit_and_comes_back_is_refused() -> None:
    chain = "g, role:a, role:b, branch:north\ng, role:b, role:c, *\ng, role:c, role:d, branch:north\n"
    found = refusals(GOOD + chain)
    assert any("a chain from `role:a` goes in and out of `branch:north`" in error for error in found), found


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("role:a:", "person:a:", "`person:a` is no name for roles"),
        ("branch:north:", "role:north:", "`role:north` is no name for units"),
        ("attributes: [grade]", "attributes: [id]", "`attributes` is no list of names"),
        ("attributes: [grade]", "attributes: [items]", "`attributes` is no list of names"),
        ("attributes:", "atributes:", "unknown section `atributes`"),
        ('clock: "UTC+08:00"', "clock: Shanghai", "`clock` is no time zone known here"),
        ("{zh: 甲, en: a}", "{zh: 甲}", "`role:a` lacks labels"),
        ("service: {", "none: {", "`none` is no name for purposes"),
        ("purposes:", "purposes: {}\nx:", "`purposes` names nothing"),
        ("purposes:", "purposes: [", "this is not YAML"),
    ],
)
def test_a_broken_vocabulary_is_refused(old: str, new: str, what: str) -> None:
    assert old in worlds.VOCABULARY
    found = refusals(vocabulary=worlds.VOCABULARY.replace(old, new, 1))
    assert any(error.startswith("vocabulary.yaml:") and what in error for error in found), found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "policies"
    shutil.copytree(worlds.ROOT / "policies", copy)
    return copy


def test_the_shipped_folder_has_nothing_to_be_said_against(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    assert [str(finding) for finding in check(folder, catalogue)] == []


def test_whatever_is_broken_the_good_bundle_stays(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    decider = PolicyDecider(load(folder, catalogue))
    good = decider.bundle
    whole = (folder / "policy.csv").read_bytes()
    broken = [
        ("policy.csv", b""),
        ("policy.csv", whole[: len(whole) // 2]),
        ("policy.csv", whole.replace(b"deny\n", b"Deny\n", 1)),
        ("model.conf", b"\0\0\0"),
        ("vocabulary.yaml", b"roles:\n"),
        ("cases/branch.yaml", b"cases: []\n"),
        ("policy.csv", None),
    ]
    for name, data in broken:
        path = folder / name
        kept = path.read_bytes()
        path.unlink() if data is None else path.write_bytes(data)
        with pytest.raises(Misconfigured) as refusal:
            decider.swap(load(folder, catalogue))
        assert refusal.value.problems
        assert all(name.split("/")[0] in problem for problem in refusal.value.problems[:1])
        assert decider.bundle is good
        path.write_bytes(kept)
    decider.swap(load(folder, catalogue))
    assert decider.bundle is not good
    assert decider.bundle.digest == good.digest


def test_a_case_file_that_nobody_would_read_is_refused(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    (folder / "cases" / "more.yml").write_text("cases: []\n")
    assert [finding.file for finding in check(folder, catalogue)] == ["cases/more.yml"]


def test_the_digest_covers_every_file_and_the_catalogue(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    seen = {load(folder, catalogue).digest}
    for name in ("policy.csv", "model.conf", "vocabulary.yaml", "cases/branch.yaml"):
        path = folder / name
        path.write_bytes(path.read_bytes() + b"# a comment\n")
        seen.add(load(folder, catalogue).digest)
    assert len(seen) == 5
    one = build(worlds.files(GOOD), worlds.known(worlds.World(worlds.world().upstreams, "sha256:one")))[0]
    other = build(worlds.files(GOOD), worlds.known(worlds.World(worlds.world().upstreams, "sha256:two")))[0]
    assert one is not None
    assert other is not None
    assert one.digest != other.digest


def test_names_and_bytes_do_not_run_together_in_the_digest() -> None:
    assert digest({"ab": b"c"}, "") != digest({"a": b"bc"}, "")
    assert digest({"a": b""}, "b") != digest({"ba": b""}, "")


def test_a_file_that_stock_casbin_reads_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # by its module: in the package the name is the function
    monkeypatch.setattr(sys.modules["gateway.policy.load"], "same_rows", lambda *_: False)
    assert refusals() == ["policy.csv:1 stock Casbin reads other rows"]
    rows = [Row(1, "p", ("role:a", "*"), "p, role:a, *")]
    assert not same_rows(enforcer(worlds.MODEL, [ROW]), rows)


def test_a_policy_that_its_cases_contradict_is_refused_at_the_case_line(folder: Path) -> None:
    catalogue = load_catalogue(folder / "catalogue", allowed_hosts=frozenset())
    path = folder / "policy.csv"
    widened = path.read_text() + "p, role:agent, *, crm/customer, show:clear, contact, service, True, allow\n"
    path.write_text(widened)
    with pytest.raises(Misconfigured) as refusal:
        load(folder, catalogue)
    assert "/phone is clear, not masked" in str(refusal.value)
    assert refusal.value.problems[0].startswith("cases/branch.yaml:")
