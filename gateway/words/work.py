"""What is to be done, as step 3 read it from the request. The gate passes it on; the upstream adapter carries it out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.words.access import Access, ResourceRef
from gateway.words.draft import Draft
from gateway.words.filter import EVERYTHING, Filter
from gateway.words.json import Pattern
from gateway.words.resource import ResourceSpec, RouteSpec, UpdateMode, UpstreamSpec


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort key; the upstream breaks ties by id."""

    field: Pattern
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    """A list's question. passing: pairs that go to the upstream as the caller spelled them (filters, sort, flags), in order.

    uses: every field that filter, sort, group or count looks at: each must be CLEAR for the caller. filter: the same, as a word.
    """

    passing: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    uses: frozenset[Pattern] = frozenset()
    filter: Filter = EVERYTHING
    sort: tuple[Sort, ...] = ()
    limit: int = 50
    cursor: str | None = field(default=None, repr=False)
    count: bool = False


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What an upstream is asked besides a list's question, so that it leaves out records that the policy hides. It changes what
    is read, and nothing of what is shown: each item is decided on all the same.

    pairs: in the upstream's own spelling. exact: what it then answers with is allowed, whatever it holds.
    keyed: a position is a place in the order, which holds whatever a list is narrowed to; else it belongs to these pairs.
    """

    pairs: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    exact: bool = False
    keyed: bool = False


NOT_NARROWED = Narrowing()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a list. position: where it begins, None at the beginning. most: no more items than that are of use, None: unknown.

    count: the total is of use.
    """

    position: str | None = field(default=None, repr=False)
    narrowing: Narrowing = NOT_NARROWED
    most: int | None = None
    count: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """How the request goes on. path: the bytes after the mount, exactly as decided on. headers: those that pass."""

    path: str = field(repr=False)
    raw_query: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """One record. head: answer without a body."""

    to: Forward
    head: bool = False


@dataclass(frozen=True, slots=True)
class List:
    """A collection, decided on as a whole and item by item."""

    to: Forward
    query: Query
    head: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """A new record in a collection."""

    to: Forward
    draft: Draft


@dataclass(frozen=True, slots=True)
class Send(Create):
    """A create that reaches the customer: a message that goes out."""


@dataclass(frozen=True, slots=True)
class Update:
    """A change. condition: the caller's If-Match, None when he gave none."""

    to: Forward
    draft: Draft
    mode: UpdateMode
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """A removal. condition as in Update."""

    to: Forward
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """One record's bytes, as they are. head: answer without them."""

    to: Forward
    head: bool = False


Work = Read | List | Create | Send | Update | Delete | Download


@dataclass(frozen=True, slots=True)
class Addressed:
    """Step 3's outcome whole: the question, the work, and the catalogue's word on both."""

    access: Access
    work: Work
    upstream: UpstreamSpec
    route: RouteSpec
    resource: ResourceSpec

    @property
    def ref(self) -> ResourceRef:
        """The place that is asked about."""
        return self.access.ref

    def reading(self) -> Access:
        """Gives the question whether the same principal may read this: what tells 403 from 404."""
        return replace(self.access, action=f"{self.resource.name}:read")

    def leading_to(self, ref: ResourceRef) -> Access:
        """Gives the question whether the same principal may read another record, that this access leads to."""
        return replace(self.access, action=f"{ref.resource}:read", ref=ref)
