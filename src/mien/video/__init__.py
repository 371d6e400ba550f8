"""Video around the predictor: reading frames with their times, following faces, smoothing, episodes, tables, pictures.

Nothing here knows a detector or a network: ``mien.runtime.video`` joins these parts with them.
"""

from mien.video.episodes import Episode, EpisodeBook
from mien.video.frames import Frame, Source, length, read_frames
from mien.video.smoothing import Smoother
from mien.video.timeline import Timeline
from mien.video.tracks import Tracker, iou
from mien.video.writer import VideoWriter

__all__ = [
    "Episode",
    "EpisodeBook",
    "Frame",
    "Smoother",
    "Source",
    "Timeline",
    "Tracker",
    "VideoWriter",
    "iou",
    "length",
    "read_frames",
]
