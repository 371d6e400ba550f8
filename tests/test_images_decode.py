"""Pictures in every format that is read, damaged ones, gigantic ones, turned and transparent ones."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError
from mien.images import MAX_PIXELS, decode, dimensions, read_image

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)
COLOUR = (".png", ".jpg", ".webp", ".bmp", ".gif", ".tiff", ".ppm")


def encoded(suffix: str, image: np.ndarray) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def png(width: int, height: int) -> bytes:
    """A PNG header that claims a size, and nothing behind it."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("suffix", COLOUR)
def test_size_is_read_from_the_header_and_agrees_with_the_pixels(suffix):
    data = encoded(suffix, PHOTO)
    assert dimensions(data) == (13, 9)
    assert decode(data, "x", colour=True).shape == (9, 13, 3)
    assert decode(data, "x", colour=False).shape == (9, 13)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm"])
def test_lossless_formats_give_the_same_pixels(suffix):
    np.testing.assert_array_equal(decode(encoded(suffix, PHOTO), "x", colour=True), PHOTO)


def test_grey_pictures_stay_grey_and_become_colour():
    grey = PHOTO[..., 0]
    for suffix in (".png", ".pgm"):
        np.testing.assert_array_equal(decode(encoded(suffix, grey), "x", colour=False), grey)
        np.testing.assert_array_equal(decode(encoded(suffix, grey), "x", colour=True), np.dstack([grey] * 3))


def test_transparent_pixels_lie_on_white():
    alpha = np.zeros((9, 13, 1), np.uint8)
    alpha[:, 6:] = 255
    out = decode(encoded(".png", np.dstack([PHOTO, alpha])), "x", colour=True)
    assert (out[:, :6] == 255).all()
    np.testing.assert_array_equal(out[:, 6:], PHOTO[:, 6:])
    assert (decode(encoded(".png", np.dstack([PHOTO, alpha])), "x", colour=False)[:, :6] == 255).all()


def test_sixteen_bits_become_eight():
    deep = (PHOTO[..., 0].astype(np.uint16) * 257).astype(np.uint16)
    np.testing.assert_allclose(decode(encoded(".png", deep), "x", colour=False), PHOTO[..., 0], atol=1)


def test_exif_orientation_is_applied():
    jpeg = encoded(".jpg", PHOTO)
    tiff = b"II*\0\x08\0\0\0" + b"\x01\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff + jpeg[2:]
    upright = decode(jpeg, "x", colour=True)
    np.testing.assert_array_equal(decode(turned, "x", colour=True), cv2.rotate(upright, cv2.ROTATE_90_CLOCKWISE))


@pytest.mark.parametrize("size", [(50_000, 50_000), (2**31 - 1, 2), (1, MAX_PIXELS + 1)])
def test_gigantic_picture_is_refused_before_it_is_decoded(size, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", None)  # calling it would fail
    with pytest.raises(DataError, match="over the limit"):
        decode(png(*size), "bomb.png", colour=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (png(0, 5), "0 x 5"),
        (png(4, 4), "damaged"),
        (b"\xff\xd8\xff", "header is damaged"),
        (b"RIFF\0\0\0\0WAVEfmt ", "header is damaged"),
        (encoded(".png", PHOTO)[:60], "damaged"),
    ],
)
def test_what_is_no_picture_says_so_and_where(data, message):
    with pytest.raises(DataError, match=message) as caught:
        decode(data, "some/where.png", colour=True)
    assert str(caught.value).startswith("some/where.png: ")


def test_missing_file_and_folder_are_data_errors(tmp_path):
    for path in (tmp_path / "no.png", tmp_path, "nul\0byte.png"):
        with pytest.raises(DataError, match="cannot be read"):
            read_image(path, colour=True)


def test_name_outside_ascii_is_read(tmp_path):
    path = tmp_path / "Zoë 顔.png"
    path.write_bytes(encoded(".png", PHOTO))
    np.testing.assert_array_equal(read_image(path, colour=True), PHOTO)


@settings(deadline=None)
@given(st.sampled_from(COLOUR), st.data())
def test_damaged_bytes_are_decoded_or_refused(suffix, data):
    raw = bytearray(encoded(suffix, PHOTO))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        out = decode(bytes(raw), "x", colour=True)
    except DataError:
        return
    assert out.dtype == np.uint8
    assert out.ndim == 3
    assert out.shape[2] == 3
