"""Under which names the server is reached, and which pages are its own.

A browser sends what stands in the address: a page of somebody else that had its own name point to this machine (DNS
rebinding) shows itself by its name, and a foreign page by its origin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?)(?::([0-9]{1,5}))?")
_ORIGIN = re.compile(r"(https?)://(.+)")
_DEFAULT_PORT = {"http": 80, "https": 443}
_LOCAL = ("127.0.0.1", "localhost", "[::1]")

_Place = tuple[str, int | None]
"""A name and a port; None where no port is written, which means 80 or 443."""


class HostError(ValueError):
    """A name that the operator gave cannot be one of a server."""


def parse_host(text: str) -> _Place | None:
    """Name and port of a `Host` header; None for what is none."""
    match = _HOST.fullmatch(text.lower())
    if match is None:
        return None
    name, digits = match[1], match[2]
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
        except ValueError:
            return None
    port = int(digits) if digits else None
    return None if port is not None and not 0 < port < 65536 else (name, port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name may point anywhere, and "" is every address


@dataclass(frozen=True)
class Hosts:
    """What may stand in `Host` and `Origin`.

    Attributes:
        places: each name with its port, and the schemes by which pages from there are the server's own.
        every: the port of a server that listens at every address of the machine. It is also known by the one that a
            connection came to: no other machine's name can stand for an address in digits.
    """

    places: dict[_Place, frozenset[str]] = field(default_factory=dict)
    every: int | None = None

    @classmethod
    def of(cls, host: str, port: int, names: Iterable[str] = ()) -> Hosts:
        """For a server that listens at `host` and `port`.

        Args:
            names: further names under which it is reached, each as `name`, `name:port` or, where a proxy speaks TLS
                for it, `https://name`.

        Raises:
            HostError: one of them is none.
        """
        places: dict[_Place, set[str]] = {}

        def add(place: _Place, *schemes: str) -> None:
            places.setdefault(place, set()).update(schemes)

        bound = host.strip("[]").lower()
        own = parse_host(f"[{bound}]" if ":" in bound else bound)
        for name in (*_LOCAL, *([own[0]] if own else [])):
            add((name, port), "http")
            if port == 80:
                add((name, None), "http")
        for text in names:
            scheme, _, rest = text.rpartition("://")
            place = parse_host(rest)
            if place is None or scheme not in ("", "http", "https"):
                raise HostError(f"{text!r} cannot be a name of the server; write name, name:port or https://name")
            schemes = [scheme] if scheme else ["http", "https"]
            add(place, *schemes)
            if place[1] is None:
                for one in schemes:
                    add((place[0], _DEFAULT_PORT[one]), one)
                if not scheme:
                    add((place[0], port), "http")
        return cls({place: frozenset(schemes) for place, schemes in places.items()}, port if _wildcard(bound) else None)

    def knows(self, host: str, connected: str = "") -> bool:
        """Whether `Host` names this server.

        Args:
            connected: the address of this machine that the connection came to.
        """
        place = parse_host(host)
        return place is not None and (place in self.places or self._is_connected(place, connected))

    def owns(self, origin: str, host: str, connected: str = "") -> bool:
        """Whether a page from `origin` is the server's own, as the request reached it: the same name and port."""
        match = _ORIGIN.fullmatch(origin)
        place, reached = parse_host(match[2]) if match else None, parse_host(host)
        if match is None or place is None or reached is None or place[0] != reached[0]:
            return False
        scheme = match[1]
        if (place[1] or _DEFAULT_PORT[scheme]) != (reached[1] or _DEFAULT_PORT[scheme]):
            return False
        schemes = self.places.get(reached, frozenset())
        return scheme in schemes or (scheme == "http" and self._is_connected(reached, connected))

    def _is_connected(self, place: _Place, connected: str) -> bool:
        if self.every is None or place[1] != self.every:
            return False
        try:
            address = ipaddress.ip_address(connected.partition("%")[0])
            mapped = getattr(address, "ipv4_mapped", None)
            return ipaddress.ip_address(place[0].strip("[]")) in (address, mapped)
        except ValueError:
            return False


def _wildcard(host: str) -> bool:
    try:
        return host == "" or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
