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

from luban.core.sentence import with_parts
from luban.data.table import Table
from luban.explain.effort import FEWEST_WORDS, THOROUGH, Effort
from luban.explain.question import Question
from luban.explain.view import MISSING_CELL
from luban.features import cache
from luban.features.cells import quoted
from luban.features.dataset import Dataset
from luban.features.number import parse_numbers

CELL_KINDS = ("number", "category", "date", "labels")
MOST_CELLS, MOST_WORDS = 2, 3


@dataclass(frozen=True)
class Change:
    """before, after: as text; a word that is taken out has nothing after it."""

    column: str
    before: str
    after: str

    def to_json(self) -> dict[str, Any]:
        return with_parts(vars(self))


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
    columns = {feature.columns[0]: feature.kind for feature in schema.features if feature.kind in CELL_KINDS}
    row, changes = cells.select(schema.columns), list[Change]()
    count = effort.edits(question.flops * len(columns), MOST_CELLS) if columns else 0
    for _ in range(MOST_CELLS):
        free = [name for name in columns if name not in {change.column for change in changes}]
        tried = [
            (name, value, distance)
            for name in free
            for value, distance in _values(reference.frame[name], row.item(0, name), columns[name], count)
        ]
        if not tried:
            return None
        variants = pl.concat([row] * len(tried))
        for name in free:
            places = [place for place, (column, *_) in enumerate(tried) if column == name]
            values = [_plain(value) for column, value, _ in tried if column == name]
            changed = variants[name].to_list()  # lists cannot be set in place
            for place, value in zip(places, values, strict=True):
                changed[place] = value
            variants = variants.with_columns(pl.Series(name, changed, dtype=row.schema[name]))
        table = Table(variants, reference.name, reference.folder, np.arange(len(variants)))
        inputs, _ = cache.encode(schema, table, None, None)
        outputs = question.predictor.outputs(Dataset.of(schema, inputs, {}))
        best = int(outputs[:, question.answer.position].argmin())
        name, own = tried[best][0], row.item(0, tried[best][0])
        answers = question.predictor.task.decode(outputs).to_series()
        turned = [
            place
            for place, (column, *_) in enumerate(tried)
            if column == name and str(answers[place]) != question.answer.text
        ]
        best = min(turned, key=lambda place: tried[place][2], default=best)
        value = tried[best][1]
        changes.append(Change(name, _shown(own), _shown(value)))
        predicted = _decoded(question, outputs[best : best + 1])
        if predicted != question.answer.text:
            return Edit(tuple(changes), predicted)
        row = variants[best]
    return None


def _values(column: pl.Series, own: object, kind: str, count: int) -> list[tuple[object, float]]:
    """Return at most so many cells of a column, other than the row's own, each with how far it is from that: numbers
    spread evenly over the column, or the commonest other cells, which are all as far."""
    if kind == "number":
        numbers = parse_numbers(column)[0]
        known = np.flatnonzero(np.isfinite(numbers))
        values, firsts = np.unique(numbers[known], return_index=True)
        places = np.unique(np.linspace(0, max(len(values) - 1, 0), count).astype(int))[: len(values)]
        distances = np.nan_to_num(np.abs(values - parse_numbers(pl.Series([own], dtype=column.dtype))[0][0]))
        found = [(column[int(known[firsts[place]])], float(distances[place])) for place in places]
    else:
        counts = pl.DataFrame({"cell": column.drop_nulls()}).group_by("cell", maintain_order=True).len()
        commonest = counts.sort("len", descending=True, maintain_order=True)["cell"].head(count)
        found = [(value, 0.0) for value in commonest.to_list()]
    return [(value, distance) for value, distance in found if _plain(value) != _plain(own)]


def _plain(cell: object) -> object:
    return cell.to_list() if isinstance(cell, pl.Series) else cell


def _fewer_words(question: Question, weights: Tensor, effort: Effort) -> Edit | None:
    """Take out the word whose absence lowers the log odds most, and then another."""
    words = [place for place, part in enumerate(question.parts) if part.form == "text"]
    rounds = min(MOST_WORDS, len(words) - 1)
    if rounds < 1:
        return None
    count = effort.edits(question.flops, rounds, FEWEST_WORDS)
    words = sorted(words, key=lambda place: -float(weights[place]))[: max(count, rounds)]
    keep = torch.ones(len(question.parts), dtype=torch.bool)
    taken: list[int] = []
    for _ in range(rounds):
        left = [place for place in words if place not in taken][:count]
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
    return MISSING_CELL if cell is None or cell == "" else quoted(cell).strip("'")
