"""`luban demo`: the main job on real data with a real pretrained model, from two packages to three predictions."""

from __future__ import annotations

from typing import Annotated

import typer

UNSEEN = (
    "Shares of the grocery chain rose after it agreed to be acquired for 1.2 billion dollars in cash.",
    "OPEC ministers meet in Vienna to decide whether to cut crude oil output as prices fall.",
    "The central bank raised its discount rate by a quarter point to defend the currency.",
)


def demo(runs: Annotated[str, typer.Option(help="The folder for run directories.")] = "runs") -> None:
    """Fine-tune MiniLM on the Reuters R8 news topics and predict three unseen texts."""
    from rich.table import Table

    from luban.interface import train_from_settings
    from luban.report.wrapping import open_console, safe

    settings = {
        "name": "demo",
        "runs": runs,
        "data": {"train": "sample:reuters-r8/train.csv", "test": "sample:reuters-r8/test.csv", "target": "label"},
        "model": "minilm",
        "features": {"text": {"max_length": 128}},
        "train": {"epochs": 1},
    }
    model = train_from_settings(settings, "demo", {}, quiet=False)
    predictions = model.predict({"text": list(UNSEEN)})
    label, *probabilities = predictions.columns
    console = open_console()
    console.print("\nThree texts that it has not seen", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="bold green")
    table.add_column(justify="right")
    table.add_column(style="dim", overflow="fold")
    for text, row in zip(UNSEEN, predictions.iter_rows(named=True), strict=True):
        table.add_row(safe(row[label]), f"{max(row[name] for name in probabilities):.0%}", safe(text))
    console.print(table)
