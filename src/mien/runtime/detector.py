"""Where the faces are: a small protocol, and the detectors that fulfil it.

``CenterFace`` is the default and travels with mien, ``YuNet`` runs a file that the user has, ``WholeImage`` takes the
picture itself for a face. Leaves out: where and how large to look (``search``), tilted heads
(``upright``), and what the faces express (``predictor``).
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import ConfigError, ModelError
from mien.faces import Detection
from mien.runtime.devices import CPU
from mien.runtime.search import FULL, search
from mien.runtime.upright import turned_upright

__all__ = ["AUTO", "CenterFace", "Detector", "WholeImage", "YuNet", "make_detector"]

#: The word for a size that is chosen by the picture.
AUTO = "auto"

_KEPT = 3 * 1024 * 1024  # numbers of an input whose memory is kept for the next run

_STEP = 320  # sides of the input are multiples of it on devices that prepare themselves for each size

_WEIGHTS = Path(__file__).parent.parent / "weights" / "centerface.onnx"
_FAST = _WEIGHTS.with_name("centerface-small.onnx")
_SMALLEST, _LARGEST = 64, 8192  # pixels of the long side
_WEAK = 0.05  # lowest score of a candidate, which is no face yet

Sized = TypeVar("Sized")


@runtime_checkable
class Detector(Protocol):
    """Anything that finds faces: what a detector of your own must have."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of a picture, uint8 ``(H, W, 3)`` BGR, the surest first."""
        ...


