"""Predictor: every way in, the crop and the region it reports, batches, errors, and fuzzing."""

from __future__ import annotations

import contextlib
import json
import pickle
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_nets import IDENTITY, write_net
from PIL import Image

import mien
from mien import Face, Predictor
from mien.errors import ConfigError, DataError, ModelError
from mien.faces import Detection, Photo
from mien.labels import FER2013
from mien.picture_files import PassedOver
from mien.preprocessing import crop_face, normalise
from mien.runtime import DEFAULT_MODEL, CenterFace, Classifier, accuracy_line, find_model, shipped_models
from mien.runtime.prediction_set import possible_labels
from mien.spec import Crop, ModelSpec

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_net(tmp_path_factory.mktemp("nets") / "tiny.onnx")


@pytest.fixture(scope="module")
def predictor(net):
    return Predictor(net, threads=1)


def same(a: Face, b: Face) -> bool:
    return a.to_dict() == b.to_dict() and bool((a.crop == b.crop).all())


def test_path_bytes_and_pixels_give_the_same_face(predictor):
    (first,) = predictor.predict(ASTRONAUT)
    for image in (str(ASTRONAUT), ASTRONAUT.read_bytes(), cv2.imread(str(ASTRONAUT))):
        (again,) = predictor.predict(image)
        assert same(first, again)


def test_a_photo_is_told_in_one_line_without_its_pixels(predictor):
    photo = predictor.predict(ASTRONAUT)
    (face,) = photo
    box = ", ".join(f"{v:.0f}" for v in face.box)
    assert repr(face).startswith(f"Face({face.label!r}, {face.confidence:.3f}, box=({box})")
    assert repr(photo) == f"Photo({str(ASTRONAUT)!r}, 'faces', [{face!r}])"
    bad = replace(face, quality=replace(face.quality, problems=("too small",)), track=2, time=1.5)
    assert "track=2, time=1.5" in repr(bad)
    assert repr(bad).endswith(", usable=False)")
    assert repr(Photo("a.jpg", error="is no picture")) == "Photo('a.jpg', error='is no picture')"


def test_face_record_is_whole_and_goes_through_json(predictor):
    (face,) = predictor.predict(ASTRONAUT)
    assert list(face.probabilities) == list(FER2013.names)
    assert sum(face.probabilities.values()) == pytest.approx(1)
    assert face.probabilities[face.label] == face.confidence == max(face.probabilities.values())
    assert face.crop.shape == (48, 48)
    assert face.crop.dtype == np.uint8
    record = json.loads(json.dumps(face.to_dict(), allow_nan=False))
    assert list(record) == [
        *("label", "confidence", "uncertain", "prediction_set", "probabilities", "heads", "box", "score", "landmarks"),
        *("turn", "corners", "attention_window", "usable", "quality"),
    ]
    assert record["usable"] is True
    assert record["quality"]["side"] == pytest.approx(
        np.sqrt((face.box[2] - face.box[0]) * (face.box[3] - face.box[1])), abs=0.1
    )
    assert record["prediction_set"] == list(face.prediction_set)
    assert record["prediction_set"][0] == face.label
    assert np.shape(record["landmarks"]) == (5, 2)
    assert np.shape(record["attention_window"]) == (4, 2)


def test_probabilities_are_the_nets_softmax_over_the_normalised_crop(predictor, net):
    import onnxruntime

    (face,) = predictor.predict(ASTRONAUT)
    session = onnxruntime.InferenceSession(str(net), providers=["CPUExecutionProvider"])
    batch = normalise(face.crop.astype(np.float32), predictor.spec)[None, None].astype(np.float32)
    logits = session.run(["logits"], {"faces": batch})[0][0]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(list(face.probabilities.values()), expected, atol=1e-6)
    np.testing.assert_allclose(predictor.predict_crops(face.crop[None])[0], expected, atol=1e-6)


