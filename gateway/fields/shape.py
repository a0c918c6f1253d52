"""Step 8's map: a resource's field patterns as a tree, made once. Pure.

A pattern that ends in `/*` names a whole array (or map) as one value. Anywhere else `*` stands for every element of an array, known by
its id member where the catalogue names one and by its index elsewhere, or for every member of an object, known by its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.words.errors import Misconfigured
from gateway.words.json import Json, JsonObject, Pattern, Pointer
from gateway.words.resource import FieldSpec, ResourceSpec


@dataclass(slots=True)
class Node:
    """One place in the tree. spec: the field that stands here, then nothing is below. star: what every element or member is.

    exact: no `*` stands above, so that the pattern is the pointer of the one place that this is.
    """

    pattern: Pattern
    spec: FieldSpec | None = None
    members: dict[str, Node] = field(default_factory=dict)
    star: Node | None = None
    element_id: str | None = None
    exact: bool = True

    def child(self, name: str) -> Node | None:
        """Gives what a member of that name is, None for an unknown one."""
        return self.members.get(name, self.star)

    def leaves(self) -> list[FieldSpec]:
        """Gives every field here and below."""
        if self.spec is not None:
            return [self.spec]
        below = [*self.members.values(), *([self.star] if self.star else [])]
        return [spec for node in below for spec in node.leaves()]


_made: dict[int, tuple[ResourceSpec, Node]] = {}
_LIMIT = 1_024


def shape_of(resource: ResourceSpec) -> Node:
    """Gives the resource's tree, from memory after the first time. Raises Misconfigured where its patterns cannot be read in one way."""
    held = _made.get(id(resource))
    if held is None or held[0] is not resource:
        if len(_made) >= _LIMIT:
            _made.clear()
        held = _made[id(resource)] = (resource, _compile(resource))
    return held[1]


def _compile(resource: ResourceSpec) -> Node:
    root = Node("")
    for spec in resource.fields:
        _plant(root, spec, resource)
    _check(root, resource)
    return root


def _plant(root: Node, spec: FieldSpec, resource: ResourceSpec) -> None:
    where = f"{resource.upstream}/{resource.name} {spec.pattern}"
    steps = spec.pattern.split("/")
    if steps[0] or len(steps) < 2:
        raise Misconfigured(f"{where}: a field's pattern begins with `/`")
    whole = len(steps) > 2 and steps[-1] == "*"
    here = root
    for step in steps[1:-1] if whole else steps[1:]:
        if here.spec is not None:
            raise Misconfigured(f"{where}: stands inside {here.pattern}, which is a field of its own")
        if step == "*":
            here.star = here.star or Node(f"{here.pattern}/*", exact=False)
            if spec.element_id is not None and here.element_id not in (None, spec.element_id):
                raise Misconfigured(f"{where}: one array's elements have two id members")
            here.element_id = here.element_id or spec.element_id
            here = here.star
        else:
            here = here.members.setdefault(unescaped(step), Node(f"{here.pattern}/{step}", exact=here.exact))
    if here.spec is not None or here.members or here.star:
        raise Misconfigured(f"{where}: is a field and holds fields")
    if spec.sealed and (resource.subject is None or spec.key_class is None):
        raise Misconfigured(f"{where}: a sealed field needs a key class and a data subject")
    here.spec = spec


def _check(node: Node, resource: ResourceSpec) -> None:
    if node.star is not None:
        identity = node.star.members.get(node.element_id) if node.element_id else None
        if node.element_id and (identity is None or identity.spec is None or identity.spec.sealed):
            raise Misconfigured(
                f"{resource.upstream}/{resource.name} {node.pattern}: `{node.element_id}` must be a field that is not sealed"
            )
        if not node.element_id and (sealed := [s.pattern for s in node.star.leaves() if s.sealed]):
            raise Misconfigured(
                f"{resource.upstream}/{resource.name} {sealed[0]}: elements need an id to be sealed one by one; seal the array whole"
            )
    for below in [*node.members.values(), *([node.star] if node.star else [])]:
        _check(below, resource)


def unescaped(step: str) -> str:
    """Gives a pointer's step as a name (RFC 6901 section 4)."""
    return step.replace("~1", "/").replace("~0", "~")


def escaped(name: str) -> str:
    """Gives a name as a pointer's step (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name


def at(document: Json, pointer: Pointer) -> Json:
    """Gives what stands at a pointer through objects, None where nothing does."""
    here = document
    for step in pointer.split("/")[1:]:
        if not isinstance(here, dict):
            return None
        here = here.get(unescaped(step))
    return here


def placed(document: JsonObject, pointer: Pointer, value: Json) -> JsonObject:
    """Gives the document with a value at a pointer through objects, made where they are not there."""
    first, *rest = pointer.split("/")[1:]
    name = unescaped(first)
    if not rest:
        return {**document, name: value}
    below = document.get(name)
    return {**document, name: placed(below if isinstance(below, dict) else {}, "/" + "/".join(rest), value)}


def element_ids(node: Node, elements: list[Json]) -> list[str | None]:
    """Gives each element's id as a pointer's step: of its id member, or its index. None: it has none, or one that came before."""
    if node.element_id is None:
        return [str(index) for index in range(len(elements))]
    ids: list[str | None] = []
    seen: set[str] = set()
    for element in elements:
        value = element.get(node.element_id) if isinstance(element, dict) else None
        step = escaped(str(value)) if type(value) in (str, int) and value != "" else None
        ids.append(None if step is None or step in seen else step)
        if step is not None:
            seen.add(step)
    return ids
