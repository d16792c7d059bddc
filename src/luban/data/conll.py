"""Files of a word a line with its tags in columns, sentences parted by blank lines, as CoNLL's shared tasks left them.

The layouts: CoNLL-2003 (https://www.clips.uantwerpen.be/conll2003/ner/) and CoNLL-U
(https://universaldependencies.org/format.html).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from luban.core.errors import DataError
from luban.core.sentence import sentence
from luban.data.batches import Reading
from luban.data.encodings import Encoding
from luban.data.lines import Row, batched, text_lines, unreadable

SUFFIXES = frozenset({".conll", ".conllu", ".iob", ".iob2", ".bio"})
SNIFFED = 2_000  # lines, that tell the layout
PLAIN_LINES = 20  # fewer words do not make a file of another name plainly one of these
WORDS, TAGS, DOCUMENT = "tokens", "tags", "document"
NEW_DOCUMENT = re.compile(r"#\s*newdoc(?:\s+id\s*=\s*(.*))?$|#begin document\b\s*(.*)$")
MARK = "-DOCSTART-"
SPACES = re.compile(r"[ \t]+")  # not those that may be words, as a no-break space is
BIO = re.compile(r"O|[BIESLU]-\S+")
UNIVERSAL = 10  # columns of CoNLL-U, and of CoNLL-X before it
NO_TAG = "_"


@dataclass(frozen=True)
class Layout:
    """How the lines of a file are made up.

    width: the columns of a line. tabs: they part columns, spaces do not. universal: CoNLL-U. counts: the first column
    numbers the words of a sentence. tags: those of the first lines.
    """

    width: int
    tabs: bool
    universal: bool
    counts: bool
    tags: frozenset[str]

    def cells(self, line: str) -> list[str]:
        return [cell.strip(" ") for cell in line.split("\t")] if self.tabs else SPACES.split(line.strip(" \t"))

    @property
    def places(self) -> dict[str, int]:
        """Name of each column that is read -> its place in a line."""
        if self.universal:
            return {WORDS: 1, TAGS: 3}
        first, last = int(self.counts), self.width - 1
        between = {f"column {place + 1}": place for place in range(first + 1, last)}
        return {WORDS: first, **between, TAGS: last}

    def is_comment(self, cells: list[str], at_start: bool) -> bool:
        """Tell a comment from the word '#': it stands before the first word, and is not what lines of words are."""
        if self.universal:
            return cells[0].startswith("#")
        return at_start and cells[0].startswith("#") and (len(cells) != self.width or cells[-1] not in self.tags)

    def is_left_out(self, cells: list[str]) -> bool:
        """Tell the lines of CoNLL-U that are no word: of two words written as one (`1-2`), and of one that is not
        written (`1.1`)."""
        return self.universal and not cells[0].isdecimal()


def is_columns(path: Path, encoding: Encoding) -> bool:
    """Tell whether a file is plainly words and tags a line: one of CoNLL-U, or sentences of at least PLAIN_LINES words
    whose last column marks spans, or that begin with the mark of a document."""
    lines = [line for _, line in islice(text_lines(path, encoding, blank=True), SNIFFED)]
    words = [line for line in lines if line.strip(" \t") and not line.startswith("#")]
    layout = _layout(lines)
    if layout is None or any(len(layout.cells(line)) != layout.width for line in words if not line.startswith(MARK)):
        return False
    if layout.universal or words[0].startswith(MARK):
        return True
    is_parted = any(not line.strip(" \t") for line in lines[1:-1])
    return is_parted and len(words) >= PLAIN_LINES and all(BIO.fullmatch(layout.cells(line)[-1]) for line in words)


def read(path: Path, encoding: Encoding, reading: Reading) -> Iterator[pl.DataFrame]:
    """Yield batches of the sentences of a file, numbered by their place in it: lists of strings.

    Columns: `tokens`; `tags`, the last one of the file, of CoNLL-U the universal part of speech; those between as
    `column 2`, by their place; and `document` where the file marks where each begins. A sentence with a line of more or
    fewer columns than the others is set aside. Raises DataError where there is no column of tags.
    """
    layout = _layout([line for _, line in islice(text_lines(path, encoding, blank=True), SNIFFED)])
    names = () if layout is None else tuple(layout.places)
    if layout is None or TAGS not in names or layout.places[TAGS] == layout.places[WORDS] or layout.tags == {NO_TAG}:
        raise DataError(
            reading.name,
            expected="a word a line with its tag in the last column",
            found="no column of tags" if layout is not None else "no words",
            action='Add the tags; rows of words alone are written as JSON Lines, {"tokens": ["...", "..."]}',
        )
    reading.notes.append(
        sentence(
            "read.sentences",
            "{name}: read in {encoding} as {how}, a row a sentence",
            name=reading.name,
            how=sentence("read.conllu", "CoNLL-U, whose tags are the universal parts of speech")
            if layout.universal
            else sentence("read.conll", "words with columns of tags (CoNLL)"),
            encoding=encoding.label,
        )
    )
    has_documents = False
    for numbers, rows in batched(_sentences(path, encoding, layout), reading, ""):
        reading.accept(numbers)
        columns = {name: pl.Series([row[name] for row in rows], dtype=pl.List(pl.String)) for name in names}
        documents = pl.Series([row[DOCUMENT] for row in rows], dtype=pl.String)
        has_documents = has_documents or documents.n_unique() > 1 or documents[0] is not None
        yield pl.DataFrame({**columns, DOCUMENT: documents} if has_documents else columns)


def _layout(lines: Iterable[str]) -> Layout | None:
    """Return the layout that most of the first lines have; None where there is no word."""
    words = [line for line in lines if line.strip(" \t") and not line.startswith(MARK)]
    words = [line for line in words if not line.startswith("#")] or words
    if not words:
        return None
    tabs = 2 * sum("\t" in line for line in words) > len(words)
    rows = [Layout(0, tabs, False, False, frozenset()).cells(line) for line in words]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    rows = [row for row in rows if len(row) == width]
    ids = [row[0] for row in rows]
    counts = width > 2 and all(re.fullmatch(r"\d+(?:[-.]\d+)?", cell) for cell in ids) and ids[0] in ("0", "1")
    universal = counts and tabs and width == UNIVERSAL
    return Layout(width, tabs, universal, counts, frozenset(row[3 if universal else -1] for row in rows))


def _sentences(path: Path, encoding: Encoding, layout: Layout) -> Iterator[Row]:
    """Yield the sentences of a file, each one's cells by column, and why one cannot be read."""
    number, size, problem = 1, 0, ""
    document: str | None = None
    num_documents = 0
    places = layout.places
    cells: list[list[str]] = []

    def finished() -> Row:
        row: dict[str, object] = {name: [line[place] for line in cells] for name, place in places.items()}
        return number, {**row, DOCUMENT: document}, size, problem

    for place, line in text_lines(path, encoding, blank=True):
        found = layout.cells(line)
        is_mark = found[0].startswith(MARK)
        if is_mark or not line.strip(" \t"):
            if cells or problem:
                yield finished()
                number, size, problem, cells = number + 1, 0, "", []
            if is_mark:
                num_documents += 1
                document = str(num_documents)
            continue
        if layout.is_comment(found, at_start=not cells and not problem):
            if mark := NEW_DOCUMENT.match(line):
                num_documents += 1
                document = (mark[1] or mark[2] or "").strip() or str(num_documents)
            continue
        size += len(line)
        wrong = unreadable(line, encoding)
        if not wrong and len(found) != layout.width:
            wrong = f"it has {len(found)} of the {layout.width} columns that the others have"
        if wrong:
            problem = problem or f"line {place}: {wrong}"
        elif not layout.is_left_out(found):
            cells.append(found)
    if cells or problem:
        yield finished()
