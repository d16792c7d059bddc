"""The page of a run in a language other than that of its files."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from tests.end_to_end.report_sources import COMMANDS, Page, unsourced
from tests.end_to_end.resealed import reseal

from luban import pipeline
from luban.core.artifact import RunDirectory
from luban.core.tensors import Batch
from luban.report.page import write_report
from luban.training.step import Gradients, Positions, TrainStep

ROWS = 300
MOST_WORDS = 4  # of English in a row, which names of methods and of settings have
ENGLISH = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:[ ,;:]+[A-Za-z][A-Za-z'’-]*)+")
CELLS = re.compile(r"/cells/|/columns/\d+/[01]$|/actual|/predicted|slices/found")  # of the data


def write_rows(path: Path) -> None:
    """A table with many defects: repeated rows, missing and impossible cells, a copy of the target."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=ROWS).round(3)
    words = ["red", "green", "blue", "and", "the", "house", "tree"]
    frame = pl.DataFrame(
        {
            "x": x,
            "age": draw.integers(18, 140, ROWS),
            "price": [f"{n} $" for n in draw.integers(1, 99, ROWS)],
            "code": [f"c{n}" for n in range(ROWS)],
            "flat": ["a"] * ROWS,
            "rare": [None if n % 3 else "b" for n in range(ROWS)],
            "note": [" ".join(draw.choice(words, 9)) for _ in range(ROWS)],
            "twin": ["p" if v > 0 else "q" for v in x],
            "y": ["yes" if v > 0 else "no" for v in x],
        }
    )
    pl.concat([frame, frame.head(20)]).write_csv(path)


@pytest.fixture
def run(luban, tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.csv")
    result = luban("train", "rows.csv", "--target", "y", "--set", "train.epochs=2", "--set", "data.max_rows=310")
    assert result.code == 0, result.err
    assert "repeat another row in everything" in result.out  # the terminal stays English
    return tmp_path / "runs" / "rows"


def english(page: str) -> list[str]:
    """Return what of a page is English prose: not of the data, no code, no command."""
    parser = Page()
    parser.feed(page)
    found = []
    for text, tags in parser.texts:
        source = next((tag.attributes["data-source"] for tag in reversed(tags) if "data-source" in tag.attributes), "")
        if {tag.name for tag in tags} & (COMMANDS | {"code"}) or CELLS.search(source):
            continue
        runs = ENGLISH.findall(text)
        found += [part for part in runs if len(re.findall(r"[A-Za-z][A-Za-z'’-]*", part)) > MOST_WORDS]
    return found


def without_parts(value: object) -> object:
    """Return JSON values as they were before sentences told their parts."""
    if isinstance(value, dict):
        return {name: without_parts(item) for name, item in value.items() if not name.endswith("_parts")}
    return [without_parts(item) for item in value] if isinstance(value, list) else value


def test_a_chinese_page_is_chinese(run: Path) -> None:
    audit = json.loads((run / "audit.json").read_text("utf-8"))
    assert len({item["check"] for item in audit["findings"]}) >= 5
    assert len(english((run / "report.html").read_text("utf-8"))) > 10  # or nothing would be found
    page = write_report(RunDirectory(run), "zh").read_text("utf-8")
    assert english(page) == []
    assert not unsourced(page, run)
    assert "与另一行完全相同" in page
    assert ">训练前的损失与随机猜测相当<" in page
    assert "标准差" in page
    assert "常量：每个单元格都是 'a'" in page or "常量：每个单元格都是 &#39;a&#39;" in page
    assert 'lang="en"' not in page


def test_files_without_parts_are_shown_in_english(run: Path) -> None:
    for name in ("audit.json", "metrics.json", "explanations.json"):
        content = without_parts(json.loads((run / name).read_text("utf-8")))
        (run / name).write_text(json.dumps(content), "utf-8")
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text("utf-8").splitlines()]
    (run / "history.jsonl").write_text("".join(json.dumps(without_parts(line)) + "\n" for line in lines), "utf-8")
    reseal(run)
    page = write_report(RunDirectory(run), "zh").read_text("utf-8")
    assert not unsourced(page, run)
    assert re.search(r'lang="en">[^<]* repeat another row in everything<', page)
    assert re.search(r'lang="en">the loss before training is that of chance<', page)
    assert write_report(RunDirectory(run), "en").read_text("utf-8").count('lang="en"') < page.count('lang="en"')


