"""A pipe or a device in the place of a file is refused like any file that cannot be read: it holds up no start and no look."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.catalogue import load as load_catalogue
from gateway.identity.certificates import read_holders
from gateway.identity.issuers import read_issuers
from gateway.identity.jwks import FileKeys
from gateway.plainfile import read_plain
from gateway.policy.load import read_folder
from gateway.shipped import shipped
from gateway.upstream.credential import credential_header
from gateway.words.errors import Misconfigured
from gateway.words.resource import Credential

PATIENCE = 30.0


def issuers(path: Path) -> object:
    return read_issuers(path, "gatehouse")


def holders(path: Path) -> object:
    return read_holders(path)


def keys(path: Path) -> object:
    file = FileKeys(path)
    return file.take(file.read())


def credential(path: Path) -> object:
    return credential_header(Credential(f"file:{path}", "Authorization", "Bearer"), {}, "crm")


def policy(path: Path) -> object:
    folder = path.parent / "policies"
    shutil.copytree(shipped("policies"), folder, dirs_exist_ok=True)
    (folder / "policy.csv").unlink(missing_ok=True)
    path.rename(folder / "policy.csv")
    _, findings = read_folder(folder)
    if any(found.file == "policy.csv" and "cannot be read" in found.what for found in findings):
        raise Misconfigured("refused")
    return findings


def catalogue(path: Path) -> object:
    folder = path.parent / "catalogue"
    folder.mkdir()
    path.rename(folder / "crm.yaml")
    return load_catalogue(folder, allowed_hosts=frozenset(), max_opaque_bytes=1)


def ends(work: Callable[[], object], pipe: Path) -> BaseException | None:
    """Gives what the work raised; where it does not end, it is let go, and fails."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - given back
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if stuck := thread.is_alive():
        for found in (pipe, *pipe.parent.rglob("*")):
            if found.is_fifo():
                os.close(os.open(found, os.O_RDWR | os.O_NONBLOCK))
        thread.join(PATIENCE)
    assert not stuck, "it waited for somebody to write into the pipe"
    return raised[0] if raised else None


@pytest.mark.parametrize("reader", [issuers, holders, keys, credential, policy, catalogue])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert isinstance(ends(lambda: reader(pipe), pipe), Misconfigured)


@pytest.mark.parametrize("reader", [issuers, holders, keys, credential, catalogue])
def test_a_device_that_never_ends_is_refused(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/zero")
    with pytest.raises(Misconfigured):
        reader(link)


def test_a_credential_that_is_too_long_is_refused_and_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "word"
    path.write_text("x" * 16_385)
    with pytest.raises(Misconfigured, match="cannot be read"):
        credential(path)


def test_a_file_is_given_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == b"12345"
    with pytest.raises(OSError, match="too large"):
        read_plain(path, 4)
    with pytest.raises(OSError, match="not a plain file"):
        read_plain(tmp_path, 5)
