"""What small corruptions of the input do to the score: one function for each kind of column."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from PIL import Image, ImageEnhance

from luban.data.draw import sample_rows
from luban.data.media import sound
from luban.data.media.cells import is_missing, read_cell
from luban.data.media.pictures import NO_RANGES, Ranges, decode
from luban.data.media.unreadable import UnreadableCellError
from luban.data.table import Table
from luban.evaluation.scores.bootstrap import FEW_RESAMPLES
from luban.evaluation.scores.intervals import Score
from luban.evaluation.scores.scoring import score_rows
from luban.features import cache
from luban.features.cells import strings
from luban.features.dataset import Dataset
from luban.features.image import ImageFeature
from luban.features.number import parse_numbers
from luban.features.parsing.words import words_of
from luban.predictor import Predictor
from luban.tasks.base import Array, Floats, Metric

MAX_ROWS = 256  # test rows that are corrupted
MAX_COLUMNS = 16
TYPO_SHARE = 0.1  # of the words
NUMBER_NOISE = 0.1  # standard deviations of the column
PIXEL_NOISE = 0.05  # of the range of brightness
CROPPED = 0.9  # of each side is kept
BRIGHTNESS = 0.7
SOUND_NOISE_DB = 20.0  # below the sound

Corrupt = Callable[..., pl.Series]  # of cells, a generator and their table; of images also the ranges of deep pixels


@dataclass(frozen=True)
class Corruption:
    """score: of the corrupted rows. difference: from the same rows as they are."""

    corruption: str
    column: str
    score: Score
    difference: float

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "score": self.score.to_json()}


def typos(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    """Swap two neighbouring characters in one of ten words, and in one word at least."""

    def mistyped(text: str | None) -> str | None:
        if not text or len(text) < 2:
            return text
        characters = list(text)
        count = max(1, round(len(text.split()) * TYPO_SHARE))
        for place in rng.integers(0, len(characters) - 1, count).tolist():
            characters[place], characters[place + 1] = characters[place + 1], characters[place]
        return "".join(characters)

    return pl.Series(cells.name, [mistyped(text) for text in strings(cells).to_list()], dtype=pl.String)


def upper_case(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    return strings(cells).str.to_uppercase()


def mistyped_words(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    """Swap two neighbouring characters in one of ten words, and in one word at least."""

    def mistyped(words: list[str] | None) -> list[str] | None:
        long = [place for place, word in enumerate(words or []) if len(word) > 1]
        if words is None or not long:
            return words
        for place in rng.choice(long, min(len(long), max(1, round(len(words) * TYPO_SHARE))), replace=False).tolist():
            word = words[place]
            at = int(rng.integers(0, len(word) - 1))
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        return words

    return pl.Series(cells.name, [mistyped(row) for row in words_of(cells).to_list()], dtype=pl.List(pl.String))


def upper_words(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    return words_of(cells).list.eval(pl.element().str.to_uppercase()).alias(cells.name)


def number_noise(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    """Add normal noise of a tenth of the column's standard deviation."""
    values = parse_numbers(cells)[0]
    known = values[np.isfinite(values)]
    noise = rng.normal(size=len(values)) * NUMBER_NOISE * (float(known.std()) if len(known) else 0.0)
    return pl.Series(cells.name, values + noise).fill_nan(None)


def dropped(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    """Leave every cell empty."""
    return pl.Series(cells.name, [None] * len(cells), dtype=cells.dtype)


def pixel_noise(cells: pl.Series, rng: np.random.Generator, table: Table, ranges: Ranges = NO_RANGES) -> pl.Series:
    def corrupt(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image, np.float64)
        noisy = pixels + rng.normal(size=pixels.shape) * 255 * PIXEL_NOISE
        return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))

    return _images(cells, table, ranges, corrupt)


def crop(cells: pl.Series, rng: np.random.Generator, table: Table, ranges: Ranges = NO_RANGES) -> pl.Series:
    """Keep nine tenths of each side, at a random place."""

    def corrupt(image: Image.Image) -> Image.Image:
        width, height = (max(1, round(side * CROPPED)) for side in image.size)
        left = int(rng.integers(0, image.width - width + 1))
        top = int(rng.integers(0, image.height - height + 1))
        return image.crop((left, top, left + width, top + height))

    return _images(cells, table, ranges, corrupt)


def darker(cells: pl.Series, rng: np.random.Generator, table: Table, ranges: Ranges = NO_RANGES) -> pl.Series:
    return _images(cells, table, ranges, lambda image: ImageEnhance.Brightness(image).enhance(BRIGHTNESS))