class CenterFace:
    """CenterFace (Xu et al. 2019, arXiv 1911.03599): one pass, no anchors, five landmarks, on onnxruntime.

    size       long side in pixels to which a picture is brought; more finds smaller faces and takes longer. None
               chooses by the picture, see ``mien.runtime.search``
    threshold  lowest score of a face, 0..1
    threads    of onnxruntime; None lets it choose
    device     see ``mien.runtime.devices``; others than the CPU get inputs of few sizes, since they prepare for each

    Tilted faces have a ``turn``, see ``mien.runtime.upright``.
    """

    most: int | None = None  # see ``search``
    _STRIDE = 4  # the output maps have a quarter of the input's side

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        size: int | None = None,
        threshold: float = 0.5,
        threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        from mien.runtime.session import open_session

        self.size, self.threshold, self.threads, self.device = _checked(size, threshold), threshold, threads, device
        self.path = Path(path) if path is not None else _WEIGHTS
        if path is None and not self.path.is_file():
            raise ModelError(
                f"{self.path} is missing: install mien again, from its wheel, which holds it, or with `pip install .` "
                "in a clone, whose build step fetches it"
            )
        self._session = open_session(self.path, threads, device)
        self._step = 32 if self._session.get_providers()[0] == CPU else _STEP

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of a picture, uint8 ``(H, W, 3)`` BGR, the surest first."""
        scout = self._scout if self.path == _WEIGHTS and self._step == 32 else None  # for the CPU
        return turned_upright(self, image, search(self, image, self.size, self.most, scout))

    def at_size(self, size: int) -> CenterFace:
        """The same, opened network for pictures that are brought to ``size`` pixels."""
        return _changed(self, size=_checked(size, self.threshold))

    def for_frames(self) -> CenterFace:
        """The same, opened network for a video's frames: small faces are looked for less far."""
        return _changed(self, most=FULL)

    def look(self, image: NDArray[np.uint8], ratio: float) -> list[Detection]:
        """One pass over ``ratio`` times as many pixels a side: the faces, and candidates with a score above 0.05."""
        height, width = image.shape[:2]
        rows, columns = max(1, round(height * ratio)), max(1, round(width * ratio))
        method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
        step = self._step
        blob = np.zeros((-(-rows // step) * step, -(-columns // step) * step, 3), np.uint8)
        blob[:rows, :columns] = cv2.resize(image, (columns, rows), interpolation=method)
        tensor = np.ascontiguousarray(blob[..., ::-1].transpose(2, 0, 1), dtype=np.float32)[None]  # RGB, 0..255
        given_back = _giving_back() if tensor.size > _KEPT and step == 32 else None
        maps = self._session.run(["heatmap", "scale", "offset", "landmarks"], {"image": tensor}, given_back)
        boxes, scores, points = _decode([m[0] for m in maps], self._STRIDE, min(_WEAK, self.threshold))
        factor = np.array([width / columns, height / rows], np.float32)
        return _detections(boxes * np.tile(factor, 2), scores, points * factor)

    def _scout(self) -> CenterFace:
        return _fast(self.threads)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (
            CenterFace,
            self.path,
            {"threads": self.threads, "device": self.device},
            self.size,
            self.threshold,
        )


class YuNet:
    """YuNet (Wu et al. 2023) through OpenCV's ``FaceDetectorYN``; ``path`` is the ONNX file that you have.

    size, threshold   as :class:`CenterFace` has them
    """

    most: int | None = None  # see ``search``

    def __init__(self, path: str | os.PathLike[str], *, size: int | None = None, threshold: float = 0.6) -> None:
        if not Path(path).is_file():
            raise ModelError(f"{os.fspath(path)}: no such file; YuNet needs its ONNX model file")
        self.path, self.size, self.threshold = Path(path), _checked(size, threshold), threshold
        self._lock = threading.Lock()  # its input size is a state
        try:
            self._net: Any = cv2.FaceDetectorYN.create(os.fspath(path), "", (320, 320), min(_WEAK, threshold))
        except cv2.error as error:
            raise ModelError(f"{os.fspath(path)}: OpenCV cannot read it as a YuNet model") from error

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of a picture, uint8 ``(H, W, 3)`` BGR, the surest first."""
        return turned_upright(self, image, search(self, image, self.size, self.most))

    def at_size(self, size: int) -> YuNet:
        """The same, opened network for pictures that are brought to ``size`` pixels."""
        return _changed(self, size=_checked(size, self.threshold))

    def for_frames(self) -> YuNet:
        """The same, opened network for a video's frames: small faces are looked for less far."""
        return _changed(self, most=FULL)

    def look(self, image: NDArray[np.uint8], ratio: float) -> list[Detection]:
        """One pass over ``ratio`` times as many pixels a side: the faces, and candidates with a score above 0.05."""
        height, width = image.shape[:2]
        columns, rows = max(1, round(width * ratio)), max(1, round(height * ratio))
        resized = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        with self._lock:
            self._net.setInputSize((columns, rows))
            _, found = self._net.detect(resized)
        rows_found = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        factor = np.array([width / columns, height / rows], np.float32)
        corner, extent = rows_found[:, :2] * factor, rows_found[:, 2:4] * factor
        points = rows_found[:, 4:14].reshape(-1, 5, 2) * factor
        return _detections(np.concatenate([corner, corner + extent], axis=1), rows_found[:, 14], points)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, (YuNet, self.path, {}, self.size, self.threshold)


class WholeImage:
    """No detector: the picture is a face crop already; the box is the largest centred square."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """One face, of score 1."""
        height, width = image.shape[:2]
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        return [Detection((left, top, left + side, top + side), 1.0)]


@functools.cache
def _fast(threads: int | None) -> CenterFace:
    """The smaller CenterFace, opened when a large picture without a face first calls for it."""
    return CenterFace(_FAST, threads=threads)


def _giving_back() -> Any:
    """Options of a run after which onnxruntime gives its memory back: it keeps what the largest runs took, else."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def make_detector(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    size: int | str | None = AUTO,
    threads: int | None = None,
    device: str = "cpu",
) -> Detector:
    """A detector by name: ``centerface``, ``fast`` (half its channels), ``yunet`` (needs ``path``) or ``none``.

    size    long side in pixels to which pictures are brought, or ``auto`` (None): chosen by the picture
    device  for those that run on onnxruntime, see ``mien.runtime.devices``
    """
    pixels = _pixels(size)
    if name == "yunet":
        if path is None:
            raise ConfigError("detector 'yunet' needs its model file: --detector-model FILE")
        return YuNet(path, size=pixels)
    if name == "centerface":
        return CenterFace(path, size=pixels, threads=threads, device=device)
    if path is not None and name in ("fast", "none"):
        raise ConfigError(f"detector {name!r} takes no model file, got {os.fspath(path)}; leave out --detector-model")
    if name == "fast":
        return CenterFace(_FAST, size=pixels, threads=threads, device=device)
    if name == "none":
        return WholeImage()
    raise ConfigError(f"detector must be centerface, fast, yunet or none, got {name!r}")


def _pixels(size: int | str | None) -> int | None:
    if size is None or size == AUTO:
        return None
    try:
        return int(size)
    except ValueError:
        raise ConfigError(f"--detector-size must be auto or a number of pixels, got {size!r}") from None


def _checked(size: int | None, threshold: float) -> int | None:
    if size is not None and not _SMALLEST <= size <= _LARGEST:
        raise ConfigError(f"the detector's size must be auto or {_SMALLEST} to {_LARGEST} pixels, got {size}")
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold must lie between 0 and 1, got {threshold}")
    return size


def _changed(detector: Sized, **settings: int | None) -> Sized:
    """A detector of the same opened network; ``copy.copy`` would open it again, as another process does."""
    other = object.__new__(type(detector))
    other.__dict__.update(detector.__dict__, **settings)
    return other


def _opened(kind: Any, path: Path, more: dict[str, Any], size: int | None, threshold: float) -> Any:
    """A detector that travelled to another process opens its file there."""
    return kind(path, size=size, threshold=threshold, **more)


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
    """Indices of the boxes that stay, best first: one goes if its IoU with a better one is above ``overlap``."""
    if not len(boxes):
        return np.zeros(0, np.intp)
    corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).astype(np.float64)
    return np.asarray(cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), 0.0, overlap), np.intp).ravel()


def _detections(boxes: NDArray[Any], scores: NDArray[Any], points: NDArray[Any]) -> list[Detection]:
    """Arrays -> records, best first."""
    return [
        Detection((float(x0), float(y0), float(x1), float(y1)), float(score), np.asarray(landmarks, np.float32))
        for (x0, y0, x1, y1), score, landmarks in sorted(
            zip(boxes, scores, points, strict=True), key=lambda found: -float(found[1])
        )
    ]
