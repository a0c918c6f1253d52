"""Step 2 of the request path: who asks. API keys of applications, tokens of persons. docs/identity.md is the page about it."""

from gateway.identity.apikeys import KeyedHash, fault, keyed_hash
from gateway.identity.certificates import Holders, read_holders
from gateway.identity.identity import PERSON_HEADER, Identity
from gateway.identity.issuers import Issuer, read_issuers
from gateway.identity.keytext import SECRET_BYTES, KeyText
from gateway.identity.keytext import is_id as is_key_id
from gateway.identity.keytext import write as write_key_text
from gateway.identity.persons import look_at_issuers
from gateway.identity.store import (
    ApiKey,
    all_keys,
    confirm_key,
    end_unconfirmed,
    insert_key,
    key_of_intent,
    read_key,
    revoke_key,
    revoked_by,
    unconfirmed_keys,
)
from gateway.identity.strangers import Stranger, Strangers

__all__ = [
    "PERSON_HEADER",
    "SECRET_BYTES",
    "ApiKey",
    "Holders",
    "Identity",
    "Issuer",
    "KeyText",
    "KeyedHash",
    "Stranger",
    "Strangers",
    "all_keys",
    "confirm_key",
    "end_unconfirmed",
    "fault",
    "insert_key",
    "is_key_id",
    "key_of_intent",
    "keyed_hash",
    "look_at_issuers",
    "read_holders",
    "read_issuers",
    "read_key",
    "revoke_key",
    "revoked_by",
    "unconfirmed_keys",
    "write_key_text",
]
