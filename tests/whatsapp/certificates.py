"""The two chains that a client may ask to see: Noise certificates under a root key of our own, and a throw-away TLS authority."""

import datetime
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.whatsapp.keys import KeyPair
from tests.whatsapp.protobufs import cert

_DAY_S: Final = 86_400
_VALID_DAYS: Final = 30
_AUTHORITY: Final = "test authority"


def noise_chain(root: KeyPair, static: KeyPair) -> bytes:
    """A leaf for the server's static key under an intermediate under `root`. Signatures are over the serialized details."""
    intermediate = KeyPair()
    chain = cert.CertChain()
    chain.intermediate.details = _details(serial=1, issuer=0, key=intermediate.public)
    chain.intermediate.signature = root.sign(chain.intermediate.details)
    chain.leaf.details = _details(serial=2, issuer=1, key=static.public)
    chain.leaf.signature = intermediate.sign(chain.leaf.details)
    return bytes(chain.SerializeToString())


def _details(*, serial: int, issuer: int, key: bytes) -> bytes:
    now = int(time.time())
    details = cert.CertChain.NoiseCertificate.Details(
        serial=serial, issuerSerial=issuer, key=key, notBefore=now - _DAY_S, notAfter=now + _VALID_DAYS * _DAY_S
    )
    return bytes(details.SerializeToString())


def tls_context(hosts: Sequence[str], folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for these hosts, and the authority's file that a client must trust."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(
        _AUTHORITY, authority_key.public_key(), authority_key, x509.BasicConstraints(ca=True, path_length=0)
    )
    leaf = _certificate(
        hosts[0],
        key.public_key(),
        authority_key,
        x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    )
    pem = serialization.Encoding.PEM
    authority_file, leaf_file = folder / "authority.pem", folder / "leaf.pem"
    authority_file.write_bytes(authority.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    leaf_file.write_bytes(leaf.public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf_file)
    return context, authority_file


def _certificate(
    name: str, key: ec.EllipticCurvePublicKey, issuer: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType
) -> x509.Certificate:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(_AUTHORITY))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + _VALID_DAYS * day)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
