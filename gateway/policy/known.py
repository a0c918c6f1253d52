"""Beside the request path: what a policy may speak of, taken from the catalogue's values and from the control plane's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.policy.bundle import resource_name
from gateway.words.control import CONTROL_ACTIONS, CONTROL_RESOURCES, CONTROL_UPSTREAM
from gateway.words.resource import ResourceSpec, UpstreamSpec


class Catalogue(Protocol):
    """What this room takes of a catalogue."""

    @property
    def upstreams(self) -> Mapping[str, UpstreamSpec]:
        """Every upstream by name."""
        ...

    @property
    def digest(self) -> str:
        """What the catalogue's files were."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Resources by their policy name (`crm/customer`), the actions that each has, and the catalogue's digest."""

    resources: Mapping[str, ResourceSpec]
    actions: Mapping[str, frozenset[str]]
    digest: str

    @property
    def facts(self) -> frozenset[str]:
        """Every fact that some resource provides."""
        return frozenset().union(*(facts_of(spec) for spec in self.resources.values()))


def facts_of(spec: ResourceSpec) -> frozenset[str]:
    """Gives the names of the facts that a resource's fields carry."""
    return frozenset(field.fact for field in spec.fields if field.fact is not None)


def known(catalogue: Catalogue) -> Known:
    """Gives what a policy may speak of. Raises ValueError for an upstream that takes the control plane's name."""
    resources: dict[str, ResourceSpec] = {}
    actions: dict[str, frozenset[str]] = {}
    for upstream in catalogue.upstreams.values():
        if upstream.name == CONTROL_UPSTREAM:
            raise ValueError("an upstream has the control plane's name")
        for spec in upstream.resources.values():
            resources[resource_name(spec)] = spec
            actions[resource_name(spec)] = frozenset(
                route.action for route in upstream.routes if route.resource == spec.name
            )
    for spec in CONTROL_RESOURCES.values():
        resources[resource_name(spec)] = spec
        actions[resource_name(spec)] = CONTROL_ACTIONS[spec.name]
    return Known(resources, actions, catalogue.digest)
