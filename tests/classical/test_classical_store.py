"""classical, files: what is loaded predicts as what was saved, and files that could do harm are refused unopened."""

from __future__ import annotations

import json
import logging
import os
import zipfile

import numpy as np
import pytest
import skops.io
from sklearn.dummy import DummyClassifier

from mien.classical import FacePipeline, Hog, feature_size, load_estimator, make_classical, save_estimator, store
from mien.data.synthetic.generate import generate
from mien.errors import ConfigError, ModelError, OutputError

DRAWN = generate(70, seed=1, identities=10)
TINY = {
    "hog-svm": {"hog__cells": 4},
    "lbp-mlp": {"lbp__cells": 3, "mlp__hidden": 8, "mlp__epochs": 5},
    "haar-forest": {"haar__features": 50, "haar__side": 8, "forest__n_estimators": 5},
    "bow-svm-local": {
        "bow__words": 30,
        "bow__stride": 8,
        "bow__patches": (16,),
        "bow__sample": 900,
        "svm__neighbours": 40,
        "svm__calibrate": 3,
    },
}


def fitted(name):
    return make_classical(name).set_params(**TINY[name]).fit(DRAWN.images, np.array(DRAWN.names)[DRAWN.labels])


@pytest.fixture(scope="module")
def hog_svm():
    return fitted("hog-svm")


class Foreign:
    """Stands for any type that isn't admitted."""


@pytest.mark.parametrize("name", TINY)
def test_what_is_loaded_predicts_exactly_as_what_was_saved(tmp_path, name):
    made = fitted(name)
    about = {"names": list(DRAWN.names), "accuracy": 0.5, "n": {"Training": 70}}
    save_estimator(tmp_path / "model.skops", made, about=about)
    loaded, said = load_estimator(tmp_path / "model.skops")
    assert said == about
    assert [p.name for p in tmp_path.iterdir()] == ["model.skops"]
    assert loaded.classes_.tolist() == made.classes_.tolist()
    np.testing.assert_array_equal(loaded.predict(DRAWN.images[:6]), made.predict(DRAWN.images[:6]))
    np.testing.assert_array_equal(loaded.predict_proba(DRAWN.images[:6]), made.predict_proba(DRAWN.images[:6]))
    assert feature_size(loaded) == feature_size(made)
    assert str(loaded.get_params()) == str(made.get_params())


def test_nothing_in_the_file_is_a_pickle(tmp_path, hog_svm):
    save_estimator(tmp_path / "m.skops", hog_svm, about={})
    with zipfile.ZipFile(tmp_path / "m.skops") as z:
        assert {name.rsplit(".", 1)[1] for name in z.namelist()} <= {"json", "npy", "npz"}


def retyped(path, old, new):
    """The file with a type's name changed in its schema."""
    with zipfile.ZipFile(path) as z:
        files = {name: z.read(name) for name in z.namelist()}
    schema = json.dumps(json.loads(files["schema.json"]))
    assert old in schema
    files["schema.json"] = schema.replace(old, new).encode()
    with zipfile.ZipFile(path, "w") as z:
        for name, content in files.items():
            z.writestr(name, content)


def test_a_type_smuggled_in_is_refused_by_its_name(tmp_path, hog_svm):
    path = tmp_path / "m.skops"
    save_estimator(path, hog_svm, about={})
    retyped(path, '"__class__": "Hog", "__module__": "mien.classical.hog"', '"__class__": "system", "__module__": "os"')
    with pytest.raises(ModelError, match=r"m\.skops: holds the type os\.system, .*open only files that save_estimator"):
        load_estimator(path)


@pytest.mark.parametrize("thing", [Foreign(), os.getcwd, {"format": "mien-classical-1", "pipeline": Foreign()}])
def test_files_with_foreign_types_are_refused(tmp_path, thing):
    skops.io.dump(thing, tmp_path / "m.skops")
    with pytest.raises(ModelError, match=r"holds the type .*(Foreign|getcwd)"):
        load_estimator(tmp_path / "m.skops")


