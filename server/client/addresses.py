"""Where the server is, and the token that it wants."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from weft.server.tokens import read_token

DEFAULT = "http://127.0.0.1:9338"


@dataclass(frozen=True)
class Address:
    """A server's address.

    Attributes:
        base: without a slash at its end.
        token: what the server wants; None where it wants none.
        local: whether it is on this machine, so that no proxy leads there.
    """

    base: str
    token: str | None = field(default=None, repr=False)
    local: bool = False

    @classmethod
    def of(cls, server: str | None = None, token: str | None = None) -> Address:
        """An address as people write it: also without `http://`, and with the `#token=` that `weft serve` prints.

        Args:
            server: by default `WEFT_SERVER`, else this machine at port 9338.
            token: by default the address's, else `WEFT_TOKEN`: the token, or the file that has it.

        Raises:
            ValueError: it is none.
        """
        text = (server or os.environ.get("WEFT_SERVER") or DEFAULT).strip()
        parts = urlsplit(text if "://" in text else f"http://{text}")
        shown = text.partition("#")[0]
        try:
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"{shown!r} is no address of a server: {error}") from None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.query:
            raise ValueError(f"{shown!r} is no address of a server, such as {DEFAULT}")
        said = parse_qs(parts.fragment).get("token", [None])[0]
        base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        return cls(base, token or said or _of_environment(), _is_local(host))

    @property
    def websocket(self) -> str:
        """The address of the events."""
        return f"ws{self.base.removeprefix('http')}/api/v1/ws"

    def of_path(self, path: str) -> str:
        """The address of something below `/api/v1/`."""
        return f"{self.base}/api/v1/{path}"


def part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _of_environment() -> str | None:
    text = os.environ.get("WEFT_TOKEN", "").strip()
    # `weft serve` takes a file of the same variable.
    if text and Path(text).is_file():
        return read_token(text)
    return text or None


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
