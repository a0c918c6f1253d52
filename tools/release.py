"""`make release`: builds the wheel twice, compares, writes the bill of materials, checks licences and known weaknesses.

Dry unless it is asked to be for real, and then too it uploads nothing: what it made lies in dist/, and a person takes it from there.
Dry, a check that could not be made is said; for real, it is a failure. docs/release.md.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import bill, licences, wheel

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
LOCK = ROOT / "locks" / "run.txt"
RUN = ROOT / "var" / "release" / "run"
"""An environment that holds the lock and nothing else: what a user would get."""
AUDIT_SECONDS = 300
# What pip-audit says where it could not ask; anything else that it fails with is a finding or a defect.
_UNREACHABLE = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|NameResolution|Max retries|ServiceError|ProxyError|SSLError"
)


class NotMade(Exception):
    """A check that could not be made, and why. Dry it is said; for real it is a failure."""


def main() -> int:
    """Gives 0 where everything held that could be looked at, 1 where something did not."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("--for-real", action="store_true", help="nothing may be left unchecked")
    real = parser.parse_args().for_real
    steps: tuple[tuple[str, Callable[[], str]], ...] = (
        ("sources", sources),
        ("wheel", built),
        ("bill of materials", written),
        ("licences", licensed),
        ("known weaknesses", weaknesses),
    )
    failed = 0
    for name, step in steps:
        try:
            print(f"ok       {name}: {step()}", flush=True)
        except NotMade as error:
            failed += real
            print(f"{'FAILED  ' if real else 'NOT MADE'} {name}: {error}", flush=True)
        except ValueError as error:
            failed += 1
            print(f"FAILED   {name}: {error}", flush=True)
            if name in ("wheel", "bill of materials"):
                break  # the next ones look at what these make
    if failed:
        print("nothing of dist/ is to be given to anybody", flush=True)
        return 1
    how = "for real" if real else "dry; `make release FOR_REAL=1` refuses what was not made"
    print(
        f"dist/ holds the wheel, its bill of materials and SHA256SUMS ({how}). Nothing was uploaded.",
        flush=True,
    )
    return 0


def version() -> str:
    """Gives the version of pyproject.toml."""
    found: str = _project()["version"]
    return found


def _project() -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotMade(f"git {words[0]}: {done.stderr.strip() or 'it could not be asked'}")
    return done.stdout.strip()


def epoch() -> int:
    """Gives the time of the last commit: what a wheel's files bear."""
    return int(_git("log", "-1", "--format=%ct"))


def sources() -> str:
    """The checkout is what its tag says, its version is everywhere the same, and there is a golden home of its schema."""
    if (
        said := re.search(r'__version__ = "([^"]+)"', (ROOT / "gateway" / "__init__.py").read_text())
    ) is None:
        raise ValueError("gateway/__init__.py names no version")
    if said[1] != version():
        raise ValueError(f"pyproject.toml says {version()}, gateway/__init__.py {said[1]}")
    golden = [
        json.loads(path.read_text())["schemas"]
        for path in (ROOT / "tests/store/golden").glob("*/expected.json")
    ]
    if schemas() not in golden:
        raise NotMade(f"no golden home has the schemas {schemas()}: `python -m tests.store.golden.make`")
    if changed := _git("status", "--porcelain"):
        raise NotMade(f"{len(changed.splitlines())} files are not as they were committed")
    tag = f"v{version()}"
    if tag not in _git("tag", "--points-at", "HEAD").split():
        raise NotMade(f"the commit bears no tag {tag}")
    if f"## {version()} " not in (ROOT / "CHANGELOG.md").read_text():
        raise NotMade(f"CHANGELOG.md has no section {version()}")
    return f"{tag}, {_git('rev-parse', '--short', 'HEAD')}"


def schemas() -> dict[str, str]:
    """Gives the newest migration of each tree, from the file names alone: this environment does not hold the program."""
    trees = {
        "audit": "audit/sqlite/*.sql",
        "state": "state/versions/*.py",
        "records": "records/versions/*.py",
    }
    return {name: max(p.name[:4] for p in (ROOT / "migrations").glob(files)) for name, files in trees.items()}


def built() -> str:
    """The wheel, built in two places, is the same both times; it goes to dist/."""
    first, second, name = wheel.twice(ROOT, epoch())
    if first != second:
        raise ValueError("two builds of the same sources differ")
    DIST.mkdir(exist_ok=True)
    for old in (*DIST.glob("*.whl"), *DIST.glob("*.cdx.json"), DIST / "SHA256SUMS"):
        old.unlink(missing_ok=True)
    (DIST / name).write_bytes(first)
    return f"{name}, built twice, sha256 {wheel.sha256(first)}"


