"""The decoder of pictures: what each kind of file becomes, what is refused and why, and that nothing else leaves it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from luban.data.media.formats import format_of, kind_by_name, kind_of
from luban.data.media.pictures import decode, levels_of, look
from luban.data.media.unreadable import UnreadableCellError
from luban.features.levels import see

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF")
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 16, 3)).astype(np.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_16_bits(levels: npt.NDArray[np.integer]) -> bytes:
    """Return levels (H, W, 1 to 4) as a PNG of 16 bits a channel; Pillow writes none in colour."""
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff_of_16_bits(levels: npt.NDArray[np.integer], order: str) -> bytes:
    """Return levels (H, W, 3) as a TIFF of 16 bits a channel in one strip. order: of the bytes, `<` or `>`."""
    height, width, _ = levels.shape
    data = levels.astype(f"{order}u2").tobytes()
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8 + len(data)), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    bits = struct.pack(order + "3H", 16, 16, 16)
    folder = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        small = kind == 3 and count == 1
        folder += struct.pack(order + "HHI", tag, kind, count)
        folder += struct.pack(order + ("HH" if small else "I"), *((value, 0) if small else (value,)))
    start = b"II*\0" if order == "<" else b"MM\0*"
    return start + struct.pack(order + "I", 8 + len(data) + len(bits)) + data + bits + folder + bytes(4)


class TestFormats:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_pictures_are_known_by_their_content(self, kind: str) -> None:
        content = saved(Image.fromarray(PIXELS), kind)
        assert (kind_of(content), format_of(content)) == ("image", kind)
        assert look(content).size == (16, 12)

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
            (b"\xc5\xd0\xd3\xc6" + bytes(40), "EPS"),
            (b"%PDF-1.7\n", "PDF"),
            (b"8BPS\0\1" + bytes(40), "PSD"),
            (saved(Image.new("RGB", (64, 64)), "ICNS"), "ICNS"),
            (saved(Image.new("RGB", (16, 16)), "ICO"), "ICO"),
            (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
            (b"\xef\xbb\xbf <SVG/>", "SVG"),
            (b"\n<!DOCTYPE html><html>not found</html>", "HTML"),
            (b"\0\0\0\x18ftypheic" + bytes(20), "HEIC"),
            (b"\0\0\0\x18ftypavif" + bytes(20), "AVIF"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
            (bytes(128) + b"DICM", "DICOM"),
            (b"fLaC" + bytes(40), "FLAC"),
        ],
    )
    def test_what_is_no_picture_is_called_by_its_name(self, content: bytes, name: str) -> None:
        with pytest.raises(UnreadableCellError) as raised:
            decode(content, "RGB")
        assert str(raised.value) == f"the file is {name}, not a PNG, JPEG, GIF, WebP, BMP or TIFF image"

    @pytest.mark.parametrize("content", [b"P6 4 4 255\n" + bytes(48), b"BM is how this text begins", b"\0" * 64])
    def test_what_nobody_knows_is_foreign(self, content: bytes) -> None:
        assert kind_of(content) is None
        with pytest.raises(UnreadableCellError, match="the file is not a PNG, JPEG, GIF, WebP, BMP or TIFF image"):
            decode(content, "RGB")

    @pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "b/c.jpeg", "x.tif", "x.dib"])
    def test_suffixes(self, name: str) -> None:
        assert kind_by_name(name) == "image"

    def test_an_eps_file_starts_no_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = tmp_path / "gs"
        script.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(UnreadableCellError, match="the file is EPS"):
            decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "RGB")
        assert not (tmp_path / "started").exists()


class TestLimits:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_the_size_is_checked_before_a_pixel_is_decoded(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        content = saved(Image.new("RGB", (300, 200)), kind)
        monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
        with pytest.raises(UnreadableCellError, match="the image has 60,000 pixels, the limit is 59,999"):
            decode(content, "RGB", 59_999)

    @pytest.mark.parametrize(("width", "height"), [(2**31 - 1, 1), (30_000, 30_000), (12_000, 10_000)])
    def test_a_header_that_promises_too_much(self, width: int, height: int) -> None:
        content = bytearray(saved(Image.new("L", (8, 8))))
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        with pytest.raises(UnreadableCellError, match="pixels, the limit is 64,000,000"):
            decode(bytes(content), "L")

    def test_no_pixels(self) -> None:
        content = bytearray(saved(Image.new("L", (8, 8))))
        content[16:24] = bytes(8)
        content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
        with pytest.raises(UnreadableCellError):
            decode(bytes(content), "L")


class TestValues:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
    def test_pixels_are_exact(self, kind: str) -> None:
        np.testing.assert_array_equal(np.asarray(decode(saved(Image.fromarray(PIXELS), kind), None)), PIXELS)

    @pytest.mark.parametrize(
        ("image", "kind", "options", "expected"),
        [
            (Image.new("1", (4, 4), 1), "PNG", {}, ("L", 255)),
            (Image.new("1", (4, 4), 0), "TIFF", {"compression": "group4"}, ("L", 0)),
            (Image.new("L", (4, 4), 77), "JPEG", {"quality": 100}, ("L", 77)),
            (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), "TIFF", {}, ("RGB", (255, 0, 0))),
            (Image.new("LA", (4, 4), (0, 0)), "PNG", {}, ("L", 255)),
            (Image.new("RGBA", (4, 4), (200, 0, 0, 0)), "WEBP", {"lossless": True}, ("RGB", (255, 255, 255))),
            (Image.new("P", (4, 4), 0), "PNG", {"transparency": b"\x00"}, ("RGB", (255, 255, 255))),
            (Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", {"transparency": (1, 2, 3)}, ("RGB", (255, 255, 255))),
            (Image.new("I;16", (4, 4), 0x80FF), "PNG", {}, ("L", 0x80)),
        ],
        ids=["1 bit", "fax", "grey", "cmyk", "clear grey", "clear", "clear palette", "clear colour", "16 bits"],
    )
    def test_every_mode(self, image: Image.Image, kind: str, options: dict[str, Any], expected: Any) -> None:
        found = decode(saved(image, kind, **options), None)
        assert (found.mode, found.getpixel((1, 1))) == expected

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("deep", [False, True])
    def test_the_camera_may_lie_on_its_side(self, kind: str, deep: bool) -> None:
        if deep and kind not in ("PNG", "TIFF"):
            return
        tags = Image.Exif()
        tags[0x0112] = 6  # turn by 90 degrees clockwise
        pixels = np.zeros((4, 8), np.uint16 if deep else np.uint8)
        pixels[:, :4] = 65_535 if deep else 255
        found = np.asarray(decode(saved(Image.fromarray(pixels), kind, exif=tags), "L"))
        assert found.shape == (8, 4)
        assert found[:3].min() > 200
        assert found[5:].max() < 50

    @pytest.mark.parametrize("orientation", range(10))
    def test_every_orientation_is_as_pillow_turns_it(self, orientation: int) -> None:
        tags = Image.Exif()
        tags[0x0112] = orientation
        content = saved(Image.fromarray(PIXELS), "PNG", exif=tags)
        reference = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        np.testing.assert_array_equal(np.asarray(decode(content, "RGB")), np.asarray(reference))

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
    def test_the_first_of_several_frames(self, kind: str) -> None:
        frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert look(content).has_frames
        assert np.abs(np.array(decode(content, "RGB").getpixel((4, 4))) - (255, 0, 0)).max() < 4
        assert see([content, saved(frames[0])], None, 10**6).frames == 0.5

    def test_a_damaged_tag_does_not_cost_the_picture(self, recwarn: pytest.WarningsRecorder) -> None:
        content = saved(Image.fromarray(PIXELS), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12")
        assert decode(content, "RGB").size == (16, 12)
        assert not recwarn.list


class TestDepth:
    @pytest.mark.parametrize("bits", [8, 10, 12, 16])
    def test_the_range_of_the_column_is_black_to_white(self, bits: int) -> None:
        levels = np.linspace(0, 2**bits - 1, 256).round().astype(np.uint16).reshape(16, 16)
        for content in (saved(Image.fromarray(levels)), saved(Image.fromarray(levels), "TIFF")):
            ranges = see([content], None, 10**6).ranges
            assert ranges == {"16-bit": (0, 2**bits - 1)}
            np.testing.assert_array_equal(np.asarray(decode(content, "L", ranges=ranges)).ravel(), np.arange(256))

    @pytest.mark.parametrize("channels", [3, 4])
    def test_colours_of_16_bits(self, channels: int) -> None:
        levels = RNG.integers(0, 4096, (5, 7, channels))
        content = png_of_16_bits(levels)
        np.testing.assert_array_equal(levels_of(content), levels[..., :3])
        if channels == 3:
            pixels = np.asarray(decode(content, None, ranges={"16-bit": (0, 4095)}))
            np.testing.assert_array_equal(pixels, np.round(levels / 4095 * 255))

    def test_transparency_of_16_bits_is_laid_on_white(self) -> None:
        levels = np.full((2, 2, 4), 1000)
        levels[0, :, 3], levels[1, :, 3] = 0, 65_535
        pixels = np.asarray(decode(png_of_16_bits(levels), "RGB", ranges={"16-bit": (0, 1000)}))
        assert pixels.tolist() == np.full((2, 2, 3), 255).tolist()
        black = np.asarray(decode(png_of_16_bits(levels), "RGB", ranges={"16-bit": (1000, 2000)}))
        assert black[:, 0, 0].tolist() == [255, 0]

    def test_grey_of_16_bits_with_transparency(self) -> None:
        levels = RNG.integers(0, 65_536, (5, 7, 2))
        np.testing.assert_array_equal(levels_of(png_of_16_bits(levels)), levels[..., [0, 0, 0]])
        pixels = np.asarray(decode(png_of_16_bits(np.array([[[5, 65_535], [5, 0]]])), "L", ranges={"16-bit": (5, 9)}))
        assert pixels.tolist() == [[0, 255]]

    @pytest.mark.parametrize("order", ["<", ">"])
    def test_colours_of_16_bits_in_a_tiff(self, order: str) -> None:
        levels = RNG.integers(0, 65_536, (5, 7, 3))
        np.testing.assert_array_equal(levels_of(tiff_of_16_bits(levels, order)), levels)

    def test_white_may_be_zero(self) -> None:
        levels = np.array([[0, 100], [65_535, 7]], np.uint16)
        content = saved(Image.fromarray(levels), "TIFF", tiffinfo={262: 0})
        np.testing.assert_array_equal(levels_of(content), 65_535 - levels.astype(int))

    def test_numbers_of_32_bits_need_the_range_of_a_column(self) -> None:
        levels = np.array([[0.5, 1.0], [np.nan, 0.75]], np.float32)
        content = saved(Image.fromarray(levels), "TIFF")
        with pytest.raises(UnreadableCellError, match="32-bit pixels of unknown range"):
            decode(content, "L")
        ranges = see([content], None, 10**6).ranges
        assert ranges == {"float": (0.5, 1.0)}
        assert np.asarray(decode(content, "L", ranges=ranges)).tolist() == [[0, 255], [0, 128]]
        whole = saved(Image.fromarray(np.array([[-1000, 3000]], np.int32)), "TIFF")
        assert see([whole], None, 10**6).ranges == {"32-bit": (-1000, 3000)}

    def test_single_hot_pixels_do_not_make_the_rest_dark(self) -> None:
        levels = RNG.integers(0, 4096, (100, 100)).astype(np.uint16)
        levels[3, 4] = 65_535
        low, high = see([saved(Image.fromarray(levels))], None, 10**6).ranges["16-bit"]
        assert low < 50
        assert 4000 < high <= 4096

    def test_a_depth_that_was_not_trained_on_is_not_taken_for_black(self) -> None:
        full = saved(Image.fromarray(np.array([[0, 256, 65_535]], np.uint16)))
        assert np.asarray(decode(full, "L")).tolist() == [[0, 1, 255]]
        assert decode(saved(Image.new("I;16", (2, 2))), "L").getpixel((0, 0)) == 0
        with pytest.raises(
            UnreadableCellError, match="levels of 16 bits up to 4,095, and no such image was trained on"
        ):
            decode(saved(Image.fromarray(np.array([[0, 4095]], np.uint16))), "L")

    def test_levels_beyond_the_range_are_black_or_white(self) -> None:
        content = saved(Image.fromarray(np.array([[0, 500, 60_000]], np.uint16)))
        assert np.asarray(decode(content, "L", ranges={"16-bit": (400, 600)})).tolist() == [[0, 128, 255]]


SAMPLES = [
    *(saved(Image.fromarray(PIXELS), kind) for kind in FORMATS),
    saved(Image.fromarray(PIXELS).convert("P"), "PNG", transparency=3),
    saved(Image.fromarray(PIXELS), "TIFF", compression="tiff_lzw"),
    saved(Image.fromarray(PIXELS), "JPEG", progressive=True),
    saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 3), "TIFF"),
    saved(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 3)),
    png_of_16_bits(PIXELS),
    saved(Image.new("RGB", (9, 9)), "GIF", save_all=True, append_images=[Image.new("RGB", (9, 9), "red")]),
]


def checked(content: bytes) -> None:
    """Decode, and let nothing pass but a picture of 8 bits or the one error, with a reason of one short line."""
    for read in (lambda: decode(content, None, 10**6, draft=8), lambda: look(content, 10**6)):
        reason = ""
        try:
            found = read()
        except UnreadableCellError as error:
            reason = str(error)
            assert reason
        else:
            assert not isinstance(found, Image.Image) or found.mode in ("L", "RGB")
        assert len(reason) < 300
        assert "\n" not in reason
        assert " at 0x" not in reason


@given(st.sampled_from(SAMPLES), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_files_that_are_cut_off(content: bytes, share: float) -> None:
    checked(content[: int(share * len(content))])


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 7)), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_files_with_changed_bits(content: bytes, flips: list[tuple[float, int]]) -> None:
    changed = bytearray(content)
    for share, bit in flips:
        changed[int(share * len(changed))] ^= 1 << bit
    checked(bytes(changed))


@given(st.sampled_from([content[:12] for content in SAMPLES]), st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_bytes_of_no_meaning_behind_a_true_beginning(start: bytes, rest: bytes) -> None:
    checked(start + rest)
