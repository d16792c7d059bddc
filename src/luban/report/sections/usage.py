"""How to use the model and how to make it again."""

from __future__ import annotations

from itertools import islice
from typing import Any

from luban.core import settings_text
from luban.core.errors import typed
from luban.report.content import Content
from luban.report.figures import Figure
from luban.report.language.words import Words

MAX_COLUMNS = 60  # whose kind is shown


def build(content: Content, words: Words) -> dict[str, Any]:
    path, (config, left_out) = typed(content.directory), _shown(content)
    return {
        "use": [
            f"luban predict {path} new.csv -o predictions.csv",
            f"luban evaluate {path} labelled.csv",
            f"luban report {path} --lang zh -o report.zh.html",
        ],
        "python": f"import luban\n\nmodel = luban.load({str(content.directory)!r})\nmodel.predict('new.csv')",
        "repeat": f"luban train {typed(content.directory / 'config.yaml')}",
        "config": settings_text.written(config),
        "left_out": left_out,
        "facts": [
            ("Luban", content.facts.text("luban")),
            ("torch", content.facts.text("torch")),
            (words.plain("fact.fingerprint"), content.facts.text("data", "fingerprint")),
            (words.plain("fact.seed"), content.settings.text("seed")),
        ],
    }


def _shown(content: Content) -> tuple[dict[str, Any], Figure | None]:
    """Return the configuration with the kinds of a few columns, and how many columns are left out, if any."""
    columns = content.settings.entry("data", "columns")
    left_out = len(columns) - MAX_COLUMNS if isinstance(columns, dict) else 0
    if left_out <= 0:
        return content.config, None
    data = {**content.config["data"], "columns": dict(islice(columns.items(), MAX_COLUMNS))}
    source = content.settings.source("data", "columns")
    return {**content.config, "data": data}, Figure(source, left_out, derived="rest")
