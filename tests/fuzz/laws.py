"""What every parser is held to: it gives a value or an error of our own, in time, and the error repeats nothing of what came.

Seeded, so that a failure comes again; a small count in `make test`, a long one in `make proof` (tests/campaign/counts.py).
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st

from tests.campaign.counts import SEED, count

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)
CPU_SECONDS = 5.0
NEEDLE = "Zh4ngW31"
"""Stands for somebody's value: no error may repeat it. Made of characters that every parser takes somewhere."""


@dataclass
class Tally:
    """How many readings gave a value, and how many an error of ours."""

    read: int = 0
    refused: int = 0


_tally = Tally()


class _TooLong(BaseException):
    """Raised wherever the parser happens to be; no `except Exception` on its way takes it for an answer."""


@contextmanager
def in_time(seconds: float = CPU_SECONDS) -> Iterator[None]:
    """Fails what uses more CPU than that: its own time and not the clock's, so that a busy machine is no failure."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    except _TooLong:
        raise AssertionError(f"it did not end within {seconds} s of CPU") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def held(read: Callable[[], T], *ours: type[Exception], secret: bool = True) -> T | Exception:
    """Reads once, under the law. Gives the value, or the error where it is one of `ours`; any other comes out and fails the test.

    secret: the needle is planted in what is read and must not stand in the error.
    """
    with in_time():
        try:
            value = read()
        except ours as error:
            _tally.refused += 1
            said = shown(error)
            assert not (secret and NEEDLE in said), said
            said.encode()  # what cannot be printed is of no use to whoever is told
            return error
    _tally.read += 1
    return value


def shown(error: Exception) -> str:
    """Everything of an error that could get into an answer, a log line or a terminal."""
    parts = [str(error), repr(error), *map(repr, error.args)]
    parts += [repr(getattr(error, name, "")) for name in ("params", "problems", "reason")]
    return "\n".join(parts)


def done(work: Coroutine[Any, Any, T]) -> T:
    """Gives what a coroutine gives that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waited")


def fuzz(small: int, full: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a campaign of a Hypothesis test, and fails one in which everything was read or everything refused."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        examples = count(small, full)
        run = seed(SEED)(
            settings(
                max_examples=examples,
                deadline=None,  # `in_time` counts CPU instead
                database=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            )(test)
        )

        @functools.wraps(run)
        def told(*given: Any, **named: Any) -> None:
            _tally.read = _tally.refused = 0
            run(*given, **named)
            print(
                f"proof: {examples:,} examples, {_tally.read:,} readings gave a value, {_tally.refused:,} were refused"
            )
            assert _tally.read, "nothing was read: the mutations are too wild to say anything"
            assert _tally.refused, "nothing was refused: the mutations are too tame to say anything"

        return pytest.mark.campaign(told)

    return mark


# ── strategies ───────────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def mutated(
    draw: st.DrawFn,
    seeds: Sequence[Text],
    tokens: Sequence[Text],
    noise: st.SearchStrategy[Text],
    most: int = 4,
) -> Text:
    """One of the seeds after none to `most` small changes: a token or noise put in, a part cut, doubled or moved, another seed's end."""
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, most))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        match draw(st.sampled_from(("token", "token over", "noise", "cut", "double", "move", "splice"))):
            case "token":
                text = text[:start] + draw(st.sampled_from(tokens)) + text[start:]
            case "token over":
                text = text[:start] + draw(st.sampled_from(tokens)) + text[end:]
            case "noise":
                text = text[:start] + draw(noise) + text[end:]
            case "cut":
                text = text[:start] + text[end:]
            case "double":
                text = text[:end] + text[start:end] + text[end:]
            case "move":
                to = draw(st.integers(0, len(text)))
                part, text = text[start:end], text[:start] + text[end:]
                text = text[:to] + part + text[to:]
            case _:
                other = draw(st.sampled_from(seeds))
                text = text[:start] + other[draw(st.integers(0, len(other))) :]
    return text


odd_json: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [None, True, False, 0, -1, 1, 2**53, -(2**53), 2**64, 10**400, 0.5, 1e308, "", "0", NEEDLE, "a" * 300, "\0", "龙", "\U0001f600"]
    )
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["", "a", NEEDLE, "sub"]), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
"""JSON values that nobody expects where they stand."""


@st.composite
def odd_members(
    draw: st.DrawFn, seed_: dict[str, Any], extra: Sequence[str] = (), most: int = 3
) -> dict[str, Any]:
    """An object with up to `most` members odd, gone or added."""
    made = dict(seed_)
    for _ in range(draw(st.integers(0, most))):
        name = draw(st.sampled_from([*seed_, *extra]))
        if draw(st.booleans()) and draw(st.booleans()):
            made.pop(name, None)
        else:
            made[name] = draw(odd_json)
    return made
