"""Embedded upstream: invented people, the same at every run. Clear text: who loads them seals them first. No I/O.

Nobody real can be meant. Resident ids begin with 99, which is no province (GB/T 2260); bank cards with 9999, which no issuer has
(ISO/IEC 7812-1 keeps 9 for national bodies); Chinese mobiles with 154, a block that no carrier was known to use in 2026;
London's numbers are Ofcom's for drama (07700 900000 to 900999); mail goes to example.com and .example (RFC 2606, RFC 6761).
Check digits are valid all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random

from gateway.records import sample_words as words
from gateway.records.document import instant
from gateway.words.ids import new_id
from gateway.words.json import Json, JsonObject

_BEGIN = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
_SPAN_MINUTES = 300 * 24 * 60
_REGIONS = {"branch:shanghai": "cn-east", "branch:beijing": "cn-north", "branch:london": "eu"}
_UNITS = tuple(_REGIONS)


@dataclass(frozen=True, slots=True)
class Sample:
    """Whole records as `seed` takes them: with id and created_at; threads name their customer, messages thread and customer."""

    customers: tuple[JsonObject, ...]
    threads: tuple[JsonObject, ...]
    messages: tuple[JsonObject, ...]


def sample(*, seed: int = 2, customers: int = 200, threads: int = 300, messages: int = 2_000) -> Sample:
    """Gives invented customers with their threads and messages; equal arguments give equal records, ids included."""
    dice = Random(seed)  # noqa: S311  # repeatable is what is wanted; nothing here is secret
    people = tuple(_customer(dice, number) for number in range(customers))
    talks = tuple(_thread(dice, dice.choice(people)) for _ in range(threads))
    by_id = {person["id"]: person for person in people}
    said = tuple(
        _message(dice, talk, by_id[talk["customer_id"]], number // len(talks))
        for number, talk in ((n, talks[n % len(talks)]) for n in range(messages))
    )
    return Sample(people, talks, said)


def resident_id(area: str, birth: date, order: int) -> str:
    """Gives 18 characters: area (6), birth date (8), order of the day (3), check character (GB 11643-1999, ISO 7064 MOD 11-2)."""
    body = f"{area}{birth:%Y%m%d}{order:03}"
    weighed = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(body))
    return body + "10X98765432"[weighed % 11]


def bank_card(body: str) -> str:
    """Gives the digits with their check digit (ISO/IEC 7812-1 annex B, the Luhn formula)."""
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(body)))
    return body + str(-sum(n - 9 * (n > 9) for n in doubled) % 10)


def _born(dice: Random, kind: str, after: datetime, within_minutes: int) -> JsonObject:
    moment = after + timedelta(minutes=dice.randrange(within_minutes), microseconds=dice.randrange(10**6))
    return {"id": new_id(kind, now=moment.timestamp, dice=dice.randbytes), "created_at": instant(moment)}


def _customer(dice: Random, number: int) -> JsonObject:
    unit = _UNITS[number % len(_UNITS)]
    birth = date(1950, 1, 1) + timedelta(days=dice.randrange(20_000))
    person = _born(dice, "cus", _BEGIN, _SPAN_MINUTES // 2)
    person |= _englishman(dice, number) if unit == "branch:london" else _chinese(dice, number, birth)
    street = dice.choice(words.STREETS[unit])
    house = dice.randrange(1, 300)
    person |= {
        "address": f"{house} {street}"
        if unit == "branch:london"
        else f"{street}{house}号{dice.randrange(1, 30)}室",
        "bank_card": bank_card(f"9999{dice.randrange(10**14):014}"),
        "birth_date": birth.isoformat(),
        "note": dice.choice(words.NOTES),
        "unit": unit,
        "region": _REGIONS[unit],
        "owner": dice.choice(words.STAFF[unit]),
        "level": "vip" if dice.random() < 0.1 else "standard",
        "tags": _some(dice, words.TAGS, 2),
    }
    return person


def _chinese(dice: Random, number: int, birth: date) -> JsonObject:
    given = dice.randrange(len(words.GIVEN))
    mail = f"{words.PINYIN[given]}{number:03}@{dice.choice(('example.com', 'post.example'))}"
    return {
        "name": dice.choice(words.SURNAMES) + words.GIVEN[given],
        "phone": f"154{dice.randrange(10**5):05}{number:03}",
        "email": None if dice.random() < 0.1 else mail,
        "id_number": resident_id(f"99{dice.randrange(10**4):04}", birth, dice.randrange(1, 1000)),
    }


def _englishman(dice: Random, number: int) -> JsonObject:
    first, last = dice.choice(words.FIRST), dice.choice(words.LAST)
    plain = "".join(c for c in last.lower() if c.isascii() and c.isalpha())
    return {
        "name": f"{first} {last}",
        "phone": f"+44 7700 900{number % 1000:03}",
        "email": f"{plain}.{number:03}@example.com",
        "id_number": f"GH{dice.randrange(10**6):06}A",
    }


def _thread(dice: Random, person: JsonObject) -> JsonObject:
    unit = str(person["unit"])
    staff = words.STAFF[unit]
    thread = _born(dice, "thr", _BEGIN + timedelta(minutes=_SPAN_MINUTES // 2), _SPAN_MINUTES // 2)
    english = unit == "branch:london"
    assignee = dice.choice(staff)
    others: list[Json] = [one for one in staff if one != assignee and dice.random() < 0.3]
    return thread | {
        "customer_id": person["id"],
        "title": dice.choice(words.SUBJECTS_EN if english else words.SUBJECTS_ZH),
        "channel": dice.choice(words.CHANNELS),
        "status": dice.choices(("open", "pending", "closed"), (4, 2, 4))[0],
        "assignee": assignee,
        "participants": [assignee, *others],
        "unit": unit,
        "region": person["region"],
        "tags": _some(dice, words.TAGS, 1),
    }


def _message(dice: Random, thread: JsonObject, person: JsonObject, turn: int) -> JsonObject:
    begun = datetime.fromisoformat(str(thread["created_at"]))
    message = _born(dice, "msg", begun + timedelta(minutes=turn * 40), 30)
    asks = turn % 2 == 0
    english = person["unit"] == "branch:london"
    if asks:
        body = dice.choice(words.ASKS_EN if english else words.ASKS_ZH).format(**person)
    else:
        body = dice.choice(words.REPLIES_EN if english else words.REPLIES_ZH)
    return message | {
        "thread_id": thread["id"],
        "customer_id": person["id"],
        "author_kind": "customer" if asks else "staff",
        "author": "customer" if asks else thread["assignee"],
        "unit": thread["unit"],
        "body": body,
        "sent_at": message["created_at"],
    }


def _some(dice: Random, words_to_choose: tuple[str, ...], most: int) -> list[Json]:
    return list(dice.sample(words_to_choose, dice.randrange(most + 1)))
