"""Service: a client that proved itself gets an access token, for itself or for a person whose token it shows. Recorded like a read.

The entry is made with the fence: a client that was revoked, in log order, gets no token after that, on any process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from audit import Kind, Receipt
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.identity import ClientProof, ClientShown, Minted
from gateway.words.access import Call
from gateway.words.errors import Code, GrantError, GrantRefused, Refused, Unidentified
from gateway.words.principal import Principal

TOKEN_ISSUE = "token:issue"  # noqa: S105 - an action's name
SCOPE, SUBJECT_TOKEN = "scope", "subject_token"


class Provers(Protocol):
    """Step 2 for clients, and the tokens that they get."""

    async def client(self, shown: ClientShown, call: Call) -> ClientProof:
        """Gives the client that asks. Raises Unidentified, Refused (PERSON_UNPROVEN, TOO_MANY)."""
        ...

    def mint(self, proof: ClientProof, purposes: frozenset[str] | None) -> Minted:
        """Gives its token, limited to `purposes` where they are given."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. purposes: what the token is to be limited to, None for all that the client holds at each use."""

    shown: ClientShown
    purposes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """A token. text: what goes into `Authorization: Bearer`."""

    text: str = field(repr=False)
    seconds: int
    purposes: frozenset[str] | None
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Tokens:
    """The service."""

    desk: Desk
    provers: Provers

    async def grant(self, call: Call, wanted: Wanted) -> Granted:
        """Gives a token.

        Raises GrantRefused: `invalid_client` (with UNIDENTIFIED) for every client that is not proven, `invalid_scope` for a purpose
        that it does not hold, `invalid_request` for a person's token that does not hold. Raises Refused(TOO_MANY), and what
        `Desk.attend` raises. Promises: no token leaves before its entry is durable.
        """
        proof: ClientProof | None = None

        async def identify() -> Principal:
            nonlocal proof
            try:
                proof = await self.provers.client(wanted.shown, call)
            except Unidentified as error:
                raise GrantRefused(GrantError.INVALID_CLIENT, Code.UNIDENTIFIED) from error
            except Refused as error:
                if error.code is not Code.PERSON_UNPROVEN:
                    raise
                raise GrantRefused(GrantError.INVALID_REQUEST, parameter=SUBJECT_TOKEN) from error
            return proof.principal

        async def work(visit: Visit) -> Granted:
            if proof is None:
                raise AssertionError("a visit begins when somebody was identified")
            if wanted.purposes is not None and not wanted.purposes <= visit.principal.purposes:
                raise GrantRefused(GrantError.INVALID_SCOPE, parameter=SCOPE)
            minted = self.provers.mint(proof, wanted.purposes)
            if minted.seconds <= 0:  # the person's token ends within this second
                raise GrantRefused(GrantError.INVALID_REQUEST, parameter=SUBJECT_TOKEN)
            part = {
                "reference": minted.id,
                "subject": None,
                "client": proof.key.id,
                "seconds": minted.seconds,
                "scope": None if wanted.purposes is None else [*sorted(wanted.purposes)],
            }
            receipt = await self.desk.log.append(visit.event(Kind.SERVED, [part]), fence=visit.ruled.fence)
            return Granted(minted.text, minted.seconds, wanted.purposes, receipt)

        asker = Asker(call.id, identify, trace=call.trace)
        return await self.desk.attend(asker, TOKEN_ISSUE, None, work)
