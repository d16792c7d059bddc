"""What a training explains by itself: its columns, and a few rows that it was tested on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from luban.core.errors import ConfigError
from luban.data.table import Table
from luban.evaluation.answers import answer_of
from luban.explain import captum
from luban.explain.check import RANDOM_ORDERS
from luban.explain.edit import MOST_WORDS
from luban.explain.effort import BRIEF, FEWEST_WORDS, Effort
from luban.explain.explain import explain_row
from luban.explain.importance import MAX_COLUMNS, Importance, drawn, permutation_importance
from luban.explain.methods import AUTO, choose
from luban.explain.question import ask
from luban.explain.result import Explanations
from luban.features.dataset import Dataset
from luban.predictor import Predictor
from luban.tasks.base import Floats, Metric

ROWS_OF_EACH = 2  # mistakes, and right answers
LOOKED_AT = 32  # rows that right answers are sought among
BUDGET = 700e9  # floating-point operations of all rows together: three seconds for MiniLM on two cores
IMPORTANCE_BUDGET = 250e9
MANY_COLUMNS = 500  # of a row that is not explained, since each of them is changed by itself


def explain_examples(
    predictor: Predictor, table: Table, dataset: Dataset, mistakes: Sequence[int], metric: Metric, seed: int
) -> tuple[Explanations, list[str]]:
    """Explain columns, and of the test rows the most confident mistakes and as many right answers, as far as the budget
    goes; which rows that are does not depend on the machine's speed.

    dataset: of the table, with targets. mistakes: numbers of rows, the most confident first. Returns a sentence for
    each thing that was left out.
    """
    importance: tuple[Importance, ...] = ()
    if not len(dataset):
        return Explanations(importance, metric.name, ()), []
    middle = int(np.argsort(dataset.lengths, kind="stable")[len(dataset) // 2])
    flops = ask(predictor, dataset, middle, table.frame[middle]).flops
    num_columns = len(predictor.schema.features)
    notes = (
        [f"importance is measured for {MAX_COLUMNS} of {num_columns:,} columns"] if num_columns > MAX_COLUMNS else []
    )
    if num_columns > 1:
        rows = drawn(np.arange(len(dataset)), seed, int(IMPORTANCE_BUDGET / flops))
        importance = permutation_importance(predictor, dataset.select(rows), metric, seed=seed)
    left_out = "no row is explained, since that takes long with this model; `luban explain` explains any"
    if num_columns > MANY_COLUMNS:
        return Explanations(importance, metric.name, ()), [*notes, left_out]
    try:
        captum.library()
    except ConfigError:
        missing = "no row is explained without the package captum: `pip install 'luban[explain]'`"
        return Explanations(importance, metric.name, ()), [*notes, missing]
    costs = _cost(flops, BRIEF) * np.maximum(1.0, dataset.lengths / max(1, dataset.lengths[middle]))
    places = {int(row): place for place, row in enumerate(table.row_numbers)}
    wrong = affordable([places[row] for row in mistakes if row in places], costs)
    right = affordable([place for place in _right_answers(predictor, dataset, seed) if place not in wrong], costs)
    found = []
    for position in wrong + right:
        question = ask(predictor, dataset, position, table.frame[position])
        found.append(explain_row(question, table, position, choose(AUTO, set()), seed=seed, effort=BRIEF))
    return Explanations(importance, metric.name, tuple(found)), [*notes, *([] if found else [left_out])]


def affordable(positions: Sequence[int], costs: Floats) -> list[int]:
    """Return the first two that together cost no more than half of the budget."""
    found, left = list[int](), BUDGET / 2
    for position in positions:
        if len(found) < ROWS_OF_EACH and costs[position] <= left:
            found.append(position)
            left -= costs[position]
    return found


def _right_answers(predictor: Predictor, dataset: Dataset, seed: int) -> list[int]:
    """Return rows with a right answer, or the smallest errors, of different predictions first; a few are looked at."""
    looked_at = np.random.default_rng(seed).permutation(len(dataset))[:LOOKED_AT]
    tried = dataset.select(looked_at)
    outputs = predictor.outputs(tried)
    quality = answer_of(predictor.task).quality(predictor.task, predictor.task.truth(tried), outputs)
    if not quality.higher_is_better:
        return [int(place) for place in looked_at[np.argsort(quality.values, kind="stable")]]
    right = np.flatnonzero(quality.values == 1.0)
    labels = outputs[right].argmax(axis=1)
    _, firsts = np.unique(labels, return_index=True)
    is_later = ~np.isin(np.arange(len(right)), firsts)
    return [int(place) for place in looked_at[right[np.argsort(is_later, kind="stable")]]]


def _cost(flops: float, effort: Effort) -> float:
    """Return the floating-point operations of an explanation by integrated gradients; a step there and back counts for
    three predictions."""
    deletions = (RANDOM_ORDERS + 1) * effort.steps(flops, RANDOM_ORDERS + 1)
    edits = MOST_WORDS * effort.edits(flops, MOST_WORDS, FEWEST_WORDS)
    return flops * (3 * effort.points(flops) + deletions + edits)
