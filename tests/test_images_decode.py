"""Pictures in every format that is read, damaged ones, gigantic ones, turned and transparent ones."""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from mien.errors import DataError
from mien.images import MAX_PIXELS, MAX_SIDE, decode, dimensions, read_image

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)
COLOUR = (".png", ".jpg", ".webp", ".avif", ".bmp", ".gif", ".tiff", ".ppm")


def encoded(suffix: str, image: np.ndarray) -> bytes:
    if suffix in (".avif", ".gif"):  # which OpenCV 4 does not write
        return saved(Image.fromarray(image[..., ::-1]), suffix[1:].upper())
    return cv2.imencode(suffix, image)[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int) -> bytes:
    """A PNG header that claims a size, and no pixels behind it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


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


def looked_at(data: bytes) -> np.ndarray:
    """The picture as Pillow shows it, on white, BGR: another implementation to agree with."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))[..., ::-1]


def saved(picture, kind: str, **how) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out.getvalue()


def blocks() -> np.ndarray:
    """Six large blocks of plain colour, so that lossy formats keep them: RGB ``(40, 60, 3)``."""
    colours = np.array([[(200, 40, 30), (40, 180, 60), (30, 60, 210)], [(90, 20, 10), (20, 90, 30), (15, 30, 110)]])
    return np.kron(colours, np.ones((20, 20, 1))).astype(np.uint8)


def close(got: np.ndarray, wanted: np.ndarray, off: int = 4) -> bool:
    return got.shape == wanted.shape and float(np.abs(got.astype(int) - wanted).mean()) <= off


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("clear", [False, True], ids=["opaque", "alpha"])
def test_exif_orientation_is_applied(kind, orientation, clear):
    if clear and kind == "JPEG":
        return  # has no alpha
    pixels = blocks()
    if clear:
        pixels = np.dstack([pixels, np.repeat([[0, 128, 255]], 20, axis=1).repeat(40, axis=0)]).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(pixels), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    assert close(decode(data, "x", colour=True), looked_at(data))


def test_cmyk_keeps_its_colours_in_jpeg_and_tiff():
    cmyk = Image.fromarray(blocks()).convert("CMYK")
    adobe = saved(cmyk, "JPEG", quality=95)
    assert b"Adobe" in adobe  # inverted values
    at = adobe.index(b"Adobe") - 4
    plain = adobe[:at] + adobe[at + 2 + int.from_bytes(adobe[at + 2 : at + 4], "big") :]  # without the mark
    for data in (adobe, saved(cmyk, "TIFF")):
        assert close(decode(data, "x", colour=True), blocks()[..., ::-1])
    assert decode(plain, "x", colour=True).shape == (40, 60, 3)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palettes_with_and_without_a_transparent_colour(kind):
    palette = Image.fromarray(blocks()).convert("P", palette=Image.Palette.ADAPTIVE)
    for how in ({}, {"transparency": palette.getpixel((5, 5))}):
        data = saved(palette, kind, **how)
        assert close(decode(data, "x", colour=True), looked_at(data), 1)
    assert (decode(data, "x", colour=True)[:20, :20] == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_black_and_white_grey_and_grey_with_alpha(kind, mode):
    data = saved(Image.fromarray(blocks()).convert(mode), kind)
    assert close(decode(data, "x", colour=True), looked_at(data), 1)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_read(kind):
    frames = [Image.fromarray(blocks()), Image.fromarray(255 - blocks())]
    how = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **how)
    assert close(decode(data, "x", colour=True), blocks()[..., ::-1], 4 if kind == "AVIF" else 1)


