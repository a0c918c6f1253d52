"""Beside the request path: what looks like a secret in a policy folder, which is copied, reviewed and kept for good.

A finding says where and of what kind it is, and nothing of the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.policy.finding import Finding, warning

MAX_BYTES = 64 * 1024 * 1024
"""As much as a load takes of one file (load.MAX_FILE_BYTES)."""
MAX_FILES = 2_000
MAX_LINE = 4_096
_WORDS = r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|credential|密码|密钥|口令|令牌"
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----")),
    ("a key of this gateway", re.compile(r"\bghs?_[0-9a-hjkmnp-tv-z]{26}_[A-Za-z0-9_-]{43}")),
    (
        "a JSON web token",
        re.compile(r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10}"),
    ),
    ("a cloud access key", re.compile(r"\b(?:AKIA|ASIA|LTAI|AKID)[A-Za-z0-9]{16}|\bAIza[A-Za-z0-9_-]{35}")),
    (
        "a token of a service",
        re.compile(
            r"\bgh[oprsu]_[A-Za-z0-9]{36}|\bgithub_pat_[A-Za-z0-9_]{22}|\bglpat-[A-Za-z0-9_-]{20}"
            r"|\bxox[abeoprs]-[A-Za-z0-9-]{10}|\b[rs]k_live_[A-Za-z0-9]{16}|\bsk-[A-Za-z0-9_-]{32}|\bhvs\.[A-Za-z0-9_-]{24}"
        ),
    ),
    (
        "a password in an address",
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/@:\"'#]{1,200}:[^\s/@\"'#]{1,200}@"),
    ),
    ("a bearer or basic credential", re.compile(r"\b(?:[Bb]earer|[Bb]asic) [A-Za-z0-9+/_.~=-]{20}")),
)
# Each shape has one of these, in small letters, or an address with a colon before its path. They are searched for as bytes:
# a policy of a hundred thousand rules is looked at in a second or two, by every pattern in ten.
_NAMES = (
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"token",
    b"api",
    b"private",
    b"access",
    b"credential",
)
_CHINESE = tuple(word.encode() for word in ("密码", "密钥", "口令", "令牌"))
_OURS = (b"gh_", b"ghs_", b"eyj", b"bearer ", b"basic ")
_CLOUDS = (b"akia", b"asia", b"ltai", b"akid", b"aiza", b"_live_", b"sk-", b"hvs.", b"xox")
_FORGES = (b"gho_", b"ghp_", b"ghr_", b"ghu_", b"github_pat_", b"glpat-")
_HINTS = (*_NAMES, *_CHINESE, *_OURS, *_CLOUDS, *_FORGES)
_ADDRESS = re.compile(rb"://[^\s/@:]+:")
# A name that says what stands behind it. A reference (`env:…`, `file:…`), a placeholder or a mere word is no secret.
_NAMED = re.compile(
    rf"(?i)(?:^|[\s{{,;\"'_-])(?:{_WORDS})[\"']?\s{{0,8}}[:=：]\s{{0,8}}[\"']?(?P<value>[^\s\"',}};#]{{8,400}})"
)
_REFERENCE = re.compile(r"(?:env|file|vault|secret|arn|r\.|\$|<|\*|\[|\{|sha256:)", re.IGNORECASE)
_GUESSED = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9!@$%^&*?+=/~])")


def secrets(folder: Path) -> Iterator[Finding]:
    """Gives each line of the folder's files that looks like a secret. Reads texts only, of MAX_BYTES at most; follows no link out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    for path in files[:MAX_FILES]:
        try:
            if path.stat().st_size > MAX_BYTES:
                continue
            data = path.read_bytes()
        except OSError:
            continue  # whoever needs the file says so
        if b"\0" in data[:1024]:
            continue
        name = path.relative_to(folder).as_posix()
        for number, line in _suspect(data):
            kind = looks_like(line)
            if kind is not None:
                yield warning(
                    name,
                    number,
                    f"this looks like {kind}",
                    "It would stand in every copy of the folder, in its history and in each bundle that is kept",
                    "Change it where it is used, and name it by reference (`env:NAME`, `file:PATH`)",
                    rule="secret",
                )


def _suspect(data: bytes) -> Iterator[tuple[int, str]]:
    """Gives the lines that hold a word which every shape has one of, with their numbers: few of a long policy's."""
    small = data.lower()  # bytes keep their places; of letters the ASCII ones alone change
    starts = {small.rfind(b"\n", 0, found.start()) + 1 for found in _ADDRESS.finditer(small)}
    for hint in _HINTS:
        at = small.find(hint)
        while at >= 0:
            starts.add(small.rfind(b"\n", 0, at) + 1)
            end = small.find(b"\n", at)
            at = small.find(hint, end) if end >= 0 else -1
    number, counted = 1, 0
    for start in sorted(starts):
        number += data.count(b"\n", counted, start)
        counted = start
        end = data.find(b"\n", start)
        yield number, data[start : end if end >= 0 else len(data)].decode("utf-8", "replace")


def looks_like(line: str) -> str | None:
    """Gives what kind of secret the line looks like, None for none."""
    for at in range(0, max(len(line), 1), MAX_LINE):
        part = line[max(0, at - 256) : at + MAX_LINE]
        for kind, shape in _SHAPES:
            if shape.search(part):
                return kind
        for found in _NAMED.finditer(part):
            value = found["value"]
            if not _REFERENCE.match(value) and _GUESSED.match(value):
                return "a password or key behind its name"
    return None
