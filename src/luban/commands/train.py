"""`luban train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from luban.commands.options import Quiet, Settings
from luban.core.machine.address_space import TRAINED_BYTES, check_room_to_load


def train(
    source: Annotated[
        str | None, typer.Argument(metavar="DATA|CONFIG.yaml", help="A file, a folder, a sample, or a config.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict; several with commas.")] = None,
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
    check_room_to_load(TRAINED_BYTES)
    from luban import interface
    from luban.core.errors import ConfigError
    from luban.settings import settings_with

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
    settings, where = settings_with(source, options, set_ or [])
    interface.train_from_settings(settings, where, {}, quiet=quiet)