def test_temperature_flattens_and_marks_uncertain(tmp_path):
    hot = write_net(tmp_path / "hot.onnx", ModelSpec("hot", FER2013.names, temperature=50.0))
    (face,) = Predictor(hot).predict(ASTRONAUT)
    assert face.confidence < 0.2
    assert face.uncertain
    assert len(face.prediction_set) == 7
    (sure,) = Predictor(write_net(tmp_path / "sure.onnx", gain=100)).predict(ASTRONAUT)
    assert sure.confidence > 0.99
    assert not sure.uncertain
    assert sure.prediction_set == (sure.label,)


def test_a_calibrated_model_s_threshold_chooses_the_candidates(tmp_path):
    def found(threshold):
        spec = ModelSpec("c", FER2013.names, temperature=20.0, calibration={"threshold": threshold})
        (face,) = Predictor(write_net(tmp_path / "c.onnx", spec)).predict(ASTRONAUT)
        return face

    face = found(0.1)
    ranked = sorted(face.probabilities, key=lambda name: -face.probabilities[name])
    assert face.prediction_set == tuple(name for name in ranked if face.probabilities[name] >= 0.1)
    assert 1 < len(face.prediction_set) < 7
    assert face.uncertain
    assert found(0.0).prediction_set == tuple(ranked)
    assert found(1.0).prediction_set == (face.label,)  # never empty
    assert not found(1.0).uncertain


@pytest.mark.parametrize(
    ("p", "labels"),
    [
        ((0.1, 0.9, 0.0), "b"),
        ((0.11, 0.89, 0.0), "ba"),
        ((0.3, 0.1, 0.6), "ca"),
        ((0.3, 0.11, 0.59), "cab"),
        ((0.5, 0.5, 0.0), "ab"),
        ((1.0, 0.0, 0.0), "a"),
    ],
)
def test_without_calibration_the_candidates_have_nine_tenths_together(p, labels):
    assert "".join(possible_labels(np.array(p, np.float32), ModelSpec("m", ("a", "b", "c")))) == labels


@given(st.lists(st.floats(-20, 20, width=32), min_size=2, max_size=8))
def test_candidates_without_calibration_are_the_fewest(logits):
    p = np.exp(np.array(logits) - max(logits))
    p = (p / p.sum()).astype(np.float32)
    names = tuple("abcdefgh"[: len(p)])
    chosen = possible_labels(p, ModelSpec("m", names))
    assert chosen[0] == names[p.argmax()]
    size = len(chosen)
    ranked = np.sort(p.astype(float))[::-1]
    assert ranked[:size].sum() >= 0.9 - 1e-5
    assert size == 1 or ranked[: size - 1].sum() < 0.9


def test_region_is_the_crops_square_for_the_identity(tmp_path):
    spec = ModelSpec("square", FER2013.names, crop=Crop(1.5, 0.1, -0.2))
    net = write_net(tmp_path / "net.onnx", spec, theta=IDENTITY)
    box = (100.0, 60.0, 180.0, 150.0)
    (face,) = Predictor(net, detector=Fixed(box)).predict(np.zeros((300, 300, 3), np.uint8))
    side, cx, cy = 1.5 * np.sqrt(80 * 90), 140 + 0.1 * 80, 105 - 0.2 * 90
    half = side / 2
    corners = [[cx - half, cy - half], [cx + half, cy - half], [cx + half, cy + half], [cx - half, cy + half]]
    np.testing.assert_allclose(face.attention_window, corners, atol=1e-3)


def test_region_follows_theta(tmp_path):
    theta = np.array([[0.5, 0, 0.5], [0, 0.5, -0.5]], np.float32)  # the right upper quarter
    net = write_net(tmp_path / "net.onnx", ModelSpec("q", FER2013.names, crop=Crop(1.0, 0, 0)), theta=theta)
    (face,) = Predictor(net, detector=Fixed((0, 0, 100, 100))).predict(np.zeros((100, 100, 3), np.uint8))
    np.testing.assert_allclose(face.attention_window, [[50, 0], [100, 0], [100, 50], [50, 50]], atol=1e-3)


