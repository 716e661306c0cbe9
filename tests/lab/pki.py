"""The lab's certificate authority: one per run, ECDSA, certificates for names and addresses alike."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Wide, so that tests which move the clock by a year still look at something other than expiry when they want to.
NOT_BEFORE = datetime.timedelta(days=30)
NOT_AFTER = datetime.timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Cert:
    """PEM files: the certificate (leaf only; the CA is its direct issuer) and its private key."""

    cert: Path
    key: Path


SIGNS = x509.KeyUsage(True, False, False, False, False, False, False, False, False)  # OpenVPN insists that it is there


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs leaf certificates. `file` is the CA certificate, for SSL_CERT_FILE."""

    file: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(self, directory: Path, stem: str, names: Sequence[str],
              shift: datetime.timedelta = datetime.timedelta(), *, lasting: datetime.timedelta = NOT_AFTER) -> Cert:
        """A leaf for DNS names (wildcards too) and IP addresses, written to directory/STEM.{pem,key}.

        Its dates are later by `shift`: what a box whose clock is wrong sees. `lasting`: how long it is valid, both into
        the past (at least NOT_BEFORE) and into the future.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(names[0], self.certificate.subject, key, self.key, shift, lasting)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]  # OpenVPN's clients have one too
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), False)
        builder = builder.add_extension(SIGNS, False)
        made = Cert(directory / f"{stem}.pem", directory / f"{stem}.key")
        _write(made, builder.sign(self.key, hashes.SHA256()), key)
        return made


def authority(directory: Path, name: str = "Clearway lab CA", stem: str = "ca") -> Authority:
    """A new CA; a censor that forges certificates makes a second one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(False, False, False, False, False, key_cert_sign=True, crl_sign=True,
                          encipher_only=False, decipher_only=False)
    builder = _builder(name, subject, key, key).add_extension(usage, True)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    files = Cert(directory / f"{stem}.pem", directory / f"{stem}.key")
    certificate = builder.sign(key, hashes.SHA256())
    _write(files, certificate, key)
    return Authority(files.cert, certificate, key)


def _builder(common_name: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey,
             issuer_key: ec.EllipticCurvePrivateKey,
             shift: datetime.timedelta = datetime.timedelta(), lasting: datetime.timedelta = NOT_AFTER
             ) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC) + shift
    public = key.public_key()
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number()).public_key(public)
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
    builder = builder.issuer_name(issuer).not_valid_before(now - (NOT_BEFORE if lasting == NOT_AFTER else lasting))
    builder = builder.not_valid_after(now + lasting)
    # Python 3.13's default verification (VERIFY_X509_STRICT) wants both key identifiers.
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(identifier, False)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _write(files: Cert, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    files.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption()))
