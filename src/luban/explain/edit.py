"""The smallest edit found that changes the answer: one or two cells of a table, or words that are taken out.

A greedy search: what it finds changes the answer for sure, but a smaller edit may exist (Wachter et al. 2017,
arXiv:1711.00399, call such rows counterfactuals).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from luban.data.table import Table
from luban.explain.effort import THOROUGH, Effort
from luban.explain.question import Question
from luban.features import cache
from luban.features.cells import quoted
from luban.features.dataset import Dataset

CELL_KINDS = ("number", "category", "date", "labels")
MOST_CELLS, MOST_WORDS = 2, 3


@dataclass(frozen=True)
class Change:
    """before, after: as text; a word that is taken out has nothing after it."""

    column: str
    before: str
    after: str

    def to_json(self) -> dict[str, str]:
        return {"column": self.column, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Edit:
    """predicted: after the changes."""

    changes: tuple[Change, ...]
    predicted: str

    def to_json(self) -> dict[str, Any]:
        return {"changes": [change.to_json() for change in self.changes], "predicted": self.predicted}


def smallest_edit(
    question: Question, weights: Tensor, cells: pl.DataFrame, reference: Table, effort: Effort = THOROUGH
) -> Edit | None:
    """Search for an edit; None where none was found, or where the answer is a number. reference: rows whose cells are
    tried in place of this row's. cells: the row, one row of a table. weights: (K,), of the words the largest are tried.
    """
    if question.answer.position is None:
        return None
    return _other_cells(question, cells, reference, effort) or _fewer_words(question, weights, effort)


def _other_cells(question: Question, cells: pl.DataFrame, reference: Table, effort: Effort) -> Edit | None:
    """Change the cell that lowers the probability most, and then another."""
    schema = question.predictor.schema
    columns = [feature.columns[0] for feature in schema.features if feature.kind in CELL_KINDS]
    row, changes = cells.select(schema.columns), list[Change]()
    count = effort.edits(question.flops * len(columns), MOST_CELLS) if columns else 0
    for _ in range(MOST_CELLS):
        free = [name for name in columns if name not in {change.column for change in changes}]
        tried = [(name, value) for name in free for value in _values(reference.frame[name], row.item(0, name), count)]
        if not tried:
            return None
        variants = pl.concat([row] * len(tried))
        for name in free:
            places = [place for place, (column, _) in enumerate(tried) if column == name]
            values = pl.Series([value for column, value in tried if column == name], dtype=row.schema[name])
            variants = variants.with_columns(variants[name].scatter(places, values))
        table = Table(variants, reference.name, reference.folder, np.arange(len(variants)))
        inputs, _ = cache.encode(schema, table, None, None)
        outputs = question.predictor.outputs(Dataset.of(schema, inputs, None))
        best = int(outputs[:, question.answer.position].argmin())
        name, own = tried[best][0], row.item(0, tried[best][0])
        answers = question.predictor.task.decode(outputs).to_series()
        turned = [
            place
            for place, (column, _) in enumerate(tried)
            if column == name and answers[place] != question.answer.text
        ]
        best = min(turned, key=lambda place: _distance(own, tried[place][1]), default=best)
        value = tried[best][1]
        changes.append(Change(name, _shown(own), _shown(value)))
        predicted = _decoded(question, outputs[best : best + 1])
        if predicted != question.answer.text:
            return Edit(tuple(changes), predicted)
        row = variants[best]
    return None


def _values(column: pl.Series, own: object, count: int) -> list[object]:
    """Return at most so many values of a column, other than the row's own: the commonest, or the quantiles."""
    present = column.drop_nulls()
    if present.dtype.is_numeric() or present.dtype.is_temporal():
        ordered = present.unique().sort()
        places = np.unique(np.linspace(0, max(len(ordered) - 1, 0), count).astype(int))[: len(ordered)]
        found = ordered.gather(places).to_list()
    else:
        counts = present.rename("cell").value_counts(sort=True)
        found = counts["cell"].head(count).to_list()
    return [value for value in found if value != own]


def _distance(own: object, value: object) -> float:
    """Return how far a number is from another; of other cells, which stand in the order to try, 0."""
    return abs(value - own) if isinstance(own, (int, float)) and isinstance(value, (int, float)) else 0.0


def _fewer_words(question: Question, weights: Tensor, effort: Effort) -> Edit | None:
    """Take out the word whose absence lowers the log odds most, and then another."""
    words = [place for place, part in enumerate(question.parts) if part.form == "text"]
    rounds = min(MOST_WORDS, len(words) - 1)
    if rounds < 1:
        return None
    words = sorted(words, key=lambda place: -float(weights[place]))[: effort.edits(question.flops, rounds)]
    keep = torch.ones(len(question.parts), dtype=torch.bool)
    taken: list[int] = []
    for _ in range(rounds):
        left = [place for place in words if place not in taken]
        variants = keep.repeat(len(left), 1)
        variants[range(len(left)), left] = False
        best = int(question.score(variants).argmin())
        taken.append(left[best])
        keep = variants[best]
        predicted = _decoded(question, question.outputs(keep[None]))
        if predicted != question.answer.text:
            if len(taken) > 2:  # of fewer words, those after the first are all that was not tried
                keep[taken[0]] = True
                without = _decoded(question, question.outputs(keep[None]))
                taken, predicted = (taken[1:], without) if without != question.answer.text else (taken, predicted)
            parts = [question.parts[place] for place in sorted(taken)]
            return Edit(tuple(Change(part.column, part.label, "") for part in parts), predicted)
    return None


def _decoded(question: Question, outputs: Any) -> str:
    return str(question.predictor.task.decode(outputs).item(0, 0))


def _shown(cell: object) -> str:
    return "(missing)" if cell is None or cell == "" else quoted(cell).strip("'")
