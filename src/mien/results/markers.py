"""Markers of a recording, such as when a stimulus came on, joined to the frames that were on show then.

Leaves out: reading them (``mien.study.markers``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Marker", "MarkerJoin"]


@dataclass(frozen=True)
class Marker:
    """``name`` from ``start`` up to ``end`` seconds of the recording; at one moment where ``end`` is None."""

    start: float
    name: str
    end: float | None = None


class MarkerJoin:
    """Gives each frame, in their order, its markers.

    A marker of one moment belongs to the one frame that is on show then, so that counting it counts it once; one before
    the first frame, or in a hole of the recording, belongs to the next frame. One with an end belongs to every frame
    that begins before its end and ends after its start.
    """

    def __init__(self, markers: Sequence[Marker]) -> None:
        self._waiting = sorted(markers, key=lambda m: m.start)
        self._lasting = list[Marker]()

    def at(self, start: float, end: float) -> str:
        """The names for the frame from ``start`` to ``end``, ``; `` between them, "" for none."""
        begun = list[Marker]()
        while self._waiting and self._waiting[0].start < end:
            begun.append(self._waiting.pop(0))
        self._lasting = [m for m in self._lasting if m.end is not None and m.end > start]
        names = [m.name for m in (*self._lasting, *begun)]
        self._lasting += [m for m in begun if m.end is not None and m.end > end]
        return "; ".join(names)

    @property
    def left(self) -> Sequence[Marker]:
        """Those that no frame has had: they lie behind the last one."""
        return tuple(self._waiting)
