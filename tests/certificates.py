"""Certificates made for a test: an authority, what it issues, and what is wrong with it on purpose."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)

# What banks in China also have, and the library does not know: a key on the curve of SM2 (GB/T 32918). Made for this page.
SM2_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBmDCCAT+gAwIBAgIUYOfFO1iIw5U66CShatbyUEBSwsgwCgYIKoEcz1UBg3Uw
FDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2MTEyMjEzMjg1NloXDTI3MDIyMDEz
Mjg1NlowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoEcz1UB
gi0DQgAEvwfwzNailq+941AvdBufe6Asre17odAqw1y2EgkwzjuiNpa+pCruMMTG
DPwa24crwenijYmPcKYMif996b+craNvMG0wHQYDVR0OBBYEFC0OTSK2aMn22ZyJ
3ac2OZoOprP0MB8GA1UdIwQYMBaAFC0OTSK2aMn22ZyJ3ac2OZoOprP0MA8GA1Ud
EwEB/wQFMAMBAf8wGgYDVR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMAoGCCqBHM9V
AYN1A0cAMEQCHyw1or1IlBVhr8SxjAmY6eN3+tLxYytDUTc2KpDorNcCIQDk3+lD
WfrmGdbnMIEI21/rgu4ZTI19iLLw09qifOCgLA==
-----END CERTIFICATE-----
"""
SM2_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqBHM9VAYItBG0wawIBAQQg1zCU+6yGdjVB/F+v
MpOMawufORbrPGSs539YhrQ8qp6hRANCAAS/B/DM1qKWr73jUC90G597oCyt7Xuh
0CrDXLYSCTDOO6I2lr6kKu4wxMYM/BrbhyvB6eKNiY9wpgyJ/33pv5yt
-----END PRIVATE KEY-----
"""


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _other(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Files:
    """A pair on the disk."""

    certificate: Path
    key: Path

    def put(self, other: Files) -> None:
        """Puts another pair in place of this one, as a renewal does: whole files, one after the other."""
        for here, there in ((self.certificate, other.certificate), (self.key, other.key)):
            beside = here.with_suffix(".beside")
            beside.write_bytes(there.read_bytes())
            beside.chmod(0o600)
            beside.replace(here)


@dataclass
class Authority:
    """Issues certificates into a folder."""

    folder: Path
    name: str = "Test authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.subject = _named(self.name)
        self.certificate = self._build(self.subject, self.key, now() - DAY, now() + 365 * DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = self.certificate.add_extension(usage, True).sign(self.key, hashes.SHA256())
        self.file = self.folder / f"{self.name.replace(' ', '-')}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _build(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begins: datetime.datetime,
        ends: datetime.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        )

    def issue(
        self,
        *names: str,
        label: str = "leaf",
        begins: datetime.datetime | None = None,
        ends: datetime.datetime | None = None,
        client: bool = False,
    ) -> Files:
        """Gives a pair for these names: DNS names, addresses, URIs."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        built = self._build(_named(label), key, begins or now() - DAY, ends or now() + 90 * DAY)
        made = (
            built.add_extension(x509.SubjectAlternativeName([_other(name) for name in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .sign(self.key, hashes.SHA256())
        )
        files = Files(self.folder / f"{label}.pem", self.folder / f"{label}.key")
        files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        files.key.touch(0o600)
        files.key.write_bytes(private(key))
        return files


def private(key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> bytes:
    """Gives a private key as PEM."""
    sealed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed)
