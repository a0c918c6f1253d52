"""Gateways with one defect each in the control plane, as somebody could have left it there: schemathesis has to find it."""

from collections.abc import Callable
from typing import Any, NoReturn

import msgspec

from gateway import cli
from gateway.control import application, deps, keys
from gateway.credentials import Page
from gateway.identity import Identity
from gateway.words.access import Call
from gateway.words.errors import Code, Refused, Unidentified
from gateway.words.principal import Party, Principal, RoleHeld


def open_to_strangers() -> None:
    """Whoever shows no credential is taken for an administrator."""
    honest = Identity.identify
    admin = Party("app:anybody", frozenset({RoleHeld("role:security-admin")}))

    async def anybody(self: Identity, call: Call) -> Principal:
        try:
            return await honest(self, call)
        except Unidentified:
            return Principal(admin, None, frozenset({"maintenance"}), ("nothing",))

    Identity.identify = anybody  # type: ignore[method-assign]  # the defect


def broken_by_a_parameter() -> None:
    """`limit` is believed to be a number."""

    def page(call: Call) -> Page:
        return Page(deps.param(call, "after"), int(deps.param(call, "limit") or 50))

    keys._page = page


def undescribed_status() -> None:
    """A list answers with a status that nobody described."""
    _answering(lambda status: 206 if status == 200 else status)


def lenient_body() -> None:
    """A body's unknown members are passed over."""

    def body_of(call: Call, shape: Any) -> Any:
        import json  # noqa: PLC0415  # the defect's own

        known = {k: v for k, v in json.loads(call.body).items() if k in shape.__struct_fields__}
        try:
            return msgspec.convert(known, shape)
        except msgspec.ValidationError:
            raise Refused(Code.VALUE_REFUSED, field="/") from None

    keys.body_of = body_of


def missing_member() -> None:
    """An answer lacks a member that its description requires."""
    honest = keys.answer

    def answer(call: Call, status: int, document: msgspec.Struct, *more: Any, **named: Any) -> Any:
        said = honest(call, status, document, *more, **named)
        if isinstance(document, keys.Caller):
            said.content = msgspec.json.encode({"application": document.application})
        return said

    keys.answer = answer  # type: ignore[assignment]  # the defect


def missing_entry() -> None:
    """An answer does not say where its entry stands."""
    honest = keys._headers
    keys._headers = lambda call, receipt: honest(call, None)


def refused_without_allow() -> None:
    """Another method is refused without a word on which ones there are."""

    def not_offered(_: Any) -> Refused:
        return Refused(Code.METHOD_NOT_LISTED)

    application._not_offered = not_offered


def _answering(status_of: Callable[[int], int]) -> None:
    honest = keys.answer

    def answer(call: Call, status: int, *more: Any, **named: Any) -> Any:
        return honest(call, status_of(status), *more, **named)

    keys.answer = answer  # type: ignore[assignment]  # the defect


DEFECTS: dict[str, Callable[[], None]] = {
    defect.__name__: defect
    for defect in (
        open_to_strangers,
        broken_by_a_parameter,
        undescribed_status,
        lenient_body,
        missing_member,
        missing_entry,
        refused_without_allow,
    )
}


def main(name: str) -> NoReturn:
    """Plants one and runs the command line."""
    DEFECTS[name]()
    cli.main()
    raise SystemExit
