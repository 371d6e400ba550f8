"""What a figure needs beside it: machine, load, versions and date; and the one way a bench leaves its record."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mien.files import write_text

__all__ = ["RESULTS", "ROOT", "conditions", "save"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"


def conditions(*packages: str, **more: Any) -> dict[str, Any]:
    """The conditions of a bench that ends now; ``packages`` are named with their versions, ``more`` comes first."""
    return {
        **more,
        "date": datetime.date.today().isoformat(),
        "cpus": os.cpu_count(),
        "load_1min_at_end": round(os.getloadavg()[0], 2),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("mien", *packages)},
    }


def save(path: Path, record: dict[str, Any]) -> None:
    """Write ``record`` as JSON and show it."""
    text = json.dumps(record, indent=2) + "\n"
    write_text(path, text)
    print(text, end="")
