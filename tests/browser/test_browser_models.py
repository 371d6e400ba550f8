"""The files for the browser, and the copy of its page."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from mien import __version__
from mien.browser import copy_site, site, write_models
from mien.errors import ConfigError, ModelError
from mien.images import decode
from mien.runtime import CenterFace, Classifier, shipped_models
from mien.spec import ModelSpec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_models(folder, ["mien-nano"])
    return folder


def test_a_model_is_the_shipped_file_and_says_beside_it_what_its_metadata_say(folder):
    about = json.loads((folder / "mien-nano.json").read_text(encoding="utf-8"))
    data = (folder / about["file"]).read_bytes()
    assert data == shipped_models()["mien-nano"].read_bytes()
    assert (about["bytes"], about["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    spec: ModelSpec = Classifier(shipped_models()["mien-nano"], threads=1).spec
    assert [about[name] for name in ("mean", "std", "size", "temperature")] == [
        spec.mean,
        spec.std,
        spec.size,
        spec.temperature,
    ]
    assert about["threshold"] == about["following"]["set_threshold"] == spec.calibration["threshold"]
    assert [head["name"] for head in about["heads"]] == ["fer2013", "fer+"]
    assert set(about["colours"]) >= {label for head in spec.heads for label in head.labels}


def test_every_member_of_the_file_is_known_to_the_package(folder):
    types = (ROOT / "js" / "src" / "types.ts").read_text(encoding="utf-8")
    members = re.findall(r"^  (\w+):", types.split("export interface Spec {")[1].split("\n}")[0], re.MULTILINE)
    assert set(members) == set(json.loads((folder / "mien-nano.json").read_text(encoding="utf-8")))


def test_the_detector_is_small_and_finds_the_same_face(folder):
    about = json.loads((folder / "centerface.json").read_text(encoding="utf-8"))
    assert about["bytes"] < CenterFace(threads=1).path.stat().st_size / 8
    photo = decode((ROOT / "examples" / "astronaut.jpg").read_bytes(), "astronaut", colour=True)
    small, whole = (d.detect(photo) for d in (CenterFace(folder / "centerface.onnx", size=320), CenterFace(size=320)))
    assert len(small) == len(whole) == 1
    np.testing.assert_allclose(small[0].box, whole[0].box, atol=3)
    assert "MIT" in (folder / "LICENSE.centerface-small").read_text(encoding="utf-8")


def test_the_page_is_copied_into_a_new_folder_or_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "_PACKAGE", tmp_path / "src" / "mien")
    with pytest.raises(ModelError, match="make web"):
        copy_site(tmp_path / "out")
    built = tmp_path / "js" / "dist"
    built.mkdir(parents=True)
    (built / "index.html").write_text("page", encoding="utf-8")
    with pytest.raises(ModelError, match="WebAssembly"):
        copy_site(tmp_path / "out")
    (built / "ort.wasm").write_bytes(b"wasm")
    assert [path.name for path in copy_site(tmp_path / "out")] == ["index.html", "ort.wasm"]
    with pytest.raises(ConfigError, match="new or empty"):
        copy_site(tmp_path / "out")


def test_the_package_names_no_address_of_a_registry_and_needs_one_library():
    lock = json.loads((ROOT / "js" / "package-lock.json").read_text(encoding="utf-8"))
    assert "omit-lockfile-registry-resolved=true" in (ROOT / "js" / ".npmrc").read_text(encoding="utf-8").splitlines()
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]
    package = json.loads((ROOT / "js" / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == lock["packages"][""]["version"] == __version__
    assert package["dependencies"] == {"onnxruntime-web": "1.30.0"}
    assert lock["packages"][""]["dependencies"] == package["dependencies"]


def test_code_and_page_are_short():
    for path in [*(ROOT / "js").glob("*.mjs"), *(ROOT / "js" / "src").iterdir(), *(ROOT / "js" / "test").iterdir()]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 350, path
