"""Which names a server answers to, and which pages may send it something.

A web page of anybody's can reach a server on this machine under a name of its own (DNS rebinding), so a server answers
only to names that nobody else can give it. An address as such, like 192.168.1.7, cannot be rebound.
Leaves out: the answer to those who are refused (``middleware``).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

from mien.errors import ConfigError

__all__ = ["LOOPBACK", "AllowedHosts", "parse_host"]

#: The names of this machine to itself.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_-][a-z0-9._-]{0,252})(?::([0-9]{0,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"(https?)://(.{1,300})", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def parse_host(value: str) -> tuple[str, int | None]:
    """``"Localhost:8000"`` -> ``("localhost", 8000)``; ValueError where it is no name or address."""
    match = _HOST.fullmatch(value)
    if match is None:
        raise ValueError("not a host")
    name, port = match.group(1).lower(), match.group(2) or None
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError("not a port")
    if name.startswith("["):
        name = f"[{ipaddress.IPv6Address(name[1:-1])}]"  # one spelling; AddressValueError is a ValueError
    return name.removesuffix("."), None if port is None else int(port)


@dataclass(frozen=True)
class AllowedHosts:
    """The names in the Host header that are answered.

    own        names of the machine, any port; pages may send pictures only to the very name and port they came from
    named      names given by whoever runs the server: the site's name behind a proxy, or of this machine in a network;
               with a port that port, else any. Pages of theirs may send pictures, whatever the proxy makes of the Host
    addresses  whether any IP address is answered, too
    anything   whether every name is
    """

    own: frozenset[str] = LOOPBACK
    named: frozenset[tuple[str, int | None]] = frozenset()
    addresses: bool = False
    anything: bool = False

    @staticmethod
    def of(names: Collection[str] | AllowedHosts | None) -> AllowedHosts:
        """A collection of names, and None for any."""
        if isinstance(names, AllowedHosts):
            return names
        return AllowedHosts(anything=True) if names is None else AllowedHosts(frozenset(n.lower() for n in names))

    def and_named(self, names: Collection[str]) -> AllowedHosts:
        """These and further ones as typed, ``faces.example.org`` or ``box:8443``; ``*`` for any. ConfigError."""
        named = set(self.named)
        for name in names:
            if name == "*":
                continue
            try:
                named.add(parse_host(name))
            except ValueError as error:
                rule = "must be a name such as faces.example.org, or with its port faces.example.org:8443"
                raise ConfigError(f"allow-host {rule}, without https:// and path; got {name!r}") from error
        return AllowedHosts(self.own, frozenset(named), self.addresses, self.anything or "*" in names)

    def answers(self, host: str) -> bool:
        """Whether a request with this Host header is answered; ValueError for a malformed one."""
        if not host:  # as HTTP/1.0 has it
            return self.anything
        name, port = parse_host(host)
        return self.anything or name in self.own or self._names(name, port) or (self.addresses and _is_address(name))

    def may_send(self, origin: str, host: str) -> bool:
        """Whether a page from ``origin`` may send something to ``host``; a malformed origin may not."""
        match = _ORIGIN.fullmatch(origin)
        if match is None:
            return False
        default = _PORTS[match.group(1).lower()]
        try:
            name, port = parse_host(match.group(2))
            own, own_port = parse_host(host)
        except ValueError:
            return False
        return (name, port or default) == (own, own_port or default) or self._names(name, port or default)

    def __str__(self) -> str:
        if self.anything:
            return "any name"
        named = (name if port is None else f"{name}:{port}" for name, port in self.named)
        return ", ".join(sorted({*self.own, *named}) + ["any IP address"] * self.addresses)

    def _names(self, name: str, port: int | None) -> bool:
        return not self.named.isdisjoint({(name, None), (name, port)})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
