"""What one server accepts: how large, how many, how long. Every number that bounds memory or time stands here.

Leaves out: holding anybody to them (``uploads``, ``concurrency``, ``scheduling``, ``serving``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from mien.errors import ConfigError
from mien.images import MAX_PIXELS

__all__ = ["Limits"]


_TIMES = ("seconds", "stall")


@dataclass(frozen=True)
class Limits:
    """Bounds of one server: counts of at least 1, times above 0.

    files          pictures in one request
    bytes          of one picture, encoded
    request_bytes  of one request's body
    pixels         of one picture, decoded; at most ``mien.images.MAX_PIXELS``
    work_pixels    of all pictures that are decoded and searched at a time; a larger one is worked on alone
    seconds        for a request's head, again for its whole body, and again for its client to take what is answered
    stall          seconds between two pieces of a body
    arriving       bodies that arrive at a time; for one more the slowest gives way (503)
    waiting        requests whose body is there, waiting or being answered; for one more the newest of the client that
                   has most gives way (503)
    held_bytes     of the bodies of all these requests together; for one more byte who holds most gives way (503)
    connections    open at a time; for one more a silent one is closed, and where none is, it is turned away (503)
    explained      faces of one request whose occlusion map is drawn (``pictures=all``); each costs about 120 runs of
                   the network
    """

    files: int = 16
    bytes: int = 20 << 20
    request_bytes: int = 64 << 20
    pixels: int = 50_000_000
    work_pixels: int = 64_000_000
    seconds: float = 30.0
    stall: float = 10.0
    arriving: int = 128
    waiting: int = 64
    held_bytes: int = 512 << 20
    connections: int = 256
    explained: int = 16

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _TIMES:
                if not value > 0:
                    raise ConfigError(f"limit {field.name} must be more than 0, got {value}")
            elif value < 1:
                raise ConfigError(f"limit {field.name} must be 1 or more, got {value}")
        if self.pixels > MAX_PIXELS:
            raise ConfigError(f"limit pixels must be at most {MAX_PIXELS:,}, got {self.pixels:,}")
