"""Explain what the model says."""

from __future__ import annotations

import numpy as np

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
    from luban.explain.result import Explanations
    from luban.explain.windows import window_importance

    found = dict[str, Explanations]()
    for part, present in zip(predictor.parts, prepared.task.present(prepared.test), strict=True):
        if part.task.answer not in EXPLAINED and not part.task.is_ordered:
            continue
        own = evaluation.targets.get(part.task.target, evaluation)
        rows = np.flatnonzero(present)
        table = prepared.parts.test.table.take(prepared.parts.test.rows[rows])
        metric = {metric.name: metric for metric in part.task.metrics}[own.decider]
        if part.task.is_ordered:
            importance = window_importance(part, prepared.test, metric, seed=run.config.seed)
            found[part.task.target] = Explanations(importance, metric.name, ())
            continue
        mistakes = [] if own.judgement is None else [item["row"] for item in own.judgement.mistakes]
        try:
            found[part.task.target], notes = explain_examples(
                part, table, prepared.test.select(rows), mistakes, metric, run.config.seed
            )
        except Exception as error:  # noqa: BLE001 - an explanation is not worth a model
            reason = str(last_resort(error) or error)
            text = sentence("unexplained", "nothing could be explained ({error}); the model is saved", error=reason)
            run.note("explain", text, warning=True)
            continue
        run.note("explain", *notes)
    if found:
        stored = {target: explanations.to_json() for target, explanations in found.items()}
        content = {"targets": stored} if evaluation.targets else next(iter(stored.values()))
        artifact.write_json(run.directory / artifact.EXPLANATIONS, content)
