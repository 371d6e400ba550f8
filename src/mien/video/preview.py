"""A copy of a film that every browser plays: H.264 in MP4, with the times that mien reads, small, without sound.

Leaves out: showing it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from mien.errors import DataError
from mien.files import replace_file
from mien.video.reader import length, read_frames
from mien.video.writer import VideoWriter

__all__ = ["preview_path", "write_preview"]

_HIGH = 540  # pixels, at most


def preview_path(video: Path) -> Path:
    """``talk.avi`` -> ``talk-preview.mp4``."""
    return video.with_name(f"{video.stem}-preview.mp4")


def write_preview(video: Path, path: Path, progress: Callable[[float], None] = lambda share: None) -> None:
    """Write the copy at ``path``, whole or not at all; MissingExtra without PyAV, DataError where nothing can be read.

    progress  gets the share that is done, 0..1
    """
    replace_file(path, lambda temporary: _write(video, temporary, progress))


def _write(video: Path, path: Path, progress: Callable[[float], None]) -> None:
    whole, written = length(video) or 0.0, 0
    with closing(read_frames(video)) as frames, VideoWriter(path) as out:
        for frame in frames:
            progress(min(1.0, frame.time / whole) if whole else 0.0)
            if frame.pixels is None:
                continue
            height, width = frame.pixels.shape[:2]
            share = min(1.0, _HIGH / height)
            size = max(2, round(width * share)), max(2, round(height * share))
            small = frame.pixels if share == 1 else cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
            out.write(np.asarray(small, np.uint8), frame.time)
            written += 1
    if not written:
        raise DataError("no frame can be read", str(video))
