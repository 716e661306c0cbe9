"""What is kept on disk about the owner: the password's hash, the setup secret, the phones that were here before.

Files are 0600 in a directory 0700, replaced whole (temporary file, fsync, rename, fsync of the directory),
so that a power cut leaves the old one or the new one.
"""

import hashlib
import hmac
import os
import secrets
import threading
from pathlib import Path

from webui import passwords

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # 31 that are not mistaken for one another
_SECRET_LENGTH = 20  # 20 * log2(31) = 99 bits
_MOST_DEVICES = 20


class Owner:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def has_password(self) -> bool:
        return (self._directory / "password").exists()

    def ensure_setup_secret(self) -> str | None:
        """The new secret if one had to be made, so that the caller can show it once."""
        if self.has_password or self._read("setup-secret"):
            return None
        letters = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
        secret = "-".join(letters[i : i + 5] for i in range(0, _SECRET_LENGTH, 5))
        self._write("setup-secret", secret + "\n")
        return secret

    def is_setup_secret(self, typed: str) -> bool:
        kept = _letters(self._read("setup-secret"))
        return bool(kept) and hmac.compare_digest(_letters(typed).encode(), kept.encode())

    def set_first_password(self, password: str) -> bool:
        """False if somebody was faster. The setup secret works once."""
        with self._lock:
            if self.has_password:
                return False
            self._write("password", passwords.hashed(password) + "\n")
            (self._directory / "setup-secret").unlink(missing_ok=True)
            return True

    def change_password(self, password: str) -> None:
        with self._lock:
            self._write("password", passwords.hashed(password) + "\n")
            self._write("devices", "")

    def is_password(self, typed: str) -> bool:
        return passwords.matches(typed, self._read("password"))

    def remember_device(self) -> str:
        token = secrets.token_urlsafe(32)
        with self._lock:
            known = self._read("devices").split()[-(_MOST_DEVICES - 1) :]
            self._write("devices", "\n".join([*known, _digest(token)]) + "\n")
        return token

    def knows_device(self, token: str) -> bool:
        return bool(token) and _digest(token) in self._read("devices").split()

    def _read(self, name: str) -> str:
        try:
            return (self._directory / name).read_text("utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    def _write(self, name: str, text: str) -> None:
        temporary = self._directory / f".{name}.{secrets.token_hex(4)}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._directory / name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(self._directory)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _letters(text: str) -> str:
    """Case, blanks and hyphens are how people write, not part of the secret."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
