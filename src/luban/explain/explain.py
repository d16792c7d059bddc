"""Explanations of rows, of every kind of input at once, each with its check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from luban.core.errors import ConfigError, DataError
from luban.core.tensors import Ragged
from luban.data.table import Table
from luban.evaluation.answers import answer_of
from luban.evaluation.mistakes import shown
from luban.explain.answers import explained
from luban.explain.attention import attention_rollout
from luban.explain.check import Check, check
from luban.explain.edit import smallest_edit
from luban.explain.effort import THOROUGH, Effort
from luban.explain.importance import Importance, drawn, permutation_importance
from luban.explain.methods import AUTO, Method, Weights, choose
from luban.explain.nearest import Neighbour, nearest_rows
from luban.explain.question import Question, ask, fixed
from luban.explain.result import ColumnExplanation, Explanations, RowExplanation, Sampling, Weighted
from luban.explain.segments import segmented
from luban.features import cache
from luban.features.dataset import Dataset
from luban.predictor import Predictor, check_finite
from luban.tasks.base import Metric, Task

DEFAULT_ROWS = 3
NAMED_PARTS = 3  # in the sentence
NAMED_SHARE = 0.1  # of the largest weight, that a part needs to be named


def explain_table(
    predictor: Predictor,
    table: Table,
    rows: Sequence[int] | None = None,
    *,
    method: str = AUTO,
    metric: str | None = None,
    source: Table | None = None,
    neighbours: int = 0,
    seed: int = 0,
) -> Explanations:
    """Explain rows of a table, by their positions from 0, the first three if None; where the table has the target, also
    how much each column matters.

    metric: the task's first if None. source: the training rows, which `neighbours` of are shown for each row.
    Raises ConfigError for rows that are not there or a method that does not fit, or where the answers of the task are
    not explained, SchemaError for missing columns.
    """
    explained(predictor.task)
    predictor.schema.check(table)
    positions = _positions(table, rows)
    chosen = choose(method, {feature.kind for feature in predictor.schema.features})
    deciding = {item.name: item for item in predictor.task.metrics}[metric or predictor.task.metrics[0].name]
    inputs, bad = cache.encode(predictor.schema.suited(table), table.take(np.array(positions)), None, None)
    _check_readable(table, positions, bad)
    dataset = Dataset.of(predictor.schema, inputs, {})
    near: list[tuple[Neighbour, ...]] = [()] * len(positions)
    if source is not None and neighbours:
        near = nearest_rows(predictor, dataset, source, neighbours, seed)
    found = []
    for place, position in enumerate(positions):
        question = ask(predictor, dataset, place, table.frame[position])
        check_finite(question.logits.float().cpu().numpy(), table.take(np.array([position])))
        found.append(explain_row(question, table, position, chosen, near=near[place], seed=seed))
    return Explanations(_importance(predictor, table, deciding, seed), deciding.name, tuple(found))


def explain_row(
    question: Question,
    table: Table,
    position: int,
    method: Method,
    *,
    near: tuple[Neighbour, ...] = (),
    seed: int = 0,
    effort: Effort = THOROUGH,
) -> RowExplanation:
    """Explain the prediction of one row of a table. question: that was asked of the row."""
    cells, task, answer = table.frame[position], question.predictor.task, question.answer
    with fixed(question.predictor):
        whole, sizes = question, (1,) * len(question.parts)
        if method.is_sampled:
            effort = effort.beside_samples()
        if method.most_parts is not None:
            question, sizes = segmented(question, method.most_parts(effort, question.flops))
        weighed = Weights(torch.zeros(0), tuple(view.point * 0 for view in question.views))
        if question.parts:
            weighed = method.weigh(question, seed, effort)
        weights = weighed.of_parts
        checked = check(question, weights.double().numpy(), weighed.stability, seed, effort, weighed.halved)
        columns = _columns(question, weights, weighed.of_points)
        edit = smallest_edit(whole, _over_words(weights, sizes), cells, table, effort)
    sampling = _sampling(question, weighed) if method.is_sampled or question is not whole else None
    return RowExplanation(
        row=int(table.row_numbers[position]),
        predicted=answer.text,
        actual=_actual(task, cells),
        probability=answer.probability,
        method=method.name,
        unit=answer.unit,
        columns=columns,
        check=checked,
        sentence=_sentence(question, weights, checked) + ("" if sampling is None else sampling.sentence),
        edit=edit,
        nearest=near,
        sampling=sampling,
    )


def _over_words(weights: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Return the weights of segments as those of their words, in equal shares."""
    counts = torch.tensor(sizes, dtype=torch.int64)
    return (weights / counts).repeat_interleave(counts)


def _sampling(question: Question, weighed: Weights) -> Sampling:
    texts = [part for part in question.parts if part.form == "text"]
    return Sampling(weighed.samples, sum(part.words for part in texts), len(texts))


