"""Invented people whose every value is long or odd enough that it cannot turn up by chance. Nobody real can be meant.

Numbers follow gateway/records/sample.py: resident ids begin with 99, bank cards with 9999, mobiles with 154, mail ends in .example.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from gateway.records.sample import bank_card, resident_id

# Rare letters: a name of four of them is found by its UTF-16 form too, which is eight bytes.
_LETTERS = "黻翯鬯龑翾爨籋鼒黼毳赟犇骉羴鱻尛垚淼焱晶磊森犟龘靐齉爩麤灪籱饢驫麣纞虪躞轤鸜鸞"
_STREETS = ("虚构路", "无名巷", "镜湖街", "云端大道")
_WORDS = (
    "harbour",
    "lantern",
    "saffron",
    "willow",
    "cobalt",
    "meadow",
    "juniper",
    "granite",
    "velvet",
    "ember",
)


@dataclass(frozen=True)
class Person:
    """One invented customer with a thread's title and a message."""

    number: int
    name: str
    phone: str
    email: str
    address: str
    id_number: str
    bank_card: str
    birth_date: str
    note: str
    title: str
    message: str

    def customer(self, unit: str = "branch:shanghai", **more: object) -> dict[str, object]:
        """Gives the body that creates him."""
        sealed = ("name", "phone", "email", "address", "id_number", "bank_card", "birth_date", "note")
        return {
            **{field: getattr(self, field) for field in sealed},
            "unit": unit,
            "region": "cn-east",
            "owner": "agent.lin",
            "level": "standard",
            "tags": ["renewal"],
            **more,
        }

    def values(self) -> dict[str, str]:
        """Gives everything about him that may stand nowhere in clear, by name."""
        own = ("name", "phone", "email", "address", "id_number", "bank_card", "birth_date", "note")
        return {field: getattr(self, field) for field in (*own, "title", "message")}


def invent(number: int, dice: Random) -> tuple[Person, ...]:
    """Gives that many, each value unlike every other's."""
    return tuple(_person(n, dice) for n in range(number))


def _person(n: int, dice: Random) -> Person:
    # 1862 to 1889: no entry, certificate or file of today bears such a date.
    birth = date(1862, 1, 1) + timedelta(days=dice.randrange(10_000))
    name = "".join(dice.sample(_LETTERS, 4))
    words = " ".join(dice.sample(_WORDS, 4))
    return Person(
        number=n,
        name=name,
        phone=f"154{dice.randrange(10**4):04}{n:04}",
        email=f"{dice.randrange(10**8):08}{n}@nobody-{dice.randrange(10**6):06}.example",
        address=f"上海市浦东新区{dice.choice(_STREETS)}{dice.randrange(10**6)}号{n}室",
        id_number=resident_id(f"99{dice.randrange(10**4):04}", birth, dice.randrange(1, 1000)),
        bank_card=bank_card(f"9999{dice.randrange(10**10):010}{n:04}"),
        birth_date=birth.isoformat(),
        note=f"备注{n}：{dice.randrange(10**9)} “{words}”",
        title=f"Complaint {n} about the {words} <{dice.randrange(10**9)}>",
        message=f"请回电 {dice.randrange(10**9)}/{n}: {words} & é",
    )
