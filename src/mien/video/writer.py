"""A video file from pictures and their times: H.264 in MP4, through PyAV (extra ``video``).

Leaves out: what is drawn into the pictures, and sound.
"""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, need
from mien.files import reported, temporary_name

__all__ = ["VideoWriter"]

_CLOCK = 90_000  # ticks a second: exact for all usual frame rates


class VideoWriter:
    """Context manager that writes ``path``, a name that ends in ``.mp4``.

    The file has a temporary name until it is whole. Leaving the block finishes it, after an error or Ctrl-C too, so
    that all pictures up to then can be watched.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise ConfigError(f"a video is written as .mp4, got {self.path.name}")
        self._av = need("av", "video")
        self._temporary = temporary_name(self.path)
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def write(self, picture: NDArray[np.uint8], time: float) -> None:
        """Add a picture, uint8 ``(H, W, 3)`` BGR, to be shown from ``time`` on, in seconds.

        All get the size of the first, cut to even numbers. A time that does not lie after the one before is moved on.
        """
        with reported(self.path, self._av.FFmpegError):
            if self._container is None:
                self._open(*picture.shape[:2])
            size = (self._stream.width, self._stream.height)
            if picture.shape[1] // 2 * 2 != size[0] or picture.shape[0] // 2 * 2 != size[1]:
                picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
            even = np.ascontiguousarray(picture[: size[1], : size[0]])
            frame = self._av.VideoFrame.from_ndarray(even, format="bgr24")
            self._last = max(self._last + 1, round(time * _CLOCK))
            frame.pts, frame.time_base = self._last, Fraction(1, _CLOCK)
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file; without any picture there is none."""
        if self._container is None:
            return
        container, self._container = self._container, None
        with reported(self.path, self._av.FFmpegError):
            container.mux(self._stream.encode())
            container.close()
            os.replace(self._temporary, self.path)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.close()
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)

    def _open(self, height: int, width: int) -> None:
        if height < 2 or width < 2:
            raise ConfigError(f"a video needs at least 2 x 2 pixels, got {width} x {height}")
        self._container = self._av.open(os.fspath(self._temporary), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
        self._stream.width, self._stream.height, self._stream.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _CLOCK)
        self._stream.codec_context.thread_count = 1
