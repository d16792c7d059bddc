"""The command line: thin commands over the pipeline."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from luban.core.version import VERSION

app = typer.Typer(
    name="luban",
    help="From raw data to a trained, checked and usable deep model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, as train.epochs=3; may repeat.")
]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]


def show_version(value: bool) -> None:
    if value:
        typer.echo(f"luban {VERSION}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error, anywhere on the line.")
    ] = False,
) -> None:
    """From raw data to a trained, checked and usable deep model."""


@app.command()
def train(
    source: Annotated[
        str | None, typer.Argument(metavar="DATA|CONFIG.yaml", help="A file, a folder, a sample, or a config.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    test: Annotated[str | None, typer.Option(help="Test rows, if they are a source of their own.")] = None,
    validation: Annotated[str | None, typer.Option(help="Validation rows, likewise.")] = None,
    model: Annotated[str | None, typer.Option(help="As lstm, resnet or minilm, or the folder of a checkpoint.")] = None,
    set_: Settings = None,
    name: Annotated[str | None, typer.Option(help="The name of the run.")] = None,
    runs: Annotated[str | None, typer.Option(help="The folder for run directories.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of everything random.")] = None,
    lang: Annotated[str | None, typer.Option(help="The language of the report: en or zh.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with a run that was interrupted; takes no other option.")
    ] = None,
    no_preflight: Annotated[bool, typer.Option("--no-preflight", help="Skip the checks before the training.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model (`luban train reviews.csv --target label`), or go on with one (`luban train --resume RUN`)."""
    from luban import config as configuration
    from luban import interface
    from luban.core.errors import ConfigError
    from luban.interface import place

    if (source is None) == (resume is None):
        raise ConfigError(
            "luban train",
            expected="either data (or a configuration) to train on, or --resume RUN",
            found="both" if source else "neither",
            action="Give one of them",
        )
    options: dict[tuple[str, ...], Any] = {
        ("data", "target"): target,
        ("data", "test"): test,
        ("data", "validation"): validation,
        ("model",): model,
        ("name",): name,
        ("runs",): runs,
        ("seed",): seed,
        ("lang",): lang,
        ("train", "preflight"): False if no_preflight else None,
    }
    if resume is not None:
        given = ["--set"] * bool(set_) + [f"--{path[-1]}" for path, value in options.items() if value is not None]
        interface.resume(resume, interface.tables_in(None, dict.fromkeys(given)), quiet=quiet)
        return
    assert source is not None
    settings = interface.settings_of(source)
    for path, value in options.items():
        if value is not None:
            place(settings, path, value)
    configuration.override(settings, set_ or [])
    where = source if source.endswith((".yaml", ".yml")) else "settings"
    interface.train_from_settings(settings, where, {}, quiet=quiet)


