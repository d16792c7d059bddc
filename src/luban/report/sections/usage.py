"""How to use the model and how to make it again."""

from __future__ import annotations

from typing import Any

from luban.core import settings_text
from luban.core.errors import typed
from luban.report.content import Content
from luban.report.words import Words


def build(content: Content, words: Words) -> dict[str, Any]:
    path = typed(content.directory)
    return {
        "use": [
            f"luban predict {path} new.csv -o predictions.csv",
            f"luban evaluate {path} labelled.csv",
            f"luban report {path} --lang zh -o report.zh.html",
        ],
        "python": f"import luban\n\nmodel = luban.load({str(content.directory)!r})\nmodel.predict('new.csv')",
        "repeat": f"luban train {typed(content.directory / 'config.yaml')}",
        "config": settings_text.written(content.config),
        "facts": [
            ("Luban", content.facts.text("luban")),
            ("torch", content.facts.text("torch")),
            (words.plain("fact.fingerprint"), content.facts.text("data", "fingerprint")),
            (words.plain("fact.seed"), content.settings.text("seed")),
        ],
    }
