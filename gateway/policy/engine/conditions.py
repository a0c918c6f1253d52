"""The texts that `eval(p.…)` evaluates, each made ready once. Texts that differ in their literals alone share one closure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.policy.engine.expression import Expressions
from gateway.policy.engine.functions import TWO_TEXTS
from gateway.policy.engine.parts import ANY, TRUTH, Need, Needs, Run
from gateway.policy.engine.spelling import MAX_TEXT, Unreadable, escaped, parsed, spelled, tree_of

_LITERAL = re.compile(
    r"""(?<![\w"'])(?:"([^"\\]*)"|'([^'\\]*)')(?!["'])|(?<![\w."'])(0|[1-9]\d{0,14})(\.\d{1,15})?(?![\w."'])""",
    re.ASCII,
)
_REWRITTEN = re.compile(r"&&|\|\||!(?!=)|\b[pr]\d*\.")
_CALLS = re.compile(r"\b(?:" + "|".join(sorted(TWO_TEXTS)) + r")\b")


class Condition(NamedTuple):
    """run: request, row, constants → value. truth: the value is True or False. needs, tries: as a part's."""

    run: Run
    constants: Sequence[Any]
    needs: Needs | None
    truth: bool
    tries: frozenset[tuple[str, int]]


class Conditions:
    """Every condition of one policy, by its text."""

    def __init__(self, expressions: Expressions) -> None:
        self._expressions = expressions
        self.ready: dict[str, Condition] = {}
        self._shapes: dict[str, Condition] = {}

    def of(self, text: str) -> Condition:
        """Gives the condition of a rule's text. Raises Unreadable, or Beyond."""
        known = self.ready.get(text)
        if known is None:
            known = self.ready[text] = self._made(text)
        return known

    def _made(self, text: str) -> Condition:
        if "__" in text or "\\" in text or len(text) > MAX_TEXT or _CALLS.search(text):
            return self._whole(text)
        constants: list[Any] = []

        def place(found: re.Match[str]) -> str:
            number, fraction = found.group(3), found.group(4)
            if number is not None:
                constants.append(float(number + fraction) if fraction else int(number))
                return f"__n{len(constants) - 1}"
            constants.append(found.group(1) if found.group(1) is not None else found.group(2))
            return f"__s{len(constants) - 1}"

        shape = _LITERAL.sub(place, text)
        if '"' in shape or "'" in shape or any(_REWRITTEN.search(c) for c in constants if type(c) is str):
            return self._whole(text)
        known = self._shapes.get(shape)
        if known is None:
            try:
                known = self._compiled(tree_of(spelled(escaped(shape))))
            except Unreadable:
                return self._whole(text)  # which says it in the author's own words
            self._shapes[shape] = known
        return known._replace(constants=tuple(constants))

    def _whole(self, text: str) -> Condition:
        return self._compiled(parsed(text))

    def _compiled(self, tree: Any) -> Condition:
        part = self._expressions.part(tree)
        needs = None if part.needs is None else pruned(part.needs)
        return Condition(part.run, (), needs, part.kind == TRUTH, part.tries)


def pruned(needs: frozenset[Need]) -> Needs:
    """Gives the needs without those that others of the same place imply."""
    more = {path for path, wanted in needs if wanted != ANY}
    return frozenset(need for need in needs if need[1] != ANY or need[0] not in more)
