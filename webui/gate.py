"""The one gate in front of every route: who is asked (Host), who asks (Origin, session, token), what headers go back.

It judges the matched endpoint, never the path's spelling, and it runs before a 404 or 405 is told, so a stranger
learns nothing of the routes. Forwarding headers (X-Forwarded-*, X-Real-IP) are never read.
"""

import hashlib
import hmac
import ipaddress
import secrets
from urllib.parse import urlencode

from flask import Response, abort, g, redirect, request
from flask.typing import ResponseReturnValue

from webui.parts import Parts, parts
from webui.sessions import Session

BODY_LIMIT = 64 * 1024
PUBLIC = frozenset({"signin.login", "signin.setup", "static"})
QUIET = frozenset({"live.events", "live.fragment"})  # watching is not using
NAMES = frozenset({"localhost", "router.lan", "clearway.lan"})
SESSION_COOKIE, FORM_COOKIE, DEVICE_COOKIE = "sid", "pre", "dev"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    # For a document, base.html narrows this to same-origin: under no-referrer a browser
    # sends `Origin: null` with a form (Fetch standard, "append a request Origin header").
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def guard() -> ResponseReturnValue | None:
    """Flask's before_request."""
    own = parts()
    if not host_allowed(request.environ.get("HTTP_HOST", ""), own.names):
        abort(421)
    writes = request.method not in ("GET", "HEAD")
    if writes and not _same_origin():
        abort(403)
    g.session = find_session(own)
    if request.endpoint not in PUBLIC and g.session is None:
        return _send_to_login(writes)
    if writes and not hmac.compare_digest(request.form.get("token", "").encode(), form_token().encode()):
        abort(403)
    return None


def finish(response: Response) -> Response:
    """Flask's after_request: runs for errors too."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    fresh = getattr(g, "form_cookie", None)
    if fresh:
        set_cookie(response, FORM_COOKIE, fresh)
    return response


def host_allowed(host: str, names: frozenset[str]) -> bool:
    """An IP literal, or a name of ours: a name that somebody else's DNS points here is refused (rebinding)."""
    name, _, port = host.rpartition(":") if not host.endswith("]") and ":" in host else (host, "", "80")
    if not (port.isascii() and port.isdigit()):
        return False
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if name != bare or ":" not in bare:
        try:
            ipaddress.ip_address(bare)
            return True
        except ValueError:
            pass
    return bare.lower().removesuffix(".") in NAMES | names


def _same_origin() -> bool:
    host = request.environ.get("HTTP_HOST", "")
    return request.headers.get("Origin", "").lower() == f"{request.scheme}://{host}".lower()


def find_session(own: Parts) -> Session | None:
    token = request.cookies.get(SESSION_COOKIE, "")
    touch = request.endpoint not in QUIET and "auto" not in request.args
    return own.sessions.find(token, touch) if token else None


def _send_to_login(writes: bool) -> ResponseReturnValue:
    if writes or request.endpoint in QUIET:
        abort(401)
    return redirect("/login" + ("?" + urlencode({"ended": 1}) if SESSION_COOKIE in request.cookies else ""), 303)


def form_token() -> str:
    """What a form of this browser must carry: the session's own, or before signing in one bound to a cookie."""
    session: Session | None = g.session
    if session is not None:
        return session.csrf
    cookie = request.cookies.get(FORM_COOKIE, "") or getattr(g, "form_cookie", "")
    if not cookie:
        if request.method not in ("GET", "HEAD"):
            return secrets.token_urlsafe(32)  # matches nothing
        cookie = g.form_cookie = secrets.token_urlsafe(32)
    return hmac.new(parts().form_key, cookie.encode(), hashlib.sha256).hexdigest()


def set_cookie(response: Response, name: str, value: str, seconds: int | None = None, path: str = "/") -> None:
    # Secure only over TLS: in the house the page is plain HTTP, a documented deviation (ASVS 3.3.1).
    response.set_cookie(
        name, value, max_age=seconds, path=path, httponly=True, samesite="Strict", secure=request.scheme == "https"
    )
