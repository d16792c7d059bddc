"""Explain what the model says."""

from __future__ import annotations

from luban.core import artifact
from luban.core.sentence import sentence
from luban.core.system_errors import last_resort
from luban.evaluation.evaluate import Evaluation
from luban.predictor import Predictor
from luban.run import Run
from luban.stages.prepared import Prepared


def explain(run: Run, predictor: Predictor, prepared: Prepared, evaluation: Evaluation) -> None:
    """Write how much the score depends on each column, and why the model says what it says of a few test rows."""
    from luban.explain.answers import EXPLAINED
    from luban.explain.examples import explain_examples

    if predictor.task.answer not in EXPLAINED:
        return

    table = prepared.parts.test.table.take(prepared.parts.test.rows)
    metric = {metric.name: metric for metric in predictor.task.metrics}[evaluation.decider]
    mistakes = [] if evaluation.judgement is None else [item["row"] for item in evaluation.judgement.mistakes]
    try:
        found, notes = explain_examples(predictor, table, prepared.test, mistakes, metric, run.config.seed)
    except Exception as error:  # noqa: BLE001 - an explanation is not worth a model
        reason = str(last_resort(error) or error)
        text = sentence("unexplained", "nothing could be explained ({error}); the model is saved", error=reason)
        run.note("explain", text, warning=True)
        return
    run.note("explain", *notes)
    artifact.write_json(run.directory / artifact.EXPLANATIONS, found.to_json())
