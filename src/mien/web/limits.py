"""What one server accepts: how large, how many, how long. Every number that bounds memory or time stands here.

Leaves out: holding anybody to them (``uploads``, ``admission``, ``serving``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from mien.errors import ConfigError
from mien.images import MAX_PIXELS

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. All are at least 1.

    files          pictures in one request
    bytes          of one picture, encoded
    request_bytes  of one request's body
    pixels         of one picture, decoded; at most ``mien.images.MAX_PIXELS``
    seconds        for a request's head, again for its whole body, and again for its client to take what is answered
    waiting        requests under way at a time: being sent, waiting or being answered; one more is turned away (503)
    held_bytes     of the bodies of all requests under way together; one more byte is turned away (503)
    connections    open at a time; one more is turned away (503)
    explained      faces of one request whose occlusion map is drawn (``pictures=all``); each costs about 120 runs of
                   the network
    """

    files: int = 16
    bytes: int = 20 << 20
    request_bytes: int = 64 << 20
    pixels: int = 50_000_000
    seconds: float = 30.0
    waiting: int = 64
    held_bytes: int = 512 << 20
    connections: int = 256
    explained: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "seconds" and value < 1:
                raise ConfigError(f"limit {field.name} must be 1 or more, got {value}")
        if not self.seconds > 0:
            raise ConfigError(f"limit seconds must be more than 0, got {self.seconds}")
        if self.pixels > MAX_PIXELS:
            raise ConfigError(f"limit pixels must be at most {MAX_PIXELS:,}, got {self.pixels:,}")
