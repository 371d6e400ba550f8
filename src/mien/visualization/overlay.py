"""One picture that shows a prediction: the photo with its faces, and a card for each face.

Leaves out: predicting, and writing files.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces import Face
from mien.labels import colour, short
from mien.spec import ModelSpec
from mien.visualization.face_card import GAP, HEIGHT, WIDTH, Predict, draw_face_card, face_title
from mien.visualization.primitives import INK, PAPER, fit
from mien.visualization.text import bgr, ink_on, text, text_width

__all__ = ["MAX_CARDS", "draw", "mark_faces"]

#: Faces beyond this number keep their box in the photo and get no card.
MAX_CARDS = 12

_TAG = 18  # height of the letters on the photo, whatever the photo's size
_FOOT = 34
Rect = tuple[int, int, int, int]


def draw(
    photo: NDArray[np.uint8], faces: Sequence[Face], spec: ModelSpec, predict: Predict | None = None, footer: str = ""
) -> NDArray[np.uint8]:
    """The photo with boxes and labels, beside or above one card a face: uint8 ``(H, W, 3)`` BGR.

    photo    uint8 ``(H, W, 3)`` BGR, the one in which ``faces`` were found
    predict  ``Predictor.predict_crops``, for the maps of what decided; None leaves them out
    footer   one line at the bottom, for the model and its accuracy
    """
    cards = [draw_face_card(i, face, spec, predict) for i, face in enumerate(faces[:MAX_CARDS], start=1)]
    beside = len(cards) <= 3
    room = (900, max(420, len(cards) * (HEIGHT + GAP) - GAP)) if beside else (2 * WIDTH + 2 * GAP, 900)
    shown, ratio = fit(photo, *room)
    mark_faces(shown, faces, ratio)
    grid = _grid(cards, 1 if beside else 2)
    body = _join(shown, grid, beside)
    hidden = len(faces) - len(cards)
    notes = [footer] + [f"and {hidden} more faces without a card"] * (hidden > 0) + ["no face found"] * (not faces)
    return _framed(body, "   |   ".join(note for note in notes if note))


def mark_faces(image: NDArray[np.uint8], faces: Sequence[Face], ratio: float = 1.0) -> None:
    """Draw boxes and labels into ``image``, whose pixels are ``ratio`` times those in which ``faces`` were found."""
    boxes: list[Rect] = [_scaled(face.box, ratio) for face in faces]
    for face, (left, top, right, bottom) in zip(faces, boxes, strict=True):
        cv2.rectangle(image, (left, top), (right, bottom), (255, 255, 255), 4, cv2.LINE_AA)
        cv2.rectangle(image, (left, top), (right, bottom), bgr(colour(face.label)), 2, cv2.LINE_AA)
    placed: list[Rect] = []
    for number, (face, box) in enumerate(zip(faces, boxes, strict=True), start=1):
        words = face_title(number, face)
        if len(faces) > 3 and text_width(words, _TAG, bold=True) > 1.6 * (box[2] - box[0]):
            # crowded: the card says the rest
            words = f"{number} {short(face.label)}"
        tag = _place(box, (text_width(words, _TAG, bold=True) + 16, _TAG + 12), image.shape, placed)
        placed.append(tag)
        ground = bgr(colour(face.label))
        cv2.rectangle(image, tag[:2], tag[2:], ground, -1)
        text(image, words, (tag[0] + 8, tag[3] - 9), _TAG, ink_on(ground), bold=True)


def _place(box: Rect, size: tuple[int, int], shape: tuple[int, ...], placed: Sequence[Rect]) -> Rect:
    """A spot for a tag, in the picture and off the tags before it: above its box, below, inside, else the nearest."""
    (wide, high), (left, top, _, bottom) = size, box
    last_x, last_y = max(0, shape[1] - 1 - wide), max(0, shape[0] - 1 - high)
    first = min(max(left - 2, 0), last_x), top - high - 2
    near = [(first[0], y) for y in (first[1], bottom + 3, top + 4) if 0 <= y <= last_y] or [(first[0], 0)]
    grid = np.mgrid[0 : last_x + 1 : 12, 0 : last_y + 1 : 12].reshape(2, -1).T
    grid = grid[np.argsort(np.abs(grid - first).sum(axis=1), kind="stable")]
    spots = np.concatenate([near, grid])
    taken = np.zeros(len(spots), bool)  # where all are, tags overlap at the first
    for x0, y0, x1, y1 in placed:
        across = (spots[:, 0] <= x1) & (spots[:, 0] + wide >= x0)
        taken |= across & (spots[:, 1] <= y1) & (spots[:, 1] + high >= y0)
    x, y = (int(v) for v in spots[taken.argmin()])
    return x, y, x + wide, y + high


def _scaled(box: Sequence[float], ratio: float) -> Rect:
    left, top, right, bottom = (round(v * ratio) for v in box)
    return left, top, right, bottom


def _grid(cards: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Panels row by row, a gap between them."""
    if not cards:
        return np.zeros((0, 0, 3), np.uint8)
    rows = -(-len(cards) // columns)
    sheet = np.full((rows * (HEIGHT + GAP) - GAP, columns * (WIDTH + 2 * GAP) - 2 * GAP, 3), PAPER, np.uint8)
    for i, card in enumerate(cards):
        y, x = i // columns * (HEIGHT + GAP), i % columns * (WIDTH + 2 * GAP)
        sheet[y : y + HEIGHT, x : x + WIDTH] = card
    return sheet


def _join(photo: NDArray[np.uint8], grid: NDArray[np.uint8], beside: bool) -> NDArray[np.uint8]:
    """Photo and cards side by side or one above the other, the smaller one centred."""
    if not grid.size:
        return photo
    (h, w), (gh, gw) = photo.shape[:2], grid.shape[:2]
    if beside:
        sheet = np.full((max(h, gh), w + 2 * GAP + gw, 3), PAPER, np.uint8)
        top, grid_top = (sheet.shape[0] - h) // 2, (sheet.shape[0] - gh) // 2
        sheet[top : top + h, :w], sheet[grid_top : grid_top + gh, w + 2 * GAP :] = photo, grid
        return sheet
    sheet = np.full((h + 2 * GAP + gh, max(w, gw), 3), PAPER, np.uint8)
    sheet[:h, (sheet.shape[1] - w) // 2 :][:, :w], sheet[h + 2 * GAP :, :gw] = photo, grid
    return sheet


def _framed(body: NDArray[np.uint8], note: str) -> NDArray[np.uint8]:
    """A margin all round, and below it the note, on a picture wide enough for both."""
    width = max(body.shape[1], text_width(note, 15) if note else 0)
    foot = _FOOT if note else 0
    sheet = np.full((body.shape[0] + 2 * GAP + foot, width + 2 * GAP, 3), PAPER, np.uint8)
    sheet[GAP : GAP + body.shape[0], GAP : GAP + body.shape[1]] = body
    if note:
        text(sheet, note, (GAP, sheet.shape[0] - GAP), 15, INK)
    return sheet
