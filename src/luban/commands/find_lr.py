"""`luban find-lr`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from luban.commands.options import Settings
from luban.core.machine.address_space import TRAINED_BYTES, check_room_to_load


def find_lr(
    source: Annotated[str, typer.Argument(metavar="DATA|CONFIG.yaml", help="As for `luban train`.")],
    target: Annotated[str | None, typer.Option(help="The column to predict; several with commas.")] = None,
    model: Annotated[str | None, typer.Option(help="As lstm, resnet or minilm, or the folder of a checkpoint.")] = None,
    set_: Settings = None,
    runs: Annotated[str | None, typer.Option(help="The folder for run directories.")] = None,
) -> None:
    """Try learning rates from tiny to huge in one short training, draw the losses, and propose a rate."""
    check_room_to_load(TRAINED_BYTES)
    from luban import interface
    from luban.settings import settings_with

    options: dict[tuple[str, ...], Any] = {("data", "target"): target, ("model",): model, ("runs",): runs}
    interface.find_learning_rate(*settings_with(source, options, set_ or []))
