"""Before the path: a policy folder is read whole: catalogue, model, rules, cases. What has a mistake is refused with all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway import catalogue, policy
from gateway.catalogue import Catalogue
from gateway.fields import shape_of
from gateway.policy import Bundle
from gateway.upstream import AllowedHosts, AsgiTransport, Asserting, Places
from gateway.words.errors import Misconfigured

CATALOGUE = "catalogue"
PROBLEM = re.compile(r"([^:]+):(\d+): (.*)", re.DOTALL)
"""A problem that says where it stands: file, line, the rest."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A folder that was read, checked and whose cases hold."""

    catalogue: Catalogue
    bundle: Bundle

    @property
    def files(self) -> Mapping[str, bytes]:
        """Every file's bytes as they were read, by its name below the folder."""
        return {
            **self.bundle.files,
            **{f"{CATALOGUE}/{name}": data for name, data in self.catalogue.files.items()},
        }

    @property
    def digest(self) -> str:
        """What stands for all of it in entries and answers."""
        return self.bundle.digest


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake of a catalogue, where it stands and what to do about it (empty where the text says all)."""

    file: str
    line: int
    what: str
    do: str


def mistake(problem: str) -> Mistake:
    """Gives what a catalogue's `file:line: what; what to do` says; line 1 of the whole folder where it names none."""
    found = PROBLEM.fullmatch(problem)
    if found is None:
        return Mistake(CATALOGUE, 1, problem, "")
    what, _, do = found[3].partition("; ")
    return Mistake(found[1], int(found[2]), what, do)


def sealable(found: Catalogue) -> Catalogue:
    """Gives it back. Raises Misconfigured: what the lens could not seal is refused now, not at the first record."""
    for upstream in found.upstreams.values():
        for resource in upstream.resources.values():
            shape_of(resource)
    return found


def catalogue_of(folder: Path, hosts: frozenset[str], max_opaque_bytes: int) -> Catalogue:
    """Gives the catalogue of a policy folder. Raises Misconfigured with every problem, by file (as seen from that folder) and line."""
    try:
        found = catalogue.load(folder / CATALOGUE, allowed_hosts=hosts, max_opaque_bytes=max_opaque_bytes)
        return sealable(found)
    except Misconfigured as error:
        raise Misconfigured(*map(_from_the_policy_folder, error.problems)) from error


def _from_the_policy_folder(problem: str) -> str:
    named = PROBLEM.fullmatch(problem)
    return f"{CATALOGUE}/{problem}" if named and named[1] != CATALOGUE else problem


def read(folder: Path, hosts: frozenset[str], max_opaque_bytes: int) -> Loaded:
    """Gives what lies in the folder. Raises Misconfigured with every problem, by file and line. Blocks; call it off the loop."""
    found = catalogue_of(folder, hosts, max_opaque_bytes)
    return Loaded(found, policy.load(folder, found))


def written(files: Mapping[str, bytes], into: Path) -> Path:
    """Writes a bundle's files below a folder and gives it."""
    for name, data in files.items():
        place = into / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
    return into


def look_at_upstreams(
    found: Catalogue, hosts: frozenset[str], environment: Mapping[str, str], asserting: Asserting
) -> None:
    """Raises Misconfigured for what a start would refuse of them: hosts, credentials, fixed headers. Opens no connection."""

    async def nobody(*_asked: object) -> None:
        raise AssertionError("nothing is asked of it")

    places = Places(
        environment=environment,
        allowed=AllowedHosts(hosts),
        embedded=AsgiTransport(nobody),
        asserting=asserting,
    )
    places.load(found.upstreams.values())


def reread(
    digest: str, files: Mapping[str, bytes], hosts: frozenset[str], max_opaque_bytes: int
) -> Loaded | None:
    """Gives a kept bundle again; None where the files are not those of the digest, or no longer load. Blocks; call it off the loop."""
    with TemporaryDirectory(prefix="gatehouse-") as folder:
        try:
            found = read(written(files, Path(folder)), hosts, max_opaque_bytes)
        except (Misconfigured, OSError):
            return None
    return found if found.digest == digest else None


def state_of(folder: Path) -> object:
    """Gives what tells one state of the folder from another: every file's name, size and time of change."""
    return sorted(
        (str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and (stat := path.stat())
    )
