"""Texts in several languages, and texts that were read in the wrong encoding."""

from __future__ import annotations

import re

import polars as pl

from luban.audit.finding import NO_ROWS, Finding
from luban.audit.subject import Subject, percent
from luban.core.sentence import sentence
from luban.features.cells import strings

# What UTF-8 looks like that was read as Latin-1 or Windows-1252, and the mark of bytes that could not be read.
GARBLED = (
    r"Ã[\u0080-\u00bf]|â€[\u0098-\u009d\u2122\u0153\u201d\u201c\u02dc\u00a6\u201c“”™œ¦˜]|Â[\u00a0-\u00bf]|\u{fffd}"
)
SCRIPTS = {
    "Latin": r"\p{Latin}",
    "Chinese or Japanese": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Cyrillic": r"\p{Cyrillic}",
    "Arabic": r"\p{Arabic}",
    "Greek": r"\p{Greek}",
    "Hangul": r"\p{Hangul}",
    "Devanagari": r"\p{Devanagari}",
    "Hebrew": r"\p{Hebrew}",
    "Thai": r"\p{Thai}",
}
# Words that are frequent in a language and hardly occur in the others.
WORDS = {
    "English": "the and of is with that this was you what are my how",
    "French": "les des est une dans pour pas vous qui sur avec je",
    "German": "der die und das ist nicht ein mit den von ich zu auf",
    "Spanish": "el los las una por con para que es del mi como",
    "Italian": "il che di non una per sono gli della mi con è",
    "Portuguese": "os não uma com para que do da em meu são você",
    "Dutch": "het een van niet voor met zijn ik je dat op aan",
}
MIN_SHARE, MIN_ROWS = 0.02, 10  # of the texts are in another language
MIN_HITS = 2  # words of a language in a text


def garbled(cells: pl.Series) -> pl.Series:
    """Return (rows,) whether a text was read in the wrong encoding."""
    return strings(cells).str.contains(GARBLED).fill_null(False)


def mended(text: str) -> str:
    """Return a garbled text as it was meant, or as it is where that cannot be told."""
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


def audit_encodings(subject: Subject) -> list[Finding]:
    """Find texts and categories that were read in the wrong encoding, or hold characters that could not be read."""
    findings = []
    for name in subject.of_kind("text", "category"):
        if subject.frame[name].dtype != pl.String:
            continue
        rows = garbled(subject.frame[name]).arg_true().to_numpy().astype("int64")
        if not len(rows):
            continue
        message = sentence(
            "audit.encodings.found", "{rows:count row} {rows:do were} read in the wrong encoding", rows=len(rows)
        )
        action = sentence(
            "audit.encodings.action", "Read the file in its own encoding, data.encoding, or mend the cells"
        )
        seen = subject.examples(rows, (name,))
        findings.append(
            Finding("warning", "encodings", message, action, name, len(rows), seen, "--fix encodings", rows)
        )
    return findings


def audit_languages(subject: Subject) -> list[Finding]:
    """Find columns of text in several scripts or languages, told by frequent words."""
    findings = []
    for name in subject.of_kind("text"):
        cells = strings(subject.frame[name]).fill_null("")
        counts = {language: found for language, found in _languages(cells).items() if found.sum()}
        if not counts:
            continue
        main = max(counts, key=lambda language: int(counts[language].sum()))
        for language, is_in in counts.items():
            rows = is_in.arg_true().to_numpy().astype("int64")
            if language == main or len(rows) < max(MIN_ROWS, MIN_SHARE * len(cells)):
                continue
            message = sentence(
                "audit.languages.found",
                "{rows:count row} ({share}) {rows:do are} {language}, most are {main}",
                rows=len(rows),
                share=percent(len(rows), len(cells)),
                language=language,
                main=main,
            )
            action = sentence(
                "audit.languages.action", "Take a multilingual encoder, or train on each language by itself"
            )
            seen = subject.examples(rows, (name,))
            findings.append(Finding("note", "languages", message, action, name, len(rows), seen, None, NO_ROWS))
    return findings


def _languages(cells: pl.Series) -> dict[str, pl.Series]:
    """Return (rows,) by language whether a text is in it."""
    letters = pl.DataFrame({script: cells.str.count_matches(pattern) for script, pattern in SCRIPTS.items()})
    most = letters.max_horizontal()
    found = {}
    for script in SCRIPTS:
        is_in = (letters[script] == most) & (most > 0)
        if script != "Latin":
            found[script] = is_in
    is_latin = (letters["Latin"] == most) & (most > 0)
    lower = cells.str.to_lowercase()
    hits = pl.DataFrame(
        {
            language: lower.str.count_matches(r"\b(?:" + "|".join(map(re.escape, words.split())) + r")\b")
            for language, words in WORDS.items()
        }
    )
    for language in WORDS:
        others = hits.drop(language).max_horizontal()
        assert others is not None
        found[language] = is_latin & (hits[language] >= MIN_HITS) & (hits[language] > 2 * others)
    return found