def test_net_without_theta_has_no_region(tmp_path):
    (face,) = Predictor(write_net(tmp_path / "plain.onnx", theta=None)).predict(ASTRONAUT)
    assert face.attention_window is None
    assert face.to_dict()["attention_window"] is None


def test_all_faces_of_a_photo_go_in_one_batch(net, monkeypatch):
    predictor, calls = Predictor(net, detector=Fixed((0, 0, 50, 50), (20, 20, 90, 95), (5, 5, 9, 9))), []
    run = Classifier.__call__
    monkeypatch.setattr(Classifier, "__call__", lambda self, faces: calls.append(len(faces)) or run(self, faces))
    photo = np.random.default_rng(0).integers(0, 256, (100, 120)).astype(np.uint8)
    faces = predictor.predict(photo)
    assert calls == [3]
    for face in faces:
        np.testing.assert_array_equal(face.crop, crop_face(photo, face.box, predictor.spec))


def test_many_crops_are_split_without_a_difference(predictor):
    faces = np.random.default_rng(0).integers(0, 256, (600, 48, 48)).astype(np.uint8)
    out = predictor.predict_crops(faces)
    assert out.shape == (600, 7)
    np.testing.assert_allclose(out[[0, 299, 599]], predictor.predict_crops(faces[[0, 299, 599]]), atol=1e-6)
    assert predictor.predict_crops(faces[:0]).shape == (0, 7)


def test_a_ready_made_crop_is_all_that_the_network_sees(net):
    photo = cv2.imread(str(ASTRONAUT))
    crop = cv2.cvtColor(cv2.resize(photo[62:170, 172:280], (48, 48)), cv2.COLOR_BGR2GRAY)
    predictor = Predictor(net, detector="none")
    (face,) = predictor.predict(crop)
    np.testing.assert_array_equal(face.crop, crop)
    np.testing.assert_allclose(list(face.probabilities.values()), predictor.predict_crops(crop[None])[0], atol=1e-6)
    np.testing.assert_allclose(face.attention_window, [[0, 0], [48, 0], [48, 48], [0, 48]], atol=1e-3)  # the identity's
    assert 0 < face.box[0] < face.box[2] < 48  # where a detector would have found the face
    (wide,) = predictor.predict(np.hstack([crop, crop, crop]))
    np.testing.assert_array_equal(wide.crop, crop)  # the centred square


