"""Files that people write: catalogue, model, rules, vocabulary, cases, settings. A mistake is a line to read, never a crash."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import settings
from gateway.catalogue import Catalogue, load
from gateway.policy import run_cases
from gateway.policy.bundle import Bundle
from gateway.policy.condition import Malformed, parse
from gateway.policy.load import build
from gateway.wire.yaml import Unreadable, read
from gateway.words.errors import Misconfigured
from tests.catalogue.builders import HOSTS, SHOP
from tests.fuzz.laws import NEEDLE, fuzz, held, in_time, mutated
from tests.policy import worlds

LONGEST = 2_000  # characters of one thing that is told, besides what it repeats of the file
NOISE = st.text(max_size=3) | st.text("[]{}:,&*!|>%'\"#- \n\t\\", max_size=4)

# ── YAML, as every such file is ──────────────────────────────────────────────────────────────────────────────────────

YAML_PIECES = [
    "\n", "\n  ", "\n---\n", "\n...\n", "%YAML 1.1\n---\n", "%TAG ! x\n---\n", "&a ", "*a", "!!str ", "!!binary ",
    "!!python/object:os.system ", "<<: ", "? ", ": ", "- ", "[", "]", "{", "}", "|\n", ">-\n", "'", '"', '"\\ud800"', '"\\x00"',
    '"\\UFFFFFFFF"', '"\\u20"', "#", "\t", "\0", "\ufeff", "\x85", "\u2028", "null", "~", "true", "yes", "-0", "007", "0x1f", "1e999",
    ".nan", ".inf", "9" * 30, "9" * 5000, "1.5", "2026-02-30", "2026-11-02T10:00:00Z", "1:30", "=", "<<", "龙", "[" * 30, "{a: " * 30,
    "- " * 200, NEEDLE,
]  # fmt: skip
YAMLS = [
    "a: 1\nb: [x, 'y', \"z\"]\nc: {d: null, e: 1.5}\n", "- a\n- - b\n  - c\n", "a: |\n  text\n  more\nb: >-\n  folded\n", "? a\n: b\n",
    "a: {b: {c: {d: e}}}\n", "'quoted key': \"\\u9f99\"\n", "# only a comment\na:\n",
]  # fmt: skip


@fuzz(55, 40_000)
@given(text=mutated(YAMLS, YAML_PIECES, NOISE))
def test_yaml_is_a_tree_or_unreadable(text: str) -> None:
    found = held(lambda: read(text), Unreadable, secret=False)
    if isinstance(found, Unreadable):
        assert (
            1
            <= found.line
            <= text.count("\n") + text.count("\x85") + text.count("\u2028") + text.count("\r") + 2
        )
        assert len(found.what) <= LONGEST + len(text)


STUMBLES = {
    "an escape that is no character": 'a: "\\UFFFFFFFF"\n',
    "a version with more digits than Python reads": "%YAML 1." + "9" * 5000 + "\n---\na: b\n",
}


@pytest.mark.parametrize("name", STUMBLES)
def test_what_yaml_itself_stumbles_over_is_a_mistake_in_a_line(name: str) -> None:
    with pytest.raises(Unreadable):
        read(STUMBLES[name])


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────

SECRET = SHOP.replace("env:SHOP_TOKEN", f"hunter-{NEEDLE}")
CATALOGUE_VALUES = [
    "", "null", "true", "-7", "1e999", "99999999999999999999", "[a, {b: c}]", "{a: b}", "'{id}'", "/{id}/{id}", "/{parent}",
    "/a/{key}?x={key}", "/a?b={key}", "/../a", "//", "/a b", "/%41", "/~2", "/*/*", "/a/*", "/", "'*'", "gatehouse", "embedded:",
    "https://[::1", "http://a:99999/", "https://u:p@h/", "https://\u2100/", "file:/x", "env:A", "itself", "none",
    "{resource: buyer, at: /name}", "2027-02-30", "2027-01-31", "GET /x", "get /x", "PUT /buyers/{id}/x", "[etag, etag]", '"\\ud800"',
    '"a\\0b"', "profile", "identity", "number",
]  # fmt: skip
LINES = SHOP.splitlines()


@st.composite
def catalogues(draw: st.DrawFn) -> str:
    lines = list(LINES)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        key, _, _ = lines[at].partition(": ")
        match draw(st.sampled_from(("value", "value", "value", "drop", "double", "indent"))):
            case "value":
                lines[at] = f"{key.rstrip(':')}: {draw(st.sampled_from(CATALOGUE_VALUES))}"
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case _:
                lines[at] = draw(st.sampled_from(["  ", " ", "\t"])) + lines[at]
    return "\n".join(lines) + "\n"


@fuzz(20, 4_000)
@given(text=catalogues() | mutated([SHOP, SHOP, SHOP, SECRET], YAML_PIECES, NOISE, 1))
def test_a_catalogue_loads_or_every_mistake_has_its_line(shelf: Path, text: str) -> None:
    folder = shelf / "catalogue"
    folder.mkdir(exist_ok=True)
    (folder / "shop.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    found = held(
        lambda: load(folder, allowed_hosts=HOSTS),
        Misconfigured,
        secret=f"{{from: hunter-{NEEDLE}}}" in text and text.count(NEEDLE) == 1,
    )
    if isinstance(found, Misconfigured):
        assert found.problems
        for problem in found.problems:
            assert re.match(r"shop\.yaml:\d+: .*; ", problem, re.S), problem
            assert len(problem) <= LONGEST + len(text)
    else:
        assert isinstance(found, Catalogue)
        assert re.fullmatch(r"sha256:[0-9a-f]{64}", found.digest)


@pytest.mark.parametrize("old", ["upstream: shop", "prefix: /shop"])
def test_half_a_character_is_a_mistake_that_can_be_printed(shelf: Path, old: str) -> None:
    folder = shelf / "catalogue"
    folder.mkdir(exist_ok=True)
    (folder / "shop.yaml").write_text(SHOP.replace(old, f'{old.partition(":")[0]}: "\\ud800"'))
    with pytest.raises(Misconfigured) as refused:
        load(folder, allowed_hosts=HOSTS)
    str(refused.value).encode()


# ── the policy: rules, model, vocabulary ─────────────────────────────────────────────────────────────────────────────

RULES = """\
# a comment
p, role:a, *, crm/customer, customer:read, -, service, True, allow
p, role:a, *, crm/customer, show:clear, contact, *, r.rec.level == 1 and r.rec.owner in ["x", "y"], allow
p, role:b, branch:north, crm/customer, customer:read, -, *, not (r.env.hour < 9 or r.sub.alone == True), deny
p, role:b, *, crm/customer, set, /phone, service, "x" in r.rec.tags, allow

