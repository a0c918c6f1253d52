"""Certificate files: what is refused before TLS uses them, and how a change of them is taken."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import SubjectAlternativeName

from gateway.keys import Refusal, Rotating, read_certificates, read_pair
from gateway.words.errors import Misconfigured
from tests.certificates import DAY, SM2_CERTIFICATE, SM2_KEY, Authority, Files, now, private


@pytest.fixture
def pair(tmp_path: Path) -> Files:
    return Authority(tmp_path).issue("gate.test", ends=datetime(2040, 1, 2, tzinfo=UTC))


def test_a_pair_says_when_it_ends(pair: Files) -> None:
    assert read_pair(pair.certificate, pair.key, now()).ends == datetime(2040, 1, 2, tzinfo=UTC)


def test_a_chain_ends_with_the_first_of_it(tmp_path: Path, pair: Files) -> None:
    authority = Authority(tmp_path, "Above")
    pair.certificate.write_bytes(pair.certificate.read_bytes() + authority.file.read_bytes())
    ends = read_pair(pair.certificate, pair.key, now()).ends
    assert ends == authority.certificate.not_valid_after_utc < datetime(2040, 1, 2, tzinfo=UTC)


def no_file(pair: Files) -> None:
    pair.key.unlink()


def folder(pair: Files) -> None:
    pair.key.unlink()
    pair.key.mkdir()


def pipe(pair: Files) -> None:
    pair.key.unlink()
    os.mkfifo(pair.key, 0o600)


def readable(pair: Files) -> None:
    pair.key.chmod(0o640)


def sealed(pair: Files) -> None:
    pair.key.write_bytes(private(ec.generate_private_key(ec.SECP256R1()), b"hush"))


def another(pair: Files) -> None:
    pair.key.write_bytes(private(ec.generate_private_key(ec.SECP256R1())))


def exchanged(pair: Files) -> None:
    pair.key.write_bytes(pair.certificate.read_bytes())


def cut(pair: Files) -> None:
    pair.certificate.write_bytes(pair.certificate.read_bytes()[:300])


def empty(pair: Files) -> None:
    pair.certificate.write_bytes(b"")


def sm2_certificate(pair: Files) -> None:
    pair.certificate.write_text(SM2_CERTIFICATE)


def sm2_key(pair: Files) -> None:
    pair.key.write_text(SM2_KEY)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (no_file, "leaf.key: cannot be opened"),
        (folder, "leaf.key: not a plain file"),
        (pipe, "leaf.key: not a plain file"),
        (readable, r"leaf.key: others may read or write it; `chmod 600` it"),
        (sealed, "leaf.key: has a pass phrase"),
        (another, "leaf.key is not the key of the first certificate in leaf.pem"),
        (exchanged, "leaf.key: no PEM private key"),
        (cut, "leaf.pem: no PEM certificates"),
        (empty, "leaf.pem: no PEM certificates"),
        (sm2_certificate, "leaf.pem: holds a key of a kind that is not known here"),
        (sm2_key, "leaf.key: holds a key of a kind that is not known here"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_files_name(
    pair: Files, spoil: Callable[[Files], None], said: str
) -> None:
    spoil(pair)
    with pytest.raises(Misconfigured, match=said):
        read_pair(pair.certificate, pair.key, now())


def test_a_certificate_holds_between_its_two_moments(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("gate.test", begins=now() + DAY, ends=now() + 2 * DAY)
    with pytest.raises(Misconfigured, match="holds only from"):
        read_pair(pair.certificate, pair.key, now())
    read_pair(pair.certificate, pair.key, now() + 1.5 * DAY)
    with pytest.raises(Misconfigured, match="ended on"):
        read_pair(pair.certificate, pair.key, now() + 2.5 * DAY)


def test_a_file_of_authorities_is_at_least_one_certificate(tmp_path: Path, pair: Files) -> None:
    assert len(read_certificates(Authority(tmp_path, "One").file)) == 1
    with pytest.raises(Misconfigured):
        read_certificates(pair.key)


def test_a_certificate_whose_names_cannot_be_read_is_refused(tmp_path: Path) -> None:
    odd = Authority(tmp_path, "Odd")
    # An x400Address (RFC 5280 section 4.2.1.6), which nobody writes and the library gives up on.
    names = x509.UnrecognizedExtension(SubjectAlternativeName.oid, bytes.fromhex("3005a303020101"))
    built = odd._build(odd.subject, odd.key, now() - DAY, now() + DAY).add_extension(names, False)
    odd.file.write_bytes(built.sign(odd.key, hashes.SHA256()).public_bytes(Encoding.PEM))
    with pytest.raises(Misconfigured, match=r"Odd\.pem: no PEM certificates that can be read"):
        read_certificates(odd.file)


# ── files that change ────────────────────────────────────────────────────────────────────────────────────────────


class Word:
    """One file with a word in it; `bad` cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "word"
        self.write("one")
        self.rotating = Rotating((self.path,), self.read)

    def write(self, text: str) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self.path)

    def read(self) -> str:
        text = self.path.read_text()
        if text == "bad":
            raise Misconfigured("bad")
        return text


def test_a_change_is_taken_once(tmp_path: Path) -> None:
    word = Word(tmp_path)
    assert word.rotating.look() is None
    word.write("two")
    assert [word.rotating.look(), word.rotating.look(), word.rotating.value] == ["two", None, "two"]


def test_what_is_still_being_written_is_no_refusal_and_what_stays_broken_is_one(tmp_path: Path) -> None:
    word = Word(tmp_path)
    word.write("bad")
    assert word.rotating.look() is None
    word.write("two")
    assert word.rotating.look() == "two"
    word.write("bad")
    looks = [word.rotating.look() for _ in range(4)]
    assert looks == [None, Refusal(("bad",)), None, None]
    assert word.rotating.value == "two"
    word.write("three")
    assert word.rotating.look() == "three"


def test_a_link_that_is_turned_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "first").write_text("one")
    (tmp_path / "other").write_text("two")
    link = tmp_path / "link"
    link.symlink_to("first")
    rotating = Rotating((link,), link.read_text)
    link.unlink()
    link.symlink_to("other")
    assert rotating.look() == "two"


def test_there_is_no_beginning_with_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("bad")
    with pytest.raises(Misconfigured):
        Rotating((tmp_path / "word",), lambda: read_certificates(tmp_path / "word"))
