"""Augmentation: each function against the plain way of doing it, and the same images from the same seed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from luban.core.errors import ConfigError
from luban.training.augment import AugmentConfig, augment, flip, random_crop, random_cutout, random_flip, shift

ALL = AugmentConfig(flip=True, crop=3, cutout=4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=[torch.uint8, torch.float32])
def images(request: pytest.FixtureRequest) -> Tensor:
    pixels = torch.randint(1, 256, (16, 3, 12, 10), generator=seeded(9))
    return pixels.to(request.param)


def test_same_seed_same_images(images: Tensor) -> None:
    torch.testing.assert_close(augment(images, ALL, seeded()), augment(images, ALL, seeded()))
    assert not torch.equal(augment(images, ALL, seeded(0)), augment(images, ALL, seeded(1)))


def test_shape_and_dtype_stay_and_the_input_is_left_alone(images: Tensor) -> None:
    before = images.clone()
    found = augment(images, ALL, seeded())
    assert (found.shape, found.dtype) == (images.shape, images.dtype)
    torch.testing.assert_close(images, before)


def test_nothing_asked_for_changes_nothing(images: Tensor) -> None:
    assert augment(images, AugmentConfig(), seeded()) is images


def test_flipping_twice_gives_the_images_back(images: Tensor) -> None:
    chosen = torch.arange(16) % 2 == 0
    torch.testing.assert_close(flip(flip(images, chosen), chosen), images)


def test_each_image_is_flipped_whole_or_not_at_all(images: Tensor) -> None:
    flipped = [torch.equal(new, old.flip(-1)) for new, old in zip(random_flip(images, seeded()), images, strict=True)]
    kept = [torch.equal(new, old) for new, old in zip(random_flip(images, seeded()), images, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 2 < sum(flipped) < 14


@pytest.mark.parametrize("pixels", [1, 4, 9])
def test_shift_equals_reflect_padding_and_slicing(images: Tensor, pixels: int) -> None:
    shifts = torch.randint(-pixels, pixels + 1, (16, 2), generator=seeded())
    padded = functional.pad(images.float(), [pixels] * 4, mode="reflect").to(images.dtype)
    expected = torch.stack(
        [
            image[:, pixels + down : pixels + down + 12, pixels + right : pixels + right + 10]
            for image, (down, right) in zip(padded, shifts.tolist(), strict=True)
        ]
    )
    torch.testing.assert_close(shift(images, shifts), expected)


def test_each_image_has_its_own_crop(images: Tensor) -> None:
    same = images[:1].expand(16, -1, -1, -1)
    assert len({tuple(image.flatten().tolist()) for image in random_crop(same, 4, seeded())}) > 8


def test_crop_as_large_as_the_image_raises(images: Tensor) -> None:
    message = r"train.augment.crop: expected fewer pixels than the images have \(12 x 10\), found 10. Choose about an"
    with pytest.raises(ConfigError, match=message):
        augment(images, AugmentConfig(crop=10), seeded())


def test_cutout_blanks_one_square_in_all_channels(images: Tensor) -> None:
    blank = random_cutout(images, 4, seeded()) == 0
    assert (blank == blank[:, :1]).all()
    for mask in blank[:, 0]:
        height, width = int(mask.any(1).sum()), int(mask.any(0).sum())
        assert int(mask.sum()) == height * width
        assert 2 <= min(height, width) <= max(height, width) <= 4