g, person:https://id.example#kim, role:a, branch:north
g, role:b, role:a, *
"""
RULE_PIECES = [
    ",", ", ", "\n", "\np, ", "\ng, ", "p, role:a, *, crm/customer, customer:list, -, service, True, allow\n", "g, role:a, role:b, *\n",
    "(", ")", "[", "]", '"', "'", "#", "*", "-", "allow", "deny", "Allow", "role:c", "role:", "app:x", "branch:south", "show:*", "/name",
    "r.rec.level", "r.sub.__class__", "r.rec.get", " and ", " == ", " in ", "not ", "True", "True if True else False", "lambda: 1", "()",
    "9" * 30, "\\", "\t", "\0", "\ufeff", "\u2028", "а", "eval(", "p.", "r2.", "&&", "||", "!", ";", "f'x'", "b'x'", "x := 1", "[1] * 9",
    "not " * 60, "(" * 60, "-" * 60 + "1", NEEDLE,
]  # fmt: skip
MODEL_PIECES = [
    *RULE_PIECES, "[matchers]\n", "m = ", "e = ", "some(where (p.eft == allow))", " && ", "regexMatch(r.act, \"^a+$\")",
    "regexMatch(r.act, \"^(a+)+$\")", "keyMatch(r.act, \"*\")", "r.env.hour < 20", "g(r.who, r.role, r.dom)", "\\\n", "[", "]\n",
]  # fmt: skip
VOCABULARY_VALUES = [
    "clock: Europe/London\n", "clock: ../../etc/passwd\n", 'clock: "UTC+99:99"\n', "clock: [a]\n", 'clock: "\\0"\n', 'clock: ""\n',
    "attributes: [id]\n", "attributes: {a: b}\n", "purposes: [service]\n", "units: {}\n", "  role:e: {zh: e}\n",
    "  ? [a, b]\n  : {zh: a, en: b}\n", "  <<: {role:z: {zh: z, en: z}}\n", "  2026-02-30: {zh: a, en: a}\n",
]  # fmt: skip


@st.composite
def policies(draw: st.DrawFn) -> dict[str, bytes]:
    rules, model, vocabulary = RULES, worlds.MODEL, worlds.VOCABULARY
    match draw(st.sampled_from(("rules", "rules", "rules", "model", "vocabulary", "vocabulary"))):
        case "rules":
            rules = draw(mutated([RULES], RULE_PIECES, NOISE, 3))
        case "model":
            model = draw(mutated([worlds.MODEL], MODEL_PIECES, NOISE, 2))
        case _:
            vocabulary = draw(mutated([worlds.VOCABULARY], [*YAML_PIECES, *VOCABULARY_VALUES], NOISE, 2))
    files = worlds.files(rules, model=model, vocabulary=vocabulary)
    name = draw(st.sampled_from([None, None, None, *files]))
    if name is not None:
        files[name] = draw(
            mutated(
                [files[name]],
                [b"\xff", b"\r\n", b"\0", b"\xe2\x80\xae", b"\xc2\xa0"],
                st.binary(max_size=2),
                1,
            )
        )
    return files


class _Refused(Exception):
    """Stands for findings that refuse a bundle."""


@fuzz(45, 15_000)
@given(files=policies())
def test_a_policy_is_a_bundle_or_findings_with_their_lines(files: dict[str, bytes]) -> None:
    findings: list[Any] = []

    def made() -> Bundle:
        bundle, found = build(files, worlds.ground())
        findings.extend(found)
        if bundle is None:
            raise _Refused
        return bundle

    found = held(made, _Refused, secret=False)
    assert findings or not isinstance(found, _Refused)
    for finding in findings:
        assert finding.file in files
        assert 1 <= finding.line <= files[finding.file].count(b"\n") + 2
        assert len(str(finding)) <= LONGEST + len(files[finding.file])
        str(finding).encode()


@pytest.mark.parametrize("line", ["x: !!bool a", 'x: "\\UFFFFFFFF"'])
def test_a_vocabulary_that_yaml_stumbles_over_is_findings(line: str) -> None:
    files = worlds.files(RULES, vocabulary=f"{worlds.VOCABULARY}{line}\n")
    assert build(files, worlds.ground())[1]


@pytest.mark.parametrize("part", ["not " * 1000 + "True", "1" + " + 1" * 1000, "r" + ".a" * 1000])
def test_a_matcher_that_is_too_deep_is_a_finding(part: str) -> None:
    model = worlds.MODEL.replace(" && eval(p.cond)", f" && {part} && eval(p.cond)")
    assert build(worlds.files(RULES, model=model), worlds.ground())[1]


CONDITIONS = [
    "True", "r.rec.level == 1", 'r.rec.owner in ["a", "b"] and r.env.hour >= 9', 'not ("x" in r.rec.tags or r.sub.alone == True)',
    "r.pur != 'audit' && r.dom == \"branch:north\"",
]  # fmt: skip


@fuzz(70, 50_000)
@given(text=mutated(CONDITIONS, RULE_PIECES, NOISE | st.text("rpnot()[]\"'=<>!&|., 019", max_size=6)))
def test_a_condition_is_ready_or_malformed(text: str) -> None:
    found = held(lambda: parse(text), Malformed, secret=False)
    if isinstance(found, Malformed):
        assert len(str(found)) <= 200
    else:
        assert not isinstance(found, Exception)
        assert found.text == text


# ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────────

CASES = """\
now: "2026-11-02T10:00:00+08:00"
principals:
  kim: {application: {id: app:desk, roles: ["role:a"]}, person: "person:https://id.example#kim", purposes: [service]}
  shop: {application: {id: app:shop, roles: ["role:b"], attributes: {grade: 3}}, purposes: []}
