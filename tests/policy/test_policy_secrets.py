"""What looks like a secret in a policy folder is found, and nothing that only names one."""

from __future__ import annotations

import re
import string
from pathlib import Path
from random import Random

import pytest

from gateway.identity import keytext
from gateway.policy.lint import secrets as module
from gateway.policy.lint.secrets import MAX_BYTES, looks_like, secrets
from gateway.policy.load import MAX_FILE_BYTES


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(Random(count).choices(alphabet, k=count))


DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
SECRETS = [
    "-----BEGIN " + "RSA PRIVATE KEY-----",
    "-----BEGIN " + "PRIVATE KEY-----",
    f"  key: gh_{letters(26, DIGITS)}_{letters(43)}{letters(7, DIGITS)}",
    f"ghs_{letters(26, DIGITS)}_{letters(43)}{letters(12, DIGITS)}",
    f"# eyJ{letters(20)}.eyJ{letters(30)}.{letters(43)}",
    "AKIA" + letters(16, string.ascii_uppercase),
    "AIza" + letters(35),
    "ghp_" + letters(36),
    "github_pat_" + letters(30),
    "xoxb-" + letters(12),
    "sk_live_" + letters(24),
    "base: https://crm:" + "hunter2hunter@crm.example/api",
    "postgresql://gate:" + "swordfish1@db/audit",
    "authorization: Bearer " + letters(40),
    "password: " + "Tr0ub4dor&3",
    "db_password=" + "correct7horse",
    '  "api_key": "' + letters(24) + '"',
    "client-secret = '" + letters(24) + "'",
    "密码：" + "Shanghai2026!",
    "x" * 5000 + " password: " + "Tr0ub4dor&3",
]
HARMLESS = [
    "password: env:CRM_PASSWORD",
    "credential: {reference: 'file:/run/secrets/crm', header: authorization, scheme: Bearer}",
    "token: [id_document, financial]",
    "p, role:auditor, *, crm/customer, show:token, id_document, audit, True, allow",
    "g, person:https://id.demo.example#li.wei, role:agent, branch:shanghai",
    "person: person:https://id.demo.example#li.wei",
    "id_form: token",
    "secret: sha256:" + "0" * 64,
    "password: identity",
    "# the password is changed every ninety days",
    "https://crm.example:8443/api@2",
    "basic rules of the house stand here",
    "ghost_writer_of_the_year",
    "task-force-of-the-branch-in-shanghai-and-beijing",
    "secret: ${CRM_SECRET_1}",
]


@pytest.mark.parametrize("line", SECRETS)
def test_what_looks_like_a_secret_is_found_and_not_repeated(tmp_path: Path, line: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text(f"one\ntwo\n{line}\nfour\n")
    (found,) = secrets(tmp_path)
    assert (found.rule, found.file, found.line) == ("secret", "notes/a.txt", 3)
    assert not any(
        word in str(found) for word in re.findall(r"[\w&!]{9,}", line)[-1:] if "PRIVATE" not in line
    )


def test_a_key_that_this_gateway_made_is_known_by_its_form() -> None:
    text, _key = keytext.write(f"key_{letters(26, DIGITS)}", bytes(range(keytext.SECRET_BYTES)))
    assert looks_like(f"# {text}") == "a key of this gateway"
    assert looks_like(text[:-12]) is None


@pytest.mark.parametrize("line", HARMLESS)
def test_what_only_names_one_is_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.yaml").write_text(f"{line}\n")
    assert list(secrets(tmp_path)) == []
    assert looks_like(line) is None


def test_each_line_is_told_once_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"{SECRETS[0]} {SECRETS[14]}\n\nnothing\n{SECRETS[14]}\n{SECRETS[5]}")
    assert [finding.line for finding in secrets(tmp_path)] == [1, 4, 5]


def test_what_is_no_text_too_long_or_a_link_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_BYTES == MAX_FILE_BYTES
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    place = tmp_path / "policies"
    place.mkdir()
    (place / "image").write_bytes(b"\0" + SECRETS[0].encode())
    (place / "long").write_text(SECRETS[0] + "\n" + "x" * 1000)
    (tmp_path / "outside").write_text(SECRETS[0])
    (place / "link").symlink_to(tmp_path / "outside")
    assert list(secrets(place)) == []
