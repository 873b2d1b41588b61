"""What the guard lets in: the names, the token, the bodies, and what anybody may see."""

from __future__ import annotations

from dataclasses import dataclass

from weft.server.guard.bodies import UPLOADS, BodyRule, has_body, rule_for
from weft.server.guard.headers import Headers, first, headers_fault
from weft.server.guard.hosts import Hosts
from weft.server.guard.paths import MAX_PATH, MAX_QUERY, path_fault, query_fault
from weft.server.guard.session import PATH as SESSION
from weft.server.guard.session import let_in
from weft.server.problems import ApiError

SAFE = frozenset({"GET", "HEAD"})
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Rules:
    """The rules of one server.

    Attributes:
        hosts: the names by which it is reached.
        token: what programs and browsers must have; None where only this machine reaches it.
        bodies: which requests may have other bodies than JSON of 8 MiB.
        public: paths that need no token for reading: the editor's page, which asks for the token, and health.
        public_folders: the same for all below, each with a slash at its end.
        body_seconds: how long a client may send nothing of a body that it announced.
    """

    hosts: Hosts
    token: str | None = None
    bodies: tuple[BodyRule, ...] = UPLOADS
    public: frozenset[str] = frozenset({"/", "/favicon.ico", "/healthz", "/readyz"})
    public_folders: tuple[str, ...] = ("/assets/", "/app/")
    body_seconds: float = 30.0

    def check(self, *, method: str, path: str, raw_path: bytes, query: bytes, headers: Headers, connected: str) -> int:
        """Look at all of a request but its body.

        Args:
            method: "GET" for the handshake of a websocket.
            path: decoded.
            raw_path: as it stood in the request.
            connected: the address of this machine that the connection came to.

        Returns:
            How many bytes the body may have.

        Raises:
            ApiError: it is refused.
        """
        code, fault = headers_fault(headers)
        if code:
            raise ApiError(code, fault)
        self._check_address(raw_path, query)
        self._check_origin(headers, connected)
        if method not in SAFE | CHANGING:
            raise ApiError(
                "method_not_allowed",
                "Known are GET, HEAD, POST, PUT, PATCH and DELETE. Other origins are granted nothing.",
                headers={"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE"},
            )
        if self.token is not None and not self._is_public(method, path) and not let_in(headers, self.token):
            raise ApiError("no_token", "Send the server's token as Authorization: Bearer, or log in.")
        return self._check_body(method, path, headers)

    def _check_address(self, raw_path: bytes, query: bytes) -> None:
        if len(raw_path) > MAX_PATH or len(query) > MAX_QUERY:
            raise ApiError("long_path", f"A path has at most {MAX_PATH} bytes and a query {MAX_QUERY}.")
        if fault := path_fault(raw_path) or query_fault(query):
            raise ApiError("bad_request", fault)

    def _check_origin(self, headers: Headers, connected: str) -> None:
        host = first(headers, b"host") or ""
        if not self.hosts.knows(host, connected):
            raise ApiError(
                "foreign_host",
                "This server was not told that it has the name in the address. It is reached by the address "
                "that it printed when it started, and by the names that its operator gave.",
            )
        origin = first(headers, b"origin")
        if origin is not None and not self.hosts.owns(origin, host, connected):
            raise ApiError("foreign_origin", "Pages of other origins may not call this server.")
        site = first(headers, b"sec-fetch-site")
        if site is not None and site not in ("same-origin", "none"):
            raise ApiError("foreign_origin", "Pages of other sites may not call this server.")

    def _is_public(self, method: str, path: str) -> bool:
        if method in SAFE:
            return path in self.public or path.startswith(self.public_folders)
        return method == "POST" and path == SESSION  # which looks at the token itself

    def _check_body(self, method: str, path: str, headers: Headers) -> int:
        rule = rule_for(self.bodies, method, path)
        length, kind = first(headers, b"content-length"), first(headers, b"content-type")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
            raise ApiError("bad_request", "Content-Length is no number.")
        if first(headers, b"content-encoding") is not None:
            raise ApiError("unsupported_media_type", "Bodies are taken as they are: send it without Content-Encoding.")
        announced = has_body(length, first(headers, b"transfer-encoding"))
        typed = announced or kind is not None or (method == "POST" and _browser(headers))
        if typed and (kind is None or not rule.takes(kind)):
            types = " or ".join(rule.types)
            raise ApiError(
                "unsupported_media_type",
                f"Send Content-Type: {types}." if kind is None else f"The body must be {types}, not {kind[:100]}.",
                headers={"Accept": ", ".join(rule.types)},
            )
        if length is not None and int(length) > rule.most:
            raise too_large(rule.most, int(length))
        return rule.most


def _browser(headers: Headers) -> bool:
    """Whether a browser may have sent it: a page can post an empty body without a type, and so without asking."""
    names = {name for name, _ in headers}
    return bool(names & {b"origin", b"cookie", b"referer", b"sec-fetch-site", b"sec-fetch-mode"})


def too_large(most: int, announced: int | None = None) -> ApiError:
    """The refusal of a body with too many bytes."""
    given = "more" if announced is None else f"{announced:,}"
    return ApiError("too_large", f"The body has {given} bytes; at most {most:,} are read.")