@pytest.mark.parametrize("thing", [DummyClassifier(), {"a": 1}, {"format": "mien-classical-1", "pipeline": [1]}])
def test_skops_files_of_others_are_refused(tmp_path, thing):
    skops.io.dump(thing, tmp_path / "m.skops")
    with pytest.raises(ModelError, match="not one that save_estimator wrote"):
        load_estimator(tmp_path / "m.skops")


def test_files_that_are_none_are_refused(tmp_path, hog_svm):
    whole = tmp_path / "whole.skops"
    save_estimator(whole, hog_svm, about={})
    with zipfile.ZipFile(tmp_path / "zip", "w") as z:
        z.writestr("a.txt", "a")
    with zipfile.ZipFile(tmp_path / "schema", "w") as z:
        z.writestr("schema.json", json.dumps({"protocol": 1}))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "cut").write_bytes(whole.read_bytes()[:-300])
    for name in ("zip", "schema", "empty", "noise", "cut"):
        with pytest.raises(ModelError, match=f"{name}: is no skops file, or damaged .*copy it again or fit anew"):
            load_estimator(tmp_path / name)
    for missing in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelError, match="no such file"):
            load_estimator(missing)


def test_flipped_bits_in_the_numbers_are_noticed(tmp_path, hog_svm):
    path = tmp_path / "m.skops"
    save_estimator(path, hog_svm, about={})
    with zipfile.ZipFile(path) as z:
        largest = max(z.infolist(), key=lambda i: i.compress_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + 200 + largest.compress_size // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_estimator(path)


@pytest.mark.parametrize(("field", "value"), [("left_child", 10**6), ("right_child", 0), ("feature", 50)])
def test_a_tree_that_leads_out_of_its_arrays_is_refused(tmp_path, field, value):
    made = fitted("haar-forest")
    tree = made["forest"].estimators_[2].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    save_estimator(tmp_path / "m.skops", made, about={})
    with pytest.raises(ModelError, match="holds numbers that point nowhere"):
        load_estimator(tmp_path / "m.skops")


def test_rows_with_a_column_that_is_not_there_are_refused(tmp_path):
    made = fitted("bow-svm-local")
    made["svm"].rows_.indices[5] = 10**6
    save_estimator(tmp_path / "m.skops", made, about={})
    with pytest.raises(ModelError, match="holds numbers that point nowhere"):
        load_estimator(tmp_path / "m.skops")


def test_other_versions_are_told_of(tmp_path, hog_svm, monkeypatch, caplog):
    monkeypatch.setitem(store._VERSIONS, "scikit-learn", "0.1")
    save_estimator(tmp_path / "m.skops", hog_svm, about={})
    monkeypatch.undo()
    with caplog.at_level(logging.WARNING):
        load_estimator(tmp_path / "m.skops")
    assert "was made with scikit-learn 0.1, this is" in caplog.text


def test_what_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path, hog_svm):
    path = tmp_path / "m.skops"
    with pytest.raises(ConfigError, match="must be fitted"):
        save_estimator(path, make_classical("hog-svm"), about={})
    with pytest.raises(ConfigError, match="must be a scikit-learn Pipeline, got Hog"):
        save_estimator(path, Hog(), about={})
    with pytest.raises(ConfigError, match="about must hold what JSON can hold"):
        save_estimator(path, hog_svm, about={"when": object()})
    strange = FacePipeline([("hog", hog_svm["hog"]), ("svm", hog_svm["svm"])])
    strange.remark = Foreign()
    with pytest.raises(ConfigError, match=r"pipeline holds .*Foreign"):
        save_estimator(path, strange, about={})
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="cannot be written"):
        save_estimator(tmp_path / "nowhere" / "m.skops", hog_svm, about={})
