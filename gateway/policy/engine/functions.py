"""The functions of two texts that a matcher may call, each as pycasbin's: what it calls a match is one here, and nothing else.

A pattern of the policy is read at load, and refused there if it is none or could take too long; one that comes in a request is
looked at when it is used. Each pattern is made ready once.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from gateway.policy.engine.patterns import LONGEST, Unsafe, longest
from gateway.policy.engine.spelling import Unreadable
from gateway.policy.engine.stock import glob_match

TWO_TEXTS = frozenset(
    {
        "keyMatch",
        "keyMatch2",
        "keyMatch3",
        "keyMatch4",
        "keyMatch5",
        "regexMatch",
        "globMatch",
        "ipMatch",
        "timeMatch",
    }
)
MAX_KEPT = 50_000
"""Patterns that are kept ready; all are let go when there are more."""
MAX_STARS = 4
_TIME = "%Y-%m-%d %H:%M:%S"
_NAMED2, _NAMED3, _NAMED = re.compile(r":[^/]+"), re.compile(r"\{[^/]+?\}"), re.compile(r"\{([^/]+)\}")

Fits = Callable[[Any, Any], bool]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TooLong(ValueError):
    """The text has more characters than a pattern may be tried on."""


class Functions:
    """The functions of one engine, with the patterns that they have seen.

    longest: characters of a text that the policy's patterns may be tried on.
    """

    def __init__(self, now: Callable[[], datetime] | None = None) -> None:
        self.longest = LONGEST[0]
        self._now = now or _local_now
        self._ready: dict[tuple[str, str], Any] = {}
        self._sound: set[tuple[str, str]] = set()
        self._named: dict[str, Fits] = {
            "keyMatch": key_match,
            "keyMatch2": self._by_expression("keyMatch2"),
            "keyMatch3": self._by_expression("keyMatch3"),
            "keyMatch4": self._key_match4,
            "keyMatch5": self._key_match5,
            "regexMatch": self._by_expression("regexMatch"),
            "globMatch": self._glob_match,
            "ipMatch": self._ip_match,
            "timeMatch": self._time_match,
        }

    def named(self, name: str) -> Fits:
        """Gives the function: value, pattern → whether it fits. Raises whatever, where pycasbin's raises."""
        return self._named[name]

    def refuse(self, name: str, pattern: Any) -> None:
        """Raises Unreadable for a pattern of the policy that the function must not be given."""
        if not isinstance(pattern, str) or (name, pattern) in self._sound:
            return
        try:
            self.longest = min(self.longest, self._longest(name, pattern))
        except Unsafe as unsafe:
            raise Unreadable(unsafe.key, pattern[:60]) from None
        self._sound.add((name, pattern))

    def _longest(self, name: str, pattern: str) -> int:
        if name in ("keyMatch", "ipMatch", "timeMatch"):
            return LONGEST[0]
        if name == "globMatch":
            return _longest_glob(pattern)
        found = longest(expression(name, pattern))
        if name == "keyMatch4":
            groups = re.compile(expression(name, pattern)).groups
            if groups != len(_NAMED.findall(pattern.replace("/*", "/.*"))):
                raise Unsafe("engine.pattern-groups")
        return found

    def _expression(self, name: str, pattern: str) -> re.Pattern[str]:
        key = (name, pattern)
        made = self._ready.get(key)
        if made is None:
            if key not in self._sound and self._longest(name, pattern) < self.longest:
                raise Unsafe("engine.pattern-unsafe")
            made = self._keep(key, re.compile(expression(name, pattern)))
        return made  # type: ignore[no-any-return]

    def _keep(self, key: tuple[str, str], made: Any) -> Any:
        if len(self._ready) >= MAX_KEPT:
            self._ready.clear()
        self._ready[key] = made
        return made

    def _bounded(self, value: str) -> str:
        if len(value) > self.longest:
            raise TooLong
        return value

    def _by_expression(self, name: str) -> Fits:
        return lambda value, pattern: self._expression(name, pattern).match(self._bounded(value)) is not None

    def _key_match4(self, value: str, pattern: str) -> bool:
        found = self._expression("keyMatch4", pattern).match(self._bounded(value))
        if found is None:
            return False
        known: dict[str, str] = {}
        names = _NAMED.findall(pattern.replace("/*", "/.*"))
        return all(
            known.setdefault(name, part) == part for name, part in zip(names, found.groups(), strict=True)
        )

    def _key_match5(self, value: str, pattern: str) -> bool:
        path = self._bounded(value).split("?", 1)[0]
        return self._expression("keyMatch5", pattern).match(path) is not None

    def _glob_match(self, value: str, pattern: str) -> bool:
        if ("globMatch", pattern) not in self._sound and _longest_glob(pattern) < self.longest:
            raise Unsafe("engine.pattern-unsafe")
        return glob_match(self._bounded(value), pattern)

    def _ip_match(self, value: Any, pattern: Any) -> bool:
        address = ipaddress.ip_address(value)
        if not isinstance(pattern, str):
            raise TypeError
        key = ("ipMatch", pattern)
        network = self._ready.get(key, self)
        if network is self:
            network = self._keep(key, _network(pattern))
        return network is not None and address in network

    def _time_match(self, begins: str, ends: str) -> bool:
        now = self._now()
        return (begins == "_" or now > self._time(begins)) and (ends == "_" or now < self._time(ends))

    def _time(self, text: str) -> datetime:
        key = ("timeMatch", text)
        made: datetime | None = self._ready.get(key)
        if made is None:
            made = datetime.strptime(text, _TIME)  # noqa: DTZ007 - as pycasbin reads it
            self._keep(key, made)
        return made


