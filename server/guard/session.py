"""How a browser keeps the token: in a cookie that scripts cannot read and that foreign pages cannot use."""

from __future__ import annotations

from collections.abc import Iterator

from weft.server.guard.headers import Headers, first
from weft.server.tokens import same_token

COOKIE = "weft_session"
PATH = "/api/v1/session"
_MAX_COOKIES = 8


def tokens_in(headers: Headers) -> Iterator[str]:
    """Every token that a request carries: as `Authorization: Bearer`, or in our cookie."""
    scheme, _, value = (first(headers, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        yield value.strip()
    count = 0
    for name, text in headers:
        if name == b"cookie":
            for part in text.decode("latin-1").split(";"):
                key, _, value = part.strip().partition("=")
                if key == COOKIE and count < _MAX_COOKIES:
                    count += 1
                    yield value.strip('"')


def let_in(headers: Headers, token: str) -> bool:
    """Whether one of them is the server's."""
    return any(same_token(one, token) for one in tokens_in(headers))


def cookie_for(token: str, *, secure: bool) -> str:
    """The value of `Set-Cookie` that keeps a token until the browser is closed; an empty token removes it.

    Args:
        secure: the page came by TLS, so the cookie need never travel without.
    """
    parts = [f"{COOKIE}={token}", "Path=/", "HttpOnly", "SameSite=Strict"]
    return "; ".join(parts + ["Max-Age=0"] * (not token) + ["Secure"] * secure)
