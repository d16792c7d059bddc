"""Explained rows on the page: what their parts are called, in the language of the page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from markupsafe import escape

from luban.core.sentence import sentence
from luban.explain.edit import Change, Edit
from luban.explain.result import Weighted
from luban.explain.view import MISSING_CELL, Part
from luban.report.figures import Figures
from luban.report.language.words import words
from luban.report.sections.explanations import row_of

STEPS = sentence("explanation.steps", "steps {first}-{last}", first=1, last=4)
CELL = "(missing) or <b> of the data"


def row() -> dict[str, Any]:
    """Return an explained row as the file has it: a sequence, an empty cell, and a cell with words of its own."""
    labels = [("wave", "bin", STEPS), ("city", "value", MISSING_CELL), ("name", "value", CELL)]
    inputs = [
        {"column": column, "kind": "number", "parts": [Weighted(Part(column, form, label), 0.5).to_json()]}
        for column, form, label in labels
    ]
    edit = Edit((Change("city", MISSING_CELL, "Ulm"), Change("name", CELL, "")), "no").to_json()
    found: dict[str, Any] = json.loads(json.dumps({"row": 1, "actual": "yes", "inputs": inputs, "edit": edit}))
    return found


def shown(found: dict[str, Any], language: str) -> tuple[list[str], list[str]]:
    """Return the names of the bars, and the cells of the edit."""
    at = Figures({"rows": [found]}, "explanations.json")
    section = row_of(found, 0, at, words(language))
    cells = [str(change[name]) for change in section["edits"] for name in ("before", "after")]
    return [str(escape(name)) for name, *_ in section["bars"]], cells


@pytest.mark.parametrize("language", ["en", "zh"])
def test_parts_are_called_what_the_language_calls_them_and_cells_stay_as_they_are(language: str) -> None:
    (steps, missing, cell), cells = shown(row(), language)
    at = "explanations.json#/rows/0/inputs/0/parts/0/bin"
    if language == "zh":
        assert steps == f'wave: <span data-source="{at} {at}_parts">第 1–4 步</span>'
        assert missing.endswith(">（缺失）</span>")
        assert cells == ["（缺失）", "Ulm", CELL, ""]
    else:
        assert steps == f'wave: <span data-source="{at}">steps 1-4</span>'
        assert missing.endswith(">(missing)</span>")
        assert cells == ["(missing)", "Ulm", CELL, ""]
    assert cell.endswith(">(missing) or &lt;b&gt; of the data</span>")
    assert "lang=" not in cell


def test_a_file_that_does_not_tell_its_parts_is_shown_as_it_is() -> None:
    found = row()
    for item in found["inputs"]:
        item["parts"] = [{n: value for n, value in part.items() if not n.endswith("_parts")} for part in item["parts"]]
    (steps, missing, _), _ = shown(found, "zh")
    assert ">steps 1-4</span>" in steps
    assert ">(missing)</span>" in missing
