"""The model card: README.md in the layout that Hugging Face shows, from the files that the report is made from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from luban.core import artifact
from luban.core.answers import AnswerKind
from luban.core.artifact import RunDirectory
from luban.core.shown import as_page
from luban.features import FEATURES
from luban.report.content import Content, read_content
from luban.report.language.words import words
from luban.report.sections import usage, verdict
from luban.report.sections.cost import total

MODALITIES = {
    "text": "text",
    "words": "text",
    "image": "image",
    "audio": "audio",
    "sequence": "time-series",
}  # others: tabular
CLASSIFICATION = {name: f"{name}-classification" for name in ("text", "image", "audio", "tabular")}
TYPES: dict[AnswerKind | None, dict[str, str]] = {  # the tasks of Hugging Face, by kind of answer and modality
    AnswerKind.CLASS: CLASSIFICATION,
    AnswerKind.LABELS: CLASSIFICATION,
    AnswerKind.NUMBER: {"tabular": "tabular-regression"},
    AnswerKind.TAGS: {"text": "token-classification"},
}
KINDS = {feature.kind for feature in FEATURES}  # a column of no such kind was set aside
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~>&<$-])")


def write_card(directory: RunDirectory, manifest: dict[str, Any] | None = None) -> Path:
    """Write README.md into a run and return its path. manifest: of a run that is not sealed yet."""
    path = directory / artifact.CARD
    artifact.write_bytes(path, as_page(card(read_content(directory, manifest))))
    return path


def escaped(text: object) -> str:
    """Return text that Markdown shows as it is, and that no HTML comes out of."""
    marked = SPECIAL.sub(r"\\\1", " ".join(str(text).split()))
    return marked.replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def task_type(content: Content) -> str:
    """Return what Hugging Face calls the task; `other` where it has no name for it."""
    kinds = [column[1] for column in content.last("SchemaInferred").get("columns", []) if column[1] in KINDS]
    modalities = {MODALITIES.get(kind, "tabular") for kind in kinds}
    named = TYPES.get(content.answer, {})
    return named.get(modalities.pop(), "other") if len(modalities) == 1 else "other"


def scored(content: Content) -> str:
    """Return a table of the scores beside those of the baselines."""
    at, names = content.figures, list(content.metrics.get("baselines", {}))
    head = ["metric", "model (95 % interval)", *names]
    rows = [
        [name, at.interval("scores", name), *(at("baselines", other, name, "value") for other in names)]
        for name in content.metrics["scores"]
    ]
    cells = ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in (head, *rows)]
    return "\n".join([cells[0], "|" + " --- |" * len(head), *cells[1:]])


def card(content: Content) -> str:
    """Return the card of a run."""
    language = words("en")
    view = verdict.build(content, language)
    task = content.metrics.get("task", "")
    scores = content.metrics["scores"]
    front = {
        "library_name": "luban",
        "tags": ["luban", task],
        "metrics": list(scores),
        "model-index": [
            {
                "name": content.name,
                "results": [
                    {
                        "task": {"type": task_type(content)},
                        "dataset": {"type": "custom", "name": content.manifest.get("data", {}).get("source", "")},
                        "metrics": [
                            {"type": name, "value": score["value"]}
                            for name, score in scores.items()
                            if score["value"] is not None
                        ],
                    }
                ],
            }
        ],
    }
    lines = [f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---", f"# {escaped(content.name)}"]
    lines += ["\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in view["facts"])]
    lines += ["## Evaluation", scored(content)]
    for part in content.parts:
        lines += [f"### {escaped(part.target)}", scored(part)]
    told = []
    for worry, target in verdict.worries_of_all(content):
        values = {name: escaped(value) for name, value in verdict.localised(worry, language).items()}
        text = language.plain(f"worry.{worry.key}", **values)
        text = language.plain("worry_of", target=escaped(target), text=text) if target else text
        told.append("- " + re.sub(r"</?b>", "**", text))
    lines += ["## Limits", "\n".join(told) or language.plain("worry_none")]
    used = usage.build(content, language)
    lines += ["## Use", "```sh\n" + "\n".join([*used["use"][:2], used["repeat"]]) + "\n```"]
    seconds = content.manifest.get("seconds") or {}
    if seconds:
        lines += ["## Training", f"It took {total(content)}."]
    return "\n\n".join(lines) + "\n"
