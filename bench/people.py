"""The invented customers that everybody serves: six sealed fields each, about 1 KB as the upstream keeps them."""

from __future__ import annotations

from gateway.records import Sample
from gateway.words.json import JsonObject

SEALED = ("name", "phone", "email", "address", "id_number", "bank_card")


def person(number: int) -> JsonObject:
    """Gives one: no two alike, none real (the telephone range is not in use, the id number's region does not exist)."""
    return {
        "id": f"bench-{number}",
        "name": f"测试客户{number:06d}",
        "phone": f"1541{number:07d}",
        "email": f"customer{number}@bench.invalid",
        "address": f"上海市浦东新区测试路{number}号 3 单元 501 室",
        "id_number": f"99990019900101{number % 1000:03d}X",
        "bank_card": f"9999000000{number:09d}",
        "unit": "branch:shanghai",
        "region": "cn-east",
        "level": "standard",
        "tags": ["bench"],
    }


def people(count: int) -> Sample:
    """Gives `count` customers as the demonstration's loader takes them."""
    return Sample(tuple(person(number) for number in range(count)), (), ())
