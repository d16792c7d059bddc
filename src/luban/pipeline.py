"""The stages in order, from a source to a sealed run directory: the table of contents of the program."""

from __future__ import annotations

from dataclasses import asdict

from luban.config import dump
from luban.core import artifact, events
from luban.core.runtime import choose_device, flushed_denormals
from luban.core.shown import as_page
from luban.model import Model
from luban.predictor import Predictor
from luban.report.rate_plot import svg
from luban.resume import check_settings, facts, surroundings
from luban.run import Run
from luban.stages.build import build, resolved
from luban.stages.encode import encode
from luban.stages.explain import explain
from luban.stages.fit import fit as fit_features
from luban.stages.infer import infer
from luban.stages.judge import judge
from luban.stages.prepared import Prepared
from luban.stages.read import read
from luban.stages.seal import manifest, report
from luban.stages.split import divide
from luban.training.fit import fit, range_test
from luban.training.interrupt import interruptible
from luban.training.preflight.lr_finder import RateCurve


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


def prepare(run: Run, tables: dict[str, object]) -> Prepared:
    """Go the whole way from the sources to encoded rows, telling what is decided on the way."""
    with run.stage("read"):
        table = read(run, "train", tables["train"], run.config.data.decimal)
        others = {role: source for role, source in tables.items() if role != "train"}
        found = {"train": table} | {role: read(run, role, others[role], table.decimal) for role in others}
    with run.stage("infer"):
        inferred = infer(run, found)
        del found, table  # as they were read, before each value had one spelling
    with run.stage("split"):
        parts = divide(run, inferred)
    with run.stage("fit"):
        fitted = fit_features(run, inferred, parts)
    with run.stage("encode"):
        (train, validation, test), parts, checksums = encode(run, fitted.schema, fitted.task, parts)
        noun = "windows" if fitted.task.is_ordered else "rows"
        run.tell(events.SplitMade(len(parts.train.rows), len(parts.validation.rows), len(parts.test.rows), noun))
    kinds = {plan.name: plan.kind for plan in inferred.plans}
    targets = fitted.task.targets
    names = {part.target: part.name for part in fitted.task.parts}
    decided: dict[str, object] = {
        "target": targets if len(targets) > 1 else targets[0],
        "task": names if len(names) > 1 else fitted.task.name,
        "columns": kinds,
        "decimal": inferred.tables["train"].decimal,
    }
    return Prepared(
        parts,
        train,
        validation,
        test,
        fitted.schema,
        inferred.plans,
        fitted.task,
        fitted.model,
        fitted.checkpoint,
        decided,
        checksums,
        fitted.settings,
        fitted.positive,
    )


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
