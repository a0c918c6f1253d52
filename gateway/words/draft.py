"""Clear text on its way in. A draft can be sealed, indexed, compared and filtered; it has no way into an answer, entry or log."""

from __future__ import annotations

from typing import Any, NoReturn

from gateway.words.json import Json


class Draft:
    """Holds one JSON document that a caller sent. Empty repr, no equality that shows, no pickling, no iteration.

    Only the rooms that may look (the lens that seals, the catalogue that takes facts from non-personal fields) call
    `inside()`; a test reads the source and fails for any other caller.
    """

    __slots__ = ("_document",)

    def __init__(self, document: Json) -> None:
        self._document = document

    def inside(self) -> Json:
        """Gives the document to be sealed or compared. Callers are listed in tests/rules/test_clear_values.py."""
        return self._document

    def __repr__(self) -> str:
        return "Draft()"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Draft()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a draft is not copied out of the process")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __bytes__(self) -> NoReturn:
        raise TypeError("a draft has no bytes")

    def __iter__(self) -> Any:
        raise TypeError("a draft is not read through")
