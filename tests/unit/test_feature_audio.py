"""Sound columns: the spectrogram against reference implementations, and what is refused and why."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.audio_utils import mel_filter_bank

from luban.core.errors import DataError
from luban.core.tensors import Ragged
from luban.features.audio import AudioConfig, AudioFeature, decode_clip, log_mel, mel_filters, num_frames
from luban.features.base import ColumnProfile, FitContext

RATE = 8_000
Samples = npt.NDArray[np.float32]


def tone(hertz: float, seconds: float = 0.3, rate: int = RATE) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def saved(samples: npt.NDArray[Any], rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def fitted(cells: Sequence[bytes | str | None], folder: Path | None = None, **settings: Any) -> AudioFeature:
    frame = pl.DataFrame({"clip": cells})
    return AudioFeature.fit("clip", ("clip",), frame, AudioConfig(**settings), FitContext(folder=folder))


def profile(cells: list[Any], folder: Path | None = None) -> ColumnProfile:
    return ColumnProfile("clip", pl.Series(cells), len(cells), 0, len(cells), folder)


@pytest.fixture(scope="module")
def feature() -> AudioFeature:
    return fitted([saved(tone(hertz)) for hertz in (200, 400, 1000, 3000)])


class TestMatch:
    @pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
    def test_bytes_of_every_format(self, kind: str) -> None:
        assert AudioFeature.match(profile([saved(tone(440, rate=16_000), 16_000, kind)] * 2)) > 0.9

    def test_paths_match_by_suffix(self) -> None:
        assert AudioFeature.match(profile(["a.wav", "x/b.FLAC", "/elsewhere/c.wav"])) > 0.8

    @pytest.mark.parametrize("cells", [["a.png"], [b"RIFF\0\0\0\0WEBP"], [1.5], []])
    def test_other_columns_do_not(self, cells: list[Any]) -> None:
        assert AudioFeature.match(profile(cells)) == 0


class TestLogMel:
    @pytest.mark.parametrize(("num_mels", "fft_size", "rate"), [(40, 256, 8_000), (40, 512, 16_000), (80, 512, 16_000)])
    def test_filters_equal_the_reference(self, num_mels: int, fft_size: int, rate: int) -> None:
        reference = mel_filter_bank(fft_size // 2 + 1, num_mels, 0, rate / 2, rate, norm=None, mel_scale="htk")
        np.testing.assert_allclose(mel_filters(num_mels, fft_size, rate), reference, atol=1e-5)

    @pytest.mark.parametrize(("rate", "window", "hop", "fft_size"), [(8_000, 200, 80, 256), (16_000, 400, 160, 512)])
    def test_spectrum_equals_torch_stft(self, rate: int, window: int, hop: int, fft_size: int) -> None:
        samples = np.random.default_rng(0).normal(0, 0.1, rate // 2).astype(np.float32)
        # torch centres the window in its transform, which moves the phase and its first sample, but not the power.
        shift = (fft_size - window) // 2
        spectrum = torch.stft(
            torch.from_numpy(np.pad(samples, shift)),
            fft_size,
            hop,
            window,
            torch.hann_window(window),
            center=False,
            return_complex=True,
        )
        power = spectrum.abs().square().T.numpy()
        expected = np.log(power @ mel_filters(40, fft_size, rate) + 1e-10)
        found = log_mel(samples, rate, 40)
        np.testing.assert_allclose(found, expected[: len(found)], atol=2e-3)
        assert len(found) == num_frames(len(samples), rate)

    def test_frame_equals_the_written_out_fourier_sum(self) -> None:
        samples = np.random.default_rng(1).normal(0, 0.1, 600).astype(np.float32)
        n, k = np.arange(200), np.arange(129)[:, None]
        window = np.sin(np.pi * n / 200) ** 2
        spectrum = (np.exp(-2j * np.pi * k * n / 256) * window * samples[160:360]).sum(axis=1)
        expected = np.log(np.abs(spectrum) ** 2 @ mel_filters(40, 256, RATE) + 1e-10)
        np.testing.assert_allclose(log_mel(samples, RATE, 40)[2], expected, atol=1e-3)

    def test_a_tone_is_loudest_in_its_band(self) -> None:
        middles = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42)[1:-1] / 2595) - 1)
        for hertz in (300, 1000, 2500):
            assert log_mel(tone(hertz), RATE, 40).mean(0).argmax() == np.abs(middles - hertz).argmin()

    def test_silence_is_finite(self) -> None:
        np.testing.assert_allclose(log_mel(np.zeros(400, np.float32), RATE, 40), np.log(1e-10))

    @given(st.integers(1, 2_000), st.sampled_from([1_000, 8_000, 11_025, 44_100]), st.sampled_from([4, 40, 128]))
    @settings(max_examples=40, deadline=None)
    def test_shape_for_any_length(self, samples: int, rate: int, num_mels: int) -> None:
        found = log_mel(np.ones(samples, np.float32), rate, num_mels)
        assert found.shape == (num_frames(samples, rate), num_mels)
        assert np.isfinite(found).all()


class TestDecode:
    @pytest.mark.parametrize(
        ("kind", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "PCM_U8"), ("FLAC", None)]
    )
    def test_samples_survive(self, kind: str, subtype: str | None) -> None:
        np.testing.assert_allclose(decode_clip(saved(tone(440), RATE, kind, subtype), RATE, 10), tone(440), atol=0.01)

    def test_channels_are_averaged(self) -> None:
        stereo = np.stack([tone(440), np.zeros_like(tone(440))], axis=1)
        np.testing.assert_allclose(decode_clip(saved(stereo), RATE, 10), tone(440) / 2, atol=1e-3)

    @pytest.mark.parametrize("rate", [16_000, 11_025, 44_100, 4_000])
    def test_resampled_tone_is_the_tone_at_the_other_rate(self, rate: int) -> None:
        found = decode_clip(saved(tone(440, rate=rate), rate), RATE, 10)
        assert abs(len(found) - len(tone(440))) <= 1
        np.testing.assert_allclose(found[100:-100], tone(440)[100 : len(found) - 100], atol=0.01)

    def test_long_clip_is_cut(self) -> None:
        assert len(decode_clip(saved(tone(440, 3.0)), RATE, 0.5)) == RATE // 2

    def test_streamed_wav_of_unknown_size_is_read(self) -> None:
        content = bytearray(saved(tone(440)))
        content[4:8] = b"\xff" * 4
        assert len(decode_clip(bytes(content), RATE, 10)) == len(tone(440))


class TestFit:
    def test_commonest_rate_up_to_a_limit(self) -> None:
        assert fitted([saved(tone(440))] * 2 + [saved(tone(440, rate=16_000), 16_000)]).sample_rate == RATE
        assert fitted([saved(tone(440, rate=44_100), 44_100)]).sample_rate == 16_000
        assert fitted([saved(tone(440))], sample_rate=4_000).sample_rate == 4_000

    def test_training_frames_are_standardised(self) -> None:
        rng = np.random.default_rng(0)
        cells = [saved(rng.normal(0, 0.1, 4_000)) for _ in range(5)]
        feature = fitted([*cells, None])
        encoded = feature.encode(pl.DataFrame({"clip": cells}))
        values = feature.prepare(encoded.column.take(np.arange(5))).values
        torch.testing.assert_close(values.mean(0), torch.zeros(40), atol=1e-4, rtol=0)
        torch.testing.assert_close(values.std(0, correction=0), torch.ones(40), atol=1e-4, rtol=0)

    def test_description_names_what_was_cut(self) -> None:
        cells: list[bytes | str | None] = [saved(tone(440, 0.2)), saved(tone(440, 0.6))]
        assert fitted(cells).describe() == "sound, 8,000 Hz, 40 mel bands"
        feature = fitted(cells, max_seconds=0.5)
        assert feature.describe() == "sound, 8,000 Hz, 40 mel bands, 50% of the clips cut at 0.5 s"
        assert feature.encode(pl.DataFrame({"clip": cells})).column.lengths.max() == feature.spec().max_length

    @pytest.mark.parametrize(("cells", "found"), [([b"junk"], "not a WAV"), ([None], "only missing cells")])
    def test_no_readable_clip_raises(self, cells: list[bytes | None], found: str) -> None:
        frame = pl.DataFrame({"clip": cells}, schema={"clip": pl.Binary})
        with pytest.raises(
            DataError, match=f"column 'clip': expected sound clips, found none that can be read: .*{found}"
        ):
            AudioFeature.fit("clip", ("clip",), frame, AudioConfig(), FitContext())

    def test_state_survives_json(self, feature: AudioFeature) -> None:
        assert AudioFeature.from_state(json.loads(json.dumps(feature.state())), feature.files()) == feature


class TestEncode:
    @pytest.mark.parametrize(
        ("cell", "reason"),
        [
            (b"", r"the file is empty \(0 bytes\)"),
            (b"junk", "not a WAV, FLAC, Ogg, MP3, AIFF, AU or CAF file"),
            (saved(tone(440))[:1000], "the file is cut off: 1,000 of 4,844 bytes"),
            (saved(tone(440), kind="FLAC")[:-800], "cut off|cannot be decoded"),
            (b"fLaC" + bytes(100), "cannot be decoded"),
            (saved(np.zeros(0)), "the clip has no samples"),
            (saved(np.full(500, np.nan), subtype="FLOAT"), "samples that are not finite numbers"),
            (saved(tone(440), 500), "the sample rate is 500 Hz, not 1,000 to 192,000"),
            (saved(np.zeros((9, 40))), "the clip has 40 channels, the limit is 32"),
            ("missing.wav", "there is no file 'missing.wav' in the folder of the data"),
            ("../outside.wav", "'../outside.wav' leaves the folder of the data"),
            ("/etc/a.wav", "'/etc/a.wav' is an absolute path"),
        ],
    )
    def test_bad_cell_has_a_reason_and_the_value_of_a_missing_one(
        self, feature: AudioFeature, tmp_path: Path, cell: bytes | str, reason: str
    ) -> None:
        encoded = feature.encode(pl.DataFrame({"clip": [cell, None]}), tmp_path)
        assert list(encoded.bad) == [0]
        assert pl.Series([encoded.bad[0]]).str.contains(reason).all(), encoded.bad[0]
        rows = feature.prepare(encoded.column.take(np.arange(2)))
        assert isinstance(rows, Ragged)
        assert rows.lengths.tolist() == [1, 1]
        torch.testing.assert_close(rows.values, torch.zeros(2, 40))

    def test_no_rows(self, feature: AudioFeature) -> None:
        assert len(feature.encode(pl.DataFrame({"clip": []}, schema={"clip": pl.Binary})).column) == 0

    @given(st.binary(max_size=200), st.sampled_from([b"", b"RIFF\xff\xff\xff\xffWAVE", b"fLaC", b"OggS", b"ID3"]))
    @settings(max_examples=50, deadline=None)
    def test_no_bytes_make_it_raise(self, feature: AudioFeature, tail: bytes, magic: bytes) -> None:
        assert len(feature.encode(pl.DataFrame({"clip": [magic + tail]})).column) == 1

    def test_real_digits_by_path(self, shared_data: Path) -> None:
        folder = shared_data / "fsdd"
        frame = pl.read_csv(folder / "test.csv")
        feature = AudioFeature.fit("audio", ("audio",), frame, AudioConfig(), FitContext(folder=folder))
        encoded = feature.encode(frame, folder)
        assert AudioFeature.match(profile(frame["audio"].to_list(), folder)) > 0.98
        assert (len(encoded.column), feature.sample_rate, encoded.bad) == (300, 8_000, {})
        info = soundfile.info(folder / frame["audio"][7])
        assert encoded.column.lengths[7] == num_frames(info.frames, 8_000)
