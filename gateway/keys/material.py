"""Ground: secrets as they come from outside: a file or the environment. Nothing here is shown, logged or kept in clear elsewhere.

The file is JSON: `{"format": 1, "root": "<base64>", "keks": [{"version": 1, "created": "…Z", "secret": "<base64>"}]}`. `root` is
what MAC and derived keys come from and stays; `keks` are key-encryption keys: the newest wraps, all unwrap.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.words.errors import Misconfigured

SECRET_BYTES = 32  # AES-256 and HMAC-SHA-256 alike
VERSION_LIMIT = 2**32
_MAX_FILE_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Kek:
    """One key-encryption key (NIST SP 800-57 part 1, section 5.3.5: one key, one use)."""

    version: int
    created: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Material:
    """What a provider gives: `keks` ascending by version, at least one. `source` says where from, for a person."""

    root: bytes = field(repr=False)
    keks: tuple[Kek, ...]
    source: str


def create_key_file(path: Path, *, now: datetime | None = None) -> None:
    """Makes a key file with a random root and version 1, mode 0600, on the disk when this returns.

    Raises Misconfigured where something of that name is there already: a key file is never overwritten.
    """
    kek = {"version": 1, "created": _stamp(now), "secret": _random()}
    _write_new(path, {"format": 1, "root": _random(), "keks": [kek]})


def add_version(path: Path, *, now: datetime | None = None) -> int:
    """Adds a key-encryption key and gives its version; the file is replaced whole, so a crash leaves the old or the new one."""
    material = from_file(path)
    version = material.keks[-1].version + 1
    keks = [_kek_out(k) for k in material.keks]
    keks.append({"version": version, "created": _stamp(now), "secret": _random()})
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    _write_new(beside, {"format": 1, "root": _text(material.root), "keks": keks})
    beside.replace(path)
    _sync_folder(path.parent)
    return version


def from_file(path: Path) -> Material:
    """Reads a key file. Raises Misconfigured unless it is a plain file of ours that nobody else can read, write or replace."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise Misconfigured(
            f"key file {path}: there is none; make one with `gatehouse keys create`, or after a loss restore the copy"
        ) from error
    except OSError as error:
        raise Misconfigured(f"key file {path}: cannot be opened ({error.strerror})") from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise Misconfigured(f"key file {path}: not a plain file")
    with os.fdopen(handle, "rb") as opened:
        if stat.S_IMODE(about.st_mode) & 0o077:
            raise Misconfigured(f"key file {path}: others may read or write it; `chmod 600` it")
        if about.st_uid not in (os.geteuid(), 0):
            raise Misconfigured(f"key file {path}: belongs to another user")
        data = opened.read(_MAX_FILE_BYTES + 1)
    # Whoever may write into its folder puts another file in its place, whatever the file's own mode; not where the folder is sticky.
    if (mode := path.parent.stat().st_mode) & 0o022 and not mode & stat.S_ISVTX:
        raise Misconfigured(
            f"key file {path}: others may write into its folder and put another in its place; `chmod go-w {path.parent}`"
        )
    return _parse(data, f"file {path}")


def from_environment(name: str, environment: Mapping[str, str] | None = None) -> Material:
    """Reads what a key file holds from the variable `name`. Raises Misconfigured where it is absent or malformed."""
    text = (os.environ if environment is None else environment).get(name)
    if not text:
        raise Misconfigured(f"environment variable {name}: not set; it holds what a key file holds")
    return _parse(text.encode("utf-8", "surrogateescape"), f"environment {name}")


def _parse(data: bytes, source: str) -> Material:
    # The cause is dropped on purpose: a JSON error carries the document, which is the secrets.
    if len(data) <= _MAX_FILE_BYTES:
        try:
            return _material(json.loads(data), source)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
    raise Misconfigured(f"keys from {source}: not in the form that `gatehouse` writes (docs/sealing.md)")


def _material(document: Any, source: str) -> Material:
    if set(document) != {"format", "root", "keks"} or type(document["format"]) is not int:
        raise ValueError("members")
    if document["format"] != 1:
        raise ValueError("format")
    keks = tuple(_kek_in(item) for item in document["keks"])
    versions = [kek.version for kek in keks]
    if not keks or versions != sorted(set(versions)):
        raise ValueError("versions")
    secrets = {_secret(document["root"]), *(kek.secret for kek in keks)}
    if len(secrets) != len(keks) + 1:
        raise ValueError("one secret twice")
    return Material(_secret(document["root"]), keks, source)


def _kek_in(item: Any) -> Kek:
    if set(item) != {"version", "created", "secret"} or type(item["version"]) is not int:
        raise ValueError("kek")
    if not 0 < item["version"] < VERSION_LIMIT or not isinstance(item["created"], str):
        raise ValueError("kek")
    return Kek(item["version"], item["created"], _secret(item["secret"]))


def _kek_out(kek: Kek) -> dict[str, object]:
    return {"version": kek.version, "created": kek.created, "secret": _text(kek.secret)}


def _secret(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("secret")
    try:
        secret = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("secret") from error
    if len(secret) != SECRET_BYTES or not any(secret):
        raise ValueError("secret")
    return secret


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode("ascii")


def _random() -> str:
    return _text(os.urandom(SECRET_BYTES))


def _stamp(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_new(path: Path, document: Mapping[str, object]) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Misconfigured(f"key file {path}: cannot be made ({error.strerror})") from error
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        json.dump(document, opened, indent=1)
        opened.write("\n")
        opened.flush()
        os.fsync(opened.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    # Without this a power failure may lose the name although the file's bytes are there.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
