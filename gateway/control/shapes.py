"""The control door's documents, in and out. `openapi.py` makes the published schemas of exactly these."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Moment = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?Z$",
        description="RFC 3339, UTC",
        examples=["2027-01-31T00:00:00Z"],
    ),
]


class Role(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A role within a unit; `*` is every unit."""

    role: Annotated[str, Meta(examples=["role:agent"])]
    unit: Annotated[str, Meta(examples=["branch:shanghai"])] = "*"


class KeyWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key to be issued: for which application, with which roles and purposes, until when (366 days at most)."""

    application: Annotated[str, Meta(examples=["app:desk"])]
    roles: list[Role]
    purposes: Annotated[list[str], Meta(examples=[["service"]])]
    expires: Moment


class KeyShown(msgspec.Struct, frozen=True):
    """A key, or a client (`proof` is `secret`), without its secret. Members that the policy withholds from the caller are absent.

    It holds from `confirmed` on; null: it never held, its issuing is under way or broke off, and the reconciler ends it.
    """

    id: str | UnsetType = UNSET
    proof: Literal["key", "secret"] | UnsetType = UNSET
    application: str | UnsetType = UNSET
    roles: list[Role] | UnsetType = UNSET
    purposes: list[str] | UnsetType = UNSET
    created: Moment | UnsetType = UNSET
    expires: Moment | UnsetType = UNSET
    confirmed: Moment | None | UnsetType = UNSET
    revoked: Moment | None | UnsetType = UNSET


class KeyPage(msgspec.Struct, frozen=True):
    """A run of keys, oldest first. `next` goes into the parameter `after`; null at the end."""

    items: list[KeyShown]
    next: str | None


class KeyIssued(msgspec.Struct, frozen=True):
    """A new key. `key` is what goes into `Authorization: Bearer`; it is shown this once and kept nowhere."""

    id: str
    key: str
    application: str
    roles: list[Role]
    purposes: list[str]
    created: Moment
    expires: Moment


class FreezeShown(msgspec.Struct, frozen=True):
    """Who is frozen: a key's id, a client's, or a person's. Members that the policy withholds from the caller are absent."""

    who: str | UnsetType = UNSET
    since: Moment | UnsetType = UNSET


class FreezeList(msgspec.Struct, frozen=True):
    """Everybody who is frozen, oldest first."""

    items: list[FreezeShown]


class LiftWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is to be given free."""

    who: Annotated[str, Meta(examples=["person:https://id.example#li.wei"])]


class ClientIssued(msgspec.Struct, frozen=True):
    """A new client of the token endpoint. `client_secret` is shown this once and kept nowhere; revoke it as the key `client_id`."""

    client_id: str
    client_secret: str
    application: str
    roles: list[Role]
    purposes: list[str]
    created: Moment
    expires: Moment


class SecretWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another secret for a client: how many seconds those before it go on beside it (30 days at most; 0: they end at once)."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=2_592_000)]


class SecretIssued(msgspec.Struct, frozen=True):
    """A client's new secret, shown this once. The secrets before it hold until `others_until`."""

    client_id: str
    client_secret: str
    others_until: Moment


class TokenWanted(msgspec.Struct, frozen=True):
    """The form of the token endpoint, each parameter at most once and no others. The client proves itself here or by HTTP Basic.

    `scope`: purposes that the token is to be limited to, a space between two. The rest is for an exchange (RFC 8693).
    """

    grant_type: Literal["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"]
    client_id: str | UnsetType = UNSET
    client_secret: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    audience: str | UnsetType = UNSET
    resource: str | UnsetType = UNSET
    subject_token: str | UnsetType = UNSET
    subject_token_type: str | UnsetType = UNSET
    requested_token_type: str | UnsetType = UNSET


class TokenGiven(msgspec.Struct, frozen=True):
    """An access token, good for `expires_in` seconds (RFC 6749 section 5.1)."""

    access_token: str
    expires_in: int
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name
    scope: str | UnsetType = UNSET
    issued_token_type: str | UnsetType = UNSET


class Discovered(msgspec.Struct, frozen=True):
    """What an OAuth client must know (RFC 8414 section 2)."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    response_types_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]


class GrantProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why there is no token: OAuth's words (RFC 6749 section 5.2), and beside them the members of a problem."""

    error: str
    error_description: str
    type: Annotated[str, Meta(pattern="^urn:gatehouse:problem:[a-z-]+$")]
    title: str
    status: int
    next: str
    request: str
    params: dict[str, str | int] = {}


class PartyShown(msgspec.Struct, frozen=True):
    """One side of a caller, and the roles that the credential itself gives it (the policy may link more)."""

    id: str
    roles: list[Role]


class Caller(msgspec.Struct, frozen=True):
    """Who a caller is taken for, and how that was proven."""

    application: PartyShown
    person: PartyShown | None
    purposes: list[str]
    proven: list[str]


class ExplanationWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who would do what to which record, and what for. `through`: the application by which a person comes.

    `parent`: the record above, where the record's address needs it. `facts`: in the place of a record, those that one might have.
    """

    who: Annotated[str, Meta(examples=["person:https://id.example#li.wei"])]
    action: Annotated[str, Meta(examples=["customer:read"])]
    purpose: Annotated[str | None, Meta(examples=["service"])] = None
    record: str | None = None
    parent: str | None = None
    through: Annotated[str | None, Meta(examples=["app:desk"])] = None
    upstream: str | None = None
    resource: str | None = None
    facts: dict[str, None | bool | int | str | list[str]] = {}


class RuleApplied(msgspec.Struct, frozen=True):
    """A rule that applied to a party. `failed`: its condition could not be answered, which denies."""

    party: str
    rule: str
    text: str
    effect: Literal["allow", "deny"]
    failed: bool


class ChangeShown(msgspec.Struct, frozen=True):
    """One thing about the question that would have to be otherwise."""

    kind: Literal["purpose", "time", "credential", "role", "attribute", "fact"]
    name: str
    value: None | bool | int | str | list[str]
    party: str
    unit: str


class RuleNear(msgspec.Struct, frozen=True):
    """A rule that one thing kept from applying: what it wanted there, and what was found."""

    party: str
    rule: str
    text: str
    effect: Literal["allow", "deny"]
    failed: Literal["role", "unit", "purpose", "condition"]
    wanted: str
    found: dict[str, None | bool | int | str | list[str]]
    change: ChangeShown | None


class PartySaid(msgspec.Struct, frozen=True):
    """What the rules say to one party about the record as a whole, and its roles there."""

    party: str
    roles: list[str]
    reason: str
    rule: str | None


class FactShown(msgspec.Struct, frozen=True):
    """A fact that was looked at. `fit` false: the record holds something there that is no fact."""

    name: str
    value: None | bool | int | str | list[str]
    fit: bool


class PartyShows(msgspec.Struct, frozen=True):
    """How one party would see a field, and by which rule."""

    party: str
    shown: Literal["clear", "masked", "token", "withheld"]
    why: str
    rule: str | None


class FieldExplained(msgspec.Struct, frozen=True):
    """How a field is shown and whether it may be set, and why."""

    field: str
    class_: str = msgspec.field(name="class")
    shown: Literal["clear", "masked", "token", "withheld"]
    why: str
    parties: list[PartyShows]
    settable: bool
    set_why: str
    set_rule: str | None


class ExplanationGiven(msgspec.Struct, frozen=True):
    """Why a question comes out as it does. Rules are named `file:line`; `ways` are the smallest changes that would allow it.

    `whole` false: the policy runs on pycasbin, and only the decision and the ways are known. `text`: the same in
    sentences. `told`: what a refusal of it tells its caller, where he may know that there is a record.
    """

    credential: str | None
    allowed: bool
    reason: str
    by: Literal["floor", "bundle", "grant"]
    rule: str | None
    bundle: str
    engine: str
    whole: bool
    application: str
    person: str | None
    action: str
    purpose: str | None
    resource: str
    parties: list[PartySaid]
    rules: list[RuleApplied]
    near: list[RuleNear]
    facts: list[FactShown]
    fields: list[FieldExplained]
    ways: list[list[ChangeShown]]
    told: str
    text: list[str]


class ActivationWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle that is to be put in force, by its digest: one that was in force before, or that waits. Null: what the policy folder
    offers and a person has to look at."""

    bundle: Annotated[str | None, Meta(examples=["sha256:" + 64 * "0"])] = None


class ApprovalShown(msgspec.Struct, frozen=True):
    """What somebody filed: exactly that bundle in the place of exactly that one. `digest`: of this statement."""

    id: str
    kind: Literal["bundle:activate"]
    before: str
    after: str
    digest: str
    filed_by: str
    filed: Moment
    until: Moment


class ActivationDone(msgspec.Struct, frozen=True):
    """What became of it. `done`: in force by the entry `entry`; `waits`: another person confirms `approval`. `waived`: the demonstration
    asked for no second person."""

    state: Literal["done", "waits"]
    before: str
    after: str
    approval: ApprovalShown | None
    entry: int | None
    waived: bool


class BundleEvent(msgspec.Struct, frozen=True):
    """An entry about a bundle. `how`: why it could come in force. `reasons`: in how many ways it could widen somebody's access."""

    seq: int
    time: Moment
    what: str
    how: str
    bundle: str
    before: str | None
    reasons: int | None
    problems: int | None
    approval: str | None
    filed_by: str | None
    confirmed_by: str | None
    waived: str | None


class BundleHistory(msgspec.Struct, frozen=True):
    """Which bundle is in force, which one of the policy folder a person has to look at, what waits to be confirmed, and what became of
    bundles, latest first."""

    bundle: str
    waits: str | None
    approvals: list[ApprovalShown]
    items: list[BundleEvent]


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    alive: Literal[True] = True


class Ready(msgspec.Struct, frozen=True):
    """Everything that serving needs is there, by name."""

    ready: Literal[True]
    checks: dict[str, Literal["ok"]]


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong and what to do next (RFC 9457, application/problem+json). `request` is our id of the request; `detail` says of a
    denial what the caller may know of it."""

    type: Annotated[str, Meta(pattern="^urn:gatehouse:problem:[a-z-]+$")]
    title: str
    status: int
    next: str
    request: str
    params: dict[str, str | int] = {}
    detail: str = ""
