"""Text files as streams, and their encoding: sniffed on the whole file, or as the user says."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, TextIO

from luban.core.errors import ConfigError, DataError
from luban.data import code_pages
from luban.data.compressed import open_bytes

CHUNK_BYTES = 2**20
MAX_LINE = 64 * 2**20  # characters or bytes
BOMS = (  # the marks of UTF-32 begin like those of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
MAGICS = {
    b"PK\x03\x04": "a ZIP archive in a compressed file",
    b"PAR1\x15": "a Parquet file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF-": "a PDF document",
    b"SQLite format 3\x00": "an SQLite database",
    b"(\xb5/\xfd": "a file compressed with zstd",
    b"\x1f\x8b": "a file compressed twice",
}
CONTROL_BYTES = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\x1b")
CONTROL_SHARE, CONTROL_SAMPLE = 0.05, 256  # a higher share of control characters in so many bytes is no text
C1_BYTES = bytes(range(0x80, 0xA0))  # letters and quotes in Windows-1252, control characters in Latin-1
CHINESE_SHARE = 0.6  # of the characters beyond ASCII must be common Chinese ones for GB18030 to be believed
CHINESE_SAMPLE = 200_000
DAMAGED_SHARE = 0.01  # of the lines of a GB18030 text may hold bytes that are not
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file become text.

    codec: the name in Python. label: the name in messages. is_damaged: some bytes cannot be decoded; they become lone
    surrogates, so that the reader sets aside the rows that hold them. is_sniffed: not set by the user. is_guess: other
    encodings would give text, too.
    """

    codec: str
    label: str
    is_damaged: bool = False
    is_sniffed: bool = True
    is_guess: bool = False


UTF8 = Encoding("utf-8-sig", "UTF-8")


def open_text(path: Path, encoding: Encoding) -> io.TextIOWrapper:
    """Open a file as text with its line ends as they are."""
    errors = "surrogateescape" if encoding.is_damaged else "strict"
    return io.TextIOWrapper(open_bytes(path), encoding.codec, errors, newline="")


def next_line(stream: TextIO) -> str:
    """Return the next line, or the first MAX_LINE characters of a longer one, whose rest is skipped."""
    line = rest = stream.readline(MAX_LINE)
    while len(rest) == MAX_LINE and not rest.endswith("\n"):
        rest = stream.readline(MAX_LINE)
    return line


def detect(path: Path, name: str, setting: str | None = None) -> Encoding:
    """Return the encoding that is set, or the one that the whole file agrees with.

    UTF-16 and UTF-32 are known by their byte-order mark, UTF-8 by itself; GB18030 must decode and look like Chinese;
    what is left is one of the code pages, by statistics of its letters. Raises DataError where the file is not text or
    does not decode as set, and ConfigError where the setting is no encoding.
    """
    with open_bytes(path) as stream:
        head = stream.read(2**16)
    _check_not_a_known_format(head, name)
    if setting is not None:
        return _as_set(path, name, setting)
    for mark, codec, label in BOMS:
        if head.startswith(mark):
            found = Encoding(codec, label)
            _check_decodes(path, name, found)
            return found
    _check_text(head, name)
    if undecodable_at(path, "utf-8") is None:
        return UTF8
    return _without_strict_utf8(path)


