"""Read once, then fast: data sets that were read from one file are kept in the user's cache folder, keyed by content.

The key is the SHA-256 of the whole file: 0.2 s for the 271 MB of fer2013.csv where the processor has SHA instructions,
and, unlike a key of path, size and time, never wrong after a copy, a restore or an edit within one clock tick. Leaves
out: folders of pictures, which have no one content to hash. ``MIEN_CACHE`` names another folder. A cache that is
damaged is rebuilt, one that cannot be written is done without; deleting the folder is always safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from mien.data.dataset import FaceDataset
from mien.data.readers.archives import BROKEN
from mien.data.readers.problems import Reading
from mien.errors import MienError
from mien.picture_files import PassedOver

__all__ = ["cache_folder", "key_of", "load", "store"]

VERSION = 3  # raise it when a reader changes what it makes of the same bytes
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """The folder of the cache: ``MIEN_CACHE``, or the place that the system gives users for caches."""
    if os.environ.get("MIEN_CACHE"):
        return Path(os.environ["MIEN_CACHE"])
    import platformdirs

    return platformdirs.user_cache_path("mien")


def key_of(path: Path, size: int | None) -> str:
    """The key of a file's content read at ``size``."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
    return f"faces-v{VERSION}-{digest.hexdigest()[:32]}-{size or 'own'}"


def load(key: str, source: str) -> Reading | None:
    """What was read under ``key``, or ``None`` where there is nothing or it is damaged."""
    file = cache_folder() / f"{key}.npz"
    try:
        with (
            file.open("rb") as raw,
            np.load(raw, allow_pickle=False) as arrays,
        ):  # the zip's check sums are verified on the way
            rows = {k: arrays[k] for k in ("images", "labels", "votes", "split", "subject", "rows") if k in arrays}
            faces = FaceDataset(names=tuple(arrays["names"].tolist()), source=source, **rows)
            counts, examples = json.loads(str(arrays["passed"]))
            notes = tuple(arrays["notes"].tolist())
            return Reading(faces, notes=notes, passed=PassedOver(Counter(counts), examples))
    except FileNotFoundError:
        return None
    except (*BROKEN, KeyError, TypeError, AttributeError, MienError) as error:
        _log.debug("cache %s cannot be used and is rebuilt: %s", file, error)
        return None


def store(key: str, reading: Reading) -> None:
    """Keep ``reading`` under ``key``: written beside its place, then renamed, so that no reader sees half of it."""
    rows = {k: getattr(reading.dataset, k) for k in ("images", "labels", "votes", "split", "subject", "rows")}
    arrays = {k: v for k, v in rows.items() if v is not None}
    passed = json.dumps((reading.passed.counts, reading.passed.examples))
    words = {"names": reading.dataset.names, "notes": reading.notes, "passed": passed}
    arrays |= {k: np.array(v, dtype=np.str_) for k, v in words.items()}
    file = cache_folder() / f"{key}.npz"
    temporary = ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=".part", delete=False) as out:
            temporary = out.name
            np.savez(out, allow_pickle=False, **arrays)
        os.replace(temporary, file)
    except OSError as error:
        _log.debug("cache %s cannot be written: %s", file, error)
        if temporary:
            Path(temporary).unlink(missing_ok=True)
