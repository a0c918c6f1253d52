"""Invented people, their issues and messages. Every name, number and address is made up (numbers of the 1380013xxxx kind, .example)."""

from __future__ import annotations

from dataclasses import dataclass

SHANGHAI, BEIJING = "branch:shanghai", "branch:beijing"


@dataclass(frozen=True)
class Person:
    """One customer: his login name in the tracker says nothing about him."""

    username: str
    realname: str
    phone: str
    email: str
    unit: str


@dataclass(frozen=True)
class Issue:
    """One issue of a customer, with what was written in it, oldest first."""

    customer: str
    title: str
    messages: tuple[str, ...]


PEOPLE = (
    Person("c-1001", "王秀英", "13800131001", "xiuying.wang@post.example", SHANGHAI),
    Person("c-1002", "Margaret Holloway", "+44 20 7946 0012", "m.holloway@mail.example", SHANGHAI),
    Person("c-1003", "李建国", "13800131003", "jianguo.li@post.example", SHANGHAI),
    Person("c-1004", "欧阳明月", "13800131004", "ouyang@post.example", BEIJING),
    Person("c-1005", "Tomás Herrera", "+34 910 000 105", "tomas@mail.example", BEIJING),
)

ISSUES = (
    Issue(
        "c-1001",
        "王秀英的银行卡在自动取款机被吞",
        ("昨天下午我的卡被机器吞了，请尽快联系我。", "已为您登记，新卡将寄到愚园路。"),
    ),
    Issue(
        "c-1002",
        "Holloway: statement went to the old flat",
        ("Please send it to 14 Larkspur Mews from now on.",),
    ),
    Issue("c-1003", "李建国咨询提前还款", ("我想提前还清房贷，需要哪些材料？",)),
    Issue("c-1004", "欧阳女士投诉手续费", ("这笔手续费没有人告诉过我。",)),
)
