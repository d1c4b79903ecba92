"""Self-signed certificate for this machine's addresses, for clients that insist on TLS.

Node trusts it by NODE_EXTRA_CA_CERTS, Python by SSL_CERT_FILE.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import KeyUsage

VALID = timedelta(days=397)
"""The longest validity that browsers accept."""
RENEW_BEFORE = timedelta(days=30)
"""A certificate that expires within that time is replaced: a stack may run for weeks."""
NAMES = ("localhost",)
ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two PEM files: the certificate, which clients may see, and its key, which only the owner can read."""

    certificate: Path
    key: Path


def certificate_in(folder: Path) -> Certificate:
    """Return the certificate in this folder; create it unless there is one that is valid for another month."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    files = Certificate(folder / "certificate.pem", folder / "key.pem")
    if not (files.key.is_file() and _is_good(files.certificate)):
        _make(files)
    return files


def _is_good(file: Path) -> bool:
    from cryptography.x509 import load_pem_x509_certificate

    try:
        ends = load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return False
    return ends > datetime.now(UTC) + RENEW_BEFORE


def _make(files: Certificate) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ringback on this machine")])
    now = datetime.now(UTC)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    names = [
        *(x509.DNSName(each) for each in NAMES),
        *(x509.IPAddress(ip_address(each)) for each in ADDRESSES),
    ]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of two machines, or of a container, differ
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        # It is its own authority; strict clients need all of these extensions.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_may_sign(), critical=True)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .sign(key, hashes.SHA256())
    )
    files.key.unlink(missing_ok=True)
    files.key.touch(0o600, exist_ok=False)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _may_sign() -> KeyUsage:
    from cryptography.x509 import KeyUsage

    return KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
