"""Step 7 for bytes that nobody here reads: they are taken whole, bounded, and under a name that says no more than the catalogue does."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.upstream.place import Place
from gateway.upstream.transport import RawAnswer, done
from gateway.words.answer import Content
from gateway.words.errors import BadAnswer, NotSent
from gateway.words.resource import OCTETS, OpaqueRule
from gateway.words.work import Addressed

_ANY_TYPE = "*/*"


async def content_of(place: Place, what: Addressed, headers: Iterable[tuple[str, str]]) -> Content:
    """Gives the content. HEAD asks as GET does: what is recorded are the bytes.

    Raises what a transport raises; BadAnswer also for more than the route lets through, for another 2xx than 200 (none of them is
    about a record's bytes), and for what calls itself JSON: that passes field by field or not at all.
    """
    rule, to = what.route.opaque, what.work.to
    if rule is None:
        raise NotSent
    raw = await place.send(
        "GET",
        to.path,
        to.raw_query,
        by=what.access,
        added=what.route.fixed,
        headers=headers,
        accept=_ANY_TYPE,
        max_answer_bytes=rule.max_bytes,
    )
    if not done(raw):
        return Content(raw.status)
    if raw.status != 200:
        raise BadAnswer(raw.status)
    return Content(200, raw.body, _named(raw, rule))


def _named(raw: RawAnswer, rule: OpaqueRule) -> str:
    """Gives what the bytes are said to be: the listed name that the upstream uses, else OCTETS. Raises BadAnswer for JSON."""
    said = [value.partition(";")[0].strip().lower() for name, value in raw.headers if name == "content-type"]
    if any("json" in one for one in said):
        raise BadAnswer(raw.status)
    return said[0] if len(said) == 1 and said[0] in rule.media_types else OCTETS
