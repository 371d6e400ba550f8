"""``mien doctor``: what is installed, what it runs on, and whether one photo gets its answer.

Leaves out: mending. What it prints is what a report of a problem needs; it names no file of the user's but mien's own.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mien import __version__
from mien.cli.screen import print_folded, stdout
from mien.installation import example_photo, pip_line, requirements

__all__ = ["doctor"]

_VECTORS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd")  # what onnxruntime and torch use
_RUNS = 5  # of the photo, after the first


def doctor(
    as_json: bool = typer.Option(False, "--json", help="One JSON document on stdout, for a report of a problem."),
) -> None:
    """Say what is installed, on which processors it runs, what each extra lacks, and try one photo.

    The exit code is 1 where the photo does not get its answer.
    """
    found: dict[str, Any] = {
        "mien": {"version": __version__, "from": str(Path(__file__).parents[1])},
        "system": _system(),
        "processors": _processors(),
        "packages": requirements(),
        "models": _models(),
        "photo": _try_photo(),
    }
    found["notes"] = list(_notes(found))
    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _show(found)
    if "error" in found["photo"]:
        raise typer.Exit(1)


def _system() -> dict[str, Any]:
    console = stdout()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "virtual_environment": sys.prefix != sys.base_prefix,
        "platform": platform.platform(),
        "terminal": f"{console.width} columns, {sys.stdout.encoding}" if console.is_terminal else "none",
    }


def _processors() -> dict[str, Any]:
    """What computes: the processor and how much of it is ours, and accelerators that the installed libraries see."""
    from mien.runtime.processors import processor, processors

    name, features = processor()
    found: dict[str, Any] = {
        "name": name,
        "usable": processors(),
        "of": os.cpu_count(),
        "vectors": [v for v in _VECTORS if v in features],
    }
    for library, see in (("onnxruntime", _onnxruntime), ("torch", _torch)):
        try:
            found[library] = see()
        except Exception as error:  # a broken library is a finding, whatever it raises
            found[library] = f"cannot be loaded: {type(error).__name__}: {error}"
    return found


def _onnxruntime() -> str:
    import onnxruntime

    others = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    return "CPU is used; there are " + ", ".join(others)


def _torch() -> str:
    try:
        import torch
    except ModuleNotFoundError:
        return "not installed"
    cards = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cards += ["Apple GPU (mps)"] * torch.backends.mps.is_available()
    return f"{', '.join(cards) or 'CPU only'}, {torch.get_num_threads()} threads"


def _models() -> dict[str, Any]:
    from mien.runtime import DEFAULT_MODEL, shipped_models

    weights = Path(__file__).parents[1] / "weights"
    return {
        "shipped": sorted(shipped_models()),
        "default": DEFAULT_MODEL,
        "detector": (weights / "centerface.onnx").is_file(),
    }


def _try_photo() -> dict[str, Any]:
    """The answer for the photo that comes with mien, and how long opening, the first and the next times take."""
    photo = example_photo()
    if photo is None:
        return {"error": "this installation came without its photo: install it again"}
    try:
        import statistics

        from mien.runtime import Predictor

        began = time.perf_counter()
        predictor = Predictor()
        opened = time.perf_counter()
        times = list[float]()
        for _ in range(1 + _RUNS):
            start = time.perf_counter()
            found = predictor.predict(photo)
            times.append(1000 * (time.perf_counter() - start))
        answer = [{"label": face.label, "confidence": round(face.confidence, 4)} for face in found]
    except Exception as error:  # the point of trying is to tell what breaks
        return {"error": f"{type(error).__name__}: {error}"}
    if [face["label"] for face in answer] != ["happy"]:
        return {"error": f"one happy face was expected, got {answer or 'none'}", "faces": answer}
    return {
        "faces": answer,
        "ms": {
            "open": round(1000 * (opened - began)),
            "first": round(times[0]),
            "next": round(statistics.median(times[1:]), 1),
        },
    }


def _notes(found: dict[str, Any]) -> Iterator[str]:
    """What to do something about."""
    from importlib import metadata

    names = {(dist.metadata["Name"] or "").lower() for dist in metadata.distributions()}
    both = sorted(names & {"opencv-python", "opencv-python-headless", "opencv-contrib-python"})
    if len(both) > 1:
        yield f"{' and '.join(both)} overwrite each other: uninstall them all, then install one"
    if not found["packages"]:
        yield "mien runs from files that were not installed, so what its extras need is not known"
    if not found["models"]["detector"]:
        yield "the face detector is missing: in a clone, `pip install .` fetches it once"
    if not found["system"]["virtual_environment"]:
        yield "this is no virtual environment: python3 -m venv .venv keeps mien apart from the system"


def _show(found: dict[str, Any]) -> None:
    from rich.markup import escape

    for name, value, fine in _lines(found):
        mark = "[green]ok[/]" if fine else "[yellow]--[/]" if fine is None else "[bold red]no[/]"
        print_folded(f"{mark}  [bold]{escape(name.ljust(13))}[/] {escape(value)}", 18)
    for note in found["notes"]:
        print_folded(f"[yellow]!![/]  {escape(note)}", 4)


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    """Name, value, and whether it is fine; None where something is not there that need not be."""
    system, cpu, models, photo = (found[key] for key in ("system", "processors", "models", "photo"))
    yield "mien", f"{found['mien']['version']}, {found['mien']['from']}", True
    yield "Python", f"{system['python']}, {system['executable']}", True
    yield "system", f"{system['platform']}; terminal: {system['terminal']}", True
    yield "processor", f"{cpu['name']}, {cpu['usable']} of {cpu['of']} usable, {' '.join(cpu['vectors'])}", True
    for library in ("onnxruntime", "torch"):
        state = None if cpu[library] == "not installed" else not cpu[library].startswith("cannot")
        yield library, cpu[library], state
    for extra, packages in found["packages"].items():
        if extra in ("all", "dev"):
            continue
        missing = [name for name, version in packages.items() if version is None]
        have = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        if not extra:
            yield "core", have + (f"; missing: {', '.join(missing)}" if missing else ""), not missing
        elif missing:
            yield f"[{extra}]", f"lacks {', '.join(missing)}: {pip_line(extra)}", None
        else:
            yield f"[{extra}]", have, True
    shipped = ", ".join(f"{m} (default)" if m == models["default"] else m for m in models["shipped"])
    yield "models", shipped or "none", bool(shipped)
    yield "detector", "centerface (default), fast" if models["detector"] else "missing", models["detector"]
    if "error" in photo:
        yield "photo", photo["error"], False
    else:
        ms, face = photo["ms"], photo["faces"][0]
        took = f"opened in {ms['open']} ms, first {ms['first']} ms, then {ms['next']} ms"
        yield "photo", f"{face['label']} {face['confidence']:.1%}; {took}", True
