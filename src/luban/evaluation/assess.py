"""The whole judgement of a model that was just trained: beside its baselines, and with what small trials tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from luban.core.sentence import sentence
from luban.data.draw import sample_rows
from luban.evaluation.answers import answer_of
from luban.evaluation.baselines import MAX_ROWS as BASELINE_ROWS
from luban.evaluation.baselines import ROWS_AT_ONCE, Baseline, fit_baselines
from luban.evaluation.config import EvaluateConfig
from luban.evaluation.criteria import Criteria
from luban.evaluation.evaluate import Evaluation, evaluate
from luban.evaluation.fairness import num_groups
from luban.evaluation.forecasters import beside
from luban.evaluation.judgement import judge
from luban.evaluation.learning_curve import learning_curve
from luban.evaluation.robustness import measure_robustness
from luban.evaluation.rows import Rows
from luban.evaluation.slices import MAX_VALUES
from luban.evaluation.threshold import choose
from luban.evaluation.validation import MAX_ROWS as VALIDATION_ROWS
from luban.evaluation.validation import learn
from luban.predictor import Predictor, check_finite
from luban.tasks.base import Floats, Task
from luban.tasks.goal import parse_goal
from luban.tasks.validated import Validated

if TYPE_CHECKING:
    from luban.tasks.forecast.task import Forecast


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and the rows that it is judged with. task: without a threshold of its own. kinds: of the input columns.
    criteria: by what it is judged."""

    predictor: Predictor
    task: Task
    train: Rows
    validation: Rows
    test: Rows
    kinds: Mapping[str, str]
    criteria: Criteria

    @property
    def config(self) -> EvaluateConfig:
        return self.criteria.config

    @property
    def seed(self) -> int:
        return self.criteria.seed


def validate(subject: Subject) -> Validated:
    """Learn from validation rows, at most 5,000."""
    rows = _few(subject.validation, VALIDATION_ROWS, subject.seed)
    if not subject.task.has_logits:
        return Validated(rows=len(rows))
    logits = subject.predictor.logits(rows.dataset)
    return learn(subject.task, logits, rows.targets, subject.config, subject.seed)


def assess(subject: Subject, validated: Validated) -> tuple[Evaluation, Floats]:
    """Judge the test rows; also returns the model's outputs for them. The predictor already uses what was validated.

    Baselines are fitted on at most 20,000 training rows. For a stated goal each decides at a threshold of its own, so
    that like is compared with like.
    """
    predictor, test, kinds, config, seed = subject.predictor, subject.test, subject.kinds, subject.config, subject.seed
    outputs = predictor.outputs(test.dataset)
    check_finite(outputs, test.table)
    fitting = _few(subject.train, BASELINE_ROWS, seed)
    baselines = fit_baselines(subject.task, fitting.table, fitting.targets, kinds, fitting.images, seed)
    theirs = {baseline.name: _predict(baseline, test) for baseline in baselines}
    theirs |= answer_of(subject.task).references(subject.task, subject.train.dataset, test.dataset)
    evaluation = evaluate(
        predictor.task,
        test.targets,
        outputs,
        theirs,
        decider=subject.criteria.decider.name,
        seed=seed,
        units=test.dataset.units,
        deciding=dict.fromkeys(theirs, subject.task) | _thresholds(subject, validated, baselines),
    )
    judgement = judge(
        predictor.task,
        test.table,
        test.targets,
        outputs,
        kinds,
        validated,
        level=config.level,
        by=config.fairness_column,
        seed=seed,
    )
    if config.forecasters:
        found = beside(cast("Forecast", subject.task), test.dataset, outputs, config.forecasters, seed=seed)
        evaluation = replace(evaluation, details={**evaluation.details, "forecasters": found})
    metrics = {metric.name: metric for metric in predictor.task.metrics}
    if config.robustness and not subject.task.is_ordered:  # cells of one row are no window
        metric = metrics[evaluation.decider]
        losses = measure_robustness(predictor, test.table, test.targets, outputs, kinds, metric, seed)
        judgement = replace(judgement, robustness=losses)
    if config.learning_curve and "linear" in theirs:
        metric = {metric.name: metric for metric in subject.task.metrics}[evaluation.decider]
        curve = learning_curve(subject.task, metric, fitting, test, theirs["linear"], kinds, seed)
        judgement = replace(judgement, learning_curve=curve)
    return replace(evaluation, judgement=judgement), outputs


def doubts(subject: Subject, validated: Validated, evaluation: Evaluation) -> list[str]:
    """Say what was asked for and could not be done."""
    config, found = subject.config, list[str]()
    column = config.fairness_column
    if column is not None and evaluation.judgement is not None and evaluation.judgement.fairness is None:
        found.append(
            sentence(
                "doubts.few_groups",
                "evaluate.fairness_column: fewer than two groups of '{column}' have test rows enough",
                column=column,
            )
        )
    elif column is not None and (groups := num_groups(subject.test.table.frame[column])) > MAX_VALUES:
        found.append(
            sentence(
                "doubts.many_groups",
                "evaluate.fairness_column: of {groups} groups of '{column}' the {most} largest are compared",
                groups=groups,
                column=column,
                most=MAX_VALUES,
            )
        )
    if config.goal is not None and validated.threshold is None:
        found.append(
            sentence(
                "doubts.no_threshold",
                "evaluate.goal: no threshold can be chosen for {goal} on {rows} validation rows, too few or of one "
                "kind only; predictions use 0.5",
                goal=config.goal,
                rows=validated.rows,
            )
        )
    return found


def _thresholds(subject: Subject, validated: Validated, baselines: list[Baseline]) -> dict[str, Task]:
    """Return the baselines' tasks with thresholds that are chosen as the model's is; none without a stated goal, and
    none for a baseline that does not reach it, such as the majority: any threshold would only make it look worse."""
    if subject.config.goal is None or validated.threshold is None:
        return {}
    rows, goal = _few(subject.validation, VALIDATION_ROWS, subject.seed), parse_goal(subject.config.goal)
    choices = {
        baseline.name: choose(subject.task, rows.targets, _predict(baseline, rows), goal, stated=True)
        for baseline in baselines
    }
    return {name: choice.applied(subject.task) for name, choice in choices.items() if choice is not None and choice.met}


def _predict(baseline: Baseline, rows: Rows) -> Floats:
    """Predict so many rows at once that their images fit into the memory."""
    if not rows.has_images:
        return baseline.predict(rows.table, rows.images)
    starts = range(0, len(rows), ROWS_AT_ONCE)
    parts = [rows.take(np.arange(start, min(start + ROWS_AT_ONCE, len(rows)))) for start in starts]
    return np.concatenate([baseline.predict(part.table, part.images) for part in parts])


def _few(rows: Rows, limit: int, seed: int) -> Rows:
    return rows.take(sample_rows(len(rows), limit, np.random.default_rng(seed)))
