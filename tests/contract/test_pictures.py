"""Every kind of column shows in the mistakes of a report: as a picture of its own, or as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_features import frame_of  # type: ignore[import-not-found]

from luban.core.tensors import TensorKind
from luban.data.table import Table
from luban.evaluation.mistakes import KEPT, find_mistakes
from luban.features import FEATURES
from luban.features.base import Feature
from luban.report.content import Content
from luban.report.language.words import words
from luban.report.page import environment
from luban.report.pictures import PICTURES
from luban.report.sections import mistakes
from luban.tasks import TASKS

PRESENT, MISSING = 5, 3
SEEN = {TensorKind.GRID, TensorKind.FRAMES}  # that no text of a cell stands for


def test_what_is_no_text_has_a_picture() -> None:
    kinds = {feature.kind for feature in FEATURES}
    assert {feature.kind for feature in FEATURES if feature.tensor_kind in SEEN} == set(PICTURES) == set(KEPT)
    assert set(PICTURES) <= kinds


def found_of(kind: type[Feature], folder: Path) -> list[dict[str, Any]]:
    frame = frame_of(kind)
    labels = ["a", "b"] * (len(frame) // 2)
    frame = frame.with_columns(answer=np.array(labels)).drop("other")
    frame.write_parquet(folder / "rows.parquet")
    table = Table(frame, "rows", folder, np.arange(1, len(frame) + 1))
    task = next(task for task in TASKS if task.name == "binary").fit(frame["answer"])
    targets, _ = task.encode(frame["answer"])
    wrong = np.full((len(frame), 2), 0.5)
    for place, row in enumerate((PRESENT, MISSING)):
        wrong[row] = np.eye(2)[1 - int(targets[row])] * (0.9 - 0.1 * place) + 0.05
    right = np.setdiff1d(np.arange(len(frame)), (PRESENT, MISSING))
    wrong[right] = np.eye(2)[targets[right].astype(int)]
    return find_mistakes(task, table, targets, wrong, {"column": kind.kind})


@pytest.mark.parametrize("kind", FEATURES, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_wrong_row_shows_its_cell(kind: type[Feature], language: str, tmp_path: Path) -> None:
    found = found_of(kind, tmp_path)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert [item["row"] - 1 for item in found] == [PRESENT, MISSING]
    metrics = {"task": "binary", "mistakes": found}
    config = {"data": {"train": str(tmp_path / "rows.parquet")}}
    content = Content(Path("run"), config, {}, metrics, {}, {}, {}, (), ())
    view = mistakes.build(content, words(language))
    assert view is not None
    present, missing = view["mistakes"]
    assert len(present["media"]) == (kind.kind in PICTURES)
    assert len(present["cells"]) == (kind.kind not in PICTURES)
    assert not missing["media"]
    macros = "{% import 'macros.html' as m %}{% include 'mistakes.html' %}"
    page = environment().from_string(macros).render(v=view, words=words(language))
    assert ("<img" in page, "<audio" in page, "<svg" in page) == tuple(
        kind.kind == own for own in ("image", "audio", "sequence")
    )
