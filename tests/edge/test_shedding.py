"""Who is let go, of connections that are values here: by age, by what they hold, and never the newest."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gateway.edge.shedding import Shedding, make_room
from gateway.wire.limits import Limits

LIMITS = Limits(
    answer_seconds=10, answer_bytes_a_second=100, max_unread_bytes=1_000, max_unfinished_bytes=500
)


@dataclass(eq=False)
class Seen:
    unread: int = 0
    unfinished: int = 0
    waiting: bool = False
    made: float = 0.0
    exchange: object = field(default_factory=object)
    gone: bool = False

    def let_go(self) -> None:
        self.gone = True
        self.unread = self.unfinished = 0


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shedding(clock: Clock) -> Shedding:
    return Shedding(LIMITS, clock)


@pytest.mark.parametrize(("size", "seconds"), [(1, 10.01), (100, 11), (900, 19)])
def test_an_answer_has_its_time_and_a_second_for_each_part(
    clock: Clock, shedding: Shedding, size: int, seconds: float
) -> None:
    one = Seen(unread=size)
    shedding.look([one])
    one.unread = 1  # read steadily, and not to its end
    clock.now = seconds - 0.02
    shedding.look([one])
    assert not one.gone
    clock.now = seconds + 0.01
    shedding.look([one])
    assert one.gone


def test_the_next_answer_has_a_time_of_its_own(clock: Clock, shedding: Shedding) -> None:
    one = Seen(unread=100)
    for second in range(100):
        clock.now = second
        one.exchange = object()
        shedding.look([one])
    assert not one.gone


def test_an_answer_that_was_taken_is_forgotten(clock: Clock, shedding: Shedding) -> None:
    one = Seen(unread=100)
    shedding.look([one])
    one.unread, clock.now = 0, 9
    shedding.look([one])
    one.unread, clock.now = 100, 18
    shedding.look([one])
    assert not one.gone


@pytest.mark.parametrize(("held", "most"), [("unread", 1_000), ("unfinished", 500)])
def test_the_oldest_go_until_the_rest_is_within_the_bound(
    clock: Clock, shedding: Shedding, held: str, most: int
) -> None:
    ones = []
    for second in range(5):
        clock.now = second
        ones.append(Seen(**{held: most // 2}))
        shedding.look(ones)
    assert [one.gone for one in ones] == [True, True, True, False, False]


def test_the_newest_stays_whatever_it_holds(shedding: Shedding) -> None:
    one = Seen(unread=100_000)
    shedding.look([one])
    assert not one.gone


def test_nothing_is_remembered_of_who_has_left(shedding: Shedding) -> None:
    shedding.look([Seen(unread=1, unfinished=1)])
    shedding.look([])
    assert (shedding._unread, shedding._unfinished) == ({}, {})


def test_who_never_had_an_answer_makes_room_first_and_then_who_is_there_longest() -> None:
    served = Seen(waiting=True, made=1)
    old, young = Seen(waiting=True, made=2, exchange=None), Seen(waiting=True, made=3, exchange=None)
    busy, newest = Seen(made=0), Seen(waiting=True, made=9, exchange=None)
    everyone = [newest, served, busy, young, old]
    gone = []
    for _ in range(3):
        assert make_room([one for one in everyone if not one.gone], newest)
        gone.append([one for one in everyone if one.gone and not any(one in some for some in gone)])
    assert gone == [[old], [young], [served]]
    assert not make_room([busy, newest], newest)
    assert not busy.gone


def test_of_very_many_some_go_at_once() -> None:
    everyone = [Seen(waiting=True, made=n) for n in range(640)]
    assert make_room(everyone)
    assert [one.made for one in everyone if one.gone] == list(range(11))
