"""A budget: how much one person may be shown through one application for one purpose in a while. Counted where entries are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANY = "*"
"""Every unit, resource or purpose."""


class Counted(StrEnum):
    """What a budget counts."""

    SUBJECTS = "subjects"  # distinct data subjects of whom a record is shown
    CLEAR_FIELDS = "clear-fields"  # fields shown in clear, each time that they are
    SEARCHES = "searches"  # answers to list and filter requests, pages of one list each


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget. Whoever holds `role` is bound by it, on records of `unit`, on `resource`, for `purpose`.

    name: public: whoever meets the budget is told it. most: in one window of `seconds`. line: where it stands in its file.
    """

    name: str
    role: str
    counts: Counted
    most: int
    seconds: int
    unit: str = ANY
    resource: str = ANY
    purpose: str = ANY
    line: int = 1
