"""Which passwords are good enough, and how one is kept.

scrypt with N=2^14, r=8, p=5 is the OWASP row that needs 16 MiB; the box may have 512.
One hash at a time, so a burst of guesses costs no more memory than one.
The shortest length rules out the well-known lists almost whole; `common.txt` holds what is left of them.
"""

import base64
import hashlib
import hmac
import re
import secrets
import threading
import unicodedata
from importlib.resources import files

SHORTEST = 12
LONGEST = 128
_N, _R, _P, _MEMORY = 2**14, 8, 5, 32 * 1024 * 1024
_one_at_a_time = threading.Lock()
_LEET = str.maketrans("013457@$!", "oleastasi")
_TOO_PLAIN = re.compile(
    r"(password|passwort|qwerty|azerty|iloveyou|letmein|welcome|admin|administrator|router|raspberry|"
    r"internet|freedom|changeme|default|secret|master|monkey|dragon|football|sunshine|princess|abc)+"
)
_RUNS = ("01234567890123456789", "98765432109876543210", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


def weakness(password: str) -> str | None:
    """The key of the text that tells what is wrong with it, or None."""
    text = _normal(password)
    if len(text) < SHORTEST:
        return "password_short"
    if len(text) > LONGEST:
        return "password_long"
    return "password_common" if _is_common(text.casefold()) else None


def _is_common(text: str) -> bool:
    if len(set(text)) < 5 or any(text in run for run in _RUNS) or _repeats(text):
        return True
    stem = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", text).translate(_LEET)
    return bool(_TOO_PLAIN.fullmatch(stem)) or text in _common()


def _repeats(text: str) -> bool:
    """abcabcabcabc, but not a phrase said twice: the unit is short."""
    return any(text == (text[:size] * len(text))[: len(text)] for size in range(1, 6))


def _common() -> frozenset[str]:
    return frozenset(files("webui").joinpath("common.txt").read_text("utf-8").split())


def hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"scrypt:{_N}:{_R}:{_P}${_b64(salt)}${_b64(_scrypt(password, salt, _N, _R, _P))}"


def matches(password: str, kept: str) -> bool:
    """False for a damaged hash too: nobody gets in by breaking the file."""
    try:
        how, salt, wanted = kept.strip().split("$")
        n, r, p = (int(part) for part in how.removeprefix("scrypt:").split(":"))
        found = _scrypt(password, base64.b64decode(salt), n, r, p)
        return hmac.compare_digest(found, base64.b64decode(wanted))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    with _one_at_a_time:
        return hashlib.scrypt(_normal(password).encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _normal(password: str) -> str:
    # Two keyboards may type one Persian or accented letter as different code points.
    return unicodedata.normalize("NFKC", password)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