def test_a_training_is_reported_in_the_language_that_was_asked_for(luban, tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv")
    few = ("--set", "train.epochs=1", "--set", "data.max_rows=100", "--set", "data.columns={note: ignore}")
    result = luban("train", "rows.csv", "--target", "y", "--lang", "zh", *few)
    assert result.code == 0, result.err
    page = tmp_path / "runs/rows/report.html"
    assert 'lang="zh-Hans"' in page.read_text("utf-8")
    assert luban("report", "runs/rows", "--overwrite").code == 0
    assert 'lang="zh-Hans"' in page.read_text("utf-8")
    assert luban("report", "runs/rows", "--overwrite", "--lang", "en").code == 0
    assert 'lang="en"' in page.read_text("utf-8")
    assert luban("runs", "--html", "all.html", "--lang", "zh").code == 0
    assert 'lang="zh-Hans"' in (tmp_path / "all.html").read_text("utf-8")
    refused = luban("train", "rows.csv", "--target", "y", "--lang", "fr")
    assert refused.code == 1
    assert "'lang': expected 'en' or 'zh', found 'fr'" in refused.err


class KilledError(BaseException):
    """Nothing of Luban's catches it, as nothing catches a kill."""


def write_troubles(folder: Path) -> None:
    """Pictures of which two cannot be read, a label that only the test rows have, and groups with missing cells."""
    draw = np.random.default_rng(0)
    for row in range(ROWS):
        Image.fromarray(draw.integers(0, 255, (8, 8)).astype(np.uint8)).save(folder / f"{row}.png")
    (folder / "8.png").write_bytes((folder / "8.png").read_bytes()[:60])
    (folder / "9.png").write_bytes(b"")
    age, label = draw.integers(18, 90, ROWS), np.where(draw.random(ROWS) < 0.5, "yes", "no")
    frame = pl.DataFrame(
        {
            "picture": [f"{row}.png" for row in range(ROWS)],
            "age": [None if row % 3 == 0 else int(years) for row, years in enumerate(age)],
            "y": label,
        }
    )
    frame.write_csv(folder / "train.csv")
    odd = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("odd")).otherwise(pl.col("y"))
    tested = frame.with_columns(y=odd, age=pl.col("age") + 1)
    tested.with_columns(picture=pl.col("picture").str.replace("^[89].png", "7.png")).write_csv(folder / "test.csv")


def test_a_troubled_training_is_told_in_chinese(luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_troubles(tmp_path)
    honest, steps, judge = TrainStep.gradients, list[int](), pipeline.judge

    def gradients(self: TrainStep, positions: Positions, batches: list[Batch], step: int) -> Gradients:
        """Lose the loss of one batch always, and that of another once."""
        found = honest(self, positions, batches, step)
        steps.append(step)
        return replace(found, loss=math.nan) if step == 2 or (step == 5 and steps.count(5) == 1) else found

    def killed(*arguments: object) -> None:
        raise KilledError

    monkeypatch.setattr(TrainStep, "gradients", gradients)
    monkeypatch.setattr(pipeline, "judge", killed)
    settings = ("train.epochs=4", "train.batch_size=32", "train.patience=1", "data.columns={age: number}")
    asked = ("evaluate.fairness_column=age", "evaluate.goal=recall>=0.9", "evaluate.learning_curve=false")
    options = [part for setting in (*settings, *asked) for part in ("--set", setting)]
    named = ("--target", "y", "--name", "bad", "--model", "mlp")
    assert "KilledError" in luban("train", "train.csv", "--test", "test.csv", *named, *options).err
    run = tmp_path / "runs" / "bad"
    newest = max((run / "checkpoints").glob("step-*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:100])
    monkeypatch.setattr(pipeline, "judge", judge)
    result = luban("train", "--resume", run)
    assert result.code == 0, result.err
    page = write_report(RunDirectory(run), "zh").read_text("utf-8")
    assert english(page) == []
    assert not unsourced(page, run)
    assert 'lang="en"' not in page
    for told in (
        "损失为 nan；已回到上一个检查点，并跳过这一批",
        "损失为 nan；已回到本轮开头，学习率降为设定值的 0.5 倍",
        "不完整或被改动过），改用较早的检查点",
        "3 行无法读取，已排除；见 rejected_rows.csv",
        "标签“odd”只出现在 test.csv 中，训练行中没有：已排除 1 行，不计入分数",
        "的图片无法读取（第 9 行：文件无法解码（",
        "文件为空（0 字节）",
        "召回率 ≥ 0.9",
    ):
        assert told in page
    fairness = json.loads((run / "metrics.json").read_text("utf-8"))["fairness"]
    assert "missing" in [group["value"] for group in fairness["groups"]]
    assert re.search(r"/fairness/groups/\d+/value\">缺失<", page)
    assert re.search(r"/fairness/groups/\d+/value\">\d+ 至 \d+<", page)
    assert not re.search(r"/fairness/[^>]*>[^<]*(missing| to )", page)
    ended = [line for line in (run / "history.jsonl").read_text("utf-8").splitlines() if "TrainingEnded" in line]
    assert "reason_parts" in json.loads(ended[-1])
