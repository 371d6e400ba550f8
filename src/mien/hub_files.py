"""Files of a model in a folder as Hugging Face's hub has it, on this disk or there: ``hf://owner/name@revision``.

A folder that ``mien hub pack`` wrote has a ``config.json`` with the SHA-256 of its files, which are checked. What was
fetched once is in the hub's own cache and needs no network; without a revision the newest is asked for. Nothing of
such a folder is run: weights are ONNX and safetensors. Leaves out: writing one (``mien.hub``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien.errors import ModelError, need
from mien.files import sha256_of

__all__ = ["CONFIG", "HUB", "hub_file", "is_hub_folder"]

#: What an address on the hub begins with.
HUB = "hf://"
#: The file that makes a folder one of the hub's.
CONFIG = "config.json"

_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def is_hub_folder(path: Path) -> bool:
    """Whether ``mien hub pack`` wrote it."""
    return (path / CONFIG).is_file() and (path / "model.onnx").is_file()


def hub_file(model: str, name: str) -> Path:
    """The file ``name`` of a folder or an address, whose hash is what its ``config.json`` says; else ModelError."""
    if not model.startswith(HUB):
        return _checked(model, name, lambda file: Path(model, file))
    found = _ADDRESS.fullmatch(model)
    if found is None:
        raise ModelError(f"an address on the hub must be hf://owner/name or hf://owner/name@revision, got {model!r}")
    return _checked(model, name, lambda file: _fetched(model, found[1], found[2], file))


def _checked(model: str, name: str, get: Callable[[str], Path]) -> Path:
    try:
        files = json.loads(get(CONFIG).read_text(encoding="utf-8"))["files"]
        wanted = files[name]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{model}: its {CONFIG} names no {name}; `mien hub pack` writes such folders") from error
    path = get(name)
    if sha256_of(path) != wanted:
        raise ModelError(f"{path}: is not the file that {CONFIG} names (SHA-256 {wanted}): copy or fetch it again")
    return path


def _fetched(model: str, repository: str, revision: str | None, name: str) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    hub: Any = need("huggingface_hub", "hub")
    errors: Any = need("huggingface_hub.errors", "hub")
    if revision:  # it stays what it is, so a copy is as good; asking first costs 8 s a file where there is no network
        kept = hub.try_to_load_from_cache(repository, name, revision=revision)
        if isinstance(kept, str):
            return Path(kept)
    try:
        return Path(hub.hf_hub_download(repository, name, revision=revision))
    except errors.LocalEntryNotFoundError as error:
        raise ModelError(
            f"{model}: {name} is not in the cache and cannot be fetched: there is no network, or HF_HUB_OFFLINE is "
            "set; fetch it once with a network, or copy the folder and give its path"
        ) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise ModelError(f"{model}: there is no such model, or no such revision, or it needs a log-in") from error
    except errors.EntryNotFoundError as error:
        raise ModelError(f"{model}: holds no {name}: it is no model of mien") from error
    except (errors.HfHubHTTPError, OSError) as error:
        raise ModelError(f"{model}: {name} cannot be fetched ({str(error).splitlines()[0]})") from error
