"""The one error tree. Raised anywhere, translated once: a door turns an error into problem+json by its `code`.

An error carries only what a caller may read: a code from the closed list below and parameters that are names
(a field's pattern, a parameter, a header), numbers or our own references. Never a value, never a cause's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.words.decision import Decision
    from gateway.words.record import Alarm
    from gateway.words.told import Told


class Code(StrEnum):
    """Every problem that a caller can meet; `type` of the problem is `urn:gatehouse:problem:<code>`."""

    # 400: what was sent cannot be read in exactly one way
    TARGET_AMBIGUOUS = "target-ambiguous"
    HEADER_MALFORMED = "header-malformed"
    BODY_MALFORMED = "body-malformed"
    PARAMETER_UNKNOWN = "parameter-unknown"
    PARAMETER_MALFORMED = "parameter-malformed"
    PURPOSE_MISSING = "purpose-missing"
    CURSOR_INVALID = "cursor-invalid"
    GRANT_REFUSED = "grant-refused"
    # 401: no acceptable proof of who asks; one code for unknown and wrong alike
    UNIDENTIFIED = "unidentified"
    PERSON_UNPROVEN = "person-unproven"
    # 403
    DENIED = "denied"
    PURPOSE_NOT_HELD = "purpose-not-held"
    FIELD_NOT_WRITABLE = "field-not-writable"
    FIELD_NOT_SEARCHABLE = "field-not-searchable"
    PERSON_NEEDED = "person-needed"
    APPROVAL_OWN = "approval-own"
    APPROVAL_GAINS = "approval-gains"
    # 404, 405: not there, or not his to know; the same answer
    NOT_FOUND = "not-found"
    METHOD_NOT_LISTED = "method-not-listed"
    # 408 to 431
    TOO_SLOW = "too-slow"
    CONFLICT = "conflict"
    APPROVAL_OVER = "approval-over"
    SUBJECT_CHANGED = "subject-changed"
    SUBJECT_UNBOUND = "subject-unbound"
    RECORD_WITHHELD = "record-withheld"
    IDEMPOTENCY_KEY_IN_USE = "idempotency-key-in-use"
    IDEMPOTENCY_UNANSWERED = "idempotency-unanswered"
    CHANGED_MEANWHILE = "changed-meanwhile"
    BODY_TOO_LARGE = "body-too-large"
    TARGET_TOO_LONG = "target-too-long"
    MEDIA_TYPE = "media-type"
    FIELD_UNKNOWN = "field-unknown"
    MEMBER_UNKNOWN = "member-unknown"
    MASK_SUBMITTED = "mask-submitted"
    VALUE_REFUSED = "value-refused"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    CONDITION_MISSING = "condition-missing"
    TOO_MANY = "too-many"
    OVER_BUDGET = "over-budget"
    HEADERS_TOO_LARGE = "headers-too-large"
    # 500, 502, 503, 504
    INTERNAL = "internal"
    UPSTREAM_REFUSED = "upstream-refused"
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    UPSTREAM_SILENT = "upstream-silent"
    UPSTREAM_MALFORMED = "upstream-malformed"
    LOG_UNAVAILABLE = "log-unavailable"
    LOG_BUSY = "log-busy"
    OUTCOME_UNRECORDED = "outcome-unrecorded"
    FENCE_MOVING = "fence-moving"
    NOT_READY = "not-ready"


STATUS: Mapping[Code, int] = {
    Code.TARGET_AMBIGUOUS: 400,
    Code.HEADER_MALFORMED: 400,
    Code.BODY_MALFORMED: 400,
    Code.PARAMETER_UNKNOWN: 400,
    Code.PARAMETER_MALFORMED: 400,
    Code.PURPOSE_MISSING: 400,
    Code.CURSOR_INVALID: 400,
    Code.GRANT_REFUSED: 400,
    Code.UNIDENTIFIED: 401,
    Code.PERSON_UNPROVEN: 401,
    Code.DENIED: 403,
    Code.PURPOSE_NOT_HELD: 403,
    Code.FIELD_NOT_WRITABLE: 403,
    Code.FIELD_NOT_SEARCHABLE: 403,
    Code.PERSON_NEEDED: 403,
    Code.APPROVAL_OWN: 403,
    Code.APPROVAL_GAINS: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_LISTED: 405,
    Code.TOO_SLOW: 408,
    Code.CONFLICT: 409,
    Code.APPROVAL_OVER: 409,
    Code.SUBJECT_CHANGED: 409,
    Code.SUBJECT_UNBOUND: 409,
    Code.RECORD_WITHHELD: 409,
    Code.IDEMPOTENCY_KEY_IN_USE: 409,
    Code.IDEMPOTENCY_UNANSWERED: 409,
    Code.CHANGED_MEANWHILE: 412,
    Code.BODY_TOO_LARGE: 413,
    Code.TARGET_TOO_LONG: 414,
    Code.MEDIA_TYPE: 415,
    Code.FIELD_UNKNOWN: 422,
    Code.MEMBER_UNKNOWN: 422,
    Code.MASK_SUBMITTED: 422,
    Code.VALUE_REFUSED: 422,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.CONDITION_MISSING: 428,
    Code.TOO_MANY: 429,
    Code.OVER_BUDGET: 429,
    Code.HEADERS_TOO_LARGE: 431,
    Code.INTERNAL: 500,
    Code.UPSTREAM_REFUSED: 502,
    Code.UPSTREAM_UNREACHABLE: 502,
    Code.UPSTREAM_MALFORMED: 502,
    Code.LOG_UNAVAILABLE: 503,
    Code.LOG_BUSY: 503,
    Code.OUTCOME_UNRECORDED: 503,
    Code.FENCE_MOVING: 503,
    Code.NOT_READY: 503,
    Code.UPSTREAM_SILENT: 504,
}
"""The one table from an error to its HTTP status (RFC 9110 section 15)."""


class GatehouseError(Exception):
    """Root of the tree.

    `params` fill the placeholders of the message catalogue's text for `code`; they are safe to show by contract.
    """

    code: Code = Code.INTERNAL

    def __init__(self, code: Code | None = None, /, **params: str | int) -> None:
        self.code = code or type(self).code
        self.params: Mapping[str, str | int] = params
        self.entry: str | None = (
            None  # `seq:hash` of the entry that records this refusal; set by the corridor
        )
        self.alarms: tuple[Alarm, ...] = ()  # what was found on the way that a person must hear of
        self.tick_seconds = 0.0  # see words.resource.UpstreamSpec.alike_seconds; set by the corridor
        super().__init__(self.code.value)


class Refused(GatehouseError):
    """What was sent is malformed, ambiguous, unknown or not possible: 4xx other than a decision's."""


