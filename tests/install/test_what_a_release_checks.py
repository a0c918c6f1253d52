"""`make release`: the bill of materials follows the lock, licences are held to a list, and a check that was not made is no check."""

from __future__ import annotations

import json
import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from tests.store.golden import make
from tools import bill, licences, release
from tools.bill import Package

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "locks" / "run.txt"
TEXT = f"""\
alpha==1.0 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
    # via
    #   -c locks/test.txt
    #   gatehouse (pyproject.toml)
beta==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:{"c" * 64}
    # via alpha
gamma[x]==3.0 \\
    --hash=sha256:{"d" * 64}
    # via gatehouse (pyproject.toml)
"""


def locked(folder: Path, text: str = TEXT) -> tuple[Package, ...]:
    (folder / "lock.txt").write_text(text)
    return bill.read_lock(folder / "lock.txt")


def made(packages: tuple[Package, ...], digest: str = "0" * 64) -> dict[str, object]:
    return bill.bill(
        version="1.2.3", wheel="gatehouse.whl", digest=digest, epoch=1_790_000_000, packages=packages,
        licences={"alpha": "MIT", "gamma": "MIT AND PSF-2.0"}, direct=["Alpha"],
    )  # fmt: skip


def test_a_lock_is_read_with_its_versions_hashes_markers_and_who_asks(tmp_path: Path) -> None:
    project = frozenset({"gatehouse (pyproject.toml)"})
    assert locked(tmp_path) == (
        Package("alpha", "1.0", "", ("a" * 64, "b" * 64), project),
        Package("beta", "2.0", 'sys_platform == "win32"', ("c" * 64,), frozenset({"alpha"})),
        Package("gamma", "3.0", "", ("d" * 64,), project),
    )


@pytest.mark.parametrize("line", ["alpha>=1.0 \\\n    --hash=sha256:" + "a" * 64, "alpha==1.0", "alpha"])
def test_what_is_not_pinned_by_version_and_hash_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError):
        locked(tmp_path, line + "\n")


def test_the_lock_that_we_ship_by_is_read_whole() -> None:
    pinned = re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==(\S+)", LOCK.read_text(), re.M)
    packages = bill.read_lock(LOCK)
    assert [(p.name, p.version) for p in packages] == sorted(pinned)
    assert sum(len(p.hashes) for p in packages) == LOCK.read_text().count("--hash=sha256:")
    core = bill.required(packages, release.direct())
    extras = {p.name for p in packages} - core
    assert {"asyncpg", "opentelemetry-exporter-otlp-proto-http"} <= extras
    assert not extras & {"litestar", "sqlalchemy", "cryptography"}


def test_the_bill_names_every_package_with_its_hashes_licence_and_who_asks(tmp_path: Path) -> None:
    document = json.loads(bill.rendered(made(locked(tmp_path))))
    assert [(c["purl"], c["scope"]) for c in document["components"]] == [
        ("pkg:pypi/alpha@1.0", "required"),
        ("pkg:pypi/beta@2.0", "optional"),
        ("pkg:pypi/gamma@3.0", "optional"),
    ]
    alpha, beta, gamma = document["components"]
    assert [one["content"] for one in alpha["hashes"]] == ["a" * 64, "b" * 64]
    assert alpha["licenses"] == [{"license": {"id": "MIT"}}]
    assert gamma["licenses"] == [{"expression": "MIT AND PSF-2.0"}]
    assert "licenses" not in beta
    assert document["dependencies"] == [
        {"ref": "pkg:pypi/alpha@1.0", "dependsOn": ["pkg:pypi/beta@2.0"]},
        {"ref": "pkg:pypi/beta@2.0", "dependsOn": []},
        {"ref": "pkg:pypi/gamma@3.0", "dependsOn": []},
        {"ref": "pkg:pypi/gatehouse@1.2.3", "dependsOn": ["pkg:pypi/alpha@1.0", "pkg:pypi/gamma@3.0"]},
    ]
    assert document["metadata"]["timestamp"] == "2026-09-21T14:13:20Z"