@app.command()
def audit(
    source: Annotated[str, typer.Argument(metavar="DATA|CONFIG.yaml", help="A file, a folder, a sample, or a config.")],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    test: Annotated[str | None, typer.Option(help="Test rows: do they overlap, do they drift?")] = None,
    validation: Annotated[str | None, typer.Option(help="Validation rows, likewise.")] = None,
    against: Annotated[str | None, typer.Option(help="The rows to predict on: have they drifted?")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting of data.")] = None,
    fix: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Mend this in a copy; may repeat.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The cleaned copy.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the findings, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the outputs if they exist.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 where there are warnings.")] = False,
) -> None:
    """Find what is wrong with data, and mend it in a copy.

    Exit codes: 0 nothing worse than notes (or warnings, without --strict), 1 a mistake of use, 3 errors in the data,
    4 warnings with --strict.
    """
    from luban.audit_command import run_audit

    others = {"validation": validation, "test": test, "against": against}
    code = run_audit(
        source, target, others, fix or [], output, json_, settings=set_ or [], overwrite=overwrite, strict=strict
    )
    raise typer.Exit(code)


@app.command()
def find_lr(
    source: Annotated[str, typer.Argument(metavar="DATA|CONFIG.yaml", help="As for `luban train`.")],
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    model: Annotated[str | None, typer.Option(help="As lstm, resnet or minilm, or the folder of a checkpoint.")] = None,
    set_: Settings = None,
    runs: Annotated[str | None, typer.Option(help="The folder for run directories.")] = None,
) -> None:
    """Try learning rates from tiny to huge in one short training, draw the losses, and propose a rate."""
    from luban import config as configuration
    from luban import interface

    settings = interface.settings_of(source)
    options: dict[tuple[str, ...], Any] = {("data", "target"): target, ("model",): model, ("runs",): runs}
    for path, value in options.items():
        if value is not None:
            interface.place(settings, path, value)
    configuration.override(settings, set_ or [])
    where = source if source.endswith((".yaml", ".yml")) else "settings"
    interface.find_learning_rate(settings, where)


@app.command()
def predict(
    run: RunPath,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The rows to predict.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .csv, .tsv, .parquet or .jsonl file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
    sets: Annotated[
        float | None, typer.Option(metavar="LEVEL", help="Add sets or intervals that hold the truth so often: 0.9.")
    ] = None,
) -> None:
    """Predict every row: all columns are kept, in their order, and predictions are added."""
    from luban.interface import flat, predict_file

    frame, notes = predict_file(run, data, output, overwrite=overwrite, level=sets)
    for note in notes:
        typer.secho(note, fg="yellow", err=True)
    if output is None:
        typer.echo(flat(frame).write_csv(), nl=False)
    else:
        typer.echo(f"{frame.height:,} rows written to {output}", err=True)


@app.command()
def evaluate(
    run: RunPath,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Rows that have the target column.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the scores here, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Compare the groups of this column.")] = None,
) -> None:
    """Score a trained model on labelled rows."""
    from luban.core.artifact import write_json
    from luban.interface import check_output
    from luban.model import Model
    from luban.report.judgement_table import judgement_lines
    from luban.report.terminal import score_table
    from luban.report.wrapping import open_console, show_table, wrapped

    if output is not None:
        check_output(output, overwrite, (".json",))
    judged, notes = Model.load(run).judged(str(data), by)
    evaluation = judged.to_json()
    for note in notes:
        typer.secho(note, fg="yellow", err=True)
    show_table(open_console(), score_table(evaluation))
    for label, text in judgement_lines(evaluation):
        typer.echo(wrapped(f"{label:<12} {text}", indent=13))
    if output is not None:
        write_json(output, evaluation)


@app.command()
def trace(
    run: RunPath,
    row: Annotated[int, typer.Argument(metavar="ROW", help="The number of a row, from 1.")],
    data: Annotated[str | None, typer.Option(help="Rows other than those of the training.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd, momentum, rmsprop, adam or adamw; the run's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of all weights; the run's own.")] = None,
    steps: Annotated[int, typer.Option(help="Training steps on this row.")] = 1,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("trace.html"),
    json: Annotated[Path | None, typer.Option(help="Write everything here, as JSON.")] = None,
    lang: Annotated[str, typer.Option(help="The page's language: en or zh.")] = "en",
    overwrite: Annotated[bool, typer.Option(help="Replace the outputs if they exist.")] = False,
) -> None:
    """Open up one training step: every value, each gradient checked, the update with its numbers."""
    from luban.core.artifact import write_bytes, write_json
    from luban.core.errors import ConfigError
    from luban.explain.trace_row import trace_row
    from luban.interface import check_output
    from luban.report.trace_page import render, summary
    from luban.report.wrapping import wrapped

    if lang not in ("en", "zh"):
        raise ConfigError("--lang", expected="en or zh", found=f"'{lang}'", action="Choose one of these")
    check_output(output, overwrite, (".html",))
    if json is not None:
        check_output(json, overwrite, (".json",))
    found = trace_row(run, row, data, optimizer=optimizer, learning_rate=learning_rate, steps=steps)
    write_bytes(output, render(found, lang).encode())
    if json is not None:
        write_json(json, found.to_json())
    for line in summary(found):
        typer.echo(wrapped(line, indent=11))
    typer.echo(f"page       {output}")


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A run directory.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another one, of the same target.")],
    data: Annotated[Path | None, typer.Argument(metavar="[DATA]", help="Labelled rows; else their test rows.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the comparison here, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
) -> None:
    """Compare two models on the same rows: paired tests, the rows that changed, the cost of each, a verdict."""
    from luban.core.artifact import write_json
    from luban.interface import check_output, compare_runs
    from luban.report.comparison_table import comparison_lines
    from luban.report.wrapping import wrapped

    if output is not None:
        check_output(output, overwrite, (".json",))
    comparison = compare_runs(run_a, run_b, data).to_json()
    *lines, verdict = comparison_lines(comparison)
    typer.echo("\n".join([*lines, wrapped(verdict)]))
    if output is not None:
        write_json(output, comparison)


@app.command()
def report(
    run: RunPath,
    lang: Annotated[str | None, typer.Option(help="The language of the page: en or zh; else the run's own.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="An .html file; report.html in the run.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it exists.")] = False,
) -> None:
    """Write what is known of a run as one self-contained page, and its model card."""
    from luban.core import artifact
    from luban.core.artifact import RunDirectory
    from luban.interface import check_output
    from luban.report.card import write_card
    from luban.report.page import language_of, write_report

    directory = RunDirectory.open(run)
    place = output or directory / artifact.REPORT
    check_output(place, overwrite, (".html",))
    typer.echo(str(write_report(directory, lang or language_of(directory), place)))
    if not (directory / artifact.CARD).exists():
        write_card(directory)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of run directories.")] = Path("runs"),
    sort: Annotated[str, typer.Option(help="A metric, date or seconds.")] = "date",
    filter_: Annotated[
        list[str] | None, typer.Option("--filter", metavar="NAME=VALUE", help="Keep these; * is anything.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page that compares them.")] = None,
    lang: Annotated[str, typer.Option(help="The language of the page: en or zh.")] = "en",
    overwrite: Annotated[bool, typer.Option(help="Replace the page if it exists.")] = False,
) -> None:
    """List the runs in a folder, sorted and filtered, and compare them on one page."""
    from luban.interface import check_output
    from luban.report.runs import listing, select, table, write_comparison
    from luban.report.wrapping import open_console, show_table, wrapped

    listed = listing(folder)
    found = select(listed.runs, sort, filter_ or [])
    show_table(open_console(), table(found, sort))
    for note in listed.notes():
        typer.secho(wrapped(note), fg="yellow")
    if html is not None:
        check_output(html, overwrite, (".html",))
        write_comparison(found, html, lang)
        typer.echo(str(html))


@app.command()
def explain(
    run: RunPath,
    data: Annotated[Path, typer.Argument(metavar="DATA", help="The rows to explain.")],
    rows: Annotated[str | None, typer.Option(help="Which rows, from 1: 1,6,10; else the first three.")] = None,
    method: Annotated[str, typer.Option(help="auto, integrated-gradients, occlusion, lime or kernel-shap.")] = "auto",
    nearest: Annotated[int, typer.Option(min=0, help="Show so many like rows of the training source.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the explanations here, as JSON.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the output if it exists.")] = False,
) -> None:
    """Say why the model predicts what it does, with a check of each explanation."""
    from luban.core.artifact import write_json
    from luban.explain.explain import DEFAULT_ROWS
    from luban.interface import check_output, positions_of
    from luban.model import Model
    from luban.report.explanations import show_explanations
    from luban.report.wrapping import open_console

    if json is not None:
        check_output(json, overwrite, (".json",))
    model = Model.load(run)
    table = model.read(str(data))
    which = range(min(DEFAULT_ROWS, len(table))) if rows is None else positions_of(rows, len(table))
    found = model.explain(table, which, method=method, nearest=nearest)
    show_explanations(open_console(), found)
    if json is not None:
        write_json(json, found.to_json())


@app.command()
def samples(fetch: Annotated[str | None, typer.Option(help="Fetch this sample and print its folder.")] = None) -> None:
    """List the named data sets and pretrained models, or fetch one."""
    from luban.data.samples import SAMPLES

    if fetch is not None:
        from luban.models.pretrained import gguf

        typer.echo(gguf.fetch(fetch))
        return
    for sample in SAMPLES:
        typer.echo(f"{sample.name:<22} {sample.kind:<6} {sample.description} ({sample.licence})")


@app.command()
def demo(runs: Annotated[str, typer.Option(help="The folder for run directories.")] = "runs") -> None:
    """Fine-tune MiniLM on the Reuters R8 news topics and predict three unseen texts."""
    from luban.demo import run_demo

    run_demo(runs)


def rest_collector() -> None:
    """Let the collector of reference cycles look less often at the million objects that imports make, and that stay."""
    gc.set_threshold(50_000)


def main() -> None:
    """Run the command line; a mistake of the user's prints one sentence and exits with 1."""
    rest_collector()
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    from luban.core.errors import LubanError

    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()  # whoever reads has seen enough
        sys.exit(0)
    except LubanError as error:
        if debug:
            raise
        typer.secho(f"luban: {error}", fg="red", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        typer.secho(f"luban: an error of Luban's own, {type(error).__name__}: {error}", fg="red", err=True)
        typer.echo("Add --debug to see where, and report what it prints.", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