def _local_now() -> datetime:
    return datetime.now()  # noqa: DTZ005 - pycasbin's timeMatch takes the machine's own clock


def key_match(value: str, pattern: str) -> bool:
    """True where the value begins as the pattern does before its first `*`, or is the pattern."""
    at = pattern.find("*")
    if at < 0:
        return value == pattern
    if len(value) > at:
        return value[:at] == pattern[:at]
    return value == pattern[:at]


def expression(name: str, pattern: str) -> str:
    """Gives the regular expression that pycasbin makes of a pattern; it escapes nothing, so `.` is any character."""
    if name == "regexMatch":
        return pattern
    pattern = pattern.replace("/*", "/.*")
    match name:
        case "keyMatch2":
            pattern = _NAMED2.sub(r"[^\\/]+", pattern)
            pattern = "(.*)" if pattern == "*" else pattern
        case "keyMatch3":
            pattern = _NAMED3.sub(r"[^\\/]+", pattern)
        case "keyMatch4":
            pattern = _NAMED.sub("([^/]+)", pattern)
        case _:
            pattern = _NAMED.sub("[^/]+", pattern)
    return f"^{pattern}$"


def _network(pattern: str) -> Network | None:
    """None for what is no network: pycasbin then compares an address with a text, which is never equal."""
    try:
        return ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return None


def _longest_glob(pattern: str) -> int:
    """Stars of one segment multiply, and so do double stars; braces become patterns of their own."""
    if len(pattern) > 1000 or pattern.count("{") > 6 or "(" in pattern:
        raise Unsafe("engine.pattern-unsafe")
    segments = pattern.split("/")
    deep = sum("**" in segment for segment in segments)
    stars = deep + max(len(re.findall(r"\*+", segment)) for segment in segments)
    if stars > MAX_STARS:
        raise Unsafe("engine.pattern-unsafe")
    try:
        glob_match("", pattern)
    except Exception:  # noqa: BLE001 - whatever the library says about it, it is no pattern
        raise Unsafe("engine.pattern-invalid") from None
    return LONGEST[stars]
