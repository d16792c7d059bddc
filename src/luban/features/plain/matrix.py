"""All plain features of a table side by side, as a linear model takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from luban.features.image import Pixels
from luban.features.plain.columns import FITTERS, Matrix, Transform
from luban.features.plain.image import PlainImages, fit_images

Images = Mapping[str, Pixels]  # by input name: (rows, C, H, W)
SPARSE_C, DENSE_C = 10.0, 0.1  # inverse strength of the penalty that suits a linear model on them


@dataclass(frozen=True)
class SimpleFeatures:
    """transforms: by column. images: by input."""

    transforms: dict[str, Transform]
    images: dict[str, PlainImages]

    @property
    def names(self) -> list[str]:
        return [*self.transforms, *self.images]

    def matrix(self, frame: pl.DataFrame, images: Images) -> Matrix:
        """Return (rows, D): sparse where a column is, dense otherwise."""
        blocks: list[Matrix] = [transform(frame[column]) for column, transform in self.transforms.items()]
        blocks += [plain.matrix(images[name]) for name, plain in self.images.items()]
        return beside(blocks)


def beside(blocks: Sequence[Matrix]) -> Matrix:
    """Return matrices of the same rows as one: sparse where one is."""
    from scipy.sparse import csr_array, hstack, issparse

    if any(issparse(block) for block in blocks):
        return csr_array(hstack(blocks, format="csr"))
    return np.concatenate(blocks, axis=1)


def fit_columns(frame: pl.DataFrame, kinds: Mapping[str, str]) -> dict[str, Transform]:
    """Learn from training cells; columns with nothing to learn from are left out. kinds: of at least the columns."""
    fitted = {column: FITTERS[kinds[column]](frame[column]) for column in frame.columns}
    return {column: transform for column, transform in fitted.items() if transform is not None}


def fit_features(frame: pl.DataFrame, kinds: Mapping[str, str], images: Images) -> tuple[SimpleFeatures, Matrix | None]:
    """Learn from training rows; return their own matrix, too, None where no column has features.

    kinds: of at least the columns of the frame. images: of all images.
    """
    transforms = fit_columns(frame, kinds)
    fitted = {name: fit_images(pixels) for name, pixels in images.items()}
    blocks: list[Matrix] = [transform(frame[column]) for column, transform in transforms.items()]
    blocks += [own for _, own in fitted.values()]
    features = SimpleFeatures(transforms, {name: plain for name, (plain, _) in fitted.items()})
    return features, beside(blocks) if blocks else None
