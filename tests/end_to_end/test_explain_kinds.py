"""Rows of each kind of input and task are explained, by the command and at the end of a training, for its report."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from test_bad_input import refused
from test_images_and_sound import png, write_tones

pytest.importorskip("captum", reason="pip install 'luban[explain]'")

SMALL = ("--no-preflight", "-q", "--set", "train.batch_size=16")
TOKENS = ("--model", "textcnn", "--set", "train.optim.learning_rate=0.003")
Explain = Callable[..., tuple[list[dict[str, Any]], list[dict[str, Any]], str]]


@pytest.fixture
def explained(luban, tmp_path: Path) -> Explain:
    """Train on a source and explain its first two rows; return what the training explained by itself, what the command
    explained, and the page."""

    def run(source: str, target: str, *settings: object, rows: str = "1,2") -> Any:
        result = luban("train", source, "--target", target, "--name", "run", *SMALL, *settings)
        assert result.code == 0, result.err
        result = luban("explain", "runs/run", source, "--rows", rows, "--json", "found.json")
        assert result.code == 0, result.err
        found = json.loads((tmp_path / "found.json").read_text("utf-8"))["rows"]
        for row in found:
            assert row["sentence"] in " ".join(result.out.split())
        own = json.loads((tmp_path / "runs/run/explanations.json").read_text("utf-8"))["rows"]
        assert 1 <= len(own) <= 4
        page = (tmp_path / "runs/run/report.html").read_text("utf-8")
        assert page.count('<article class="card"><p class="soft">Row') >= len(own)
        return own, found, page

    return run


def strongest(row: dict[str, Any], place: int = 0) -> dict[str, Any]:
    """Return the part of an input that speaks most for the prediction."""
    return max(row["inputs"][place]["parts"], key=lambda part: part["weight"])


def test_image(explained: Explain, luban, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = [row % 2 for row in range(200)]
    cells = [{"bytes": png(label, draw), "path": None} for label in labels]
    pl.DataFrame({"image": cells, "label": labels}).write_parquet(tmp_path / "digits.parquet")
    own, found, page = explained("digits.parquet", "label", "--model", "mlp", "--set", "train.epochs=4")
    for row in (*own, *found):
        assert len(row["inputs"][0]["parts"]) == 49
        assert row["inputs"][0]["image"]["heat"].startswith("data:image/png;base64,")
    assert found[0]["check"]["passes"], found[0]["check"]
    assert found[0]["actual"] == "0"
    assert page.count('<div class="heat">') == len(own)

    for method in ("lime", "kernel-shap"):
        refused(luban("explain", "runs/run", "digits.parquet", "--method", method), f"--method {method}", "image")
    refused(luban("explain", "runs/run", "digits.parquet", "--rows", "0"), "--rows", "1 to 200", "'0'")


def test_sound(explained: Explain, tmp_path: Path) -> None:
    write_tones(tmp_path / "sounds", 60)
    own, found, page = explained("sounds", "pitch", "--set", "train.epochs=6")
    for row in (*own, *found):
        assert "Hz" in row["inputs"][0]["parts"][0]["bin"]
    assert page.count('<div class="heat">') == len(own)


def test_sequence_names_the_planted_steps(explained: Explain, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    steps = draw.normal(0, 0.3, (240, 24))
    labels = [row % 2 for row in range(240)]
    steps[1::2, 10:12] += 4.0  # the sixth of twelve stretches
    rows = [
        {"wave": row.round(3).tolist(), "event": ["no", "yes"][label]} for row, label in zip(steps, labels, strict=True)
    ]
    (tmp_path / "waves.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    settings = ("--set", "train.epochs=15", "--set", "train.optim.learning_rate=0.01")
    own, found, page = explained("waves.jsonl", "event", *settings, rows="2,4")
    assert found[0]["predicted"] == "yes"
    assert strongest(found[0])["bin"] == "steps 11-12"
    assert found[0]["check"]["passes"], found[0]["check"]
    assert len(own[0]["inputs"][0]["parts"]) == 12
    assert page.count('<table class="weights">') == len(own)
    series = found[0]["inputs"][0]["series"]
    assert series["spans"][5] == [11, 12]
    assert series["values"][0] == pytest.approx(rows[1]["wave"])
    assert page.count("<title>steps 11-12: ") == len(own)


def test_pair_of_texts_and_several_labels(explained: Explain, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    others = ["the", "film", "plot", "story", "actor", "scene", "music", "night", "city", "sea"]
    tags = {"ghost": "horror", "joke": "comedy"}
    rows = []
    for row in range(240):
        present = [word for place, word in enumerate(tags) if row >> place & 1]
        texts = [draw.choice(others, 4).tolist(), draw.choice(others, 4).tolist()]
        for place, word in enumerate(present):
            texts[place % 2].insert(int(draw.integers(4)), word)
        rows.append([*map(" ".join, texts), ";".join(tags[word] for word in present[::-1]) or "drama"])
    pl.DataFrame(rows, ["first", "second", "tags"], orient="row").write_csv(tmp_path / "films.csv")
    own, found, page = explained(
        "films.csv", "tags", *TOKENS, "--set", "data.task=multi_label", "--set", "train.epochs=12", rows="2,4"
    )
    assert found[0]["predicted"] == "horror"
    assert "most probably 'horror'" in found[0]["sentence"]
    assert found[0]["unit"] == "log odds of 'horror', in nats"
    assert [item["column"] for item in found[0]["inputs"]] == ["first", "second"]
    assert strongest(found[0])["text"] == "ghost"
    assert found[1]["predicted"] == found[1]["actual"] == "comedy;horror"
    assert {row["actual"] for row in own} <= {"horror", "comedy", "comedy;horror", "drama"}
    assert (
        page.count('<span class="mark-good">right</span>') == sum(row["actual"] == row["predicted"] for row in own) > 0
    )


def test_labels_that_are_no_strings_and_the_nearest_number_that_turns_them(explained: Explain, tmp_path: Path) -> None:
    size = np.random.default_rng(0).permutation(np.linspace(-2, 2, 200)).round(2)
    size[0] = 0.5
    pl.DataFrame({"size": size, "big": size > 0}).write_csv(tmp_path / "sizes.csv")
    settings = ("--set", "train.epochs=15", "--set", "train.optim.learning_rate=0.01", "--set", "model.hidden=[8]")
    _, found, page = explained("sizes.csv", "big", *settings)
    assert found[0]["actual"] == found[0]["predicted"]
    assert '<span class="mark-good">right</span>' in page
    change = found[0]["edit"]["changes"][0]
    assert -0.7 < float(change["after"]) < 0.5, "not the smallest of all sizes"


def test_regression(explained: Explain, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    size, noise = draw.normal(0, 1, 240), draw.normal(0, 1, 240)
    size[0] = 2.5
    frame = pl.DataFrame({"size": size.round(3), "noise": noise.round(3), "price": (100 + 30 * size).round(2)})
    frame.write_csv(tmp_path / "flats.csv")
    settings = ("--set", "train.epochs=30", "--set", "train.optim.learning_rate=0.01", "--set", "model.hidden=[8]")
    own, found, page = explained("flats.csv", "price", *settings)
    row = found[0]
    assert row["probability"] is None
    assert row["unit"] == "price, in its own unit"
    weights = {item["column"]: item["parts"][0]["weight"] for item in row["inputs"]}
    assert weights["size"] > 10 * abs(weights["noise"])
    assert "what raises it most is size" in row["sentence"]
    assert len(own) == 4
    assert "price" in page


def test_without_captum_a_training_says_so_and_explains_columns(
    luban, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.delitem(sys.modules, "captum.attr", raising=False)
    draw = np.random.default_rng(0)
    size = draw.normal(0, 1, 120).round(3)
    frame = pl.DataFrame({"size": size, "noise": draw.normal(0, 1, 120).round(3), "big": size > 0})
    frame.write_csv(tmp_path / "sheet.csv")
    result = luban("train", "sheet.csv", "--target", "big", "--no-preflight", "--set", "train.epochs=2")
    assert result.code == 0, result.err
    said = " ".join((result.out + result.err).split())
    assert said.count("no row is explained without the package captum: `pip install 'luban[explain]'`") == 1
    found = json.loads((tmp_path / "runs/sheet/explanations.json").read_text("utf-8"))
    assert found["importance"]
    assert found["rows"] == []
