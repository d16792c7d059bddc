"""Score the test rows."""

from __future__ import annotations

import polars as pl

from luban.core import artifact, events
from luban.data.split.config import ROLES
from luban.evaluation.criteria import Criteria
from luban.evaluation.evaluate import Evaluation
from luban.evaluation.rows import Rows
from luban.predictor import Predictor
from luban.run import Run
from luban.stages.prepared import Prepared


def judge(run: Run, predictor: Predictor, prepared: Prepared) -> Evaluation:
    """Store with the model what validation rows tell, score the test rows, and write predictions and scores."""
    from luban.evaluation import assess  # scikit-learn takes longer to import than all the rest
    from luban.evaluation.caution import cautions

    parts, config = prepared.parts, run.config
    rows = {
        role: Rows(getattr(parts, role).table, getattr(parts, role).rows, getattr(prepared, role), prepared.task)
        for role in ROLES
    }
    kinds = {plan.name: plan.kind for plan in prepared.plans if plan.is_input}
    subject = assess.Subject(
        predictor,
        prepared.task,
        **rows,
        kinds=kinds,
        criteria=Criteria.of(prepared.task, config.train.metric, config.evaluate, config.seed),
    )
    predictor.use(validated := assess.validate(subject))
    artifact.write_json(run.directory / artifact.CALIBRATION, validated.model_dump(mode="json"))
    evaluation, outputs = assess.assess(subject, validated)
    run.note("evaluate", *assess.doubts(subject, validated, evaluation), warning=True)
    run.note("evaluate", *cautions(predictor.task, rows["test"].targets, outputs))
    artifact.write_json(run.directory / artifact.METRICS, evaluation.to_json())
    target, test = prepared.task.target, rows["test"]
    known = pl.DataFrame({"row": test.table.row_numbers, f"actual_{target}": test.table.frame[target]})
    with artifact.atomic(run.directory / artifact.PREDICTIONS) as path:
        known.hstack(predictor.task.decode(outputs, test.table.frame)).write_parquet(path)
    run.tell(events.Evaluated(evaluation.to_json()))
    return evaluation