def undecodable_at(path: Path, codec: str) -> int | None:
    """Return the offset in bytes of the first byte that does not decode, None where all do."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    start = 0
    with open_bytes(path) as stream:
        while True:
            chunk = stream.read(CHUNK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return start - pending + error.start
            except UnicodeError:  # UTF-16 without a mark at its beginning
                return start
            if not chunk:
                return None
            start += len(chunk)


def _as_set(path: Path, name: str, setting: str) -> Encoding:
    try:
        io.TextIOWrapper(io.BytesIO(), setting)
        codec = codecs.lookup(setting).name
    except (LookupError, ValueError) as error:
        raise ConfigError(
            "data.encoding",
            expected="the name of a text encoding, such as utf-8, gb18030 or latin-1",
            found=f"'{setting}'",
            action="Correct it, or leave it out to have the encoding recognised",
        ) from error
    found = Encoding("utf-8-sig" if codec == "utf-8" else codec, setting, is_sniffed=False)
    _check_decodes(path, name, found)
    return found


def _check_decodes(path: Path, name: str, encoding: Encoding) -> None:
    offset = undecodable_at(path, encoding.codec)
    if offset is not None:
        raise DataError(
            name,
            expected=f"text in {encoding.label}",
            found=f"a byte at offset {offset} that cannot be decoded",
            action="Set data.encoding to the encoding of the file"
            + ("" if encoding.is_sniffed else ", or leave it out to have it recognised"),
        )


def _check_not_a_known_format(head: bytes, name: str) -> None:
    for magic, kind in MAGICS.items():
        if head.startswith(magic):
            action = "Give it the suffix .parquet" if "Parquet" in kind else "Save it as CSV or Parquet"
            raise DataError(name, expected="text", found=kind, action=action)


def _check_text(head: bytes, name: str) -> None:
    controls = len(head) - len(head.translate(None, CONTROL_BYTES))
    if bytes(4) in head or (len(head) >= CONTROL_SAMPLE and controls > CONTROL_SHARE * len(head)):
        raise DataError(
            name,
            expected="text",
            found="bytes of a binary file",
            action="Save it as CSV or Parquet, or set data.encoding where it is text in UTF-16",
        )


def _without_strict_utf8(path: Path) -> Encoding:
    utf8_lines, other_lines, sample = _lines_beyond_ascii(path, "utf-8")
    looks_utf8 = utf8_lines > other_lines  # other encodings seldom yield valid UTF-8 sequences by chance
    if looks_utf8 and not _mixes_scripts(sample):
        return Encoding("utf-8-sig", "UTF-8", is_damaged=True)
    chinese_lines, other_lines, sample = _lines_beyond_ascii(path, "gb18030")
    is_chinese = other_lines <= DAMAGED_SHARE * chinese_lines and _looks_chinese(sample)
    pages = _code_pages(path)
    if is_chinese and (other_lines or next(iter(pages), "gb18030") not in code_pages.EAST_ASIAN):
        return Encoding("gb18030", "GB18030", is_damaged=other_lines > 0)
    if looks_utf8 and not is_chinese:
        return Encoding("utf-8-sig", "UTF-8", is_damaged=True)
    found = next((page for page in pages if undecodable_at(path, page) is None), "latin-1")
    if found in ("latin-1", "cp1252"):
        with open_bytes(path) as stream:
            has_c1 = any(len(chunk.translate(None, C1_BYTES)) < len(chunk) for chunk in _chunks(stream))
        if found == "latin-1" or not has_c1:
            return Encoding("latin-1", "Latin-1", is_guess=True)
    return Encoding(found, code_pages.LABELS[found], is_guess=True)


def _code_pages(path: Path) -> list[str]:
    """Return the code pages that the cells beyond ASCII may be in, the likeliest first."""
    with open_bytes(path) as stream:
        return code_pages.guess(code_pages.sample(iter(partial(stream.readline, MAX_LINE), b"")))


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    return iter(partial(stream.read, CHUNK_BYTES), b"")


def _lines_beyond_ascii(path: Path, codec: str) -> tuple[int, int, str]:
    """Return how many lines with other than ASCII bytes decode, how many do not, and the first text that does."""
    decoded, failed, size = 0, 0, 0
    sample: list[str] = []
    with open_bytes(path) as stream:
        for line in iter(partial(stream.readline, MAX_LINE), b""):
            if line.isascii():
                continue
            try:
                text = line.decode(codec)
            except UnicodeDecodeError:
                failed += 1
                continue
            decoded += 1
            if size < CHINESE_SAMPLE:
                sample.append(text)
                size += len(text)
    return decoded, failed, "".join(sample)


def _mixes_scripts(text: str) -> bool:
    """Tell text from bytes that are UTF-8 by chance: most words beyond ASCII have letters of several scripts, as the
    `δ֪` that 未知 in GB18030 reads as. So has Japanese."""
    words = [word for word in re.findall(r"[^\x00-\x7f]+", text) if sum(map(str.isalpha, word)) or len(word) > 1]
    scripts = [{unicodedata.name(sign, "?").split()[0] for sign in word if not _is_punctuation(sign)} for word in words]
    return 2 * sum(len(found) > 1 for found in scripts) > len(scripts)


def _is_punctuation(sign: str) -> bool:
    return unicodedata.category(sign)[0] not in "LM"


def _looks_chinese(text: str) -> bool:
    """Tell Chinese from accented letters that happen to decode as GB18030.

    Chinese text is made of the level-1 characters and punctuation of GB 2312. An accented letter swallows the byte
    after it and gives a rare character, or a common one alone behind a Latin letter.
    """
    total = len(re.findall(r"[^\x00-\x7f]", text))
    runs = re.findall(r"(?<![A-Za-z])[^\x00-\x7f]+|[^\x00-\x7f]{2,}", text)
    common = sum(_is_common_chinese(character) for run in runs for character in run)
    return total > 0 and common >= CHINESE_SHARE * total


def _is_common_chinese(character: str) -> bool:
    encoded = character.encode("gb2312", "ignore")
    return len(encoded) == 2 and (0xA1 <= encoded[0] <= 0xA3 or 0xB0 <= encoded[0] <= 0xD7)
