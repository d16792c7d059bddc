"""Which files are pictures and sound: by their first bytes, and by the suffixes that such files have."""

from __future__ import annotations

from pathlib import PurePath

HEAD_BYTES = 512  # of a file, from which its format is told
SUFFIXES = {
    "image": frozenset(
        {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".apng"}
    ),
    "audio": frozenset(
        {".wav", ".wave", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
        | {".aiff", ".aif", ".aifc", ".snd", ".caf"}  # not .au, in which domains and addresses end, too
    ),
}
# By format, as the decoders of pictures call it.
PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
SOUND = (
    (b"fLaC", "FLAC"),
    (b"OggS\x00", "Ogg"),
    (b".snd\x00", "AU"),
    (b"caff\x00\x01", "CAF"),
    (b"ID3\x02", "MP3"),
    (b"ID3\x03", "MP3"),
    (b"ID3\x04", "MP3"),
    (b"riff.\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", "W64"),
)
CONTAINED = {  # what begins with these four bytes says in bytes 8 to 12 what it holds
    b"RIFF": {b"WAVE": "WAV", b"WEBP": "WEBP", b"AVI ": "AVI"},
    b"RIFX": {b"WAVE": "WAV"},
    b"RF64": {b"WAVE": "WAV"},
    b"BW64": {b"WAVE": "WAV"},
    b"FORM": {b"AIFF": "AIFF", b"AIFC": "AIFF"},
}
BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})  # bytes of the header after that of the file
MP3_LAYER_3 = 0b01
PICTURE_FORMATS = frozenset({"PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"})
SOUND_FORMATS = frozenset({"WAV", "W64", "FLAC", "Ogg", "MP3", "AIFF", "AU", "CAF"})
# What is no picture and no sound that is decoded here, for the messages.
OTHERS = (
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"icns", "ICNS"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"qoif", "QOI"),
    (b"gimp xcf", "XCF"),
    (b"SIMPLE  =", "FITS"),
    (b"\x93NUMPY", "NumPy"),
    (b"\x89HDF", "HDF5"),
    (b"#!AMR", "AMR"),
    (b"0&\xb2u\x8ef\xcf\x11", "WMA"),
    (b"wvpk", "WavPack"),
    (b"MAC ", "APE"),
    (b"MThd", "MIDI"),
    (b"\x1aE\xdf\xa3", "Matroska"),
    (b"DSD ", "DSD"),
    (b"\xff\xf1", "AAC"),
    (b"\xff\xf9", "AAC"),
    (b"version https://git-lfs", "Git LFS pointer"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x1f\x8b", "gzip"),
)
BRANDS = {  # of files in the ISO base media format
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "M4A"),
    b"qt  ": "QuickTime",
}
NOT_DECODED = frozenset(
    {"EPS", "PDF", "PSD", "ICNS", "ICO", "SVG", "JPEG 2000", "JPEG XL", "QOI", "XCF", "FITS", "DICOM", "HEIC", "AVIF"}
    | {"AMR", "WMA", "WavPack", "APE", "DSD", "AAC", "M4A", "MP4", "QuickTime", "Matroska", "AVI"}
)
MARKUP = ((b"<svg", "SVG"), (b"<!doctype html", "HTML"), (b"<html", "HTML"), (b"<?xml", "XML"))


def format_of(content: bytes) -> str | None:
    """Return the format of a file by its first bytes, as it is called in messages; None where it is not known."""
    known = _decoded(content)
    if known is not None:
        return known
    found = next((name for magic, name in OTHERS if content.startswith(magic)), None)
    if found is None and content[4:8] == b"ftyp":
        return BRANDS.get(content[8:12], "MP4")
    if found is None and content[128:132] == b"DICM":
        return "DICOM"
    text = content[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if found is None and text.startswith(b"<?xml") and b"<svg" in text:
        return "SVG"
    return found or next((name for start, name in MARKUP if text.startswith(start)), None)


def kind_of(content: bytes) -> str | None:
    """Return whether a file is an `image` or `audio` that is decoded here, by its first bytes; None for another."""
    name = _decoded(content)
    return None if name is None else "image" if name in PICTURE_FORMATS else "audio" if name in SOUND_FORMATS else None


def kind_by_name(name: str) -> str | None:
    """Return whether a file is an `image` or `audio` by the suffix of its name; None for another."""
    suffix = PurePath(name).suffix.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def _decoded(content: bytes) -> str | None:
    found = next((name for magic, name in (*PICTURES, *SOUND) if content.startswith(magic)), None)
    if found is not None:
        return found
    if content[:4] in CONTAINED:
        return CONTAINED[content[:4]].get(content[8:12])
    if content.startswith(b"BM") and int.from_bytes(content[14:18], "little") in BMP_HEADERS:
        return "BMP"
    return "MP3" if _is_mp3_frame(content) else None


def _is_mp3_frame(content: bytes) -> bool:
    """Tell whether a file begins with the header of a frame of MPEG 1, 2 or 2.5, layer III (ISO/IEC 11172-3, 2.4.1.3;
    MPEG 2.5 clears one more bit of the sync word)."""
    if len(content) < 4 or content[0] != 0xFF or content[1] & 0xE0 != 0xE0:
        return False
    version, layer = content[1] >> 3 & 3, content[1] >> 1 & 3
    bit_rate, sample_rate = content[2] >> 4, content[2] >> 2 & 3
    return version != 0b01 and layer == MP3_LAYER_3 and bit_rate != 0b1111 and sample_rate != 0b11
