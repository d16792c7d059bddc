"""The page of a run for each kind of column and task: what is special to it, and where each figure comes from."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
import yaml
from PIL import Image
from tests.end_to_end.report_sources import unsourced

ROWS = 120
SHORT = [
    *("--no-preflight", "--set", "train.epochs=1", "--set", "train.batch_size=32"),
    *("--set", "evaluate.learning_curve=false"),
]


def numbers(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    return {"x1": draw.normal(size=ROWS).round(3).tolist(), "y": draw.normal(size=ROWS).round(2).tolist()}


def tags(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    chosen = [";".join(t for t in "abc" if draw.random() < 0.4) or "a" for _ in range(ROWS)]
    return {"x1": draw.normal(size=ROWS).round(3).tolist(), "y": chosen}


def pictures(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    for row in range(ROWS):
        Image.fromarray(draw.integers(0, 255, (8, 8)).astype(np.uint8)).save(folder / f"{row}.png")
    return {"picture": [f"{row}.png" for row in range(ROWS)], "y": draw.choice(["a", "b"], ROWS).tolist()}


def sounds(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    for row in range(ROWS):
        soundfile.write(folder / f"{row}.wav", draw.normal(size=2000) / 9, 8000)
    return {"clip": [f"{row}.wav" for row in range(ROWS)], "y": draw.choice(["a", "b"], ROWS).tolist()}


def pairs(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    texts = [[" ".join(draw.choice(["yes", "no", "go", "to", "we"], 6)) for _ in range(ROWS)] for _ in range(2)]
    return {"first": texts[0], "second": texts[1], "y": draw.choice(["a", "b"], ROWS).tolist()}


def waves(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    steps = [draw.normal(size=(int(draw.integers(2, 130)), 2)).round(3).tolist() for _ in range(ROWS)]
    return {"wave": steps, "y": draw.choice(["a", "b"], ROWS).tolist()}


def several(folder: Path, draw: np.random.Generator) -> dict[str, list[object]]:
    lacking = [[i % 9 == place for i in range(ROWS)] for place in (2, 5, 8)]
    number, tag = numbers(folder, draw), tags(folder, draw)["y"]
    targets = {"hours": number["y"], "y": draw.choice(["a", "b"], ROWS).tolist(), "tags": tag}
    return {
        "x1": number["x1"],
        **{
            name: [None if gone else cell for gone, cell in zip(lacks, cells, strict=True)]
            for (name, cells), lacks in zip(targets.items(), lacking, strict=True)
        },
    }


def front(run: Path) -> dict[str, object]:
    return dict(yaml.safe_load((run / "README.md").read_text("utf-8").split("---\n")[1]))


CASES = {  # rows, the task of the model card, what has to be on the page, more settings
    "numbers": (numbers, "tabular-regression", ("lower is better", "The largest errors", "Intervals of ±"), ()),
    "tags": (tags, "tabular-classification", ("several labels a row",), ("--set", "data.task=multi_label")),
    "pictures": (pictures, "image-classification", ('<img src="data:image/png;base64,',), ("--model", "mlp")),
    "sounds": (sounds, "audio-classification", ('<audio controls preload="none" src="data:audio/wav;base64,',), ()),
    "waves": (waves, "other", ('<polyline class="line two"', "<dt>Task</dt>", "number 2"), ()),
    "several": (
        several,
        "other",
        (
            'id="evaluation-3"',
            ">Evaluation: hours<",
            ">Mistakes: tags<",
            "<dt>Target</dt><dd>y, hours, tags<",
            "Intervals of ±",
        ),
        ("--set", "data.target=[y, hours, tags]"),
    ),
    "pairs": (pairs, "text-classification", ("<dt>first</dt>", "<dt>second</dt>"), ("--model", "transformer")),
}


@pytest.mark.parametrize("kind", CASES)
def test_page_of_each_kind(luban, tmp_path: Path, kind: str) -> None:
    rows, task, shown, more = CASES[kind]
    columns = rows(tmp_path, np.random.default_rng(0))
    data = "rows.jsonl" if kind == "waves" else "rows.csv"
    frame = pl.DataFrame(columns)
    frame.write_ndjson(tmp_path / data) if kind == "waves" else frame.write_csv(tmp_path / data)
    result = luban("train", data, "--target", "y", *SHORT, *more)
    assert result.code == 0, result.err
    run = tmp_path / "runs" / "rows"
    page = (run / "report.html").read_text("utf-8")
    assert len(page) < 3_000_000
    assert not unsourced(page, run)
    for text in shown:
        assert text in page
    assert front(run)["model-index"][0]["results"][0]["task"]["type"] == task  # type: ignore[index]
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert manifest["peak_memory_bytes"] > 10_000_000
    assert f'data-source="manifest.json#/peak_memory_bytes">{manifest["peak_memory_bytes"] / 1e6:.1f} MB' in page or (
        f"{manifest['peak_memory_bytes'] / 1e9:.1f} GB" in page
    )
    assert "Estimated, not measured" in page
    if kind == "sounds":
        clip = re.search(r'src="data:audio/wav;base64,([^"]+)"', page)
        assert clip is not None
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(clip.group(1))))
        assert len(samples) / rate == pytest.approx(0.25, abs=0.01)
