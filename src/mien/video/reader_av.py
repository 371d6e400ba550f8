"""Video files and streams through PyAV (extra ``video``): the film among the pictures of a file, frame by frame.

Leaves out: numbers, sampling and what a short file lacks (``frames``, ``opened``).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.images import MAX_PIXELS
from mien.video.frames import Decoded
from mien.video.mp4 import read_tracks
from mien.video.opened import (
    COVER,
    LIVE,
    PATIENCE,
    BrokeOff,
    Promise,
    cut_short,
    is_address,
    mp4_promise,
    scheme_of,
    square,
)

__all__ = ["AvFile"]

_PROBED = 64  # packets of each picture stream that are looked at where there are several
_PICTURES = ("mjpeg", "png", "bmp", "gif", "tiff", "webp")  # codecs of covers


class AvFile:
    """A file or address that PyAV reads; see :class:`~mien.video.opened.Opened`. DataError where it holds no film."""

    def __init__(self, path: str) -> None:
        self._path, self._sent = path, is_address(path)
        self._tracks = () if self._sent else read_tracks(path)
        self._container = self._open()
        try:
            self._stream, self.note = self._film()
        except BaseException:
            self._container.close()
            raise
        self._stream.codec_context.thread_count = 1  # decoding has a thread of its own; more would need more memory
        self.live = self._sent and not self._seconds()
        self.rate = float(self._stream.average_rate or 0) or 25.0
        start = self._container.start_time
        self._zero = None if start is None or self.live else start / 1e6

    def _open(self) -> Any:
        import av

        options = {"rtsp_flags": "prefer_tcp"} if scheme_of(self._path) == "rtsp" else {}
        timeout = (PATIENCE, PATIENCE) if self._sent else None
        try:
            return av.open(self._path, options=options, timeout=timeout)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise DataError(f"not a video that can be read ({_reason(error)})", self._path) from error

    def _film(self) -> tuple[Any, str]:
        """The stream that moves: not a cover or a thumbnail; of several the default one, then the largest."""
        from av.stream import Disposition as D

        streams = self._container.streams
        still = D.attached_pic | D.timed_thumbnails | D.still_image
        films = [s for s in streams.video if not s.disposition & still]
        sound = bool(streams.audio)
        if not films and streams.video and not sound:
            films = list(streams.video)
        if not self._sent and (len(films) > 1 or (films and sound and films[0].codec_context.name in _PICTURES)):
            moving = self._moving([s.index for s in films])
            lone = [s for s in films if s.codec_context.name not in _PICTURES] if sound else films
            films = [s for s in films if s.index in moving] or lone
        if not films:
            why = COVER if streams.video else "there is no picture in this file, only sound or data"
            raise DataError(why, self._path)
        best = max(films, key=lambda s: (bool(s.disposition & D.default), _area(s), -s.index))
        if _area(best) > MAX_PIXELS:
            size = f"{best.codec_context.width} x {best.codec_context.height}"
            raise DataError(f"{size} pixels are over the limit of {MAX_PIXELS:,}; make it smaller", self._path)
        others = len(films) - 1
        return best, f"stream {best.index} of {others + 1} films in this file is read" if others else ""

    def _moving(self, indices: list[int]) -> set[int]:
        """Which of some streams have more than one picture."""
        import av

        count = dict.fromkeys(indices, 0)
        try:
            with av.open(self._path) as other:
                for packet in other.demux([other.streams[i] for i in indices]):
                    count[packet.stream.index] += packet.size > 0
                    if max(count.values()) >= _PROBED:
                        break
        except (av.FFmpegError, OSError):
            pass  # a damaged file: what was counted up to there
        return {i for i, n in count.items() if n > 1}

    def decode(self) -> Iterator[Decoded]:
        """All frames; a packet that cannot be decoded is one with ``error``."""
        import av

        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except (av.FFmpegError, OSError) as error:
                raise BrokeOff(_reason(error)) from error
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                at = None if packet.pts is None else self._since(float(packet.pts * packet.time_base))
                yield Decoded(at, error=f"is broken ({_reason(error)})")
                continue
            for frame in frames:
                at = None if frame.time is None else self._since(float(frame.time))
                shown = float((frame.duration or 0) * (frame.time_base or 0))
                yield Decoded(at, partial(self._pixels, frame), "is damaged" if frame.is_corrupt else "", shown)
        if self.live and scheme_of(self._path) in LIVE:  # over HTTP this is the end
            raise BrokeOff("the sender ended it")

    def promise(self) -> Promise:
        """Seconds that the container promises for the picture, and frames where it counts those that are shown."""
        track = self._tracks[self._stream.index] if self._stream.index < len(self._tracks) else None
        if track is not None and track.kind == "vide" and track.frames:
            return mp4_promise(track)
        seconds, counted = self._seconds(), self._stream.frames
        cut = not self._sent and bool(cut_short(self._path))
        if self._container.format.name == "avi":  # its length is guessed from the bytes there are, frames are counted
            return Promise(max(seconds or 0.0, counted / self.rate) or None, counted, least=int(cut), cut=cut)
        both = self._stream.duration is None and bool(self._container.streams.audio)
        return Promise(
            seconds, 0, self._zero or 0.0, slack=2.0 if both else 0.5, cut=cut
        )  # the longer of sound and picture

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _since(self, time: float) -> float:
        if self._zero is None:
            self._zero = time
        return time - self._zero

    def _seconds(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        hours, _, rest = self._stream.metadata.get("DURATION", "").partition(":")  # Matroska: 00:01:02.345000000
        minutes, _, seconds = rest.partition(":")
        try:
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        except ValueError:
            return None if self._container.duration is None else self._container.duration / 1e6

    def _pixels(self, frame: Any) -> NDArray[np.uint8]:
        """BGR in square pixels, turned by the angle that the file states, counter-clockwise."""
        pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
        pixels = square(pixels, float(self._stream.sample_aspect_ratio or 1))
        turns = round(frame.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _area(stream: Any) -> int:
    return int(stream.codec_context.width * stream.codec_context.height)


def _reason(error: BaseException) -> str:
    """The short part of FFmpeg's message."""
    import av

    if isinstance(error, av.error.ExitError):
        return f"nothing came for {PATIENCE:.0f} s"
    return str(getattr(error, "strerror", None) or error)
