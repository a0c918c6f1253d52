"""Ground: every domain-separation label of Gatehouse. One key serves one label; a label is never used for two things.

The log (`audit/`) stands alone and keeps its own. A value here is part of bytes that outlive the process: never changed, never
used again after it is retired. The number at its end is the version of the format that it stands for.
"""

from __future__ import annotations

from enum import Enum, unique


@unique
class Label(Enum):
    """What a derived key, a MAC or associated data is for."""

    # gateway.keys
    DATA_KEY_WRAP = b"gatehouse/data-key-wrap/1"
    KEY_FINGERPRINT = b"gatehouse/key-fingerprint/1"
    EVIDENCE_REFERENCE = b"gatehouse/evidence-reference/1"
    EVIDENCE_DIGEST = b"gatehouse/evidence-digest/1"
    SEALED_TEXT = b"gatehouse/sealed-text/1"
    ASSERTION_KEY = b"gatehouse/assertion-key/1"
    ASSERTION_PERSON = b"gatehouse/assertion-person/1"
    TOKEN_KEY = b"gatehouse/token-key/1"
    # gateway.fields
    ENVELOPE = b"gatehouse/envelope/1"
    BINDING = b"gatehouse/binding/1"
    BINDING_PLACE = b"gatehouse/binding-place/1"
    SUBJECT = b"gatehouse/subject/1"
    FIELD_TOKEN = b"gatehouse/field-token/1"
    # gateway.policy
    STANDING = b"gatehouse/standing/1"
    # gateway.idempotency
    IDEMPOTENCY = b"gatehouse/idempotency/1"
    # gateway.identity
    API_KEY = b"gatehouse/api-key/1"
    CLIENT_SECRET_TAG = b"gatehouse/client-secret-tag/1"
