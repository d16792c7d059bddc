"""Image columns: what is recognised, how every kind of file decodes, and what is refused and why."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from luban.core.errors import DataError
from luban.features.base import ColumnProfile, FitContext
from luban.features.image import ImageConfig, ImageFeature, decode_image

MANY = 10**9


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flat(colour: Any, size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def noise(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def fitted(cells: Sequence[bytes | str | None], folder: Path | None = None, **settings: Any) -> ImageFeature:
    frame = pl.DataFrame({"photo": cells})
    return ImageFeature.fit("photo", ("photo",), frame, ImageConfig(**settings), FitContext(folder=folder))


def profile(cells: list[Any], folder: Path | None = None) -> ColumnProfile:
    return ColumnProfile("photo", pl.Series(cells), len(cells), 0, len(cells), folder)


@pytest.fixture(scope="module")
def feature() -> ImageFeature:
    return fitted([saved(noise(8, 8, seed)) for seed in range(4)])


class TestMatch:
    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
    def test_bytes_of_every_format(self, kind: str) -> None:
        assert ImageFeature.match(profile([saved(flat("red"), kind)] * 3)) > 0.9

    def test_paths_match_by_suffix_and_surer_where_files_are_there(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(saved(flat("red")))
        names_only = ImageFeature.match(profile(["a.PNG", "x/b.jpeg"]))
        assert 0.8 < names_only < ImageFeature.match(profile(["a.png", "x/b.jpeg"], tmp_path))

    def test_one_broken_cell_in_ten_does_not_hide_the_kind(self) -> None:
        assert ImageFeature.match(profile([saved(flat("red"))] * 9 + [b"junk"])) > 0.8

    @pytest.mark.parametrize(
        "cells",
        [
            ["good film", "bad film"],
            ["https://example.org/a.png"],
            [b"RIFF\0\0\0\0WAVE"],
            [1, 2],
            [],
        ],
    )
    def test_other_columns_do_not(self, cells: list[Any]) -> None:
        assert ImageFeature.match(profile(cells)) == 0


class TestFit:
    def test_common_square_size_and_grey(self) -> None:
        feature = fitted([saved(flat(level, (28, 28), "L")) for level in (0, 255)] + [None, None])
        assert (feature.size, feature.channels) == (28, 1)
        assert feature.mean == pytest.approx([0.5])
        assert feature.std == pytest.approx([0.5])
        assert feature.describe() == "images, 28 x 28, grey"

    def test_grey_stored_as_colour_is_grey(self) -> None:
        assert fitted([saved(flat((9, 9, 9))), saved(flat(200, mode="L"))]).channels == 1

    def test_one_coloured_image_makes_all_of_them_colour(self) -> None:
        feature = fitted([saved(flat(9, mode="L")), saved(flat((9, 9, 10)))])
        assert feature.channels == 3
        assert feature.describe() == "images, 8 x 8, colour"

    @pytest.mark.parametrize(("side", "expected"), [(10, 32), (50, 50), (400, 224)])
    def test_mixed_sizes_take_the_median_of_the_shorter_sides(self, side: int, expected: int) -> None:
        assert fitted([saved(flat("red", (side, side + 7))), saved(flat("red", (side + 9, side)))]).size == expected

    def test_settings_win(self) -> None:
        feature = fitted([saved(noise(20, 20))], size=12, channels=1)
        assert feature.spec().size == 1
        assert (feature.spec().height, feature.spec().width) == (12, 12)

    def test_mean_and_std_are_those_of_the_pixels(self) -> None:
        images = [noise(8, 8, seed) for seed in range(5)]
        pixels = np.stack([np.asarray(image) for image in images]) / 255
        feature = fitted([saved(image) for image in images])
        np.testing.assert_allclose(feature.mean, pixels.mean((0, 1, 2)))
        np.testing.assert_allclose(feature.std, pixels.std((0, 1, 2)))

    @pytest.mark.parametrize(("cells", "found"), [([b"junk"], "not a PNG"), ([None, None], "only missing cells")])
    def test_no_readable_image_raises(self, cells: list[bytes | None], found: str) -> None:
        frame = pl.DataFrame({"photo": cells}, schema={"photo": pl.Binary})
        with pytest.raises(
            DataError, match=rf"column 'photo': expected images, found none that can be read: .*{found}"
        ):
            ImageFeature.fit("photo", ("photo",), frame, ImageConfig(), FitContext())

    def test_two_channels_are_no_setting(self) -> None:
        with pytest.raises(ValidationError):
            ImageConfig.model_validate({"channels": 2})

    def test_state_survives_json(self, feature: ImageFeature) -> None:
        assert ImageFeature.from_state(json.loads(json.dumps(feature.state())), feature.files()) == feature


class TestDepth:
    """Pixels of 12 bits in files of 16, which would be nearly black by the range of the file."""

    LEVELS = np.linspace(100, 4_000, 64).round().astype(np.uint16).reshape(8, 8)

    def deep(self) -> ImageFeature:
        return fitted([saved(Image.fromarray(self.LEVELS)), saved(Image.fromarray(self.LEVELS.T.copy()))])

    def test_the_range_of_the_column_is_learned_told_and_kept(self) -> None:
        feature = self.deep()
        assert feature.ranges == {"16-bit": (100, 4_000)}
        assert feature.describe() == "images, 8 x 8, grey, 16-bit levels 100 to 4000 are black to white"
        kept = ImageFeature.from_state(json.loads(json.dumps(feature.state())), {})
        assert kept == feature
        stored = kept.encode(pl.DataFrame({"photo": [saved(Image.fromarray(self.LEVELS))]})).column.values[0, 0]
        np.testing.assert_array_equal(stored, np.round((self.LEVELS - 100.0) / 3_900 * 255))

    def test_a_state_without_ranges_is_that_of_an_earlier_version(self) -> None:
        state = fitted([saved(noise(8, 8))]).state()
        assert (state.pop("ranges"), state.pop("frames")) == ({}, 0)
        assert ImageFeature.from_state(json.loads(json.dumps(state)), {}).ranges == {}

    def test_pictures_of_8_bits_beside_them_keep_their_levels(self) -> None:
        plain = np.arange(64, dtype=np.uint8).reshape(8, 8)
        feature = fitted([saved(Image.fromarray(self.LEVELS)), saved(Image.fromarray(plain))])
        found = feature.encode(pl.DataFrame({"photo": [saved(Image.fromarray(plain))]})).column.values[0, 0]
        np.testing.assert_array_equal(found, plain)

    def test_several_frames_are_told(self) -> None:
        frames = [flat("red"), flat("blue")]
        moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
        told = fitted([moving, saved(frames[0]), saved(frames[0]), saved(frames[0])]).describe()
        assert told == "images, 8 x 8, colour, 25% of the files have several frames, of which the first is read"


class TestDecode:
    def test_png_pixels_are_exact(self) -> None:
        image = noise(16, 16)
        np.testing.assert_array_equal(decode_image(saved(image), 16, 3, MANY), np.asarray(image).transpose(2, 0, 1))

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (saved(flat(77, mode="L")), (77, 77, 77)),
            (saved(flat(1, mode="1")), (255, 255, 255)),
            (saved(flat((200, 0, 0, 0), mode="RGBA")), (255, 255, 255)),
            (saved(flat((0, 0, 0, 255), mode="RGBA")), (0, 0, 0)),
            (saved(flat((0, 128), mode="LA")), (127, 127, 127)),
            (saved(flat((10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE)), (10, 20, 30)),
            (saved(flat(0, mode="P"), transparency=0), (255, 255, 255)),
            (saved(Image.fromarray(np.full((8, 8), 0x80FF, np.uint16))), (128, 128, 128)),
            (saved(flat((0, 0, 0, 0), mode="CMYK"), "TIFF"), (255, 255, 255)),
            (saved(flat((0, 0, 255)), "GIF", save_all=True, append_images=[flat((255, 0, 0))]), (0, 0, 255)),
        ],
        ids=[
            "grey",
            "bits",
            "clear",
            "opaque",
            "half clear",
            "palette",
            "clear palette",
            "16 bits",
            "cmyk",
            "animated",
        ],
    )
    def test_every_mode_becomes_rgb(self, content: bytes, expected: tuple[int, int, int]) -> None:
        pixels = decode_image(content, 8, 3, MANY)
        assert pixels.dtype == np.uint8
        assert np.unique(pixels.reshape(3, -1), axis=1).T.tolist() == [list(expected)]

    def test_orientation_of_the_camera_is_applied(self) -> None:
        image = flat("black", (16, 16))
        image.paste("white", (0, 0, 16, 8))
        rotated = Image.Exif()
        rotated[0x0112] = 6  # the camera lay on its right side: turn by 90 degrees clockwise
        pixels = decode_image(saved(image, "JPEG", exif=rotated, quality=100), 16, 1, MANY)[0]
        assert pixels[:, 8:].min() > 200
        assert pixels[:, :8].max() < 50

    def test_wide_image_loses_its_ends(self) -> None:
        image = flat("red", (30, 10))
        image.paste("blue", (10, 0, 20, 10))
        assert decode_image(saved(image), 10, 3, MANY).reshape(3, -1).mean(1).tolist() == [0, 0, 255]

    def test_almost_square_image_is_kept_whole(self) -> None:
        image = flat("black", (22, 20))
        image.paste("white", (0, 0, 2, 20))
        assert decode_image(saved(image), 20, 1, MANY)[0, :, 0].min() > 200

    def test_shrinking_averages(self) -> None:
        checkers = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
        assert np.abs(decode_image(saved(checkers), 8, 1, MANY)[0, 1:-1, 1:-1] - 127.5).max() < 10

    def test_large_jpeg_shrinks_like_its_full_decoding(self, shared_data: Path) -> None:
        content = (shared_data / "bccd" / "images" / "BloodImage_00000.jpg").read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            reference = image.resize((64, 64), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
        difference = decode_image(content, 64, 3, MANY).astype(int) - np.asarray(reference).transpose(2, 0, 1)
        assert np.abs(difference).mean() < 2

    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24))
    @settings(max_examples=40, deadline=None)
    def test_any_size_to_any_size(self, width: int, height: int, size: int) -> None:
        pixels = decode_image(saved(flat((1, 2, 3), (width, height))), size, 3, MANY)
        assert np.unique(pixels.reshape(3, -1), axis=1).T.tolist() == [[1, 2, 3]]


class TestBadCells:
    @pytest.mark.parametrize(
        ("cell", "reason"),
        [
            (b"", r"the file is empty \(0 bytes\)"),
            (b"junk", "not a PNG, JPEG, GIF, WebP, BMP or TIFF image"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a PNG, JPEG, GIF, WebP, BMP or TIFF image"),
            (saved(noise(64, 64))[:2000], "cannot be decoded"),
            (saved(noise(64, 64), "JPEG")[:1000], "cannot be decoded"),
            (saved(flat("red", (200, 100))), "the image has 20,000 pixels, the limit is 10,000"),
            (saved(Image.new("F", (8, 8)), "TIFF"), "32-bit pixels of unknown range"),
            ("missing.png", "there is no file 'missing.png' in the folder of the data"),
            ("/etc/passwd", "'/etc/passwd' is an absolute path"),
            ("../outside.png", "'../outside.png' leaves the folder of the data"),
            ("link.png", "'link.png' is a link that leads out of the folder of the data"),
            ("loop.png", "no file|not a usable path"),
            ("nul\0.png", "not a usable path"),
            ("x" * 5000, "not a usable path"),
            (".", "there is no file"),
        ],
    )
    def test_reason_and_the_value_of_a_missing_image(self, tmp_path: Path, cell: bytes | str, reason: str) -> None:
        folder = tmp_path / "data"
        folder.mkdir()
        (tmp_path / "outside.png").write_bytes(saved(flat("red")))
        (folder / "link.png").symlink_to(tmp_path / "outside.png")
        (folder / "loop.png").symlink_to(folder / "loop.png")
        feature = fitted([saved(noise(8, 8))], max_pixels=10_000)
        encoded = feature.encode(pl.DataFrame({"photo": [cell, None]}, strict=False), folder)
        assert list(encoded.bad) == [0]
        assert pl.Series([encoded.bad[0]]).str.contains(reason).all(), encoded.bad[0]
        np.testing.assert_array_equal(encoded.column.values[0], encoded.column.values[1])

    def test_pillows_own_limit_is_a_reason_too(self, monkeypatch: pytest.MonkeyPatch, feature: ImageFeature) -> None:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        assert "the image has too many pixels" in feature.encode(pl.DataFrame({"photo": [saved(flat("red"))]})).bad[0]

    def test_image_without_pixels(self, feature: ImageFeature) -> None:
        content = bytearray(saved(flat("red"), "BMP"))
        content[18:26] = bytes(8)
        bad = feature.encode(pl.DataFrame({"photo": [bytes(content)]})).bad
        assert bad == {0: "the header of the image is damaged, or it has no pixels"}

    def test_path_without_a_folder(self, feature: ImageFeature) -> None:
        bad = feature.encode(pl.DataFrame({"photo": ["a.png"]})).bad
        assert bad == {0: "the cell holds the path 'a.png', but these data come from no folder"}

    def test_cell_of_another_type(self, feature: ImageFeature) -> None:
        bad = feature.encode(pl.DataFrame({"photo": [5]})).bad
        assert bad == {0: "expected the bytes of a file or a path, found int"}

    def test_too_large_a_file(self, monkeypatch: pytest.MonkeyPatch, feature: ImageFeature) -> None:
        monkeypatch.setattr("luban.data.media.cells.MAX_FILE_BYTES", 10)
        bad = feature.encode(pl.DataFrame({"photo": [b"x" * 11]})).bad
        assert bad == {0: "the file has 11 bytes, the limit is 10"}

    @given(
        st.binary(max_size=200),
        st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"\xff\xd8\xff"]),
    )
    @settings(max_examples=50, deadline=None)
    def test_no_bytes_make_it_raise(self, feature: ImageFeature, tail: bytes, magic: bytes) -> None:
        assert len(feature.encode(pl.DataFrame({"photo": [magic + tail]})).column) == 1


class TestEncode:
    def test_missing_cells_are_the_mean_colour(self, feature: ImageFeature) -> None:
        encoded = feature.encode(pl.DataFrame({"photo": [None, ""]}))
        assert not encoded.bad
        assert torch.as_tensor(feature.prepare(torch.from_numpy(encoded.column.values))).abs().max() < 0.01

    def test_prepare_normalises(self, feature: ImageFeature) -> None:
        pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (feature.mean, feature.std))
        torch.testing.assert_close(feature.prepare(pixels), (pixels / 255 - mean) / std)

    def test_threads_keep_every_row_in_its_place(self, tmp_path: Path) -> None:
        for level in range(100):
            (tmp_path / f"{level}.bmp").write_bytes(saved(flat(level, (40, 40), "L"), "BMP"))
        feature = fitted([f"{level}.bmp" for level in range(100)], tmp_path)
        encoded = feature.encode(pl.DataFrame({"photo": [f"{level}.bmp" for level in range(100)]}), tmp_path)
        assert encoded.column.values[:, 0, 5, 5].tolist() == list(range(100))

    def test_real_digits(self, shared_data: Path) -> None:
        frame = pl.read_parquet(shared_data / "mnist" / "test.parquet")
        feature = ImageFeature.fit("image", ("image",), frame, ImageConfig(), FitContext())
        encoded = feature.encode(frame)
        assert feature.describe() == "images, 28 x 28, grey"
        assert encoded.column.values.shape == (10_000, 1, 28, 28)
        assert feature.mean == pytest.approx([0.1325], abs=0.005)  # of the whole test set
        assert not encoded.bad

    def test_real_photographs_by_path(self, shared_data: Path) -> None:
        folder = shared_data / "bccd"
        frame = pl.read_csv(folder / "boxes.csv").select("image").unique(maintain_order=True).head(70)
        feature = ImageFeature.fit("image", ("image",), frame, ImageConfig(size=32), FitContext(folder=folder))
        encoded = feature.encode(frame, folder)
        assert ImageFeature.match(profile(frame["image"].to_list(), folder)) > 0.98
        assert encoded.column.values.shape == (70, 3, 32, 32)
        assert not encoded.bad


@pytest.mark.parametrize("channels", [1, 3])
def test_normalisation_is_that_of_all_pixels(channels: int) -> None:
    """Grey parts of a column are counted in one channel alone."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 6, 6, 3), np.uint8)
    pixels[:256] = pixels[:256, :, :, :1]
    cells = [saved(Image.fromarray(picture).convert("L" if channels == 1 else "RGB")) for picture in pixels]
    frame = pl.DataFrame({"image": cells})
    feature = ImageFeature.fit("image", ("image",), frame, ImageConfig(channels=channels), FitContext())
    found = feature.encode(frame).column.values / 255
    np.testing.assert_allclose(feature.mean, found.mean((0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(feature.std, found.std((0, 2, 3)), rtol=1e-9)
