"""Columns of sound: encoded files as bytes, or paths of files, turned into log-mel frames."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from pydantic import Field
from torch import Tensor

from luban.core.errors import DataError
from luban.core.sentence import Sentence, sentence
from luban.core.strict import Positive, Share, same_length
from luban.core.tensors import EncodedColumn, InputSpec, Ragged, TensorKind
from luban.data.media import sound
from luban.data.media.cells import is_missing
from luban.features.base import ColumnProfile, Encoded, Feature, FeatureConfig, FitContext
from luban.features.decoding import decode_cells
from luban.features.learned import clauses
from luban.features.media import match_files, sampled_cells

SAMPLED_CLIPS = 1_000
WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.010
HIGHEST_GUESS = 16_000  # Hz
FEWEST_MELS, MOST_MELS = 4, 256
MOST_SECONDS = 600.0
SILENCE = 1e-10  # power added before the logarithm: about 20 dB under the rounding noise of 16 bits
SMALLEST_STD = 1e-3  # of a logarithm of power

Floats = npt.NDArray[np.float32]


class AudioConfig(FeatureConfig):
    """Settings of sound columns.

    sample_rate: in Hz, to which all clips are resampled; None takes the commonest, at most 16,000. num_mels: bands of a
    frame. max_seconds: what is longer is cut off at the end.
    """

    sample_rate: int | None = Field(default=None, ge=sound.LOWEST_RATE, le=sound.HIGHEST_RATE)
    num_mels: int = Field(default=40, ge=FEWEST_MELS, le=MOST_MELS)
    max_seconds: float = Field(default=10.0, gt=0, le=MOST_SECONDS)


def decode_clip(content: bytes, sample_rate: int, max_seconds: float) -> Floats:
    """Decode a clip's first seconds, mixed to mono and resampled, into (samples,) float32 within -1 to 1; raises
    UnreadableCellError."""
    mono, rate = sound.decode(content, max_seconds)
    return np.asarray(sound.resampled(mono, rate, sample_rate)[: math.ceil(max_seconds * sample_rate)])


def mel_filters(num_mels: int, fft_size: int, sample_rate: int) -> Floats:
    """Return triangular filters (fft_size // 2 + 1, num_mels) between 0 Hz and half the sample rate.

    Their corners are evenly spaced on the mel scale, mel(f) = 2595 log10(1 + f / 700) with f in Hz, and each reaches 1
    at its middle (scale: The HTK Book 3.4, section 5.4; the triangles are straight over Hz, as in librosa).
    """
    corners_mel = np.linspace(0, 2595 * np.log10(1 + sample_rate / 2 / 700), num_mels + 2)
    corners = 700 * (10 ** (corners_mel / 2595) - 1)
    frequencies = np.linspace(0, sample_rate / 2, fft_size // 2 + 1)[:, None]
    rising = (frequencies - corners[:-2]) / np.diff(corners[:-1])
    falling = (corners[2:] - frequencies) / np.diff(corners[1:])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def window_and_hop(sample_rate: int) -> tuple[int, int]:
    """Return the length of an analysis window and the distance between two, in samples."""
    return max(2, round(WINDOW_SECONDS * sample_rate)), max(1, round(HOP_SECONDS * sample_rate))


def num_frames(samples: int, sample_rate: int) -> int:
    """Return how many whole windows fit into so many samples; at least one."""
    length, hop = window_and_hop(sample_rate)
    return 1 + max(0, samples - length) // hop


@lru_cache(maxsize=8)
def _filter_bank(num_mels: int, sample_rate: int) -> tuple[int, Floats]:
    """Return the size of the Fourier transform, and the mel filters for it."""
    length, _ = window_and_hop(sample_rate)
    fft_size = 2 ** math.ceil(math.log2(length))
    while True:
        filters = mel_filters(num_mels, fft_size, sample_rate)
        if filters.any(axis=0).all():
            return fft_size, filters
        fft_size *= 2  # until even the narrowest band holds a frequency


def log_mel(samples_T: Floats, sample_rate: int, num_mels: int) -> Floats:
    """Return the natural logarithm of the power in each mel band, (frames, num_mels), for windows of 25 ms (Hann) that
    start every 10 ms; what does not fill a window is left out, but a clip shorter than one is padded with silence."""
    length, hop = window_and_hop(sample_rate)
    fft_size, filters = _filter_bank(num_mels, sample_rate)
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
    padded = np.pad(samples_T, (0, max(0, length - len(samples_T))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    spectrum = np.fft.rfft(windows * window, fft_size)
    power = spectrum.real**2 + spectrum.imag**2
    logs: Floats = np.log(power @ filters + np.float32(SILENCE)).astype(np.float32)
    return logs


@dataclass(frozen=True)
class AudioFeature(Feature):
    """One column of sound as log-mel frames, each band normalised over the training clips.

    mean, std: of each band. cut: the share of training clips longer than max_seconds. A missing clip is one frame of
    zeros, the mean of every band.
    """

    kind: ClassVar[str] = "audio"
    tensor_kind: ClassVar[TensorKind] = TensorKind.FRAMES
    config_type: ClassVar[type[FeatureConfig]] = AudioConfig

    name: str
    columns: tuple[str, ...]
    sample_rate: Annotated[int, Field(ge=sound.LOWEST_RATE, le=sound.HIGHEST_RATE)]
    max_seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)]
    mean: Annotated[list[float], Field(min_length=FEWEST_MELS, max_length=MOST_MELS)]
    std: list[Positive]
    cut: Share

    @classmethod
    def match(cls, profile: ColumnProfile) -> float:
        """Return how surely the cells are sound files, or relative paths of some."""
        return match_files(profile, cls.kind)

    @classmethod
    def fit(
        cls, name: str, columns: tuple[str, ...], frame: pl.DataFrame, config: AudioConfig, context: FitContext
    ) -> Self:
        """Learn rate and normalisation from up to 1,000 clips; raises DataError where none is readable."""
        cells = sampled_cells(frame[columns[0]], SAMPLED_CLIPS)
        headers = _headers(cells, context.folder)
        rates = Counter(rate for rate, _ in headers)
        commonest = max(rates, key=lambda rate: (rates[rate], rate), default=HIGHEST_GUESS)
        sample_rate = config.sample_rate or min(HIGHEST_GUESS, commonest)
        rows, failures = _decode_all(cells, sample_rate, config.num_mels, config.max_seconds, context.folder)
        readable = [row for row in rows if row is not None]
        if not readable:
            raise DataError(
                f"column '{columns[0]}'",
                expected="sound clips",
                found=f"none that can be read: {next(iter(failures.values()), 'only missing cells')}",
                action="Check the files, and that their paths start in the folder of the table",
            )
        frames = sum(len(row) for row in readable)
        mean = sum(row.sum(axis=0, dtype=np.float64) for row in readable) / frames
        variance = sum(((row - mean) ** 2).sum(axis=0) for row in readable) / frames
        std = np.sqrt(variance).clip(SMALLEST_STD)
        cut = sum(seconds > config.max_seconds for _, seconds in headers) / len(headers)
        return cls(name, columns, sample_rate, config.max_seconds, mean.tolist(), std.tolist(), cut)

    def encode(self, frame: pl.DataFrame, folder: Path | None = None) -> Encoded:
        """Decode the clips on all cores into frames (N, num_mels) float32 of unnormalised log-mel."""
        cells = frame[self.columns[0]].to_list()
        blank = np.array([self.mean], np.float32)
        decoded, bad = _decode_all(cells, self.sample_rate, len(self.mean), self.max_seconds, folder)
        rows = [blank if row is None else row for row in decoded]
        offsets = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        return Encoded(EncodedColumn(TensorKind.FRAMES, np.concatenate([blank[:0], *rows]), offsets), bad)

    def prepare(self, stored: Tensor | Ragged) -> Ragged:
        """Normalise each band of (N, num_mels) to mean 0 and standard deviation 1."""
        assert isinstance(stored, Ragged)
        values = stored.values
        mean, std = (torch.tensor(numbers, device=values.device) for numbers in (self.mean, self.std))
        return Ragged((values - mean) / std, stored.offsets)

    def spec(self) -> InputSpec:
        longest = num_frames(math.ceil(self.max_seconds * self.sample_rate), self.sample_rate)
        return InputSpec(self.name, TensorKind.FRAMES, len(self.mean), max_length=longest)

    def state(self) -> dict[str, Any]:
        return asdict(self)

    def check_state(self) -> None:
        same_length(mean=self.mean, std=self.std)

    def describe(self) -> Sentence:
        return clauses(
            [
                sentence(
                    "learned.sound",
                    "sound, {rate:,} Hz, {bands} mel bands",
                    rate=self.sample_rate,
                    bands=len(self.mean),
                ),
                sentence(
                    "learned.sound_cut",
                    "{share:.0%} of the clips cut at {seconds:g} s",
                    share=self.cut,
                    seconds=self.max_seconds,
                )
                if self.cut
                else None,
            ]
        )


def _headers(cells: Sequence[object], folder: Path | None) -> list[tuple[int, float]]:
    """Return sample rate and length in seconds of each clip that can be opened."""
    found: dict[int, tuple[int, float]] = {}

    def measure(position: int, content: bytes) -> None:
        found[position] = sound.measure(content)

    decode_cells(cells, range(len(cells)), folder, measure)
    return list(found.values())


def _decode_all(
    cells: Sequence[object], sample_rate: int, num_mels: int, max_seconds: float, folder: Path | None
) -> tuple[list[Floats | None], dict[int, str]]:
    """Decode all cells into log-mel frames; None where a cell is missing or bad."""
    rows: list[Floats | None] = [None] * len(cells)

    def decode(position: int, content: bytes) -> None:
        rows[position] = log_mel(decode_clip(content, sample_rate, max_seconds), sample_rate, num_mels)

    present = [position for position, cell in enumerate(cells) if not is_missing(cell)]
    return rows, decode_cells(cells, present, folder, decode)
