"""The one decoder of sound: formats by content, limits before a sample is decoded, one error for whatever is wrong."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import soundfile

from luban.core.sentence import sentence
from luban.data.media.formats import format_of, kind_of
from luban.data.media.quiet import quiet
from luban.data.media.unreadable import UnreadableCellError, decoding

LOWEST_RATE, HIGHEST_RATE = 1_000, 192_000  # Hz
MAX_CHANNELS = 32
UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # what programs that stream a file write into its header
LONGEST = 2**53  # samples; a header that names more does not know how many
BLOCK = 2**20  # samples that are decoded at once

Floats = npt.NDArray[np.float32]


def measure(content: bytes) -> tuple[int, float]:
    """Return sample rate in Hz and length in seconds; raises UnreadableCellError."""
    with _opened(content) as clip:
        return clip.samplerate, clip.frames / clip.samplerate


def decode(content: bytes, max_seconds: float = math.inf, *, mono: bool = True) -> tuple[Floats, int]:
    """Return the first seconds of a clip within -1 to 1, and their sample rate in Hz; raises UnreadableCellError.

    The samples are (S,), the mean of all channels, or (S, channels) where they shall not be mixed.
    """
    with _opened(content) as clip:
        wanted = min(clip.frames, math.ceil(min(max_seconds * clip.samplerate, LONGEST)))
        parts: list[Floats] = []
        found = 0
        while found < wanted:
            part = clip.read(min(BLOCK, wanted - found), dtype="float32", always_2d=True)
            if not len(part):
                break
            parts.append(part.mean(axis=1) if mono else part)
            found += len(part)
        if found < wanted:
            cut = sentence(
                "sound.cut_samples",
                "the file is cut off: {size:,} of {whole:,} samples",
                size=found,
                whole=wanted,
            )
            raise UnreadableCellError(cut)
        samples = parts[0] if len(parts) == 1 else np.concatenate(parts)
        if not np.isfinite(samples).all():
            raise UnreadableCellError(sentence("sound.not_finite", "the clip has samples that are not finite numbers"))
        return samples, clip.samplerate


def resampled(mono: Floats, rate: int, wanted: int) -> Floats:
    """Return samples (S,) at another rate; both in Hz."""
    if rate == wanted:
        return mono
    from scipy.signal import resample_poly

    divisor = math.gcd(wanted, rate)
    return np.asarray(resample_poly(mono, wanted // divisor, rate // divisor).astype(np.float32))


def as_wav(samples: npt.NDArray[np.floating], rate: int) -> bytes:
    """Return samples, (S,) or (S, channels) within -1 to 1, as a WAV file of 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


class _Stream(io.BytesIO):
    """The bytes of a file for the library, which prints a traceback where it is told to go before the beginning."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}[whence]
        return super().seek(max(0, start + offset))


@contextmanager
def _opened(content: bytes) -> Iterator[soundfile.SoundFile]:
    """Read a clip's header; raises UnreadableCellError where it is no clip, or one beyond the limits, and for whatever
    goes wrong inside."""
    name = format_of(content)
    if name is None:
        raise UnreadableCellError(
            sentence("sound.foreign", "the file is not a WAV, FLAC, Ogg, MP3, AIFF, AU or CAF file")
        )
    if kind_of(content) != "audio":
        known = sentence(
            "sound.other", "the file is {format}, not a WAV, FLAC, Ogg, MP3, AIFF, AU or CAF file", format=name
        )
        raise UnreadableCellError(known)
    whole = _declared_bytes(content, name)
    # The library reads what is left of a file that was cut off, and says nothing.
    if whole is not None and whole > len(content) + 1:
        found = sentence(
            "sound.cut_bytes", "the file is cut off: {size:,} of {whole:,} bytes", size=len(content), whole=whole
        )
        raise UnreadableCellError(found)
    with quiet(), decoding(), soundfile.SoundFile(_Stream(content)) as clip:
        _check(clip)
        yield clip


def _check(clip: soundfile.SoundFile) -> None:
    if not LOWEST_RATE <= clip.samplerate <= HIGHEST_RATE:
        found = sentence(
            "sound.rate",
            "the sample rate is {rate:,} Hz, not {low:,} to {high:,}",
            rate=clip.samplerate,
            low=LOWEST_RATE,
            high=HIGHEST_RATE,
        )
        raise UnreadableCellError(found)
    if clip.channels > MAX_CHANNELS:
        found = sentence(
            "sound.channels",
            "the clip has {channels} channels, the limit is {limit}",
            channels=clip.channels,
            limit=MAX_CHANNELS,
        )
        raise UnreadableCellError(found)
    if clip.frames == 0:
        raise UnreadableCellError(sentence("sound.empty", "the clip has no samples"))
    if clip.frames > LONGEST:
        raise UnreadableCellError(
            sentence(
                "sound.no_length",
                "the header does not say how long the clip is; encode it anew, into a file, not a pipe",
            )
        )


def _declared_bytes(content: bytes, name: str) -> int | None:
    """Return how many bytes the header says that the file has, None where it does not say."""

    def number(at: int, size: int, order: str = "little") -> int:
        return int.from_bytes(content[at : at + size], "big" if order == "big" else "little")

    start = content[:4]
    found, around = 0, 8
    if name == "WAV":
        if start in (b"RF64", b"BW64"):
            found = number(20, 8) if content[12:16] == b"ds64" else 0
        else:
            found = number(4, 4, "big" if start == b"RIFX" else "little")
    elif name == "AIFF":
        found = number(4, 4, "big")
    elif name == "W64":
        found, around = number(16, 8), 0
    elif name == "AU":
        found, around = number(8, 4, "big"), number(4, 4, "big")
    elif name == "CAF":
        found, around = _data_of_caf(content)
    return None if found in UNKNOWN_SIZES else found + around


def _data_of_caf(content: bytes) -> tuple[int, int]:
    """Return the size of the chunk of samples in a CAF file, and where it begins; 0 where there is none."""
    at = 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 12], "big")
        if content[at : at + 4] == b"data":
            return size, at + 12
        at += 12 + size
    return 0, at