def test_the_three_outcomes_and_the_fourth(net, tmp_path):
    grey = np.full((200, 300, 3), 127, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    good, small = (0, 0, 90, 90), (0, 0, 9, 9)
    assert Predictor(net).predict(grey).outcome == "no face"
    assert len(Predictor(net).predict(grey)) == 0
    assert Predictor(net, detector=Fixed(small)).predict(noise).outcome == "unusable"
    both = Predictor(net, detector=Fixed(small, good)).predict(noise)
    assert both.outcome == "faces"
    assert [f.usable for f in both] == [False, True]
    assert "too small: 9.0 pixels" in both[0].quality.problems[0]
    (bad,) = Predictor(net).predict([tmp_path / "no.jpg"])
    assert bad.outcome == "unreadable"
    assert list(bad) == []
    assert bad.to_dict() == {"photo": str(tmp_path / "no.jpg"), "outcome": "unreadable", "error": bad.error}


def test_photo_is_a_sequence_and_goes_through_json(predictor):
    photo = predictor.predict(ASTRONAUT)
    assert photo[0] is photo.faces[0] is next(iter(photo))
    assert photo[:1] == photo.faces
    assert (photo.source, photo.width, photo.height) == (str(ASTRONAUT), 512, 512)
    record = json.loads(json.dumps(photo.to_dict(), allow_nan=False))
    assert record["outcome"] == "faces"
    assert record["faces"] == [photo[0].to_dict()]
    assert predictor.predict(ASTRONAUT.read_bytes()).source == ""


def test_many_pictures_go_through_the_network_together_and_stay_in_order(net, monkeypatch):
    predictor, calls = Predictor(net, detector=Fixed((5, 5, 55, 60), (20, 20, 90, 95))), []
    run = Classifier.__call__
    monkeypatch.setattr(Classifier, "__call__", lambda self, faces: calls.append(len(faces)) or run(self, faces))
    photos = list(np.random.default_rng(0).integers(0, 256, (40, 100, 120)).astype(np.uint8))
    found = predictor.predict(photos)
    assert calls == [2 * 32, 2 * 8]  # not one call a picture
    for pixels, photo in zip(photos, found, strict=True):
        np.testing.assert_array_equal(photo[1].crop, crop_face(pixels, photo[1].box, predictor.spec))


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_bad_picture_has_its_error_and_the_others_their_answers(predictor, tmp_path, jobs):
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    images = [ASTRONAUT, tmp_path / "bad.jpg", np.zeros((9, 9, 3), np.uint8), None, ASTRONAUT.read_bytes()]
    a, bad, none, nothing, b = predictor.predict_many(images, jobs=jobs)
    assert same(a[0], b[0])
    assert same(a[0], predictor.predict(ASTRONAUT)[0])
    assert "not a picture" in bad.error
    assert bad.source == str(tmp_path / "bad.jpg")
    assert none.outcome == "no face"
    assert "NoneType" in nothing.error


def test_pictures_are_read_as_they_are_asked_for(net):
    read = []

    def pictures():
        for i in range(1000):
            read.append(i)
            yield np.zeros((20, 20), np.uint8)

    steps = []
    found = Predictor(net, detector="none").predict_many(pictures(), searched=lambda: steps.append(1))
    next(found)
    assert len(steps) == len(read) == 32
    found.close()


def test_jobs_below_one_say_the_rule_at_once(predictor):
    with pytest.raises(ConfigError, match="jobs must be 1 or more"):
        predictor.predict_many([], jobs=0)
    assert list(predictor.predict_many([])) == []
    assert predictor.predict([]) == []


def test_a_folder_is_searched_by_name_and_depth(predictor, tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.jpg", "a.JPG", "sub/c.jpg"):
        (tmp_path / name).write_bytes(ASTRONAUT.read_bytes())
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "sub" / "bad.png").write_bytes(b"x")
    (tmp_path / "sub" / "._c.jpg").write_bytes(b"side file")
    passed = PassedOver()
    found = list(predictor.predict_folder(tmp_path, passed=passed))
    assert passed.counts == {"other_ending": 1, "apple_double": 1}
    assert [Path(p.source).relative_to(tmp_path).as_posix() for p in found] == [
        "a.JPG",
        "b.jpg",
        "sub/bad.png",
        "sub/c.jpg",
    ]
    assert [p.outcome for p in found] == ["faces", "faces", "unreadable", "faces"]
    with pytest.raises(DataError, match="no such folder"):
        predictor.predict_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no such folder"):
        predictor.predict_folder("")


def test_a_folder_says_what_it_passes_over(predictor, tmp_path, caplog):
    (tmp_path / "a.jpg").write_bytes(ASTRONAUT.read_bytes())
    (tmp_path / "._a.jpg").write_bytes(b"x")
    (tmp_path / "film.mp4").write_bytes(b"x")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert [p.outcome for p in predictor.predict_folder(tmp_path)] == ["faces"]
    assert ".mp4" in caplog.text
    assert "broken" in caplog.text
    passed = PassedOver()
    caplog.clear()
    assert len(list(predictor.predict_folder(tmp_path, passed=passed))) == 1
    assert sum(passed.counts.values()) == 3
    assert not caplog.text


def test_pillow_images_and_open_files_are_photos_too(net):
    predictor = Predictor(net, detector="none", threads=1)
    wanted = predictor.predict(ASTRONAUT)[0].to_dict()
    with ASTRONAUT.open("rb") as file, Image.open(ASTRONAUT) as picture:
        for photo in predictor.predict([file, picture]):
            assert photo.source == ""
            assert photo[0].to_dict() == wanted
    assert "transpose" in predictor.predict([types.SimpleNamespace(shape=(3, 8, 8), dtype="float32")])[0].error


def test_threads_may_share_a_predictor(net):
    predictor = Predictor(net, detector="none", threads=1)
    photos = list(np.random.default_rng(1).integers(0, 256, (48, 30, 30)).astype(np.uint8))
    alone = [p[0].to_dict() for p in predictor.predict(photos)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda image: predictor.predict(image)[0].to_dict(), photos * 3))
    assert together == alone * 3


@pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (5000, 3), (2, 2, 3)])
def test_tiny_and_narrow_pictures_have_an_outcome(predictor, net, shape):
    pixels = np.zeros(shape, np.uint8)
    assert predictor.predict(pixels).outcome == "no face"
    (face,) = Predictor(net, detector="none").predict(pixels)
    assert not face.usable


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
        7,
        None,
        b"",
        b"nonsense",
        "no/such/photo.jpg",
    ],
    ids=repr,
)
def test_what_is_no_picture_is_a_data_error(predictor, image):
    with pytest.raises(DataError):
        predictor.predict(image)


def test_one_picture_where_a_list_belongs_says_what_to_call(predictor):
    for one in (str(ASTRONAUT), ASTRONAUT, b"bytes", 7, np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)):
        with pytest.raises(ConfigError, match="`predict` takes one picture"):
            predictor.predict_many(one)


def test_a_list_of_crops_is_as_good_as_an_array(predictor):
    faces = np.random.default_rng(0).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    np.testing.assert_array_equal(predictor.predict_crops(list(faces)), predictor.predict_crops(faces))
    assert predictor.predict_crops([]).shape == (0, 7)
    for wrong in ([faces[0], faces[1][:40]], 7, None):
        with pytest.raises(DataError, match=r"a list of such faces"):
            predictor.predict_crops(wrong)


def test_a_predictor_travels_to_another_process(predictor, net):
    copy = pickle.loads(pickle.dumps(predictor))
    assert same(copy.predict(ASTRONAUT)[0], predictor.predict(ASTRONAUT)[0])
    sized = pickle.loads(pickle.dumps(Predictor(net, CenterFace(size=320, threshold=0.7, threads=1), threads=1)))
    assert (sized.detector.size, sized.detector.threshold, sized.detector.threads) == (320, 0.7, 1)


def test_a_pale_crop_is_drawn_apart_and_its_photo_s_contrast_is_told(net):
    noise = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    pale = (120 + noise * 0.1).astype(np.uint8)
    (face,) = Predictor(net, detector="none").predict(pale)
    assert 40 < face.crop.std() < 48
    assert face.quality.contrast == pytest.approx(pale.std(), abs=0.1)
    (plain,) = Predictor(net, detector="none").predict(noise)
    np.testing.assert_array_equal(plain.crop, noise)
    (flat,) = Predictor(net, detector="none").predict(np.full((48, 48), 9, np.uint8))
    assert flat.crop.std() == 0
    assert not flat.usable


@pytest.mark.parametrize(
    "faces", [np.zeros((2, 48, 47), np.uint8), np.zeros((2, 48, 48), np.float32), np.zeros((48, 48), np.uint8)], ids=str
)
def test_crops_of_another_shape_or_type_say_the_rule(predictor, faces):
    with pytest.raises(DataError, match=r"uint8 \(N, 48, 48\)"):
        predictor.predict_crops(faces)