def _images(cells: pl.Series, table: Table, ranges: Ranges, corrupt: Callable[[Image.Image], Image.Image]) -> pl.Series:
    """Change the pixels of images. ranges: of deep pixels, as the feature has learned them."""

    def changed(content: bytes) -> bytes:
        buffer = io.BytesIO()
        corrupt(decode(content, None, ranges=ranges)).save(buffer, "PNG")
        return buffer.getvalue()

    return _files(cells, table, changed)


def sound_noise(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    """Add white noise 20 dB below the sound."""

    def changed(content: bytes) -> bytes:
        samples, rate = sound.decode(content, mono=False)
        level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) * 10 ** (-SOUND_NOISE_DB / 20)
        return sound.as_wav(np.clip(samples + rng.normal(size=samples.shape) * level, -1, 1), rate)

    return _files(cells, table, changed)


def _files(cells: pl.Series, table: Table, changed: Callable[[bytes], bytes]) -> pl.Series:
    """Change the content of cells that are files; missing cells, and files that cannot be read, count as missing."""

    def one(cell: object) -> bytes | None:
        if is_missing(cell):
            return None
        try:
            return changed(read_cell(cell, table.folder))
        except UnreadableCellError:
            return None

    return pl.Series(cells.name, [one(cell) for cell in cells.to_list()], dtype=pl.Binary)


def sequence_noise(cells: pl.Series, rng: np.random.Generator, table: Table) -> pl.Series:
    """Leave one step of ten out."""
    kept = [
        None if cell is None else [step for step in cell if rng.random() >= NUMBER_NOISE] for cell in cells.to_list()
    ]
    inner = cells.dtype.inner if isinstance(cells.dtype, pl.List | pl.Array) else pl.Float64
    return pl.Series(cells.name, kept, dtype=pl.List(inner))


CORRUPTIONS: dict[str, tuple[tuple[str, Corrupt], ...]] = {
    "text": (("typos", typos), ("upper case", upper_case)),
    "words": (("typos", mistyped_words), ("upper case", upper_words)),
    "number": (("noise", number_noise), ("dropped", dropped)),
    "category": (("dropped", dropped),),
    "identifier": (("dropped", dropped),),
    "date": (("dropped", dropped),),
    "labels": (("dropped", dropped),),
    "image": (("noise", pixel_noise), ("crop", crop), ("darker", darker)),
    "audio": (("noise", sound_noise),),
    "sequence": (("steps dropped", sequence_noise),),
}


def measure_robustness(
    predictor: Predictor,
    table: Table,
    targets: Array,
    outputs: Floats,
    kinds: Mapping[str, str],
    metric: Metric,
    seed: int = 0,
) -> list[Corruption]:
    """Corrupt one column after the other of at most 256 rows, and score what is predicted; the largest losses first.

    targets, outputs: of the table's rows as they are. kinds: of the columns, of which the first 16 are corrupted.
    """
    rng = np.random.default_rng(seed)
    rows = sample_rows(len(table), MAX_ROWS, rng)
    chosen, truth = table.take(rows), targets[rows]
    clean = float(metric.compute(truth, outputs[rows], np.ones((1, len(rows))))[0])
    predict = _predict_changed(predictor, chosen)
    images = [feature for feature in predictor.schema.features if isinstance(feature, ImageFeature)]
    ranges = {column: feature.ranges for feature in images for column in feature.columns}
    found = []
    for column, kind in list(kinds.items())[:MAX_COLUMNS]:
        for name, corrupt in CORRUPTIONS.get(kind, ()):
            known = {"ranges": ranges[column]} if column in ranges else {}
            cells = corrupt(chosen.frame[column], rng, chosen, **known)
            corrupted = replace(chosen, frame=chosen.frame.with_columns(cells))
            score = score_rows([metric], truth, predict(corrupted, column), FEW_RESAMPLES, seed)[metric.name]
            found.append(Corruption(name, column, score, score.value - clean))
    sign = 1 if metric.higher_is_better else -1
    return sorted(found, key=lambda item: sign * np.nan_to_num(item.difference))


def _predict_changed(predictor: Predictor, table: Table) -> Callable[[Table, str], Floats]:
    """Return what predicts a table that differs in one column: only the input that it is part of is encoded again."""
    schema = predictor.schema
    clean, _ = cache.encode(schema, table, None, None)

    def predict(changed: Table, column: str) -> Floats:
        own = replace(schema, features=tuple(item for item in schema.features if column in item.columns))
        inputs, _ = cache.encode(own, changed, None, None)
        return predictor.outputs(Dataset.of(schema, {**clean, **inputs}, {}))

    return predict
