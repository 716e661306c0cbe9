"""A browser on a household device: Chromium's own TLS, whose ClientHello fills two packets (it has a post-quantum key).

It trusts the certificates that it is handed and no others, so a page that comes is the site's own.
"""

import base64
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .lab import Lab
from .net import PATIENCE, Host
from .topology import SITE

# Secure DNS would ask addresses of its maker's; what is fetched in the background would be in every capture.
FLAGS = """
--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-background-networking
--disable-component-update --disable-default-apps --disable-domain-reliability --disable-extensions --disable-sync
--dns-over-https-mode=off --no-pings
""".split()
TCP_ONLY = ("--disable-quic",)


def chromium(host: Host, url: str, *trusted: Path, flags: tuple[str, ...] = TCP_ONLY, timeout: float = 15) -> str:
    """The page as the browser shows it on this host, with a profile of its own. Nothing of a page that fails."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-", dir=host.directory))
    argv = ["chromium", *FLAGS, *flags, f"--user-data-dir={profile}", f"--timeout={int(timeout * PATIENCE * 1000)}"]
    keys = [f"--ignore-certificate-errors-spki-list={','.join(map(fingerprint, trusted))}"] if trusted else []
    try:
        return host.run([*argv, *keys, "--dump-dom", url], timeout=timeout + 15, check=False).stdout
    except subprocess.TimeoutExpired:
        return ""
    finally:
        shutil.rmtree(profile, ignore_errors=True)


def visits(lab: Lab, host: Host, name: str, **how: float) -> str:
    """What https://NAME/ shows, of a site of the lab."""
    owner = lab.domestic if SITE[name].domestic else lab.sites
    return chromium(host, f"https://{name}/", owner.directory / f"{name}.pem", **how)


def fingerprint(certificate: Path) -> str:
    """Of its key, as Chromium wants it: SHA-256 of the SubjectPublicKeyInfo, in base64."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    return base64.b64encode(hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