def test_models_that_do_not_fit_say_why(tmp_path):
    with pytest.raises(ModelError, match="no mien spec"):
        Predictor(write_net(tmp_path / "a.onnx", with_spec=False))
    with pytest.raises(ModelError, match=r"channels of b must be 1 \(grey\) or 3 \(RGB\), got 4"):
        Predictor(write_net(tmp_path / "b.onnx", ModelSpec("b", ("x", "y"), channels=4)))
    with pytest.raises(ModelError, match="7 numbers a face for 2 labels"):
        Predictor(write_net(tmp_path / "c.onnx", ModelSpec("c", ("x", "y")), outputs=7)).predict(ASTRONAUT)
    with pytest.raises(ModelError, match="'faces'"):
        Classifier(_renamed(tmp_path / "e.onnx"))
    (tmp_path / "d.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"d\.onnx"):
        Predictor(tmp_path / "d.onnx")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="mien export"):
        Predictor(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="no model 'nosuch'"):
        Predictor("nosuch")


def test_shipped_models_are_found_by_name_and_the_detector_is_none_of_them(monkeypatch, tmp_path):
    for name in ("centerface", DEFAULT_MODEL, "other"):
        write_net(tmp_path / f"{name}.onnx")
    monkeypatch.setattr("mien.runtime.classifier._WEIGHTS", tmp_path)
    assert list(shipped_models()) == [DEFAULT_MODEL, "other"]
    assert find_model(None) == tmp_path / f"{DEFAULT_MODEL}.onnx"
    assert find_model("other") == tmp_path / "other.onnx"
    with pytest.raises(ModelError, match=f"{DEFAULT_MODEL}, other"):
        find_model("centerface")


def test_accuracy_line_tells_what_was_measured():
    scores = {"PublicTest": {"accuracy": 0.6312, "n": 3589}, "Training": {"accuracy": 0.99, "n": 28709}}
    assert accuracy_line(ModelSpec("m", ("a",), scores=scores)) == "m: 63.1 % on PublicTest (n=3,589)"
    assert accuracy_line(ModelSpec("m", ("a",), scores={"mine": {"accuracy": 0.5}})) == "m: 50.0 % on mine"
    tests = {"PublicTest (majority)": {"accuracy": 0.8}, "PublicTest (majority), 10 views": {"accuracy": 0.9}}
    assert accuracy_line(ModelSpec("m", ("a",), scores=tests)) == "m: 80.0 % on PublicTest (majority)"
    assert accuracy_line(ModelSpec("m", ("a",))) == "m: its accuracy was never measured"


def test_lazy_names_of_the_package():
    assert mien.Predictor is Predictor
    with pytest.raises(AttributeError, match="nothing"):
        _ = mien.nothing


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_photo_or_a_data_error(data):
    _photo_or_data_error(data)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_photos_give_a_photo_or_a_data_error(data):
    raw = bytearray(_SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _photo_or_data_error(bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]))


@pytest.fixture(scope="module", autouse=True)
def _for_fuzzing(predictor):
    _FUZZED.append(predictor)
    yield
    _FUZZED.clear()


_FUZZED: list[Predictor] = []
_SMALL = cv2.imencode(".jpg", cv2.resize(cv2.imread(str(ASTRONAUT)), (64, 64)))[1].tobytes()


def _photo_or_data_error(data: bytes) -> None:
    with contextlib.suppress(DataError):
        assert isinstance(_FUZZED[0].predict(data), Photo)


class Fixed:
    """A detector that always finds the same boxes."""

    def __init__(self, *boxes):
        self.boxes = boxes

    def detect(self, image):
        return [Detection(box, 0.9) for box in self.boxes]


def _renamed(path: Path) -> Path:
    import onnx

    write_net(path, theta=None)
    model = onnx.load(path)
    model.graph.input[0].name = model.graph.node[0].input[0] = "x"
    onnx.save(model, path)
    return path


def test_a_list_of_labels_is_no_name_of_a_head():
    with pytest.raises(ModelError, match="labels must name a head"):
        Predictor(labels=["fer2013"])