class GrantError(StrEnum):
    """What the token endpoint's refusals are called there (RFC 6749 section 5.2, RFC 8693 section 2.2.2)."""

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"


class GrantRefused(Refused):
    """No token is given. `error` is OAuth's word for it; `code` is ours, UNIDENTIFIED where the client is not proven."""

    def __init__(self, error: GrantError, code: Code = Code.GRANT_REFUSED, /, **params: str | int) -> None:
        super().__init__(code, **params)
        self.error = error


class Unidentified(GatehouseError):
    """No acceptable credential. Unknown and wrong are one: same code, same text, same work done."""

    code = Code.UNIDENTIFIED


class Denied(GatehouseError):
    """The policy, a floor or an engine error said no. Carries the decision that explains it."""

    code = Code.DENIED

    def __init__(self, decision: Decision, code: Code | None = None, told: Told | None = None) -> None:
        super().__init__(code)
        self.decision = decision
        self.told = told  # what the caller may know of it; the decision itself says what only others may


class NotSent(GatehouseError):
    """Nothing of the request reached the upstream: the only upstream error that may be retried."""

    code = Code.UPSTREAM_UNREACHABLE


class Barred(NotSent):
    """The upstream's name leads to an address that the gateway may not connect to: no waiting helps, a person must look."""

    def __init__(self) -> None:
        super().__init__(reason="address-not-permitted")


class Unaddressable(NotSent):
    """What was to be asked has no address: a part of it is missing, or cannot be said in one way.

    It is no sign that the upstream is silent: nobody was called, and asking again asks for nothing either.
    """


class NoAnswer(GatehouseError):
    """Some of the request may have reached the upstream and no whole answer came: on a change the intent stays open."""

    code = Code.UPSTREAM_SILENT


class BadAnswer(GatehouseError):
    """The upstream answered something that its catalogue does not describe or that cannot be read in one way.

    For a change it *was* answered: `status` says how; nothing of the body is ever shown.
    """

    code = Code.UPSTREAM_MALFORMED

    def __init__(self, status: int | None = None) -> None:
        super().__init__()
        self.status = status


class Unavailable(GatehouseError):
    """Something the corridor needs is not there now; nothing was forwarded or nothing was shown."""

    code = Code.NOT_READY


class Misconfigured(GatehouseError):
    """A start or a load is refused. `problems` are lines a person reads: what, where (file:line), what to do."""

    code = Code.NOT_READY

    def __init__(self, *problems: str, rules: tuple[str, ...] = ()) -> None:
        """rules: the stable name of the kind of each problem, where its kinds have names; as many as problems, or none."""
        super().__init__()
        self.problems = problems
        self.rules = rules

    def __str__(self) -> str:
        return "\n".join(self.problems)
