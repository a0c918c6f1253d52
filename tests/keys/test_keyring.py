"""The keyring: one key a label, data keys that open only in their place, files that nobody else may read."""

from __future__ import annotations

import base64
import copy
import hmac
import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys import (
    DataKeyPlace,
    KeyedEvidence,
    Keyring,
    Label,
    SealedTexts,
    Unopened,
    add_version,
    create_key_file,
    from_environment,
    from_file,
    parted,
)
from gateway.keys.material import Kek, Material
from gateway.words.access import ResourceRef
from gateway.words.errors import Misconfigured

ROOT = bytes(range(32))
MATERIAL = Material(
    ROOT, (Kek(1, "2026-01-01T00:00:00Z", b"\x01" * 32), Kek(2, "2026-02-01T00:00:00Z", b"\x02" * 32)), "test"
)
PLACE = DataKeyPlace("sub_1", "profile", b"k" * 16, 1)


def test_a_made_key_file_is_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    material = from_file(path)
    assert [kek.version for kek in material.keks] == [1]
    assert len({material.root, material.keks[0].secret}) == 2


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    before = path.read_bytes()
    with pytest.raises(Misconfigured):
        create_key_file(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o777])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 600"):
        from_file(path)


def test_a_file_that_others_may_replace_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    path = folder / "keys.json"
    create_key_file(path)
    for mode in (0o777, 0o720, 0o702):
        folder.chmod(mode)
        with pytest.raises(Misconfigured, match=f"chmod go-w {folder}"):
            from_file(path)
    for mode in (0o755, 0o1777):  # in a sticky folder nobody removes another's file
        folder.chmod(mode)
        assert from_file(path).keks


def test_a_symbolic_link_is_no_key_file(tmp_path: Path) -> None:
    create_key_file(tmp_path / "keys.json")
    (tmp_path / "link.json").symlink_to(tmp_path / "keys.json")
    with pytest.raises(Misconfigured):
        from_file(tmp_path / "link.json")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(Misconfigured, match="another user"):
        from_file(path)


def test_an_added_version_wraps_and_the_old_one_still_unwraps(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    old_version, wrapped = Keyring(from_file(path)).wrap(b"d" * 32, PLACE)
    assert add_version(path) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keys.json"]
    ring = Keyring(from_file(path))
    assert ring.unwrap(old_version, wrapped, PLACE) == b"d" * 32
    assert ring.wrap(b"d" * 32, PLACE)[0] == 2


def test_an_added_version_keeps_the_root(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    root = from_file(path).root
    add_version(path)
    assert from_file(path).root == root


def test_what_a_crash_left_beside_a_key_file_does_not_stop_the_next_version(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    (tmp_path / "keys.json.new").write_text("half")
    assert add_version(path) == 2


@pytest.mark.parametrize("kind", ["device", "folder", "pipe"])
def test_only_a_plain_file_is_a_key_file(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    places = {"device": Path("/dev/null"), "folder": tmp_path, "pipe": tmp_path / "pipe"}
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Misconfigured, match="not a plain file"):
        from_file(places[kind])
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_environment_holds_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    create_key_file(path)
    material = from_environment("KEYS", {"KEYS": path.read_text()})
    assert material.root == from_file(path).root
    with pytest.raises(Misconfigured):
        from_environment("KEYS", {})


def broken(**change: object) -> bytes:
    secrets = {"root": "A" * 42 + "E=", "keks": [{"version": 1, "created": "x", "secret": "B" * 42 + "E="}]}
    return json.dumps({"format": 1, **secrets, **change}).encode()


KEK = {"version": 1, "created": "x", "secret": "B" * 42 + "E="}
OTHER = {"version": 2, "created": "x", "secret": "C" * 42 + "E="}


def of_length(size: int) -> str:
    return base64.b64encode(b"x" * size).decode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"1",
        b"[" * 100_000,
        broken(format=2),
        broken(format=True),
        broken(root="A" * 43 + "="),
        broken(root="short"),
        broken(root=of_length(31)),
        broken(root=of_length(33)),
        broken(root="A" * 21 + "!" + "A" * 21 + "E="),
        broken(root="é" * 43 + "="),
        broken(root=1),
        broken(root=KEK["secret"]),
        broken(keks=[]),
        broken(keks={}),
        broken(keks=[KEK, KEK]),
        broken(keks=[OTHER, KEK]),
        broken(keks=[{**KEK, "version": True}]),
        broken(keks=[{**KEK, "version": 0}]),
        broken(keks=[{**KEK, "version": 2**32}]),
        broken(keks=[{**KEK, "more": 1}]),
        broken(extra=1),
        broken() + b" " * 1_048_576,
    ],
)
def test_a_malformed_key_file_is_refused_without_a_word_of_it(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(Misconfigured) as caught:
        from_file(path)
    assert caught.value.__cause__ is None
    assert "BBBB" not in str(caught.value)


def test_the_sound_form_that_the_broken_ones_start_from_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(broken())
    path.chmod(0o600)
    assert from_file(path).keks[0].version == 1


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, subject="sub_2"),
        replace(PLACE, cls="messages"),
        replace(PLACE, key=b"j" * 16),
        replace(PLACE, version=2),
        replace(PLACE, subject="sub_1p", cls="rofile"),
    ],
)
def test_a_wrapped_key_opens_only_in_its_place(elsewhere: DataKeyPlace) -> None:
    ring = Keyring(MATERIAL)
    version, wrapped = ring.wrap(b"d" * 32, PLACE)
    assert ring.unwrap(version, wrapped, PLACE) == b"d" * 32
    with pytest.raises(Unopened):
        ring.unwrap(version, wrapped, elsewhere)


