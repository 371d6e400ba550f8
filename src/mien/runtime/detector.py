"""Where the faces are: a small protocol, and the detectors that fulfil it.

``CenterFace`` is the default and travels with mien, ``YuNet`` runs a file that the user has, ``WholeImage`` takes the
picture itself for a face. Leaves out: what the faces express (``predictor``).
"""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, ModelError
from mien.faces import Detection

__all__ = ["CenterFace", "Detector", "WholeImage", "YuNet", "make_detector"]

_WEIGHTS = Path(__file__).parent.parent / "weights" / "centerface.onnx"


@runtime_checkable
class Detector(Protocol):
    """Anything that finds faces: ``image`` is uint8 ``(H, W, 3)`` BGR; the surest face comes first."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]: ...


class CenterFace:
    """CenterFace (Xu et al. 2019, arXiv 1911.03599): one pass, no anchors, five landmarks, on onnxruntime.

    size       long side in pixels to which a picture is brought; more finds smaller faces and takes longer
    threshold  lowest score of a face, 0..1
    threads    of onnxruntime; None lets it choose

    A picture smaller than a quarter of ``size`` is enlarged four times only. Where nothing is found, a second look
    takes the picture with a grey margin around it, at half the size: that finds a face that fills the picture.
    """

    _STRIDE = 4  # the output maps have a quarter of the input's side
    _MARGIN = 0.25  # of each side, for the second look

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        size: int = 640,
        threshold: float = 0.5,
        threads: int | None = None,
    ) -> None:
        if size < 64:
            raise ConfigError(f"size must be at least 64 pixels, got {size}")
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, got {threshold}")
        from mien.runtime.session import open_session

        self.size, self.threshold = size, threshold
        file = Path(path) if path is not None else _WEIGHTS
        if path is None and not file.is_file():
            raise ModelError(f"{file} is missing: install mien again (`pip install .`), its build step fetches it")
        self.path = file
        self._session = open_session(file, threads)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of a picture, uint8 ``(H, W, 3)`` BGR."""
        return self._look(image, self.size) or self._look_with_margin(image)

    def at_size(self, size: int) -> CenterFace:
        """The same, opened network for pictures that are brought to ``size`` pixels."""
        other = copy.copy(self)
        other.size = size
        return other

    def _look(self, image: NDArray[np.uint8], size: int) -> list[Detection]:
        height, width = image.shape[:2]
        ratio = min(size / max(height, width), 4.0)
        rows, columns = max(1, round(height * ratio)), max(1, round(width * ratio))
        method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
        blob = np.zeros((-(-rows // 32) * 32, -(-columns // 32) * 32, 3), np.uint8)
        blob[:rows, :columns] = cv2.resize(image, (columns, rows), interpolation=method)
        tensor = np.ascontiguousarray(blob[..., ::-1].transpose(2, 0, 1), dtype=np.float32)[None]  # RGB, 0..255
        maps = self._session.run(["heatmap", "scale", "offset", "landmarks"], {"image": tensor})
        boxes, scores, points = _decode([m[0] for m in maps], self._STRIDE, self.threshold)
        factor = np.array([width / columns, height / rows], np.float32)
        return _detections(boxes * np.tile(factor, 2), scores, points * factor, width, height)

    def _look_with_margin(self, image: NDArray[np.uint8]) -> list[Detection]:
        height, width = image.shape[:2]
        dy, dx = int(height * self._MARGIN), int(width * self._MARGIN)
        around = cv2.copyMakeBorder(image, dy, dy, dx, dx, cv2.BORDER_CONSTANT, value=(128, 128, 128))
        found = self._look(np.asarray(around, np.uint8), self.size // 2)
        boxes = np.array([d.box for d in found], np.float32).reshape(-1, 4) - np.array([dx, dy, dx, dy], np.float32)
        points = np.array([d.landmarks for d in found], np.float32).reshape(-1, 5, 2) - np.array([dx, dy], np.float32)
        scores = np.array([d.score for d in found], np.float32)
        return _detections(boxes, scores, points, width, height)


class YuNet:
    """YuNet (Wu et al. 2023) through OpenCV's ``FaceDetectorYN``; ``path`` is the ONNX file that you have."""

    def __init__(self, path: str | os.PathLike[str], *, size: int = 640, threshold: float = 0.6) -> None:
        if not Path(path).is_file():
            raise ModelError(f"{os.fspath(path)}: no such file; YuNet needs its ONNX model file")
        self.path, self.size, self.threshold = Path(path), size, threshold
        self._lock = threading.Lock()  # its input size is a state
        try:
            self._net: Any = cv2.FaceDetectorYN.create(os.fspath(path), "", (320, 320), threshold)
        except cv2.error as error:
            raise ModelError(f"{os.fspath(path)}: OpenCV cannot read it as a YuNet model") from error

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of a picture, uint8 ``(H, W, 3)`` BGR."""
        height, width = image.shape[:2]
        ratio = min(self.size / max(height, width), 4.0)
        columns, rows = max(1, round(width * ratio)), max(1, round(height * ratio))
        resized = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        with self._lock:
            self._net.setInputSize((columns, rows))
            _, found = self._net.detect(resized)
        rows_found = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        factor = np.array([width / columns, height / rows], np.float32)
        corner, extent = rows_found[:, :2] * factor, rows_found[:, 2:4] * factor
        points = rows_found[:, 4:14].reshape(-1, 5, 2) * factor
        boxes = np.concatenate([corner, corner + extent], axis=1)
        return _detections(boxes, rows_found[:, 14], points, width, height)

    def at_size(self, size: int) -> YuNet:
        """The same, opened network for pictures that are brought to ``size`` pixels."""
        other = copy.copy(self)
        other.size = size
        return other


class WholeImage:
    """No detector: the picture is a face crop already; the box is the largest centred square."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """One face, of score 1."""
        height, width = image.shape[:2]
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        return [Detection((left, top, left + side, top + side), 1.0)]


def make_detector(
    name: str, path: str | os.PathLike[str] | None = None, *, size: int = 640, threads: int | None = None
) -> Detector:
    """A detector by name: ``centerface``, ``yunet`` (needs ``path``) or ``none``."""
    if name == "yunet":
        if path is None:
            raise ConfigError("detector 'yunet' needs its model file: --detector-model FILE")
        return YuNet(path, size=size)
    if name == "centerface":
        return CenterFace(path, size=size, threads=threads)
    if name == "none":
        return WholeImage()
    raise ConfigError(f"detector must be centerface, yunet or none, got {name!r}")


def _decode(
    maps: Sequence[NDArray[np.float32]], stride: int, threshold: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Maps of heat, scale, offset and landmarks, each ``(C, h, w)``, to boxes, scores and points in input pixels.

    Gives ``(n, 4)``, ``(n,)`` and ``(n, 5, 2)``, best first.
    Section 3 of the paper: a face is a point of the heat map; its centre is the cell's centre plus the offset, its
    height and width are ``exp(scale)``, its landmarks are fractions of the box from the top left corner. In each pair
    of channels y comes before x.
    """
    heat, scale, offset, landmarks = maps
    y, x = np.nonzero(heat[0] > threshold)
    scores = heat[0, y, x]
    extent = np.exp(np.clip(scale[:, y, x], -8, 8)).T[:, ::-1] * stride
    centre = (np.stack([x, y], axis=1) + offset[:, y, x].T[:, ::-1] + 0.5) * stride
    corner = centre - extent / 2
    points = landmarks[:, y, x].T.reshape(-1, 5, 2)[:, :, ::-1] * extent[:, None] + corner[:, None]
    boxes = np.concatenate([corner, corner + extent], axis=1)
    keep = _nms(boxes, scores)
    return boxes[keep].astype(np.float32), scores[keep], points[keep].astype(np.float32)


def _nms(boxes: NDArray[Any], scores: NDArray[Any], overlap: float = 0.3) -> NDArray[np.intp]:
    """Indices of the boxes that stay, best first: one goes if its IoU with a better one reaches ``overlap``."""
    order = np.argsort(-scores, kind="stable")
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    keep: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=1)
        order = rest[shared < overlap * (area[best] + area[rest] - shared)]
    return np.array(keep, dtype=np.intp)


def _detections(
    boxes: NDArray[Any], scores: NDArray[Any], points: NDArray[Any], width: int, height: int
) -> list[Detection]:
    """Arrays -> records, best first, boxes cut at the picture's edge; what has no area left is dropped."""
    boxes = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
    out = []
    for i in np.argsort(-scores, kind="stable"):
        left, top, right, bottom = (float(v) for v in boxes[i])
        if right - left >= 1 and bottom - top >= 1:
            score = float(np.clip(scores[i], 0, 1))
            out.append(Detection((left, top, right, bottom), score, np.asarray(points[i], np.float32)))
    return out
