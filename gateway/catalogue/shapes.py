"""Before the path: reads where things stand in an answer and in a body."""

from __future__ import annotations

from gateway.catalogue.pointers import fault_of_pointer, within
from gateway.catalogue.section import Section
from gateway.words.json import Pointer
from gateway.words.resource import FieldClass, Shape

_AROUND = (FieldClass.PUBLIC, FieldClass.INTERNAL, FieldClass.LINK)


def _fault(pointer: str) -> str | None:
    return fault_of_pointer(pointer, root=True)


def read_shape(section: Section | None) -> Shape:
    """Gives the shape; without a section the document is the record and its id stands at `/id`."""
    if section is None:
        return Shape()
    shape = Shape(
        root=section.checked("record", _fault, "/data/attributes"),
        items=section.checked("items", fault_of_pointer, "/items") or None,
        item_root=section.checked("item_record", _fault, "/attributes"),
        id=section.checked("id", fault_of_pointer, "/id", "/id"),
        next=section.checked("next", fault_of_pointer, "/next") or None,
        total=section.checked("total", fault_of_pointer, "/total") or None,
        frame=_frame(section),
        body_root=section.checked("body", _fault, "/data"),
    )
    if section.ok:
        _check(shape, section)
    return shape


def _frame(section: Section) -> dict[Pointer, FieldClass]:
    frame = {}
    for pointer, cls, line in section.pairs("around"):
        if (why := fault_of_pointer(pointer)) is not None:
            section.problem(
                f"{section.what}: around '{pointer}' is no place: {why}", "write it like '/data/id'", line
            )
        elif cls not in _AROUND:
            section.problem(
                f"{section.what}: around '{pointer}' is of class '{cls}'",
                "only public, internal and link pass around a record; list what is personal as a field",
                line,
            )
        else:
            frame[pointer] = FieldClass(cls)
    return frame


def _check(shape: Shape, section: Section) -> None:
    """Reports places that stand within the record or the items, where fields and not the frame say what passes."""
    inner = shape.root if shape.items is None else shape.items
    for key, place in (("next", shape.next), ("total", shape.total)):
        if place is not None and shape.items is None:
            section.wrong(key, "is only for a list", "add 'items', or remove it")
        elif place is not None and within(place, inner):
            section.wrong(key, "stands within the items", "it stands beside them")
    for place in shape.frame:
        if within(place, inner):
            section.wrong("around", f"'{place}' stands within what is listed as fields", "remove it here")
        if place in (shape.next, shape.total):
            section.wrong("around", f"'{place}' is the gateway's own to answer", "remove it here")
    if shape.items is None and section.has("item_record"):
        section.wrong("item_record", "is only for a list", "add 'items', or remove it")
