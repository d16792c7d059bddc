"""The page of a run in a language other than that of its files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.end_to_end.report_sources import COMMANDS, Page, unsourced

from luban.core.artifact import RunDirectory
from luban.report.page import write_report

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
