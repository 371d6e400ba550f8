"""Coded recordings for ELAN: an .eaf file, written by pympi; a tier a person, and one for the gaps of each.

Leaves out: the other formats (``exports``).
"""

from __future__ import annotations

import mimetypes
import os
from pathlib import Path

from mien.errors import need
from mien.study.spans import CodedRecording, plain

__all__ = ["write_eaf"]


def write_eaf(path: Path, coded: CodedRecording) -> None:
    """Write ``path``; ELAN finds the video beside it or where it lies, and asks for it where it has moved."""
    elan = need("pympi", "study").Elan
    eaf = elan.Eaf(author=f"mien, {coded.model}")
    for tier in coded.tiers():
        eaf.add_tier(tier.name, part=tier.person or None, ann=f"mien, {coded.model}")
        for start, end, span in tier.spans:
            eaf.add_annotation(tier.name, start, end, plain(span.label))
    eaf.remove_tier("default")
    if os.path.isfile(coded.source):
        kind = mimetypes.guess_type(coded.source)[0] or "video/unknown"
        video = Path(coded.source).resolve()
        relative = plain(os.path.relpath(video, path.resolve().parent)).replace(os.sep, "/")
        eaf.add_linked_file(plain(video.as_uri()), f"./{relative}", kind)
    elan.to_eaf(os.fspath(path), eaf)
