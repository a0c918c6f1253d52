"""Ground: keys, and what is made with them alone. Which data keys exist the fields room keeps; here they are wrapped."""

from gateway.keys.assertions import AssertionKey
from gateway.keys.certificates import Pair, Refusal, Rotating, pem_of, read_certificates, read_pair
from gateway.keys.evidence import KeyedEvidence
from gateway.keys.keyring import DataKeyPlace, Keyring, KeyringStatus, Unopened
from gateway.keys.labels import Label
from gateway.keys.material import Material, add_version, create_key_file, from_environment, from_file
from gateway.keys.parts import parted
from gateway.keys.signing import SigningKey, TokenKeys
from gateway.keys.texts import SealedTexts

__all__ = [
    "AssertionKey",
    "DataKeyPlace",
    "KeyedEvidence",
    "Keyring",
    "KeyringStatus",
    "Label",
    "Material",
    "Pair",
    "Refusal",
    "Rotating",
    "SealedTexts",
    "SigningKey",
    "TokenKeys",
    "Unopened",
    "add_version",
    "create_key_file",
    "from_environment",
    "from_file",
    "parted",
    "pem_of",
    "read_certificates",
    "read_pair",
]
