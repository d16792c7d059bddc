"""Which code page the bytes of a text are in, where it is not Unicode: by the letters that each would give.

chardet ranks the pages by how often their pairs of bytes occur in a language; pages that would put two scripts, or
capital letters and signs, into the middle of words come behind those that do not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

LABELS = {
    "cp1252": "Windows-1252", "cp1250": "Windows-1250", "cp1251": "Windows-1251", "cp1253": "Windows-1253",
    "cp1254": "Windows-1254", "cp1255": "Windows-1255", "cp1256": "Windows-1256", "cp1257": "Windows-1257",
    "cp1258": "Windows-1258", "cp874": "Windows-874", "koi8-r": "KOI8-R", "koi8-u": "KOI8-U",
    "iso8859-2": "ISO 8859-2", "iso8859-5": "ISO 8859-5", "iso8859-7": "ISO 8859-7", "iso8859-9": "ISO 8859-9",
    "iso8859-15": "ISO 8859-15", "cp866": "DOS 866", "cp850": "DOS 850", "cp852": "DOS 852", "mac-roman": "Mac Roman",
    "mac-cyrillic": "Mac Cyrillic", "gb18030": "GB18030", "cp932": "Shift JIS", "euc_jis_2004": "EUC-JP",
    "cp949": "EUC-KR", "big5hkscs": "Big5",
}  # fmt: skip
EAST_ASIAN = ("cp932", "euc_jis_2004", "cp949", "big5hkscs")
COMMONEST, HANDICAP = "cp1252", 0.015  # of chardet's confidence, by which others must be ahead of it
SAMPLE_BYTES = 32 * 2**10
CELL = re.compile(rb'[^,;\t\r\n"]+')
WORD = re.compile(r"[^\W\d_]+(?:[^\x00-\x7f][^\W\d_]+)*|[^\x00-\x7f]")
SIGNS = frozenset("“”‘’„‚«»–—…€£°§µ±²³½¼¾×÷©®™•·¿¡´№¨‹›\xa0")
JOINERS = "’'´·-"
ANY_SCRIPT = frozenset({"MICRO", "FEMININE", "MASCULINE"})  # signs that stand with the letters of every script
CJK = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "IDEOGRAPHIC", "FULLWIDTH"})


def sample(lines: Iterable[bytes]) -> list[bytes]:
    """Return the different cells of a text that are not ASCII, up to SAMPLE_BYTES in all."""
    found: dict[bytes, None] = {}
    size = 0
    for line in lines:
        if line.isascii():
            continue
        for cell in CELL.findall(line):
            if not cell.isascii() and cell not in found:
                found[cell] = None
                size += len(cell)
        if size >= SAMPLE_BYTES:
            break
    return [cell[:SAMPLE_BYTES] for cell in found]


def guess(cells: Sequence[bytes]) -> list[str]:
    """Return the code pages in which the cells decode, the likeliest first."""
    import chardet

    text = b" ".join(cells)
    ranked = chardet.detect_all(text, ignore_threshold=True, include_encodings=list(LABELS), compat_names=False)
    confidence = {str(result["encoding"]): float(result["confidence"]) for result in ranked}
    found, decoded = [], {}
    for place, codec in enumerate(LABELS):
        try:
            decoded[codec] = text.decode(codec)
        except UnicodeDecodeError:
            continue
        ahead = confidence.get(codec, 0.0) + (HANDICAP if codec == COMMONEST else 0.0)
        found.append((round(_oddity(decoded[codec]), 2), -ahead, place, codec))
    pages = [codec for *_, codec in sorted(found)]
    if pages and decoded.get(COMMONEST) == decoded[pages[0]]:
        pages.insert(0, COMMONEST)
    return pages


def _oddity(text: str) -> float:
    """Return the share of words beyond ASCII that are not written as people write them."""
    words = [word for word in WORD.findall(text) if not word.isascii()]
    return sum(map(_is_odd, words)) / max(len(words), 1)


def _is_odd(word: str) -> bool:
    if len(word) == 1 and not word.isalpha():
        return word not in SIGNS and unicodedata.category(word)[0] != "M" and _script(word) not in CJK
    letters = "".join(sign for sign in word if unicodedata.category(sign)[0] != "M")
    if not all(sign.isalpha() or sign in JOINERS for sign in letters):
        return True
    scripts = {_script(sign) for sign in letters if sign.isalpha()} - ANY_SCRIPT
    if len(scripts) > 1 and not scripts <= CJK:
        return True
    return letters not in (letters.lower(), letters.upper(), letters.capitalize(), letters.title())


def _script(sign: str) -> str:
    return unicodedata.name(sign, "?").split()[0]
