"""`luban trace` on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from test_bad_input import refused, table

from luban.report.language.words import LANGUAGES

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def run(luban, tmp_path: Path) -> Path:
    cells = [SCRIPT, "plain"] * 30
    frame = table(**{SCRIPT: cells}).with_columns(
        y=pl.when(pl.col("x") > 0).then(pl.lit(SCRIPT)).otherwise(pl.lit("no"))
    )
    frame.write_csv(tmp_path / "sheet.csv")
    settings = ("--set", "train.epochs=1", "--set", "model.hidden=[3]", "--set", "train.loss.label_smoothing=0.1")
    result = luban("train", "sheet.csv", "--target", "y", "--no-preflight", "-q", *settings)
    assert result.code == 0, result.err
    return tmp_path / "runs" / "sheet"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_page_and_json_say_everything_and_run_nothing(luban, tmp_path: Path, run: Path, language: str) -> None:
    result = luban("trace", run, 1, "--json", "t.json", "--steps", 2, "--lang", language, "--optimizer", "adam")
    assert result.code == 0, result.err
    assert "gradients  passed" in result.out
    page = (tmp_path / "trace.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<title>" in page
    assert f'lang="{LANGUAGES[language]}"' in page
    found = json.loads((tmp_path / "t.json").read_text("utf-8"))
    trace = found["trace"]
    assert trace["loss_formula"]["loss"]["value"] == pytest.approx(trace["loss"], rel=1e-5)
    assert trace["check_passed"]
    assert len(trace["steps"]) == 2
    refused(luban("trace", run, 1), "trace.html", "--overwrite")
    assert luban("trace", run, 1, "--overwrite").code == 0


def test_a_chinese_page_says_in_chinese_what_was_unusual(luban, tmp_path: Path, run: Path) -> None:
    table(**{SCRIPT: ["unknown"] * 60}).with_columns(y=pl.lit("no")).write_csv(tmp_path / "other.csv")
    result = luban("trace", run, 1, "--data", "other.csv", "--json", "t.json", "--lang", "zh")
    assert result.code == 0, result.err
    assert "1 of 1 rows hold a value that was rare or unseen in training" in result.out
    page = (tmp_path / "trace.html").read_text("utf-8")
    assert "”列：1 行中有 1 行的取值在训练中罕见或从未出现" in page
    assert "rare or unseen" not in page
    assert 'lang="en"' not in page
    assert "二分类" in page
    assert "第 1 步：损失" in page
    assert ">数值 1 × 1<" in page
    assert "rare or unseen" in json.loads((tmp_path / "t.json").read_text("utf-8"))["notes"][0]


def test_mistakes_get_one_sentence(luban, tmp_path: Path, run: Path) -> None:
    refused(luban("trace", run, 61), "sheet.csv", "1 to 60", "61")
    refused(luban("trace", run, 0), "sheet.csv", "found 0")
    refused(luban("trace", run, 1, "--optimizer", "adamm"), "--optimizer", "Did you mean 'adam'?")
    refused(luban("trace", run, 1, "--steps", 0), "--steps")
    refused(luban("trace", run, 1, "--learning-rate", "-1"), "--learning-rate")
    refused(luban("trace", run, 1, "--lang", "fr"), "--lang", "'fr'")
    refused(luban("trace", run, 1, "-o", "t.txt"), "'.txt'")
    (tmp_path / "sheet.csv").unlink()
    refused(luban("trace", run, 1), "nothing there any more", "--data")
    (run / "manifest.json").unlink()
    refused(luban("trace", run, 1), "did not finish")


def images(count: int = 40) -> dict[str, list[object]]:
    draw = np.random.default_rng(0)
    cells: list[object] = []
    for number in range(count):
        buffer = io.BytesIO()
        pixels = draw.integers(0, 120, (8, 8)) + 100 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
        cells.append(buffer.getvalue())
    return {"picture": cells, "y": ["dark", "light"] * (count // 2)}


def texts(count: int = 60) -> dict[str, list[object]]:
    words = ["card", "bank", "loan", "rate", "lost", "fee"]
    draw = np.random.default_rng(0)
    cells: list[object] = [" ".join(draw.choice(words, 6)) for _ in range(count)]
    colours: list[object] = draw.choice(["red", "green"], count).tolist()
    return {"remark": cells, "colour": colours, "y": ["yes" if "card" in str(cell) else "no" for cell in cells]}


@pytest.mark.parametrize(
    ("made", "model", "optimizer", "kinds"),
    [
        (images(), "{grid: {architecture: resnet, stem: 4, channels: [4], blocks: [1]}}", "momentum", {"Conv2d"}),
        (texts(), "{tokens: {architecture: lstm, dim: 8, hidden: 8}}", "rmsprop", {"LSTM", "Embedding"}),
    ],
    ids=["image", "sequence"],
)
def test_networks_of_images_and_sequences(
    luban, tmp_path: Path, made: dict[str, list[object]], model: str, optimizer: str, kinds: set[str]
) -> None:
    pl.DataFrame(made).write_parquet(tmp_path / "rows.parquet")
    settings = ("--set", "train.epochs=1", "--set", f"model={model}")
    result = luban("train", "rows.parquet", "--target", "y", "--no-preflight", "-q", *settings)
    assert result.code == 0, result.err
    result = luban("trace", "runs/rows", 2, "--optimizer", optimizer, "--json", "t.json")
    assert result.code == 0, result.err
    assert "gradients  passed" in result.out
    trace = json.loads((tmp_path / "t.json").read_text("utf-8"))["trace"]
    assert kinds <= {layer["kind"] for layer in trace["layers"]}
    diagram = (tmp_path / "trace.html").read_text("utf-8").partition("<svg")[2].partition("</svg>")[0]
    for column in set(made) - {"y"}:
        assert f">{column}</text>" in diagram
    assert "heads.0.linear · Linear" in diagram
