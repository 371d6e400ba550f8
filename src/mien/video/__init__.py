"""Video around the predictor: reading frames with their times, following faces, smoothing, episodes, tables, pictures.

Nothing here knows a detector or a network: ``mien.video.stream`` joins these parts with them.
"""

from mien.video.reader import Frame, Source, length, read_frames
from mien.video.segments import Episode, EpisodeBook
from mien.video.smoothing import Smoother
from mien.video.timeline import Timeline
from mien.video.tracking import Tracker, iou
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
