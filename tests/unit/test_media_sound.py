"""The decoder of sound: what is read, what is refused and why, and that nothing else leaves it."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from luban.data.media import pictures
from luban.data.media.formats import format_of, kind_by_name, kind_of
from luban.data.media.sound import as_wav, decode, measure
from luban.data.media.unreadable import UnreadableCellError

RATE = 8_000
TONE = (np.sin(np.arange(4_000) / 10) * 0.5).astype(np.float32)
CONTAINERS = {
    ("WAV", "PCM_16"): "WAV",
    ("WAVEX", "PCM_24"): "WAV",
    ("RF64", "PCM_16"): "WAV",
    ("W64", "PCM_16"): "W64",
    ("AIFF", "PCM_16"): "AIFF",
    ("AU", "PCM_16"): "AU",
    ("CAF", "PCM_16"): "CAF",
    ("FLAC", "PCM_16"): "FLAC",
    ("OGG", "VORBIS"): "Ogg",
    ("OGG", "OPUS"): "Ogg",
    ("MP3", "MPEG_LAYER_III"): "MP3",
}
EXACT = [key for key in CONTAINERS if key[1].startswith("PCM")]


def saved(samples: np.ndarray, kind: str = "WAV", subtype: str = "PCM_16", rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "subtype"), CONTAINERS)
def test_every_container(kind: str, subtype: str) -> None:
    content = saved(TONE, kind, subtype)
    assert (kind_of(content), format_of(content)) == ("audio", CONTAINERS[kind, subtype])
    samples, rate = decode(content)
    assert (rate, len(samples)) == (RATE, len(TONE))
    assert measure(content) == (RATE, len(TONE) / RATE)
    assert np.corrcoef(samples, TONE)[0, 1] > 0.99
    if (kind, subtype) in EXACT:
        np.testing.assert_allclose(samples, TONE, atol=2**-15)


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_000, 16_000, 22_050, 44_100])
def test_mp3_of_every_version_of_mpeg(rate: int) -> None:
    content = saved(TONE, "MP3", "MPEG_LAYER_III", rate)
    versions = {8_000: 0xE3, 11_025: 0xE3, 12_000: 0xE3, 16_000: 0xF3, 22_050: 0xF3, 44_100: 0xFB}
    assert content[:2] == bytes([0xFF, versions[rate]])
    assert decode(content)[1] == rate
    protected = bytes([0xFF, versions[rate] & 0xFE]) + content[2:]  # with a checksum
    assert kind_of(protected) == "audio"


@pytest.mark.parametrize(
    "content", [b"\xff\xfe" + "text".encode("utf-16-le"), b"\xff\xd8\xff\xe0", b"\xff\xff\xff\xff"]
)
def test_what_begins_like_a_frame_of_mp3_is_none(content: bytes) -> None:
    assert kind_of(content) != "audio"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(40), "M4A"),
        (b"\0\0\0\x20ftypisom" + bytes(40), "MP4"),
        (b"\xff\xf1\x50\x80" + bytes(40), "AAC"),
        (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9" + bytes(40), "WMA"),
        (b"#!AMR\n" + bytes(40), "AMR"),
        (b"MThd\0\0\0\6", "MIDI"),
        (b"RIFF\x24\0\0\0AVI LIST", "AVI"),
        (b"\x1aE\xdf\xa3" + bytes(40), "Matroska"),
        (b"GIF89a" + bytes(40), "GIF"),
    ],
)
def test_what_is_not_decoded_is_called_by_its_name(content: bytes, name: str) -> None:
    with pytest.raises(UnreadableCellError) as raised:
        decode(content)
    assert str(raised.value) == f"the file is {name}, not a WAV, FLAC, Ogg, MP3, AIFF, AU or CAF file"


@pytest.mark.parametrize("name", ["a.AIFF", "a.aif", "a.opus", "a.oga", "a.w64", "a.rf64", "a.caf", "a.wave"])
def test_suffixes(name: str) -> None:
    assert kind_by_name(name) == "audio"


@pytest.mark.parametrize(("kind", "subtype"), CONTAINERS)
@pytest.mark.parametrize("share", [0.02, 0.6, 0.9])
def test_a_file_that_is_cut_off_is_never_taken_for_a_short_one(kind: str, subtype: str, share: float) -> None:
    content = saved(TONE, kind, subtype)
    with pytest.raises(UnreadableCellError):
        decode(content[: int(share * len(content))])


def test_a_stream_whose_length_was_not_known() -> None:
    content = bytearray(saved(TONE, "FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)  # samples in the stream: 0 is unknown
    with pytest.raises(UnreadableCellError, match="the header does not say how long the clip is"):
        decode(bytes(content))


def test_only_what_is_wanted_is_decoded() -> None:
    stereo = np.stack([TONE, np.zeros_like(TONE)], axis=1)
    assert len(decode(saved(stereo), 0.1)[0]) == RATE // 10
    np.testing.assert_allclose(decode(saved(stereo))[0], TONE / 2, atol=2**-15)
    assert decode(saved(stereo), mono=False)[0].shape == (len(TONE), 2)


def test_samples_survive_a_wav_file() -> None:
    found, rate = decode(as_wav(TONE, 11_025))
    assert rate == 11_025
    np.testing.assert_allclose(found, TONE, atol=2**-15)


def test_reasons_name_no_place_in_memory() -> None:
    with pytest.raises(UnreadableCellError) as raised:
        decode(b"OggS" + bytes(100))
    assert str(raised.value).startswith("the file cannot be decoded (")
    assert "0x" not in str(raised.value)


@pytest.mark.parametrize("kind", ["MP3", "WAV", "TIFF"])
def test_no_library_writes_to_the_terminal(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    if kind == "TIFF":
        buffer = io.BytesIO()
        Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(buffer, "TIFF", compression="tiff_lzw")
        content, read = buffer.getvalue(), pictures.levels_of
    else:
        content, read = saved(TONE, kind, "MPEG_LAYER_III" if kind == "MP3" else "PCM_16"), decode
    for place in range(20, min(len(content), 900), 7):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        with contextlib.suppress(UnreadableCellError):
            read(bytes(changed))
        with contextlib.suppress(UnreadableCellError):
            read(content[:place])
    assert capfd.readouterr() == ("", "")
    print("still there", file=sys.stderr, flush=True)
    os.write(2, b" and here")
    assert capfd.readouterr().err == "still there\n and here"


SAMPLES = [saved(TONE[:800], *key) for key in CONTAINERS if key[0] != "MP3"]


def checked(content: bytes) -> None:
    reason = ""
    try:
        samples, _ = decode(content, 2)
    except UnreadableCellError as error:
        reason = str(error)
        assert reason
    else:
        assert np.isfinite(samples).all()
        assert samples.ndim == 1
    assert len(reason) < 300
    assert "\n" not in reason


@given(st.sampled_from(SAMPLES), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_files_that_are_cut_off(content: bytes, share: float) -> None:
    checked(content[: int(share * len(content))])


@given(st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 7)), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_files_with_changed_bits(content: bytes, flips: list[tuple[float, int]]) -> None:
    changed = bytearray(content)
    for share, bit in flips:
        changed[int(share * len(changed))] ^= 1 << bit
    checked(bytes(changed))


@given(st.sampled_from([content[:16] for content in SAMPLES] + [b"ID3", b"\xff\xfb\x90\x00"]), st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_bytes_of_no_meaning_behind_a_true_beginning(start: bytes, rest: bytes) -> None:
    checked(start + rest)