def test_the_same_wheel_has_the_same_bill_and_another_has_another(tmp_path: Path) -> None:
    packages = locked(tmp_path)
    assert bill.rendered(made(packages)) == bill.rendered(made(packages))
    assert made(packages)["serialNumber"] != made(packages, "1" * 64)["serialNumber"]


def test_what_is_installed_here_may_all_be_used() -> None:
    packages = bill.read_lock(LOCK)
    here = {bill.canonicalize_name(d.metadata["Name"]): d for d in distributions()}
    said = {p.name: licences.licence_of(here[p.name]) for p in packages if p.name in here}
    assert {p.name for p in packages if p.wanted_here()} <= set(said)
    assert licences.refused(said, bill.required(packages, release.direct())) == []


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND MIT", True),
        ("GPL-3.0-only OR MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("(MIT OR MIT) AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("MIT MIT", False),
        ("(MIT", False),
        ("MIT)", False),
        ("MIT OR", False),
        ("AND MIT", False),
        ("MIT, GPL-3.0-only", False),
        ("", False),
    ],
)
def test_an_expression_holds_only_where_allowed_licences_meet_it(expression: str, good: bool) -> None:
    assert licences.holds(expression, licences.ALLOWED.__contains__) is good


def test_lgpl_only_in_an_extra_gpl_nowhere_and_silence_is_no_licence() -> None:
    said = {
        "core": "LGPL-3.0-only",
        "extra": "LGPL-3.0-only",
        "strong": "GPL-3.0-only",
        "silent": "",
        "fine": "MIT",
    }
    assert licences.refused(said, {"core", "silent", "fine"}) == [
        "core: LGPL-3.0-only is not among the allowed licences",
        "silent: its metadata names no licence that is known",
        "strong: GPL-3.0-only is not among the allowed licences, not even in an extra",
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("License-Expression: MIT\nLicense: GPL", "MIT"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: GPL-3.0\nClassifier: License :: OSI Approved :: MIT License", "GPL-3.0"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
        ("Classifier: License :: OSI Approved :: BSD License", "BSD License"),
        ("Classifier: License :: A\nClassifier: License :: OSI Approved :: MIT License", ""),
        ("Summary: none", ""),
    ],
)
def test_a_licence_is_what_the_metadata_says_plainly(tmp_path: Path, lines: str, expected: str) -> None:
    place = tmp_path / "some-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.4\nName: some\nVersion: 1.0\n{lines}\n")
    assert licences.licence_of(Distribution.at(place)) == expected


CLEAN = '{"dependencies": [{"name": "alpha", "version": "1.0", "vulns": []}]}'


def test_the_schemas_that_a_release_asks_a_golden_home_of_are_the_programs() -> None:
    assert release.schemas() == make.schemas()


def test_a_weakness_is_named() -> None:
    weak = '{"dependencies": [{"name": "alpha", "version": "1.0", "vulns": [{"id": "PYSEC-1"}, {"id": "CVE-2"}]}]}'
    with pytest.raises(ValueError, match=r"alpha 1\.0: CVE-2, PYSEC-1"):
        release.judged(weak, "", 1)
    assert release.judged(CLEAN, "", 0) == "none in 1 packages"


@pytest.mark.parametrize(
    ("said", "complained", "code"),
    [
        ("", "requests.exceptions.ConnectionError: …", 1),
        ("", "", 0),
        ("null", "", 0),
        ('{"dependencies": []}', "", 0),
        (CLEAN, "", 1),
        ('{"dependencies": [{"name": "alpha", "skip_reason": "Dependency not found on PyPI"}]}', "", 0),
    ],
)
def test_a_check_that_could_not_be_made_is_no_check(said: str, complained: str, code: int) -> None:
    with pytest.raises(release.NotMade, match="this check was not made"):
        release.judged(said, complained, code)


def test_nothing_in_the_makefile_or_the_tools_uploads() -> None:
    files = [ROOT / "Makefile", *sorted((ROOT / "tools").glob("*.py"))]
    words = re.compile(r"twine|\buv publish|hatch publish|git push|upload\.pypi|requests\.post|urlopen")
    assert [path.name for path in files if words.search(path.read_text())] == []