def _wheel() -> Path:
    (found,) = DIST.glob("*.whl")
    return found


def installed() -> dict[str, Distribution]:
    """Gives what is in the environment of the lock, by name. Raises ValueError where it is another than the lock's."""
    (site,) = RUN.glob("lib/python*/site-packages")
    found = {canonicalize_name(d.metadata["Name"]): d for d in distributions(path=[str(site)])}
    wanted = {p.name: p.version for p in bill.read_lock(LOCK) if p.wanted_here()}
    if {name: d.version for name, d in found.items()} != wanted:
        raise ValueError(
            "var/release/run holds something else than locks/run.txt: remove var/release and try again"
        )
    return found


def expressions() -> dict[str, str]:
    """Gives the licence of each package that is installed here."""
    return {name: licences.licence_of(found) for name, found in installed().items()}


def direct() -> list[str]:
    """Gives the names that pyproject.toml asks for, extras apart."""
    return [Requirement(line).name for line in _project()["dependencies"]]


def written() -> str:
    """The bill of materials, by CycloneDX's own schema; and the digests of all in dist/."""
    made = _wheel()
    document = bill.bill(
        version=version(), wheel=made.name, digest=wheel.sha256(made.read_bytes()), epoch=epoch(),
        packages=bill.read_lock(LOCK), licences=expressions(), direct=direct(),
    )  # fmt: skip
    data = bill.rendered(document)
    _valid(data)
    path = DIST / f"gatehouse-{version()}.cdx.json"
    path.write_bytes(data)
    sums = sorted((one.name, wheel.sha256(one.read_bytes())) for one in (made, path))
    (DIST / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums))
    return f"{path.name}, CycloneDX {document['specVersion']}, {len(document['components'])} packages"


def _valid(data: bytes) -> None:
    # Only the environment of `make release` has it.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    if (wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode())) is not None:
        raise ValueError(f"CycloneDX's schema refuses it: {wrong}")


def licensed() -> str:
    """Every package that is installed here may be used as it is; LGPL only where somebody asks for an extra."""
    packages = bill.read_lock(LOCK)
    said = expressions()
    if lines := licences.refused(said, bill.required(packages, direct())):
        raise ValueError("; ".join(lines))
    elsewhere = sorted(p.name for p in packages if p.name not in said)
    more = f"; not looked at, since it is for other machines: {', '.join(elsewhere)}" if elsewhere else ""
    return f"{len(said)} packages, {', '.join(sorted(set(said.values())))}{more}"


def weaknesses() -> str:
    """No package of the lock has a weakness that is known where pip-audit asks."""
    first = bill.read_lock(LOCK)[0]
    with tempfile.TemporaryDirectory() as folder:
        one = Path(folder) / "one.txt"
        one.write_text(
            f"{first.name}=={first.version} {' '.join(f'--hash=sha256:{h}' for h in first.hashes)}\n"
        )
        asked(one)  # where this is not answered, forty more questions would not be either
    return asked(LOCK)


def asked(requirements: Path) -> str:
    """Gives what pip-audit says of a file of pinned packages, as `judged`."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip", "--require-hashes",
               "--progress-spinner", "off", "--format", "json", "--timeout", "10"]  # fmt: skip
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=AUDIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotMade(f"this check was not made: pip-audit did not end within {AUDIT_SECONDS} s") from None
    return judged(done.stdout, done.stderr, done.returncode)


def judged(said: str, complained: str, code: int) -> str:
    """Gives what pip-audit found in words. Raises ValueError for a weakness, NotMade where it could not ask."""
    try:
        found = json.loads(said)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (complained.strip().splitlines() or ["no word"])[-1][:200]
        why = (
            "its database could not be reached"
            if _UNREACHABLE.search(complained)
            else f"pip-audit ended with {code}: {last}"
        )
        raise NotMade(f"this check was not made: {why}") from None
    if lines := list(_weak(found)):
        raise ValueError("; ".join(lines))
    if skipped := [one["name"] for one in found if "skip_reason" in one]:
        raise NotMade(f"this check was not made: its database does not know {', '.join(sorted(skipped))}")
    if code or not found:
        raise NotMade(f"this check was not made: pip-audit ended with {code} and {len(found)} packages")
    return f"none in {len(found)} packages"


def _weak(found: list[dict[str, object]]) -> Iterator[str]:
    for one in found:
        if vulnerabilities := one.get("vulns"):
            assert isinstance(vulnerabilities, list)
            ids = ", ".join(sorted(str(v["id"]) for v in vulnerabilities))
            yield f"{one['name']} {one['version']}: {ids}"


if __name__ == "__main__":
    sys.exit(main())