records:
  one: {resource: crm/customer, facts: {unit: branch:north, level: 1, owner: x, tags: [x]}}
  two: {resource: crm/customer, facts: {}, erased: true, refused: [service]}
cases:
  - principal: kim
    record: one
    allow:
      - {actions: [customer:read], purposes: [service], clear: [contact], search: []}
  - {principal: shop, record: two, at: "2026-11-02T23:00:00Z", allow: []}
"""
CASE_PIECES = [
    *YAML_PIECES, "at: ", '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-12:00"', "principal: [a]", "record: {a: b}", "allow: {}",
    "[[a]]", "clear: [all]", "unit: [a]", "facts: [a]", "refused: 7", "roles: 7", "role:a@", "@", "level: 1.5", "level: 2026-01-01",
    "  - []\n", "  - 7\n", "cases: []\n", "now: 7\n",
]  # fmt: skip
GROUND = worlds.world()
BUNDLE = worlds.bundle(RULES)


@fuzz(40, 10_000)
@given(
    data=mutated(
        [CASES.encode()],
        [piece.encode("utf-8", "surrogatepass") for piece in CASE_PIECES],
        st.binary(max_size=2),
        3,
    )
)
def test_cases_hold_or_fail_with_their_line(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    bundle = dataclasses.replace(BUNDLE, files={**BUNDLE.files, "cases/a.yaml": data})
    failures: list[Any] = []

    def ran() -> bool:
        failures.extend(run_cases(bundle, GROUND))
        if failures:
            raise _Refused
        return True

    held(ran, _Refused, secret=False)
    for failure in failures:
        assert failure.file in ("cases/a.yaml", "cases/")
        assert 1 <= failure.line <= text.count("\n") + 2
        assert len(str(failure)) <= LONGEST + len(text)
        str(failure).encode()


def said_of(text: str) -> list[str]:
    with in_time():
        return [
            str(f)
            for f in run_cases(dataclasses.replace(BUNDLE, files={"cases/a.yaml": text.encode()}), GROUND)
        ]


def test_what_is_told_of_a_case_is_short_whatever_its_aliases_hold() -> None:
    levels = ["a: &a [" + ", ".join("z" * 10) + "]"]
    for one, other in ("ab", "bc", "cd"):
        levels.append(f"{other}: &{other} [{', '.join(['*' + one] * 10)}]")
    text = CASES.replace("{grade: 3}", "{" + ", ".join(levels) + "}").replace(
        "principal: shop", "principal: *d"
    )
    assert all(len(line) <= LONGEST + len(text) for line in said_of(text))


def test_a_case_file_that_yaml_stumbles_over_fails_with_its_line() -> None:
    assert said_of(CASES + 'why: "\\UFFFFFFFF"\n')


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────────────────

VARIABLES = [name for name, *_ in settings.table()]
SETTING_VALUES = [
    "", "8080", "-1", "65536", "1e999", "nan", "inf", "0", "٣", " 7 ", "9" * 30, "9" * 5000, "on", "off", "ON", "en", "zh", "127.0.0.1",
    "~", "~/x", "/tmp", "a:1,b:2", "a", ",", "postgresql://x", NEEDLE, "\udcff", "x" * 5000, "..", "0x10", "1_000",
]  # fmt: skip


names = st.sampled_from(VARIABLES) | mutated(
    VARIABLES, ["_", "X", "GATEHOUSE_", NEEDLE[:3]], st.text("ABC_x", max_size=2), 2
)
given_values = st.sampled_from(SETTING_VALUES) | mutated(
    SETTING_VALUES, [".", "-", "e", " ", "龙"], st.text(st.characters(exclude_characters="\0"), max_size=3), 2
)


@fuzz(70, 30_000)
@given(environment=st.dictionaries(names, given_values, max_size=4))
def test_settings_are_read_or_every_mistake_is_named_without_its_value(environment: dict[str, str]) -> None:
    if any(value.startswith("~") and not re.match(r"~(/|$)", value) for value in environment.values()):
        return  # test_a_home_of_nobody_is_a_mistake
    # test_a_mistake_in_seconds_is_told_without_its_value
    told = any(name.endswith("_SECONDS") and NEEDLE in value for name, value in environment.items())
    secret = not told and not any(NEEDLE in name for name in environment)
    found = held(lambda: settings.read(environment), Misconfigured, secret=secret)
    assert isinstance(found, Misconfigured | settings.Settings)


SETTINGS_FILE = "".join(
    f"{line[2:]}\n"
    for line in (worlds.ROOT / "gatehouse.toml.example").read_text().splitlines()
    if re.match(r"# [a-z_]+ = ", line)
)


@fuzz(50, 20_000)
@given(
    mutated(
        [
            "port = 8080\n",
            "upstream_hosts = ['a:1']\n",
            "socket = true\n",
            'language = "zh"\n',
            "[a]\n",
            SETTINGS_FILE,
        ],
        [
            "=",
            "\n",
            "[",
            "]",
            "{",
            '"""',
            "'",
            "\\u0000",
            "#",
            ",",
            ".",
            "龙",
            "\ufeff",
            f"'{NEEDLE}'",
            "9" * 5000,
            "[" * 3000,
        ],
        st.text(st.characters(exclude_characters=NEEDLE), max_size=3),
        4,
    )
)
def test_a_settings_file_is_read_or_every_mistake_is_named_without_its_value(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "gatehouse.toml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        path.chmod(0o600)
        # A key that is a plain word is repeated, so the needle must not have become one.
        secret = not any("=" in line.rpartition(NEEDLE)[2] for line in text.splitlines() if NEEDLE in line)
        found = held(lambda: settings.read({settings.CONFIG: str(path)}), Misconfigured, secret=secret)
    assert isinstance(found, Misconfigured | settings.Settings)


def test_a_home_of_nobody_is_a_mistake() -> None:
    with pytest.raises(Misconfigured):
        settings.read({"GATEHOUSE_HOME": "~nobody-of-that-name/var"})


def test_a_mistake_in_seconds_is_told_without_its_value() -> None:
    with pytest.raises(Misconfigured) as refused:
        settings.read({"GATEHOUSE_STOP_SECONDS": NEEDLE})
    assert NEEDLE not in str(refused.value)