def test_a_progressive_jpeg_is_read_and_a_cut_one_refused():
    data = saved(Image.fromarray(blocks()), "JPEG", quality=95, progressive=True)
    assert b"\xff\xc2" in data
    assert close(decode(data, "x", colour=True), blocks()[..., ::-1])
    with pytest.raises(DataError, match="cut short"):
        decode(data[: len(data) * 2 // 3], "x", colour=True)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_in_colour_become_eight(suffix):
    deep = blocks()[..., ::-1].astype(np.uint16) * 257
    np.testing.assert_array_equal(decode(encoded(suffix, deep), "x", colour=True), blocks()[..., ::-1])


def test_sixteen_bits_with_alpha_lie_on_white():
    alpha = np.full((40, 60, 1), 65535, np.uint16)
    alpha[:, :20] = 0
    deep = np.dstack([blocks()[..., ::-1].astype(np.uint16) * 257, alpha])
    out = decode(encoded(".png", deep), "x", colour=True)
    assert (out[:, :20] == 255).all()
    np.testing.assert_array_equal(out[:, 20:], blocks()[:, 20:, ::-1])


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (5000, 3), (2, 1)])
def test_tiny_and_narrow_pictures_keep_their_pixels(size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    np.testing.assert_array_equal(decode(encoded(".png", pixels), "x", colour=True), pixels)


def test_a_large_transparent_picture_takes_little_more_memory_than_its_pixels():
    pixels = np.zeros((1500, 2000, 4), np.uint8)  # 3 million pixels, 12 MB
    data = encoded(".png", pixels)
    tracemalloc.start()
    out = decode(data, "x", colour=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (out[::250, ::250] == 255).all()
    assert peak < 5 * out.nbytes  # what numpy holds: pixels with alpha and its steps, never floats of them


def test_tiff_of_32_bits_says_what_it_may_be():
    with pytest.raises(DataError, match="32 bits"):
        decode(saved(Image.fromarray(blocks()).convert("F"), "TIFF"), "x", colour=True)


@pytest.mark.parametrize(
    "size", [(50_000, 50_000), (2**31 - 1, 2), (1, MAX_PIXELS + 1), (1, MAX_PIXELS), (MAX_SIDE + 1, 1)]
)
def test_gigantic_picture_is_refused_before_it_is_decoded(size, monkeypatch):
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)  # calling it would fail
    with pytest.raises(DataError, match="over the limit"):
        decode(png(*size), "bomb.png", colour=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (png(0, 5), "header is damaged"),
        (png(4, 4), "cut short"),
        (b"\xff\xd8\xff", "header is damaged"),
        (b"RIFF\0\0\0\0WAVEfmt ", "header is damaged"),
        (encoded(".png", PHOTO)[:60], "cut short"),
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


def test_heic_is_read_with_the_extra_and_named_without(monkeypatch):
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(blocks())).save(buffer, quality=90)
    assert close(decode(buffer.getvalue(), "x", colour=True), blocks()[..., ::-1])
    monkeypatch.setattr("mien.decoding.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install pillow-heif"):
        decode(buffer.getvalue(), "x.heic", colour=True)


def test_a_video_is_no_heic():
    with pytest.raises(DataError, match="not a picture"):
        decode(struct.pack(">I", 24) + b"ftypisom\0\0\0\0isommp42" + bytes(100), "x", colour=True)


@pytest.mark.parametrize("white", [1, 100, 254, 300, 65534])
@pytest.mark.parametrize("kind", [b"P5", b"P6"])
def test_pnm_whose_white_is_any_number(kind, white):
    shape = (40, 60, 3)[: 3 if kind == b"P6" else 2]
    values = np.random.default_rng(0).integers(0, white + 1, shape)
    data = kind + b" 60 40 %d\n" % white + values.astype(">u2" if white > 255 else "u1").tobytes()
    wanted = (
        np.round(values * 255 / white)[..., ::-1] if kind == b"P6" else np.dstack([np.round(values * 255 / white)] * 3)
    )
    np.testing.assert_array_equal(decode(data, "x", colour=True), wanted)
    with pytest.raises(DataError):
        decode(data[:-1], "x", colour=True)


def test_text_pnm_is_read_up_to_a_million_pixels():
    assert decode(b"P2\n# words\n2 1\n100\n0 50", "x", colour=False).tolist() == [[0, 128]]
    with pytest.raises(DataError, match="as text are too many"):
        decode(b"P2 1001 1000 255\n0 0", "x", colour=False)


def test_a_chunk_of_four_gigabytes_is_refused_without_reading_it():
    data = encoded(".png", PHOTO)
    at = data.index(b"IDAT") - 4
    lying = data[:at] + struct.pack(">I", 0xFFFFFFF0) + b"zTXt" + data[at:]
    tracemalloc.start()
    with pytest.raises(DataError):
        decode(lying, "x", colour=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def tiff_with(data: bytes, *entries: bytes) -> bytes:
    """A TIFF whose directory is written anew, with ``entries`` behind its own of the same tags."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    own = [data[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    new = sorted([*own, *entries], key=lambda entry: entry[:2][::-1])
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + struct.pack("<H", len(new)) + b"".join(new) + bytes(4)


@pytest.mark.parametrize("before", [True, False])
def test_a_tag_that_stands_twice_cannot_pass_the_check_of_size(before):
    """Whichever of the two values is believed, no more pixels than the limit come out."""
    small = saved(Image.fromarray(blocks()), "TIFF", compression="tiff_lzw")
    long = {256: 12_000, 257: 12_000}
    lies = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in long.items()]
    data = tiff_with(small, *lies)
    if before:  # the lie first
        for tag in long:
            one = struct.pack("<HHII", tag, 4, 1, long[tag])
            at = data.index(one)
            data = data[: at - 12] + one + data[at - 12 : at] + data[at + 12 :]
    try:
        out = decode(data, "x", colour=True, max_pixels=5000)
    except DataError:
        return
    assert out.size <= 3 * 5000


def test_a_tiff_cut_anywhere_is_refused():
    data = saved(Image.fromarray(blocks()).convert("RGBA"), "TIFF")
    (at,) = struct.unpack_from("<I", data, 4)
    for end in range(at, at + 2 + 12 * 16):
        try:
            decode(data[:end], "x", colour=True)
        except DataError:
            continue


@pytest.mark.parametrize(("kind", "form"), [("JPEG", ">HH"), ("AVIF", ">II"), ("TIFF", "")])
def test_a_header_that_claims_more_than_its_bytes_can_hold_is_refused(kind, form, monkeypatch):
    data = saved(Image.fromarray(blocks()), kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    if kind == "TIFF":
        for tag, true in ((256, 60), (257, 40)):
            data = data.replace(struct.pack("<HHIHH", tag, 3, 1, true, 0), struct.pack("<HHII", tag, 4, 1, 9000))
            data = data.replace(struct.pack("<HHII", tag, 4, 1, true), struct.pack("<HHII", tag, 4, 1, 9000))
    else:
        true = (60, 40) if kind == "AVIF" else (40, 60)
        data = data.replace(struct.pack(form, *true), struct.pack(form, 9000, 9000))
    assert dimensions(data) == (9000, 9000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)  # calling it would fail
    with pytest.raises(DataError, match=r"claims 9000 x 9000 pixels in [0-9,]+ bytes"):
        decode(data, "x", colour=False)


def test_a_large_jpeg_is_decoded_smaller_where_less_is_enough():
    big = cv2.resize(blocks(), (1600, 1200), interpolation=cv2.INTER_CUBIC)
    data = saved(Image.fromarray(big), "JPEG", quality=95)
    assert decode(data, "x", colour=True, enough=1200).shape == (1200, 1600, 3)
    half = decode(data, "x", colour=True, enough=400)
    assert half.shape == (600, 800, 3)
    assert close(half, cv2.resize(big, (800, 600), interpolation=cv2.INTER_AREA)[..., ::-1], 2)
    assert decode(encoded(".png", PHOTO), "x", colour=True, enough=2).shape == PHOTO.shape


def test_grey_is_made_by_one_rule_whatever_the_format():
    for suffix in (".png", ".jpg", ".bmp", ".webp"):
        data = encoded(suffix, blocks())
        colour = decode(data, "x", colour=True)
        np.testing.assert_array_equal(decode(data, "x", colour=False), cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))


def test_warnings_of_pillow_stay_inside_and_filters_as_they_were():
    import warnings

    data = saved(Image.fromarray(blocks()), "TIFF")
    before = list(warnings.filters)
    for end in range(8, len(data), 97):
        with contextlib.suppress(DataError):
            decode(data[:end], "x", colour=True)
    assert list(warnings.filters) == before


def test_mutated_pictures_of_every_format_are_read_or_refused_in_silence(monkeypatch, capfd):
    """A small piece of ``bench.images.hostile``, which takes twenty thousand and measures time and memory."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    mutations = importlib.import_module("bench.images.mutations")
    base = mutations.originals()
    assert {name.split("-")[0] for name in base} >= {"png", "jpeg", "webp", "avif", "gif", "bmp", "tiff", "ppm"}
    for i, data in enumerate(list(base.values()) * 12):
        rng = np.random.default_rng((7, i))
        with contextlib.suppress(DataError):
            out = decode(mutations.mutated(data, (72, 56), rng)[1], "x", colour=True)
            assert out.dtype == np.uint8
    said = capfd.readouterr().err.splitlines()
    # libavif, which Pillow 11 holds, names what it meets in the stream itself
    assert [line for line in said if PIL.__version__ >= "12" or "OBU" not in line] == []
