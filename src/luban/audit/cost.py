"""How long a check will take, estimated from what it looks at, so that no clock decides what a training waits for.

All rates are seconds of one core of an EPYC with AVX-512, measured on adult, banking77, mrpc, takeaway reviews, mnist,
cifar10, spoken digits and 100,000 texts, and rounded up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from luban.audit.confident import DENSE_STEPS, FITTED_ROWS, FOLDS, MAX_CLASSES
from luban.audit.subject import Subject
from luban.data.media.cells import locate
from luban.data.media.unreadable import UnreadableCellError
from luban.features.cells import cjk_share, evenly, strings
from luban.features.media import FILE_KINDS
from luban.features.plain.columns import CJK_SHARE

SAMPLE = 200  # cells of a column, drawn evenly, from which the rest is estimated
FILE_SAMPLE = 20
READ_CHARACTERS = 1_000  # of a text; no check reads further

FILE_SECONDS = {"image": 1.3e-4, "audio": 9e-4}  # to decode one of a few hundred bytes, and compare it
BYTE_SECONDS = 5e-8  # of larger files
COLUMN_SECONDS, ROWS_SECONDS = 1e-3, 1e-4  # of a look at a column of few cells, and at it in the rows as a whole
LIBRARY_SECONDS, LEAKAGE_CELL, LEAKAGE_COLUMN = 1.0, 1e-6, 1e-2
NEAR_CHARACTER, LANGUAGE_CHARACTER = 5e-7, 1e-7
WORD_CHARACTER, CJK_CHARACTER = 1e-6, 5e-6  # to count words, or characters and pairs and triples of them
PLAIN_CELL, PLAIN_COLUMN = 4e-7, 2e-3  # of numbers and categories, to be made features of
FIT_SECONDS = 8e-10  # a step, a row, a feature that is not zero, and a class
CHARACTERS_A_FEATURE = 4
FILE_FEATURES = {"image": 264, "audio": 136}  # that the linear model has of each
EDGE_SECONDS = 2e-4  # to find them in an image that is decoded


@dataclass(frozen=True)
class Size:
    """cells, columns: of the inputs, by kind. characters: of all texts. is_cjk: Chinese or Japanese ones. file_bytes:
    of all files, by kind. classes: that a linear model would tell apart, 1 where there are two, or numbers."""

    rows: int
    cells: dict[str, int]
    characters: float
    is_cjk: bool
    file_bytes: dict[str, float]
    classes: int
    columns: dict[str, int] = field(default_factory=dict)

    @property
    def all_cells(self) -> int:
        return sum(self.cells.values())

    def decoding(self, kind: str) -> float:
        """Return the seconds that images or sounds take, once for all checks that look at them."""
        return FILE_SECONDS[kind] * self.cells.get(kind, 0) + BYTE_SECONDS * self.file_bytes.get(kind, 0.0)


Cost = Callable[[Size], float]  # seconds


def size_of(subject: Subject) -> Size:
    """Look at a few cells of each column."""
    rows = len(subject)
    columns = Counter(subject.kinds[name] for name in subject.inputs)
    cells = {kind: rows * count for kind, count in columns.items()}
    texts = [strings(evenly(subject.frame[name], SAMPLE)).drop_nulls() for name in subject.of_kind("text")]
    lengths = [text.str.slice(0, READ_CHARACTERS).str.len_chars().to_numpy() for text in texts]
    classes = subject.labels.n_unique() if subject.has_classes else 1
    return Size(
        rows=rows,
        cells=cells,
        characters=rows * sum(float(length.mean()) for length in lengths if len(length)),
        is_cjk=any(cjk_share(text) >= CJK_SHARE for text in texts if len(text)),
        file_bytes={
            kind: rows * sum(_mean_bytes(subject, name) for name in subject.of_kind(kind)) for kind in FILE_KINDS
        },
        classes=1 if classes <= 2 else classes,
        columns=dict(columns),
    )


def _mean_bytes(subject: Subject, name: str) -> float:
    sizes = [_bytes_of(cell, subject.table.folder) for cell in evenly(subject.frame[name], FILE_SAMPLE).to_list()]
    return sum(sizes) / max(len(sizes), 1)


def _bytes_of(cell: object, folder: Path | None) -> int:
    if isinstance(cell, str):
        try:
            return locate(cell, folder).stat().st_size
        except (UnreadableCellError, OSError):
            return 0
    return len(cell) if isinstance(cell, bytes) else 0


def per_cell(seconds: float, *kinds: str, column: float = COLUMN_SECONDS) -> Cost:
    """Return the cost of a check that looks once at each input, or at those of some kinds. column: seconds for each,
    however few its cells."""
    return lambda size: sum(
        seconds * size.cells.get(kind, 0) + column * size.columns.get(kind, 0) for kind in kinds or size.cells
    )


def leakage_seconds(size: Size) -> float:
    """Of scikit-learn's import, and of models of single columns."""
    modelled = sum(size.columns.get(kind, 0) for kind in ("number", "date", "category"))
    return LIBRARY_SECONDS + LEAKAGE_CELL * size.all_cells + LEAKAGE_COLUMN * modelled


def language_seconds(size: Size) -> float:
    return LANGUAGE_CHARACTER * size.characters


def near_seconds(size: Size) -> float:
    return NEAR_CHARACTER * size.characters


def label_error_seconds(size: Size) -> float:
    """Of the plain features, and of the fits on them."""
    if size.classes > MAX_CLASSES:
        return 0.0
    plain = sum(cells for kind, cells in size.cells.items() if kind not in ("text", *FILE_KINDS))
    files = sum(count * size.cells.get(kind, 0) for kind, count in FILE_FEATURES.items())
    features = plain + size.characters / CHARACTERS_A_FEATURE + files
    fitted = features * min(1.0, FITTED_ROWS / max(size.rows, 1)) * size.classes
    reading = (CJK_CHARACTER if size.is_cjk else WORD_CHARACTER) * size.characters + PLAIN_CELL * plain
    reading += PLAIN_COLUMN * sum(count for kind, count in size.columns.items() if kind not in ("text", *FILE_KINDS))
    reading += EDGE_SECONDS * size.cells.get("image", 0)
    return reading + FIT_SECONDS * FOLDS * DENSE_STEPS * fitted
