"""Video around a predictor: reading frames, following faces, smoothing, segments, a timeline, marked videos.

``FaceStream`` joins these parts; it knows a predictor and its detector only by what it asks of them.
"""

from mien.video.baseline import RestInterval, Rests, parse_baseline, relative, rest_of
from mien.video.frame_ends import FrameEnds
from mien.video.frames import Frame, Source
from mien.video.reader import FrameReader, length, read_frames
from mien.video.rules import RULES, Rules
from mien.video.search import LOOK
from mien.video.segments import Segment, SegmentFinder
from mien.video.smoothing import SMOOTH, Smoother
from mien.video.stream import FacePredictor, FaceStream, TrackedFrame, track_faces
from mien.video.timeline import Timeline
from mien.video.tracking import Tracker, iou
from mien.video.writer import VideoWriter

__all__ = [
    "LOOK",
    "RULES",
    "SMOOTH",
    "FacePredictor",
    "FaceStream",
    "Frame",
    "FrameEnds",
    "FrameReader",
    "RestInterval",
    "Rests",
    "Rules",
    "Segment",
    "SegmentFinder",
    "Smoother",
    "Source",
    "Timeline",
    "TrackedFrame",
    "Tracker",
    "VideoWriter",
    "iou",
    "length",
    "parse_baseline",
    "read_frames",
    "relative",
    "rest_of",
    "track_faces",
]
