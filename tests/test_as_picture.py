"""A picture in whatever form people have it becomes the same pixels, or one line says how to make it so."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError
from mien.images import MAX_BYTES, as_picture

RGB = np.random.default_rng(1).integers(0, 256, (8, 12, 3)).astype(np.uint8)
BGR = RGB[..., ::-1]


def png(picture: Image.Image, **how: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG", **how)
    return out.getvalue()


PNG = png(Image.fromarray(RGB))


@pytest.mark.parametrize(
    "form", ["path", "text", "bytes", "view", "file", "memory", "read to its end", "pillow", "array"]
)
def test_the_same_pixels_from_every_form(form, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    ended = io.BytesIO(PNG)
    ended.read()
    with path.open("rb") as file:
        given = {
            "path": path,
            "text": str(path),
            "bytes": PNG,
            "view": memoryview(PNG),
            "file": file,
            "memory": io.BytesIO(PNG),
            "read to its end": ended,
            "pillow": Image.fromarray(RGB),
            "array": BGR,
        }[form]
        out = as_picture(given)
    np.testing.assert_array_equal(out, BGR)
    assert out.flags.c_contiguous


def test_a_stream_that_cannot_go_back_is_read_on():
    class Body:
        def read(self, count: int) -> bytes:
            return PNG[:count]

    np.testing.assert_array_equal(as_picture(Body()), BGR)


def test_pillow_images_are_turned_as_exif_says_and_of_any_mode():
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = Image.open(io.BytesIO(png(Image.fromarray(RGB), exif=exif)))
    np.testing.assert_array_equal(as_picture(opened), np.rot90(BGR, -1))
    grey = Image.fromarray(RGB[..., 0])
    np.testing.assert_array_equal(as_picture(grey), np.dstack([RGB[..., 0]] * 3))
    for mode in ("1", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LA", "PA"):
        assert as_picture(Image.fromarray(RGB).convert(mode)).shape == (8, 12, 3)
    with pytest.raises(DataError, match="32 bits"):
        as_picture(grey.convert("F"))


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 1)])
def test_grey_arrays_get_three_channels(shape):
    np.testing.assert_array_equal(as_picture(RGB[..., 0].reshape(shape)), np.dstack([RGB[..., 0]] * 3))


class Tensor:
    """What a tensor of any framework has, and no framework."""

    shape, dtype = (3, 8, 12), "float32"

    def __array__(self, dtype=None, copy=None):
        return np.asarray(RGB.transpose(2, 0, 1) / 255, dtype)

    def __mul__(self, factor):
        return np.asarray(self) * factor


class Upload:
    """What a web framework hands over, with a ``read`` that is asynchronous."""

    async def read(self, size=-1):
        return PNG


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        (RGB / 255, r"\(image \* 255\).astype\('uint8'\), if 1 is white"),
        (RGB.astype(np.float32), r": image.astype\('uint8'\), if 255 is white"),
        (RGB.astype(np.int64), r": image.astype\('uint8'\), if 255 is white"),
        (RGB.astype(np.uint16) * 257, "image // 256"),
        (RGB / 255 - 2, "must be uint8, 0..255, got float64"),
        (np.zeros((8, 12, 4), np.uint8), "COLOR_BGRA2BGR"),
        (np.zeros((0, 12, 3), np.uint8), "not empty"),
        (np.zeros((2, 8, 12, 3), np.uint8), "predict_many takes several"),
        (RGB.transpose(2, 0, 1), r"image.transpose\(1, 2, 0\)"),
        ("https://example.org/a.jpg", "an address, not a file"),
        ("data:image/png;base64,AAAA", "an address, not a file"),
        (Upload(), "await upload.read"),
        (Tensor(), r"transpose\(1, 2, 0\)"),
        (None, "got NoneType; cv2.imread"),
        (7, "got int"),
        (io.StringIO("x"), "mode 'rb'"),
    ],
)
def test_what_is_no_picture_is_told_the_remedy_in_one_line(image, remedy):
    with pytest.raises(DataError, match=remedy) as caught:
        as_picture(image)
    assert "\n" not in str(caught.value)


def test_the_remedy_for_tensors_works():
    x = Tensor()
    made = np.asarray(x * 255, "uint8").transpose(1, 2, 0)[..., ::-1]
    np.testing.assert_allclose(as_picture(made), BGR, atol=1)


def test_the_limit_on_pixels_holds_for_every_form(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    for image in (path, PNG, io.BytesIO(PNG), Image.fromarray(RGB)):
        with pytest.raises(DataError, match="12 x 8 pixels are over the limit of 50"):
            as_picture(image, max_pixels=50)


def test_files_over_the_limit_are_not_read_to_their_end(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.images.MAX_BYTES", 100)
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    for image in (path, io.BytesIO(PNG)):
        with pytest.raises(DataError, match="larger than"):
            as_picture(image)


def test_a_file_over_the_limit_is_refused_by_its_size_alone(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole, which takes no room
    tracemalloc.start()
    with pytest.raises(DataError, match="larger than 256 MiB"):
        as_picture(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_files_that_are_closed_or_opened_as_text_say_so(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        pass
    with pytest.raises(DataError, match="closed file"):
        as_picture(file)
    with path.open(encoding="utf-8") as text, pytest.raises(DataError, match="mode 'rb'"):
        as_picture(text)


def test_an_opened_pillow_image_whose_pixels_are_not_read_yet(tmp_path):
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 2 1 100\n" + bytes([100, 50, 0, 0, 0, 100]))
    with Image.open(path) as picture:
        assert as_picture(picture).tolist() == [[[0, 128, 255], [255, 0, 0]]]
