"""Tags through the command line: words in columns or in lists, to a model, to spans, to scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

TINY = (
    *("--model", "lstm", "--set", "model.tokens.hidden=16", "--set", "model.tokens.dim=16"),
    *("--set", "train.epochs=6", "--set", "train.optim.learning_rate=0.02", "--set", "train.batch_size=8"),
)
NAMES = {"PER": ["Anna", "Bo", "Carl"], "LOC": ["Wien", "Rom", "New York"]}
名字 = {"人名": ["小明", "小红", "王伟"], "地名": ["北京", "上海", "广州"]}


def sentences(names: dict[str, list[str]], joined: list[str], count: int = 160) -> list[tuple[list[str], list[str]]]:
    """A name of a person, a word, and the name of a place, in BIO."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(count):
        words, tags = list[str](), list[str]()
        for kind in names:
            name = str(draw.choice(names[kind])).split()
            words += [*name, *[str(draw.choice(joined))] * int(draw.integers(1, 4))]
            tags += [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
            tags += ["O"] * (len(words) - len(tags))
        found.append((words, tags))
    return found


def test_a_conll_file_to_a_model_to_spans(luban, tmp_path: Path) -> None:
    rows = sentences(NAMES, ["saw", "likes", "and"])
    content = "\n\n".join("\n".join(f"{word} {tag}" for word, tag in zip(*row, strict=True)) for row in rows)
    (tmp_path / "names.conll").write_text(f"-DOCSTART- O\n\n{content}\n", "utf-8")
    trained = luban("train", "names.conll", *TINY)
    assert trained.code == 0, trained.err
    assert "target: 'tags', by its name" in trained.out
    metrics = json.loads((tmp_path / "runs" / "names" / "metrics.json").read_text("utf-8"))
    assert metrics["scores"]["entity_f1"]["value"] > 0.9
    assert metrics["scores"]["entity_f1"]["low"] <= metrics["scores"]["entity_f1"]["value"]
    assert metrics["scores"]["token_accuracy"]["value"] > 0.9

    new = [
        {"tokens": ["Anna", "likes", "New", "York"], "note": 1},
        {"tokens": ["and"]},
        {"tokens": []},
        {"tokens": None},
    ]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, new)), "utf-8")
    predicted = luban("predict", "runs/names", "new.jsonl", "-o", "out.jsonl")
    assert predicted.code == 0, predicted.err
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [len(line["predicted_tags"]) for line in lines] == [4, 1, 0, 0]
    assert [line["tokens"] for line in lines[:3]] == [row["tokens"] for row in new[:3]]
    spans = json.loads(lines[0]["spans_tags"])
    assert [{**span, "probability": 0} for span in spans] == [
        {"label": "PER", "text": "Anna", "start": 0, "end": 1, "probability": 0},
        {"label": "LOC", "text": "New York", "start": 2, "end": 4, "probability": 0},
    ]
    assert all(0 <= span["probability"] <= 1 for span in spans)

    scored = luban("evaluate", "runs/names", "names.conll")
    assert scored.code == 0, scored.err
    assert "entity f1" in scored.out
    assert "token accuracy" in scored.out


def test_lists_with_chinese_names_and_texts_with_spans(luban, tmp_path: Path) -> None:
    rows = sentences(名字, ["去", "爱", "和"])
    as_lists = [{"句子": words, "标签": tags} for words, tags in rows]
    (tmp_path / "名字.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in as_lists), "utf-8")
    trained = luban("train", "名字.jsonl", "--target", "标签", *TINY)
    assert trained.code == 0, trained.err
    predicted = luban("predict", "runs/名字", "名字.jsonl", "-o", "out.parquet")
    assert predicted.code == 0, predicted.err
    found = pl.read_parquet(tmp_path / "out.parquet")
    right = sum(
        one == other
        for row in found.iter_rows(named=True)
        for one, other in zip(row["标签"], row["predicted_标签"], strict=True)
    )
    assert right > 0.9 * sum(len(tags) for _, tags in rows)
    assert json.loads(found["spans_标签"][0])[0]["text"] == rows[0][0][0]
    assert luban("evaluate", "runs/名字", "名字.jsonl").code == 0


SEEN = {"tokens": ["Anna", "Bo", "saw", "Rom"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]}
SHORT = {"tokens": ["saw", "Anna"], "tags": ["O", "B-PER"]}
TEXT = {"text": "Anna saw Rom", "spans": [[0, 4, "PER"], [9, 12, "LOC"]]}


def another(row: dict[str, Any], place: int) -> dict[str, Any]:
    """Return a row with one word more, which no other row has."""
    if "text" in row:
        return {**row, "text": f"{row['text']} w{place}"}
    return {"tokens": [*row["tokens"], f"w{place}"], "tags": [*row["tags"], "O"]}


@pytest.mark.parametrize(
    ("rows", "row", "words"),
    [
        ([SEEN, SHORT], {**SHORT, "tags": ["O"]}, r"found 3 of 63 \(the first: row 61, 3 words and 2 tags\)"),
        (
            [SEEN, SHORT],
            {**SHORT, "tags": ["O", "I-PER"]},
            "'I-PER' at word 2 goes on with a span that no word before it",
        ),
        ([TEXT], {**TEXT, "spans": [[0, 8, "PER"], [5, 12, "LOC"]]}, "the span 5 to 12 of 'LOC' overlaps another one"),
        ([TEXT], {**TEXT, "spans": [[0, 3, "PER"]]}, "the span 0 to 3 of 'PER' cuts a word, or holds none"),
    ],
)
def test_rows_that_fit_no_words_are_named(
    luban, tmp_path: Path, rows: list[dict[str, Any]], row: dict[str, Any], words: str
) -> None:
    lines = [json.dumps(another(each, place)) for place, each in enumerate([*(rows * 60)[:60], *[row] * 3])]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    trained = luban("train", "rows.jsonl", *TINY)
    assert trained.code == 1
    assert re.search(words, trained.err)
    assert len(trained.err.strip().splitlines()) == 1


@pytest.mark.parametrize("cell", [None, []])
def test_a_table_where_no_target_is_ever_present_is_told(luban, tmp_path: Path, cell: list[str] | None) -> None:
    lines = [json.dumps({**row, "tags": cell}) for row in [SEEN, SHORT] * 20]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), "utf-8")
    trained = luban("train", "rows.jsonl", "--target", "tags", "--set", "data.task=tags")
    assert trained.code == 1
    assert "target 'tags': expected tags in some row, found none in 40 rows" in trained.err
