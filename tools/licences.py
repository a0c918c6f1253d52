"""Under which licences the packages of a lock may be used: read from their metadata, held to a list."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from importlib.metadata import Distribution

# May be used inside a product that is sold or run for others, and asks for no more than that their texts go along.
ALLOWED = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
)
# May be used by whoever asks for an extra by name.
IN_EXTRAS = frozenset({"LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later"})
_SPELT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}  # "BSD License" is not among them: it does not say which
_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9.+-]+)")


def licence_of(distribution: Distribution) -> str:
    """Gives an installed package's licence as an SPDX expression, empty where its metadata does not say it plainly."""
    metadata = distribution.metadata
    if said := metadata.get("License-Expression"):
        return said
    # Before PEP 639: a line, or the whole text whose first line names it.
    line = (metadata.get("License") or "").strip().partition("\n")[0].strip()
    classes = [
        c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    if not line and len(classes) == 1:
        line = classes[0]
    return _SPELT.get(line, line)  # one that is not known is refused by its own name


def holds(expression: str, allowed: Callable[[str], bool]) -> bool:
    """Whether an SPDX expression can be met by allowed licences alone. Anything that is not AND, OR and names is not."""
    tokens = _TOKEN.findall(expression)
    if not tokens or "".join(tokens) != re.sub(r"\s", "", expression):
        return False

    def either(at: int) -> tuple[bool, int]:
        good, at = both(at)
        while at < len(tokens) and tokens[at] == "OR":
            other, at = both(at + 1)
            good = good or other
        return good, at

    def both(at: int) -> tuple[bool, int]:
        good, at = single(at)
        while at < len(tokens) and tokens[at] == "AND":
            other, at = single(at + 1)
            good = good and other
        return good, at

    def single(at: int) -> tuple[bool, int]:
        if at >= len(tokens) or tokens[at] in (")", "AND", "OR"):
            return False, len(tokens) + 1
        if tokens[at] != "(":
            return allowed(tokens[at]), at + 1
        good, at = either(at + 1)
        closed = at < len(tokens) and tokens[at] == ")"
        return good and closed, at + 1 if closed else len(tokens) + 1

    good, end = either(0)
    return good and end == len(tokens)


def refused(licences: Mapping[str, str], core: Collection[str], skipped: Iterable[str] = ()) -> list[str]:
    """Gives a line for each package that must not be used as it is. core: what comes without any extra."""
    lines = []
    for name, licence in sorted(licences.items()):
        if name in skipped:
            continue
        allowed = ALLOWED if name in core else ALLOWED | IN_EXTRAS
        if not licence:
            lines.append(f"{name}: its metadata names no licence that is known")
        elif not holds(licence, allowed.__contains__):
            where = "" if name in core else ", not even in an extra"
            lines.append(f"{name}: {licence} is not among the allowed licences{where}")
    return lines
