"""The bill of materials of a wheel, CycloneDX 1.6 in JSON: from the lock and the packages' metadata, with no clock and no dice."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "gatehouse (pyproject.toml)"
"""How a lock names what was asked for by the project itself."""


@dataclass(frozen=True, slots=True)
class Package:
    """One pinned package of a lock. hashes: sha256 of its files. via: who asks for it. marker: where it is wanted, empty for everywhere."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: frozenset[str] = field(default=frozenset())

    @property
    def purl(self) -> str:
        """Its package URL (purl-spec, type pypi): the name that programs know it by."""
        return f"pkg:pypi/{self.name}@{self.version}"

    def wanted_here(self) -> bool:
        """Whether it is installed on a machine like this one."""
        return Requirement(f"{self.name}; {self.marker}").marker.evaluate() if self.marker else True  # type: ignore[union-attr]


def read_lock(path: Path) -> tuple[Package, ...]:
    """Gives what a lock pins, by name. Raises ValueError for what is not pinned by version and hash."""
    found: list[Package] = []
    # A block begins at the margin; what belongs to it is indented.
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n" + path.read_text().replace("\\\n", "")):
        text = "\n".join(line for line in block.splitlines() if not line.startswith("#")).strip()
        if not text:
            continue
        said = Requirement(text.splitlines()[0].partition(" --hash")[0])
        hashes = tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})\b", text)))
        (pin,) = said.specifier
        if pin.operator != "==" or not hashes:
            raise ValueError(f"{path.name}: {said.name} is not pinned by version and hash")
        via = frozenset(re.findall(r"^    #(?: via (?=\S)|   )((?!-c ).+)$", text, re.M))
        found.append(Package(canonicalize_name(said.name), pin.version, str(said.marker or ""), hashes, via))
    return tuple(sorted(found, key=lambda package: package.name))


def required(packages: Iterable[Package], direct: Iterable[str]) -> frozenset[str]:
    """Gives the names that an installation without extras brings: those asked for directly, and what they ask for."""
    known, wanted = tuple(packages), {canonicalize_name(name) for name in direct}
    while more := {p.name for p in known if p.via & wanted} - wanted:
        wanted |= more
    return frozenset(wanted)


def bill(
    *,
    version: str,
    wheel: str,
    digest: str,
    epoch: int,
    packages: Iterable[Package],
    licences: Mapping[str, str],
    direct: Iterable[str],
) -> dict[str, Any]:
    """Gives the document. wheel: its file name; digest: its sha256; licences: expressions by name; direct: what the project asks for."""
    known = tuple(packages)
    core = required(known, direct)
    us = f"pkg:pypi/gatehouse@{version}"
    asked: dict[str, set[str]] = {us: {p.purl for p in known if PROJECT in p.via}}
    by_name = {p.name: p.purl for p in known}
    for package in known:
        asked.setdefault(package.purl, set())
        for parent in package.via & by_name.keys():
            asked.setdefault(by_name[parent], set()).add(package.purl)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # Of the wheel's own bytes: the same wheel has the same bill.
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application", "bom-ref": us, "name": "gatehouse", "version": version, "purl": us,
                "hashes": [_hash(digest)], "properties": [{"name": "gatehouse:file", "value": wheel}],
            },
        },
        "components": [_component(package, licences.get(package.name, ""), package.name in core) for package in known],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(needs)} for ref, needs in sorted(asked.items())
        ],
    }  # fmt: skip


def _component(package: Package, licence: str, core: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "library", "bom-ref": package.purl, "name": package.name, "version": package.version,
        "scope": "required" if core and not package.marker else "optional", "purl": package.purl,
        # Of every file that the lock admits; a machine installs one of them.
        "hashes": [_hash(one) for one in package.hashes],
    }  # fmt: skip
    if licence:
        single = re.fullmatch(r"[A-Za-z0-9.-]+", licence)
        made["licenses"] = [{"license": {"id": licence}} if single else {"expression": licence}]
    if package.marker:
        made["properties"] = [{"name": "gatehouse:marker", "value": package.marker}]
    return made


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def rendered(document: Mapping[str, Any]) -> bytes:
    """Gives the file's bytes."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
