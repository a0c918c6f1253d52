"""Beside the request path: policies/decoys.yaml, records that nobody has business with. Whoever touches one is frozen."""

from __future__ import annotations

from gateway.policy.finding import Finding, error
from gateway.policy.known import Known
from gateway.policy.lint.near import Near
from gateway.wire.yaml import Rows, Table, Unreadable, line_of, plain, read
from gateway.words.control import CONTROL_UPSTREAM

FILE = "decoys.yaml"
MOST = 10_000
Place = tuple[str, str, str]
"""Upstream, resource, id."""


class DecoyReading:
    """Reads one file's decoys and gathers what is wrong with them."""

    def __init__(self, ground: Known) -> None:
        self._resources = {
            name: spec for name, spec in ground.resources.items() if spec.upstream != CONTROL_UPSTREAM
        }
        self._near = Near()
        self.findings: list[Finding] = []

    def decoys(self, text: str) -> frozenset[Place]:
        """Gives every decoy that means a record."""
        try:
            document = plain(read(text))
        except Unreadable as exc:
            self._error(exc.line, exc.what, exc.do, rule="decoys-unreadable")
            return frozenset()
        listed = document.get("decoys") if isinstance(document, Table) else None
        if not isinstance(document, Table) or set(document) != {"decoys"} or not isinstance(listed, Table):
            what = "it holds something else than `decoys:`, resources with the ids of records"
            self._error(
                1, what, "Write `decoys:` and below it `crm/customer: [id, …]`", rule="decoys-unreadable"
            )
            return frozenset()
        found: set[Place] = set()
        for name, ids in listed.items():
            found |= self._of(name, ids, line_of(listed, name))
        if len(found) > MOST:
            self._error(1, f"more than {MOST} decoys", "Name fewer", rule="decoys-unreadable")
        return frozenset(found)

    def _of(self, name: str, ids: object, line: int) -> set[Place]:
        spec = self._resources.get(name)
        if spec is None:
            do = self._near.suggest(name, self._resources, "Name a resource of the catalogue")
            self._error(line, f"`{name}` is no resource of the catalogue", do, rule="decoy-unknown")
            return set()
        if not isinstance(ids, Rows) or not ids:
            self._error(line, f"`{name}` lists no id", "List the records' ids", rule="decoy-malformed")
            return set()
        found: set[Place] = set()
        for number, record in enumerate(ids):
            place = (spec.upstream, spec.name, str(record))
            if not isinstance(record, str) or not spec.id_form.fits(record):
                what = "something that can be no record's id"
                self._error(
                    line_of(ids, number),
                    what,
                    "Write the id as paths have it, quoted",
                    rule="decoy-malformed",
                )
            elif place in found:
                self._error(
                    line_of(ids, number), "an id that stands twice", "Keep one", rule="decoy-malformed"
                )
            found.add(place)
        return found

    def _error(self, line: int, what: str, do: str, *, rule: str) -> None:
        said = "Somebody would think that whoever touches it is found, and he is not"
        self.findings.append(error(FILE, line, what, said, do, rule=rule))
