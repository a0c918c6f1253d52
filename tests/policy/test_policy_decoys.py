"""decoys.yaml: read strictly, part of the bundle; a record that is a decoy no more is a widening."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.policy import widened
from gateway.policy.bundle import Bundle
from gateway.policy.finding import Finding, Severity
from gateway.policy.known import known
from gateway.policy.load import build
from gateway.words.resource import IdForm
from gateway.words.widening import Why
from tests.policy import worlds

READ = "p, role:a, *, crm/customer, customer:read, -, service, True, allow\n"


def built(text: str | None) -> tuple[Bundle | None, list[Finding]]:
    spec = replace(worlds.spec("customer", "unit"), id_form=IdForm.TOKEN)
    files = worlds.files(READ) | ({} if text is None else {"decoys.yaml": text.encode()})
    return build(files, known(worlds.world(spec)))


def made(text: str | None) -> Bundle:
    bundle, findings = built(text)
    assert bundle is not None, [str(finding) for finding in findings]
    return bundle


def test_each_is_a_record_of_a_resource_and_the_digest_covers_the_file() -> None:
    one = made('decoys:\n  crm/customer: ["a-1", b2]\n')
    assert one.decoys == {("crm", "customer", "a-1"), ("crm", "customer", "b2")}
    assert made(None).decoys == frozenset()
    assert len({one.digest, made(None).digest, made('decoys:\n  crm/customer: ["a-1"]\n').digest}) == 3


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("decoys: 3\n", "decoys-unreadable", 1),
        ("decoys: {}\nmore: 1\n", "decoys-unreadable", 1),
        ("- x\n", "decoys-unreadable", 1),
        ("decoys:\n  crm/customer: &a [x]\n", "decoys-unreadable", 2),
        ("decoys:\n  crm/custome: [x]\n", "decoy-unknown", 2),
        ("decoys:\n  gatehouse/key: [x]\n", "decoy-unknown", 2),
        ("decoys:\n  crm/customer: x\n", "decoy-malformed", 2),
        ("decoys:\n  crm/customer: []\n", "decoy-malformed", 2),
        ("decoys:\n  crm/customer:\n    - x\n    - 7\n", "decoy-malformed", 4),
        ("decoys:\n  crm/customer:\n    - x\n    - a/b\n", "decoy-malformed", 4),
        ("decoys:\n  crm/customer:\n    - x\n    - x\n", "decoy-malformed", 4),
    ],
)
def test_what_is_wrong_is_refused_by_line(text: str, rule: str, line: int) -> None:
    bundle, findings = built(text)
    assert bundle is None
    assert [(f.file, f.line, f.severity, f.rule) for f in findings] == [
        ("decoys.yaml", line, Severity.ERROR, rule)
    ]


def test_more_than_can_be_looked_up_are_refused() -> None:
    bundle, findings = built("decoys:\n  crm/customer: [" + ", ".join(f"a{n}" for n in range(10_001)) + "]\n")
    assert (bundle, [f.rule for f in findings]) == (None, ["decoys-unreadable"])


def test_one_that_is_no_longer_there_widens_and_one_more_does_not() -> None:
    one, two = made("decoys:\n  crm/customer: [a]\n"), made("decoys:\n  crm/customer: [a, b]\n")
    assert [(w.why, w.about) for w in widened(two, one, worlds.world())] == [(Why.DECOY, "crm/customer")]
    assert widened(one, two, worlds.world()) == ()
    assert [w.why for w in widened(one, made(None), worlds.world())] == [Why.DECOY]
