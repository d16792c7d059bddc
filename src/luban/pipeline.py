"""The stages in order, from a source to a sealed run directory: the table of contents of the program."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import polars as pl
import torch

from luban.config import RunConfig, dump
from luban.core import artifact, events
from luban.core.cache import cache_folder
from luban.core.cost import energy_estimate, peak_memory
from luban.core.errors import typed
from luban.core.resources import available_memory
from luban.core.runtime import choose_device, flushed_denormals, hardware, seeded
from luban.core.sentence import sentence
from luban.core.shown import as_page
from luban.core.system_errors import last_resort
from luban.core.version import VERSION
from luban.data import sources
from luban.evaluation.criteria import Criteria
from luban.evaluation.evaluate import Evaluation
from luban.evaluation.rows import Rows
from luban.model import Model
from luban.models import network as networks
from luban.models import pretrained
from luban.models.network import Network
from luban.predictor import Predictor
from luban.prepare import Prepared, prepare
from luban.report.rate_plot import svg
from luban.resume import check_settings, facts, surroundings
from luban.run import Run
from luban.training import recipe
from luban.training.fit import Job, fit, range_test, settle
from luban.training.interrupt import interruptible
from luban.training.preflight.lr_finder import RateCurve

ROLES = ("train", "validation", "test")


def train(run: Run, tables: dict[str, object], *, resume: bool = False) -> Model:
    """Train a model. tables: `train`, and `validation` and `test` where they are given: paths or tables in memory.

    resume: go on from the newest checkpoint in the run's directory.
    """
    choose_device(run.config.device)
    if resume:
        check_settings(run)
    with flushed_denormals():  # before the first tensor, since threads take it over from the one that starts them
        prepared = prepare(run, tables)
        with run.stage("build"):
            job = build(run, prepared, resume=resume)
            config = resolved(run, prepared, job.config)
            job.facts, job.surroundings = facts(config, prepared, job), surroundings()
            if resume:
                job.check_facts()
            artifact.write_bytes(run.directory / artifact.CONFIG, dump(config).encode())
        with run.stage("train"), interruptible() as job.interrupt:
            fit(job, run.tell)
    spec = job.spec.model_copy(update={"precision": job.config.precision})
    predictor = Predictor(prepared.schema, prepared.task, spec, job.network, job.device)
    predictor.save(run.directory)
    with run.stage("evaluate"):
        evaluation = judge(run, predictor, prepared)
    with run.stage("explain"):
        explain(run, predictor, prepared, evaluation)
    sealed = manifest(run, prepared)  # once: the page says what the sealed file does
    page = report(run, sealed)
    with run.stage("save"):
        run.note("save", *job.strangers(), warning=True)
        run.directory.seal({**sealed, "report_seconds": run.seconds["report"]})
        job.clear_checkpoints()
    run.tell(events.RunSaved(str(run.directory.path), page))
    data = run.config.data
    return Model(predictor, run.directory, evaluation.to_json(), data.separator, data.encoding, data.sheet)


def find_learning_rate(run: Run, tables: dict[str, object]) -> RateCurve:
    """Go through the stages up to the training, and there through a range test of learning rates only."""
    prepared = prepare(run, tables)
    with run.stage("build"):
        job = build(run, prepared, resume=False)
        config = resolved(run, prepared, job.config)
        artifact.write_bytes(run.directory / artifact.CONFIG, dump(config).encode())
    with run.stage("range test"):
        curve = range_test(job)
    artifact.write_json(run.directory / artifact.RATES, asdict(curve))
    artifact.write_bytes(run.directory / artifact.RATE_PLOT, as_page(svg(curve)))
    return curve


def build(run: Run, prepared: Prepared, *, resume: bool) -> Job:
    """Build the network, load its pretrained parts, settle what the training leaves open."""
    spec = networks.specify(prepared.model, prepared.schema.specs(), prepared.task.output_dim)
    networks.check_memory(spec, available_memory(torch.device("cpu")))
    with seeded(run.config.seed, "initialisation"):
        network = Network(spec)
    for name in spec.backbones:
        assert prepared.checkpoint is not None
        run.note("model", *pretrained.load_weights(network.encoder(name), prepared.checkpoint))
        network.encoder(name).requires_grad_(name not in spec.frozen)
    channels = next((item.size for item in spec.inputs if item.height), None)
    job = Job(
        network=network,
        spec=spec,
        task=prepared.task,
        train=prepared.train,
        validation=prepared.validation,
        config=recipe.complete(run.config.train, spec, len(prepared.train), channels),
        seed=run.config.seed,
        device=choose_device(run.config.device),
        folder=run.directory / artifact.CHECKPOINTS,
        row_numbers=prepared.parts.train.table.row_numbers,
        resume=resume,
        cache=cache_folder() / "encoded",
    )
    settle(job, run.config.train, run.tell)
    return job


def resolved(run: Run, prepared: Prepared, settings: recipe.TrainConfig) -> RunConfig:
    """Return the configuration with everything that was decided, so that it repeats the run."""
    data = run.config.data.model_copy(update=prepared.decided)
    task = run.config.task.model_copy(update={"positive": prepared.positive})
    return run.config.model_copy(update={"data": data, "task": task, "model": prepared.model, "train": settings})


def judge(run: Run, predictor: Predictor, prepared: Prepared) -> Evaluation:
    """Store with the model what validation rows tell, score the test rows, and write predictions and scores."""
    from luban.evaluation import assess  # scikit-learn takes longer to import than all the rest
    from luban.evaluation.caution import cautions

    parts, config = prepared.parts, run.config
    rows = {
        role: Rows(getattr(parts, role).table, getattr(parts, role).rows, getattr(prepared, role)) for role in ROLES
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
        known.hstack(predictor.task.decode(outputs)).write_parquet(path)
    run.tell(events.Evaluated(evaluation.to_json()))
    return evaluation


def explain(run: Run, predictor: Predictor, prepared: Prepared, evaluation: Evaluation) -> None:
    """Write how much the score depends on each column, and why the model says what it says of a few test rows."""
    from luban.explain.examples import explain_examples

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


def report(run: Run, facts: dict[str, Any]) -> str | None:
    """Write the page and the model card of the run; whatever goes wrong there, the model is saved.

    facts: its manifest, which is not written yet.
    """
    from luban.report.card import write_card
    from luban.report.page import write_report

    with run.stage("report"):
        try:
            write_card(run.directory, facts)
            return str(write_report(run.directory, run.config.lang, manifest=facts))
        except Exception as error:  # noqa: BLE001 - a page is not worth a model
            path = run.directory.path
            reason, again = last_resort(error) or error, f"luban report {typed(path)} --overwrite"
            text = f"no report could be made ({reason}); the model is saved: try `{again}`"
            run.note("report", text, warning=True)
            return None


def manifest(run: Run, prepared: Prepared) -> dict[str, Any]:
    parts, machine = prepared.parts, hardware()
    return {
        "luban": VERSION,
        "torch": torch.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "hardware": machine,
        "data": {
            "source": parts.train.table.name,
            "fingerprint": sources.fingerprint(parts.train.table),
            "test_fingerprint": sources.fingerprint(parts.test.table),
            "rows": {role: len(getattr(parts, role).rows) for role in ROLES},
        },
        "seconds": dict(run.seconds),
        **peak_memory(),
        "energy_estimate": energy_estimate(sum(run.seconds.values()), machine),
    }
