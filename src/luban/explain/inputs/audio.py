"""Sounds: stretches of time by bands of pitch are parts, and the neutral input is the mean of the training frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from luban.core.sentence import sentence
from luban.core.tensors import Ragged
from luban.explain.inputs.sequence import frames_view, time_parts
from luban.explain.pictures import pictures
from luban.explain.view import Part, Pictures, RowInput, View
from luban.features.audio import window_and_hop

BAND_PARTS = 4
SHADES = (1.0, 99.0)  # percentiles of the loudness that are black and white


def audio_view(row: RowInput) -> View:
    assert isinstance(row.value, Ragged)
    assert isinstance(row.stored, Ragged)
    frames, mels = row.value.values.shape
    rate = row.feature.sample_rate
    seconds = window_and_hop(rate)[1] / rate
    times = time_parts(frames)
    bands = torch.arange(mels) * min(BAND_PARTS, mels) // mels
    num_bands = int(bands.max()) + 1
    hertz = _corners(mels, rate)
    parts = []
    for part in times.unique().tolist():  # type: ignore[no-untyped-call]
        within = (times == part).nonzero().flatten()
        for band in range(num_bands):
            inside = (bands == band).nonzero().flatten()
            label = sentence(
                "explanation.sound",
                "{start:.2f}-{end:.2f} s, {low:.0f}-{high:.0f} Hz",
                start=int(within[0]) * seconds,
                end=(int(within[-1]) + 1) * seconds,
                low=float(hertz[int(inside[0])]),
                high=float(hertz[int(inside[-1]) + 2]),
            )
            parts.append(Part(row.cells.columns[0], "bin", label))
    groups = (times[:, None] * num_bands + bands[None, :]).to(row.value.values.device)
    loudness = row.stored.values.cpu().numpy()

    def draw(weights: Tensor) -> Pictures:
        low, high = np.percentile(loudness, SHADES) if loudness.size else (0.0, 1.0)
        shades = np.round(255 * np.clip((loudness - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
        # Time runs to the right, and high tones are at the top.
        return pictures(np.ascontiguousarray(shades.T[::-1]), weights[0].cpu().numpy().T[::-1])

    return replace(frames_view(row, tuple(parts), groups), draw=draw)


def _corners(mels: int, sample_rate: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the corners of the mel filters in Hz, (mels + 2,), as `features.audio.mel_filters` has them."""
    corners_mel = np.linspace(0, 2595 * np.log10(1 + sample_rate / 2 / 700), mels + 2)
    corners: np.ndarray[tuple[int], np.dtype[np.float64]] = 700 * (10 ** (corners_mel / 2595) - 1)
    return corners
