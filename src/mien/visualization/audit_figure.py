"""Many faces on one picture: a plain contact sheet, and the sheet of what an audit found, with rows and labels.

Leaves out: writing files, colour, and choosing what is worth a look (``audit``).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.audit import Audit
from mien.data.dataset import FaceDataset
from mien.errors import ConfigError
from mien.preprocessing import grey_of

__all__ = ["audit_sheet", "contact_sheet"]

_FACE = 96  # side of a face on the audit's sheet
_LINE = 15  # height of a line of text
_COLUMNS = 8


def contact_sheet(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Lay ``images`` uint8 ``(N, H, W)`` out in rows of ``columns``: uint8 ``(ceil(N / columns) * H, columns * W)``.

    Places left over are white. Raises ConfigError for ``columns`` < 1.
    """
    if columns < 1:
        raise ConfigError(f"columns must be at least 1, got {columns}")
    n, height, width = images.shape
    lines = -(-n // columns)
    padded = np.full((lines * columns, height, width), 255, np.uint8)
    padded[:n] = images
    sheet = padded.reshape(lines, columns, height, width).swapaxes(1, 2)
    return sheet.reshape(lines * height, columns * width)


def audit_sheet(ds: FaceDataset, found: Audit, most: int = 120) -> NDArray[np.uint8]:
    """The worst of what ``audit(ds)`` found, side by side with row number and label: a grey picture, uint8.

    Copies that contradict each other, copies across splits with different labels (closest first) and images of one even
    grey; ``most`` of each. White, with one line that says so, where nothing was found.
    """
    assert ds.rows is not None
    place = {int(row): i for i, row in enumerate(ds.rows)}
    sections = [("exact copies with different labels", _contradictions(ds, found, place))]
    for a in found.across:
        closest = sorted((p for p in a.pairs if p.label != p.duplicate_label), key=lambda p: -p.correlation)
        sections.append(
            (f"copies of {a.other} in {a.split} with different labels", [(p.row, p.duplicate) for p in closest])
        )
    sections.append(("one even grey", [(row,) for rows in found.constant.values() for row in rows]))
    parts = []
    for title, groups in sections:
        if groups:
            shown = f"{title}: {len(groups):,}" + (f", the first {most}" if len(groups) > most else "")
            tiles = np.stack([_tile(ds, [place[row] for row in g]) for g in groups[:most]])
            parts += [_text(shown, _COLUMNS * tiles.shape[2]), contact_sheet(tiles, _COLUMNS)]
    return np.concatenate(parts) if parts else _text("nothing to show", _COLUMNS * (2 * _FACE + 8))


def _contradictions(ds: FaceDataset, found: Audit, place: dict[int, int]) -> list[tuple[int, ...]]:
    """For each group of copies, its first row beside the first row of every other label."""
    assert ds.labels is not None or not found.conflicts
    pairs: list[tuple[int, ...]] = []
    for group in found.conflicts:
        first: dict[int, int] = {}
        for row in group:
            first.setdefault(int(ds.labels[place[row]]), row)  # type: ignore[index]
        head, *others = first.values()
        pairs += [(head, row) for row in others]
    return pairs


def _tile(ds: FaceDataset, indices: list[int]) -> NDArray[np.uint8]:
    """One or two faces side by side over row number and label, uint8 ``(_FACE + 2 * _LINE + 8, 2 * _FACE + 8)``."""
    tile = np.full((_FACE + 2 * _LINE + 8, 2 * _FACE + 8), 255, np.uint8)
    assert ds.rows is not None
    for k, i in enumerate(indices):
        label = "" if ds.labels is None or ds.labels[i] < 0 else ds.names[int(ds.labels[i])]
        left = slice(2 + k * (_FACE + 2), 2 + k * (_FACE + 2) + _FACE)
        tile[2 : 2 + _FACE, left] = cv2.resize(grey_of(ds.images[i]), (_FACE, _FACE), interpolation=cv2.INTER_NEAREST)
        for line, words in enumerate((f"row {ds.rows[i]}", label)):
            tile[2 + _FACE + line * _LINE :][:_LINE, left] = _text(words, _FACE)
    return tile


def _text(words: str, width: int) -> NDArray[np.uint8]:
    """A white strip ``(_LINE, width)`` with black words."""
    strip = np.full((_LINE, width), 255, np.uint8)
    cv2.putText(strip, words, (1, _LINE - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.38, 0, 1, cv2.LINE_AA)
    return strip
