"""Score the test rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from luban.core import artifact, events
from luban.data.split.config import ROLES
from luban.evaluation.criteria import Criteria
from luban.evaluation.evaluate import Evaluation
from luban.evaluation.rows import Rows
from luban.predictor import Predictor
from luban.run import Run
from luban.stages.prepared import Prepared
from luban.tasks.base import Floats
from luban.tasks.validated import Validated


def judge(run: Run, predictor: Predictor, prepared: Prepared) -> Evaluation:
    """Store with the model what validation rows tell, score the test rows, and write predictions and scores.

    Each target is judged on the rows that have it.
    """
    found, validated, outputs = dict[str, Evaluation](), dict[str, Validated](), list[Floats]()
    for place, part in enumerate(predictor.parts):
        target = part.task.target
        validated[target], found[target], mine = judge_part(run, part, prepared, place)
        is_whole = len(mine) == len(prepared.test)
        outputs.append(mine if is_whole else part.outputs(prepared.test))
    artifact.write_json(run.directory / artifact.CALIBRATION, Validated.stored(validated))
    evaluation = joined_evaluation(run, predictor, prepared, found)
    artifact.write_json(run.directory / artifact.METRICS, evaluation.to_json())
    test = prepared.parts.test.table.take(prepared.parts.test.rows)
    actual = prepared.task.actual(prepared.task.truth(prepared.test), test.frame)
    predicted = [part.task.decode(own, test.frame) for part, own in zip(predictor.parts, outputs, strict=True)]
    with artifact.atomic(run.directory / artifact.PREDICTIONS) as path:
        units = {} if prepared.test.units is None else {"unit": prepared.test.units}
        known = pl.DataFrame({"row": test.row_numbers, **units, **actual})
        known.hstack(predictor.task.beside(predicted)).write_parquet(path)
    run.tell(events.Evaluated(evaluation.to_json()))
    return evaluation


def judge_part(run: Run, predictor: Predictor, prepared: Prepared, place: int) -> tuple[Validated, Evaluation, Floats]:
    """Judge one target, whose predictor then uses what validation rows tell; also returns its outputs for those test
    rows that have the target."""
    from luban.evaluation import assess  # scikit-learn takes longer to import than all the rest
    from luban.evaluation.caution import cautions

    config, task, rows = run.config, predictor.task, dict[str, Rows]()
    for role in ROLES:
        part, data = getattr(prepared.parts, role), getattr(prepared, role)
        there = np.flatnonzero(prepared.task.present(data)[place])
        rows[role] = Rows(part.table, part.rows[there], data.select(there), task)
    kinds = {plan.name: plan.kind for plan in prepared.plans if plan.is_input}
    metric = config.train.metric if prepared.task.parts == (prepared.task,) else None
    criteria = Criteria.of(task, metric, config.evaluate, config.seed)
    subject = assess.Subject(predictor, task, **rows, kinds=kinds, criteria=criteria)
    predictor.use(validated := assess.validate(subject))
    evaluation, outputs = assess.assess(subject, validated)
    run.note("evaluate", *assess.doubts(subject, validated, evaluation), warning=True)
    run.note("evaluate", *cautions(predictor.task, rows["test"].targets, outputs))
    return validated, evaluation, outputs


def joined_evaluation(run: Run, predictor: Predictor, prepared: Prepared, found: dict[str, Evaluation]) -> Evaluation:
    """Return the evaluation of the task: of one target its own."""
    if predictor.parts == (predictor,):
        return next(iter(found.values()))
    from luban.evaluation.several import joined

    criteria = Criteria.of(prepared.task, run.config.train.metric, run.config.evaluate, run.config.seed)
    units, losses = prepared.task.truth(prepared.test), predictor.kept(prepared.test)
    return joined(prepared.task, found, units, losses, decider=criteria.decider.name, seed=criteria.seed)
