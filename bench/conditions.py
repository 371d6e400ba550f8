"""What a figure needs beside it: machine, load, versions and date; and the one way a bench leaves its record."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mien import __version__
from mien.files import write_text
from mien.runtime.processors import processor

__all__ = ["RESULTS", "ROOT", "conditions", "save"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"


def conditions(*packages: str, **more: Any) -> dict[str, Any]:
    """The conditions of a bench that ends now; ``packages`` are named with their versions, ``more`` comes first."""
    return {
        **more,
        "date": datetime.date.today().isoformat(),
        "cpu": processor()[0],
        "cpus": os.cpu_count(),
        "load_1min_at_end": round(os.getloadavg()[0], 2),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {"mien": __version__, **{name: version(name) for name in packages}},
    }


def save(path: Path, record: dict[str, Any], *, show: bool = True) -> None:
    """Write ``record`` as JSON and show it, unless a bench shows its figures in a way of its own."""
    text = json.dumps(record, indent=2) + "\n"
    write_text(path, text)
    if show:
        print(text, end="")