def test_a_wrapped_key_is_bound_to_its_keks_version() -> None:
    # Two versions with one secret: only the associated data tells them apart.
    same = Material(ROOT, (Kek(1, "", b"\x01" * 32), Kek(2, "", b"\x01" * 32)), "test")
    version, wrapped = Keyring(same).wrap(b"d" * 32, PLACE)
    assert version == 2
    with pytest.raises(Unopened):
        Keyring(same).unwrap(1, wrapped, PLACE)


def test_a_wrapped_key_is_opened_by_hand() -> None:
    # RFC 5869 over the KEK, then the parts behind their lengths: with nothing of ours, since stored keys outlive the program.
    version, wrapped = Keyring(MATERIAL).wrap(b"d" * 32, PLACE)
    label = b"gatehouse/data-key-wrap/1"
    extracted = hmac.digest(b"\x00" * 32, MATERIAL.keks[-1].secret, "sha256")
    kek = hmac.digest(extracted, label + b"\x01", "sha256")
    parts = [label, b"sub_1", b"profile", b"k" * 16, b"\0\0\0\1", version.to_bytes(4, "big")]
    about = b"".join(len(p).to_bytes(4, "big") + p for p in parts)
    assert AESGCM(kek).decrypt(wrapped[:12], wrapped[12:], about) == b"d" * 32


def test_a_wrapped_key_whose_kek_is_not_here_stays_shut() -> None:
    version, wrapped = Keyring(MATERIAL).wrap(b"d" * 32, PLACE)
    with pytest.raises(Unopened):
        Keyring(replace(MATERIAL, keks=MATERIAL.keks[:1])).unwrap(version, wrapped, PLACE)


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_no_wrapped_key(data: bytes) -> None:
    ring = Keyring(MATERIAL)
    for version in (1, 2, 3):
        with pytest.raises(Unopened):
            ring.unwrap(version, data, PLACE)
    with pytest.raises(Unopened):
        ring.open(Label.BINDING_PLACE, data, b"")


def test_one_label_opens_nothing_of_another() -> None:
    ring = Keyring(MATERIAL)
    sealed = ring.seal(Label.BINDING_PLACE, b"place", b"about")
    assert ring.open(Label.BINDING_PLACE, sealed, b"about") == b"place"
    for label, about in ((Label.BINDING, b"about"), (Label.BINDING_PLACE, b"other")):
        with pytest.raises(Unopened):
            ring.open(label, sealed, about)


def test_derived_keys_follow_rfc_5869() -> None:
    # Extract with an empty salt, then the first block of expand, written out (RFC 5869 section 2).
    extracted = hmac.digest(b"\x00" * 32, ROOT, "sha256")
    expected = hmac.digest(extracted, b"gatehouse/binding/1" + b"\x01", "sha256")
    assert Keyring(MATERIAL).derive(Label.BINDING) == expected


def test_a_mac_is_hmac_over_parts_behind_their_lengths() -> None:
    ring = Keyring(MATERIAL)
    message = b"\x00\x00\x00\x02ab\x00\x00\x00\x00\x00\x00\x00\x03" + "中".encode()
    assert ring.mac(Label.BINDING, "ab", b"", "中") == hmac.digest(
        ring.derive(Label.BINDING), message, "sha256"
    )


