"""Step 2 of the request path: who asks. API keys of applications, tokens of persons. docs/identity.md is the page about it."""

from gateway.identity.access import AccessTokens, Minted, Terms
from gateway.identity.apikeys import KeyedHash, fault, keyed_hash
from gateway.identity.certificates import Holders, read_holders
from gateway.identity.clients import Clients, secret_tag
from gateway.identity.freezes import (
    Freeze,
    freezes_that_hold,
    insert_freeze,
    is_lifted_by,
    lift_freezes,
)
from gateway.identity.identity import PERSON_HEADER, ClientProof, ClientShown, Identity
from gateway.identity.issuers import Issuer, read_issuers
from gateway.identity.jwks import Silence
from gateway.identity.keytext import SECRET_BYTES, KeyText
from gateway.identity.keytext import is_id as is_key_id
from gateway.identity.keytext import write as write_key_text
from gateway.identity.persons import look_at_issuers
from gateway.identity.proofs import Proofs
from gateway.identity.secretrows import (
    ClientSecret,
    all_secrets,
    client_ids,
    end_secret_of,
    insert_secret,
    secrets_of,
)
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
    "AccessTokens",
    "ApiKey",
    "ClientProof",
    "ClientSecret",
    "ClientShown",
    "Clients",
    "Freeze",
    "Holders",
    "Identity",
    "Issuer",
    "KeyText",
    "KeyedHash",
    "Minted",
    "Proofs",
    "Silence",
    "Stranger",
    "Strangers",
    "Terms",
    "all_keys",
    "all_secrets",
    "client_ids",
    "confirm_key",
    "end_secret_of",
    "end_unconfirmed",
    "fault",
    "freezes_that_hold",
    "insert_freeze",
    "insert_key",
    "insert_secret",
    "is_key_id",
    "is_lifted_by",
    "key_of_intent",
    "keyed_hash",
    "lift_freezes",
    "look_at_issuers",
    "read_holders",
    "read_issuers",
    "read_key",
    "revoke_key",
    "revoked_by",
    "secret_tag",
    "secrets_of",
    "unconfirmed_keys",
    "write_key_text",
]
