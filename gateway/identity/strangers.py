"""Step 2 of the request path, refusals: counted by a closed reason, since a stranger must not fill the log.

The caller learns one code whatever the reason; the minute's summary entry carries the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from gateway.words.errors import Code, Refused


class Stranger(StrEnum):
    """Why somebody was not identified. Closed, so that nothing a stranger sends can become a name in the log."""

    # the application's key
    NO_CREDENTIAL = "no-credential"
    SEVERAL_CREDENTIALS = "several-credentials"
    KEY_MALFORMED = "key-malformed"
    KEY_UNKNOWN = "key-unknown"
    SECRET_WRONG = "secret-wrong"  # noqa: S105  # a reason's name
    KEY_UNCONFIRMED = "key-unconfirmed"
    KEY_REVOKED = "key-revoked"
    KEY_EXPIRED = "key-expired"
    CERTIFICATE_OTHER = (
        "certificate-other"  # the key counts with its certificate alone, or the certificate is another key's
    )
    # a client, at the token endpoint
    CLIENT_MALFORMED = "client-malformed"
    CLIENT_UNKNOWN = "client-unknown"
    CLIENT_SECRET_WRONG = "client-secret-wrong"  # noqa: S105  # a reason's name
    CLIENT_SECRET_ENDED = "client-secret-ended"  # noqa: S105  # a reason's name
    # an access token of ours, in the place of a key
    ACCESS_REFUSED = "access-refused"  # not ours, altered, or not for this gateway
    ACCESS_ENDED = "access-ended"
    # the person's token
    SEVERAL_TOKENS = "several-tokens"
    TOKEN_MALFORMED = "token-malformed"  # noqa: S105  # a reason's name
    TOKEN_HEADER = "token-header"  # noqa: S105  # a reason's name
    ISSUER_UNKNOWN = "issuer-unknown"
    ALGORITHM_REFUSED = "algorithm-refused"
    SIGNER_UNKNOWN = "signer-unknown"
    SIGNATURE_WRONG = "signature-wrong"
    AUDIENCE_OTHER = "audience-other"
    APPLICATION_OTHER = "application-other"
    TOKEN_TIMES = "token-times"  # noqa: S105  # a reason's name
    TOKEN_OLD = "token-old"  # noqa: S105  # a reason's name
    PERSON_FROZEN = "person-frozen"
    SUBJECT_REFUSED = "subject-refused"


class Unproven(Refused):
    """The person's token does not hold. `reason` is for the count alone; the answer says PERSON_UNPROVEN and no more."""

    def __init__(self, reason: Stranger) -> None:
        super().__init__(Code.PERSON_UNPROVEN)
        self.reason = reason


class Strangers:
    """Counts since the last `take`. Bounded by the closed list; used on one event loop."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[Stranger] = Counter()

    def count(self, reason: Stranger) -> None:
        """Adds one."""
        self._counts[reason] += 1

    def take(self) -> dict[str, int]:
        """Gives the counts by reason and starts anew; empty when nobody was refused."""
        taken = {reason.value: number for reason, number in sorted(self._counts.items())}
        self._counts.clear()
        return taken

    def give_back(self, taken: Mapping[str, int]) -> None:
        """Adds counts that could not be recorded, so that the next summary has them: nothing is dropped."""
        for reason, number in taken.items():
            self._counts[Stranger(reason)] += number
