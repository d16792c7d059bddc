"""The rows that a model is most sure of and wrong about, and the classes that it takes for each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from luban.data.table import Table
from luban.evaluation.answers import answer_of
from luban.features.cells import strings
from luban.features.sequence import Series
from luban.tasks.base import Array, Floats, Task

MAX_MISTAKES = 20
MAX_COLUMNS = 100  # whose cells are kept of a wrong row: more are no help to a reader
MAX_CHARACTERS = 300


def find_mistakes(
    task: Task, table: Table, targets: Array, outputs: Floats, kinds: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the wrong rows, the most confident first; of numbers those of the largest errors.

    kinds: of the columns that are shown; of more than MAX_COLUMNS the first, those with pictures, sound or sequences
    before others. A row of several labels is as confident as its surest wrong label.
    """
    answer = answer_of(task)
    surety = answer.wrongness(task, targets, outputs)
    count = min(MAX_MISTAKES, int((surety > 0).sum()))
    if not count:
        return []
    worst = np.argpartition(-surety, count - 1)[:count]
    worst = worst[np.lexsort((worst, -surety[worst]))].astype(np.int64)
    rows = table.take(worst)
    predicted = shown(answer.said(task, outputs[worst]))
    actual = shown(answer.cells(task, targets[worst], rows.frame))
    kept: dict[str, dict[str, list[Any]]] = {"cells": {}, "media": {}, "series": {}}
    for name, kind in sorted(kinds.items(), key=lambda item: len(kinds) > MAX_COLUMNS and item[1] not in KEPT)[
        :MAX_COLUMNS
    ]:
        form, keep = KEPT.get(kind, ("cells", shown))
        kept[form][name] = keep(rows.frame[name])
    return [
        {
            "row": int(rows.row_numbers[place]),
            "actual": actual[place],
            "predicted": predicted[place],
            "confidence": float(surety[worst[place]]) if answer.has_probabilities else None,
            **{form: {name: found[place] for name, found in columns.items()} for form, columns in kept.items()},
        }
        for place in range(count)
    ]


def shown(cells: pl.Series) -> list[str]:
    """Return cells as text, 300 characters at most; empty where missing."""
    if cells.dtype == pl.List(pl.String):
        cells = cells.list.join(";")
    return strings(cells).fill_null("").str.slice(0, MAX_CHARACTERS).to_list()


def _paths(cells: pl.Series) -> list[str | None]:
    return [str(Path(cell)) if isinstance(cell, str) and cell else None for cell in cells.to_list()]


def _series(cells: pl.Series) -> list[dict[str, Any] | None]:
    return [None if (found := Series.of(cell)) is None else found.to_json() for cell in cells.to_list()]


# What is kept of a wrong row's cell of a kind, and by which name; of other kinds their text.
KEPT: dict[str, tuple[str, Callable[[pl.Series], list[Any]]]] = {
    "image": ("media", _paths),
    "audio": ("media", _paths),
    "sequence": ("series", _series),
}


def find_confusions(task: Task, targets: Array, outputs: Floats, limit: int = 10) -> list[dict[str, Any]]:
    """Return which classes are taken for which others, the commonest first. share: of the actual class's rows.

    Of several labels a row, which are missed (`predicted` is None; share: of the label's rows) and which are falsely
    said (`actual` is None; share: of the rows that it is said of).
    """
    return answer_of(task).confusions(task, targets, outputs, limit)