def _importance(predictor: Predictor, table: Table, metric: Metric, seed: int) -> tuple[Importance, ...]:
    """Return how much each column matters, where the table has the target; rows not looked at are not encoded."""
    task = predictor.task
    if task.target not in table.columns:
        return ()
    _, unreadable = task.encode(table.frame[task.target])
    rows = drawn(np.setdiff1d(np.arange(len(table)), np.fromiter(unreadable, np.int64)), seed)
    inputs, bad = cache.encode(predictor.schema.suited(table), table.take(rows), None, None)
    targets, _ = task.encode_targets(table.frame[rows])
    kept = np.setdiff1d(np.arange(len(rows)), np.fromiter(bad, np.int64))
    if len(kept) < 2:
        return ()
    return permutation_importance(
        predictor, Dataset.of(predictor.schema, inputs, targets).select(kept), metric, seed=seed
    )


def _actual(task: Task, cells: pl.DataFrame) -> str | None:
    """Return the row's target, labels written as the prediction writes them; None where the table has none."""
    if task.target not in cells.columns:
        return None
    targets, unreadable = task.encode(cells[task.target])
    answer = answer_of(task)
    if unreadable or not answer.has_probabilities:
        return shown(cells[task.target])[0]
    return str(task.decode(answer.certain(task, targets)).item(0, 0))


def _columns(question: Question, weights: Tensor, points: tuple[Tensor, ...]) -> tuple[ColumnExplanation, ...]:
    found, start = [], 0
    for feature, view, point in zip(question.predictor.schema.features, question.views, points, strict=True):
        own = weights[start : start + len(view.parts)].tolist()
        start += len(view.parts)
        attention = _attention(question, feature.name, view.groups, len(view.parts))
        pictures = None if view.draw is None else view.draw(point)
        for column in feature.columns:
            places = [place for place, part in enumerate(view.parts) if part.column == column]
            looked = None if attention is None else tuple(Weighted(view.parts[i], attention[i]) for i in places)
            parts = tuple(Weighted(view.parts[i], own[i]) for i in places)
            found.append(ColumnExplanation(column, view.kind, parts, pictures, looked, view.series))
    return tuple(found)


def _attention(question: Question, name: str, groups: Tensor, count: int) -> list[float] | None:
    """Return the attention that each word gets, or None for what has none."""
    tokens = question.inputs[name]
    if not isinstance(tokens, Ragged):
        return None
    flow_T = attention_rollout(question.predictor.network.encoder(name), tokens, question.predictor.dtype)
    if flow_T is None:
        return None
    words_T = groups.flatten()
    total = flow_T.new_zeros(count + 1).index_add_(0, words_T.where(words_T >= 0, count), flow_T)
    return [float(share) for share in total[:-1]]


def _sentence(question: Question, weights: Tensor, checked: Check) -> str:
    """Say what speaks most for the answer and against it, and whether that holds."""
    target = question.predictor.task.target
    answer = question.answer
    sure = "" if answer.probability is None else f" (probability {answer.probability:.2f})"
    order = weights.argsort(descending=True).tolist()
    least = NAMED_SHARE * float(weights.abs().max()) if len(weights) else 0.0
    helping = [_named(question, place) for place in order if weights[place] > least][:NAMED_PARTS]
    hindering = [_named(question, place) for place in order[::-1] if weights[place] < -least][:NAMED_PARTS]
    words = explained(question.predictor.task)
    clauses = [f"The model predicts {target} = {words.said(answer)}{sure}"]
    clauses += [f"{words.helps} {', '.join(helping)}"] if helping else []
    clauses += [f"{words.hinders} {', '.join(hindering)}"] if hindering else []
    return f"{'; '.join(clauses)}. {checked.sentence}"


def _named(question: Question, place: int) -> str:
    part = question.parts[place]
    if part.form == "text":
        return f"the word{'s' if part.words > 1 else ''} '{part.label}'"
    return f"{part.column} = {part.label}" if part.form == "value" else f"{part.column} at {part.label}"


def _positions(table: Table, rows: Sequence[int] | None) -> list[int]:
    if not len(table):
        raise DataError(table.name, expected="rows to explain", found="none", action="Give a table that has rows")
    if rows is None:
        return list(range(min(DEFAULT_ROWS, len(table))))
    if not rows:
        raise ConfigError("rows", expected="the numbers of rows", found="none", action="Write them like 0,5,9")
    for row in rows:
        if not 0 <= row < len(table):
            raise ConfigError(
                f"{table.name}, rows",
                expected=f"numbers from 0 to {len(table) - 1}, counted from 0",
                found=str(row),
                action="Choose rows that the data have",
            )
    return list(rows)


def _check_readable(table: Table, positions: list[int], bad: dict[int, tuple[str, str]]) -> None:
    for position in positions:
        if position in bad:
            column, reason = bad[position]
            raise DataError(
                f"{table.name}, row {table.row_numbers[position]}, column '{column}'",
                expected="a cell that can be read, to explain what it says",
                found=f"'{reason}'",
                action="Mend the cell or choose other rows",
            )