@given(st.lists(st.binary(max_size=6), max_size=5), st.lists(st.binary(max_size=6), max_size=5))
def test_two_lists_of_parts_never_give_the_same_bytes(one: list[bytes], other: list[bytes]) -> None:
    assert (parted(*one) == parted(*other)) == (one == other)


def test_labels_are_pinned() -> None:
    assert {label.name: label.value for label in Label}.items() >= {
        "DATA_KEY_WRAP": b"gatehouse/data-key-wrap/1",
        "KEY_FINGERPRINT": b"gatehouse/key-fingerprint/1",
        "EVIDENCE_REFERENCE": b"gatehouse/evidence-reference/1",
        "EVIDENCE_DIGEST": b"gatehouse/evidence-digest/1",
        "SEALED_TEXT": b"gatehouse/sealed-text/1",
        "ENVELOPE": b"gatehouse/envelope/1",
        "BINDING": b"gatehouse/binding/1",
        "BINDING_PLACE": b"gatehouse/binding-place/1",
        "SUBJECT": b"gatehouse/subject/1",
        "FIELD_TOKEN": b"gatehouse/field-token/1",
    }.items()


def test_every_label_has_a_key_of_its_own() -> None:
    ring = Keyring(MATERIAL)
    assert len({ring.derive(label) for label in Label}) == len(Label)


def test_nothing_secret_is_shown() -> None:
    ring = Keyring(MATERIAL)
    shown = repr(ring) + repr(ring.status()) + repr(MATERIAL)
    for secret in (ROOT, *(k.secret for k in MATERIAL.keks)):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    assert [(k.version, k.wraps) for k in ring.status().keks] == [(1, False), (2, True)]
    assert len({ring.status().root_fingerprint, *(k.fingerprint for k in ring.status().keks)}) == 3


def test_a_fingerprint_is_no_part_of_its_secret() -> None:
    status = Keyring(MATERIAL).status()
    shown = [status.root_fingerprint, *(kek.fingerprint for kek in status.keks)]
    secrets = [ROOT, *(kek.secret for kek in MATERIAL.keks)]
    assert [one for one, secret in zip(shown, secrets, strict=True) if one in secret.hex()] == []


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_keyring_is_not_copied_out(way: object) -> None:
    with pytest.raises(TypeError):
        way(Keyring(MATERIAL))  # type: ignore[operator]  # each way is a function of one thing


def test_a_reference_is_the_id_only_where_ids_are_public() -> None:
    evidence = KeyedEvidence(Keyring(MATERIAL))
    ref = ResourceRef("crm", "customer", "li@example.org")
    token = evidence.reference(ref, False)
    assert evidence.reference(ref, True) == "li@example.org"
    assert token.startswith("ref_")
    assert len(token) == 26
    assert evidence.reference(ResourceRef("crm", "customer"), False) == ""
    parent = ResourceRef("crm", "thread", "t1")
    assert evidence.reference(replace(ref, parent=parent), False) == token
    others = [replace(ref, upstream="other"), replace(ref, resource="thread"), replace(ref, record="x")]
    assert len({token, *(evidence.reference(o, False) for o in others)}) == 4


def test_a_digest_of_bytes_is_keyed_and_labelled() -> None:
    evidence = KeyedEvidence(Keyring(MATERIAL))
    other = KeyedEvidence(Keyring(replace(MATERIAL, root=b"\x09" * 32)))
    made = {evidence.bytes_digest("a", b"x"), evidence.bytes_digest("b", b"x"), other.bytes_digest("a", b"x")}
    assert len(made) == 3
    assert all(len(digest) == 64 for digest in made)


def test_a_sealed_text_opens_under_its_label_and_bound_only() -> None:
    seals = SealedTexts(Keyring(MATERIAL))
    text = seals.seal("cursor", b"after 7", b"app:crm")
    assert seals.open("cursor", text, b"app:crm") == b"after 7"
    assert seals.open("other", text, b"app:crm") is None
    assert seals.open("cursor", text, b"app:bi") is None
    assert seals.open("cursor", text[:-1], b"app:crm") is None
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=120))
def test_no_other_text_opens(text: str) -> None:
    assert SealedTexts(Keyring(MATERIAL)).open("cursor", text, b"") is None


def test_a_sealed_text_has_one_spelling() -> None:
    seals = SealedTexts(Keyring(MATERIAL))
    text = seals.seal("cursor", b"abc", b"")  # 31 bytes: the last character carries four idle bits
    others = [
        text[:-1] + c
        for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        if c != text[-1]
    ]
    assert [other for other in others if seals.open("cursor", other, b"") is not None] == []
